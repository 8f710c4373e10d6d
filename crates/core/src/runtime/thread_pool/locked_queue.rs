//! The queues of runnable isolates under a lock: the injector, and each thread's overflow queue.

#[cfg(all(test, not(loom)))]
mod tests;

use std::collections::VecDeque;

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicUsize, Ordering};

use super::{Raw, Ring};
use crate::memory::IsolateCore;

/// The greatest number of isolates that a thread takes at a time.
const BATCH: usize = 32;

/// A queue of runnable isolates under a lock: the injector, or the overflow queue of one thread.
#[derive(Default)]
pub(super) struct LockedQueue {
    /// Bounded by the number of isolates: each is in one run queue at most.
    queue: Mutex<VecDeque<Queued>>,
    /// The length of `queue`, written under its lock and read without it. The fences in
    /// [`Sleep::work_injected`](super::sleep::Sleep::work_injected) and
    /// [`Sleep::park`](super::sleep::Sleep::park) order both against the count of searchers.
    len: AtomicUsize,
}

/// A pointer that may move between threads.
struct Queued(Raw);

// SAFETY: the pointer stands for a `Runnable`, which is `Send`.
unsafe impl Send for Queued {}

impl LockedQueue {
    pub(super) fn push(&self, items: impl IntoIterator<Item = Raw>) {
        let mut queue = self.queue.lock();
        queue.extend(items.into_iter().map(Queued));
        // SeqCst, as the load in `is_empty`; the fences in `Sleep` order both against `searching`.
        self.len.store(queue.len(), Ordering::SeqCst);
    }

    /// Returns the length, which may have changed already.
    pub(super) fn len(&self) -> usize {
        // Relaxed: an estimate.
        self.len.load(Ordering::Relaxed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    /// Takes an isolate to run, and moves up to half of the others to `ring`.
    pub(super) fn take(&self, ring: Option<&Ring<IsolateCore>>) -> Option<Raw> {
        // A look at an empty queue takes no lock.
        if self.is_empty() {
            return None;
        }
        let mut queue = self.queue.lock();
        let first = queue.pop_front()?.0;
        if let Some(ring) = ring {
            for _ in 1..BATCH.min(queue.len() / 2) {
                let Some(Queued(item)) = queue.pop_front() else {
                    break;
                };
                if let Err(item) = ring.push(item) {
                    queue.push_front(Queued(item));
                    break;
                }
            }
        }
        self.len.store(queue.len(), Ordering::SeqCst);
        Some(first)
    }
}
