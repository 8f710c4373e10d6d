//! The `science` command: simulates a fluid, and computes with matrices.
#![forbid(unsafe_code)]

mod cli;
mod md;
mod solve;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use command::{Outcome, Stop};

use crate::cli::{Command, Options};

// Not `#[insula::main]`: this thread reads and writes all files. Outside of isolates it can block
// without delaying any of them.
fn main() -> ExitCode {
    // First of all: a worker of `--kind process` is a process of this program.
    insula::process::main(science::matrices::serve);
    let options = Options::parse();
    let outcome = insula::block_on(run(&options));
    let outcome = outcome.unwrap_or_else(|message| {
        // An error cannot be reported anywhere if standard error is closed.
        let _ = writeln!(io::stderr().lock(), "science: {message}");
        Outcome::NothingToDo
    });
    outcome.into()
}

async fn run(options: &Options) -> Result<Outcome, String> {
    // First, so that no request to stop ends the program between a temporary file and its new name.
    let mut stop = Stop::listen().map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;
    let inspected = options.inspect.start("science")?;
    let outcome = match &options.command {
        Command::Md(options) => md::run(options, &mut stop).await?,
        Command::Matrices(options) => solve::run(options, &mut stop).await?,
    };
    inspected.stay("science", outcome, &mut stop).await;
    Ok(outcome)
}
