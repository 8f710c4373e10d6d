//! What workers and the dispatch tell each other without the lock.
//!
//! A worker is *inside* while its isolate polls one of its lanes. A submission queues its call and
//! then looks which workers are inside; a worker that leaves a poll clears its flag and then looks
//! whether calls are queued. In the one total order of these four steps, the last two cannot both
//! come before the other side's first, so a call is never left beside a worker that has room:
//! either the submission sees that the worker is free, or the worker sees that a call waits.

use std::sync::Arc;

use insula_sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};

#[derive(Debug)]
pub(crate) struct Signs {
    /// Calls in the queues.
    queued: AtomicUsize,
    /// For each worker, whether its isolate is inside a poll of a lane.
    inside: Vec<AtomicBool>,
}

impl Signs {
    pub(super) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            queued: AtomicUsize::new(0),
            inside: (0..workers).map(|_| AtomicBool::new(false)).collect(),
        })
    }

    /// The isolate of a worker begins a poll.
    pub(crate) fn enter(&self, worker: usize) {
        self.inside[worker].store(true, Ordering::Relaxed);
    }

    /// The poll is over. Returns whether calls wait.
    pub(crate) fn leave(&self, worker: usize) -> bool {
        self.inside[worker].store(false, Ordering::Relaxed);
        // The other side's fence is in `announce`.
        fence(Ordering::SeqCst);
        self.queued.load(Ordering::Relaxed) > 0
    }

    pub(super) fn is_inside(&self, worker: usize) -> bool {
        self.inside[worker].load(Ordering::Relaxed)
    }

    /// A call comes: a worker that leaves a poll from now on sees it, or is seen by the looks that
    /// follow.
    pub(super) fn announce(&self, calls: usize) {
        self.set_queued(calls);
        fence(Ordering::SeqCst);
    }

    pub(super) fn set_queued(&self, calls: usize) {
        self.queued.store(calls, Ordering::Relaxed);
    }
}
