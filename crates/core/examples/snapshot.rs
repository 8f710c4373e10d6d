//! What a snapshot of 100,000 isolates takes, and for how long it holds others up.
//!
//! `cargo run --release -p insula-core --example snapshot`

#![expect(clippy::print_stdout, reason = "it prints a table")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use insula_core::{Isolate, ReceivePort, Runtime, yield_now};

const ISOLATES: usize = 100_000;
const LOOKS: usize = 50;

fn main() {
    let runtime = Runtime::builder().threads(1).build();
    // They stay, since their ports are open.
    let ports: Vec<_> = (0..ISOLATES)
        .map(|_| {
            let builder = Isolate::builder().runtime(&runtime).name("idle");
            builder.spawn_with_port(|port: ReceivePort<()>| {
                port.listen(|()| {});
            })
        })
        .collect();
    let (alone, _) = longest_gap(&runtime, || std::thread::sleep(Duration::from_secs(1)));
    let (beside, times) = longest_gap(&runtime, || looks(&runtime));
    println!("| of {ISOLATES} isolates | |\n|---|---|");
    println!("| a snapshot, median | {:.1?} |", times[times.len() / 2]);
    println!("| the longest snapshot | {:.1?} |", times[times.len() - 1]);
    println!("| the longest pause of an isolate, alone | {alone:.1?} |");
    println!("| the longest pause of an isolate, beside snapshots | {beside:.1?} |");
    drop(ports);
    runtime.shut_down();
}

fn looks(runtime: &Runtime) -> Vec<Duration> {
    let mut times: Vec<_> = (0..LOOKS)
        .map(|_| {
            let begin = Instant::now();
            let seen = runtime.snapshot();
            assert!(seen.isolates.len() >= ISOLATES);
            begin.elapsed()
        })
        .collect();
    times.sort_unstable();
    times
}

/// Runs `f` beside an isolate that goes from turn to turn and spawns an isolate in each, for which it needs
/// the register. Returns the longest time between two of its turns.
fn longest_gap<R>(runtime: &Runtime, f: impl FnOnce() -> R) -> (Duration, R) {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let _entered = runtime.enter();
    let busy = Isolate::run_async(move || async move {
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        while !over.load(Ordering::Relaxed) {
            Isolate::spawn(|()| {}, ());
            yield_now().await;
            let now = Instant::now();
            longest = longest.max(now - last);
            last = now;
        }
        longest
    });
    let result = f();
    is_over.store(true, Ordering::Relaxed);
    (busy.wait().expect("it does not panic"), result)
}
