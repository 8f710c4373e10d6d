//! Mutates the code whose faults are the hardest to see: `cargo mutants` changes one expression at
//! a time, and the tests of its crate must fail.
//!
//! All mutants take days on two cores, so a run tries one part of them, which the day selects: some 5
//! mutants of one group. A mutant belongs to its part by its place in the list of its group, which no
//! change of a test moves: the test that a survivor asks for is tried with the same mutants, on that
//! day or with `INSULA_MUTANTS=N` later on. With `INSULA_MUTANTS=all` a run tries every mutant.
//!
//! `.cargo/mutants.toml` lists the mutants that may survive, each with its reason.

use std::path::Path;
use std::process::Command;

use super::{Trouble, Verdict, capture, packages, part, pass};

/// The number of parts, a multiple of the number of groups.
const PARTS: u64 = 960;

/// The files that are mutated, and the packages whose tests must find that.
const GROUPS: &[Group] = &[
    Group {
        files: &[
            "crates/core/src/memory/lane.rs",
            "crates/core/src/memory/lane/*.rs",
            "crates/core/src/runtime/thread_pool.rs",
            "crates/core/src/runtime/thread_pool/*.rs",
            "crates/core/src/event_loop/timer.rs",
            "crates/core/src/event_loop/timer/*.rs",
            "crates/core/src/blocking/mailbox/*.rs",
            "crates/core/src/blocking/callback/*.rs",
        ],
        tests: "insula-core",
    },
    Group {
        files: &["crates/rpc/src/**/*.rs", "crates/pool/src/**/*.rs"],
        // One suite puts every kind of call under both.
        tests: "insula-rpc,insula-pool",
    },
];

struct Group {
    files: &'static [&'static str],
    tests: &'static str,
}

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
    let part = part::of_run("INSULA_MUTANTS", PARTS)?;
    let mut survivors = Vec::new();
    let mut caught = 0;
    // A part has mutants of one group, since only the first of a group pays for compiling its tests.
    let count = GROUPS.len() as u64;
    for (number, group) in (0..).zip(GROUPS) {
        if part.is_none_or(|part| part % count == number) {
            let found = group.try_shard(root, part.map(|part| (part / count, PARTS / count)))?;
            survivors.extend(found.survivors);
            caught += found.caught;
        }
    }
    if survivors.is_empty() {
        println!("{caught} mutants, all caught");
        return Ok(());
    }
    Err(Trouble::Failed(format!(
        "{} mutants of {} survived:\n{}",
        survivors.len(),
        survivors.len() + caught,
        survivors.join("\n")
    )))
}

#[derive(Default)]
struct Found {
    survivors: Vec<String>,
    caught: usize,
}

impl Group {
    /// Tries the mutants of one shard, given by its number and the number of shards, or all of them.
    fn try_shard(&self, root: &Path, shard: Option<(u64, u64)>) -> Result<Found, Trouble> {
        let mut command = Command::new("cargo");
        command.current_dir(root).arg("mutants");
        for file in self.files {
            command.args(["--file", file]);
        }
        if let Some((number, count)) = shard {
            // Not by a pattern for names, which does not keep every kind of mutant out.
            let shard = format!("{number}/{count}");
            command.args(["--sharding", "round-robin", "--shard", &shard]);
        }
        // One at a time: each job has a folder of its own, where everything is compiled anew. And the
        // tests without a mutant are a usual step, which passes before this one.
        command.args(["--no-shuffle", "--output", "target", "--baseline", "skip"]);
        // A hang counts as caught. No test takes as long as this time-out.
        command.args(["--timeout", "300", "--build-timeout", "900"]);
        command.args(["--test-package", self.tests]);
        command.args(["--", "--lib", "--tests"]);
        // Not an error yet: the command fails for each mutant that survives, and the lists say
        // which.
        let ran = pass(&mut command);
        let list = root.join("target/mutants.out");
        let read = |name: &str| std::fs::read_to_string(list.join(name)).unwrap_or_default();
        let survivors: Vec<_> = read("missed.txt").lines().map(str::to_owned).collect();
        let caught = read("caught.txt").lines().count() + read("timeout.txt").lines().count();
        if survivors.is_empty() && caught == 0 {
            // None of them could be compiled, or the command failed at something else.
            ran?;
        }
        // A mutant that ran into the time-out fails the command too, but it was caught.
        Ok(Found { survivors, caught })
    }
}
