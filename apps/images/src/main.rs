//! The `images` command: folders of photos in, finished pictures out.
#![forbid(unsafe_code)]

mod cli;
mod interrupt;
mod progress;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

// Not `#[insula::main]`: this thread reads and writes all files, which a thread that no isolate
// runs on can do without being in anybody's way.
fn main() -> ExitCode {
    let options = cli::Options::parse();
    let outcome = insula::block_on(run::run(&options)).unwrap_or_else(|message| {
        // Nobody is left to tell if standard error is gone.
        let _ = writeln!(io::stderr().lock(), "images: {message}");
        run::Outcome::NothingToDo
    });
    outcome.into()
}
