//! The C ABI of Insula: the functions and types that `insula.h` declares and `libinsula` exports.
//!
//! The top of the header states the contract with C (ownership, threads, errors, shutdown, fork).
//! `cbindgen` generates the header from `cbindgen.toml`, which holds that text, and from the
//! sources under `abi/`.
//!
//! # Layers
//! - `abi`: the exported functions and the types of C;
//! - `guard`: the wrapper of each of them; `raw`: pointers from C;
//! - `handle`, `object`: numbers in place of our objects;
//! - `custody`: the things that a call hands over, and the point at which they change their owner;
//! - `value`: messages; `callout`: calls of C functions; `in_place`: calls without an isolate;
//! - `state`: start, shutdown, fork; the others: one file for each type of handle.
//!
//! # For programs in Rust
//! A library that C or Dart loads, and that brings services written in Rust, depends on this crate,
//! opens them with [`open_service`], and exports the whole C ABI along with its own functions. To
//! pass a [`Value`] to a function that takes one of C it calls [`show`].
//!
//! # Locks
//! Each of these has a lock of its own: a slot of the table, the list of free slots, the runtime,
//! the waits that a shutdown ends, the count of callbacks, the error hook, the names of services,
//! the flag that a service's workers are gone, a port's place for errors, the stage of a call in
//! place, the signals, and the stage of a custody. No lock is held while another is taken, with two
//! exceptions: the list of free slots is locked under the runtime's lock when it is opened, and a
//! slot is locked under the list when it is taken. No lock is held while C code runs, and objects
//! are dropped outside of all locks.

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
