//! Risk: a chapter shows a program that does not run, or an output that it does not have.

use std::process::Command;

use super::read;

/// The programs in Rust. Those in C and Dart run in steps of `cargo xtask test`.
const PROGRAMS: &[(&str, &str)] = &[
    ("isolates", env!("CARGO_BIN_EXE_isolates")),
    ("messages", env!("CARGO_BIN_EXE_messages")),
    ("event_loop", env!("CARGO_BIN_EXE_event_loop")),
    ("control", env!("CARGO_BIN_EXE_control")),
    ("waiting", env!("CARGO_BIN_EXE_waiting")),
    ("pools", env!("CARGO_BIN_EXE_pools")),
    #[cfg(target_os = "linux")]
    ("processes", env!("CARGO_BIN_EXE_processes")),
    ("callbacks", env!("CARGO_BIN_EXE_callbacks")),
    ("embedding", env!("CARGO_BIN_EXE_embedding")),
    ("stuck", env!("CARGO_BIN_EXE_stuck")),
];

#[test]
fn every_program_prints_what_its_chapter_shows() {
    for (name, program) in PROGRAMS {
        let output = Command::new(program).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {errors}");
        let printed = String::from_utf8_lossy(&output.stdout);
        let expected = read(&format!("programs/{name}.expected"));
        assert_eq!(printed, expected, "{name} printed something else: {errors}");
    }
}
