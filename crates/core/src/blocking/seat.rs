//! Where a waiting thread sits.

use std::sync::Arc;
use std::task::Wake;
use std::time::Duration;

use insula_sync::Parker;
use insula_sync::atomic::{AtomicBool, Ordering};

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
    pub(super) fn unsettle(&self) {
        // Acquire, as in `is_settled`: what was published before the wake-up is looked at next.
        self.settled.swap(false, Ordering::Acquire);
    }

    #[inline]
    pub(crate) fn is_settled(&self) -> bool {
        self.settled.load(Ordering::Acquire)
    }

    pub(super) fn park(&self) {
        self.parker.park();
    }

    pub(super) fn park_timeout(&self, timeout: Duration) {
        self.parker.park_timeout(timeout);
    }
}

impl Wake for Seat {
    fn wake(self: Arc<Self>) {
        self.settle();
    }
}
