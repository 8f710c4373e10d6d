//! Shrinks failing programs.

use crate::child::supervise;
use crate::program::Program;

/// The number of passes after which a smaller program counts as not failing.
const TRIES: u32 = 3;

/// The number of runs per try, in one process.
// On threads, a fault may show in one of several runs only. With more runs fewer are missed, but
// each operation that cannot be removed costs them all.
const RUNS: u32 = 5;

/// The time after which a program counts as hung, in seconds.
// Less than in a first run, since each smaller program that hangs costs all of it.
const LIMIT: u64 = 2;

/// Removes operations as long as the program fails. Returns `None` if it does not fail at all.
pub(crate) fn shrink(program: &Program) -> Option<(Program, String)> {
    let mut why = failure(program)?;
    let mut least = program.clone();
    loop {
        let before = least.count();
        // First whole operations with all that is in them, which removes the most at once. Then
        // those of which only the inside is needed.
        for unwrap in [false, true] {
            let mut index = 0;
            while index < least.count() {
                let smaller = least.without(index, unwrap);
                // Only if it is smaller, or the search might not come to its end.
                let found = (smaller.count() < least.count())
                    .then(|| failure(&smaller))
                    .flatten()
                    .filter(|what| sort(what) == sort(&why));
                match found {
                    // The index stays: another operation has it now.
                    Some(what) => (least, why) = (smaller, what),
                    None => index += 1,
                }
            }
        }
        if least.count() == before {
            return Some((least, why));
        }
    }
}

/// Returns the kind of a failure: a smaller program must fail in the same way.
fn sort(what: &str) -> String {
    let what = what.trim();
    // What an abort prints last depends on the threads, so that its text is not compared.
    if what.contains("(core dumped)") || what.contains("signal: ") {
        return "ended".to_owned();
    }
    // No digits: the numbers of values and calls change with every operation that is removed.
    let letters = what.chars().filter(|letter| letter.is_alphabetic());
    letters.take(12).collect()
}

/// Runs a program and returns its failure.
fn failure(program: &Program) -> Option<String> {
    // With this process's number, so that two that shrink at once do not share a file.
    let path = std::env::temp_dir().join(format!("insula-hostile-{}", std::process::id()));
    std::fs::write(&path, program.to_string()).ok()?;
    let arguments = [
        "file".to_owned(),
        path.to_string_lossy().into_owned(),
        RUNS.to_string(),
        LIMIT.to_string(),
    ];
    let mut found = None;
    for _ in 0..TRIES {
        let mut said = String::new();
        let outcome = supervise(&arguments, LIMIT, |line| said.push_str(line));
        if !outcome.is_success() {
            found = Some(format!("{said} {}", outcome.describe()).trim().to_owned());
            break;
        }
    }
    // A file that stays is overwritten by the next try.
    let _ = std::fs::remove_file(path);
    found
}
