//! The seat of a waiting thread.

use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use insula_sync::Parker;
use insula_sync::atomic::{AtomicBool, Ordering};

use super::Deadline;

/// A parker for one wait at a time, shared with the side that ends the wait.
///
/// Has cache lines of its own, since each unpark writes to it, even if no thread sleeps.
#[derive(Default, Debug)]
#[repr(align(128))]
pub(crate) struct Seat {
    parker: Parker,
    /// Set once the wait has been ended. Used by waits that have a seat of their own.
    settled: AtomicBool,
}

impl Seat {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Wakes the waiter for another look. The caller has published its change before.
    #[inline]
    pub(crate) fn unpark(&self) {
        self.parker.unpark();
    }

    /// Marks the wait as ended and wakes the waiter, for a wait that has a seat of its own.
    pub(crate) fn settle(&self) {
        // Release pairs with the Acquire in `is_settled` and in `unsettle`.
        self.settled.store(true, Ordering::Release);
        self.parker.unpark();
    }

    /// Clears the mark before another look, for a wait that may need several wake-ups.
    pub(crate) fn unsettle(&self) {
        // Acquire pairs with the Release in `settle`: the caller looks next at what was published
        // before the wake-up. A swap, since a store cannot acquire.
        self.settled.swap(false, Ordering::Acquire);
    }

    /// Returns whether the wait has been ended.
    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        // Acquire pairs with the Release in `settle`: the outcome was published before.
        self.settled.load(Ordering::Acquire)
    }

    /// Sleeps until the seat is unparked or the deadline passes. Returns `false` at once if the
    /// deadline has passed already.
    pub(crate) fn park_until(&self, deadline: Deadline) -> bool {
        let Some(deadline) = deadline else {
            self.parker.park();
            return true;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        // Whether there was a token does not matter: the caller looks again in any case.
        self.parker.park_timeout(left);
        true
    }
}

impl Wake for Seat {
    fn wake(self: Arc<Self>) {
        self.settle();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.settle();
    }
}
