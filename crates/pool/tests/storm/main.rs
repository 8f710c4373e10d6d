//! Random storms of calls on random pools, with a shutdown at a random moment.
//!
//! A seed decides everything that a storm does: the pool (`weather`), the calls and what their
//! callers do with them (`caller`), what the handlers do (`service`), and how and when the pool ends
//! (`run`). At the end `ledger` compares three sides: what the pool has counted, what the callers
//! were told, and which handlers really ran.
//!
//! Storms on a seeded runtime repeat exactly. Those on threads depend on the order of the threads
//! too. A storm that fails prints its seed: `INSULA_SEED=N` runs that one alone, and
//! `INSULA_STORMS=N` runs so many of each kind.
//!
//! What storms meet by chance, `matrix` does one by one: every fault at every moment.

mod caller;
mod dice;
mod ledger;
mod matrix;
mod run;
mod service;
mod weather;

use std::thread;

use run::Kind;

/// The storms of a kind without `INSULA_STORMS`. Those on threads wait for real time to pass.
fn usual(kind: Kind) -> u64 {
    match kind {
        Kind::Seeded => 120,
        Kind::Threads => 30,
    }
}

/// Returns the number in a variable of the environment.
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

fn storms(kind: Kind) {
    let seeds = match number("INSULA_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("INSULA_STORMS").unwrap_or_else(|| usual(kind)),
    };
    match kind {
        // They share nothing, and each has one thread.
        Kind::Seeded => thread::scope(|scope| {
            let lanes = thread::available_parallelism().map_or(1, Into::into);
            for lane in 0..lanes {
                let seeds = seeds.clone().skip(lane).step_by(lanes);
                scope.spawn(move || seeds.for_each(|seed| run::storm(kind, seed)));
            }
        }),
        Kind::Threads => seeds.for_each(|seed| run::storm(kind, seed)),
    }
}

#[test]
fn the_books_balance_after_storms_on_virtual_time() {
    storms(Kind::Seeded);
}

#[test]
fn the_books_balance_after_storms_on_threads() {
    storms(Kind::Threads);
}
