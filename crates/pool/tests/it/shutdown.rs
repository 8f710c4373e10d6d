//! Risk: a shutdown hangs, loses a call, or reports something else than what happened.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use insula_core::{Runtime, block_on};
use insula_pool::{BuildError, PoolPhase, Shutdown};
use insula_rpc::{CallError, CancelledBy, Outcome, Reject, WorkerExit};

use crate::desk::{start, until};
use crate::service::{Desk, JobsCaller, pool};

const LONG: Duration = Duration::from_secs(600);

#[test]
fn a_patient_shutdown_finishes_everything() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 2).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut calls: Vec<_> = (0..50).map(|_| caller.wait_for(1).into_future()).collect();
        calls.iter_mut().for_each(start);
        desk.noted("at 1").await;
        let ((report, again), ()) = join(
            join(
                pool.shut_down(Shutdown::graceful(LONG)),
                pool.shut_down(Shutdown::now()),
            ),
            async {
                until(&pool, |status| status.phase == PoolPhase::Draining).await;
                let error = caller.echo(1).await.unwrap_err();
                assert!(matches!(
                    error,
                    CallError::Rejected {
                        why: Reject::Shutdown,
                        ..
                    }
                ));
                desk.open(1);
            },
        )
        .await;
        assert_eq!((report.finished, report.cancelled, report.lost), (50, 0, 0));
        assert_eq!(again, report);
        assert_eq!(pool.shut_down(Shutdown::now()).await, report);
        assert!(
            join_all(calls)
                .await
                .into_iter()
                .all(|answer| answer.is_ok())
        );
    });
}

#[test]
fn an_impatient_shutdown_cancels_what_is_left() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .grace(Duration::from_millis(5))
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mut running = caller.hang().into_future();
        start(&mut running);
        desk.noted("hanging").await;
        let mut queued: Vec<_> = (0..10).map(|n| caller.echo(n).into_future()).collect();
        queued.iter_mut().for_each(start);
        let report = pool
            .shut_down(Shutdown::graceful(Duration::from_millis(5)))
            .await;
        assert_eq!((report.finished, report.cancelled, report.lost), (0, 11, 0));
        let error = running.await.unwrap_err();
        assert!(matches!(
            error,
            CallError::Cancelled {
                by: CancelledBy::Shutdown,
                ..
            }
        ));
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
        for (n, answer) in join_all(queued).await.into_iter().enumerate() {
            assert_eq!(answer.unwrap_err().into_request(), Some(n as u64));
        }
    });
}

/// A caller holds the pool's books, and nothing of the isolates that its workers were.
#[test]
fn a_caller_that_outlives_its_pool_keeps_no_isolate() {
    let witness = Arc::new(());
    let held = witness.clone();
    let runtime = Runtime::builder()
        .threads(1)
        .around_threads(move |run| {
            let _held = &held;
            run();
        })
        .build();
    let desk = Desk::default();
    let caller = runtime.block_on(async {
        let pool = pool(&desk, 2).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        assert_eq!(caller.echo(1).await.ok(), Some(1));
        pool.shut_down(Shutdown::now()).await;
        caller
    });
    runtime.shut_down();
    drop(runtime);
    let start = std::time::Instant::now();
    while Arc::strong_count(&witness) > 1 {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "something is left"
        );
        std::thread::yield_now();
    }
    let error = block_on(async { caller.echo(2).await.unwrap_err() });
    assert_eq!(error.outcome(), Outcome::NotStarted);
}

#[test]
fn queued_calls_can_be_turned_away_at_once() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut running = caller.wait_for(1).into_future();
        start(&mut running);
        desk.noted("at 1").await;
        let queued = async {
            let error = caller.echo(1).await.unwrap_err();
            assert!(matches!(
                error,
                CallError::Rejected {
                    why: Reject::Shutdown,
                    ..
                }
            ));
            desk.open(1);
        };
        let mut queued = Box::pin(queued);
        start(&mut queued);
        let shutdown = pool.shut_down(Shutdown::graceful(LONG).reject_queued());
        let (report, ()) = join(shutdown, queued).await;
        assert_eq!((report.finished, report.cancelled, report.lost), (1, 1, 0));
        assert!(running.await.is_ok());
    });
}

#[test]
fn a_worker_that_computes_on_is_given_up_and_its_caller_is_told() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .grace(Duration::from_millis(1))
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mut stuck = caller.compute(1).into_future();
        start(&mut stuck);
        desk.noted("computing 1").await;
        let report = pool.shut_down(Shutdown::now()).await;
        assert_eq!((report.finished, report.cancelled, report.lost), (0, 0, 1));
        let error = stuck.await.unwrap_err();
        assert!(matches!(
            error,
            CallError::WorkerDied {
                exit: WorkerExit::Abandoned,
                ..
            }
        ));
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
        desk.open(1);
        desk.noted("computed 1").await;
    });
}

#[test]
fn dropping_the_pool_ends_every_call() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .grace(Duration::from_millis(1))
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mut running = caller.hang().into_future();
        start(&mut running);
        desk.noted("hanging").await;
        let mut queued = caller.echo(1).into_future();
        start(&mut queued);
        drop(pool);
        assert!(matches!(
            queued.await,
            Err(CallError::Rejected {
                why: Reject::Shutdown,
                ..
            })
        ));
        assert!(matches!(running.await, Err(CallError::Cancelled { .. })));
        let error = caller.echo(2).await.unwrap_err();
        assert_eq!(error.into_request(), Some(2));
    });
}

#[test]
fn a_shutdown_under_load_accounts_for_every_call() {
    let desk = Desk::default();
    let pool = block_on(pool(&desk, 2).concurrency_per_worker(2).build()).unwrap();
    let outcomes: Vec<(u64, u64)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let caller: JobsCaller = pool.caller();
                scope.spawn(move || {
                    let (mut answered, mut rejected) = (0, 0);
                    while rejected < 10 {
                        match caller.echo(answered).blocking() {
                            Ok(number) => answered += u64::from(number == answered),
                            Err(error) => {
                                assert_eq!(error.outcome(), Outcome::NotStarted);
                                rejected += 1;
                            }
                        }
                    }
                    (answered, rejected)
                })
            })
            .collect();
        let report = block_on(async {
            while pool.stats().answered < 1_000 {
                insula_core::yield_now().await;
            }
            pool.shut_down(Shutdown::graceful(LONG)).await
        });
        assert_eq!((report.cancelled, report.lost), (0, 0));
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let stats = pool.stats();
    assert_eq!(
        outcomes.iter().map(|(answered, _)| answered).sum::<u64>(),
        stats.answered
    );
    assert_eq!(
        outcomes.iter().map(|(_, rejected)| rejected).sum::<u64>(),
        stats.rejected
    );
    assert_eq!(stats.submitted, stats.answered + stats.rejected);
}

/// A pool on a runtime that is gone is refused, and one whose runtime goes has an end.
#[test]
fn a_pool_ends_with_its_runtime() {
    let runtime = Runtime::builder().threads(2).build();
    let _entered = runtime.enter();
    let desk = Desk::default();
    let pool = block_on(self::pool(&desk, 2).build()).unwrap();
    runtime.shut_down();
    block_on(pool.shut_down(Shutdown::graceful(LONG)));
    let late = block_on(self::pool(&desk, 2).build());
    assert!(matches!(late, Err(BuildError::Startup { .. })), "{late:?}");
}
