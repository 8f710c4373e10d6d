//! Signs between workers and the dispatch, without the lock.
//!
//! A worker is *inside* while its isolate runs a slice. A submission queues its call and then looks
//! which workers are inside; a worker whose slice ends clears its flag and then looks whether calls
//! are queued. In the one total order of these four steps, the last two cannot both
//! come before the other side's first, so a call is never left beside a worker that has room:
//! either the submission sees that the worker is free, or the worker sees that a call waits.

use std::sync::Arc;

use insula_sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};

#[derive(Debug)]
pub(crate) struct Signs {
    /// Calls in the queues.
    queued: AtomicUsize,
    /// For each worker, how many of its isolates run a slice: hardly ever more than one, but an
    /// earlier state that still has streams has an isolate of its own.
    inside: Vec<AtomicUsize>,
    /// For each worker, the pinned calls that have begun.
    begun: Vec<AtomicU64>,
    /// There are fences, see `fence.rs`.
    is_fenced: AtomicBool,
}

impl Signs {
    pub(super) fn new(workers: usize) -> Arc<Self> {
        Arc::new(Self {
            queued: AtomicUsize::new(0),
            inside: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
            begun: (0..workers).map(|_| AtomicU64::new(0)).collect(),
            is_fenced: AtomicBool::new(false),
        })
    }

    /// An isolate of a worker begins a slice.
    pub(crate) fn enter(&self, worker: usize) {
        self.inside[worker].fetch_add(1, Ordering::Relaxed);
    }

    /// The slice is over. Returns whether calls wait.
    pub(crate) fn leave(&self, worker: usize) -> bool {
        self.inside[worker].fetch_sub(1, Ordering::Relaxed);
        // The other side's fence is in `announce`.
        fence(Ordering::SeqCst);
        self.queued.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn is_inside(&self, worker: usize) -> bool {
        self.inside[worker].load(Ordering::Relaxed) > 0
    }

    /// The other workers that are inside.
    pub(crate) fn others_inside(&self, worker: usize) -> usize {
        let others = (0..self.inside.len()).filter(|&it| it != worker);
        others.filter(|&it| self.is_inside(it)).count()
    }

    /// A pinned call of a worker has begun. Returns whether calls wait for that.
    pub(crate) fn begin(&self, worker: usize) -> bool {
        // Release pairs with the Acquire of `begun`: what the handler has done comes before what that
        // of the next call does.
        self.begun[worker].fetch_add(1, Ordering::Release);
        // The other side's fence is in `set_fenced`.
        fence(Ordering::SeqCst);
        self.is_fenced.load(Ordering::Relaxed)
    }

    pub(super) fn begun(&self, worker: usize) -> u64 {
        self.begun[worker].load(Ordering::Acquire)
    }

    /// Called under the lock of the dispatch, before a look at what has begun.
    pub(super) fn set_fenced(&self, is_fenced: bool) {
        self.is_fenced.store(is_fenced, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// A call comes: a worker whose slice ends from now on sees it, or is seen by the looks that
    /// follow.
    pub(super) fn announce(&self, calls: usize) {
        self.set_queued(calls);
        fence(Ordering::SeqCst);
    }

    pub(super) fn set_queued(&self, calls: usize) {
        self.queued.store(calls, Ordering::Relaxed);
    }
}
