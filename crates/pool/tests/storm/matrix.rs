//! Risk: a fault at a moment that no other test has thought of.
//!
//! Every fault meets every moment, from many seeds. `expected` is the matrix: what the caller of the
//! call in question may be told. Beside that call, its pool has to keep its books, to answer those
//! that the fault does not concern, to serve on, and to keep nothing.

mod expected;
mod victims;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

use futures_util::future::{Either, join_all, join3, poll_immediate, select};
use insula_core::{Isolate, Runtime, sleep};
use insula_pool::{Health, PoolStats, Restart, Shutdown, WorkerPool, Workers};

use crate::dice::Dice;
use expected::expected;
use victims::{Act, Service, Stage, Told, VictimsCaller, VictimsRequest, VictimsResponder};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Panic,
    /// The handler ends its isolate.
    Exit,
    /// The isolate is killed.
    Kill,
    /// The handler blocks its thread.
    Stuck,
    /// The caller leaves, and what the handler holds panics as it is dropped.
    DestructorPanics,
    SlowConsumer,
    CallerLeaves,
    Deadline,
    Shutdown,
}

/// Where the call or its pool is then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The call waits, and the fault strikes those before it.
    Queued,
    /// Before the first wait of the handler.
    Starting,
    Running,
    /// Between two items of the answer.
    Streaming,
    /// The handler runs, and the pool is shut down with patience.
    Draining,
    /// The handler runs, and all services are replaced.
    Recycling,
    /// The handler runs, and the pool grows and shrinks.
    Scaling,
}

const FAULTS: [Fault; 9] = [
    Fault::Panic,
    Fault::Exit,
    Fault::Kill,
    Fault::Stuck,
    Fault::DestructorPanics,
    Fault::SlowConsumer,
    Fault::CallerLeaves,
    Fault::Deadline,
    Fault::Shutdown,
];

const MOMENTS: [Moment; 7] = [
    Moment::Queued,
    Moment::Starting,
    Moment::Running,
    Moment::Streaming,
    Moment::Draining,
    Moment::Recycling,
    Moment::Scaling,
];

/// The cases of a usual run, in all cells together. `INSULA_STORMS` replaces it.
const CASES: u64 = 1_200;

/// What comes from outside happens here. Handlers act before, and end later.
const OUTSIDE: Duration = Duration::from_micros(1_000);

/// The pool begins to change here, before the handlers act.
const CHANGE: Duration = Duration::from_micros(300);

/// More than everything else takes.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn each_fault_at_each_moment_has_the_outcome_of_the_matrix() {
    let cells = FAULTS.into_iter().flat_map(|fault| {
        let moments = MOMENTS.into_iter();
        moments.map(move |moment| (fault, moment))
    });
    // A slice of the seeded runtime takes no time, so nothing is stuck there.
    let cells: Vec<_> = cells.filter(|(fault, _)| *fault != Fault::Stuck).collect();
    let cases = crate::number("INSULA_STORMS").unwrap_or(CASES);
    let seeds = cases.div_ceil(cells.len() as u64);
    let lanes = thread::available_parallelism().map_or(1, Into::into);
    thread::scope(|scope| {
        for lane in 0..lanes {
            let cells = cells.iter().skip(lane).step_by(lanes);
            scope.spawn(move || {
                for &(fault, moment) in cells {
                    check(fault, moment, seeds);
                }
            });
        }
    });
}

#[test]
fn a_stuck_worker_at_each_moment_has_the_outcome_of_the_matrix() {
    for moment in MOMENTS {
        check(Fault::Stuck, moment, 3);
    }
}

fn check(fault: Fault, moment: Moment, seeds: u64) {
    for seed in 0..seeds {
        let case = Case::new(fault, moment, seed);
        let wrong = case.run();
        assert!(wrong.is_empty(), "{case:?}: {wrong:#?}");
    }
}

/// One cell of the matrix with one seed.
#[derive(Debug, Clone, Copy)]
struct Case {
    fault: Fault,
    moment: Moment,
    seed: u64,
    workers: usize,
    at_once: usize,
    /// The time until the handler acts. It runs on for the same time.
    half: Duration,
}

