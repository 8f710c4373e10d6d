//! The `insula` command: shows what the isolates and pools of a running program do.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod failure;
mod look;
mod order;
mod output;
mod pprof;
mod record;
mod table;
mod tables;
mod target;
mod text;
mod top;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let options = cli::Options::parse();
    match commands::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(line) = failure.line() {
                // An error cannot be reported anywhere if standard error is closed.
                let _ = writeln!(io::stderr().lock(), "insula: {line}");
            }
            ExitCode::from(&failure)
        }
    }
}
