//! The cases that all transports of calls share, for workers that are processes.
//!
//! The cases and their handlers are those of `crates/pool/tests/conformance`. A handler runs in a child
//! here, so what it shares with its case, the [`stage`], goes over a socket. Left out are those in which a
//! handler calls a service of the parent, which no port reaches.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

#[path = "../../../pool/tests/conformance/contract.rs"]
mod contract;
#[expect(dead_code, reason = "cases that are left out")]
#[path = "../../../pool/tests/conformance/exclusive.rs"]
mod exclusive;
mod harness;
#[path = "../../../pool/tests/conformance/stage.rs"]
mod local;
#[path = "../../../pool/tests/conformance/run.rs"]
mod run;
#[path = "../../../pool/tests/conformance/script.rs"]
mod script;
#[path = "../../../pool/tests/conformance/seam.rs"]
mod seam;
#[expect(dead_code, reason = "cases that are left out")]
#[path = "../../../pool/tests/conformance/shared.rs"]
mod shared;
mod stage;
#[path = "../../../pool/tests/conformance/suite.rs"]
mod suite;
mod transport;

use std::process::ExitCode;

use libtest_mimic::Arguments;

use transport::{EXCLUSIVE, OneProcess, ThreeProcesses};

fn main() -> ExitCode {
    // The two contracts have the same name and the same methods.
    let is_exclusive = std::env::var_os(EXCLUSIVE).is_some();
    insula_process::main(|worker| {
        if is_exclusive {
            worker.serve::<exclusive::ProbeResponder<_>>(|_cx| async {
                Ok(exclusive::Service::default())
            });
        } else {
            worker
                .serve::<shared::ProbeResponder<_>>(|_cx| async { Ok(shared::Service::default()) });
        }
    });
    let mut cases = harness::trials::<OneProcess, ThreeProcesses>("one_process", "three_processes");
    cases.retain(|case| !case.name().contains("::nested::"));
    libtest_mimic::run(&Arguments::from_args(), cases).exit_code()
}
