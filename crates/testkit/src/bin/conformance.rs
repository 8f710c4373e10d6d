//! Writes the document of the cases and rules to the file that its argument names.
#![forbid(unsafe_code)]

use std::process::ExitCode;

#[expect(clippy::print_stderr, reason = "tells how it is used, and what failed")]
fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: conformance FILE");
        return ExitCode::FAILURE;
    };
    match std::fs::write(&path, insula_testkit::conformance::document()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write {}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
