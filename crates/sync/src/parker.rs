//! One thread's place to sleep, with a token that a wake-up leaves behind.
//!
//! `std::thread::park` shares its token with user code that runs on the same thread, which
//! could eat a wake-up that was meant for the runtime; this one belongs to the runtime alone.
//!
//! States of the word: `EMPTY` (awake, no token), `PARKED` (the owner sleeps or is about to),
//! `NOTIFIED` (a token is there). Only the owner moves to `PARKED`; anybody moves to
//! `NOTIFIED`. The owner takes the lock before it publishes `PARKED` and sleeps on the
//! condition variable, so a waker that saw `PARKED` and then takes the lock cannot notify
//! between the two.

use std::time::Duration;

use crate::atomic::{AtomicU32, Ordering};
use crate::{Condvar, Mutex};

const EMPTY: u32 = 0;
const PARKED: u32 = 1;
const NOTIFIED: u32 = 2;

/// A place for one thread to sleep.
#[derive(Debug)]
pub struct Parker {
    word: AtomicU32,
    lock: Mutex<()>,
    woken: Condvar,
}

impl Default for Parker {
    fn default() -> Self {
        Self::new()
    }
}

impl Parker {
    /// A parker without a token.
    pub fn new() -> Self {
        Self {
            word: AtomicU32::new(EMPTY),
            lock: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    /// Sleeps until there is a token, and takes it. Only the owning thread may call this.
    ///
    /// Everything that happened before the matching [`unpark`](Self::unpark) is visible
    /// afterwards.
    pub fn park(&self) {
        self.sleep(None);
    }

    /// As [`park`](Self::park), for at most `timeout`. Tells whether there was a token.
    pub fn park_timeout(&self, timeout: Duration) -> bool {
        self.sleep(Some(timeout))
    }

    /// Leaves a token and wakes the owner if it sleeps.
    pub fn unpark(&self) {
        // Release pairs with the Acquire of the swap in `take_token`.
        if self.word.swap(NOTIFIED, Ordering::AcqRel) == PARKED {
            drop(self.lock.lock());
            self.woken.notify_one();
        }
    }

    fn sleep(&self, timeout: Option<Duration>) -> bool {
        if self.take_token() {
            return true;
        }
        let mut guard = self.lock.lock();
        if self
            .word
            .compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return self.take_token();
        }
        match timeout {
            None => {
                while self.word.load(Ordering::Acquire) == PARKED {
                    guard = self.woken.wait(guard);
                }
            }
            // A spurious wake-up only shortens the wait: callers with a deadline loop anyway.
            Some(timeout) => guard = self.woken.wait_timeout(guard, timeout),
        }
        drop(guard);
        self.take_token()
    }

    fn take_token(&self) -> bool {
        self.word.swap(EMPTY, Ordering::AcqRel) == NOTIFIED
    }
}
