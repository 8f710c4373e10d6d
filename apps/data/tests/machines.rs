//! Risk: records that are processed on other machines are others, or are lost with one of them.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use nodes::{Machines, Test, compare, finish, wait_for_part};
use tempfile::TempDir;

const ALL: &[Test] = &[
    (
        "each_command_has_the_same_output_with_workers_on_machines",
        each_command_has_the_same_output_with_workers_on_machines,
    ),
    (
        "a_machine_that_is_killed_loses_no_chunk",
        a_machine_that_is_killed_loses_no_chunk,
    ),
];

fn main() -> ExitCode {
    nodes::run(ALL)
}

fn machines() -> Machines {
    Machines::start(env!("CARGO_BIN_EXE_data"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn each_command_has_the_same_output_with_workers_on_machines() {
    let machines = machines();
    let _nodes = [machines.node(), machines.node()];
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/weather/seattle.csv");
    let table = text(&table);
    for arguments in [
        &["process", table, "--value", "wind", "--step", "sqrt"][..],
        &["compute", "median", "--file", table, "--value", "wind"],
        &["batches", table, "--json"],
        &["ingest", table],
    ] {
        let folder = TempDir::new().unwrap();
        let [here, there] = ["here", "there"].map(|name| {
            let out = folder.path().join(name);
            std::fs::create_dir(&out).unwrap();
            let file = out.join("records.csv");
            let mut command = match name {
                "here" => machines.local(arguments),
                _ => machines.command(arguments),
            };
            if ["process", "ingest"].contains(&arguments[0]) {
                command.args(["--quiet", "--out", text(&file)]);
            } else {
                // A file beside, so that there is one to be compared.
                std::fs::write(file, "").unwrap();
            }
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            (out, finish(command.spawn().unwrap()))
        });
        assert_eq!(here.1.stdout, there.1.stdout, "{arguments:?}");
        compare(&here.0, &there.0);
    }
}

fn a_machine_that_is_killed_loses_no_chunk() {
    let machines = machines();
    let mut first = machines.node();
    let mut second = machines.node();
    let folder = TempDir::new().unwrap();
    let [table, here, there] = ["table.csv", "here", "there"].map(|it| folder.path().join(it));
    let mut made = machines.local(&["generate", "--items", "1000000", "--out", text(&table)]);
    assert!(made.stdout(Stdio::null()).status().unwrap().success());
    let into = |folder: &PathBuf| {
        std::fs::create_dir(folder).unwrap();
        folder.join("records.csv")
    };
    let arguments = ["process", text(&table), "--step", "sqrt", "--quiet"];
    let mut local = machines.local(&arguments);
    finish(local.arg("--out").arg(into(&here)).spawn().unwrap());
    let mut command = machines.command(&arguments);
    command.args(["--workers", "2", "--chunks", "400"]);
    command
        .arg("--out")
        .arg(into(&there))
        .stderr(Stdio::piped());
    let mut run = command.spawn().unwrap();
    wait_for_part(&mut run, &there, 1);
    // Both, since the calls of one would wait for the other.
    let _ = (first.end("KILL"), second.end("KILL"));
    assert_eq!(run.try_wait().unwrap(), None, "the run was over too soon");
    let _others = [machines.node(), machines.node()];
    finish(run);
    compare(&here, &there);
}