impl Case {
    fn new(fault: Fault, moment: Moment, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            fault,
            moment,
            seed,
            workers: 1 + dice.below(3) as usize,
            at_once: 1 + dice.below(2) as usize,
            half: Duration::from_micros(600 + dice.below(300)),
        }
    }

    /// Returns what is wrong.
    fn run(self) -> Vec<String> {
        let stage = Stage::default();
        let runtime = match self.fault {
            Fault::Stuck => Runtime::builder().threads(2).build(),
            _ => Runtime::builder().seeded(self.seed).build(),
        };
        let inside = stage.clone();
        let ran = runtime.block_on(async { Isolate::run_async(move || self.play(inside)).await });
        stage.release();
        runtime.shut_down();
        let mut wrong = ran.unwrap_or_else(|error| vec![error.to_string()]);
        let kept = stage.kept();
        if kept > 0 {
            wrong.push(format!("{kept} parts were not dropped"));
        }
        wrong
    }

    async fn play(self, stage: Stage) -> Vec<String> {
        let pool = self.build(&stage).await;
        let caller: VictimsCaller = pool.caller();
        let ahead = self.ahead(&stage, &caller);
        let victim = self.victim(&stage, &caller);
        let (ahead, told, ()) = join3(ahead, victim, self.interfere(&pool)).await;
        let mut wrong = Vec::new();
        if !expected(self.fault, self.moment).contains(&told) {
            wrong.push(format!("the call has ended so: {told:?}"));
        }
        for other in ahead {
            if !self.ahead_may_end(other) {
                wrong.push(format!("a call beside it has ended so: {other:?}"));
            }
        }
        if self.fault != Fault::Shutdown && self.moment != Moment::Draining {
            let probe = caller.run(stage.part(Act::Nothing)).deadline(LONG).await;
            if let Err(error) = probe {
                wrong.push(format!("the pool does not serve on: {error}"));
            }
        }
        pool.shut_down(Shutdown::graceful(LONG)).await;
        wrong.extend(check_books(&pool.stats()));
        wrong
    }

    async fn build(self, stage: &Stage) -> WorkerPool<VictimsRequest> {
        let stage = stage.clone();
        let builder = WorkerPool::builder()
            .workers(match self.moment {
                Moment::Scaling => Workers::from(1..=self.workers + 2).idle(LONG),
                _ => self.workers.into(),
            })
            .concurrency_per_worker(self.at_once)
            .grace(Duration::from_micros(100))
            .restart(
                Restart::at_most(usize::MAX, Duration::MAX)
                    .delay(Duration::from_micros(1), Duration::from_micros(100)),
            );
        let builder = match self.fault {
            // So long that a thread which the system does not run for a while is not taken for stuck.
            Fault::Stuck => builder.health(Health::stuck_after(Duration::from_millis(200))),
            _ => builder,
        };
        let factory = move |cx: insula_pool::WorkerContext| {
            let stage = stage.clone();
            async move {
                if cx.incarnation() > 0 {
                    sleep(Duration::from_micros(200)).await;
                }
                Ok(Service::new(stage))
            }
        };
        let pool = builder.service::<VictimsResponder<_>>(factory).build();
        pool.await.expect("it builds")
    }

    /// The calls before the one in question: those that it waits for, or one that runs beside it.
    async fn ahead(self, stage: &Stage, caller: &VictimsCaller) -> Vec<Told> {
        let (calls, act) = match self.moment {
            Moment::Queued => (self.workers * self.at_once, self.act()),
            _ => (usize::from(self.workers * self.at_once > 1), Act::Nothing),
        };
        let calls = (0..calls).map(|_| {
            let mut part = stage.part(act).half(self.half);
            if self.moment == Moment::Queued && self.fault == Fault::DestructorPanics {
                part = part.with_bomb();
            }
            match self.fault {
                Fault::SlowConsumer => Either::Left(victims::read_slowly(caller, part)),
                _ => Either::Right(victims::run(caller, part, None)),
            }
        });
        join_all(calls).await
    }

    /// The call in question.
    async fn victim(self, stage: &Stage, caller: &VictimsCaller) -> Told {
        let mut part = stage.part(self.act());
        if self.moment != Moment::Starting {
            part = part.half(self.half);
        }
        match self.moment {
            Moment::Queued => part.act = Act::Nothing,
            _ if self.fault == Fault::DestructorPanics => part = part.with_bomb(),
            _ => {}
        }
        let deadline = match (self.fault, self.moment) {
            (Fault::Deadline, Moment::Starting) => Some(Duration::ZERO),
            (Fault::Deadline, _) => Some(OUTSIDE),
            _ => None,
        };
        let mut told = Box::pin(async {
            match (self.fault, self.moment) {
                (Fault::SlowConsumer, _) => victims::read_slowly(caller, part).await,
                (_, Moment::Streaming) => victims::read(caller, part, deadline).await,
                _ => victims::run(caller, part, deadline).await,
            }
        });
        let is_left = match self.fault {
            Fault::CallerLeaves => true,
            Fault::DestructorPanics => self.moment != Moment::Queued,
            _ => false,
        };
        match self.moment {
            _ if !is_left => told.await,
            // It has been submitted, and nothing else has happened.
            Moment::Starting => match poll_immediate(&mut told).await {
                Some(told) => told,
                None => {
                    // Its request is dropped here, with what that does.
                    let _panic = catch_unwind(AssertUnwindSafe(|| drop(told)));
                    Told::Left
                }
            },
            _ => match select(&mut told, Box::pin(sleep(OUTSIDE))).await {
                Either::Left((told, _)) => told,
                Either::Right(_) => Told::Left,
            },
        }
    }

    /// What happens to the pool meanwhile.
    async fn interfere(self, pool: &WorkerPool<VictimsRequest>) {
        let change = async {
            sleep(CHANGE).await;
            match self.moment {
                Moment::Draining => drop(pool.shut_down(Shutdown::graceful(LONG)).await),
                Moment::Recycling => drop(pool.reload().await),
                Moment::Scaling => {
                    pool.resize(self.workers + 2).expect("it is not too much");
                    sleep(CHANGE).await;
                    pool.resize(1).expect("it is not too few");
                }
                _ => {}
            }
        };
        let end = async {
            if self.moment != Moment::Starting {
                sleep(OUTSIDE).await;
            }
            if self.fault == Fault::Shutdown {
                pool.shut_down(Shutdown::now()).await;
            }
        };
        futures_util::future::join(change, end).await;
    }

    fn act(self) -> Act {
        match self.fault {
            Fault::Panic => Act::Panic,
            Fault::Exit => Act::Exit,
            Fault::Kill => Act::Kill,
            Fault::Stuck => Act::Block,
            _ => Act::Nothing,
        }
    }

    /// Returns whether a call may have ended so that the fault has hit itself, or that was on the
    /// same worker.
    fn ahead_may_end(self, told: Told) -> bool {
        let expected = match self.fault {
            Fault::Exit | Fault::Kill | Fault::Stuck => &[Told::Answered, Told::Died][..],
            Fault::Shutdown => &[Told::Answered, Told::Stopped, Told::Rejected][..],
            Fault::Panic if self.moment == Moment::Queued => &[Told::Panicked][..],
            // The bombs are in these.
            Fault::DestructorPanics if self.moment == Moment::Queued => {
                &[Told::Answered, Told::Panicked][..]
            }
            _ => &[Told::Answered][..],
        };
        expected.contains(&told)
    }
}

fn check_books(stats: &PoolStats) -> Option<String> {
    let ends = [
        stats.answered,
        stats.failed,
        stats.panicked,
        stats.cancelled,
        stats.expired,
        stats.rejected,
        stats.shed,
        stats.died,
    ];
    let ended: u64 = ends.iter().sum();
    (ended != stats.submitted).then(|| format!("the books do not balance: {stats:?}"))
}
