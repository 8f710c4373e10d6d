//! The command `insula` as its users and their scripts meet it.
//!
//! The inspector behind it is one of these tests (`inspector.rs`), which answers what a test wants, but
//! for the tests in `real.rs`, which have a real program (`program.rs`).
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

mod announcements;
mod control;
mod failures;
mod inspector;
mod output;
mod program;
mod real;
mod records;
mod screen;
mod signals;
mod support;
mod terminal;
