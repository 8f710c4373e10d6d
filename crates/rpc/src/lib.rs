//! Typed calls between isolates.
//!
//! A contract is a trait under [`#[contract]`](macro@contract). The attribute generates a
//! *caller* with one method per call, a *responder* that dispatches calls to a service, and the
//! request enum that travels between them. Requests, answers and items of streams are moved, never
//! copied or serialized, and dispatch is static.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use insula_core::{Isolate, block_on};
//! use insula_rpc::{CallError, Context, Respond, contract, serve};
//!
//! #[contract(crate = insula_rpc)]
//! trait Greeter {
//!     /// Says hello.
//!     async fn greet(&self, cx: &Context, name: String) -> Result<String, Infallible>;
//! }
//!
//! struct Polite;
//!
//! impl Greeter for Polite {
//!     async fn greet(&self, _cx: &Context, name: String) -> Result<String, Infallible> {
//!         Ok(format!("hello, {name}"))
//!     }
//! }
//!
//! # fn main() -> Result<(), CallError<Infallible, String>> {
//! let port = Isolate::spawn_with_port(|port| serve(port, GreeterResponder::new(Polite)));
//! let caller = GreeterCaller::over(port);
//! let answer = block_on(caller.greet("Ada".into()))?;
//! assert_eq!(answer, "hello, Ada");
//! # Ok(())
//! # }
//! ```
//!
//! # Kinds of calls
//! The signature of a method determines the kind of its calls:
//!
//! | kind | the caller sends | the service answers with | the caller's method returns |
//! |---|---|---|---|
//! | unary | a request | a response | a [`Call`] |
//! | server-streaming | a request | a stream | a [`Call`] |
//! | client-streaming | a request and a stream | a response | a [`StreamingCall`] |
//! | bidirectional | a request and a stream | a stream | a [`StreamingCall`] |
//!
//! A request has any number of values, or none: the parameters of the method. The handler reads the
//! caller's stream as an [`Inbound`], and the caller the stream of an answer as a [`ReplyStream`].
//!
//! A [`Call`] is a `'static` future, so it can be stored, joined with others and spawned.
//! [`StreamingCall::open`] returns a [`Sender`] for the items and the [`Call`] for the answer.
//! [`map()`] makes one call for each of many requests, a bounded number of them at a time.
//!
//! # The path of a call
//! 1. *Submission.* Nothing is sent before the first poll of a [`Call`] or its
//!    [`start`](Call::start). Then the request is put into the cell of the call (`cell.rs`), which
//!    is the only allocation of a plain call, and the call is submitted to its [`Endpoint`]: a port
//!    of one isolate, or a pool. An endpoint of several contracts takes them as a typed sum
//!    ([`OneOf`]), whose parts a [`Router`] dispatches.
//! 2. *Delivery.* The endpoint brings the [`Pending`] call to a responder. It refuses a call that
//!    it cannot deliver, and the drop of a pending call refuses it too, so no call is lost.
//! 3. *Start.* The responder takes the request out of the cell, unless the call was cancelled or
//!    its deadline has passed, and polls the handler. Each poll catches panics.
//! 4. *Answer.* The answer is written into the cell and wakes the caller, on any executor or
//!    thread. If the answer is a stream, the items follow through a channel (`channel.rs`), and the
//!    call lasts until the end of the stream.
//!
//! # Outcomes
//! Every call ends exactly once: with a response, with a [`CallError`], or because its caller has
//! dropped it. Each error says with an [`Outcome`] whether the handler may have run. This is exact:
//! the start, the cancellation, the deadline and the answer are changes of one state, which is
//! written under one lock. An error of a call that was not started returns the request, if the
//! request still exists ([`CallError::into_request`]). A call runs at most once. [`retry()`] makes
//! further calls, if the first one has not run, or if the contract marks its method as
//! `#[idempotent]`; so does [`hedge`], which needs the mark.
//!
//! # Deadlines
//! A [deadline](Call::deadline) counts from the submission and includes the time in a queue. Caller
//! and callee both enforce it: a call whose deadline has passed is not started, and a handler that
//! waits when it passes is told and has its grace period, whether the caller polls its call or not.
//! The caller gets [`CallError::Deadline`] in each case, and never an error that the handler has
//! made of its cancellation. An answer that is a stream has to be opened by the deadline, and may
//! last longer.
//!
//! # Cancellation
//! A call is cancelled by the drop of its [`Call`] or [`ReplyStream`], by
//! [`Call::cancel_and_wait`], by its deadline, by the cancellation of the call that it was made
//! [`within`](Call::within), and by the shutdown of its worker. In a queue it is taken out, and
//! never starts. A running handler is told through its [`Context`], may go on for the grace period
//! of its worker, and is then dropped where it waits. The tasks that it has spawned as parts of the
//! call ([`Context::spawn`]) are dropped with it. A stream whose reader has gone is dropped at
//! once. [`CancelledBy`] is the first of several causes. [`Call::detach`] lets a call run without
//! its caller.
//!
//! # Streams
//! Both directions have the same rules. The sender may be ahead of the reader by [`WINDOW`] items
//! and [`WINDOW_BYTES`] bytes, and then waits. A handler that waits for the reader of its stream
//! occupies no place of its worker, so a reader may make further calls between two items.
//!
//! A stream that breaks off never looks complete: the reader of an answer gets an error in place of
//! the end, and a handler gets [`Aborted`] unless the caller has called [`Sender::finish`]. A
//! handler may answer before it has read all items of its caller; the rest is dropped, and the
//! sender gets [`NotSent`] with the number of items that were consumed.
//!
//! # Order
//! Calls to the port of an isolate ([`serve`]) start in the order of their submission, and run one
//! after the other. Calls to a pool start in that order too, and run side by side. The items of a
//! stream keep their order, and its end comes after all of them.
//!
//! # Exclusive services
//! If the methods of a contract take `&mut self`, its service runs one call at a time, the stream
//! of its answer included.
//!
//! # Calls as bytes
//! With the feature `wire`, `#[contract(wire)]` adds what a call needs that crosses the border of a
//! program: the encoding of its values, and a schema by which two programs compare their contracts.
//! The module `wire` has both, and an endpoint with which a test tries them. Calls in one program
//! name nothing of it.
//!
//! # Spans
//! With the feature `tracing`, the handler of a call, the tasks that are part of it and its stream run
//! in a span `call` of the target `insula::rpc`, on the level `INFO`. It is a child of the span in which
//! the call was made, so that `tracing-opentelemetry`, for example, joins both in one trace; the span of
//! a call that came from another program has none, and names its trace alone. Its fields are `contract`,
//! `method`, `pool`, `worker` and `incarnation`, then `trace_id` and `parent_span_id` of a call that
//! is part of a [trace](TraceContext), and at the end its `outcome`, a [`How`].
//!
//! # Locks
//! Two kinds of locks have a rank: the slot in the cell of a call, under which a worker's books are
//! written, so that a call is counted before its caller can see the answer; and the channel of a
//! stream, under which nothing else is locked. Neither is held while a request, an answer, an item
//! or a waker is cloned, woken or dropped.
//!
//! # Streams in both directions
//! The caller of `sum` sends a stream and gets one response. The caller of `means` sends a stream
//! and reads another one at the same time.
//!
//! ```
//! use futures_util::{Stream, StreamExt};
//! use insula_core::{Isolate, block_on};
//! use insula_rpc::{Aborted, Context, Inbound, Respond, contract, serve};
//!
//! #[contract(crate = insula_rpc)]
//! trait Meter {
//!     /// Returns the sum of all readings.
//!     async fn sum(&self, cx: &Context, readings: Inbound<f64>) -> Result<f64, Aborted>;
//!
//!     /// Answers each reading with the mean of all readings up to it.
//!     async fn means(
//!         &self,
//!         cx: &Context,
//!         readings: Inbound<f64>,
//!     ) -> Result<impl Stream<Item = Result<f64, Aborted>>, Aborted>;
//! }
//!
//! struct Plain;
//!
//! impl Meter for Plain {
//!     async fn sum(&self, _cx: &Context, mut readings: Inbound<f64>) -> Result<f64, Aborted> {
//!         let mut sum = 0.0;
//!         while let Some(reading) = readings.next().await {
//!             // An error means that the caller did not finish, so the sum would be wrong.
//!             sum += reading?;
//!         }
//!         Ok(sum)
//!     }
//!
//!     async fn means(
//!         &self,
//!         _cx: &Context,
//!         readings: Inbound<f64>,
//!     ) -> Result<impl Stream<Item = Result<f64, Aborted>>, Aborted> {
//!         let (mut sum, mut count) = (0.0, 0.0);
//!         Ok(readings.map(move |reading| {
//!             sum += reading?;
//!             count += 1.0;
//!             Ok(sum / count)
//!         }))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let port = Isolate::spawn_with_port(|port| serve(port, MeterResponder::new(Plain)));
//! let caller = MeterCaller::over(port);
//! block_on(async {
//!     let (mut sender, call) = caller.sum().open();
//!     for reading in [1.0, 2.0, 6.0] {
//!         // Waits while the handler is a whole window behind. Fails once the call has ended.
//!         sender.send(reading).await?;
//!     }
//!     // The drop of the sender would abort the stream.
//!     sender.finish();
//!     assert_eq!(call.await?, 9.0);
//!
//!     let (mut sender, call) = caller.means().open();
//!     let mut means = call.await?;
//!     for (reading, expected) in [(1.0, 1.0), (2.0, 1.5), (6.0, 3.0)] {
//!         sender.send(reading).await?;
//!         assert_eq!(means.next().await.transpose()?, Some(expected));
//!     }
//!     sender.finish();
//!     assert!(means.next().await.is_none());
//!     Ok(())
//! })
//! # }
//! ```

