//! Two native threads call functions of an isolate: a blocking one, and one without an answer.
//!
//! `cargo run -p insula --example callbacks`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

use std::error::Error;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use insula::callback::{BlockingCallback, ListenerCallback};
use insula::{IsolateCell, one_shot};

/// The callbacks that a native library was given. It knows nothing of isolates.
#[derive(Clone)]
struct Registered {
    blocking: BlockingCallback<i64, i64>,
    non_blocking: ListenerCallback<i64>,
}

/// Starts one of the library's own threads.
fn start_worker(number: u32, argument: i64, registered: Registered) -> JoinHandle<()> {
    thread::spawn(move || {
        println!("thread {number}: starts");
        println!("thread {number}: calls blocking({argument})");
        let answer = match registered
            .blocking
            .call_timeout(argument, Duration::from_secs(10))
        {
            Ok(answer) => answer,
            Err(error) => return println!("thread {number}: {error}"),
        };
        println!("thread {number}: blocking({argument}) returned {answer}");
        println!("thread {number}: calls non_blocking({})", answer - 1);
        if let Err(error) = registered.non_blocking.call(answer - 1) {
            println!("thread {number}: {error}");
        }
        println!("thread {number}: is done");
    })
}

#[insula::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    println!("isolate: registers its callbacks");
    let (done, both_called) = one_shot();
    let seen = IsolateCell::new(Vec::new());
    let (log, mut done) = (seen.clone(), Some(done));
    let registered = Registered {
        blocking: BlockingCallback::new(|n| {
            println!("isolate:     blocking({n})");
            n + 3
        }),
        non_blocking: ListenerCallback::new(move |n| {
            println!("isolate:     non_blocking({n})");
            log.with(|seen| seen.push(n));
            if log.with(|seen| seen.len()) == 2
                && let Some(done) = done.take()
            {
                done.send(());
            }
        }),
    };
    println!("isolate: starts two threads");
    let workers = [
        start_worker(1, 3, registered.clone()),
        start_worker(2, 5, registered.clone()),
    ];
    // Awaiting does not occupy the isolate's thread, so its callbacks can run meanwhile.
    both_called.await?;
    println!("isolate: stops the threads and closes its callbacks");
    insula::runtime::blocking(|| workers.map(JoinHandle::join))
        .into_iter()
        .collect::<Result<Vec<()>, _>>()
        .map_err(|_| "a thread panicked")?;
    registered.blocking.close();
    registered.non_blocking.close();
    let mut seen = seen.with(std::mem::take);
    seen.sort_unstable();
    assert_eq!(seen, [5, 7]);
    println!("isolate: is done");
    Ok(())
}
