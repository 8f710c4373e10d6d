//! Mutates the code whose faults are the hardest to see: `cargo mutants` changes one expression at
//! a time, and the tests of its crate must fail.
//!
//! All mutants take hours on two cores, so a run tries one part of them. The day selects the part:
//! a run on each day covers them all in the end, and the test that a survivor asks for is tried with
//! the same mutants on the day on which it is written. With `INSULA_MUTANTS=N` a run tries part N,
//! and with `INSULA_MUTANTS=all` every mutant.
//!
//! `.cargo/mutants.toml` lists the mutants that may survive, each with its reason.

use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

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
    if let Some(part) = part()? {
        println!("part {part} of {PARTS}");
        // Round-robin, so that each part has mutants from all over the files.
        let shard = format!("{part}/{PARTS}");
        command.args(["--shard", &shard, "--sharding", "round-robin"]);
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

/// The part that this run tries; `None` for all of them.
fn part() -> Result<Option<u64>, Trouble> {
    match std::env::var("INSULA_MUTANTS").as_deref() {
        Err(_) => Ok(Some(days_since_1970() % PARTS)),
        Ok("all") => Ok(None),
        Ok(part) => match part.parse() {
            Ok(part) if part < PARTS => Ok(Some(part)),
            _ => Err(Trouble::Failed(format!(
                "INSULA_MUTANTS is '{part}': it is a number below {PARTS}, or 'all'"
            ))),
        },
    }
}

fn days_since_1970() -> u64 {
    let time = SystemTime::now().duration_since(UNIX_EPOCH);
    time.map_or(0, |time| time.as_secs() / (24 * 60 * 60))
}
