//! The project's own commands: `cargo xtask test`, `tidy`, `house`, `api`, `budget`
//! and `watch`.
//!
//! Every run of the tests compiles this program first, so it parses its few arguments itself.
#![forbid(unsafe_code)]
#![expect(
    clippy::print_stdout,
    reason = "a command line program talks through it"
)]

mod test;
mod tidy;
mod watch;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use test::api::{self, Listing};
use test::budget::{self, Budget};
use test::{Extent, Failure, Installing, Plan};

const HELP: &str = "\
The project's own commands.

cargo xtask test          format, clippy, tests with doc tests, programs in C and C++, docs,
                          loom models, 10,000 storms of calls on pools, tidy
cargo xtask test --full   the same, and: the bench's lints and a quick run of it, checks for
                          other platforms and with the oldest Rust, the packages, the
                          listing of the public API, the guide as mdBook builds it, large
                          photographs, workers over NATS, a window on a virtual display,
                          glib's main loop, the Dart package in a Dart VM, ten million random
                          calls of the C ABI, sanitizers, leaks, the growth of costs and the budget of
                          instructions under valgrind, 200,000 hostile programs, 50,000
                          storms, fuzz targets, parts of Miri and of the mutants
cargo xtask tidy          holds the code against ARCHITECTURE.md: arrows between crates,
                          unsafe files, absences, dependencies; and the links of all
                          documents
cargo xtask house         how the code reads, in figures, beside models of the field
cargo xtask api           lists the public API of each library in docs/api; with --check, prints
                          how the code differs from that instead
cargo xtask budget        counts the instructions of calls and compares them with
                          bench/instructions.txt; with --write, writes them there instead
cargo xtask watch PROGRAM ARGUMENTS
                          runs one test program, as the step of the tests does: kills it when
                          no test ends for 20 s, and names the tests that had not finished
cargo xtask help          this text

A run of `test` stops at the first step that fails; with --keep-going it runs the others too.
With --step=TEXT it runs only the steps, of all there are, whose names contain the text. A step
that this machine cannot do says what is missing and is counted as not possible; with --install
it installs that: packages of Debian, among them some of a second architecture, targets and
toolchains of rustup, and programs of crates.io.

Exit status: 0 all is well, 1 something failed or the arguments were not understood.";

enum Command {
    Help,
    Test(Plan),
    Tidy,
    House,
    Api(Listing),
    Budget(Budget),
    Watch(Vec<OsString>),
}

fn main() -> ExitCode {
    let is_well = match parse(std::env::args_os().skip(1).collect()) {
        Ok(Command::Help) => {
            println!("{HELP}");
            true
        }
        Ok(Command::Test(plan)) => test::run(&root(), &plan),
        Ok(Command::Tidy) => tidy::report(&root()),
        Ok(Command::House) => tidy::house::print(&root()),
        Ok(Command::Api(listing)) => api::run(&root(), listing),
        Ok(Command::Budget(budget)) => budget::run(&root(), budget),
        Ok(Command::Watch(words)) => watch::run(&words),
        Err(fault) => {
            println!("{fault}\n\n{HELP}");
            false
        }
    };
    if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn parse(mut arguments: Vec<OsString>) -> Result<Command, String> {
    // Before all else: the words that follow are those of a program, and `--help` among them is not
    // for us.
    if arguments.first().is_some_and(|word| word == "watch") {
        return Ok(Command::Watch(arguments.split_off(1)));
    }
    let words: Vec<_> = arguments
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    let words: Vec<_> = words.iter().map(AsRef::as_ref).collect();
    if words
        .iter()
        .any(|word| ["help", "--help", "-h"].contains(word))
    {
        return Ok(Command::Help);
    }
    match words[..] {
        [] => Ok(Command::Help),
        ["test", ref options @ ..] => parse_plan(options).map(Command::Test),
        ["tidy"] => Ok(Command::Tidy),
        ["house"] => Ok(Command::House),
        ["api"] => Ok(Command::Api(Listing::Write)),
        ["api", "--check"] => Ok(Command::Api(Listing::Compare)),
        ["budget"] => Ok(Command::Budget(Budget::Compare)),
        ["budget", "--write"] => Ok(Command::Budget(Budget::Write)),
        _ => Err(format!("not understood: {}", words.join(" "))),
    }
}

fn parse_plan(options: &[&str]) -> Result<Plan, String> {
    let mut plan = Plan {
        extent: Extent::Usual,
        on_failure: Failure::Stops,
        installing: Installing::Forbidden,
        only: String::new(),
    };
    for option in options {
        match *option {
            "--full" => plan.extent = Extent::Full,
            "--install" => plan.installing = Installing::Allowed,
            "--keep-going" => plan.on_failure = Failure::IsCounted,
            _ => match option.strip_prefix("--step=") {
                Some(text) => {
                    // A step of the full run is found without naming that run.
                    plan.extent = Extent::Full;
                    text.clone_into(&mut plan.only);
                }
                None => return Err(format!("`test` has no option {option}")),
            },
        }
    }
    Ok(plan)
}

/// Returns the folder of the workspace. Cargo sets it at run time; a program that was started by
/// hand uses the folder where it was built.
fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .unwrap_or_else(|| OsString::from(env!("CARGO_MANIFEST_DIR")));
    let mut root = PathBuf::from(manifest);
    root.pop();
    root
}
