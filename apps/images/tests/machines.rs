//! Risk: pictures that are made on other machines are others, or are lost with one of them.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use nodes::{Machines, Test, compare, finish, names_in};
use tempfile::TempDir;

const ALL: &[Test] = &[
    (
        "workers_on_machines_make_the_same_pictures",
        workers_on_machines_make_the_same_pictures,
    ),
    (
        "a_machine_that_is_killed_loses_no_picture",
        a_machine_that_is_killed_loses_no_picture,
    ),
    (
        "a_worker_that_is_told_to_stop_ends_well",
        a_worker_that_is_told_to_stop_ends_well,
    ),
    ("what_is_missing_is_said", what_is_missing_is_said),
];

fn main() -> ExitCode {
    nodes::run(ALL)
}

fn machines() -> Machines {
    Machines::start(env!("CARGO_BIN_EXE_images"))
}

/// Makes the pictures of all samples on two workers.
fn start(machines: &Machines, out: &Path) -> Child {
    let mut command = machines.command(&["--quiet", "--workers", "2"]);
    let command = command.arg(photos()).arg("--out").arg(out);
    command.stderr(Stdio::piped()).spawn().unwrap()
}

fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/photos")
}

/// Compares pictures with those that isolates make.
fn check(machines: &Machines, there: &Path) {
    let here = TempDir::new().unwrap();
    let mut local = machines.local(&["--quiet"]);
    let local = local.arg(photos()).arg("--out").arg(here.path()).status();
    assert!(local.unwrap().success());
    assert_eq!(names_in(here.path()).len(), 15);
    compare(here.path(), there);
}

fn workers_on_machines_make_the_same_pictures() {
    let machines = machines();
    let _nodes = [machines.node(), machines.node()];
    let out = TempDir::new().unwrap();
    // Twice, one after the other: the first run has given its workers back.
    for _ in 0..2 {
        finish(start(&machines, out.path()));
        check(&machines, out.path());
    }
}

fn a_machine_that_is_killed_loses_no_picture() {
    let machines = machines();
    let mut first = machines.node();
    let _second = machines.node();
    let out = TempDir::new().unwrap();
    let run = start(&machines, out.path());
    // Once there is a picture, so that both workers have begun.
    while names_in(out.path()).is_empty() {
        std::thread::yield_now();
    }
    let _ = first.end("KILL");
    assert!(names_in(out.path()).len() < 15, "the run was over too soon");
    let _third = machines.node();
    finish(run);
    check(&machines, out.path());
}

fn a_worker_that_is_told_to_stop_ends_well() {
    let machines = machines();
    let mut first = machines.node();
    let _second = machines.node();
    let out = TempDir::new().unwrap();
    let run = start(&machines, out.path());
    while names_in(out.path()).is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(first.end("TERM"), Some(0));
    assert!(names_in(out.path()).len() < 15, "the run was over too soon");
    finish(run);
    check(&machines, out.path());
}

fn what_is_missing_is_said() {
    let machines = machines();
    let out = TempDir::new().unwrap();
    let output = start(&machines, out.path()).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("no node serves version 1 of Pictures"),
        "{said}"
    );
    let mut without_url = Command::new(env!("CARGO_BIN_EXE_images"));
    let output = without_url.arg("worker").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--nats"), "{said}");
}
