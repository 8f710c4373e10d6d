//! Timers and microtasks of isolates.

use std::future::Future;
use std::time::{Duration, Instant};

use insula::isolate::schedule_microtask;
use insula::time::Sleep;
use insula::{Isolate, ReplyTo, Timer, one_shot, sleep, spawn_local, yield_now};

use super::Shape;
use crate::case::Sample;
use crate::drivers::pool::Tick;
use crate::drivers::timers::{HEAD_START, Late, Sleeper, due};
use crate::measure::stamp;

/// An operation that runs a little later, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Later {
    /// A timer of zero delay; its callback makes the next one.
    Timer,
    /// One task that yields to everything that is queued.
    Yield,
    /// One task that sleeps for zero.
    Sleep,
    /// A microtask; it schedules the next one.
    Microtask,
    /// A task; it starts the next one.
    Task,
}

impl Later {
    /// Runs `count` of them, one after the other.
    pub(crate) fn chain(self, shape: Shape, count: u64) -> Duration {
        shape.run(async move {
            let start = Instant::now();
            match self {
                Self::Yield => {
                    for _ in 0..count {
                        yield_now().await;
                    }
                }
                Self::Sleep => {
                    for _ in 0..count {
                        sleep(Duration::ZERO).await;
                    }
                }
                Self::Timer => links(count, timer).await,
                Self::Microtask => links(count, microtask).await,
                Self::Task => links(count, task).await,
            }
            start.elapsed()
        })
    }
}

async fn links(count: u64, first: fn(u64, ReplyTo<()>)) {
    let (done, finished) = one_shot();
    first(count, done);
    finished.await.expect("the chain comes to its end");
}

fn timer(left: u64, done: ReplyTo<()>) {
    Timer::run(move || match left {
        1 => done.send(()),
        _ => timer(left - 1, done),
    });
}

fn microtask(left: u64, done: ReplyTo<()>) {
    schedule_microtask(move || match left {
        1 => done.send(()),
        _ => microtask(left - 1, done),
    });
}

fn task(left: u64, done: ReplyTo<()>) {
    spawn_local(async move {
        match left {
            1 => done.send(()),
            _ => task(left - 1, done),
        }
    });
}

/// Makes `count` timers of zero delay at once, and waits until all have fired.
pub(crate) fn zero_timers(shape: Shape, count: u64) -> Duration {
    let fired = Tick::default();
    let fires = fired.clone();
    let elapsed = shape.run(async move {
        let start = Instant::now();
        for _ in 0..count {
            let fires = fires.clone();
            Timer::run(move || fires.tick());
        }
        // They fire in the order in which they were made.
        let (done, all_fired) = one_shot();
        Timer::run(move || done.send(()));
        all_fired.await.expect("the last one fires");
        start.elapsed()
    });
    assert_eq!(fired.count(), count);
    elapsed
}

/// Sleeps of one isolate, and its tasks.
#[derive(Clone, Copy)]
pub(crate) struct Tasks(pub(crate) Shape);

impl Sleeper for Tasks {
    type Sleep = Sleep;

    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.run(root)
    }

    fn sleep(duration: Duration) -> Sleep {
        sleep(duration)
    }

    fn start(self, task: impl Future<Output = ()> + Send + 'static) {
        spawn_local(task);
    }
}

/// Sleeps of many isolates.
#[derive(Clone, Copy)]
pub(crate) struct Isolates(pub(crate) Shape);

impl Sleeper for Isolates {
    type Sleep = Sleep;

    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.0.run(root)
    }

    fn sleep(duration: Duration) -> Sleep {
        sleep(duration)
    }

    fn start(self, task: impl Future<Output = ()> + Send + 'static) {
        Isolate::spawn(async move |()| task.await, ());
    }
}

/// The driver's workload of sleeps, with a callback for each instead of a task.
pub(crate) fn lateness_of_callbacks(shape: Shape, count: u64) -> Sample {
    let (late, finished) = Late::new(count);
    let records = late.clone();
    shape.run(async move {
        let base = stamp() + HEAD_START.as_nanos() as u64;
        for index in 0..count {
            let (late, due) = (late.clone(), due(base, index, count));
            let left = Duration::from_nanos(due.saturating_sub(stamp()));
            Timer::after(left, move || late.record(index, due));
        }
        finished.await.expect("every timer fires");
    });
    records.sample()
}