#![forbid(unsafe_code)]

mod call;
mod callee;
mod cell;
mod channel;
mod context;
mod contract;
mod diagnose;
mod envelope;
mod error;
mod exclusive;
mod fnv;
mod guard;
mod inbound;
#[cfg(all(test, loom))]
mod loom_models;
mod map;
mod payload;
mod reply;
mod retry;
mod scoped;
mod serve;
mod share;
mod span;
mod sum;
#[cfg(feature = "wire")]
pub mod wire;

pub use call::{Call, CancelAndWait, Detailed, DetailedCall, Receipt, StreamingCall};
pub use callee::{Pending, Running, Started};
pub use cell::Signal;
pub use channel::{WINDOW, WINDOW_BYTES};
pub use context::{CancelToken, Context, Ledger, Place, Scope, WorkerId};
pub use contract::{
    Admission, CallInfo, Caller, Calls, ClientStreaming, Contract, Ended, Endpoint, How,
    Idempotent, Method, MethodDescriptor, MethodKind, PendingCall, Priority, Refusal, Respond,
    ServerStreaming, Ticket, WorkType,
};
pub use envelope::{Metadata, MetadataError, Progress, TraceContext, TraceContextError};
pub use error::{
    CallError, Cancelled, CancelledBy, Outcome, Part, Phase, ProtocolError, Reject, WorkerExit,
};
pub use guard::{Panic, Stopped, catch, contain};
pub use inbound::{Aborted, Inbound, NotSent, Permit, Sender, TrySendError};
pub use insula_macros::{Payload, contract};
pub use map::{Map, Unordered, map};
pub use payload::{Payload, Traffic};
pub use reply::ReplyStream;
pub use retry::{Retry, RetryBudget, hedge, retry};
pub use serve::serve;
pub use share::Share;
pub use sum::{Before, Includes, Last, OneOf, Router, Whole};

