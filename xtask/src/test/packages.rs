//! Installs what a step needs and an ordinary machine lacks: Debian packages, rustup targets and
//! toolchains.
//!
//! The machine is changed only with `--install`. Otherwise a step that lacks something prints what
//! is missing and the commands that install it.

use std::process::Command;
use std::sync::OnceLock;

use super::{Trouble, capture};

/// Permission for the steps to change the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installing {
    Forbidden,
    Allowed,
}

/// Set once, before the steps run.
static INSTALLING: OnceLock<Installing> = OnceLock::new();

/// Sets whether the steps may change the machine. Without this call they may not.
pub(super) fn set(installing: Installing) {
    // Fails only for a second run in one process, which does not happen.
    let _ = INSTALLING.set(installing);
}

/// Makes sure that `is_there` holds. If it does not and installing is allowed, runs `commands` in
/// order; each is a program and its arguments.
///
/// # Errors
/// Names `what` is missing and the commands, if installing is not allowed or did not help.
pub(super) fn provide(
    what: &str,
    commands: &[&str],
    is_there: impl Fn() -> bool,
) -> Result<(), Trouble> {
    if is_there() {
        return Ok(());
    }
    let by_hand = commands.join(" && ");
    if INSTALLING.get() != Some(&Installing::Allowed) {
        return Err(Trouble::Impossible(format!(
            "missing: {what}; run again with --install, or install it by hand: {by_hand}"
        )));
    }
    println!("installing {what}: {by_hand}");
    for command in commands {
        // No argument contains a blank, so no shell is needed.
        let mut words = command.split(' ');
        let mut install = Command::new(words.next().unwrap_or_default());
        // A package that asks a question would wait for the answer without end.
        install.env("DEBIAN_FRONTEND", "noninteractive");
        capture(install.args(words))
            .map_err(|why| Trouble::Impossible(format!("missing: {what}; {why}")))?;
    }
    if is_there() {
        return Ok(());
    }
    Err(Trouble::Impossible(format!(
        "missing: {what}; this did not help: {by_hand}"
    )))
}

/// Makes sure that Debian packages are installed, if `is_there` reports that something is missing.
/// A package may be of another architecture, such as `libc6:i386`.
///
/// # Errors
/// The same as [`provide`].
pub(super) fn require(packages: &[&str], is_there: impl Fn() -> bool) -> Result<(), Trouble> {
    if is_there() {
        return Ok(());
    }
    let mut missing: Vec<_> = packages.iter().filter(|it| !is_installed(it)).collect();
    if missing.is_empty() {
        // All are installed, but something is missing; reinstalling them may repair it.
        missing = packages.iter().collect();
    }
    let names: Vec<_> = missing.into_iter().copied().collect();
    let names = names.join(" ");
    let mut what = format!("the packages {names}");
    let mut commands = Vec::new();
    if let Some(architecture) = missing_architecture(&names) {
        what = format!("the architecture {architecture} of dpkg, and {what}");
        commands.push(format!("dpkg --add-architecture {architecture}"));
    }
    // Without it, what is installed may not fit what an old list offers.
    commands.push("apt-get update --quiet".to_owned());
    commands.push(format!(
        "apt-get install --yes --no-install-recommends {names}"
    ));
    let commands: Vec<_> = commands.iter().map(String::as_str).collect();
    provide(&what, &commands, is_there)
}

/// Makes sure that the compiler has a target installed.
///
/// # Errors
/// The same as [`provide`].
pub(super) fn require_target(target: &str) -> Result<(), Trouble> {
    let is_there = || {
        let list = capture(Command::new("rustup").args(["target", "list", "--installed"]));
        list.is_ok_and(|list| {
            let list = String::from_utf8_lossy(&list.stdout).into_owned();
            list.lines().any(|line| line.trim() == target)
        })
    };
    let add = format!("rustup target add {target}");
    provide(&format!("the target {target}"), &[&add], is_there)
}

fn is_installed(package: &str) -> bool {
    let query = ["--show", "--showformat", "${db:Status-Status}", package];
    let status = capture(Command::new("dpkg-query").args(query));
    status.is_ok_and(|status| status.stdout == b"installed")
}

/// Returns the architecture of some of the packages that dpkg does not have enabled.
fn missing_architecture(names: &str) -> Option<&str> {
    let wanted = names.split(' ').find_map(|name| name.split_once(':'))?.1;
    let known = capture(Command::new("dpkg").arg("--print-foreign-architectures"));
    let is_known = known.is_ok_and(|known| {
        let known = String::from_utf8_lossy(&known.stdout).into_owned();
        known.lines().any(|line| line.trim() == wanted)
    });
    (!is_known).then_some(wanted)
}

/// Returns whether a program can be run.
pub(super) fn has_program(name: &str) -> bool {
    // Looked up and not started: programs differ in the option that makes them do nothing.
    capture(Command::new("which").arg(name)).is_ok()
}

/// Returns whether the dynamic linker finds a library, such as `libX11.so.6`.
pub(super) fn has_library(name: &str) -> bool {
    // `/sbin` is not on the path of an ordinary user everywhere.
    ["ldconfig", "/sbin/ldconfig"].into_iter().any(|program| {
        let list = capture(Command::new(program).arg("-p"));
        list.is_ok_and(|list| String::from_utf8_lossy(&list.stdout).contains(name))
    })
}
