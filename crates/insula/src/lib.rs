//! Isolates for Rust.
#![forbid(unsafe_code)]

pub use insula_core::*;
pub use insula_macros::{contract, main, test};

#[doc(hidden)]
pub mod __rt;
