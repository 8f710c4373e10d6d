//! The command `insula` as its users and their scripts meet it.
//!
//! The inspector behind it is one of these tests (`inspector.rs`), which answers what a test wants.
//! Tests with a real program belong in a module beside these, and can use `terminal.rs` as it is.
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
mod records;
mod screen;
mod support;
mod terminal;
