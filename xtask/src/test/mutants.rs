//! Mutates the code whose faults are the hardest to see: `cargo mutants` changes one expression at
//! a time, and the tests of its crate must fail.
//!
//! All mutants take hours on two cores, so a run tries one part of them. The number of commits
//! selects the part, so consecutive runs cover them all. With `INSULA_MUTANTS=all` a run tries
//! every mutant.
//!
//! `.cargo/mutants.toml` lists the mutants that may survive, each with its reason.

use std::path::Path;
use std::process::Command;

use super::{Trouble, Verdict, capture, packages, pass};

/// The number of parts. One part has some 8 mutants.
const PARTS: u64 = 240;

/// The files that are mutated.
const FILES: &[&str] = &[
    "crates/core/src/memory/lane.rs",
    "crates/core/src/memory/lane/*.rs",
    "crates/core/src/runtime/thread_pool.rs",
    "crates/core/src/runtime/thread_pool/*.rs",
    "crates/core/src/event_loop/timer.rs",
    "crates/core/src/event_loop/timer/*.rs",
    "crates/core/src/blocking/mailbox/*.rs",
    "crates/core/src/blocking/callback/*.rs",
    "crates/rpc/src/**/*.rs",
    "crates/pool/src/**/*.rs",
];

/// Tries one part of the mutants, or all of them.
///
/// # Errors
/// Fails if a mutant survives that is not listed.
pub(super) fn try_some(root: &Path) -> Verdict {
    let version = ["mutants", "--version"];
    let install = "cargo install --locked cargo-mutants";
    packages::provide("cargo-mutants", &[install], || {
        capture(Command::new("cargo").args(version)).is_ok()
    })?;
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["mutants", "--no-shuffle"]);
    command.args(["--output", "target", "--jobs", "2"]);
    // A hang counts as caught. No test takes as long as this time-out.
    command.args(["--timeout", "120", "--build-timeout", "600"]);
    for file in FILES {
        command.args(["--file", file]);
    }
    if std::env::var_os("INSULA_MUTANTS").is_none_or(|value| value != "all") {
        let part = format!("{}/{PARTS}", commits(root)? % PARTS);
        // Round-robin, so that each part has mutants from all over the files.
        command.args(["--shard", &part, "--sharding", "round-robin"]);
    }
    command.args(["--", "--lib", "--tests"]);
    let ran = pass(&mut command);
    // A mutant that ran into the time-out fails the command too, but it was caught.
    let list = root.join("target/mutants.out");
    let read = |name: &str| std::fs::read_to_string(list.join(name)).unwrap_or_default();
    let (missed, caught) = (
        read("missed.txt"),
        read("caught.txt") + &read("timeout.txt"),
    );
    match (missed.lines().count(), caught.lines().count()) {
        (0, 0) => ran,
        (0, caught) => {
            println!("{caught} mutants, all caught");
            Ok(())
        }
        (missed, caught) => Err(Trouble::Failed(format!(
            "{missed} mutants of {} survived: target/mutants.out/missed.txt",
            missed + caught
        ))),
    }
}

fn commits(root: &Path) -> Result<u64, Trouble> {
    let mut git = Command::new("git");
    git.current_dir(root).args(["rev-list", "--count", "HEAD"]);
    let output = capture(&mut git).map_err(Trouble::Impossible)?;
    let count = String::from_utf8_lossy(&output.stdout).trim().parse();
    count.map_err(|_| Trouble::Failed("git tells no number of commits".to_owned()))
}
