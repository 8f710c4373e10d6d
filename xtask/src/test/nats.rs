//! Runs pools whose workers are in other processes, with a NATS server between.

use std::path::Path;
use std::process::Command;

use super::{Verdict, capture, cargo, packages, pass};

/// Debian has the server where only the administrator's path leads.
const PLACES: &[&str] = &["nats-server", "/usr/sbin/nats-server"];

/// Runs the tests that need a server: those of the library, and of the programs.
pub(super) fn run_workers(root: &Path) -> Verdict {
    packages::require(&["nats-server"], || server().is_some())?;
    let mut command = cargo(root);
    command.args(["test", "--package", "insula-nats"]);
    for program in ["images", "data", "analytics", "science"] {
        command.args(["--package", program, "--features"]);
        command.arg(format!("{program}/nats"));
    }
    command.args(["--test", "servers", "--test", "machines"]);
    // Each test has a server of its own.
    pass(command.env("INSULA_NATS_SERVER", server().unwrap_or_default()))
}

fn server() -> Option<&'static str> {
    let is_there = |program: &&&str| capture(Command::new(program).arg("--version")).is_ok();
    PLACES.iter().find(is_there).copied()
}
