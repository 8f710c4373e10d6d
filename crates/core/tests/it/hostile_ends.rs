//! Risk: an isolate that ends takes the process along, or never ends: its destructors panic, wait,
//! check, send and spawn while the stack unwinds and in the teardown; a kill is caught; a wait is
//! not ended.

mod kills;
mod starvation;
mod teardown;
mod unwinding;
mod waits;

use std::time::{Duration, Instant};

use insula_core::{ExitReason, Isolate, Run, Runtime};

/// Longer than anything here should take, and bounded so that a failure has a name.
const LONG: Duration = Duration::from_secs(20);

/// Waits until it is so.
fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "it never came to that: {what}");
        std::thread::yield_now();
    }
}

/// Shuts a runtime down, which all of its isolates must allow.
fn shut_down(runtime: &Runtime) {
    if let Err(running) = runtime.shut_down_timeout(LONG) {
        panic!("{running}");
    }
}

/// Waits for the end of an isolate.
fn end_of(isolate: &Isolate) -> ExitReason {
    let (sender, ended) = std::sync::mpsc::channel();
    let isolate = isolate.clone();
    std::thread::spawn(move || sender.send(insula_core::block_on(isolate.exited())));
    ended.recv_timeout(LONG).expect("the isolate never ends")
}

/// Keeps a value from ever being dropped.
fn leak<T>(value: T) {
    let _ = std::mem::ManuallyDrop::new(value);
}

/// For what is of no interest, also if it need not be dropped.
fn ignore<T>(_: T) {}

/// A computation that is waited for when this is dropped.
struct Join(Option<Run<()>>);

impl Drop for Join {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            drop(run.wait());
        }
    }
}

/// Runs a closure when it is dropped.
struct OnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> OnDrop<F> {
    fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        if let Some(f) = self.0.take() {
            f();
        }
    }
}
