//! Compares this project with its peers, in one run.
//!
//! A suite is a list of cases, a case a list of systems, and a system one closure that runs one
//! repetition (`case.rs`). `run.rs` interleaves the repetitions, `report.rs` prints them.
//! `drivers/` holds each workload once, over small traits; `peers/` implements those traits, one
//! file per peer; `insula/` is this project's side; `suites/` lists the participants of each case.
//! `bench/README.md` explains how to read the result.

#![forbid(unsafe_code)]
#![expect(clippy::cast_precision_loss, reason = "counts become rates")]

mod case;
mod drivers;
mod insula;
mod measure;
mod peers;
mod picture;
mod report;
mod run;
mod suites;
mod versions;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::case::{Case, Scale};
use crate::peers::runtimes::Runtimes;
use crate::suites::Suite;

/// Measures Insula beside its peers and prints a table per suite.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// The suite to run, or `all`.
    #[arg(required_unless_present_any = ["list", "rows", "echo_clients", "operation"])]
    suite: Option<String>,
    /// A tenth of the work and 3 repetitions instead of 7.
    #[arg(long)]
    quick: bool,
    /// The repetitions, in place of 7, or of 3 with `--quick`. Cases that take long have fewer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,
    /// Also writes the rows to this file, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measures nothing, and takes the rows of this file, which `--json` has written, for `--picture`.
    #[arg(
        long,
        value_name = "FILE",
        requires = "picture",
        conflicts_with = "suite"
    )]
    rows: Option<PathBuf>,
    /// Draws the main cases of the rows beside their best peers into this file, as SVG.
    #[arg(long, value_name = "FILE", requires = "rows")]
    picture: Option<PathBuf>,
    /// The folder of pictures for the suite `photos`.
    #[arg(long, value_name = "DIR")]
    photos: Option<PathBuf>,
    /// Only the cases whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    case: String,
    /// Only the systems whose name contains this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    system: String,
    /// Lists suites, cases and systems and runs nothing.
    #[arg(long)]
    list: bool,
    /// Runs the named system of the named case once and prints its numbers (for child processes).
    #[arg(long, hide = true)]
    one_repetition: bool,
    /// Is the clients of an echo server: address, connections, rounds (for child processes).
    #[arg(long, hide = true, value_name = "WHAT")]
    echo_clients: Option<String>,
    /// Does an operation so many times: index and number (for child processes under valgrind).
    #[arg(long, hide = true, value_name = "WHAT")]
    operation: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match execute(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::progress_done();
            // Standard error itself may be gone; the exit code still reports the failure.
            let _ = writeln!(io::stderr(), "insula-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &Arguments) -> io::Result<()> {
    if let Some(what) = &arguments.echo_clients {
        return drivers::echo::clients(what);
    }
    if let Some(what) = &arguments.operation {
        return suites::instructions::run(what);
    }
    if let (Some(rows), Some(picture)) = (&arguments.rows, &arguments.picture) {
        return picture::draw(rows, picture);
    }
    let suites = chosen_suites(arguments)?;
    if arguments.one_repetition {
        return one_repetition(arguments, &suites);
    }
    let runtimes = Runtimes::find();
    if arguments.list {
        return list(arguments, &suites, &runtimes);
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{}", runtimes.summary())?;
    let scale = Scale {
        quick: arguments.quick,
    };
    let mut all = Vec::new();
    for suite in suites {
        let mut rows = Vec::new();
        for mut case in chosen_cases(arguments, suite, &runtimes) {
            let runs = arguments.runs.map(|runs| runs as usize);
            rows.extend(run::run(&mut case, scale, runs)?);
        }
        run::progress_done();
        report::print_suite(&mut out, suite.name, &rows)?;
        all.extend(rows);
        // Written after each suite, so that an interrupted run keeps its rows so far.
        if let Some(path) = &arguments.json {
            report::write_json(path, &all)?;
        }
    }
    Ok(())
}

fn chosen_suites(arguments: &Arguments) -> io::Result<Vec<&'static Suite>> {
    let name = arguments.suite.as_deref().unwrap_or("all");
    let chosen: Vec<_> = suites::ALL
        .iter()
        .filter(|suite| name == "all" || suite.name == name)
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = suites::ALL.iter().map(|suite| suite.name).collect();
        let known = names.join(", ");
        return Err(io::Error::other(format!(
            "no suite `{name}`; there are: {known}, all"
        )));
    }
    Ok(chosen)
}

fn chosen_cases(arguments: &Arguments, suite: &Suite, runtimes: &Runtimes) -> Vec<Case> {
    let mut cases = (suite.cases)(arguments.photos.as_deref(), runtimes);
    cases.retain(|case| case.name.contains(&arguments.case));
    for case in &mut cases {
        case.systems
            .retain(|system| system.name.contains(&arguments.system));
    }
    cases.retain(|case| !case.systems.is_empty());
    cases
}

fn list(arguments: &Arguments, suites: &[&Suite], runtimes: &Runtimes) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for suite in suites {
        writeln!(out, "{}: {}", suite.name, suite.about)?;
        for case in chosen_cases(arguments, suite, runtimes) {
            let systems: Vec<_> = case
                .systems
                .iter()
                .map(|system| system.name.as_str())
                .collect();
            writeln!(out, "  {}: {}", case.name, systems.join(", "))?;
        }
    }
    Ok(())
}

/// Runs a child process. Names are exact here, because the parent took them from the list.
fn one_repetition(arguments: &Arguments, suites: &[&Suite]) -> io::Result<()> {
    let scale = Scale {
        quick: arguments.quick,
    };
    for suite in suites {
        // Without the other runtimes: to look for them may compile their programs.
        for mut case in (suite.cases)(arguments.photos.as_deref(), &Runtimes::none()) {
            let named = case
                .systems
                .iter()
                .position(|system| system.name == arguments.system);
            if let (true, Some(index)) = (case.name == arguments.case, named) {
                let sample = (case.systems[index].repeat)(scale);
                return writeln!(io::stdout(), "{}", serde_json::to_string(&sample)?);
            }
        }
    }
    Err(io::Error::other("no such case and system"))
}
