//! The listing of the public API: `docs/api` has a file for each library that is published.
//!
//! A change of the API shows in the diff of a review, also where it is a side effect: a trait that a
//! type lost, a bound, an item that a glob exports. `cargo public-api` makes the listing from the
//! JSON of rustdoc, with all features. What the compiler adds by itself is left out: blanket
//! implementations, auto traits, and derived ones. (Tests check which types are `Send`.)
//!
//! rustdoc has its JSON on nightly only. A listing names the types of `std` by the modules that they
//! are defined in, which move, so it is made with one nightly until that is changed here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::packages::provide;
use super::{Trouble, Verdict, capture};

/// The published libraries. That of the macros is listed by what the façade exports, and `insula-c`
/// has no API in Rust.
const LIBRARIES: &[&str] = &[
    "insula",
    "insula-compute",
    "insula-core",
    "insula-embed",
    "insula-ffi",
    "insula-inspect",
    "insula-io",
    "insula-memory",
    "insula-link",
    "insula-pool",
    "insula-process",
    "insula-nats",
    "insula-rpc",
    "insula-sync",
];

/// The toolchain of the listings. If it is changed, all of them are written again.
const TOOLCHAIN: &str = "nightly-2026-10-30";

/// One version, since another one may format the same item in another way.
const INSTALL: &str = "cargo install cargo-public-api --locked --version 0.52.0";

/// The use of the listings.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    Write,
    Compare,
}

/// Runs `cargo xtask api`. Returns whether it succeeded.
pub(crate) fn run(root: &Path, listing: Listing) -> bool {
    let verdict = match listing {
        Listing::Write => write(root),
        Listing::Compare => check(root),
    };
    match verdict {
        Ok(()) => true,
        Err(Trouble::Failed(why) | Trouble::Impossible(why)) => {
            println!("{why}");
            false
        }
    }
}

/// Compares the listings with the code.
pub(super) fn check(root: &Path) -> Verdict {
    require()?;
    let mut changed = Vec::new();
    for library in LIBRARIES {
        let now = list(root, library)?;
        // A library without a file is new, and all of its items are.
        let listed = fs::read_to_string(file(root, library)).unwrap_or_default();
        if now != listed {
            println!("{library}:");
            difference(&listed, &now)
                .iter()
                .for_each(|line| println!("{line}"));
            changed.push(*library);
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    let changed = changed.join(", ");
    Err(Trouble::Failed(format!(
        "docs/api does not list the API of {changed}; run cargo xtask api"
    )))
}

fn write(root: &Path) -> Verdict {
    require()?;
    let cannot = |error| Trouble::Failed(format!("docs/api cannot be written: {error}"));
    fs::create_dir_all(root.join("docs/api")).map_err(cannot)?;
    for library in LIBRARIES {
        let now = list(root, library)?;
        fs::write(file(root, library), &now).map_err(cannot)?;
        println!("{} items of {library}", now.lines().count());
    }
    Ok(())
}

fn require() -> Result<(), Trouble> {
    let install = format!("rustup toolchain install {TOOLCHAIN} --profile minimal");
    provide(TOOLCHAIN, &[&install], || {
        // Not asked by `rustup run`, which may install what is missing.
        let list = capture(Command::new("rustup").args(["toolchain", "list"]));
        list.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains(TOOLCHAIN))
    })?;
    provide("cargo-public-api 0.52.0", &[INSTALL], || {
        let version = capture(Command::new("cargo").args(["public-api", "--version"]));
        version.is_ok_and(|it| String::from_utf8_lossy(&it.stdout).contains("0.52.0"))
    })
}

fn file(root: &Path, library: &str) -> PathBuf {
    root.join(format!("docs/api/{library}.txt"))
}

fn list(root: &Path, library: &str) -> Result<String, Trouble> {
    let mut command = Command::new("rustup");
    command.current_dir(root);
    command.args(["run", TOOLCHAIN, "cargo", "public-api"]);
    command.args(["--package", library, "--all-features", "-sss"]);
    command.args(["--color", "never"]);
    // In a folder of its own, and not one that is set for the other steps: the flags in `RUSTFLAGS`
    // and the toolchain differ, and what is compiled for them would be compiled again.
    command.env("CARGO_TARGET_DIR", root.join("target/api"));
    let output = capture(&mut command).map_err(Trouble::Failed)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the lines that only one of two listings has, with a sign in front. The order of lines
/// does not count: an item that has only moved is no change of the API.
fn difference(before: &str, after: &str) -> Vec<String> {
    let lines_of = |from: &str, without: &str, sign: char| -> Vec<String> {
        // Counted, since a line may occur twice.
        let mut others: Vec<_> = without.lines().collect();
        let is_new = |line: &&str| match others.iter().position(|other| other == line) {
            Some(at) => {
                others.swap_remove(at);
                false
            }
            None => true,
        };
        let new = from.lines().filter(is_new);
        new.map(|line| format!("{sign} {line}")).collect()
    };
    let mut lines = lines_of(before, after, '-');
    lines.extend(lines_of(after, before, '+'));
    lines
}

#[cfg(test)]
mod tests;
