//! The cell of a call that crosses a wire, as its caller's side sees it.

use insula_sync::atomic::Ordering;

use super::{CallCell, EXPIRED, QUEUED};
use crate::contract::Method;
use crate::envelope::Envelope;
use crate::payload::Traffic;

impl<M: Method> CallCell<M> {
    /// Lends the request of a call that waits, so that it can be encoded without the lock.
    /// [`take_back`](Self::take_back) returns it.
    pub(crate) fn lend(&self) -> Option<M::Request> {
        self.slot.lock().request.take()
    }

    /// Takes the request back, for the errors of a call that does not start.
    pub(crate) fn take_back(&self, request: M::Request) {
        let mut slot = self.slot.lock();
        let unused = if self.state.load(Ordering::Relaxed) == QUEUED {
            slot.request.replace(request)
        } else {
            Some(request)
        };
        drop(slot);
        drop(unused);
    }

    /// Returns a copy of what the caller has sent along.
    pub(crate) fn envelope(&self) -> Option<Envelope> {
        self.slot.lock().envelope.as_deref().cloned()
    }

    /// Returns whether the caller has gone or the deadline has passed. A call whose handler was only
    /// asked to stop still waits for its answer.
    pub(crate) fn has_gone(&self) -> bool {
        self.state.load(Ordering::Acquire) >= EXPIRED
    }

    /// Counts bytes that were written on the way.
    pub(crate) fn count_copied(&self, bytes: usize) {
        self.slot.lock().traffic.add(Traffic {
            bytes_moved: 0,
            bytes_copied: bytes as u64,
        });
    }
}
