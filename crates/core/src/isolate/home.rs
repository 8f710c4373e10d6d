//! The thread of a pinned or a root isolate.

use std::sync::Arc;

use insula_sync::atomic::{AtomicU32, Ordering};
use insula_sync::{Mutex, Parker, thread_number};

use crate::event_loop::Meter;
use crate::panic::{Kept, contain};
use crate::runtime::system_id;

/// The notify callback. Called on the thread that schedules the isolate.
type Notify = dyn Fn() + Send + Sync;

/// The one thread that runs a pinned or a root isolate, as the isolate's senders see it.
pub(crate) struct Home {
    parker: Parker,
    pub(crate) meter: Meter,
    /// Wakes the host's loop. `None` for a pinned isolate, whose thread only parks, and after the
    /// isolate's end: the callback may own a handle of the isolate, and with it this `Home`.
    notify: Mutex<Option<Arc<Kept<Notify>>>>,
    /// The thread of a root isolate's host. `None` for a pinned isolate.
    host: Option<u64>,
    /// The number in the operating system of a pinned isolate's thread; 0 where it is not known. Written
    /// by that thread as it begins.
    system_id: AtomicU32,
}

impl Home {
    /// Creates the home of a pinned isolate, whose thread parks while the isolate is idle.
    pub(crate) fn thread() -> Self {
        Self {
            parker: Parker::new(),
            meter: Meter::default(),
            notify: Mutex::new(None),
            host: None,
            system_id: AtomicU32::new(0),
        }
    }

    /// Creates the home of a root isolate, which a foreign loop runs on this thread. `notify` is
    /// called when there is something to do.
    pub(crate) fn embedder(notify: Box<Notify>) -> Self {
        Self {
            parker: Parker::new(),
            meter: Meter::default(),
            notify: Mutex::new(Some(Arc::new(Kept::new(notify)))),
            host: Some(thread_number()),
            system_id: AtomicU32::new(0),
        }
    }

    /// Returns whether this is a root isolate's home, and the calling thread its host.
    pub(crate) fn is_hosted_here(&self) -> bool {
        self.host == Some(thread_number())
    }

    /// The calling thread is that of a pinned isolate.
    pub(crate) fn begin_thread(&self) {
        // Relaxed, here and below: for tools, which look again.
        self.system_id.store(system_id::own(), Ordering::Relaxed);
    }

    /// Returns the number in the operating system of a pinned isolate's thread, where it is known.
    pub(crate) fn system_id(&self) -> Option<u32> {
        let number = self.system_id.load(Ordering::Relaxed);
        (number != 0).then_some(number)
    }

    /// Returns whether the loop of a host runs the isolate.
    pub(crate) fn has_host(&self) -> bool {
        self.host.is_some()
    }

    /// Wakes the thread. Called after the isolate has been scheduled.
    pub(crate) fn wake(&self) {
        // Also for a root isolate: its thread may park here, in `run_event_loop`.
        self.parker.unpark();
        if self.host.is_none() {
            return;
        }
        // Cloned, since the callback is foreign code and must not run under the lock.
        let notify = self.notify.lock().clone();
        if let Some(notify) = notify {
            // The sender, which may be a thread of the runtime, must not see the callback's panic.
            contain(|| notify.get()());
        }
    }

    /// Drops the notify callback. Called when the isolate has ended.
    pub(crate) fn forget_notify(&self) {
        // Two statements, since the callback's destructor must not run under the lock either.
        let notify = self.notify.lock().take();
        drop(notify);
    }

    /// Parks until the next `wake`. Returns at once if one came before this call.
    pub(crate) fn park(&self) {
        self.parker.park();
    }
}
