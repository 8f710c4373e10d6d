//! The `science` command: simulates a fluid, and computes with matrices.
#![forbid(unsafe_code)]

mod cli;
mod md;
mod solve;

use std::io::{self, Write};
use std::pin::pin;
use std::process::ExitCode;

use clap::Parser;
use command::{Outcome, Stop};
use futures_util::future::{Either, select};
use insula::Isolate;
use insula::runtime::blocking;

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
