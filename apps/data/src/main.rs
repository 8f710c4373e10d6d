//! The `data` command: tables of measurements in, processed records and their summary out.
#![forbid(unsafe_code)]

mod cli;
mod failure;
mod generate;
mod ingest;
mod numbers;
mod pass;
mod process;
mod reading;

use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;

use clap::Parser;
use command::{Outcome, Stop};
use futures_util::future::{Either, select};

use crate::cli::{Command, Options, Program};
use crate::failure::Failure;

/// The name in front of messages.
const NAME: &str = "data";

/// The name of a node for its inspector, which tells it from a run on the same machine.
const WORKER: &str = "data-worker";

// Not `#[insula::main]`: this thread writes all files. Outside of isolates it can block without
// delaying any of them.
fn main() -> ExitCode {
    // First of all: a worker of `--kind process` is a process of this program.
    insula::process::main(data::serve);
    let options = Options::parse();
    let outcome = insula::block_on(run(&options)).unwrap_or_else(|Failure(message)| {
        // An error cannot be reported anywhere if standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{NAME}: {message}");
        Outcome::NothingToDo
    });
    outcome.into()
}

async fn run(options: &Options) -> Result<Outcome, Failure> {
    // First, so that no request to stop ends the program between a temporary file and its new name.
    let mut stop = Stop::listen().map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;
    let command = match &options.program {
        Program::Run(command) => command,
        Program::Worker(node) => {
            let _inspected = options.inspect.start(WORKER)?;
            node.serve(data::MOST_BYTES, data::serve, stop).await?;
            return Ok(Outcome::Done);
        }
    };
    let inspected = options.inspect.start(NAME)?;
    let work = pin!(async {
        match command {
            Command::Process(options) => process::run(options).await,
            Command::Compute(options) => numbers::compute(options).await,
            Command::Batches(options) => ingest::batches(options).await,
            Command::Ingest(options) => ingest::ingest(options).await,
            Command::Generate(options) => generate::run(options).await,
        }
    });
    let outcome = match select(&mut stop, work).await {
        // What was written so far goes with the work: a file has its name only when it is complete.
        Either::Left(_) => Outcome::Interrupted,
        Either::Right((outcome, _)) => outcome?,
    };
    inspected.stay(NAME, outcome, &mut stop).await;
    Ok(outcome)
}

/// Prints what was asked for.
fn print(text: impl std::fmt::Display) {
    // If the reader of the output is gone, it is not needed.
    let _ = writeln!(io::stdout().lock(), "{text}");
}
