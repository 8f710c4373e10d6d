//! The program of the guide's chapter on isolates.
//!
//! `cargo run -p insula-guide --bin isolates`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::error::Error;

use insula::Isolate;
use insula::isolate::RunError;

/// Counts the primes below `limit`, and never gives its thread back meanwhile.
fn count_primes(limit: u32) -> usize {
    let is_prime = |n: u32| {
        (2..n)
            .take_while(|d| d * d <= n)
            .all(|d| !n.is_multiple_of(d))
    };
    (2..limit).filter(|n| is_prime(*n)).count()
}

fn main() -> Result<(), Box<dyn Error>> {
    // The computations run at the same time. Each result moves to this thread.
    let runs = [10_000, 20_000, 30_000].map(|limit| Isolate::run(move || count_primes(limit)));
    for run in runs {
        println!("{} primes", run.wait()?);
    }

    // A panic ends its own isolate, and nothing else.
    let broken = Isolate::run(|| "12a".parse::<u32>().expect("a number"));
    if let Err(RunError::Panicked(report)) = broken.wait() {
        println!("panicked: {}", report.message());
    }

    // An isolate without a result: an entry, a message for it, and a name for reports.
    let greet = |name: String| println!("hello, {name}");
    let greeter = Isolate::builder()
        .name("greeter")
        .spawn(greet, "Ada".to_owned());
    let reason = insula::block_on(greeter.exited());
    println!("{} has {reason}", greeter.name());
    Ok(())
}
// ANCHOR_END: program
