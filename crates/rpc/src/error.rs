//! The errors of calls, which say whether the work may have run.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use insula_core::WaitError;

use crate::WorkerId;

/// Why a call has no response.
///
/// Every variant tells through [`outcome`](Self::outcome) whether the handler may have run.
/// Where it certainly did not, the request comes back by value if it still exists; see
/// [`into_request`](Self::into_request). It does not if the call ends just as its request is written for
/// another program.
///
/// `E` is the error type of the contract's method, `Q` its request.
#[non_exhaustive]
pub enum CallError<E, Q = ()> {
    /// The handler ran and returned this error.
    App(E),
    /// The call was not admitted; it has not started.
    Rejected {
        /// The reason for the rejection.
        why: Reject,
        /// The request, unless it was lost on the way.
        request: Option<Q>,
    },
    /// The call was cancelled by a shutdown, or with the call that it was made
    /// [within](crate::Call::within). (A caller that drops the call sees no error.)
    Cancelled {
        /// The cause of the cancellation.
        by: CancelledBy,
        /// Says whether the handler may have run.
        outcome: Outcome,
        /// The request, if the call had not started.
        request: Option<Q>,
    },
    /// The deadline of the call passed.
    Deadline {
        /// The phase of the call in which it passed.
        phase: Phase,
        /// Says whether the handler may have run.
        outcome: Outcome,
        /// The request, if the handler has not started.
        request: Option<Q>,
    },
    /// The worker ended before it answered.
    WorkerDied {
        /// The way in which it ended.
        exit: WorkerExit,
        /// The worker; `None` if the call had not been given to one.
        worker: Option<WorkerId>,
        /// Says whether the handler may have run.
        outcome: Outcome,
        /// The request, if the handler has not started.
        request: Option<Q>,
    },
    /// The handler panicked.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line:column` of the panic, if it is known.
        location: Option<String>,
    },
    /// The call, or its answer, could not be written or read on its way between two programs; see
    /// the feature `wire`.
    Protocol {
        /// The fault.
        why: Box<ProtocolError>,
        /// Says whether the handler may have run.
        outcome: Outcome,
        /// The request, if the handler has not started.
        request: Option<Q>,
    },
    /// A blocking wait for the answer would never have ended. The call was cancelled.
    NotWaited {
        /// Why it would not.
        why: WaitError,
        /// Says whether the handler may have run.
        outcome: Outcome,
        /// The request, if the handler has not started.
        request: Option<Q>,
    },
}

/// Says whether the work of a failed call may have been done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The handler has not started and never will: the call can be repeated safely.
    NotStarted,
    /// The handler started; how far it came is unknown.
    MaybeExecuted,
    /// The handler ran to its end.
    Executed,
}

/// Why a call was not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reject {
    /// The queue was full, and the call or the overflow policy does not wait.
    QueueFull,
    /// It was dropped, so that others do not wait too long. The queue was full, and its overflow
    /// policy drops calls: this one, or an older one to make room for it. Or calls have waited too long
    /// in the queue for a while.
    Shed,
    /// The callee is shutting down.
    Shutdown,
    /// No worker is there that could run the call: the last one is lost, or none can serve.
    NoWorker,
    /// The request alone has more bytes than the queue may hold.
    TooLarge,
    /// The callee takes only so many calls in a time.
    RateLimited {
        /// The time after which one more call is admitted, if no other takes its turn.
        retry_after: Duration,
    },
    /// The calls before it take so long, as far as the last ones tell, that its deadline would pass
    /// before it starts.
    DeadlineWouldMiss {
        /// The time that it would wait.
        wait: Duration,
    },
    /// Calls with its [idempotency key](crate::Call::idempotency_key) have ended a worker too often.
    Quarantined,
}

/// The fault of a call that one side of a wire could not write, read or serve.
///
/// The side that finds the fault reports it, and the caller gets it as [`CallError::Protocol`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The call is one of another contract.
    WrongContract {
        /// The contract that is served.
        expected: String,
        /// The contract of the call.
        found: String,
    },
    /// The call is one of another version of the contract.
    WrongVersion {
        /// The contract.
        contract: String,
        /// The version that is served.
        expected: u32,
        /// The version of the call.
        found: u32,
    },
    /// The contract that is served has no such method.
    UnknownMethod {
        /// The contract.
        contract: String,
        /// The [identity](crate::MethodDescriptor::id) of the method.
        id: u64,
    },
    /// A value has more bytes than a message may have.
    TooLarge {
        /// The method; empty if the message does not say which.
        method: String,
        /// The value.
        part: Part,
        /// The most bytes of a message.
        most: usize,
    },
    /// A value could not be written as bytes.
    Unencodable {
        /// The method.
        method: String,
        /// The value.
        part: Part,
        /// The fault, in words.
        why: String,
    },
    /// Bytes are not those of the value that was expected.
    Undecodable {
        /// The method; empty if the bytes do not say which.
        method: String,
        /// The value.
        part: Part,
        /// The fault, in words.
        why: String,
    },
}

