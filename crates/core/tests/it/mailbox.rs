//! Risk: a wait never ends, since the peer died, in a cycle, or since a wake-up was lost; a message
//! is lost, delivered twice, or taken for the response to another request.

mod deadlocks;
mod locks;
mod one_slot;
mod rendezvous;

use std::fmt::Debug;
use std::time::{Duration, Instant};

use insula_core::{Deadlock, Isolate, Runtime, one_shot};

/// Longer than anything here should take.
const LONG: Duration = Duration::from_secs(20);
/// Too short to lengthen the tests.
const SHORT: Duration = Duration::from_millis(20);

/// Returns the names of the parties in the cycle.
pub(crate) fn names(deadlock: &Deadlock) -> Vec<&str> {
    deadlock.names.iter().map(|name| &**name).collect()
}

/// Runs `f` in an isolate of `runtime` and hands its result to a thread.
pub(crate) fn run_in<R: Send + 'static>(
    runtime: &Runtime,
    name: &str,
    f: impl FnOnce() -> R + Send + 'static,
) -> (Isolate, insula_core::Reply<R>) {
    let (answer, reply) = one_shot();
    let isolate = Isolate::builder()
        .runtime(runtime)
        .name(name)
        .spawn(move |()| answer.send(f()), ());
    (isolate, reply)
}

/// Waits until a thread that is about to wait does so.
fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "it never came to that");
        std::thread::yield_now();
    }
}

/// Until so many wait there, as its `Debug` tells.
fn until_shown(waited_for: &impl Debug, text: &str) {
    until(|| format!("{waited_for:?}").contains(text));
}
