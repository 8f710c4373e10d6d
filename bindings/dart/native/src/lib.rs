//! `libinsula_dart`, the library that the Dart package `insula` loads.
//!
//! It exports the whole C ABI (`insula.h`), which Dart calls directly, and functions that C has no
//! use for:
//! - `api`: functions of the Dart VM, from the table that its dynamic API provides;
//! - `arena`: memory for the duration of one call;
//! - `lease`: handles that Dart objects own, and their release when the objects are gone;
//! - `letter`: values of the C ABI as messages to Dart ports, with their external data moved;
//! - `port`: Dart ports as ports of Insula, so that any thread can post to them;
//! - `call`: calls of services whose end is posted to a Dart port, and their cancellation;
//! - `stream`: calls whose items are posted there too, no faster than the program consumes them;
//! - `callback`: callbacks into Dart isolates, for whose answer any thread may wait;
//! - `buffer`: memory that Dart and Rust share without a copy.
//!
//! # Libraries with services of their own
//! A program loads one library. If it needs services in Rust, it builds a `cdylib` of its own which
//! depends on this crate: all functions above become functions of that library, and it opens its
//! services with [`open_service`] in a function that Dart looks up and calls. It has to use an item
//! of this crate, or the linker leaves the crate out. `bindings/dart/samples` is such a library.
//!
//! # Memory
//! Data that moves to Dart is external typed data: Dart's collector calls its finalizer. Data that
//! moves to Rust is a counted reference to a buffer. Everything else is copied, or valid during one
//! call.
//!
//! # Threads
//! The VM's function for posting may be called on every thread, also on threads unknown to the VM.
//! Nothing here calls into Dart in any other way.

mod api;
mod arena;
mod buffer;
mod call;
mod callback;
mod lease;
mod letter;
mod port;
mod stream;

pub use insula_ffi::{
    ABI_VERSION, External, Failure, ServiceSettings, Status, Text, TypedData, Value, open_service,
};
pub use stream::{Items, NotSent};

/// The functions of `insula_dart.h`, for Rust code that works with values of C.
pub mod abi {
    pub use crate::api::DartPort;
    pub use crate::callback::{insula_dart_callback_call, insula_dart_callback_notify};
    pub use crate::port::{insula_dart_port_open, insula_dart_post};
    pub use crate::stream::insula_dart_stream_send;
}
