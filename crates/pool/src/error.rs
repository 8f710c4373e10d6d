//! Why a pool could not be built, and why a worker is gone.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_rpc::WorkerId;

/// The error of a worker factory: any error, so that `?` works in it.
pub type FactoryError = Box<dyn Error + Send + Sync>;

/// Why a pool could not be built. The workers that had started are ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// The settings contradict each other or lack something; the text says what.
    Settings(&'static str),
    /// A worker did not become ready.
    Startup {
        /// The worker that failed.
        worker: WorkerId,
        /// The reason for the failure.
        fault: Arc<WorkerFault>,
    },
    /// Not every worker was ready in time.
    Timeout {
        /// The first one that was not.
        worker: WorkerId,
        /// The time that they had.
        after: Duration,
    },
}

/// Why a worker is gone.
#[derive(Debug)]
#[non_exhaustive]
pub enum WorkerFault {
    /// Its factory gave an error.
    Failed(FactoryError),
    /// Its factory panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line:column`, if it is known.
        location: Option<String>,
    },
    /// Its factory took longer than the start-up timeout.
    TimedOut(Duration),
    /// Its isolate ended.
    Ended,
    /// Its service has [ended](crate::WorkerContext::end) it, for this reason.
    GivenUp(String),
    /// It did not stop when the pool was shut down, or its isolate computed or blocked for longer than
    /// [`Health::stuck_after`](crate::Health::stuck_after).
    Stuck,
}

/// The error of a pool that cannot have so many workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResizeError {
    /// The number that was asked for.
    pub workers: usize,
    /// The most that the pool can have.
    pub most: usize,
}

/// The error of a pool whose services were not all replaced.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ReloadError {
    /// The new services of a worker could not be built. It goes on with the old ones, and so do the
    /// workers after it.
    Fault {
        /// The worker.
        worker: WorkerId,
        /// The reason.
        fault: Arc<WorkerFault>,
    },
    /// The pool has ended, or what starts its workers has.
    Ended,
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault { worker, fault } => write!(f, "new services of worker {worker}: {fault}"),
            Self::Ended => f.write_str("the pool has ended"),
        }
    }
}

impl Error for ReloadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Its text is this error's own.
            Self::Fault { fault, .. } => fault.source(),
            Self::Ended => None,
        }
    }
}

impl fmt::Display for ResizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { workers, most } = self;
        write!(
            f,
            "{workers} workers, of a pool that was built for 1 to {most}"
        )
    }
}

impl Error for ResizeError {}

impl BuildError {
    /// Returns the worker at fault, if it was one.
    pub fn worker(&self) -> Option<WorkerId> {
        match self {
            Self::Settings(_) => None,
            Self::Startup { worker, .. } | Self::Timeout { worker, .. } => Some(*worker),
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(text) => write!(f, "the pool's settings: {text}"),
            Self::Startup { worker, fault } => write!(f, "start-up of worker {worker}: {fault}"),
            Self::Timeout { worker, after } => {
                write!(f, "start-up of worker {worker}: not ready after {after:?}")
            }
        }
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // Its text stands in this error's own.
            Self::Startup { fault, .. } => fault.source(),
            Self::Settings(_) | Self::Timeout { .. } => None,
        }
    }
}

impl fmt::Display for WorkerFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "{error}"),
            Self::Panicked {
                message,
                location: Some(location),
            } => {
                write!(f, "the factory panicked at {location}: {message}")
            }
            Self::Panicked {
                message,
                location: None,
            } => {
                write!(f, "the factory panicked: {message}")
            }
            Self::TimedOut(after) => write!(f, "not ready after {after:?}"),
            Self::Ended => f.write_str("its isolate ended"),
            Self::GivenUp(why) => f.write_str(why),
            Self::Stuck => f.write_str("it did not stop"),
        }
    }
}

impl Error for WorkerFault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            _ => None,
        }
    }
}
