//! The traits that `#[contract]` implements, and the seam between callers and endpoints.

use std::fmt;
use std::sync::Arc;

use insula_core::{Instant, IsolateId};

use crate::WorkerId;
use crate::callee::Pending;
use crate::cell::Signal;
use crate::context::Scope;
use crate::error::{CancelledBy, ProtocolError, Reject, WorkerExit};
use crate::payload::Traffic;
use crate::share::Share;

/// The shape of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MethodKind {
    /// One request, one response.
    Unary,
    /// One request, a stream of items as the answer.
    ServerStream,
    /// A stream of items, one response.
    ClientStream,
    /// A stream of items in each direction.
    Bidirectional,
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
    /// `true` if a call may run more than once and have the effect of one; see [`Idempotent`].
    pub is_idempotent: bool,
    /// What its calls need most, as `#[work(..)]` in the contract says.
    pub work: WorkType,
}

/// What the work of a call needs most. A pool spreads the calls of one type over its workers; see
/// [`Call::work`](crate::Call::work).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum WorkType {
    /// Nothing in particular: the work of methods that say nothing else.
    #[default]
    Balanced,
    /// Time on the CPU.
    Cpu,
    /// Memory.
    Memory,
    /// Waiting for files, sockets and other services.
    Io,
}

impl WorkType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Balanced, Self::Cpu, Self::Memory, Self::Io];
}

/// The types of one method. Implemented by the marker types that `#[contract]` generates.
pub trait Method: Sized + 'static {
    /// The request enum of the contract.
    type Contract: Contract;
    /// The values that the caller hands over: `()` if there are none, the value if there is one,
    /// otherwise a tuple. An [`Inbound`](crate::Inbound) is one of them.
    type Request: Send + 'static;
    /// The value that the caller gets; a [`ReplyStream`](crate::ReplyStream) for server streams.
    type Response: Send + 'static;
    /// The method's own error.
    type Error: Send + 'static;
    /// Its line in the method table.
    const DESCRIPTOR: MethodDescriptor;
    /// Puts a call into the request enum.
    fn wrap(call: Pending<Self>) -> Self::Contract;
    /// Returns the bytes that move with a request.
    fn request_bytes(request: &Self::Request) -> u64;
    /// Returns the bytes that move with a response; zero for a stream, whose items are counted.
    fn response_bytes(response: &Self::Response) -> u64;
}

/// A [`Method`] that answers with a stream.
pub trait ServerStreaming: Method {
    /// The items of the stream.
    type Item: Send + 'static;
    /// Returns the bytes that move with an item.
    fn item_bytes(item: &Self::Item) -> u64;
}

/// A [`Method`] whose calls may run more than once and have the effect of one, as `#[idempotent]`
/// in the contract says. Only such a call is repeated by [`retry`](crate::retry()) although it may
/// have run, or made twice by [`hedge`](crate::hedge).
#[diagnostic::on_unimplemented(
    message = "this method is not marked as idempotent",
    label = "a call of it must not run twice",
    note = "if it may, write `#[idempotent]` above the method in its contract"
)]
pub trait Idempotent: Method {}

/// A [`Method`] whose caller sends a stream.
pub trait ClientStreaming: Method {
    /// The items of the stream.
    type Sent: Send + 'static;
    /// Returns the bytes that move with an item.
    fn sent_bytes(item: &Self::Sent) -> u64;
}

/// Calls of one or several contracts on their way to a service.
///
/// Dropping a call that was not started ends it with
/// [`CallError::WorkerDied`](crate::CallError::WorkerDied), [`Outcome::NotStarted`](
/// crate::Outcome::NotStarted).
pub trait Calls: fmt::Debug + Send + 'static {
    /// The number of methods of all contracts.
    const METHOD_COUNT: usize;
    /// Returns every method with the name of its contract, in the order of the contracts and, within
    /// one, of its trait.
    fn methods() -> Vec<(&'static str, MethodDescriptor)>;
    /// Returns the place of this call's method among [`methods`](Self::methods).
    fn method(&self) -> usize;
    /// Returns the call inside, whatever its method.
    fn pending(&self) -> &dyn PendingCall;
}

/// A contract's request enum: one call of any of its methods.
pub trait Contract: Calls {
    /// The contract's name.
    const NAME: &'static str;
    /// The contract's version.
    const VERSION: u32;
    /// Every method, in the order of the trait.
    const METHODS: &'static [MethodDescriptor];
}

/// The methods of one contract, for [`Calls::methods`].
pub fn methods_of<C: Contract>() -> Vec<(&'static str, MethodDescriptor)> {
    C::METHODS.iter().map(|method| (C::NAME, *method)).collect()
}

