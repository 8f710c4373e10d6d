//! The budget of instructions: what an ask, a call, an item of a stream cost.
//!
//! The program `instructions` of `insula-pool` does each case many times on a runtime of one thread,
//! under callgrind, which counts instructions. The cost of one is the difference of two such counts,
//! so what is done once falls out, and so do the machine's speed and load. `bench/instructions.txt`
//! has the counts that were accepted; a case may differ from its line by 2 %.
//!
//! A case that got cheaper is a failure too, until its line says so: otherwise the next change could
//! spend what was gained, and no test would notice.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::growth::instructions;
use super::{Trouble, Verdict, capture, cargo, packages, pass};

const FILE: &str = "bench/instructions.txt";

/// The counts of a case are those for `MANY` minus those for `FEW`.
const FEW: u64 = 1_000;
const MANY: u64 = 21_000;

/// The most by which a count may differ from its line, in percent.
const TOLERANCE: u64 = 2;

/// The use of the counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Budget {
    Write,
    Compare,
}

/// Runs `cargo xtask budget`. Returns whether it succeeded.
pub(crate) fn run(root: &Path, budget: Budget) -> bool {
    let verdict = match budget {
        Budget::Write => write(root),
        Budget::Compare => check(root),
    };
    match verdict {
        Ok(()) => true,
        Err(Trouble::Failed(why) | Trouble::Impossible(why)) => {
            println!("{why}");
            false
        }
    }
}

fn write(root: &Path) -> Verdict {
    let path = root.join(FILE);
    let before = fs::read_to_string(&path).unwrap_or_default();
    // The comments at the head explain the file. Of the counts none is kept, since a case may be
    // gone.
    let mut text: String = before
        .lines()
        .filter(|line| line.starts_with('#'))
        .fold(String::new(), |text, line| text + line + "\n");
    for (case, count) in count(root)? {
        // Nothing can go wrong in writing to a string.
        let _ = writeln!(text, "{case} {count}");
    }
    fs::write(&path, text)
        .map_err(|error| Trouble::Failed(format!("{FILE} cannot be written: {error}")))
}

/// Compares the counts with the accepted ones.
pub(super) fn check(root: &Path) -> Verdict {
    let path = root.join(FILE);
    let text = fs::read_to_string(path)
        .map_err(|error| Trouble::Failed(format!("{FILE} cannot be read: {error}")))?;
    let accepted = parse(&text).map_err(Trouble::Failed)?;
    let counted = count(root)?;
    let faults = faults(&accepted, &counted);
    if faults.is_empty() {
        return Ok(());
    }
    Err(Trouble::Failed(format!(
        "{}; if this is as it should be, run `cargo xtask budget --write` and commit {FILE}",
        faults.join("; ")
    )))
}

type Counts = Vec<(String, u64)>;

fn parse(text: &str) -> Result<Counts, String> {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|(index, line)| {
            let parsed = line
                .split_once(' ')
                .and_then(|(case, count)| Some((case.to_owned(), count.trim().parse().ok()?)));
            parsed.ok_or_else(|| format!("{FILE}, line {}: no case and count: {line}", index + 1))
        })
        .collect()
}

fn faults(accepted: &Counts, counted: &Counts) -> Vec<String> {
    let find = |counts: &Counts, case: &str| {
        let found = counts.iter().find(|(it, _)| it == case);
        found.map(|(_, count)| *count)
    };
    let mut faults = Vec::new();
    for (case, count) in counted {
        match find(accepted, case) {
            None => faults.push(format!("{case} has no line in {FILE}")),
            Some(limit) => {
                // Multiplied, since a division would round the tolerance of a small count to zero.
                if count.abs_diff(limit) * 100 > limit * TOLERANCE {
                    let percent = (*count as f64 / limit as f64 - 1.0) * 100.0;
                    faults.push(format!(
                        "{case} costs {count} instructions, {percent:+.1} % of {limit}"
                    ));
                }
            }
        }
    }
    let gone = accepted
        .iter()
        .filter(|(it, _)| find(counted, it).is_none());
    faults.extend(gone.map(|(case, _)| format!("{FILE} has a line for {case}, which is no case")));
    faults
}

fn count(root: &Path) -> Result<Counts, Trouble> {
    packages::require(&["valgrind"], || packages::has_program("valgrind"))?;
    pass(cargo(root).args([
        "build",
        "--release",
        "--package",
        "insula-pool",
        "--example",
        "instructions",
    ]))?;
    let program = super::ffi::target(root).join("release/examples/instructions");
    let list = capture(&mut std::process::Command::new(&program)).map_err(Trouble::Failed)?;
    let mut counts = Vec::new();
    for case in String::from_utf8_lossy(&list.stdout).lines() {
        let few = instructions(&program, case, FEW)?;
        let many = instructions(&program, case, MANY)?;
        let each = many.saturating_sub(few) / (MANY - FEW);
        println!("{case}: {each} instructions");
        counts.push((case.to_owned(), each));
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> Counts {
        pairs
            .iter()
            .map(|(case, n)| ((*case).to_owned(), *n))
            .collect()
    }

    #[test]
    fn a_line_is_a_case_and_a_count() {
        let parsed = parse("# what they are\nask 1271\n\ncall 2000\n");
        assert_eq!(parsed, Ok(counts(&[("ask", 1271), ("call", 2000)])));
        let fault = parse("ask 12\ncall many\n").unwrap_err();
        assert!(
            fault.contains("line 2") && fault.contains("call many"),
            "{fault}"
        );
    }

    #[test]
    fn a_case_may_differ_by_two_percent_in_either_direction() {
        let accepted = counts(&[("ask", 1000)]);
        for within in [980, 1000, 1020] {
            assert!(faults(&accepted, &counts(&[("ask", within)])).is_empty());
        }
        for beyond in [979, 1021] {
            assert_eq!(faults(&accepted, &counts(&[("ask", beyond)])).len(), 1);
        }
    }

    #[test]
    fn cases_and_lines_belong_to_each_other() {
        let faults = faults(&counts(&[("old", 1)]), &counts(&[("new", 1)]));
        assert_eq!(faults.len(), 2);
        assert!(faults[0].contains("new") && faults[1].contains("old"));
    }
}
