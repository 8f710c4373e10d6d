//! Runs the fuzz targets: `cargo fuzz` feeds each decoder of bytes from other programs with inputs that
//! it changes until they reach new code.
//!
//! What a target has found stays in `target/fuzz/corpus`, where the next run begins.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::{Trouble, Verdict, add_flags, capture, cargo, packages, pass, shown};

/// The time of each target. `INSULA_FUZZ_SECONDS` replaces it.
const SECONDS: u32 = 30;

/// Where everything is that this step makes.
const FOLDER: &str = "target/fuzz";

/// Builds all targets, and runs each.
///
/// # Errors
/// A target fails; the text has the path of its input, and the command that repeats it.
pub(super) fn run_targets(root: &Path) -> Verdict {
    packages::provide("cargo-fuzz", &["cargo install --locked cargo-fuzz"], || {
        capture(Command::new("cargo").args(["fuzz", "--version"])).is_ok()
    })?;
    // libFuzzer is compiled too.
    packages::require(&["g++"], || packages::has_program("c++"))?;
    let seconds = seconds()?;
    lint(root)?;
    pass(&mut fuzz(root, "build"))?;
    run_side_by_side(root, targets(root)?, seconds)
}

/// Runs two targets at a time, since each keeps one core busy. After the first failure no further
/// one begins.
fn run_side_by_side(root: &Path, targets: Vec<String>, seconds: u32) -> Verdict {
    let targets = Mutex::new(targets.into_iter());
    let next = || {
        targets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next()
    };
    let work = || {
        while let Some(target) = next() {
            if let Err(trouble) = run(root, &target, seconds) {
                while next().is_some() {}
                return Err(trouble);
            }
        }
        Ok(())
    };
    let (first, second) = thread::scope(|scope| {
        let other = scope.spawn(work);
        (work(), other.join())
    });
    let died = || Trouble::Failed("the thread that ran fuzz targets has panicked".to_owned());
    first.and(second.map_err(|_| died())?)
}

/// Looks at the workspace of the targets as the usual steps do at the other one.
fn lint(root: &Path) -> Verdict {
    const MANIFEST: [&str; 2] = ["--manifest-path", "fuzz/Cargo.toml"];
    pass(cargo(root).arg("fmt").args(MANIFEST).arg("--check"))?;
    let mut clippy = cargo(root);
    // With the code that only the targets need.
    add_flags(&mut clippy, "RUSTFLAGS", "-D warnings --cfg fuzzing");
    let clippy = clippy.arg("clippy").args(MANIFEST);
    pass(clippy.args(["--all-targets", "--target-dir", FOLDER]))
}

/// Without a sanitizer, which needs a nightly compiler; `fuzz/src/lib.rs` says why.
fn fuzz(root: &Path, what: &str) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root).args(["fuzz", what]);
    command.args(["--sanitizer", "none", "--target-dir", FOLDER]);
    command
}

/// Returns the names of the targets. They are found and not listed, so that none can be forgotten.
fn targets(root: &Path) -> Result<Vec<String>, Trouble> {
    let names = names(&root.join("fuzz/fuzz_targets"))?;
    let targets: Vec<_> = names
        .iter()
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    match targets.is_empty() {
        true => Err(Trouble::Failed("there is no fuzz target".to_owned())),
        false => Ok(targets),
    }
}

fn run(root: &Path, target: &str, seconds: u32) -> Verdict {
    let corpus = folder(root, "corpus", target)?;
    let artifacts = folder(root, "artifacts", target)?;
    let before = names(&root.join(&artifacts))?;
    let mut command = fuzz(root, "run");
    command.arg(target).arg(&corpus).arg("--");
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!(
        "-artifact_prefix={}/",
        root.join(&artifacts).display()
    ));
    // Seconds of one input, which takes microseconds.
    command.args(["-timeout=10", "-print_final_stats=1"]);
    let Err(trouble) = pass(&mut command) else {
        return Ok(());
    };
    let after = names(&root.join(&artifacts))?;
    let Some(input) = after.difference(&before).next() else {
        // It could not be run.
        return Err(trouble);
    };
    let input = artifacts.join(input);
    let mut again = fuzz(root, "run");
    again.arg(target).arg(&input);
    Err(Trouble::Failed(format!(
        "the fuzz target {target} fails with {}; to repeat it: {}",
        input.display(),
        shown(&again)
    )))
}

/// Makes a folder for a target. Its path is relative to the root.
fn folder(root: &Path, what: &str, target: &str) -> Result<PathBuf, Trouble> {
    let folder = Path::new(FOLDER).join(what).join(target);
    std::fs::create_dir_all(root.join(&folder))
        .map_err(|error| Trouble::Failed(format!("{}: {error}", folder.display())))?;
    Ok(folder)
}

/// Returns the names of the files in a folder.
fn names(folder: &Path) -> Result<BTreeSet<String>, Trouble> {
    let unreadable = |error| Trouble::Failed(format!("{}: {error}", folder.display()));
    let mut names = BTreeSet::new();
    for entry in folder.read_dir().map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        names.insert(name.to_string_lossy().into_owned());
    }
    Ok(names)
}

fn seconds() -> Result<u32, Trouble> {
    match std::env::var("INSULA_FUZZ_SECONDS") {
        Err(_) => Ok(SECONDS),
        Ok(text) => match text.parse() {
            Ok(seconds) if seconds > 0 => Ok(seconds),
            _ => Err(Trouble::Failed(format!(
                "INSULA_FUZZ_SECONDS is '{text}': it is a whole number of seconds"
            ))),
        },
    }
}
