//! Risk: a mistake in a contract is reported several times, far from its place, or without the
//! words that say what to write; or a contract that is right does not compile.
//!
//! The modules in `accepted` are contracts that compile and do what they say. Each file in the other
//! folders is compiled by itself, and the compiler's output is compared with the file of the same
//! name that ends in `.stderr`. `TRYBUILD=overwrite` writes those files anew: read the difference.

mod accepted;

use std::io::Write;
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

#[test]
fn mistakes_are_reported_once_and_at_their_place() {
    let (done, is_done) = mpsc::channel::<()>();
    // The first compilation may take longer than the 20 s for which `cargo xtask watch` lets a test
    // program wait in silence.
    let compiling = thread::spawn(move || {
        while is_done.recv_timeout(Duration::from_secs(5)) == Err(RecvTimeoutError::Timeout) {
            // Not `println`, whose output is kept until the test has ended.
            let _ = writeln!(std::io::stdout(), "mistakes are being compiled");
        }
    });
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/mistakes/*.rs");
    if is_the_worded_version() {
        cases.compile_fail("tests/ui/worded_by_the_compiler/*.rs");
    }
    // The cases run when this is dropped.
    drop(cases);
    drop(done);
    compiling.join().expect("does not panic");
}

/// The texts in `worded_by_the_compiler` are in part those of this version, and are not compared
/// with those of another.
const WORDED: &str = "rustc 1.95.0 ";

fn is_the_worded_version() -> bool {
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(compiler).arg("--version").output();
    let version = version.expect("there is a compiler").stdout;
    String::from_utf8_lossy(&version).starts_with(WORDED)
}
