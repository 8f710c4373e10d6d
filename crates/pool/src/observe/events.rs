//! The events of workers, and the observers of a pool.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_rpc::WorkerId;

use crate::error::WorkerFault;

/// A change of a worker.
///
/// A worker goes through a sequence of incarnations, each with services and an isolate of its own.
/// The first event of an incarnation is [`Spawning`](WorkerChange::Spawning) and the last one
/// [`Exited`](WorkerChange::Exited). Each comes exactly once, however the incarnation ends.
///
/// # Ordering
/// The events of one worker come in the order in which they happened. An incarnation whose streams
/// still have readers exits after the next one has begun.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerEvent {
    /// The worker.
    pub worker: WorkerId,
    /// The incarnation that the event concerns: the number of times that the worker's services
    /// were built before, failures included. No other one has it.
    pub incarnation: u32,
    /// The change.
    pub change: WorkerChange,
}

/// The changes of a worker.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WorkerChange {
    /// An isolate is spawned, in which the factories build the services.
    Spawning,
    /// The services are built, and the worker takes calls.
    Ready,
    /// The worker takes no calls, because its services have said so. See
    /// [`WorkerContext::readiness`](crate::WorkerContext::readiness).
    NotServing,
    /// It takes calls again.
    Serving,
    /// A handler panicked. The worker takes no more calls, and those that it runs come to their
    /// end.
    Suspect,
    /// The services are dropped, and the next incarnation is about to be spawned.
    Rebuilding,
    /// The worker has ended before its time, and will be started again. If its next services are
    /// being built already, the `Spawning` of those has come before. See
    /// [`PoolBuilder::restart`](crate::PoolBuilder::restart).
    Restarting {
        /// The reason for the end.
        fault: Arc<WorkerFault>,
        /// The time until the start; zero if its next services are being built already, to recycle
        /// it.
        delay: Duration,
    },
    /// The services that were to take the place of the present ones could not be built. The present
    /// ones go on. See [`PoolBuilder::recycle`](crate::PoolBuilder::recycle).
    NotRecycled {
        /// The reason.
        fault: Arc<WorkerFault>,
        /// The time until the next try; `None` if there is none.
        delay: Option<Duration>,
    },
    /// The worker is gone, and the pool goes on without it. It comes before `Exited`, which a
    /// worker that computes without an end may never reach. A worker that is lost while it waits to
    /// be started again has no incarnation that could exit.
    Lost {
        /// The reason.
        fault: Arc<WorkerFault>,
    },
    /// The isolate has ended, and with it all that the incarnation had left running. No event of
    /// this incarnation comes after it.
    Exited {
        /// The reason.
        why: WorkerEnd,
    },
}

/// Why an incarnation of a worker has ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WorkerEnd {
    /// A handler had panicked, and the next incarnation has taken its place.
    Replaced,
    /// The next incarnation was built beside it, and has taken its place. See
    /// [`PoolBuilder::recycle`](crate::PoolBuilder::recycle).
    Recycled,
    /// The worker was not needed. See [`PoolBuilder::workers`](crate::PoolBuilder::workers) and
    /// [`WorkerPool::resize`](crate::WorkerPool::resize).
    Retired,
    /// The pool ended.
    PoolEnded,
    /// It has ended before its time. An isolate that was killed, that has called
    /// [`Isolate::exit`](insula_core::Isolate::exit), or whose runtime was shut down is a
    /// [`WorkerFault::Ended`].
    Fault(Arc<WorkerFault>),
}

/// An error of a worker, as [`PoolObserver::on_worker_error`] is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum WorkerError {
    /// One of its handlers panicked, and its services are built again. The caller of that call has
    /// the message.
    Panicked,
    /// It has ended before its time, and will be started again.
    Ended(Arc<WorkerFault>),
    /// Its services could not be replaced, and the present ones go on.
    NotRecycled(Arc<WorkerFault>),
    /// It is gone, and the pool goes on without it.
    Lost(Arc<WorkerFault>),
}

