//! The steps that every change must pass.

use std::path::Path;

use super::ffi;
use super::{Step, Trouble, Verdict, add_flags, cargo, pass, watched};
use crate::tidy;

pub(super) const STEPS: &[Step] = &[
    Step {
        name: "format",
        run: format,
    },
    Step {
        name: "clippy",
        run: clippy,
    },
    Step {
        name: "tests and doc tests",
        run: tests,
    },
    Step {
        name: "programs in C",
        run: ffi::run_c,
    },
    Step {
        name: "programs in C++",
        run: ffi::run_cpp,
    },
    Step {
        name: "docs",
        run: docs,
    },
    Step {
        name: "loom models",
        run: loom,
    },
    Step {
        name: "10,000 storms of calls",
        run: |root| storms(root, 10_000),
    },
    Step {
        name: "tidy",
        run: tidy,
    },
];

fn format(root: &Path) -> Verdict {
    pass(cargo(root).args(["fmt", "--all", "--check"]))
}

fn clippy(root: &Path) -> Verdict {
    pass(cargo(root).args(["clippy", "--all-targets", "--all-features"]))
}

/// Runs the tests, each program under `cargo xtask watch`, so that a hang ends and is named.
fn tests(root: &Path) -> Verdict {
    let mut command = cargo(root);
    pass(command.args(["test", "--all-features"]).args(watched()?))
}

fn docs(root: &Path) -> Verdict {
    let mut command = cargo(root);
    add_flags(&mut command, "RUSTDOCFLAGS", "-D warnings");
    pass(command.args(["doc", "--no-deps", "--all-features"]))
}

/// Runs the loom models: every interleaving, up to a bound on the preemptions.
fn loom(root: &Path) -> Verdict {
    let packages = packages_with_models(root)?;
    if packages.is_empty() {
        return Err(Trouble::Failed(
            "there is no module `loom_models` in any crate".to_owned(),
        ));
    }
    let mut command = cargo(root);
    add_flags(&mut command, "RUSTFLAGS", "--cfg loom -D warnings");
    if std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none() {
        // By loom's own documentation, 2 or 3 are enough to find most faults.
        command.env("LOOM_MAX_PREEMPTIONS", "3");
    }
    let target = ["--target-dir", "target/loom"];
    command
        .args(["test", "--profile", "optimized", "--lib"])
        .args(target);
    for package in packages {
        command.args(["--package", &package]);
    }
    pass(command.arg("loom_models"))
}

/// Runs random storms of calls on random pools, and the matrix of faults, in virtual time.
pub(super) fn storms(root: &Path, number: u32) -> Verdict {
    let mut command = cargo(root);
    command.env("INSULA_STORMS", number.to_string());
    command.args(["test", "--profile", "optimized"]);
    command.args(["--package", "insula-pool", "--test", "storm"]);
    command.args(["--", "the_books_balance_after_storms_on_virtual_time"]);
    pass(command.arg("each_fault_at_each_moment"))
}

/// Returns the packages under `crates/` with a module `loom_models` at the top of their sources.
fn packages_with_models(root: &Path) -> Result<Vec<String>, Trouble> {
    // Found and not listed, so that the models of a new crate cannot be forgotten.
    let crates = root.join("crates");
    let unreadable = |error| Trouble::Failed(format!("cannot list crates: {error}"));
    let mut packages = Vec::new();
    for entry in crates.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let source = entry.path().join("src");
        if source.join("loom_models.rs").exists() || source.join("loom_models").exists() {
            packages.push(format!("insula-{}", entry.file_name().to_string_lossy()));
        }
    }
    packages.sort();
    Ok(packages)
}

fn tidy(root: &Path) -> Verdict {
    if tidy::report(root) {
        return Ok(());
    }
    Err(Trouble::Failed("see the lines above".to_owned()))
}
