//! The analytics program, on real tables, on reference data, and on numbers made for one purpose.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

mod support;

mod command;
mod learning;
mod nist;
mod page;
mod points;
mod readme;
mod realtime;
mod series;
mod service;
mod statistics;
mod table;
