//! A byte of state that is its own lock.
//!
//! While nobody holds it, the byte is the state; while somebody holds it, it is [`LOCKED`] and
//! the state is with the holder. So one `swap` both takes the lock and reads the state, and
//! one `store` both publishes the new state and lets go. Meant for holds of a few dozen
//! instructions: who finds it held spins, and yields its time slice after a while, so that a
//! holder that was preempted gets on.
//!
//! Loom cannot explore spinning, so under loom the lock is loom's mutex around the same byte.

use crate::atomic::{AtomicU8, Ordering};

const LOCKED: u8 = 0x80;

/// A byte of state, of which the highest bit is not for use, that is its own lock.
#[derive(Debug, Default)]
pub struct StateLock {
    word: AtomicU8,
    #[cfg(loom)]
    mutex: crate::Mutex<()>,
}

/// The state, held. Dropping it publishes the state and lets go.
#[derive(Debug)]
pub struct StateGuard<'a> {
    /// The state to publish.
    pub state: u8,
    lock: &'a StateLock,
    #[cfg(loom)]
    _held: crate::MutexGuard<'a, ()>,
}

impl StateLock {
    /// A lock with state 0 that nobody holds.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the lock. Spins, then yields the thread, while somebody else has it.
    #[cfg(not(loom))]
    #[inline(always)]
    pub fn lock(&self) -> StateGuard<'_> {
        // Acquire pairs with the Release store in the guard's drop.
        let mut state = self.word.swap(LOCKED, Ordering::Acquire);
        if state == LOCKED {
            state = self.lock_contended();
        }
        StateGuard { state, lock: self }
    }

    #[cfg(not(loom))]
    #[cold]
    #[inline(never)]
    fn lock_contended(&self) -> u8 {
        // Ever longer pauses: who has the line does several holds in a row meanwhile, instead
        // of one per journey of the line between two cores.
        let mut pauses = 32u32;
        loop {
            for _ in 0..pauses {
                crate::wait::spin();
            }
            // Looking leaves the line shared until there is a chance.
            if self.word.load(Ordering::Relaxed) != LOCKED {
                let state = self.word.swap(LOCKED, Ordering::Acquire);
                if state != LOCKED {
                    return state;
                }
            }
            if pauses < 64 {
                pauses *= 2;
            } else {
                crate::wait::yield_thread();
            }
        }
    }

    /// Takes the lock.
    #[cfg(loom)]
    pub fn lock(&self) -> StateGuard<'_> {
        let held = self.mutex.lock();
        let state = self.word.swap(LOCKED, Ordering::Acquire);
        StateGuard {
            state,
            lock: self,
            _held: held,
        }
    }

    /// The state; `None` while somebody holds it. Acquires what was done before it was
    /// published.
    #[inline(always)]
    pub fn peek(&self) -> Option<u8> {
        let word = self.word.load(Ordering::Acquire);
        (word != LOCKED).then_some(word)
    }
}

impl Drop for StateGuard<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.lock.word.store(self.state, Ordering::Release);
    }
}
