//! Where a waiting thread sits.

use std::sync::Arc;
use std::task::Wake;
use std::time::Instant;

use insula_sync::Parker;
use insula_sync::atomic::{AtomicBool, Ordering};

use super::Deadline;

/// A parker of one wait at a time, for whoever ends it.
///
/// Alone on its cache lines: who unparks one that does not sleep, writes to it each time.
#[derive(Default, Debug)]
#[repr(align(128))]
pub(crate) struct Seat {
    parker: Parker,
    /// The wait has been ended, for waits that have a seat of their own.
    settled: AtomicBool,
}

impl Seat {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// To be called after what is waited for was changed.
    #[inline]
    pub(crate) fn unpark(&self) {
        self.parker.unpark();
    }

    /// Ends the wait of a seat that has only one.
    pub(crate) fn settle(&self) {
        // Release pairs with the Acquire in `is_settled`.
        self.settled.store(true, Ordering::Release);
        self.parker.unpark();
    }

    /// Before another look at what may need several wake-ups.
    pub(crate) fn unsettle(&self) {
        // Acquire, as in `is_settled`: what was published before the wake-up is looked at next.
        self.settled.swap(false, Ordering::Acquire);
    }

    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    /// Sleeps until somebody unparks it, or the deadline. `false` if that has passed already.
    pub(crate) fn park_until(&self, deadline: Deadline) -> bool {
        let Some(deadline) = deadline else {
            self.parker.park();
            return true;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
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
