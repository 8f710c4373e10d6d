//! The program of the guide's chapter on the event loop and time.
//!
//! `cargo run -p insula-guide --bin event_loop`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::time::Duration;

use insula::isolate::{RunError, schedule_microtask};
use insula::{Instant, Isolate, Runtime, Timer, sleep, spawn_local};

/// Shows the order in which an isolate runs its work.
async fn show_order() {
    let start = Instant::now();
    Timer::run(|| println!("4: a zero timer is an event, after those that are queued now"));
    schedule_microtask(|| println!("2: a microtask runs after the current event"));
    spawn_local(async { println!("3: a task is polled as a microtask") });
    println!("1: the current event");

    Timer::periodic(Duration::from_secs(600), |timer, tick| {
        println!("tick {tick}");
        if tick == 3 {
            timer.cancel();
        }
    });
    // The isolate goes on with other events while this task waits.
    sleep(Duration::from_secs(3600)).await;
    println!("awake after {:?}", Instant::now() - start);
}

fn main() -> Result<(), RunError> {
    // On virtual time the hour passes at once, and each run has the same order.
    let runtime = Runtime::builder().seeded(1).build();
    let shown = runtime.block_on(async { Isolate::run_async(show_order).await });
    runtime.shut_down();
    shown
}
// ANCHOR_END: program
