//! What a step needs of the machine and a plain one lacks: Debian packages, targets and
//! toolchains of rustup.
//!
//! The machine is changed only where `--install` asks for it. Otherwise a step that lacks
//! something says what exactly is missing, and which commands would install it.

use std::process::Command;
use std::sync::OnceLock;

use super::{Trouble, capture};

/// Whether the steps may change the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installing {
    Forbidden,
    Allowed,
}

/// Set once, before the steps run.
static INSTALLING: OnceLock<Installing> = OnceLock::new();

/// Says whether the steps may change the machine; without a word they may not.
pub(super) fn set(installing: Installing) {
    // A second run in one process would not get it; there is none.
    let _ = INSTALLING.set(installing);
}

/// Sees to it that `is_there`. If it is not, and installing is allowed, runs `commands` in their
/// order; each is a program and its arguments.
///
/// # Errors
/// Names `what` is missing and the commands, if installing is forbidden or did not help.
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
        let mut words = command.split(' ');
        let mut install = Command::new(words.next().unwrap_or_default());
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

/// Sees to it that there are Debian packages, if `is_there` says that something is missing. A
/// package may be of another architecture, as `libc6:i386` is.
///
/// # Errors
/// As of [`provide`].
pub(super) fn require(packages: &[&str], is_there: impl Fn() -> bool) -> Result<(), Trouble> {
    if is_there() {
        return Ok(());
    }
    let mut missing: Vec<_> = packages.iter().filter(|it| !is_installed(it)).collect();
    if missing.is_empty() {
        // They are there, and not enough; installing them again may mend it.
        missing = packages.iter().collect();
    }
    let names: Vec<_> = missing.into_iter().copied().collect();
    let names = names.join(" ");
    let mut what = format!("the packages {names}");
    let mut commands = Vec::new();
    if let Some(architecture) = missing_architecture(&names) {
        what = format!("the architecture {architecture} of dpkg, and {what}");
        commands.push(format!("dpkg --add-architecture {architecture}"));
        commands.push("apt-get update --quiet".to_owned());
    }
    commands.push(format!(
        "apt-get install --yes --no-install-recommends {names}"
    ));
    let commands: Vec<_> = commands.iter().map(String::as_str).collect();
    provide(&what, &commands, is_there)
}

/// Sees to it that the compiler knows a target.
///
/// # Errors
/// As of [`provide`].
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

/// The architecture that some of the packages are of and dpkg does not know.
fn missing_architecture(names: &str) -> Option<&str> {
    let wanted = names.split(' ').find_map(|name| name.split_once(':'))?.1;
    let known = capture(Command::new("dpkg").arg("--print-foreign-architectures"));
    let is_known = known.is_ok_and(|known| {
        let known = String::from_utf8_lossy(&known.stdout).into_owned();
        known.lines().any(|line| line.trim() == wanted)
    });
    (!is_known).then_some(wanted)
}

/// Whether a program can be run.
pub(super) fn has_program(name: &str) -> bool {
    capture(Command::new("which").arg(name)).is_ok()
}

/// Whether the dynamic linker knows a library, such as `libX11.so.6`.
pub(super) fn has_library(name: &str) -> bool {
    // Not on the path of an ordinary user everywhere.
    ["ldconfig", "/sbin/ldconfig"].into_iter().any(|program| {
        let list = capture(Command::new(program).arg("-p"));
        list.is_ok_and(|list| String::from_utf8_lossy(&list.stdout).contains(name))
    })
}
