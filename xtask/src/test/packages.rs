//! Debian packages that a step needs and a plain machine lacks.

use std::process::Command;

use super::{Trouble, capture};

/// Installs `packages` if `is_there` says that they are missing.
///
/// # Errors
/// Names them if they cannot be installed.
pub(super) fn require(packages: &[&str], is_there: impl Fn() -> bool) -> Result<(), Trouble> {
    if is_there() {
        return Ok(());
    }
    let names = packages.join(" ");
    println!("trying to install {names}");
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive");
    install.args(["install", "--yes", "--no-install-recommends"]);
    let installed = capture(install.args(packages));
    match installed {
        Ok(_) if is_there() => Ok(()),
        Ok(_) => Err(Trouble::Impossible(format!("{names} are not enough"))),
        Err(why) => Err(Trouble::Impossible(format!(
            "these packages are needed: {names}; {why}"
        ))),
    }
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
