//! The messages between the two sides of a call, and what is encoded in them.

use std::borrow::Cow;
use std::time::Duration;

use insula_core::{Instant, contain};
use serde::{Deserialize, Serialize};

use super::codec::Encoded;
use crate::WorkerId;
use crate::contract::{Admission, CallInfo, Priority, WorkType};
use crate::envelope::{Envelope, Metadata, Progress, TraceContext};
use crate::error::{
    CallError, CancelledBy, Outcome, Part, Phase, ProtocolError, Reject, WorkerExit,
};
use crate::share::Share;

/// A message of the caller's side after the first one, which is the call itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum ToCallee {
    /// An item that the caller sends, encoded.
    Item(Encoded),
    /// The end of the items that the caller sends: all were sent, or the reason for which the rest
    /// will not come.
    End(Result<(), String>),
    /// The caller has consumed so many more items of the answer.
    Credit(u64),
    /// The handler is asked to stop; the caller still waits for its answer.
    Stop(CancelledBy),
    /// The caller waits for nothing any more. The last message.
    Cancel(CancelledBy),
}

/// A message of the callee's side. That it starts the call it says through its [`Lease`](super::Lease).
#[derive(Debug)]
#[non_exhaustive]
pub enum ToCaller {
    /// The call was not accepted. The only message.
    Refuse(Box<ProtocolError>),
    /// A report of the handler.
    Progress(Progress),
    /// The handler has consumed so many more items of the caller.
    Credit(u64),
    /// The handler reads no more items of the caller.
    Closed,
    /// The answer, encoded, and what the handler has sent along. The last message, unless the answer
    /// is a stream.
    Answer(Encoded, Option<Metadata>),
    /// An item of an answer that is a stream, encoded.
    Item(Encoded),
    /// The end of an answer that is a stream, encoded. The last message.
    End(Encoded),
}

/// The first part of a call's first message. The request follows it.
#[derive(Serialize, Deserialize)]
pub(super) struct Head<'a> {
    pub(super) contract: Cow<'a, str>,
    pub(super) version: u32,
    pub(super) method: u64,
    /// The time until the deadline. No instant, since two clocks have nothing in common.
    remaining: Option<Duration>,
    waits_not: bool,
    key: Option<u64>,
    #[serde(with = "PriorityForm")]
    priority: Priority,
    #[serde(with = "WorkTypeForm")]
    work: WorkType,
    along: Option<Along>,
}

#[derive(Serialize, Deserialize)]
struct Along {
    metadata: Metadata,
    trace: Option<TraceContext>,
    attempt: u32,
    idempotency_key: Option<Box<str>>,
    /// The key and the weight.
    share: Option<(u64, u32)>,
}

