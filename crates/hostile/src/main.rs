//! Generates hostile programs, to find faults that no hand-written test looks for.
//!
//! # How it works
//! A seed becomes a program (`program`): a tree of operations over the public API, whose closures,
//! destructors, wakers and thread-local destructors panic, wait, send, spawn, kill and drop
//! handles. A child process runs programs one after the other (`run`, `child`), so that an abort or
//! a hang ends that process and its parent sees it. A ledger records everything that the program
//! did (`oracle`): every value is dropped exactly once, every isolate's end is reported exactly
//! once, every wait ends, and nothing is left allocated, running or open.
//!
//! Half of the programs also make calls, to isolates that serve them and to pools (`run/calls.rs`).
//! The ledger then compares what callers are told with what handlers did, and with the books of the
//! pools.
//!
//! A failing program is shrunk (`shrink`) and printed. The printed text can be run again, and
//! belongs in `programs/` if it has shown a fault.
#![deny(unsafe_op_in_unsafe_fn)]

mod child;
mod oracle;
mod program;
mod run;
mod shrink;

use std::process::ExitCode;
use std::time::Duration;

use child::{Driver, Failure, Job};
use program::{Kind, Program, WITH_CALLS};

#[global_allocator]
static ALLOCATOR: oracle::Counted = oracle::Counted;

/// The default time without an end that counts as a hang, in seconds.
const LIMIT: u64 = 10;

const HELP: &str = "\
Runs random programs that misuse Insula, and tells which of them fail.

insula-hostile run [options]          runs the programs of many seeds
    --kind seeded|threads|both        on which runtime; both unless given
    --calls none|only|both            whether they make calls; half of them unless given
    --from N                          the first seed; 0 unless given
    --count N                         how many seeds; 1000 unless given
    --jobs N                          processes at a time; as many as cores unless given
    --limit SECONDS                   time without progress that is a hang; 10 unless given
    --shrink                          shrinks what fails, and prints it
insula-hostile one KIND SEED          prints one program and runs it, in this process
insula-hostile file PATH [TIMES [LIMIT]]   runs the program of a file, in this process
insula-hostile shrink KIND SEED       shrinks one program that fails
insula-hostile shrink-file PATH       the same for the program of a file
insula-hostile show KIND SEED         prints one program

Seeds repeat programs exactly; what a program does on threads depends on their order too. The seeds
from 4294967296 on belong to programs that make calls.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(code) => code,
        Err(why) => {
            tell_error(&format!("{why}\n\n{HELP}"));
            // Not 1, which says that a program has failed.
            ExitCode::from(2)
        }
    }
}

fn command(arguments: &[String]) -> Result<ExitCode, String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &words[..] {
        ["run", options @ ..] => run_many(options),
        // Not in the help: a parent starts it, and reads what it prints.
        ["child", kind, from, count, limit] => {
            child::serve(
                parse_kind(kind)?,
                number(from)?,
                number(count)?,
                number(limit)?,
            );
            Ok(ExitCode::SUCCESS)
        }
        ["one", kind, seed] => {
            let program = Program::generate(parse_kind(kind)?, number(seed)?);
            tell(&program.to_string());
            Ok(run_here(&program, 1, LIMIT))
        }
        ["show", kind, seed] => {
            let program = Program::generate(parse_kind(kind)?, number(seed)?);
            tell(&program.to_string());
            Ok(ExitCode::SUCCESS)
        }
        ["file", path] => Ok(run_here(&read(path)?, 1, LIMIT)),
        ["file", path, times] => Ok(run_here(&read(path)?, number(times)?, LIMIT)),
        ["file", path, times, limit] => Ok(run_here(&read(path)?, number(times)?, number(limit)?)),
        ["shrink", kind, seed] => {
            let program = Program::generate(parse_kind(kind)?, number(seed)?);
            Ok(shrink_here(&program))
        }
        ["shrink-file", path] => Ok(shrink_here(&read(path)?)),
        ["--help" | "-h" | "help"] => {
            tell(HELP);
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("no such command".to_owned()),
    }
}

