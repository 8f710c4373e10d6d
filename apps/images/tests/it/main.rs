//! The pictures program, on real photos and on pictures made for one purpose each.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

mod support;

mod color_profile;
mod command;
mod damaged;
mod files;
mod formats;
mod operations;
mod orientation;
mod pool;
mod reduced_decoding;
