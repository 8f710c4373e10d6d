//! The traits that `#[contract]` implements, and the seam between callers and endpoints.

use std::fmt;
use std::sync::Arc;

use insula_core::{Instant, IsolateId};

use crate::WorkerId;
use crate::cell::Signal;
use crate::context::Scope;
use crate::error::{Reject, WorkerExit};
use crate::payload::Traffic;
use crate::pending::Pending;

/// The shape of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// One request, a stream of items.
    ServerStream,
}

/// One line of a contract's method table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MethodDescriptor {
    /// The method's name as written in the trait.
    pub name: &'static str,
    /// A hash of the name: it survives other methods being added, removed or reordered.
    pub id: u64,
    /// The shape of its calls.
    pub kind: MethodKind,
}

/// The types of one method. Implemented by the marker types that `#[contract]` generates.
pub trait Method: Sized + 'static {
    /// The request enum of the contract.
    type Contract: Contract;
    /// The value that the caller hands over.
    type Request: Send + 'static;
    /// The value that the caller gets; a [`ReplyStream`](crate::ReplyStream) for server streams.
    type Response: Send + 'static;
    /// The method's own error.
    type Error: Send + 'static;
    /// Its line in the method table.
    const DESCRIPTOR: MethodDescriptor;
    /// Puts a call into the request enum.
    fn wrap(call: Pending<Self>) -> Self::Contract;
    /// The bytes that move with a request.
    fn request_bytes(request: &Self::Request) -> u64;
    /// The bytes that move with a response; zero for a stream, whose items are counted.
    fn response_bytes(response: &Self::Response) -> u64;
}

/// A [`Method`] that answers with a stream.
pub trait StreamMethod: Method {
    /// The items of the stream.
    type Item: Send + 'static;
    /// The bytes that move with an item.
    fn item_bytes(item: &Self::Item) -> u64;
}

/// A contract's request enum: one call of any of its methods, on its way to a service.
///
/// Dropping a call that was not started ends it with
/// [`CallError::WorkerDied`](crate::CallError::WorkerDied), [`Outcome::NotStarted`](
/// crate::Outcome::NotStarted).
pub trait Contract: fmt::Debug + Send + 'static {
    /// The generated caller.
    type Caller: From<Arc<dyn Endpoint<Self>>>;
    /// The contract's name.
    const NAME: &'static str;
    /// The contract's version.
    const VERSION: u32;
    /// Every method, in the order of the trait.
    const METHODS: &'static [MethodDescriptor];
    /// The call inside, whatever its method.
    fn pending(&self) -> &dyn PendingCall;
}

/// A call that has not started, seen without its types.
pub trait PendingCall {
    /// Its method.
    fn descriptor(&self) -> MethodDescriptor;
    /// Returns the time by which it must have an answer.
    fn deadline(&self) -> Option<Instant>;
    /// Returns whether it still waits to be started: it was neither cancelled nor ended.
    fn is_waiting(&self) -> bool;
    /// The call as its callee sees it while it runs; `None` once it has been taken apart.
    fn signal(&self) -> Option<Arc<dyn Signal>>;
    /// Ends the call before it started and gives the request back to the caller.
    /// `false` if it is no longer waiting.
    fn refuse(&self, why: Refusal) -> bool;
}

/// Why a call is ended before it starts.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// It is not admitted.
    Rejected(Reject),
    /// Its deadline passed.
    Expired,
    /// The worker that it was given to ended.
    WorkerDied {
        /// The way in which it ended.
        exit: WorkerExit,
        /// The worker, if the call was given to one.
        worker: Option<WorkerId>,
    },
}

/// A destination for calls: a port of one isolate, or a pool.
///
/// # Cancellation
/// Every call that is submitted ends, whatever happens to the endpoint: dropping an unstarted
/// call ends it too.
pub trait Endpoint<C>: fmt::Debug + Send + Sync + 'static {
    /// Takes a call. Never waits: a call that cannot be taken is refused through itself.
    fn submit(&self, call: C, admission: Admission) -> Ticket;
    /// The caller of an unstarted call has gone; whatever still lies here of it can go too.
    fn withdraw(&self, ticket: Ticket);

    /// The isolates of all workers, by their place; empty if that is not known. Any of them may
    /// start a call which has not started yet. A caller that blocks uses it to find out that all
    /// isolates which could answer wait for the caller.
    fn isolates(&self) -> Vec<IsolateId> {
        Vec::new()
    }
}

/// The treatment of a call for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Admission {
    /// Whatever the endpoint's own policy says.
    #[default]
    Policy,
    /// It is rejected at once.
    NoWait,
}

/// The place at which an endpoint has put a call, for [`Endpoint::withdraw`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(pub u64);

impl Ticket {
    /// The call lies nowhere from where it could be withdrawn.
    pub const NONE: Self = Self(u64::MAX);
}

/// A responder: dispatches calls of a contract to a service. Implemented by `#[contract]`.
pub trait Respond: Send + Sync + 'static {
    /// The calls that it answers.
    type Contract: Contract;
    /// The service behind it.
    type Service: Send + Sync + 'static;
    /// A responder in front of a service.
    fn new(service: Self::Service) -> Self;
    /// Runs one call to its end. The answer goes to the caller; what comes back says how it
    /// ended. Never panics, whatever the handler does.
    fn respond(&self, call: Self::Contract, scope: &Scope) -> impl Future<Output = Ended> + Send;
}

/// The end of a call, as its callee reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Ended {
    /// The way it ended.
    pub how: How,
    /// The bytes that it handled.
    pub traffic: Traffic,
}

/// The ways in which a call ends at its callee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum How {
    /// The handler gave a response.
    Answered,
    /// The handler returned its own error.
    Failed,
    /// The handler panicked.
    Panicked,
    /// The caller, the deadline or a shutdown stopped the call, before or while it ran.
    Cancelled,
    /// The deadline had passed before it started.
    Expired,
}
