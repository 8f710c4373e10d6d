//! What the fuzz targets have in common.
//!
//! A target is a program in `fuzz_targets`. It takes bytes as another program might send them, gives
//! them to one decoder, and checks more than that nothing panics: the memory that was allocated is
//! bounded by the bytes, what was read is written as it was, and what was begun comes to one end.
//!
//! `cargo xtask test --full "--step=fuzz targets"` runs each for a while. One alone:
//!
//! ```text
//! cargo fuzz run --sanitizer none --target-dir target/fuzz value target/fuzz/corpus/value
//! ```
//!
//! The first inputs of a target are made by itself, from valid values ([`seeds`]). There is no
//! sanitizer, because a target of code that forbids unsafe code runs three times as often without, and
//! the files with unsafe code are run under one by another step. Overflows and debug assertions are
//! checked.
#![forbid(unsafe_code)]

use std::alloc::System;

use insula_memory::Tracking;

mod limit;
pub mod link;
pub mod samples;
mod script;
mod seeds;
pub mod service;

pub use limit::within;
pub use script::{Script, Steps};
pub use seeds::plant;

#[global_allocator]
static ALLOCATOR: Tracking = Tracking::new(System);