impl<'a> Head<'a> {
    pub(super) fn new(
        (contract, version, method): (&'a str, u32, u64),
        info: CallInfo,
        deadline: Option<Instant>,
        envelope: Option<Envelope>,
    ) -> Self {
        let remaining = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        Self {
            contract: Cow::Borrowed(contract),
            version,
            method,
            remaining: deadline.map(remaining),
            waits_not: info.admission == Admission::NoWait,
            key: info.key,
            priority: info.priority,
            work: info.work,
            along: envelope.map(|envelope| Along {
                metadata: envelope.metadata,
                trace: envelope.trace,
                attempt: envelope.attempt,
                idempotency_key: envelope.idempotency_key,
                share: envelope.share.map(|it| (it.key(), it.weight().get())),
            }),
        }
    }

    pub(super) fn info(&self) -> CallInfo {
        let admission = if self.waits_not {
            Admission::NoWait
        } else {
            Admission::Policy
        };
        CallInfo {
            admission,
            key: self.key,
            priority: self.priority,
            work: self.work,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.remaining.map(|time| Instant::now() + time)
    }

    pub(super) fn into_envelope(self) -> Envelope {
        self.along.map_or_else(Envelope::default, |along| Envelope {
            metadata: along.metadata,
            trace: along.trace,
            attempt: along.attempt,
            idempotency_key: along.idempotency_key,
            share: (along.share).map(|(key, weight)| Share::from_hash(key).weighted(weight)),
            lease: None,
            span: None,
        })
    }
}

/// The end of a call, or of its stream; `V` is `()` for a stream.
#[derive(Serialize, Deserialize)]
pub(super) enum Ending<V, E> {
    Value(V),
    App(E),
    Failed(Failure),
}

/// Every error of a call but the handler's own, without the request, which its caller still has.
#[derive(Serialize, Deserialize)]
pub(super) enum Failure {
    Rejected(#[serde(with = "RejectForm")] Reject),
    Cancelled(
        #[serde(with = "CancelledByForm")] CancelledBy,
        #[serde(with = "OutcomeForm")] Outcome,
    ),
    Deadline(
        #[serde(with = "PhaseForm")] Phase,
        #[serde(with = "OutcomeForm")] Outcome,
    ),
    WorkerDied {
        #[serde(with = "WorkerExitForm")]
        exit: WorkerExit,
        worker: Option<u32>,
        #[serde(with = "OutcomeForm")]
        outcome: Outcome,
    },
    Panicked {
        message: String,
        location: Option<String>,
    },
    Protocol(
        #[serde(with = "ProtocolErrorForm")] ProtocolError,
        #[serde(with = "OutcomeForm")] Outcome,
    ),
    /// An error that only a caller can have.
    Other(#[serde(with = "OutcomeForm")] Outcome),
}

impl<V, E> Ending<V, E> {
    pub(super) fn of_error<F, Q>(mut error: CallError<F, Q>, app: impl FnOnce(F) -> E) -> Self {
        // The request that was decoded. Its drop is the user's code, and its caller has the original.
        let request = error.take_request();
        contain(move || drop(request));
        Self::Failed(match error {
            CallError::App(error) => return Self::App(app(error)),
            CallError::Rejected { why, .. } => Failure::Rejected(why),
            CallError::Cancelled { by, outcome, .. } => Failure::Cancelled(by, outcome),
            CallError::Deadline { phase, outcome, .. } => Failure::Deadline(phase, outcome),
            CallError::WorkerDied {
                exit,
                worker,
                outcome,
                ..
            } => Failure::WorkerDied {
                exit,
                worker: worker.map(|worker| worker.index() as u32),
                outcome,
            },
            CallError::Panicked { message, location } => Failure::Panicked { message, location },
            CallError::Protocol { why, outcome, .. } => Failure::Protocol(*why, outcome),
            CallError::NotWaited { outcome, .. } => Failure::Other(outcome),
        })
    }
}

impl Failure {
    pub(super) fn into_error<E, Q>(self) -> CallError<E, Q> {
        let request = None;
        match self {
            Self::Rejected(why) => CallError::Rejected { why, request },
            Self::Cancelled(by, outcome) => CallError::Cancelled {
                by,
                outcome,
                request: None,
            },
            Self::Deadline(phase, outcome) => CallError::Deadline {
                phase,
                outcome,
                request,
            },
            Self::WorkerDied {
                exit,
                worker,
                outcome,
            } => CallError::WorkerDied {
                exit,
                worker: worker.map(WorkerId::new),
                outcome,
                request,
            },
            Self::Panicked { message, location } => CallError::Panicked { message, location },
            Self::Protocol(why, outcome) => CallError::Protocol {
                why: Box::new(why),
                outcome,
                request,
            },
            Self::Other(outcome) => CallError::WorkerDied {
                exit: WorkerExit::Ended,
                worker: None,
                outcome,
                request,
            },
        }
    }
}

// The forms of types that are declared elsewhere. The compiler compares each with its original.

#[derive(Serialize, Deserialize)]
#[serde(remote = "Reject")]
enum RejectForm {
    QueueFull,
    Shed,
    Shutdown,
    NoWorker,
    TooLarge,
    RateLimited { retry_after: Duration },
    DeadlineWouldMiss { wait: Duration },
    Quarantined,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Priority")]
enum PriorityForm {
    High,
    Normal,
    Low,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WorkType")]
enum WorkTypeForm {
    Balanced,
    Cpu,
    Memory,
    Io,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "CancelledBy")]
pub(super) enum CancelledByForm {
    Caller,
    Deadline,
    Shutdown,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Phase")]
enum PhaseForm {
    Queue,
    Run,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Outcome")]
enum OutcomeForm {
    NotStarted,
    MaybeExecuted,
    Executed,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "WorkerExit")]
enum WorkerExitForm {
    Ended,
    Abandoned,
    StartupFailed(String),
    Lost,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Part")]
enum PartForm {
    Head,
    Request,
    Answer,
    SentItem,
    Item,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "ProtocolError")]
pub(super) enum ProtocolErrorForm {
    WrongContract {
        expected: String,
        found: String,
    },
    WrongVersion {
        contract: String,
        expected: u32,
        found: u32,
    },
    UnknownMethod {
        contract: String,
        id: u64,
    },
    TooLarge {
        method: String,
        #[serde(with = "PartForm")]
        part: Part,
        most: usize,
    },
    Unencodable {
        method: String,
        #[serde(with = "PartForm")]
        part: Part,
        why: String,
    },
    Undecodable {
        method: String,
        #[serde(with = "PartForm")]
        part: Part,
        why: String,
    },
}
