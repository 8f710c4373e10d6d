//! The `images` command: folders of photos in, finished pictures out.
#![forbid(unsafe_code)]

mod cli;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use cli::Program;
use command::Outcome;

// Not `#[insula::main]`: this thread reads and writes all files. Outside of isolates it can block
// without delaying any of them.
fn main() -> ExitCode {
    // First of all: a worker of `--kind process` is a process of this program.
    insula::process::main(images::serve);
    let program = Program::parse();
    let outcome = insula::block_on(async {
        match &program {
            Program::Serve(node) => run::serve(node).await,
            Program::Run(options) => run::run(options).await,
        }
    });
    let outcome = outcome.unwrap_or_else(|message| {
        // An error cannot be reported anywhere if standard error is closed.
        let _ = writeln!(io::stderr().lock(), "images: {message}");
        Outcome::NothingToDo
    });
    outcome.into()
}
