//! The `analytics` command: a report on a table as one page, and a live analysis of points.
#![forbid(unsafe_code)]

mod cli;
mod follow;
mod make_report;

use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;

use clap::Parser;
use command::{Outcome, Stop};
use futures_util::future::{Either, select};

use crate::cli::{Command, Options, Program};

/// The name in front of messages.
const NAME: &str = "analytics";

/// The name of a node for its inspector, which tells it from a run on the same machine.
const WORKER: &str = "analytics-worker";

// Not `#[insula::main]`: this thread writes all files. Outside of isolates it can block without
// delaying any of them.
fn main() -> ExitCode {
    // First of all: a worker of `--kind process` is a process of this program.
    insula::process::main(analytics::serve);
    let options = Options::parse();
    let outcome = insula::block_on(run(&options)).unwrap_or_else(|message| {
        // An error cannot be reported anywhere if standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{NAME}: {message}");
        Outcome::NothingToDo
    });
    outcome.into()
}

async fn run(options: &Options) -> Result<Outcome, String> {
    // First, so that no request to stop ends the program between a temporary file and its new name.
    let mut stop = Stop::listen().map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;
    let command = match &options.program {
        Program::Run(command) => command,
        Program::Worker(node) => {
            let _inspected = options.inspect.start(WORKER)?;
            node.serve(analytics::MOST_BYTES, analytics::serve, stop)
                .await?;
            return Ok(Outcome::Done);
        }
    };
    let inspected = options.inspect.start(NAME)?;
    let outcome = match command {
        Command::Report(options) => {
            let work = pin!(make_report::run(options));
            match select(&mut stop, work).await {
                Either::Left(_) => Outcome::Interrupted,
                Either::Right((outcome, _)) => outcome?,
            }
        }
        Command::Stream(options) => follow::run(options, &mut stop).await?,
    };
    inspected.stay(NAME, outcome, &mut stop).await;
    Ok(outcome)
}

/// Prints what was asked for.
fn print(text: impl std::fmt::Display) {
    // If the reader of the output is gone, it is not needed.
    let _ = writeln!(io::stdout().lock(), "{text}");
}
