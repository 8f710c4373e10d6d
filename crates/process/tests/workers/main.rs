//! Pools whose workers are processes of this program.
//!
//! A program of its own and not the harness of the tests, since it has to look first of all whether
//! it is such a worker.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

mod calls;
mod deaths;
mod liars;
mod limits;
mod segments;
mod service;
mod startup;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// One test: its name, and what it does.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    liars::lie_if_asked();
    startup::forget_main_if_asked();
    insula_process::main(service::register);
    // A worker that takes itself for the program would start workers of its own, without an end.
    assert!(std::env::var_os("INSULA_WORKER").is_none());
    deaths::be_a_parent_if_asked();
    let all = [
        calls::ALL,
        deaths::ALL,
        liars::ALL,
        limits::ALL,
        segments::ALL,
        startup::ALL,
    ];
    let trials = all.into_iter().flatten().map(|&(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}
