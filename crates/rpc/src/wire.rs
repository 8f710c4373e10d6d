//! Calls as bytes: what `#[contract(wire)]` adds to a contract.
//!
//! A call in one program is moved. To reach another program it has to become bytes, and the other
//! program has to know what they mean. The option `wire` of
//! [`#[contract]`](macro@crate::contract) generates both for a contract whose types are
//! `serde::Serialize` and `serde::Deserialize`: its [`WireContract`]. A contract without the option
//! has nothing of this, and neither has any contract without the feature `wire` of the crate.
//!
//! - [`loopback`] makes calls cross a wire within one program. A test uses it to show that the types
//!   of a contract survive the way.
//! - [`Schema`] is a contract as text. [`check_schema`] compares it with the file of an earlier
//!   version, and names what breaks.
//! - [`forward`] and [`accept`] are the two sides of a wire, for code that carries the messages
//!   between programs. [`keep`] writes a call that nobody waits for, to be made later.
//!
//! # The protocol
//! A call that crosses a wire is two calls. The one of the caller has the options, the request and
//! the answer that its caller sees. The other one is made out of bytes on the callee's side, and
//! submitted to an ordinary endpoint: a port or a pool. Each has a cell of its own.
//!
//! *The first message* has a head (the contract, its version, the method's id, the time that is left
//! until the deadline, the key, the metadata, the trace, the attempt) and the values of the request.
//! The callee's side checks, in this order, the length, the contract, the version, the method and
//! the request. If one of them is wrong it answers [`ToCaller::Refuse`], and the caller gets
//! [`CallError::Protocol`](crate::CallError::Protocol), not started. The original request stays
//! with the caller's side until the start, so every error of a call that has not started returns it.
//!
//! *The start.* When a worker is about to run the handler, the callee's side asks its [`Lease`], and
//! runs the handler only if the lease grants it. In a loopback the lease starts the caller's call in
//! the same step. So that call alone decides between the start, the deadline and the cancellation,
//! and the [`Outcome`](crate::Outcome) of each error is exact.
//!
//! *Afterwards* each side sends what has happened to it. The messages are [`ToCallee`] and
//! [`ToCaller`]; only values of the user are encoded in them.
//!
//! | from the caller's side | | from the callee's side | |
//! |---|---|---|---|
//! | `Item` | an item that the caller sends | `Progress` | a report of the handler |
//! | `End` | all items were sent, or the stream was aborted | `Answer` | the response, the error, or that the answer is a stream |
//! | `Credit` | so many items of the answer were consumed | `Item`, `End` | an item of the answer, its end |
//! | `Stop` | the handler is to stop, its answer is awaited | `Credit` | so many items of the caller were consumed |
//! | `Cancel` | the caller has gone, or its deadline has passed | `Closed` | no more items of the caller are read |
//!
//! The messages of one direction keep their order. `Credit` and `Closed` come before the `Answer` or
//! the `End` that the handler gave after them, so a sender that sees an early answer knows how many
//! items were consumed. `Answer`, unless it opens a stream, `End` and `Cancel` are the last messages
//! of their side, and of the call: a side that gets one has ended too. The drop of either side ends
//! the call.
//!
//! *Streams.* Each direction has the channel of the side that sends and that of the side that reads.
//! What lies in either counts against one window, that of the sender: an item is passed on without
//! being consumed, and its credit comes back when the reader on the other side has consumed it. So
//! at most [`WINDOW`](crate::WINDOW) items of a stream are anywhere on their way.
//!
//! # Errors
//! [`ProtocolError`](crate::ProtocolError) says what could not be written, read or served.
//!
//! | what | the caller gets | its outcome |
//! |---|---|---|
//! | another contract or version, an unknown method | `WrongContract`, `WrongVersion`, `UnknownMethod` | not started |
//! | a request that cannot be written or read, or is too large | `Unencodable`, `Undecodable`, `TooLarge` of the part `Request` | not started |
//! | a response or an error of the handler | the same, of the part `Answer` | executed; at the end of a stream of items maybe executed |
//! | an item of either stream | the same, of the part `SentItem` or `Item`; the handler is cancelled | maybe executed |
//!
//! The handler's own error crosses as a value of its type. A panic in the user's `Serialize` or
//! `Deserialize` counts as a value that cannot be written or read.
//!
//! # The encoding
//! Values are encoded as the specification of postcard says: integers of variable length, fields in
//! their order, variants by their number, no names. So a field or a variant that is inserted, removed
//! or moved changes what the bytes mean. serde's attributes that need the names of fields, or ask
//! the bytes for their type (`flatten`, `untagged`, internal tags), do not work, and
//! `skip_serializing_if` shifts what follows.
//!
//! serde does not know [`Infallible`](std::convert::Infallible). The error of a method that never fails
//! is [`Never`] on a wire.
//!
//! Bytes that come from elsewhere are not trusted:
//! - a message has at most [`MOST_BYTES`] bytes, or another limit, which is checked before anything
//!   is read, and while a message is written;
//! - a length is compared with the bytes that are left before memory is allocated for it. Elements
//!   are allocated as they are read, so a message cannot need more memory than its elements have as
//!   values;
//! - values are nested at most 128 levels deep, and sequences of elements without bytes, such as
//!   `Vec<()>`, have at most 65,536 elements more than the message has bytes. Values that the program
//!   itself encodes may be nested deeper than they can be read;
//! - bytes that follow a value are an error, and so are more items of a stream than its window has.
//!
//! # What a schema sees
//! A schema has the types of a contract as they are written in the trait. It shows that a parameter
//! became a `u64` from a `u32`. It does not show that a field was added to a struct which is named
//! there: the macro sees the name only. Two measures cover this. Keep the bytes of a sample of each
//! type in a test, as [`encode`] shows; they change with the fields. And give a type whose fields
//! change a new name (`Reading2`), which the schema then shows.
//!
//! Nor does it show that an alias stands for another type, or that `#[serde(...)]` has changed.
//! Conversely, two ways to write one type, such as `Vec<u8>` and `std::vec::Vec<u8>`, look
//! different.

mod along;
mod callee;
mod caller;
mod codec;
mod decode;
mod frame;
mod kept;
mod loopback;
mod message;
mod method;
mod never;
mod relay;
mod schema;
pub(crate) mod started;
mod streams;
pub(crate) mod turns;

pub use callee::{Accepted, accept, accept_method};
pub use caller::{Forwarded, Lease, forward};
pub use codec::{CodecError, Crosses, Encoded, Limits, MOST_BYTES, decode, encode};
pub use frame::{Frame, FrameError, Hello};
pub use kept::{Kept, Performed, keep};
pub use loopback::{Loopback, loopback};
pub use message::{ToCallee, ToCaller};
pub use method::WireContract;
pub use never::Never;
pub use relay::{Link, Lost, News, relay};
pub use schema::{Break, MethodSchema, Schema, SchemaError, check_schema};

/// The items that generated code uses. Not for other code.
#[doc(hidden)]
pub mod __private {
    pub use super::callee::{AnyCallee, callee};
    pub use super::caller::{AnyCaller, caller};
    pub use super::codec::{CodecError, Crosses};
    pub use super::method::{
        Crossing, Encoder, Request, WireContract, WireMethod, crosses_a_wire, discard,
    };
    pub use super::schema::{MethodSchema, Schema};
    pub use super::streams::{Feed, ReplySource, Sink, Source, feed, reply_source, sink, source};
    pub use crate::cell::Signal;
}
