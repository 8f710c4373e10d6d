//! The exported functions, a file for each group, and the types that they share.
//!
//! A function here reads its arguments, calls one function of the crate, and writes its
//! results; everything goes through the guard. What C has to keep to is told at the top of the
//! header, `cbindgen.toml`.

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

/// A time-out; `None` for none.
fn timeout(nanoseconds: u64) -> Option<Duration> {
    (nanoseconds != INSULA_FOREVER).then(|| Duration::from_nanos(nanoseconds))
}
