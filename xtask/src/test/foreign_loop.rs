//! Runs the example that lives in glib's main loop. It links a system library, so it is not a
//! member of the workspace.

use std::path::Path;
use std::process::Command;

use super::{Verdict, capture, cargo, packages, pass};

const PACKAGES: &[&str] = &["libglib2.0-dev", "pkg-config"];

/// Builds and runs the example, which checks its own results.
pub(super) fn run_glib(root: &Path) -> Verdict {
    packages::require(PACKAGES, || {
        capture(Command::new("pkg-config").args(["--exists", "glib-2.0 >= 2.66"])).is_ok()
    })?;
    let folder = root.join("examples/glib-loop");
    let mut command = cargo(root);
    command.args(["run", "--manifest-path"]);
    command.arg(folder.join("Cargo.toml"));
    pass(
        command
            .arg("--target-dir")
            .arg(root.join("target/glib-loop")),
    )
}
