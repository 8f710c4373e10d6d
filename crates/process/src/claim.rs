//! The right to take what the other side writes, which one thread has at a time.
//!
//! A thread of a pool that does not get it goes on with other work. If this was its last look, it calls the
//! thread that watches, since the holder may not look again. The thread that watches has to know that
//! everything was read: it asks the holder to call it afterwards. There is no lock to wait for, because
//! the frames are given to wakers of the user while the right is held.

use insula_sync::atomic::{AtomicU32, Ordering};

const FREE: u32 = 0;
const TAKEN: u32 = 1;
/// Taken, and the watching thread wants to be called when it is free again.
const AWAITED: u32 = 2;

#[derive(Default)]
pub(crate) struct Claim(AtomicU32);

impl Claim {
    /// Takes the right, if it is free. Acquire pairs with `give_back`: what the last one has done is
    /// seen.
    pub(crate) fn take(&self) -> bool {
        let (acquire, relaxed) = (Ordering::Acquire, Ordering::Relaxed);
        let taken = self.0.compare_exchange(FREE, TAKEN, acquire, relaxed);
        taken.is_ok()
    }

    /// Takes the right, or asks for a call once it is free.
    pub(crate) fn take_or_ask(&self) -> bool {
        loop {
            if self.take() {
                return true;
            }
            let relaxed = Ordering::Relaxed;
            match self.0.compare_exchange(TAKEN, AWAITED, relaxed, relaxed) {
                Ok(_) | Err(AWAITED) => return false,
                // It has just become free.
                Err(_) => {}
            }
        }
    }

    /// Lets go of the right. Returns whether the watching thread wants to be called.
    pub(crate) fn give_back(&self) -> bool {
        self.0.swap(FREE, Ordering::Release) == AWAITED
    }
}
