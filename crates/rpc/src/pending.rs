//! The callee's side of a call: before it starts, and while it runs.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use insula_core::Instant;

use crate::cell::{Answer, CallCell, Signal};
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
    /// Its signal is the `CallCell<M>`: the one reference to it that the callee holds.
    cx: Context,
    method: PhantomData<fn() -> M>,
}

/// A call that has started, and its request.
pub type Started<M> = (Running<M>, <M as Method>::Request);

impl<M: Method> Pending<M> {
    pub(crate) fn new(cell: Arc<CallCell<M>>) -> Self {
        Self { cell: Some(cell) }
    }

    /// Starts the call: from here on its handler may have run.
    ///
    /// # Errors
    /// It must not run: its caller has gone or its deadline has passed.
    pub fn start(mut self, scope: &Scope) -> Result<Started<M>, Ended> {
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
        let cx = Context::new(cell, scope, deadline);
        let method = PhantomData;
        Ok((Running { cx, method }, request))
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
        self.cell
            .as_ref()
            .map(|cell| Arc::<CallCell<M>>::clone(cell) as _)
    }

    fn refuse(&self, why: Refusal) -> bool {
        self.cell.as_ref().is_some_and(|cell| cell.refuse(why))
    }
}

impl<M: Method> Running<M> {
    /// The call as its handler sees it.
    pub fn context(&self) -> &Context {
        &self.cx
    }

    /// Ends the call with what its handler came to.
    pub fn finish(
        self,
        outcome: Result<Result<M::Response, M::Error>, Stopped>,
        scope: &Scope,
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
        let settled = self.cell().is_some_and(|cell| {
            let record = |traffic| ended = scope.record(Ended { how, traffic });
            cell.settle(answer, record).is_ok()
        });
        if settled {
            return ended;
        }
        // The caller has gone; a panic matters to the worker nevertheless.
        let how = if how == How::Panicked {
            how
        } else {
            How::Cancelled
        };
        scope.record(Ended { how, ..ended })
    }

    /// The typed cell. Always there, since the context was made from it; finding it through
    /// its type costs less than a second counted reference.
    pub(crate) fn cell(&self) -> Option<&CallCell<M>> {
        let signal: &dyn Any = &**self.cx.signal();
        signal.downcast_ref()
    }
}

impl<M: Method> Drop for Running<M> {
    fn drop(&mut self) {
        // Comes too late, as it should, if there is an answer.
        self.cx
            .signal()
            .abandon(self.cx.worker(), WorkerExit::Ended);
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
        f.debug_tuple("Running").field(&self.cx).finish()
    }
}
