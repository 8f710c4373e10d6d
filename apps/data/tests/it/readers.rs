//! Risk: a reader of the output that stops reading, and so holds the program for ever.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::yield_now;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{data, weather};

/// The bytes that a pipe holds.
const PIPE: u64 = 64 << 10;

/// Begins to print many batches, and reads the first of them.
fn begin(folder: &TempDir) -> (Child, BufReader<ChildStdout>) {
    let table = folder.path().join("a.csv");
    let lines: String = (0..200_000).map(|number| format!("a,{number}\n")).collect();
    fs::write(&table, format!("id,n\n{lines}")).unwrap();
    let mut command = data(&["batches", table.to_str().unwrap(), "--batch", "1"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("batch 0: "), "{line}");
    (child, output)
}

#[track_caller]
fn wait(child: &mut Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "it goes on");
        yield_now();
    }
}

/// The bytes that a process has written to anything.
fn written(process: u32) -> u64 {
    let figures = fs::read_to_string(format!("/proc/{process}/io")).unwrap();
    let figure = figures.lines().find_map(|it| it.strip_prefix("wchar: "));
    figure.unwrap().parse().unwrap()
}

#[test]
fn a_program_whose_output_is_not_read_can_be_interrupted() {
    let folder = TempDir::new().unwrap();
    let (mut child, output) = begin(&folder);
    // Until the pipe is about full, and nothing more goes into it.
    let (mut before, mut same) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(60);
    while same < 1_000 {
        assert!(Instant::now() < deadline);
        let now = written(child.id());
        same = if now == before && now > PIPE / 2 {
            same + 1
        } else {
            0
        };
        before = now;
        yield_now();
    }
    // The pipe, and what the reader has taken out of it.
    assert!(before < 4 * PIPE, "{before}");
    let process = child.id().to_string();
    let kill = Command::new("kill").args(["-INT", &process]).status();
    assert!(kill.unwrap().success());
    assert_eq!(wait(&mut child), Some(130));
    drop(output);
}

#[test]
fn a_program_whose_output_is_gone_ends() {
    let folder = TempDir::new().unwrap();
    let (mut child, output) = begin(&folder);
    drop(output);
    assert_eq!(wait(&mut child), Some(0));
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let table = weather();
    let mut command = data(&["batches", table.to_str().unwrap(), "--value", "wind"]);
    command.stdout(fs::File::create("/dev/full").unwrap());
    let result = command.stderr(Stdio::piped()).output().unwrap();
    let errors = String::from_utf8_lossy(&result.stderr);
    assert_eq!(result.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("standard output: cannot write: "),
        "{errors}"
    );
}
