//! Several services behind one endpoint: a typed sum of their contracts.
//!
//! [`OneOf`] is a call of one of two contracts, [`Router`] answers it with one of two responders.
//! Either may be a sum in turn, so that any number can be put together. A call is wrapped in the
//! variants of its contract, and dispatched by matching them: nothing is boxed or looked up by
//! name.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use insula_core::IsolateId;

use crate::context::Scope;
use crate::contract::{
    CallInfo, Calls, Contract, Ended, Endpoint, MethodDescriptor, PendingCall, Respond, Ticket,
};
use crate::error::CancelledBy;

/// A call of one of the contracts of `A`, or of the contract `B`.
#[derive(Debug)]
pub enum OneOf<A, B> {
    /// It belongs to `A`, which may be a sum in turn.
    First(A),
    /// It is a call of `B`.
    Second(B),
}

impl<A: Calls, B: Calls> Calls for OneOf<A, B> {
    const METHOD_COUNT: usize = A::METHOD_COUNT + B::METHOD_COUNT;

    fn methods() -> Vec<(&'static str, MethodDescriptor)> {
        let mut methods = A::methods();
        methods.extend(B::methods());
        methods
    }

    fn method(&self) -> usize {
        match self {
            Self::First(call) => call.method(),
            Self::Second(call) => A::METHOD_COUNT + call.method(),
        }
    }

    fn pending(&self) -> &dyn PendingCall {
        match self {
            Self::First(call) => call.pending(),
            Self::Second(call) => call.pending(),
        }
    }
}

/// Says that calls of the contract `C` are among these calls. `At` says where, and is always
/// inferred.
#[diagnostic::on_unimplemented(
    message = "no service for `{C}` is among the services of this pool or port",
    label = "this caller's contract is not served here",
    note = "a pool serves the contracts that were given to `service::<..>(..)`"
)]
pub trait Includes<C: Calls, At>: Calls {
    /// The endpoint as callers of `C` see it.
    fn narrow(endpoint: Arc<dyn Endpoint<Self>>) -> Arc<dyn Endpoint<C>>;
}

/// The place of a contract that is all there is.
#[derive(Debug)]
pub enum Whole {}

/// The place of the last contract of a sum.
#[derive(Debug)]
pub enum Last {}

/// A place in the first part of a sum.
#[derive(Debug)]
pub struct Before<At>(PhantomData<At>);

impl<C: Contract> Includes<C, Whole> for C {
    fn narrow(endpoint: Arc<dyn Endpoint<C>>) -> Arc<dyn Endpoint<C>> {
        endpoint
    }
}

impl<A: Calls, B: Contract> Includes<B, Last> for OneOf<A, B> {
    fn narrow(endpoint: Arc<dyn Endpoint<Self>>) -> Arc<dyn Endpoint<B>> {
        let wrap = Self::Second;
        Arc::new(Part { endpoint, wrap })
    }
}

impl<A, B, C, At> Includes<C, Before<At>> for OneOf<A, B>
where
    A: Calls + Includes<C, At>,
    B: Calls,
    C: Calls,
{
    fn narrow(endpoint: Arc<dyn Endpoint<Self>>) -> Arc<dyn Endpoint<C>> {
        let wrap = Self::First;
        A::narrow(Arc::new(Part { endpoint, wrap }))
    }
}

/// An endpoint for sums, as an endpoint for one part of them.
struct Part<S, C> {
    endpoint: Arc<dyn Endpoint<S>>,
    wrap: fn(C) -> S,
}

impl<S: Calls, C: Calls> Endpoint<C> for Part<S, C> {
    fn submit(&self, call: C, info: CallInfo) -> Ticket {
        self.endpoint.submit((self.wrap)(call), info)
    }

    fn submit_all(&self, calls: Vec<C>, info: CallInfo, each: &mut dyn FnMut(Ticket)) {
        // Passed on together, or the endpoint might take its lock for each of them.
        let calls = calls.into_iter().map(self.wrap).collect();
        self.endpoint.submit_all(calls, info, each);
    }

    fn withdraw(&self, ticket: Ticket, by: CancelledBy) {
        self.endpoint.withdraw(ticket, by);
    }

    fn isolates(&self) -> Vec<IsolateId> {
        self.endpoint.isolates()
    }
}

impl<S, C> fmt::Debug for Part<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}

/// Answers the calls of two responders' contracts.
#[derive(Debug)]
pub struct Router<A, B> {
    first: A,
    second: B,
}

impl<A: Respond, B: Respond> Router<A, B> {
    /// Answers each call with the responder of its contract.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: Respond, B: Respond> Respond for Router<A, B> {
    type Contract = OneOf<A::Contract, B::Contract>;
    type Service = (A::Service, B::Service);
    // The calls of both run in the same lanes, so the stricter service decides.
    const EXCLUSIVE: bool = A::EXCLUSIVE || B::EXCLUSIVE;

    fn new((first, second): Self::Service) -> Self {
        Self {
            first: A::new(first),
            second: B::new(second),
        }
    }

    async fn respond(&self, call: Self::Contract, scope: &Scope) -> Ended {
        match call {
            OneOf::First(call) => self.first.respond(call, scope).await,
            OneOf::Second(call) => self.second.respond(call, scope).await,
        }
    }
}