/// An observer of a pool's workers; see [`PoolBuilder::observe`](crate::PoolBuilder::observe).
///
/// Each event is given to [`on_event`](Self::on_event), and before that to the method that is made
/// for it, if there is one. A closure `|event: &WorkerEvent| ..` is an observer too.
///
/// # Blocking
/// The methods run on the thread on which the event happened, often in the worker's isolate, one
/// event at a time for the whole pool. No lock is held. A method that blocks delays that worker, and
/// the events after this one.
///
/// # Panics
/// A panic of a method is discarded. The other methods and observers are called all the same. A method
/// that ends its isolate ends the one that it is called in: a worker's, or the pool's own, without which
/// no worker starts again.
pub trait PoolObserver: Send + Sync + 'static {
    /// An incarnation of a worker is being spawned.
    fn on_worker_created(&self, worker: WorkerId, incarnation: u32) {
        let _ = (worker, incarnation);
    }

    /// An incarnation of a worker has ended. Called exactly once for each that was created.
    fn on_worker_terminated(&self, worker: WorkerId, incarnation: u32, why: &WorkerEnd) {
        let _ = (worker, incarnation, why);
    }

    /// A worker has an error: one of its handlers panicked, or it has ended before its time.
    fn on_worker_error(&self, worker: WorkerId, incarnation: u32, error: &WorkerError) {
        let _ = (worker, incarnation, error);
    }

    /// A worker has changed. Called for each event, those above included.
    fn on_event(&self, event: &WorkerEvent) {
        let _ = event;
    }
}

impl<F: Fn(&WorkerEvent) + Send + Sync + 'static> PoolObserver for F {
    fn on_event(&self, event: &WorkerEvent) {
        self(event);
    }
}

impl WorkerEvent {
    pub(crate) fn error(&self) -> Option<WorkerError> {
        match &self.change {
            WorkerChange::Suspect => Some(WorkerError::Panicked),
            WorkerChange::Restarting { fault, .. } => Some(WorkerError::Ended(Arc::clone(fault))),
            WorkerChange::NotRecycled { fault, .. } => {
                Some(WorkerError::NotRecycled(Arc::clone(fault)))
            }
            WorkerChange::Lost { fault } => Some(WorkerError::Lost(Arc::clone(fault))),
            _ => None,
        }
    }
}

impl fmt::Display for WorkerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            worker,
            incarnation,
            change,
        } = self;
        write!(f, "worker {worker}, incarnation {incarnation}: {change}")
    }
}

impl fmt::Display for WorkerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawning => f.write_str("spawning"),
            Self::Ready => f.write_str("ready"),
            Self::NotServing => f.write_str("not serving"),
            Self::Serving => f.write_str("serving"),
            Self::Suspect => f.write_str("suspect, because a handler panicked"),
            Self::Rebuilding => f.write_str("rebuilding"),
            Self::Restarting { fault, delay } => write!(f, "restarting in {delay:?}: {fault}"),
            Self::NotRecycled { fault, delay: None } => write!(f, "not recycled: {fault}"),
            Self::NotRecycled {
                fault,
                delay: Some(delay),
            } => write!(f, "not recycled, next try in {delay:?}: {fault}"),
            Self::Lost { fault } => write!(f, "lost: {fault}"),
            Self::Exited { why } => write!(f, "exited: {why}"),
        }
    }
}

impl fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replaced => f.write_str("the next incarnation has taken its place"),
            Self::Recycled => f.write_str("it was recycled"),
            Self::Retired => f.write_str("it was not needed"),
            Self::PoolEnded => f.write_str("the pool ended"),
            Self::Fault(fault) => fault.fmt(f),
        }
    }
}

impl fmt::Display for WorkerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked => f.write_str("a handler panicked"),
            Self::Ended(fault) | Self::NotRecycled(fault) | Self::Lost(fault) => fault.fmt(f),
        }
    }
}

impl Error for WorkerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Panicked => None,
            // Its text is this error's own.
            Self::Ended(fault) | Self::NotRecycled(fault) | Self::Lost(fault) => fault.source(),
        }
    }
}
