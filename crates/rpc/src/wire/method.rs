//! The traits that `#[contract(wire)]` implements, and what it calls.

use std::sync::Arc;

use insula_core::contain;
use insula_memory::{Segment, read_beside};

use super::callee::AnyCallee;
use super::caller::AnyCaller;
use super::codec::{CodecError, Crosses, Encoded, Limits, read_some, write};
use super::schema::Schema;
use super::streams::{Feed, ReplySource, Sink, Source};
use crate::cell::Signal;
use crate::contract::{Contract, Method};

/// A contract whose calls can be written as bytes. Implemented by `#[contract(wire)]`.
///
/// [`forward`](super::forward) and [`accept`](super::accept) are the two sides of a wire.
#[diagnostic::on_unimplemented(
    message = "the calls of the contract of `{Self}` cannot be written as bytes",
    label = "this kind of worker needs that",
    note = "write `#[contract(wire)]` above the contract"
)]
pub trait WireContract: Contract + Sized {
    /// The methods of the contract, and the types of their values as they are written there.
    const SCHEMA: &'static Schema;

    /// The hash of the schema's [text](Schema#the-text-of-a-schema). It is the same with every
    /// compiler and on every system, unless the contract has methods under conditions.
    const SCHEMA_HASH: u64 = Self::SCHEMA.hash();

    /// The caller's side of a call.
    #[doc(hidden)]
    fn into_caller(self) -> AnyCaller;

    /// The callee's side of a call, if there is a method with this id.
    ///
    /// # Errors
    /// The bytes are those of no request of this method. The name of the method comes with it.
    #[doc(hidden)]
    fn to_callee(
        method: u64,
        request: Request<'_>,
    ) -> Option<Result<AnyCallee<Self>, (&'static str, CodecError)>>;
}

/// A method whose values can be written as bytes.
///
/// The types are those of the [`Method`]. They are named again because the macro writes them in a
/// form that is an error at the type itself if it cannot cross a wire.
#[doc(hidden)]
pub trait WireMethod: Method {
    /// The response; `()` for a stream.
    type Value: Crosses;
    /// The error.
    type Failure: Crosses;
    /// Writes the values of a request.
    ///
    /// # Errors
    /// One of them cannot be written, or there are too many bytes.
    fn write(request: &Self::Request, to: &mut Encoder) -> Result<(), CodecError>;
    /// Reads the values of a request.
    ///
    /// # Errors
    /// The bytes are not those of a request.
    fn read(from: &mut Request<'_>) -> Result<(Self::Request, Option<Feed>), CodecError>;
    /// Takes the caller's items out of a request.
    fn items(request: Self::Request) -> Option<Source>;
    /// Takes the items out of an answer that is a stream.
    fn split(response: Self::Response) -> (Self::Value, Option<ReplySource>);
    /// Makes an answer: of a value, or a stream.
    fn join(value: Self::Value, signal: Arc<dyn Signal>) -> (Self::Response, Option<Sink>);
    /// Returns the error as it is written.
    fn failure(error: Self::Error) -> Self::Failure;
    /// Returns the error that was read.
    fn error(failure: Self::Failure) -> Self::Error;
}

/// Bytes that a request is written to.
#[doc(hidden)]
#[derive(Debug)]
pub struct Encoder {
    pub(super) to: Encoded,
    pub(super) limits: Limits,
}

impl Encoder {
    /// Writes a value.
    ///
    /// # Errors
    /// It cannot be written, or there are too many bytes.
    pub fn value<T: Crosses>(&mut self, value: &T) -> Result<(), CodecError> {
        write(value, &mut self.to, self.limits)
    }
}

/// Drops a value that was read before one that could not be: the user's code, which may panic.
pub fn discard<T>(value: T) {
    contain(move || drop(value));
}

/// The bytes of a request.
#[doc(hidden)]
#[derive(Debug)]
pub struct Request<'a> {
    pub(super) rest: &'a [u8],
    pub(super) segments: &'a [Segment],
    pub(super) limits: Limits,
}

impl Request<'_> {
    /// Reads the next value.
    ///
    /// # Errors
    /// The bytes are not those of such a value.
    pub fn value<T: Crosses>(&mut self) -> Result<T, CodecError> {
        let read = || read_some(self.rest, self.limits.bytes);
        let (value, rest) = match self.segments {
            [] => read()?,
            segments => read_beside(segments, read)?,
        };
        self.rest = rest;
        Ok(value)
    }

    /// Checks that nothing follows the last value.
    pub(super) fn finish(&self) -> Result<(), CodecError> {
        match self.rest {
            [] => Ok(()),
            rest => {
                let why = format!("{} bytes follow the last value", rest.len());
                Err(CodecError::Undecodable(why))
            }
        }
    }
}

/// Names a type in a form that is an error at the type itself if it cannot cross a wire, as
/// [`Moves`](crate::diagnose::Moves) does for other values.
#[doc(hidden)]
pub trait Crossing<const CHECKED: bool> {
    /// The type itself.
    type This;
}

impl<T> Crossing<true> for T {
    type This = T;
}

/// Accepts the types whose values can cross a wire.
#[doc(hidden)]
pub const fn crosses_a_wire<T: Crosses>() -> bool {
    true
}