/// The stream that a server-streaming method gives its callers.
pub type ReplyStreamOf<M> = ReplyStream<<M as ServerStreaming>::Item, <M as Method>::Error>;

/// The items that the code generated by `#[contract]` uses. Not for other code.
#[doc(hidden)]
pub mod __private {
    #[cfg(not(feature = "wire"))]
    pub use crate::__without_wire as if_wire;
    pub use crate::call::{Call, StreamingCall};
    pub use crate::callee::Pending;
    pub use crate::context::Scope;
    pub use crate::contract::{
        Caller, Calls, ClientStreaming, Contract, Ended, Endpoint, Idempotent, Method,
        MethodDescriptor, MethodKind, PendingCall, Respond, ServerStreaming, WorkType, methods_of,
        place_of,
    };
    pub use crate::diagnose::{IsContext, Moves, moves_to_another_isolate};
    pub use crate::exclusive::Exclusive;
    pub use crate::guard::{begin, no_handler};
    pub use crate::inbound::{Inbound, inbound};
    pub use crate::payload::{ByPayload, BySize, Measured, Payload};
    pub use crate::reply::ReplyStream;
    #[cfg(feature = "wire")]
    pub use crate::{__with_wire as if_wire, wire::__private as wire};
}

/// The items that `#[contract(wire)]` generates beyond other contracts, with the feature `wire`.
#[doc(hidden)]
#[macro_export]
macro_rules! __with_wire {
    ($($items:tt)*) => {
        $($items)*
    };
}

/// The same without the feature.
#[doc(hidden)]
#[macro_export]
macro_rules! __without_wire {
    ($($items:tt)*) => {
        ::core::compile_error!(
            "the option `wire` needs the feature `wire`: write `insula = { version = \"0.1\", \
             features = [\"wire\"] }` in Cargo.toml, or the same for `insula-rpc`"
        );
    };
}
