//! The program of the guide's chapter on control and supervision.
//!
//! `cargo run -p insula-guide --bin control`
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "an example shows its result")]

// ANCHOR: program
use std::error::Error;

use insula::control::ExitReason;
use insula::control::{ErrorCause, Priority, UncaughtError};
use insula::isolate::KeepsAlive;
use insula::port::Listener;
use insula::{Isolate, IsolateGroup, ReceivePort, SendPort, checkpoint};

type Failure = Box<dyn Error + Send + Sync>;

/// A worker, which does not survive the job 3.
fn work(jobs: ReceivePort<u32>) -> Listener<u32> {
    jobs.set_name("jobs");
    jobs.listen(|job| {
        assert!(job != 3, "job {job} is broken");
        println!("job {job} is done");
    })
}

/// Starts a worker whose errors and end are reported from its beginning.
fn start(
    group: &IsolateGroup,
    errors: &SendPort<UncaughtError>,
    ends: &SendPort<ExitReason>,
) -> (Isolate, SendPort<u32>) {
    Isolate::builder()
        .name("worker")
        .group(group)
        .on_error(errors)
        .on_exit(ends, ExitReason::clone)
        .spawn_pair(work)
}

#[insula::main]
async fn main() -> Result<(), Failure> {
    let (mut errors, mut ends) = (ReceivePort::new(), ReceivePort::new());
    let (errors_port, ends_port) = (errors.send_port(), ends.send_port());
    let group = IsolateGroup::new("workers");

    let (_worker, jobs) = start(&group, &errors_port, &ends_port);
    for job in 1..=4 {
        jobs.send(job)?;
    }
    // The error comes first, then the end that it causes.
    let error = errors.recv().await.ok_or("no error")?;
    if let ErrorCause::Panicked(report) = error.cause {
        println!("{}: {}", error.name, report.message());
    }
    let end = ends.recv().await.ok_or("no end")?;
    assert!(matches!(end, ExitReason::Panicked(_)));

    // The job 4 was queued behind the broken one and is dropped. A new worker gets it.
    let (worker, jobs) = start(&group, &errors_port, &ends_port);
    jobs.send(4)?;
    let pause = worker.pause();
    jobs.send(5)?;
    worker.resume(pause);
    // The worker answers the ping after the jobs that were queued before it.
    worker.ping(Priority::AsEvent).await?;
    for reason in worker.why_alive().await {
        if let KeepsAlive::Port { name, senders, .. } = reason {
            println!("alive: port {name:?} has {senders} sender");
        }
    }

    // An isolate that computes makes interrupt checks, so that it can be ended.
    let busy = Isolate::builder().group(&group).spawn(
        |()| loop {
            checkpoint();
        },
        (),
    );
    group.kill_all();
    println!("busy is {}", busy.exited().await);
    println!("worker is {}", ends.recv().await.ok_or("no end")?);
    Ok(())
}
// ANCHOR_END: program
