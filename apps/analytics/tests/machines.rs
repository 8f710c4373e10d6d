//! Risk: what is found out on other machines is something else.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nodes::{Machines, Test, finish};
use serde_json::Value;
use tempfile::TempDir;

const ALL: &[Test] = &[
    (
        "a_report_of_machines_has_the_same_figures",
        a_report_of_machines_has_the_same_figures,
    ),
    (
        "a_stream_has_the_same_answers_from_a_machine",
        a_stream_has_the_same_answers_from_a_machine,
    ),
];

fn main() -> ExitCode {
    nodes::run(ALL)
}

fn machines() -> Machines {
    Machines::start(env!("CARGO_BIN_EXE_analytics"))
}

fn a_report_of_machines_has_the_same_figures() {
    let machines = machines();
    let _nodes = [machines.node(), machines.node()];
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/weather/seattle.csv");
    let arguments = ["report", table.to_str().unwrap(), "--trees", "5", "--json"];
    let figures = |mut command: Command| {
        let folder = TempDir::new().unwrap();
        command.arg("--out").arg(folder.path().join("page.html"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = finish(command.spawn().unwrap());
        let mut figures: Value = serde_json::from_slice(&output.stdout).unwrap();
        // The times, and which worker has done how much.
        let processing = figures.as_object_mut().unwrap().remove("processing");
        (figures, processing.unwrap())
    };
    let (here, _) = figures(machines.local(&arguments));
    let (there, processing) =
        figures(machines.command(&[&arguments[..], &["--workers", "2"]].concat()));
    assert_eq!(here, there);
    let calls = processing["calls_of_workers"].as_array().unwrap();
    assert!(calls.iter().all(|it| it.as_u64() > Some(0)), "{calls:?}");
}

fn a_stream_has_the_same_answers_from_a_machine() {
    let machines = machines();
    let _node = machines.node();
    let mut points = "time,value\n".to_owned();
    for second in 0..1_000_u32 {
        // One in a hundred is unusual.
        let value = if second % 100 == 99 { 50 } else { second % 7 };
        points += &format!("{second},{value}\n");
    }
    let lines = |mut command: Command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut run = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut input = run.stdin.take().unwrap();
        let points = points.clone();
        let writer = std::thread::spawn(move || input.write_all(points.as_bytes()));
        let output = finish(run);
        writer.join().unwrap().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().map(str::to_owned).collect::<Vec<_>>();
        // Without the last one, which has the times.
        lines[..lines.len() - 1].to_vec()
    };
    let arguments = ["stream", "--json", "--window", "1m"];
    let here = lines(machines.local(&arguments));
    assert!(here.len() > 5, "{here:?}");
    assert_eq!(here, lines(machines.command(&arguments)));
}
