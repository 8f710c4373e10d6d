//! Risk: a pool that changes its size loses a call, starts calls of a key out of order, or keeps
//! workers that it does not need. On virtual time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use insula_core::{Instant, sleep};
use insula_pool::{
    BuildError, PoolPhase, Restart, Shutdown, WorkerCondition, WorkerEvent, WorkerPool, Workers,
};
use insula_sync::atomic::{AtomicU32, Ordering};

use crate::desk::{seeded, start, until};
use crate::service::{Desk, JobsCaller, JobsRequest, JobsResponder, pool};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type Pool = WorkerPool<JobsRequest>;

fn present(pool: &Pool) -> usize {
    let workers = pool.status().workers;
    let is_there = |it: &&insula_pool::WorkerStatus| it.condition == WorkerCondition::Ready;
    workers.iter().filter(is_there).count()
}

/// Waits in virtual time.
async fn settle() {
    sleep(2 * MS).await;
}

#[test]
fn resize_starts_and_retires_workers() {
    seeded(1, || async {
        let pool = pool(&Desk::default(), 4).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        for size in [4, 1, 3, 2, 4, 1] {
            pool.resize(size).unwrap();
            settle().await;
            assert_eq!(present(&pool), size);
            assert_eq!(pool.status().phase, PoolPhase::Serving);
            let answers = join_all((0..20).map(|number| caller.echo(number).into_future())).await;
            assert!(answers.iter().all(Result::is_ok));
        }
        for size in [0, 5, usize::MAX] {
            let error = pool.resize(size).unwrap_err();
            assert_eq!((error.workers, error.most), (size, 4));
        }
        assert_eq!(present(&pool), 1);
        let stats = pool.stats();
        assert_eq!((stats.submitted, stats.answered), (120, 120));
    });
}

#[test]
fn a_worker_that_is_retired_finishes_what_it_runs() {
    seeded(2, || async {
        let desk = Desk::default();
        let pool = pool(&desk, 3).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let calls: Vec<_> = (0..3).map(|_| caller.wait_for(7).start()).collect();
        until(&pool, |status| status.workers.iter().all(|it| it.busy == 1)).await;
        let mut items = caller.count(100);
        start(&mut items);
        pool.resize(1).unwrap();
        settle().await;
        assert_eq!(present(&pool), 1);
        // They come from the one that is left.
        desk.open(7);
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        assert_eq!(items.await.unwrap().count().await, 100);
        let report = pool.shut_down(Shutdown::graceful(SECOND)).await;
        assert_eq!((report.cancelled, report.lost), (0, 0));
    });
}

#[test]
fn calls_with_a_key_start_in_order_while_the_size_changes() {
    seeded(3, || async {
        let desk = Desk::default();
        let pool = pool(&desk, 4).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut calls = Vec::new();
        for number in 0..400_u64 {
            calls.push(caller.note(number).key(number % 5).start());
            if number % 10 == 0 {
                pool.resize(1 + (number as usize / 10) % 4).unwrap();
                insula_core::yield_now().await;
            }
        }
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        let notes = desk.notes();
        for key in 0..5 {
            let numbers = notes.iter().filter_map(|note| note.strip_prefix("note "));
            let numbers = numbers.map(|text| text.parse::<u64>().unwrap());
            let of_key: Vec<u64> = numbers.filter(|number| number % 5 == key).collect();
            assert!(of_key.is_sorted(), "{key}: {of_key:?}");
            assert_eq!(of_key.len(), 80);
        }
    });
}

#[test]
fn a_range_follows_a_step_in_load_and_gives_idle_workers_back() {
    seeded(4, || async {
        let desk = Desk::default();
        let workers = Workers::from(1..=8).idle(10 * SECOND);
        let pool = pool(&desk, 1).workers(workers).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        assert_eq!(present(&pool), 1);
        // Nothing to do, and a call that is answered at once, change nothing.
        sleep(100 * SECOND).await;
        assert!(caller.echo(1).await.is_ok());
        assert_eq!(present(&pool), 1);

        let calls: Vec<_> = (0..8).map(|_| caller.wait_for(7).start()).collect();
        let began = Instant::now();
        while present(&pool) < 8 {
            sleep(MS).await;
            let waited = Instant::now() - began;
            assert!(waited < Duration::from_millis(50), "{waited:?}");
        }
        desk.open(7);
        assert!(join_all(calls).await.iter().all(Result::is_ok));

        // Two at a time are enough from now on.
        for round in 0..30 {
            desk.open(100 + round);
            let pair = [caller.wait_for(100 + round), caller.wait_for(100 + round)];
            assert!(join_all(pair).await.iter().all(Result::is_ok));
            sleep(SECOND).await;
        }
        assert!(present(&pool) <= 2, "{:?}", pool.status());
        sleep(30 * SECOND).await;
        assert_eq!(present(&pool), 1);
        let stats = pool.stats();
        assert_eq!(stats.submitted, stats.answered);
    });
}

