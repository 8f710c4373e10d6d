//! The `science` command: simulates a fluid, and computes with matrices.
#![forbid(unsafe_code)]

mod cli;
mod md;
mod solve;

use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;

use clap::Parser;
use command::{Outcome, Services, Stop};
use futures_util::future::{Either, select};
use insula::Isolate;
use insula::runtime::blocking;
use science::{fluid, matrices};

use crate::cli::{Command, Options, Program};

/// The name in front of messages.
const NAME: &str = "science";

/// The name of a node for its inspector, which tells it from a run on the same machine.
const WORKER: &str = "science-worker";

// Not `#[insula::main]`: this thread reads and writes all files. Outside of isolates it can block
// without delaying any of them.
fn main() -> ExitCode {
    // First of all: a worker of `--kind process` is a process of this program.
    insula::process::main(serve);
    let options = Options::parse();
    let outcome = insula::block_on(run(&options));
    let outcome = outcome.unwrap_or_else(|message| {
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
            let most_bytes = fluid::MOST_BYTES.max(matrices::MOST_BYTES);
            node.serve(most_bytes, serve, stop).await?;
            return Ok(Outcome::Done);
        }
    };
    let inspected = options.inspect.start(NAME)?;
    let outcome = match command {
        Command::Md(options) => md::run(options, &mut stop).await?,
        Command::Matrices(options) => solve::run(options, &mut stop).await?,
    };
    inspected.stay(NAME, outcome, &mut stop).await;
    Ok(outcome)
}

/// Serves both contracts, where a worker is not in the process of its pool.
fn serve(services: &mut impl Services) {
    fluid::serve(services);
    matrices::serve(services);
}

/// Awaits `work`. Returns `None` if `stop` is ready first, and is not to be called again then.
async fn unless<T>(stop: &mut Stop, work: impl Future<Output = T>) -> Option<T> {
    match select(stop, pin!(work)).await {
        Either::Left(_) => None,
        Either::Right((result, _)) => Some(result),
    }
}

/// Reads files in an isolate, so that a request to stop is seen meanwhile. What is read is lost with
/// the program then.
async fn reading<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    let read = Isolate::run(move || blocking(read)).await;
    read.map_err(|error| error.to_string())?
}
