//! A byte of state that is its own lock.
//!
//! While the lock is free, the byte is the state. While it is held, the byte is [`LOCKED`] and
//! the state is in the holder's guard. So one `swap` both acquires the lock and reads the state,
//! and one `store` both publishes the new state and releases the lock. It is meant for holds of a
//! few dozen instructions: a thread that finds it held spins, and after a while yields its time
//! slice, so that a preempted holder can go on.
//!
//! Loom cannot explore spinning, so under loom the lock is loom's mutex around the same byte.

use crate::atomic::{AtomicU8, Ordering};
use crate::rank::{Held, Rank};

const LOCKED: u8 = 0x80;

/// A byte of state that is its own lock. Its highest bit is reserved.
#[derive(Debug, Default)]
pub struct StateLock {
    word: AtomicU8,
    #[cfg(loom)]
    mutex: crate::Mutex<()>,
}

/// A guard of a [`StateLock`]. Dropping it publishes the state and releases the lock.
#[derive(Debug)]
pub struct StateGuard<'a> {
    /// The state to publish.
    pub state: u8,
    lock: &'a StateLock,
    _rank: Held,
    #[cfg(loom)]
    _held: crate::MutexGuard<'a, ()>,
}

impl StateLock {
    /// Creates a free lock with state 0.
    pub fn new() -> Self {
        Self::default()
    }

    /// Acquires the lock. Spins, then yields the thread, while another thread holds it.
    #[cfg(not(loom))]
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn lock(&self) -> StateGuard<'_> {
        let rank = Held::enter(Rank::LEAF);
        // Acquire; pairs with the Release store in the guard's drop.
        // A swap and not a compare-exchange, which would have to know the state. If the lock is
        // held, it replaces `LOCKED` by `LOCKED`.
        let mut state = self.word.swap(LOCKED, Ordering::Acquire);
        if state == LOCKED {
            state = self.lock_contended();
        }
        StateGuard {
            state,
            lock: self,
            _rank: rank,
        }
    }

    #[cfg(not(loom))]
    #[cold]
    #[inline(never)]
    fn lock_contended(&self) -> u8 {
        // Long pauses: meanwhile the core that has the cache line completes several holds in a
        // row, instead of one each time the line moves between two cores, as it did with every
        // message of two senders to one isolate (2026-11-21).
        let mut pauses = 32u32;
        loop {
            for _ in 0..pauses {
                crate::wait::spin();
            }
            // A load leaves the line shared, and a failed swap would not. Relaxed, because only
            // the swap acquires.
            if self.word.load(Ordering::Relaxed) != LOCKED {
                // Acquire; pairs with the Release store in the guard's drop.
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

    /// Acquires the lock.
    #[cfg(loom)]
    pub fn lock(&self) -> StateGuard<'_> {
        let held = self.mutex.lock();
        // Acquire, as in the other `lock`; the mutex already orders the holders.
        let state = self.word.swap(LOCKED, Ordering::Acquire);
        StateGuard {
            state,
            lock: self,
            _rank: Held::enter(Rank::LEAF),
            _held: held,
        }
    }

    /// Returns the state, or `None` while the lock is held. What happened before the state was
    /// published is visible to the caller.
    #[inline]
    pub fn peek(&self) -> Option<u8> {
        // Acquire; pairs with the Release store in the guard's drop.
        let word = self.word.load(Ordering::Acquire);
        (word != LOCKED).then_some(word)
    }
}

impl Drop for StateGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release; pairs with the Acquire swaps in `lock` and the Acquire load in `peek`.
        self.lock.word.store(self.state, Ordering::Release);
    }
}
