//! The cases that all transports of calls share, for workers that are processes.
//!
//! The cases and their handlers are those of `crates/pool/tests/conformance`. A handler runs in a child
//! here, so what it shares with its case, the [`stage`], goes over a socket. Left out are the cases on
//! virtual time, which no other process has, and those in which a handler calls a service of the parent,
//! which no port reaches.
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

use harness::Cases;
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
    let lists: [(&str, Cases); 10] = [
        ("one_process::shared", shared::all::<OneProcess>()),
        (
            "one_process::shared",
            shared::one_worker_ordered::<OneProcess>(),
        ),
        (
            "one_process::shared",
            shared::one_worker_bounded::<OneProcess>(),
        ),
        (
            "one_process::shared",
            shared::wired_isolate_copied::<OneProcess>(),
        ),
        ("one_process::exclusive", exclusive::all::<OneProcess>()),
        (
            "one_process::exclusive",
            exclusive::one_worker_ordered::<OneProcess>(),
        ),
        (
            "one_process::exclusive",
            exclusive::one_worker_bounded::<OneProcess>(),
        ),
        (
            "one_process::exclusive",
            exclusive::wired_isolate_copied::<OneProcess>(),
        ),
        ("three_processes::shared", shared::all::<ThreeProcesses>()),
        (
            "three_processes::exclusive",
            exclusive::all::<ThreeProcesses>(),
        ),
    ];
    let lists = lists.map(|(under, mut cases)| {
        cases.retain(|(name, _)| !name.starts_with("nested::"));
        (under, cases)
    });
    libtest_mimic::run(&Arguments::from_args(), harness::trials(lists)).exit_code()
}