#[test]
fn a_range_whose_queue_is_full_grows_too() {
    seeded(5, || async {
        let desk = Desk::default();
        let queue = insula_pool::Queue::bounded(0).overflow(insula_pool::Overflow::Reject);
        let builder = pool(&desk, 1).workers(1..=4).queue(queue);
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut busy = caller.wait_for(7);
        start(&mut busy);
        desk.noted("at 7").await;
        assert!(caller.echo(1).await.is_err());
        sleep(50 * MS).await;
        assert!(caller.echo(1).await.is_ok());
        desk.open(7);
        assert!(busy.await.is_ok());
    });
}

#[test]
fn a_size_that_is_set_is_kept() {
    seeded(6, || async {
        let desk = Desk::default();
        let workers = Workers::from(1..=8).idle(SECOND);
        let pool = pool(&desk, 1).workers(workers).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        pool.resize(3).unwrap();
        let calls: Vec<_> = (0..20).map(|_| caller.wait_for(7).start()).collect();
        sleep(SECOND).await;
        assert_eq!(present(&pool), 3);
        desk.open(7);
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        sleep(100 * SECOND).await;
        assert_eq!(present(&pool), 3);
    });
}

#[test]
fn a_shutdown_while_the_size_changes_ends_every_call() {
    for size in 1..=6 {
        seeded(7, move || async move {
            let desk = Desk::default();
            let pool = pool(&desk, 1).workers(2..=6).build().await.unwrap();
            let caller: JobsCaller = pool.caller();
            let calls: Vec<_> = (0..50).map(|number| caller.echo(number).start()).collect();
            pool.resize(size).unwrap();
            let report = pool.shut_down(Shutdown::graceful(SECOND)).await;
            assert_eq!((report.cancelled, report.lost), (0, 0));
            assert!(join_all(calls).await.iter().all(Result::is_ok));
            assert_eq!(pool.status().phase, PoolPhase::Closed);
            assert!(pool.resize(3).is_ok(), "it changes nothing");
            settle().await;
            assert_eq!(present(&pool), 0);
        });
    }
}

#[test]
fn observers_are_told_of_workers_that_come_and_go() {
    seeded(8, || async {
        let desk = Desk::default();
        let told = desk.clone();
        let builder = pool(&desk, 1).workers(1..=2);
        let builder = builder.observe(move |event: &WorkerEvent| told.note(event.to_string()));
        let pool = builder.build().await.unwrap();
        for size in [2, 1, 2] {
            pool.resize(size).unwrap();
            settle().await;
        }
        let notes = desk.notes();
        let of_second: Vec<_> = notes
            .iter()
            .filter(|it| it.starts_with("worker 1"))
            .collect();
        assert_eq!(
            of_second,
            [
                "worker 1, incarnation 0: spawning",
                "worker 1, incarnation 0: ready",
                "worker 1, incarnation 0: exited: it was not needed",
                "worker 1, incarnation 1: spawning",
                "worker 1, incarnation 1: ready",
            ]
        );
    });
}

#[test]
fn sizes_that_make_no_sense_are_refused() {
    #[expect(clippy::reversed_empty_ranges, reason = "that is the mistake")]
    for workers in [
        Workers::from(0),
        Workers::from(0..=3),
        Workers::from(5..=2),
        Workers::from(1..=2).idle(Duration::ZERO),
    ] {
        let builder = pool(&Desk::default(), 1).workers(workers);
        let error = insula_core::block_on(builder.build()).unwrap_err();
        assert!(matches!(error, BuildError::Settings(_)), "{error}");
        assert!(error.to_string().contains("workers(..)"), "{error}");
    }
}

#[test]
fn a_lost_worker_is_replaced_while_the_pool_may_have_more() {
    seeded(9, || async {
        let desk = Desk::default();
        let builder = pool(&desk, 1).workers(1..=3).restart(Restart::never());
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        for left in [2, 1] {
            assert!(caller.leave().await.is_err());
            // Also a call with a key, whose worker is gone.
            assert_eq!(caller.echo(left).key(left).await.unwrap(), left);
            assert_eq!(pool.status().phase, PoolPhase::Degraded);
        }
        assert!(caller.leave().await.is_err());
        until(&pool, |status| status.phase == PoolPhase::Failed).await;
        assert!(caller.echo(1).await.is_err());
    });
}

#[test]
fn a_worker_that_joins_and_cannot_be_built_is_tried_again() {
    seeded(10, || async {
        let desk = Desk::default();
        let tries = Arc::new(AtomicU32::new(0));
        let builder = WorkerPool::builder().workers(1..=2);
        let builder = builder.service::<JobsResponder<_>>(move |cx| {
            let is_second = cx.worker().index() == 1;
            let fails = is_second && tries.fetch_add(1, Ordering::Relaxed) < 2;
            let desk = desk.clone();
            async move {
                match fails {
                    true => Err("no license")?,
                    false => Ok(desk),
                }
            }
        });
        let pool = builder.build().await.unwrap();
        pool.resize(2).unwrap();
        sleep(SECOND).await;
        assert_eq!(present(&pool), 2, "{:?}", pool.status());
    });
}
