//! Pools and nodes with a NATS server between, which `cargo xtask test --full` has installed.
//!
//! A program of its own and not the harness of the tests, since it is a node too, which tests kill.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

mod calls;
mod forgeries;
mod jobs;
mod losses;
mod permissions;
mod server;
mod service;
mod starts;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// One test: its name, and what it does.
type Test = (&'static str, fn());

fn main() -> ExitCode {
    service::be_a_node_if_asked();
    jobs::work_if_asked();
    let mut trials = Vec::new();
    if server::program().is_some() {
        let all = [
            calls::ALL,
            forgeries::ALL,
            jobs::ALL,
            losses::ALL,
            permissions::ALL,
            starts::ALL,
        ];
        trials.extend(all.into_iter().flatten().map(|&(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
