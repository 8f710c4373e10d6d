//! Risk: what is computed on other machines has other bits, or is lost with one of them.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

use std::path::Path;
use std::process::{ExitCode, Stdio};

use nodes::{Machines, Test, compare, finish, wait_for_part};
use tempfile::TempDir;

const ALL: &[Test] = &[
    (
        "a_fluid_on_a_machine_has_the_same_bits",
        a_fluid_on_a_machine_has_the_same_bits,
    ),
    (
        "a_fluid_whose_machine_is_killed_has_the_same_bits",
        a_fluid_whose_machine_is_killed_has_the_same_bits,
    ),
    (
        "matrices_on_machines_have_the_same_bits",
        matrices_on_machines_have_the_same_bits,
    ),
];

fn main() -> ExitCode {
    nodes::run(ALL)
}

fn machines() -> Machines {
    Machines::start(env!("CARGO_BIN_EXE_science"))
}

/// The arguments for a small fluid, with so many steps.
fn fluid(steps: &str) -> Vec<&str> {
    let size = ["md", "--particles", "500", "--cutoff", "2.5", "--quiet"];
    let course = ["--equilibrate", "50", "--frames", "50", "--steps", steps];
    [size, course].concat()
}

/// Does the same here and there, and compares what is written.
fn check(machines: &Machines, arguments: &[&str], there: &Path) {
    let here = TempDir::new().unwrap();
    let mut local = machines.local(arguments);
    finish(local.arg("--out").arg(here.path()).spawn().unwrap());
    compare(here.path(), there);
}

fn a_fluid_on_a_machine_has_the_same_bits() {
    let machines = machines();
    let _node = machines.node();
    let out = TempDir::new().unwrap();
    let arguments = fluid("200");
    let mut command = machines.command(&arguments);
    command
        .args(["--workers", "3"])
        .arg("--out")
        .arg(out.path());
    finish(command.stderr(Stdio::piped()).spawn().unwrap());
    check(&machines, &arguments, out.path());
}

fn a_fluid_whose_machine_is_killed_has_the_same_bits() {
    let machines = machines();
    let mut first = machines.node();
    let out = TempDir::new().unwrap();
    let arguments = fluid("5000");
    let mut command = machines.command(&arguments);
    command.arg("--out").arg(out.path()).stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    // Some frames, which the second machine computes again.
    wait_for_part(&mut run, out.path(), 500_000);
    let _ = first.end("KILL");
    assert_eq!(run.try_wait().unwrap(), None, "the run was over too soon");
    let _second = machines.node();
    finish(run);
    check(&machines, &arguments, out.path());
}

fn matrices_on_machines_have_the_same_bits() {
    let machines = machines();
    let _nodes = [machines.node(), machines.node()];
    let out = TempDir::new().unwrap();
    let arguments = ["matrices", "--generate", "random:60", "--quiet"];
    let mut command = machines.command(&arguments);
    command
        .args(["--workers", "2"])
        .arg("--out")
        .arg(out.path());
    finish(command.stderr(Stdio::piped()).spawn().unwrap());
    check(&machines, &arguments, out.path());
}
