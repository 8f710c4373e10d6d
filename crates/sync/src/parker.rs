//! A parker for one thread: a wake-up leaves a token, so none is lost.
//!
//! `std::thread::park` shares its token with user code on the same thread, which could consume a
//! wake-up meant for the runtime. This token belongs to the runtime alone.
//!
//! The word is `EMPTY` (awake, no token), `PARKED` (the owner sleeps or is about to) or
//! `NOTIFIED` (there is a token). Only the owner sets `PARKED`; any thread sets `NOTIFIED`. The
//! owner holds the lock from before it sets `PARKED` until it waits on the condition variable. A
//! waker that finds `PARKED` acquires the lock first, so it cannot notify between the two.

use std::time::Duration;

use crate::atomic::{AtomicU32, Ordering};
use crate::{Condvar, Mutex};

const EMPTY: u32 = 0;
const PARKED: u32 = 1;
const NOTIFIED: u32 = 2;

/// Blocks its owning thread until another thread wakes it.
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
    /// Creates a parker without a token.
    pub fn new() -> Self {
        Self {
            word: AtomicU32::new(EMPTY),
            lock: Mutex::new(()),
            woken: Condvar::new(),
        }
    }

    /// Blocks until there is a token, and takes it. Only the owning thread may call this.
    ///
    /// What happened before the matching [`unpark`](Self::unpark) is visible to the caller
    /// afterwards.
    pub fn park(&self) {
        self.sleep(None);
    }

    /// Like [`park`](Self::park), but blocks for at most `timeout`. Returns whether there was a
    /// token.
    pub fn park_timeout(&self, timeout: Duration) -> bool {
        self.sleep(Some(timeout))
    }

    /// Leaves a token, and wakes the owner if it sleeps.
    pub fn unpark(&self) {
        // Release; pairs with the Acquire of the swap in `take_token`.
        if self.word.swap(NOTIFIED, Ordering::AcqRel) == PARKED {
            // The owner holds the lock until it waits, so after this it cannot miss the
            // notification. Released first, since the woken owner acquires the lock.
            drop(self.lock.lock());
            self.woken.notify_one();
        }
    }

    fn sleep(&self, timeout: Option<Duration>) -> bool {
        if self.take_token() {
            return true;
        }
        let mut guard = self.lock.lock();
        // Fails only if a token came since the look above. Acquire; pairs with the Release of the
        // swap in `unpark`.
        if self
            .word
            .compare_exchange(EMPTY, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            return self.take_token();
        }
        match timeout {
            None => {
                // Only a look: `take_token` below acquires.
                while self.word.load(Ordering::Acquire) == PARKED {
                    guard = self.woken.wait(guard);
                }
            }
            // No loop: a spurious wake-up only shortens the wait, and callers with a deadline
            // loop anyway.
            Some(timeout) => guard = self.woken.wait_timeout(guard, timeout),
        }
        drop(guard);
        self.take_token()
    }

    fn take_token(&self) -> bool {
        // Acquire; pairs with the Release of the swap in `unpark`.
        self.word.swap(EMPTY, Ordering::AcqRel) == NOTIFIED
    }
}
