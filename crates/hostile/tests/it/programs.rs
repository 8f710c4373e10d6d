//! Risk: a combination of operations that no test was written for ends the process, hangs, or
//! leaves something behind.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Times that a kept program runs. What it does on threads is another thing each time.
const TIMES: &str = "20";

fn hostile(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(env!("CARGO_BIN_EXE_insula-hostile"))
        .args(arguments)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let out = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}\n{out}\n{errors}", output.status))
}

fn kept_programs() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("programs");
    let entries = folder
        .read_dir()
        .expect("the folder of kept programs is there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn programs_that_failed_once_do_not_fail_again() {
    let mut failures = Vec::new();
    for path in kept_programs() {
        let path = path.to_string_lossy();
        if let Err(why) = hostile(&["file", &path, TIMES]) {
            failures.push(format!("{path}: {why}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Runs as many programs as take a few seconds.
fn run(kind: &str, calls: &str, count: &str) {
    // Two of these run side by side.
    let arguments = [
        "run", "--kind", kind, "--calls", calls, "--count", count, "--jobs", "1", "--limit", "20",
    ];
    if let Err(why) = hostile(&arguments) {
        panic!("{why}");
    }
}

#[test]
fn programs_on_virtual_time_end_well() {
    run("seeded", "none", "700");
}

#[test]
fn programs_on_threads_end_well() {
    run("threads", "none", "300");
}

#[test]
fn calls_on_virtual_time_end_well() {
    run("seeded", "only", "700");
}

#[test]
fn calls_on_threads_end_well() {
    run("threads", "only", "300");
}
