//! Risk: one worker gets everything, or a call waits although a worker has room.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use insula_core::{block_on, sleep};
use insula_pool::{Balance, BuildError, Restart, WorkerCondition, WorkerPool};
use insula_rpc::{CallError, Reject, WorkType};
use insula_sync::Mutex;

use crate::desk::{seeded, start, until};
use crate::service::{Desk, JobsCaller, JobsResponder, pool};

#[test]
fn calls_are_spread_over_all_workers() {
    let balances = [
        Balance::RoundRobin,
        Balance::LeastLoaded,
        Balance::Random,
        Balance::PowerOfTwo,
        Balance::PeakEwma,
        Balance::Adaptive,
        Balance::weighted([1, 2, 3]),
        Balance::custom(|_, _| None),
    ];
    for balance in balances {
        let name = format!("{balance:?}");
        let desk = Desk::default();
        block_on(async {
            let pool = pool(&desk, 3).balance(balance).build().await.unwrap();
            let caller: JobsCaller = pool.caller();
            let mut gates: Vec<_> = (0..3).map(|n| caller.wait_for(n).into_future()).collect();
            gates.iter_mut().for_each(start);
            for gate in 0..3 {
                desk.noted(&format!("at {gate}")).await;
            }
            let busy: Vec<_> = pool
                .status()
                .workers
                .iter()
                .map(|worker| worker.busy)
                .collect();
            assert_eq!(busy, [1, 1, 1], "{name}");
            (0..3).for_each(|gate| desk.open(gate));
            assert!(
                join_all(gates)
                    .await
                    .into_iter()
                    .all(|answer| answer.is_ok())
            );
        });
    }
}

#[test]
fn a_worker_runs_as_many_calls_as_it_may_and_no_more() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .concurrency_per_worker(3)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mut calls: Vec<_> = (0..4).map(|n| caller.wait_for(n).into_future()).collect();
        calls.iter_mut().for_each(start);
        for gate in 0..3 {
            desk.noted(&format!("at {gate}")).await;
        }
        let status = pool.status();
        assert_eq!((status.workers[0].busy, status.queued), (3, 1));
        desk.open(1);
        desk.noted("at 3").await;
        [0, 2, 3].into_iter().for_each(|gate| desk.open(gate));
        assert!(
            join_all(calls)
                .await
                .into_iter()
                .all(|answer| answer.is_ok())
        );
    });
}

#[test]
fn a_blocked_worker_holds_nobody_up() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 2).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut busy = caller.compute(1).into_future();
        start(&mut busy);
        for n in 0..100 {
            assert_eq!(caller.echo(n).await.unwrap(), n);
        }
        desk.open(1);
        assert!(busy.await.is_ok());
    });
}

#[test]
fn custom_is_asked_without_a_lock_and_may_panic_or_choose_nothing() {
    seeded(1, || async {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let looks = Arc::clone(&asked);
        let balance = Balance::custom(move |workers, work| {
            let mut asked = looks.lock();
            let ids: Vec<_> = workers.iter().map(|it| it.worker.index()).collect();
            asked.push((ids, work));
            match asked.len() {
                1 => workers.iter().position(|it| it.worker.index() == 2),
                2 => None,
                3 => Some(99),
                4 => panic!("no idea"),
                _ => workers.iter().position(|it| it.running == 0),
            }
        });
        let pool = pool(&Desk::default(), 3)
            .balance(balance)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        assert_eq!(caller.whoami().await.unwrap().0, 2);
        for _ in 0..20 {
            assert!(caller.whoami().work(WorkType::Io).await.is_ok());
        }
        let asked = asked.lock();
        assert_eq!(asked.len(), 21);
        assert_eq!(asked[0].1, WorkType::Balanced);
        assert!(asked[1..].iter().all(|it| it.1 == WorkType::Io));
        assert!(asked.iter().all(|it| it.0.len() == 3));
    });
}

#[test]
fn weights_are_one_for_each_worker() {
    seeded(1, || async {
        let builder = pool(&Desk::default(), 3).balance(Balance::weighted([1, 2]));
        let Err(BuildError::Settings(why)) = builder.build().await else {
            panic!("it was built");
        };
        assert!(why.contains("Balance::weighted"), "{why}");
    });
}

#[test]
fn broadcast_calls_each_worker_once_and_waits_for_the_busy() {
    seeded(1, || async {
        let desk = Desk::default();
        let pool = pool(&desk, 3).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let busy = caller.doze(50).start();
        let ends = pool.broadcast(|caller: JobsCaller| caller.whoami()).await;
        let ends: Vec<_> = ends
            .into_iter()
            .map(|(id, end)| (id.index(), end.unwrap().0))
            .collect();
        assert_eq!(ends, [(0, 0), (1, 1), (2, 2)]);
        assert!(busy.await.is_ok());
    });
}

#[test]
fn a_call_for_one_worker_goes_to_no_other_and_is_rejected_without_it() {
    seeded(1, || async {
        let pool = pool(&Desk::default(), 2)
            .concurrency_per_worker(1)
            .restart(Restart::never())
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let one: JobsCaller = pool.caller_of(pool.status().workers[1].id);
        let other: JobsCaller = pool.caller_of(pool.status().workers[0].id);
        assert_eq!(one.whoami().await.unwrap(), (1, 0));
        let (first, second) = (one.leave().start(), one.whoami().start());
        assert!(matches!(first.await, Err(CallError::WorkerDied { .. })));
        // It has waited for the worker that is lost.
        for end in [second.await, one.whoami().await] {
            assert!(matches!(
                end,
                Err(CallError::Rejected {
                    why: Reject::NoWorker,
                    ..
                })
            ));
        }
        assert_eq!(other.whoami().await.unwrap(), (0, 0));
        assert_eq!(caller.whoami().await.unwrap(), (0, 0));
        let stats = pool.stats();
        assert_eq!((stats.rejected, stats.died, stats.answered), (2, 1, 3));
    });
}

/// Also one that is about to become ready for the first time.
#[test]
fn broadcast_waits_for_a_worker_that_joins() {
    seeded(1, || async {
        let desk = Desk::default();
        let service = desk.clone();
        let pool = WorkerPool::builder()
            .workers(1..=2)
            .service::<JobsResponder<_>>(move |cx| {
                let desk = service.clone();
                async move {
                    let slow = cx.worker().index() as u64;
                    sleep(Duration::from_secs(slow)).await;
                    Ok(desk)
                }
            })
            .build()
            .await
            .unwrap();
        pool.resize(2).unwrap();
        until(&pool, |status| {
            status.workers[1].condition == WorkerCondition::Starting
        })
        .await;
        let ends = pool.broadcast(|caller: JobsCaller| caller.whoami()).await;
        let workers: Vec<_> = ends.into_iter().map(|(_, end)| end.unwrap().0).collect();
        assert_eq!(workers, [0, 1]);
    });
}