fn read(path: &str) -> Result<Program, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    // A kept program begins with what it has shown, and a shrunk one with how it fails.
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let text: Vec<&str> = lines.collect();
    Program::parse(&text.join("\n")).map_err(|error| format!("{path}: {error}"))
}

fn parse_kind(word: &str) -> Result<Kind, String> {
    match word {
        "seeded" => Ok(Kind::Seeded),
        "threads" => Ok(Kind::Threads),
        _ => Err(format!("a kind is 'seeded' or 'threads', not '{word}'")),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("'{word}' is no number"))
}

fn run_here(program: &Program, times: u32, limit: u64) -> ExitCode {
    child::prepare();
    for _ in 0..times {
        let faults = child::run_watched(program, Duration::from_secs(limit));
        if !faults.is_empty() {
            // The parent reads this line.
            tell(&faults.join("; "));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn shrink_here(program: &Program) -> ExitCode {
    match shrink::shrink(program) {
        Some((least, why)) => {
            tell(&format!("# {why}\n{least}"));
            ExitCode::FAILURE
        }
        None => {
            tell("it does not fail");
            ExitCode::SUCCESS
        }
    }
}

fn run_many(options: &[&str]) -> Result<ExitCode, String> {
    let mut kinds = vec![Kind::Seeded, Kind::Threads];
    let (mut from, mut count, mut limit) = (0, 1000_u64, LIMIT);
    let mut jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut shrinks = false;
    let mut calls = "both";
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().ok_or(format!("{option} needs a value"));
        match *option {
            "--kind" => match *value()? {
                "both" => {}
                kind => kinds = vec![parse_kind(kind)?],
            },
            "--calls" => calls = *value()?,
            "--from" => from = number(value()?)?,
            "--count" => count = number(value()?)?,
            "--jobs" => jobs = number(value()?)?,
            "--limit" => limit = number(value()?)?,
            "--shrink" => shrinks = true,
            _ => return Err(format!("no such option: {option}")),
        }
    }
    // Saturating, since it is computed for every `from`, also for one that does not use it.
    let with_calls = WITH_CALLS.saturating_add(from);
    let parts: &[(u64, u64)] = match calls {
        "none" => &[(from, count)],
        "only" if from < WITH_CALLS => &[(with_calls, count)],
        "both" if from < WITH_CALLS => &[(from, count - count / 2), (with_calls, count / 2)],
        // As seeds are written in reports.
        "only" | "both" => &[(from, count)],
        _ => return Err(format!("'{calls}' is none of 'none', 'only' and 'both'")),
    };
    let mut failures = Vec::new();
    for kind in kinds {
        for &(from, count) in parts {
            let driver = Driver::new(Job {
                kind,
                from,
                count,
                limit,
            });
            // With no job at all, no program would run, and none would seem to fail.
            failures.extend(driver.run(jobs.max(1)));
        }
    }
    for failure in &failures {
        tell(&report(failure, shrinks));
    }
    tell(&format!("{} of the programs failed", failures.len()));
    Ok(if failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(failure: &Failure, shrinks: bool) -> String {
    let Failure { kind, seed, what } = failure;
    let mut text = format!(
        "FAILED {kind} {seed}: {what}\n    repeat with: cargo run -p insula-hostile -- one {kind} {seed}"
    );
    if shrinks && let Some((least, why)) = shrink::shrink(&Program::generate(*kind, *seed)) {
        text.push_str(&format!("\n# {why}\n{least}"));
    }
    text
}

#[expect(clippy::print_stdout, reason = "a program's own output")]
fn tell(text: &str) {
    println!("{text}");
}

#[expect(clippy::print_stderr, reason = "a program's own output")]
fn tell_error(text: &str) {
    eprintln!("{text}");
}
