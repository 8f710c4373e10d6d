//! `cargo xtask test`: runs steps in a fixed order, up to the first failure unless told otherwise.

pub(crate) mod api;
mod browser;
pub(crate) mod budget;
mod dart;
mod display;
mod ffi;
mod foreign_loop;
mod full;
mod fuzz;
mod growth;
mod guide;
mod inspector;
mod miri;
mod mutants;
mod nats;
mod packages;
mod part;
mod photographs;
mod usual;

use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

pub(crate) use packages::Installing;

/// The steps to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every change must pass these.
    Usual,
    /// Also the steps that take long or need more of the machine.
    Full,
}

/// Decides whether the steps after a failure run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    Stops,
    IsCounted,
}

/// The options of a run.
pub(crate) struct Plan {
    pub(crate) extent: Extent,
    pub(crate) on_failure: Failure,
    pub(crate) installing: Installing,
    /// Only the steps whose names contain this text run.
    pub(crate) only: String,
}

/// A step: a name for the report, and the function that runs it in the workspace's folder.
struct Step {
    name: &'static str,
    run: fn(&Path) -> Verdict,
}

type Verdict = Result<(), Trouble>;

/// The reason why a step has not passed; the texts are for the reader of the report.
enum Trouble {
    Failed(String),
    /// The machine lacks something that this repository cannot provide.
    Impossible(String),
}

#[derive(Default)]
struct Count {
    passed: usize,
    failed: usize,
    impossible: usize,
}

/// Runs the steps and prints a line for each. Returns whether none has failed.
pub(crate) fn run(root: &Path, plan: &Plan) -> bool {
    let more = if plan.extent == Extent::Full {
        full::STEPS
    } else {
        &[]
    };
    packages::set(plan.installing);
    let mut count = Count::default();
    let mut lines = Vec::new();
    // The cheap steps first: a change that breaks one of them is not measured for hours.
    let steps = usual::STEPS.iter().chain(more);
    for step in steps.filter(|step| step.name.contains(&plan.only)) {
        println!("==== {}", step.name);
        let start = Instant::now();
        let verdict = (step.run)(root);
        let line = count.add(step.name, &verdict, start.elapsed());
        println!("{line}\n");
        lines.push(line);
        if count.failed != 0 && plan.on_failure == Failure::Stops {
            break;
        }
    }
    // Once more together, since the output of the steps is between them.
    lines.iter().for_each(|line| println!("{line}"));
    let Count {
        passed,
        failed,
        impossible,
    } = count;
    println!("{passed} steps passed, {failed} failed, {impossible} not possible here");
    failed == 0
}

impl Count {
    fn add(&mut self, name: &str, verdict: &Verdict, time: Duration) -> String {
        let seconds = time.as_secs_f64();
        match verdict {
            Ok(()) => {
                self.passed += 1;
                format!("passed {name} in {seconds:.1} s")
            }
            Err(Trouble::Failed(why)) => {
                self.failed += 1;
                format!("FAILED {name} after {seconds:.1} s: {why}")
            }
            Err(Trouble::Impossible(why)) => {
                self.impossible += 1;
                format!("not possible here: {name}: {why}")
            }
        }
    }
}

/// Added to `RUSTFLAGS` by the steps. All of them pass the same flags and so share what is
/// compiled; the loom models have a target folder of their own.
const DENY_WARNINGS: &str = "-D warnings";

/// Returns the cargo that runs this program, in the folder of the workspace.
fn cargo(root: &Path) -> Command {
    // The `cargo` on the path may be one of another toolchain, which would compile everything
    // again.
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // Wherever the command was given: cargo and the steps name their files from here.
    command.current_dir(root);
    add_flags(&mut command, "RUSTFLAGS", DENY_WARNINGS);
    command
}

/// Returns the options with which cargo runs each test program under `cargo xtask watch`.
fn watched() -> Result<[String; 2], Trouble> {
    let program = std::env::current_exe()
        .map_err(|error| Trouble::Failed(format!("cannot tell this program's path: {error}")))?;
    // On Linux the path ends like this if the program was rebuilt while it runs.
    let program = program.to_string_lossy().replace(" (deleted)", "");
    let runner = format!("target.'cfg(all())'.runner = [{program:?}, \"watch\"]");
    Ok(["--config".to_owned(), runner])
}

/// Appends flags to those that the user has set.
fn add_flags(command: &mut Command, variable: &str, flags: &str) {
    let flags = match std::env::var(variable) {
        Ok(before) if !before.is_empty() => format!("{before} {flags}"),
        _ => flags.to_owned(),
    };
    command.env(variable, flags);
}

/// Runs a command whose output is shown to the user.
fn pass(command: &mut Command) -> Verdict {
    let shown = shown(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Trouble::Failed(format!("`{shown}` ended with {status}"))),
        Err(error) => Err(Trouble::Failed(format!("`{shown}` cannot be run: {error}"))),
    }
}

/// Runs a command and returns its output. The error is one line for the user.
fn capture(command: &mut Command) -> Result<Output, String> {
    let shown = shown(command);
    let output = command
        .output()
        .map_err(|error| format!("`{shown}` cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    // A backtrace may follow the error.
    let begins_error = |line: &&str| ["error", "E:"].iter().any(|start| line.starts_with(start));
    let last = || said.lines().rfind(|line| !line.trim().is_empty());
    let error = said
        .lines()
        .find(begins_error)
        .or_else(last)
        .unwrap_or("no message")
        .trim();
    Err(format!("`{shown}` ended with {}: {error}", output.status))
}

/// Returns a command as a person would type it: the program's name without its folder.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_stem().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
