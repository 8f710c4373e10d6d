//! Checks that nothing costs more than n log n for n ports, timers, tasks, waiters or isolates.
//!
//! The program `growth` of `insula-core` does each operation for n, 2n and 4n under callgrind,
//! which counts instructions, so the machine's speed and load do not matter.

use std::path::Path;
use std::process::Command;

use super::{Trouble, Verdict, capture, cargo, packages, pass};

/// Large enough that one step per pair shows beside the cost of one element, some 2,000
/// instructions.
const N: u64 = 4_000;

/// The limit on the cost ratio when the size doubles: n log n gives 2.2 at `N`, and n to the power
/// of 1.5 gives 2.8.
const MOST: f64 = 2.35;

pub(super) fn measure(root: &Path) -> Verdict {
    packages::require(&["valgrind"], || packages::has_program("valgrind"))?;
    pass(cargo(root).args([
        "build",
        "--release",
        "--package",
        "insula-core",
        "--example",
        "growth",
    ]))?;
    let program = super::ffi::target(root).join("release/examples/growth");
    let list = capture(&mut Command::new(&program)).map_err(Trouble::Failed)?;
    let list = String::from_utf8_lossy(&list.stdout).into_owned();
    let mut grown = Vec::new();
    for name in list.lines() {
        // Two doublings, since a cost that grows late would not show in the first.
        let counts = [0, N, 2 * N, 4 * N].map(|n| instructions(&program, name, n));
        let [none, first, second, third] = counts;
        let (none, first, second, third) = (none?, first?, second?, third?);
        // Subtract the program's fixed cost.
        let [first, second, third] =
            [first, second, third].map(|it| it.saturating_sub(none) as f64);
        let (once, twice) = (second / first, third / second);
        println!(
            "{name}: {:.0} instructions each, times {once:.2}, times {twice:.2}",
            first / N as f64
        );
        if once > MOST || twice > MOST {
            grown.push(format!("{name} (times {once:.2}, times {twice:.2})"));
        }
    }
    if grown.is_empty() {
        return Ok(());
    }
    Err(Trouble::Failed(format!(
        "twice as many cost more than {MOST} times as much: {}; see where with \
         `callgrind_annotate`",
        grown.join(", ")
    )))
}

/// Returns the number of instructions of an operation for `n`.
pub(super) fn instructions(program: &Path, name: &str, n: u64) -> Result<u64, Trouble> {
    let mut command = Command::new("valgrind");
    // Only the total is needed, which is printed as well.
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(program).args([name, &n.to_string()]);
    let output = capture(&mut command).map_err(Trouble::Failed)?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| {
        let (_, count) = line.split_once("Collected :")?;
        count.trim().parse().ok()
    });
    count.ok_or_else(|| Trouble::Failed(format!("valgrind did not count: {said}")))
}
