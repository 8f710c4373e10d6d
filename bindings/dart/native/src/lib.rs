//! `libinsula_dart`: what the Dart package `insula` loads.
//!
//! It exports the whole C ABI (`insula.h`), which Dart calls directly, and beside it what C has
//! no use for:
//! - `api`: functions of the Dart VM, from the table that its dynamic API hands over;
//! - `letter`: values of the C ABI as messages to Dart ports, with their external data moved;
//! - `port`: ports of Dart as ports of Insula, so that everybody can post to them;
//! - `call`: calls of services whose end, or whose items, go to a Dart port;
//! - `callback`: callbacks into Dart isolates, for whose answer any thread may wait;
//! - `buffer`: memory that Dart and Rust share without a copy;
//! - `pictures`: the picture service of the program `images`;
//! - `sample`: native threads and services for the package's tests and examples.
//!
//! # Memory
//! What crosses to Dart for good is external typed data: Dart's collector calls its finalizer.
//! What crosses to Rust for good are references to buffers, which are counted. Everything else
//! is copied, or valid during one call.
//!
//! # Threads
//! The VM's function for posting may be called on every thread, also those that never saw the
//! VM. Nothing here calls into Dart in any other way.

mod api;
mod buffer;
mod call;
mod callback;
mod letter;
mod pictures;
mod port;
mod sample;

pub use insula_ffi::ABI_VERSION;
