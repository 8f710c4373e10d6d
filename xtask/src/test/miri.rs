//! Runs tests of the engine in Miri, which finds undefined behavior on the paths that they take.
//!
//! All of them take most of an hour on two cores, so a run takes one part, which the day selects, or
//! `INSULA_MIRI=N`. With `INSULA_MIRI=all` it takes every test.

use std::path::Path;
use std::process::Command;

use super::{Trouble, Verdict, add_flags, capture, packages, part, pass};

/// The number of parts.
const PARTS: u64 = 8;

/// Parts of the names of tests that Miri skips: it has no sockets, and tests that compute for long
/// or end many times would take hours. AddressSanitizer covers those.
const NOT_INTERPRETED: &[&str] = &[
    "socket",
    "readiness::",
    "threads::",
    "extremes::",
    "foreign::",
    "hostile_ends::",
    "thread_end::",
    "detached::",
    "kept::",
];

/// Runs one part of the tests, or all of them.
///
/// # Errors
/// A test fails, or there is none.
pub(super) fn interpret_some(root: &Path) -> Verdict {
    let version = ["run", "nightly", "cargo", "miri", "--version"];
    let install = "rustup toolchain install nightly --profile minimal --component miri,rust-src";
    packages::provide("Miri in a nightly toolchain", &[install], || {
        capture(Command::new("rustup").args(version)).is_ok()
    })?;
    let tests = match part::of_run("INSULA_MIRI", PARTS)? {
        None => tests(root)?,
        Some(part) => {
            let numbered = (0..).zip(tests(root)?);
            let own = numbered.filter(|(number, _)| number % PARTS == part);
            own.map(|(_, test)| test).collect()
        }
    };
    if tests.is_empty() {
        return Err(Trouble::Failed("there is no test for Miri".to_owned()));
    }
    let has_nextest = capture(Command::new("cargo").args(["nextest", "--version"])).is_ok();
    // Miri runs one thread at a time; nextest runs one Miri per core.
    let mut command = match has_nextest {
        true => miri(root, &["nextest", "run", "--no-fail-fast"]),
        false => miri(root, &["test"]),
    };
    command.args(["--", "--exact"]).args(tests);
    pass(&mut command)
}

/// Returns the names of the tests that Miri can run, in the order of the two test programs.
fn tests(root: &Path) -> Result<Vec<String>, Trouble> {
    let mut list = miri(root, &["test"]);
    list.args(["--", "--list", "--format", "terse"]);
    let listed = capture(&mut list).map_err(Trouble::Failed)?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    let names = listed
        .lines()
        .filter_map(|line| line.strip_suffix(": test"));
    let is_skipped = |name: &&str| NOT_INTERPRETED.iter().any(|part| name.contains(part));
    let names = names.filter(|name| !is_skipped(name));
    Ok(names.map(str::to_owned).collect())
}

/// Returns a command of Miri for the tests of the engine.
fn miri(root: &Path, what: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.current_dir(root);
    command.args(["run", "nightly", "cargo", "miri"]).args(what);
    command.args(["--package", "insula-core", "--lib", "--test", "it"]);
    command.args(["--target-dir", "target/miri"]);
    // The runtime reads the clock, and the threads of the global runtime never end.
    let flags = "-Zmiri-disable-isolation -Zmiri-ignore-leaks";
    add_flags(&mut command, "MIRIFLAGS", flags);
    // Many tests panic, and printing a backtrace takes seconds in Miri.
    command.env("RUST_BACKTRACE", "0");
    command
}
