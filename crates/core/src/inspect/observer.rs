//! Telling tools what happens to isolates.

use std::sync::Arc;

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

use crate::blocking::Deadlock;
use crate::isolate::{ExitReason, IsolateId, UncaughtError};
use crate::panic::contain;

/// Is told what happens to the isolates of a runtime; see [`Runtime::observe`](crate::Runtime::observe).
///
/// # Blocking
/// The methods are called on the thread on which it happens, with no lock held. One that waits delays
/// that thread.
pub trait IsolateObserver: Send + Sync + 'static {
    /// An isolate has been spawned, and has not run.
    fn spawned(&self, isolate: IsolateId, name: Option<Arc<str>>);
    /// An isolate has ended: its values were dropped, and its listeners are about to be told.
    fn ended(&self, isolate: IsolateId, name: Option<Arc<str>>, reason: &ExitReason);
    /// An isolate has an error that its code did not handle.
    fn failed(&self, error: &UncaughtError);
    /// A wait was refused, because it would have closed a cycle in which an isolate of this runtime
    /// takes part. `waiter` is the isolate that would have waited; `None` for a thread outside of
    /// isolates.
    fn refused(&self, waiter: Option<IsolateId>, deadlock: &Deadlock) {
        let _ = (waiter, deadlock);
    }
}

/// The observers of a runtime.
#[derive(Default)]
pub(crate) struct Observers {
    /// Set with the first observer, so that a runtime without one pays for a load. Relaxed: an
    /// isolate that is spawned at the same time may be missed.
    has_any: AtomicBool,
    list: Mutex<Vec<Arc<dyn IsolateObserver>>>,
}

impl Observers {
    pub(crate) fn add(&self, observer: Arc<dyn IsolateObserver>) {
        self.list.lock().push(observer);
        self.has_any.store(true, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, observer: &Arc<dyn IsolateObserver>) {
        let mut list = self.list.lock();
        let index = list.iter().position(|it| Arc::ptr_eq(it, observer));
        let gone = index.map(|index| list.remove(index));
        self.has_any.store(!list.is_empty(), Ordering::Relaxed);
        drop(list);
        drop(gone);
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.has_any.load(Ordering::Relaxed)
    }

    /// Calls `tell` with each observer. Their panics are discarded.
    #[cold]
    pub(crate) fn each(&self, tell: impl Fn(&dyn IsolateObserver)) {
        // Copies, since an observer is foreign code.
        let list = self.list.lock().clone();
        for observer in list {
            contain(|| tell(&*observer));
            contain(|| drop(observer));
        }
    }
}
