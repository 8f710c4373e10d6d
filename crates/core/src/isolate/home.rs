//! Where an isolate runs that has a thread of its own.

use std::sync::Arc;

use insula_sync::{Mutex, Parker, thread_number};

use crate::event_loop::Meter;
use crate::panic::{Kept, contain};

/// Called by the thread that schedules the isolate.
type Notify = dyn Fn() + Send + Sync;

/// The one thread that runs a pinned or a root isolate, as its senders see it.
pub(crate) struct Home {
    parker: Parker,
    pub(crate) meter: Meter,
    /// Tells an embedder's loop; a pinned isolate's thread only parks.
    /// `None` from the isolate's end on: it may own a handle of the isolate, and so this.
    notify: Mutex<Option<Arc<Kept<Notify>>>>,
    /// The thread of a root isolate, which only its host runs.
    host: Option<u64>,
}

impl Home {
    /// A thread that parks while its isolate is idle.
    pub(crate) fn thread() -> Self {
        Self {
            parker: Parker::new(),
            meter: Meter::default(),
            notify: Mutex::new(None),
            host: None,
        }
    }

    /// A foreign loop on this thread, which is told by `notify` that there is something to do.
    pub(crate) fn embedder(notify: Box<Notify>) -> Self {
        Self {
            parker: Parker::new(),
            meter: Meter::default(),
            notify: Mutex::new(Some(Arc::new(Kept::new(notify)))),
            host: Some(thread_number()),
        }
    }

    /// Whether this is the host of a root isolate on the calling thread.
    pub(crate) fn is_hosted_here(&self) -> bool {
        self.host == Some(thread_number())
    }

    /// The isolate has been scheduled.
    pub(crate) fn wake(&self) {
        self.parker.unpark();
        if self.host.is_none() {
            return;
        }
        let notify = self.notify.lock().clone();
        if let Some(notify) = notify {
            // The sender, which may be a thread of the runtime, has no part in its panic.
            contain(|| notify.get()());
        }
    }

    /// The isolate has ended: nothing is to be told any more.
    pub(crate) fn forget_notify(&self) {
        let notify = self.notify.lock().take();
        drop(notify);
    }

    /// Sleeps until the isolate has been scheduled, maybe before this call.
    pub(crate) fn park(&self) {
        self.parker.park();
    }
}
