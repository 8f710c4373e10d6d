//! Jobs of two workers: all submitted at once, and work that is worth a job.

use futures_util::future::join_all;
use insula::{Isolate, ReceivePort, Runtime, one_shot, spawn_local};

use crate::drivers::executor::THREADS;
use crate::drivers::pool::Tick;
use crate::insula::Shape;
use crate::insula::calls::{Adder, Pool, all_ended};
use crate::measure::Work;

/// A runtime with a pool on it, or with another executor of the jobs.
#[derive(Debug)]
pub(crate) struct Ground(Runtime);

impl Ground {
    pub(crate) fn new() -> Self {
        Self(Shape::Multi.runtime())
    }

    /// Runs `root` as an isolate and waits for it.
    fn run<F>(&self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let _entered = self.0.enter();
        let result = Isolate::run_async(|| root).wait();
        result.expect("the root does not panic")
    }

    /// Submits `count` no-op isolates, then waits for all.
    pub(crate) fn run_all(&self, count: u64, tick: &Tick) {
        let tick = tick.clone();
        self.run(spread(count, move || tick.tick()));
    }

    /// Submits `count` isolates that compute, then waits for all.
    pub(crate) fn run_work(&self, count: u64, work: Work) {
        self.run(spread(count, move || work.run()));
    }

    /// Sends the work to two isolates in turn, then waits for both.
    pub(crate) fn send_work(&self, count: u64, work: Work) {
        self.run(async move {
            let each = count / THREADS as u64;
            assert_eq!(each * THREADS as u64, count);
            let mut isolates = Vec::new();
            let mut ends = Vec::new();
            for _ in 0..THREADS {
                let (done, end) = one_shot();
                let computer =
                    Isolate::spawn_with_port(async move |mut port: ReceivePort<Work>| {
                        let mut computed = 0;
                        while let Some(work) = port.recv().await {
                            work.run();
                            computed += 1;
                        }
                        done.send(computed);
                    });
                isolates.push(computer);
                ends.push(end);
            }
            for _ in 0..each {
                for isolate in &isolates {
                    isolate.send(work).expect("the isolate is there");
                }
            }
            drop(isolates);
            for end in ends {
                assert_eq!(end.await, Ok(each));
            }
        });
    }
}

async fn spread(count: u64, job: impl Fn() + Clone + Send + 'static) {
    let runs: Vec<_> = (0..count).map(|_| Isolate::run(job.clone())).collect();
    for run in runs {
        run.await.expect("a job does not panic");
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

/// A pool of two workers on a runtime of its own.
#[derive(Debug)]
pub(crate) struct Crew {
    pool: Pool,
    ground: Ground,
}

impl Crew {
    pub(crate) fn new() -> Self {
        let ground = Ground::new();
        let pool = ground.0.block_on(Pool::start());
        Self { pool, ground }
    }

    /// Makes `count` no-op calls at once and waits for all answers.
    pub(crate) fn call_all(&self, count: u64, tick: &Tick) {
        let (pool, tick) = (self.pool.clone(), tick.clone());
        self.ground.run(async move {
            let call = async |value| {
                assert_eq!(pool.add_one(value).await, value + 1);
                tick.tick();
            };
            join_all((0..count).map(call)).await;
        });
    }

    /// Submits `count` pieces of work, with at most `window` calls outstanding.
    pub(crate) fn compute(&self, window: u64, count: u64, work: Work) {
        let pool = self.pool.clone();
        self.ground.run(async move {
            let callers = window.min(count);
            assert_eq!(
                count % callers,
                0,
                "each caller has the same number of jobs"
            );
            all_ended(callers, |end| {
                let pool = pool.clone();
                spawn_local(async move {
                    for _ in 0..count / callers {
                        let computed = pool.caller.compute(work).await;
                        computed.expect("a worker answers");
                    }
                    end.send(()).expect("the root waits");
                });
            })
            .await;
        });
    }
}