/// A part of a call that is written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Part {
    /// The part before the request: the contract, the method, and what travels along.
    Head,
    /// The request.
    Request,
    /// The response, or the error in its place.
    Answer,
    /// An item that the caller sends.
    SentItem,
    /// An item of the answer.
    Item,
}

/// The cause of a cancellation; the first one, if there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelledBy {
    /// The caller dropped its future or its stream, or asked the call to stop.
    Caller,
    /// The call's deadline passed.
    Deadline,
    /// The callee shuts down.
    Shutdown,
}

impl CancelledBy {
    /// The inverse of `as u8`.
    pub(crate) fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Caller,
            1 => Self::Deadline,
            _ => Self::Shutdown,
        }
    }
}

/// The phase of a call in which its deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It waited for a worker.
    Queue,
    /// A worker ran it.
    Run,
}

/// The way in which a worker ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerExit {
    /// Its isolate ended, by itself or because it was killed.
    Ended,
    /// It did not stop in the time that a shutdown gave it, and was given up.
    Abandoned,
    /// Its state could not be built; the text is the error's.
    StartupFailed(String),
    /// It runs in another program, which has ended, or the connection to that was lost. An event of the
    /// pool says which, as soon as it is known.
    Lost,
}

/// A cooperative stop: the call that this context belongs to was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cancelled {
    /// The cause of the cancellation.
    pub by: CancelledBy,
}

impl<E, Q> CallError<E, Q> {
    /// Returns whether the work of this call may have been done.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::App(_) => Outcome::Executed,
            Self::Rejected { .. } => Outcome::NotStarted,
            Self::Panicked { .. } => Outcome::MaybeExecuted,
            Self::Cancelled { outcome, .. }
            | Self::Deadline { outcome, .. }
            | Self::WorkerDied { outcome, .. }
            | Self::Protocol { outcome, .. }
            | Self::NotWaited { outcome, .. } => *outcome,
        }
    }

    /// Returns whether the callee has not taken the call.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Rejected { .. }
                | Self::WorkerDied {
                    outcome: Outcome::NotStarted,
                    ..
                }
                | Self::Protocol {
                    outcome: Outcome::NotStarted,
                    ..
                }
        )
    }

    /// Returns the request, if the call has not started and the request still exists.
    pub fn into_request(mut self) -> Option<Q> {
        self.take_request()
    }

    pub(crate) fn take_request(&mut self) -> Option<Q> {
        match self {
            Self::Rejected { request, .. }
            | Self::Cancelled { request, .. }
            | Self::Deadline { request, .. }
            | Self::WorkerDied { request, .. }
            | Self::Protocol { request, .. }
            | Self::NotWaited { request, .. } => request.take(),
            Self::App(_) | Self::Panicked { .. } => None,
        }
    }

    /// Returns the same error without the request, for error types that do not know its type.
    pub fn without_request(self) -> CallError<E> {
        match self {
            Self::App(error) => CallError::App(error),
            Self::Rejected { why, .. } => CallError::Rejected { why, request: None },
            Self::Cancelled { by, outcome, .. } => CallError::Cancelled {
                by,
                outcome,
                request: None,
            },
            Self::Deadline { phase, outcome, .. } => CallError::Deadline {
                phase,
                outcome,
                request: None,
            },
            Self::WorkerDied {
                exit,
                worker,
                outcome,
                ..
            } => CallError::WorkerDied {
                exit,
                worker,
                outcome,
                request: None,
            },
            Self::Panicked { message, location } => CallError::Panicked { message, location },
            Self::Protocol { why, outcome, .. } => CallError::Protocol {
                why,
                outcome,
                request: None,
            },
            Self::NotWaited { why, outcome, .. } => CallError::NotWaited {
                why,
                outcome,
                request: None,
            },
        }
    }

    /// Returns the handler's own error, if it is one.
    pub fn into_app(self) -> Option<E> {
        match self {
            Self::App(error) => Some(error),
            _ => None,
        }
    }
}

