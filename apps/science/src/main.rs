//! The `science` command: simulates a fluid, and computes with matrices.
#![forbid(unsafe_code)]

mod cli;
mod md;
mod solve;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use command::Outcome;

use crate::cli::{Command, Options};

// Not `#[insula::main]`: this thread reads and writes all files. Outside of isolates it can block
// without delaying any of them.
fn main() -> ExitCode {
    // First of all: a worker of `--kind process` is a process of this program.
    insula::process::main(science::matrices::serve);
    let Options { command } = Options::parse();
    let outcome = insula::block_on(async {
        match &command {
            Command::Md(options) => md::run(options).await,
            Command::Matrices(options) => solve::run(options).await,
        }
    });
    let outcome = outcome.unwrap_or_else(|message| {
        // An error cannot be reported anywhere if standard error is closed.
        let _ = writeln!(io::stderr().lock(), "science: {message}");
        Outcome::NothingToDo
    });
    outcome.into()
}
