//! The cell of a call that crosses a wire, as its caller's side sees it.

use insula_sync::atomic::Ordering;

use super::{CallCell, EXPIRED, LEASED, LEFT, QUEUED, STARTED, Signal};
use crate::WorkerId;
use crate::contract::{Ended, How, Method};
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

    /// The request goes out to another program: from here on it may start the call. The cell keeps
    /// the original.
    ///
    /// # Errors
    /// Says how the call has ended.
    pub(crate) fn lease(&self, worker: WorkerId) -> Result<(), How> {
        // As in `start`.
        if self.has_expired() {
            self.expire();
        }
        match self.go(QUEUED, LEASED) {
            Some(mut slot) => {
                slot.worker = Some(worker);
                Ok(())
            }
            None if self.state.load(Ordering::Acquire) == EXPIRED => Err(How::Expired),
            None => Err(How::Cancelled),
        }
    }

    /// The other program has said that it starts the call. Takes the request; `None` if the call has
    /// ended on this side.
    pub(crate) fn begin(&self) -> Option<M::Request> {
        self.go(LEASED, STARTED)?.request.take()
    }

    /// The other program will not start the call. `false` if it has started it, or the call has ended
    /// on this side.
    pub(crate) fn unlease(&self) -> bool {
        self.go(LEASED, QUEUED).is_some()
    }

    /// Returns whether the call has gone out and no start was reported.
    pub(crate) fn is_leased(&self) -> bool {
        self.state.load(Ordering::Acquire) == LEASED
    }

    /// The callee's side of a call ends that has ended otherwise before. `record` is told unless it
    /// was counted.
    pub(crate) fn count_end(&self, has_run: bool, record: impl FnOnce(Ended)) -> Ended {
        let mut slot = self.slot.lock();
        let how = match self.state.load(Ordering::Relaxed) {
            EXPIRED => How::Expired,
            LEFT => How::Cancelled,
            // It was refused.
            _ => How::Failed,
        };
        let ended = Ended {
            has_run,
            ..Ended::ran(how, slot.traffic())
        };
        if !std::mem::replace(&mut slot.is_over, true) {
            record(ended);
        }
        ended
    }

    /// Counts a call that its callee does not run, unless it was counted.
    pub(crate) fn count_unstarted(&self, how: How, record: impl FnOnce(Ended)) {
        let mut slot = self.slot.lock();
        if !std::mem::replace(&mut slot.is_over, true) {
            record(Ended {
                has_run: false,
                ..Ended::ran(how, Traffic::default())
            });
        }
    }

    /// Returns a copy of what the caller has sent along, without what is known in this program alone.
    pub(crate) fn envelope(&self) -> Option<Envelope> {
        let slot = self.slot.lock();
        let envelope = slot.envelope.as_deref()?;
        Some(Envelope {
            metadata: envelope.metadata.clone(),
            trace: envelope.trace,
            attempt: envelope.attempt,
            idempotency_key: envelope.idempotency_key.clone(),
            share: envelope.share,
            lease: None,
            span: None,
        })
    }

    /// Returns whether the caller has gone or the deadline has passed. A call whose handler was only
    /// asked to stop still waits for its answer.
    pub(crate) fn has_gone(&self) -> bool {
        self.state.load(Ordering::Acquire) >= EXPIRED
    }

    /// Counts what has gone over the way.
    pub(crate) fn count(&self, traffic: Traffic) {
        self.slot.lock().traffic.add(traffic);
    }
}
