//! The programs of the guide's chapter on the inspector: three problems, and their repairs.
//!
//! `cargo run -p insula-guide --bin stuck -- slow` has the first problem until Enter is pressed, so
//! that it can be looked at; `cycle` and `leak` have the others, and `--repaired` has none. Without
//! arguments the program asks its own inspector about each of them, and prints the answers.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

mod cycle;
mod leak;
mod look;
mod slow;

use std::error::Error;
use std::io;

use insula::inspect::Inspector;

use look::Look;

/// Ends what a problem has started.
type End = Box<dyn FnOnce()>;

type Start = fn(is_repaired: bool) -> Result<End, Box<dyn Error>>;

type Says = fn(&mut Look, is_repaired: bool) -> Result<(), Box<dyn Error>>;

/// The problems: what starts each of them, and what the inspector says about it.
const PROBLEMS: &[(&str, Start, Says)] = &[
    ("slow", slow::start, look::slow),
    ("cycle", cycle::start, look::cycle),
    ("leak", leak::start, look::leak),
];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.first() {
        None => check(),
        Some(name) => stay(name, arguments.iter().any(|it| it == "--repaired")),
    }
}

/// Keeps a problem until Enter is pressed.
fn stay(name: &str, is_repaired: bool) -> Result<(), Box<dyn Error>> {
    let mut problems = PROBLEMS.iter();
    let problem = problems.find(|problem| problem.0 == name);
    let (_, start, _) = problem.ok_or("expected slow, cycle or leak, and perhaps --repaired")?;
    // ANCHOR: start
    let inspector = Inspector::builder().name("stuck").allow_control().start()?;
    println!("inspect at {}", inspector.address());
    // ANCHOR_END: start
    let end = start(is_repaired)?;
    println!("Enter ends the program");
    io::stdin().read_line(&mut String::new())?;
    end();
    Ok(())
}

/// Prints what the inspector says about each problem, with and without its repair.
fn check() -> Result<(), Box<dyn Error>> {
    let inspector = Inspector::builder().announce(false).start()?;
    let mut look = Look::at(&inspector)?;
    for (name, start, says) in PROBLEMS {
        for is_repaired in [false, true] {
            let suffix = if is_repaired { ", repaired" } else { "" };
            println!("{name}{suffix}:");
            let end = start(is_repaired)?;
            says(&mut look, is_repaired)?;
            end();
        }
    }
    Ok(())
}
