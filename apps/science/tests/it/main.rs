//! The programs of science, against values that other programs and laboratories have published.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

mod support;

mod command;
mod conservation;
mod domains;
mod forces;
mod matrices;
mod matrix_pool;
mod plots;
mod readme;
mod thermodynamics;
mod trajectories;
mod watch;
