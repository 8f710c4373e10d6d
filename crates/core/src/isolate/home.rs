//! Where an isolate runs that has a thread of its own.

use insula_sync::Parker;

use crate::event_loop::Meter;

/// The one thread that runs a pinned or a root isolate, as its senders see it.
pub(crate) struct Home {
    parker: Parker,
    pub(crate) meter: Meter,
    /// Tells an embedder's loop; a pinned isolate's thread only parks.
    notify: Option<Box<dyn Fn() + Send + Sync>>,
}

impl Home {
    /// A thread that parks while its isolate is idle.
    pub(crate) fn thread() -> Self {
        Self {
            parker: Parker::new(),
            meter: Meter::default(),
            notify: None,
        }
    }

    /// A foreign loop, which is told by `notify` that there is something to do.
    pub(crate) fn embedder(notify: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            parker: Parker::new(),
            meter: Meter::default(),
            notify: Some(notify),
        }
    }

    /// The isolate has been scheduled.
    pub(crate) fn wake(&self) {
        self.parker.unpark();
        if let Some(notify) = &self.notify {
            notify();
        }
    }

    /// Sleeps until the isolate has been scheduled, maybe before this call.
    pub(crate) fn park(&self) {
        self.parker.park();
    }
}
