//! The callee's side of a call: before it starts, and while it runs.

use std::fmt;
use std::sync::Arc;

use insula_core::Instant;

use crate::cell::{Answer, CallCell, Signal, as_signal};
use crate::context::{Context, Scope, WorkerId};
use crate::contract::{Ended, How, Method, MethodDescriptor, PendingCall, Refusal};
use crate::error::{CallError, Outcome, WorkerExit};
use crate::guard::Stopped;
use crate::payload::Traffic;

/// A call that has not started, typed by its method.
///
/// Dropping it ends the call: the caller gets its request back.
pub struct Pending<M: Method> {
    /// `None` once the call has started.
    cell: Option<Arc<CallCell<M>>>,
}

/// A call whose handler runs.
///
/// Dropping it without an answer tells the caller that the worker has ended.
pub struct Running<M: Method> {
    cell: Arc<CallCell<M>>,
    worker: WorkerId,
}

/// A call that has started: itself, its context and its request.
pub type Started<M> = (Running<M>, Context, <M as Method>::Request);

impl<M: Method> Pending<M> {
    pub(crate) fn new(cell: Arc<CallCell<M>>) -> Self {
        Self { cell: Some(cell) }
    }

    /// Starts the call: from here on its handler may have run.
    ///
    /// # Errors
    /// It must not run: its caller has gone or its deadline has passed.
    pub fn start(mut self, scope: &Arc<Scope>) -> Result<Started<M>, Ended> {
        let not_started = |how| {
            scope.record(Ended {
                how,
                traffic: Traffic::default(),
            })
        };
        let Some(cell) = self.cell.take() else {
            return Err(not_started(How::Cancelled));
        };
        let deadline = cell.deadline();
        if deadline.is_some_and(|deadline| deadline <= Instant::now())
            && cell.refuse(Refusal::Expired)
        {
            return Err(not_started(How::Expired));
        }
        let Some(request) = cell.start(scope.worker) else {
            return Err(not_started(How::Cancelled));
        };
        let cx = Context::new(as_signal(&cell), Arc::clone(scope), deadline);
        Ok((
            Running {
                cell,
                worker: scope.worker,
            },
            cx,
            request,
        ))
    }
}

impl<M: Method> Drop for Pending<M> {
    fn drop(&mut self) {
        if let Some(cell) = self.cell.take() {
            cell.refuse(Refusal::WorkerDied {
                exit: WorkerExit::Ended,
                worker: None,
            });
        }
    }
}

impl<M: Method> PendingCall for Pending<M> {
    fn descriptor(&self) -> MethodDescriptor {
        M::DESCRIPTOR
    }

    fn deadline(&self) -> Option<Instant> {
        self.cell.as_ref().and_then(|cell| cell.deadline())
    }

    fn is_waiting(&self) -> bool {
        self.cell.as_ref().is_some_and(|cell| cell.is_queued())
    }

    fn signal(&self) -> Option<Arc<dyn Signal>> {
        self.cell.as_ref().map(as_signal)
    }

    fn refuse(&self, why: Refusal) -> bool {
        self.cell.as_ref().is_some_and(|cell| cell.refuse(why))
    }
}

impl<M: Method> Running<M> {
    /// Ends the call with what its handler came to.
    pub fn finish(
        self,
        outcome: Result<Result<M::Response, M::Error>, Stopped>,
        cx: &Context,
    ) -> Ended {
        let (how, answer) = match outcome {
            Ok(Ok(response)) => (How::Answered, Ok(response)),
            Ok(Err(error)) => (How::Failed, Err(CallError::App(error))),
            Err(stopped) => stopped.into_answer::<M>(),
        };
        let mut ended = Ended {
            how,
            traffic: Traffic::default(),
        };
        let settled = self.cell.settle(answer, |traffic| {
            ended = cx.scope().record(Ended { how, traffic });
        });
        match settled {
            Ok(()) => ended,
            // The caller has gone; a panic matters to the worker nevertheless.
            Err(_) if how == How::Panicked => cx.scope().record(ended),
            Err(_) => cx.scope().record(Ended {
                how: How::Cancelled,
                ..ended
            }),
        }
    }

    pub(crate) fn cell(&self) -> &CallCell<M> {
        &self.cell
    }

    pub(crate) fn worker(&self) -> WorkerId {
        self.worker
    }
}

impl<M: Method> Drop for Running<M> {
    fn drop(&mut self) {
        // Loses, as it should, against an answer that is there.
        if self.cell.is_started() {
            let _unwanted = self.cell.settle(Err(died(self.worker)), |_traffic| {});
        }
    }
}

/// The error of a call whose worker ended while it ran.
pub(crate) fn died<E, Q>(worker: WorkerId) -> CallError<E, Q> {
    CallError::WorkerDied {
        exit: WorkerExit::Ended,
        worker: Some(worker),
        outcome: Outcome::MaybeExecuted,
        request: None,
    }
}

impl Stopped {
    fn into_answer<M: Method>(self) -> (How, Answer<M>) {
        let how = match self {
            Self::Panicked(_) => How::Panicked,
            Self::Cancelled(_) => How::Cancelled,
        };
        (how, Err(self.into_error()))
    }

    pub(crate) fn into_error<E, Q>(self) -> CallError<E, Q> {
        match self {
            Self::Panicked(panic) => CallError::Panicked {
                message: panic.message,
                location: panic.location,
            },
            Self::Cancelled(by) => CallError::Cancelled {
                by,
                outcome: Outcome::MaybeExecuted,
            },
        }
    }
}

impl<M: Method> fmt::Debug for Pending<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pending").field(&self.cell).finish()
    }
}

impl<M: Method> fmt::Debug for Running<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("cell", &self.cell)
            .field("worker", &self.worker)
            .finish()
    }
}
