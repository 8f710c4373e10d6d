//! The data program, on tables that others have written and on some made for one purpose each.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

mod support;

mod bad_rows;
mod command;
mod formats;
mod nist;
mod numpy;
mod readers;
mod readme;
mod service;
