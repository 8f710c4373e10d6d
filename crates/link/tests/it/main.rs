//! Two ends of a link in one simulation, whose medium delays frames and is lost at any step.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

mod bounds;
mod frames;
mod medium;
mod service;
mod simulation;