/// The place of a method in the table of its contract. Evaluated by the compiler, so that a call
/// finds its place without a search.
pub const fn place_of(methods: &[MethodDescriptor], id: u64) -> usize {
    let mut place = 0;
    while place < methods.len() && methods[place].id != id {
        place += 1;
    }
    place
}

/// A generated caller: one method per call of its contract.
pub trait Caller: From<Arc<dyn Endpoint<Self::Contract>>> {
    /// The contract whose calls it makes.
    type Contract: Contract;
}

/// A call that has not started, seen without its types.
pub trait PendingCall {
    /// Returns its method.
    fn descriptor(&self) -> MethodDescriptor;
    /// Returns the time by which it must have an answer.
    fn deadline(&self) -> Option<Instant>;
    /// Returns the bytes of its request, as they were measured when the call was made.
    fn request_bytes(&self) -> u64;
    /// Returns a number for the piece of work that the call is: calls of one method with the same
    /// [idempotency key](crate::Call::idempotency_key) have the same. `None` without a key, and once
    /// the call was started.
    fn identity(&self) -> Option<u64>;
    /// Returns the [share](crate::Call::share) that it counts to. `None` without one, and once the call
    /// was started.
    fn share(&self) -> Option<Share>;
    /// Returns whether it still waits to be started: it was neither cancelled nor ended.
    fn is_waiting(&self) -> bool;
    /// Returns the call as its callee sees it while it runs; `None` once it was started.
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
    /// The worker that it was given to ended.
    WorkerDied {
        /// The way in which it ended.
        exit: WorkerExit,
        /// The worker, if the call was given to one.
        worker: Option<WorkerId>,
    },
    /// It cannot be written as bytes, or its callee cannot read or serve it.
    Protocol(Box<ProtocolError>),
}

/// A destination for calls: a port of one isolate, or a pool.
///
/// # Cancellation
/// Every call that is submitted ends, whatever happens to the endpoint: dropping an unstarted
/// call ends it too.
pub trait Endpoint<C>: fmt::Debug + Send + Sync + 'static {
    /// Takes a call. Never waits: a call that cannot be taken is refused through itself.
    fn submit(&self, call: C, info: CallInfo) -> Ticket;

    /// Takes several calls, as if they were submitted one after the other, and calls `each` with
    /// the ticket of each. An endpoint may need less for them together.
    fn submit_all(&self, calls: Vec<C>, info: CallInfo, each: &mut dyn FnMut(Ticket)) {
        for call in calls {
            each(self.submit(call, info));
        }
    }

    /// Forgets an unstarted call that has ended, because its caller has gone or its deadline has
    /// passed; whatever still lies here of it can go too.
    fn withdraw(&self, ticket: Ticket, by: CancelledBy);

    /// The isolates of all workers, by their place; empty if that is not known. Any of them may
    /// start a call which has not started yet. A caller that blocks uses it to find out that all
    /// isolates which could answer wait for the caller.
    fn isolates(&self) -> Vec<IsolateId> {
        Vec::new()
    }
}

/// The facts of a call that an endpoint needs to give it its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CallInfo {
    /// The treatment of the call if there is no room.
    pub admission: Admission,
    /// Calls with the same key start on the same worker, in the order of their submission.
    pub key: Option<u64>,
    /// The rank of the call among those that wait.
    pub priority: Priority,
    /// What its work needs most.
    pub work: WorkType,
}

/// The rank of a call among those that wait in the queue of a pool; see
/// [`Call::priority`](crate::Call::priority).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Priority {
    /// Starts before the others.
    High,
    /// The rank of calls that have none of their own, and of calls with a key.
    #[default]
    Normal,
    /// Starts when no other call waits, and now and then although one does.
    Low,
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
    type Contract: Calls;
    /// The service behind it.
    type Service: Send + 'static;
    /// `true` if the service is used by one call at a time, because its methods take `&mut self`.
    const EXCLUSIVE: bool = false;
    /// Makes a responder in front of a service.
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
    /// Says whether its handler has run.
    pub has_run: bool,
    /// Says whether its handler gave an answer after the call had ended otherwise. The answer was
    /// discarded.
    pub is_late: bool,
    /// The bytes that it handled.
    pub traffic: Traffic,
}

impl Ended {
    /// The end of a call whose handler has run.
    pub(crate) fn ran(how: How, traffic: Traffic) -> Self {
        Self {
            how,
            has_run: true,
            is_late: false,
            traffic,
        }
    }
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
    /// The caller or a shutdown stopped the call, before or while it ran.
    Cancelled,
    /// The deadline passed, before the handler had an answer.
    Expired,
    /// The worker ended, or was given up, while the call ran.
    Died,
}
