//! Risk: a worker that has ended never comes back, comes back for ever, or keeps calls waiting that
//! nothing will answer. On virtual time, so that the delays are exact.

use std::sync::Arc;
use std::time::Duration;

use insula_core::{Instant, sleep};
use insula_pool::{
    Directive, PoolBuilder, PoolPhase, Restart, Shutdown, WorkerCondition, WorkerFault, WorkerPool,
};
use insula_rpc::{CallError, Outcome, Reject};
use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::desk::{seeded, start, until};
use crate::service::{Desk, JobsCaller, JobsResponder, pool};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Ends one of the workers.
async fn end_one(caller: &JobsCaller) {
    let error = caller.leave().await.expect_err("its worker ends");
    assert_eq!(error.outcome(), Outcome::MaybeExecuted, "{error:?}");
}

/// Starts are a second apart, so that nothing else takes as long.
fn slow() -> Restart {
    Restart::at_most(3, HOUR).delay(SECOND, HOUR)
}

fn one(desk: &Desk, policy: Restart) -> PoolBuilder<JobsResponder<Desk>> {
    pool(desk, 1).restart(policy)
}

#[test]
fn restart_brings_a_worker_back_after_its_delay() {
    seeded(1, || async {
        let pool = one(&Desk::default(), slow()).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let began = Instant::now();
        for (incarnation, delay) in [(1, 1), (2, 2), (3, 4)] {
            let before = Instant::now();
            end_one(&caller).await;
            assert_eq!(caller.whoami().await.unwrap(), (0, incarnation));
            let waited = Instant::now() - before;
            assert!(
                waited >= delay * SECOND && waited < delay * SECOND + SECOND / 2,
                "{waited:?}"
            );
            assert_eq!(pool.status().phase, PoolPhase::Serving);
        }
        // Three in the hour were all.
        end_one(&caller).await;
        until(&pool, |status| status.phase == PoolPhase::Failed).await;
        let error = caller.echo(1).await.unwrap_err();
        assert!(
            matches!(
                &error,
                CallError::Rejected {
                    why: Reject::NoWorker,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(Instant::now() - began < HOUR);
    });
}

#[test]
fn a_period_that_is_over_counts_no_more() {
    seeded(1, || async {
        let policy = Restart::at_most(1, 10 * SECOND).delay(SECOND, SECOND);
        let pool = one(&Desk::default(), policy).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        for incarnation in 1..=5 {
            end_one(&caller).await;
            assert_eq!(caller.whoami().await.unwrap(), (0, incarnation));
            sleep(10 * SECOND).await;
        }
    });
}

#[test]
fn calls_wait_for_a_worker_that_starts_again_those_with_a_key_too() {
    seeded(2, || async {
        let desk = Desk::default();
        let builder = pool(&desk, 2).restart(slow());
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let (of_one, _) = caller.whoami().key(7).await.unwrap();
        let error = caller.leave().key(7).await;
        assert!(error.is_err());
        // The other worker answers meanwhile, and does not take the calls with the key.
        let mut kept = caller.whoami().key(7);
        start(&mut kept);
        let (other, _) = caller.whoami().await.unwrap();
        assert_ne!(other, of_one);
        assert_eq!(kept.await.unwrap(), (of_one, 1));
    });
}

#[test]
fn a_state_that_cannot_be_built_again_is_tried_again() {
    seeded(3, || async {
        let builder = WorkerPool::builder().workers(1).restart(slow());
        let builder = builder.service::<JobsResponder<_>>(|cx| async move {
            match cx.incarnation() {
                0 | 3 => Ok(Desk::default()),
                1 => Err("no license")?,
                _ => panic!("no memory"),
            }
        });
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        // Built at once after a panic, which fails. The next two starts are restarts.
        assert!(caller.panic().await.is_err());
        let before = Instant::now();
        assert_eq!(caller.whoami().await.unwrap(), (0, 3));
        let waited = Instant::now() - before;
        assert!(waited >= 3 * SECOND, "{waited:?}");
    });
}

#[test]
fn the_user_decides_by_the_fault() {
    for (directive, phase) in [
        (Directive::Restart, PoolPhase::Serving),
        (Directive::Stop, PoolPhase::Failed),
    ] {
        seeded(4, move || async move {
            let asked = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&asked);
            let policy = slow().decide(move |fault| {
                assert!(matches!(fault, WorkerFault::Ended), "{fault}");
                count.fetch_add(1, Ordering::Relaxed);
                directive
            });
            let pool = one(&Desk::default(), policy).build().await.unwrap();
            end_one(&pool.caller()).await;
            sleep(2 * SECOND).await;
            assert_eq!(pool.status().phase, phase);
            pool.shut_down(Shutdown::now()).await;
            assert_eq!(asked.load(Ordering::Relaxed), 1, "not for the shutdown");
        });
    }
}

#[test]
fn a_decision_that_panics_stops_its_worker_only() {
    seeded(5, || async {
        let policy = slow().decide(|_fault| panic!("undecided"));
        let builder = pool(&Desk::default(), 2).restart(policy);
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        end_one(&caller).await;
        until(&pool, |status| status.phase == PoolPhase::Degraded).await;
        assert_eq!(caller.echo(1).await.unwrap(), 1);
    });
}

#[test]
fn a_shutdown_does_not_wait_for_a_start_that_no_call_needs() {
    for plan in [Shutdown::graceful(HOUR), Shutdown::now()] {
        seeded(6, move || async move {
            let pool = one(&Desk::default(), slow()).build().await.unwrap();
            end_one(&pool.caller()).await;
            let before = Instant::now();
            let report = pool.shut_down(plan).await;
            assert_eq!((report.finished, report.cancelled, report.lost), (0, 0, 0));
            assert!(Instant::now() - before < SECOND);
            let status = pool.status();
            assert_eq!(status.phase, PoolPhase::Closed);
            assert_eq!(status.workers[0].condition, WorkerCondition::Ended);
        });
    }
}

#[test]
fn a_shutdown_lets_queued_calls_have_the_worker_that_starts_again() {
    seeded(7, || async {
        let pool = one(&Desk::default(), slow()).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        end_one(&caller).await;
        let mut queued = caller.echo(3);
        start(&mut queued);
        let report = pool.shut_down(Shutdown::graceful(HOUR)).await;
        assert_eq!((report.finished, report.cancelled), (1, 0));
        assert_eq!(queued.await.unwrap(), 3);
    });
}

#[test]
fn a_pool_that_is_dropped_rejects_what_waits_for_a_start() {
    seeded(8, || async {
        let pool = one(&Desk::default(), slow()).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        end_one(&caller).await;
        let mut queued = caller.echo(3);
        start(&mut queued);
        drop(pool);
        let error = queued.await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotStarted);
        assert_eq!(error.into_request(), Some(3));
    });
}

#[test]
fn the_end_of_the_runtime_ends_what_waits_for_a_start() {
    let runtime = insula_core::Runtime::builder().seeded(9).build();
    let (pool, mut queued) = runtime
        .block_on(async {
            insula_core::Isolate::run_async(|| async {
                let pool = one(&Desk::default(), slow()).build().await.unwrap();
                let caller: JobsCaller = pool.caller();
                end_one(&caller).await;
                let mut queued = caller.echo(3);
                start(&mut queued);
                (pool, queued)
            })
            .await
        })
        .unwrap();
    runtime.shut_down();
    let error = match crate::desk::poll(&mut queued) {
        std::task::Poll::Ready(answer) => answer.unwrap_err(),
        std::task::Poll::Pending => panic!("it waits for a start that never comes"),
    };
    assert_eq!(error.outcome(), Outcome::NotStarted);
    assert_eq!(pool.status().phase, PoolPhase::Failed);
}

#[test]
fn the_books_count_every_call_of_a_pool_whose_workers_end() {
    seeded(10, || async {
        let policy = Restart::at_most(1000, HOUR).delay(Duration::ZERO, Duration::ZERO);
        let builder = pool(&Desk::default(), 3).restart(policy);
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        for round in 0..40 {
            let calls: Vec<_> = (0..5).map(|n| caller.echo(n).start()).collect();
            end_one(&caller).await;
            let answers = futures_util::future::join_all(calls).await;
            assert!(answers.iter().all(Result::is_ok), "round {round}");
        }
        let stats = pool.stats();
        assert_eq!((stats.answered, stats.died), (200, 40));
        assert_eq!(stats.submitted, 240);
        assert_eq!(pool.status().phase, PoolPhase::Serving);
    });
}

/// The call for which the worker was to start leaves the queue by itself.
#[test]
fn a_shutdown_ends_when_the_last_call_that_needed_a_start_has_gone() {
    for has_deadline in [false, true] {
        seeded(11, move || async move {
            let pool = one(&Desk::default(), slow()).build().await.unwrap();
            let caller: JobsCaller = pool.caller();
            end_one(&caller).await;
            let half = SECOND / 2;
            let mut queued = match has_deadline {
                false => caller.echo(3).start(),
                true => caller.echo(3).deadline(half).start(),
            };
            start(&mut queued);
            let before = Instant::now();
            let shutdown = pool.shut_down(Shutdown::graceful(Duration::MAX));
            let leaves = async {
                sleep(half).await;
                drop(queued);
            };
            futures_util::future::join(shutdown, leaves).await;
            assert!(Instant::now() - before < SECOND);
        });
    }
}
