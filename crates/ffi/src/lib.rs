//! The C ABI of Insula: what `insula.h` declares, and `libinsula` exports.
//!
//! The contract with C (ownership, threads, errors, shutdown, fork) stands at the top of the
//! header, and so in `cbindgen.toml`, from which and from the sources under `abi/` the header is
//! made.
//!
//! # Layers
//! - `abi`: the exported functions and the types of C;
//! - `guard`: what each of them goes through; `raw`: pointers of C;
//! - `handle`, `object`: numbers in place of our objects;
//! - `custody`: what a call hands over, and when it changes its owner;
//! - `value`: messages; `callout`: calling C; `in_place`: calls without an isolate;
//! - `state`: start, shutdown, fork; the others: one file for each type of handle.
//!
//! # For programs in Rust
//! A library that is loaded by C or Dart and brings services written in Rust depends on this
//! crate, opens them with [`open_service`], and exports the whole C ABI along with its own
//! functions. Such a library may show a [`Value`] to a function that takes one of C with [`show`].
//!
//! # Locks
//! A slot of the table, the list of free slots, the runtime's place, the waits that a shutdown
//! ends, the count of callbacks, the error hook, whether a service's workers are gone, a port's place for errors, a pinned isolate's entry, a call's stage, the signals, and a
//! custody's stage have one each. None is held while another is taken, but for the list of free slots, which is opened
//! under the runtime's place; none while C code runs, and objects are dropped outside of all of
//! them.

pub mod abi;
mod buffer;
mod callback;
mod callout;
mod custody;
#[cfg(unix)]
mod fork;
mod guard;
mod handle;
mod in_place;
mod isolate;
mod mailbox;
mod native_port;
mod object;
mod port;
mod raw;
mod replying;
mod root;
mod service;
mod serving;
#[cfg_attr(not(unix), path = "signal/elsewhere.rs")]
mod signal;
mod state;
mod timer;
mod value;

#[cfg(test)]
mod tests;

pub use abi::status::{Failure, Status};
pub use abi::types::INSULA_ABI_VERSION as ABI_VERSION;
pub use service::{ServiceSettings, open_service};
pub use value::view::deliver as show;
pub use value::{External, NativePointer, Text, TypedData, Value};