/// Shows everything but the request, which need not be `Debug`.
impl<E: fmt::Debug, Q> fmt::Debug for CallError<E, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(error) => f.debug_tuple("App").field(error).finish(),
            Self::Rejected { why, request } => f
                .debug_struct("Rejected")
                .field("why", why)
                .field("has_request", &request.is_some())
                .finish(),
            Self::Cancelled {
                by,
                outcome,
                request,
            } => f
                .debug_struct("Cancelled")
                .field("by", by)
                .field("outcome", outcome)
                .field("has_request", &request.is_some())
                .finish(),
            Self::Deadline {
                phase,
                outcome,
                request,
            } => f
                .debug_struct("Deadline")
                .field("phase", phase)
                .field("outcome", outcome)
                .field("has_request", &request.is_some())
                .finish(),
            Self::WorkerDied {
                exit,
                worker,
                outcome,
                request,
            } => f
                .debug_struct("WorkerDied")
                .field("exit", exit)
                .field("worker", worker)
                .field("outcome", outcome)
                .field("has_request", &request.is_some())
                .finish(),
            Self::Panicked { message, location } => f
                .debug_struct("Panicked")
                .field("message", message)
                .field("location", location)
                .finish(),
            Self::Protocol {
                why,
                outcome,
                request,
            } => f
                .debug_struct("Protocol")
                .field("why", why)
                .field("outcome", outcome)
                .field("has_request", &request.is_some())
                .finish(),
            Self::NotWaited {
                why,
                outcome,
                request,
            } => f
                .debug_struct("NotWaited")
                .field("why", why)
                .field("outcome", outcome)
                .field("has_request", &request.is_some())
                .finish(),
        }
    }
}

impl<E: fmt::Display, Q> fmt::Display for CallError<E, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(error) => write!(f, "{error}"),
            Self::Rejected { why, .. } => write!(f, "call rejected: {why}"),
            Self::Cancelled { by, .. } => write!(f, "call cancelled by {by}"),
            Self::Deadline { phase, .. } => write!(f, "deadline passed while {phase}"),
            Self::WorkerDied {
                exit,
                worker: Some(worker),
                ..
            } => {
                write!(f, "worker {worker} died: {exit}")
            }
            Self::WorkerDied {
                exit, worker: None, ..
            } => write!(f, "worker died: {exit}"),
            Self::Panicked {
                message,
                location: Some(location),
            } => {
                write!(f, "handler panicked at {location}: {message}")
            }
            Self::Panicked {
                message,
                location: None,
            } => write!(f, "handler panicked: {message}"),
            Self::Protocol { why, .. } => why.fmt(f),
            Self::NotWaited { why, .. } => why.fmt(f),
        }
    }
}

impl<E: Error + 'static, Q> Error for CallError<E, Q> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // The text of `App` is the handler's own, so its source continues below it.
            Self::App(error) => error.source(),
            Self::NotWaited { why, .. } => why.source(),
            _ => None,
        }
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongContract { expected, found } => {
                write!(f, "a call of the contract `{found}` came to `{expected}`")
            }
            Self::WrongVersion {
                contract,
                expected,
                found,
            } => write!(
                f,
                "version {found} of the contract `{contract}` was called, and version {expected} is \
                 served"
            ),
            Self::UnknownMethod { contract, id } => write!(
                f,
                "the contract `{contract}` that is served has no method with the id {id:#018x}"
            ),
            Self::TooLarge { method, part, most } => {
                let of = Of(method);
                write!(f, "{part}{of} has more than {most} bytes")
            }
            Self::Unencodable { method, part, why } => {
                let of = Of(method);
                write!(f, "{part}{of} cannot be encoded: {why}")
            }
            Self::Undecodable { method, part, why } => {
                let of = Of(method);
                write!(f, "{part}{of} cannot be decoded: {why}")
            }
        }
    }
}

impl Error for ProtocolError {}

/// Names a method, if it is known.
struct Of<'a>(&'a str);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            method => write!(f, " of `{method}`"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Head => "the head of a call",
            Self::Request => "a request",
            Self::Answer => "an answer",
            Self::SentItem => "an item of a caller",
            Self::Item => "an item of an answer",
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotStarted => "not started",
            Self::MaybeExecuted => "maybe executed",
            Self::Executed => "executed",
        })
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RateLimited { retry_after } => {
                return write!(f, "too many calls, try again after {retry_after:?}");
            }
            Self::DeadlineWouldMiss { wait } => {
                return write!(f, "it would wait for {wait:?}, and its deadline is earlier");
            }
            Self::QueueFull => "the queue is full",
            Self::Shed => "dropped from a queue that is full or too slow",
            Self::Shutdown => "shutting down",
            Self::NoWorker => "no worker can run it",
            Self::TooLarge => "larger than the whole queue",
            Self::Quarantined => "calls with its idempotency key have ended a worker too often",
        })
    }
}

impl fmt::Display for CancelledBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "its caller",
            Self::Deadline => "its deadline",
            Self::Shutdown => "a shutdown",
        })
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "waiting for a worker",
            Self::Run => "running",
        })
    }
}

impl fmt::Display for WorkerExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ended => f.write_str("its isolate ended"),
            Self::Abandoned => f.write_str("it did not stop in time"),
            Self::StartupFailed(error) => write!(f, "its state could not be built: {error}"),
            Self::Lost => f.write_str("its program ended, or the connection to it was lost"),
        }
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call cancelled by {}", self.by)
    }
}

impl Error for Cancelled {}
