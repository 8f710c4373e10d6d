//! The exported functions, one file for each group, and the types that they share.
//!
//! A function here reads its arguments, calls one function of the crate, and writes its results;
//! each runs inside the guard. The rules for C are at the top of the header, and so in
//! `cbindgen.toml`.

pub mod callback;
pub mod isolate;
pub mod mailbox;
pub mod port;
pub mod root;
pub mod runtime;
pub mod service;
pub mod signal;
pub mod status;
pub mod timer;
pub mod types;

use std::time::Duration;

use self::types::INSULA_FOREVER;

/// Converts a time-out; `None` means no limit.
fn timeout(nanoseconds: u64) -> Option<Duration> {
    (nanoseconds != INSULA_FOREVER).then(|| Duration::from_nanos(nanoseconds))
}
