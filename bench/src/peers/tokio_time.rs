//! tokio's timers, and its closest match to an isolate's zero timers and microtasks.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::{LocalSet, yield_now};
use tokio::time::{Sleep, sleep};

use super::tokio::{Flavor, start_task};
use crate::drivers::pool::Tick;
use crate::drivers::timers::Sleeper;

impl Sleeper for Flavor {
    type Sleep = Sleep;

    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.run_with_timers(root)
    }

    fn sleep(duration: Duration) -> Sleep {
        sleep(duration)
    }

    fn start(self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }
}

/// The way in which a task of tokio is resumed later.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Later {
    Yield,
    /// A sleep of zero.
    Sleep,
}

impl Later {
    async fn wait(self) {
        match self {
            Self::Yield => yield_now().await,
            Self::Sleep => sleep(Duration::ZERO).await,
        }
    }

    /// One task is resumed `count` times.
    pub(crate) fn chain(self, flavor: Flavor, count: u64) -> Duration {
        flavor.run_with_timers(async move {
            let start = Instant::now();
            for _ in 0..count {
                self.wait().await;
            }
            start.elapsed()
        })
    }

    /// `count` tasks are resumed once.
    pub(crate) fn all(self, flavor: Flavor, count: u64) -> Duration {
        let back = Tick::default();
        let come_back = back.clone();
        let elapsed = flavor.run_with_timers(async move {
            let start = Instant::now();
            let task = |_| {
                let back = come_back.clone();
                start_task(async move {
                    self.wait().await;
                    back.tick();
                })
            };
            let started: Vec<_> = (0..count).map(task).collect();
            for task in started {
                task.await;
            }
            start.elapsed()
        });
        assert_eq!(back.count(), count);
        elapsed
    }
}

/// A chain of local tasks, each started by the one before.
pub(crate) fn local_chain(count: u64) -> Duration {
    let runtime = Flavor::Current.runtime();
    LocalSet::new().block_on(&runtime, async move {
        let (done, finished) = oneshot::channel();
        let start = Instant::now();
        link(count, done);
        finished.await.expect("the chain comes to its end");
        start.elapsed()
    })
}

fn link(left: u64, done: oneshot::Sender<()>) {
    tokio::task::spawn_local(async move {
        match left {
            // The receiver waits for it.
            1 => drop(done.send(())),
            _ => link(left - 1, done),
        }
    });
}
