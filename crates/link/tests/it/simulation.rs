//! Risk: a call has no outcome, two, or one that is not true, when its link is lost.

use std::thread;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _, join_all};
use futures_util::stream;
use insula_core::{Isolate, Runtime, sleep};
use insula_link::Remote;
use insula_pool::{PoolStats, Restart, Shutdown, WorkerPool};
use insula_rpc::wire::Lost;
use insula_rpc::{CallError, Outcome};

use crate::medium::{Behavior, connect};
use crate::service::{Notes, SimCaller, SimRequest};

/// The seeds of a usual run. `INSULA_LINKS` replaces it.
const SEEDS: u64 = 1_000;

#[test]
fn each_call_over_a_link_that_is_lost_has_one_true_outcome() {
    let seeds = std::env::var("INSULA_LINKS").map_or(SEEDS, |it| it.parse().unwrap());
    let lanes = thread::available_parallelism().map_or(1, Into::into);
    thread::scope(|scope| {
        for lane in 0..lanes {
            let seeds = (0..seeds).skip(lane).step_by(lanes);
            scope.spawn(move || seeds.for_each(simulate));
        }
    });
}

fn simulate(seed: u64) {
    let runtime = Runtime::builder().seeded(seed).build();
    let ran = runtime.block_on(async { Isolate::run_async(move || play(seed)).await });
    runtime.shut_down();
    let wrong = ran.unwrap_or_else(|error| vec![error.to_string()]);
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
}

async fn play(seed: u64) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let notes = Notes::default();
    let behavior = Behavior {
        seed,
        lasts: None,
        lost: if random.bool() {
            Lost::Complete
        } else {
            Lost::Incomplete
        },
        delay: Duration::from_micros(random.u64(0..3) * 50),
    };
    let lasts = random.u32(1..120);
    let of_workers = notes.clone();
    let soon = Duration::from_micros(10);
    let pool = WorkerPool::builder()
        .workers(1)
        .concurrency_per_worker(random.usize(1..5))
        .grace(Duration::from_micros(100))
        .restart(Restart::at_most(usize::MAX, Duration::MAX).delay(soon, soon))
        .service::<Remote<SimRequest>>(move |cx| {
            // The first link is lost at some step, and the second one stays.
            let lasts = (cx.incarnation() == 0).then_some(lasts);
            let behavior = Behavior { lasts, ..behavior };
            let connection = connect(behavior, of_workers.clone(), cx);
            async { Ok(connection) }
        })
        .build()
        .await
        .unwrap();
    let caller: SimCaller = pool.caller();
    let calls = (0..random.u32(1..20)).map(|id| call(caller.clone(), id, random.fork()));
    let told = join_all(calls).await;
    let mut wrong = Vec::new();
    for (id, told) in (0..).zip(told) {
        let starts = notes.starts(id);
        let is_possible = match told {
            Told::Answered => starts == 1,
            Told::Ended(Outcome::NotStarted) => starts == 0,
            Told::Ended(_) | Told::Left => starts <= 1,
            Told::Wrong => false,
        };
        if !is_possible {
            wrong.push(format!("call {id}, {starts} starts: {told:?}"));
        }
    }
    // The pool serves on, over another link.
    if caller
        .run(1_000, 0)
        .deadline(Duration::from_secs(9))
        .await
        .is_err()
    {
        let again = caller.run(1_001, 0).deadline(Duration::from_secs(9)).await;
        if let Err(error) = again {
            wrong.push(format!("the pool does not serve on: {error}"));
        }
    }
    pool.shut_down(Shutdown::graceful(Duration::from_secs(9)))
        .await;
    wrong.extend(unbalanced(&pool.stats()));
    wrong
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Answered,
    Ended(Outcome),
    Left,
    Wrong,
}

impl Told {
    fn of<T, E, Q>(answer: &Result<T, CallError<E, Q>>) -> Self {
        match answer {
            Ok(_) => Self::Answered,
            Err(error @ (CallError::WorkerDied { .. } | CallError::Deadline { .. })) => {
                Self::Ended(error.outcome())
            }
            Err(_) => Self::Wrong,
        }
    }
}

/// Makes a call of some kind, and waits for its end or not.
fn call(caller: SimCaller, id: u32, mut random: fastrand::Rng) -> BoxFuture<'static, Told> {
    let deadline = match random.u32(0..4) {
        0 => Duration::from_micros(random.u64(0..2_000)),
        _ => Duration::from_secs(60),
    };
    let told = match random.u32(0..3) {
        0 => {
            let call = caller.run(id, random.u64(0..300)).deadline(deadline);
            async move { Told::of(&call.await) }.boxed()
        }
        1 => read(caller, id, random.u32(0..60), deadline).boxed(),
        _ => {
            let many = random.u32(0..60);
            let call = caller.sum(id).deadline(deadline);
            async move {
                match call.send_all(stream::iter(0..many)).await {
                    Ok(sum) if sum != many => Told::Wrong,
                    answer => Told::of(&answer),
                }
            }
            .boxed()
        }
    };
    if random.u32(0..5) > 0 {
        return told;
    }
    let patience = Duration::from_micros(random.u64(0..1_000));
    async move {
        let leaving = sleep(patience);
        match futures_util::future::select(told, Box::pin(leaving)).await {
            futures_util::future::Either::Left((told, _)) => told,
            futures_util::future::Either::Right(_) => Told::Left,
        }
    }
    .boxed()
}

async fn read(caller: SimCaller, id: u32, many: u32, deadline: Duration) -> Told {
    let mut items = match caller.items(id, many).deadline(deadline).await {
        Ok(items) => items,
        Err(error) => return Told::of::<(), _, _>(&Err(error)),
    };
    let mut next = 0;
    while let Some(item) = items.next().await {
        match item {
            Ok(number) if number == next => next += 1,
            Ok(_) => return Told::Wrong,
            Err(error) => return Told::of::<(), _, _>(&Err(error)),
        }
    }
    if next == many {
        Told::Answered
    } else {
        Told::Wrong
    }
}

fn unbalanced(stats: &PoolStats) -> Option<String> {
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
    (ends.iter().sum::<u64>() != stats.submitted).then(|| format!("{stats:?}"))
}
