//! Risk: a panic takes other calls with it, or its worker goes on with a broken state.

use std::sync::Arc;

use insula_core::block_on;
use insula_pool::{PoolPhase, Restart, WorkerCondition, WorkerPool};
use insula_rpc::{CallError, Outcome, Reject};
use insula_sync::atomic::{AtomicU32, Ordering};

use crate::desk::{start, until};
use crate::service::{Desk, JobsCaller, JobsResponder, pool};

#[test]
fn a_panic_fails_its_own_call_only() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .concurrency_per_worker(2)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mut beside = caller.wait_for(1).into_future();
        start(&mut beside);
        desk.noted("at 1").await;
        let error = caller.panic().await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
        let CallError::Panicked { message, location } = error else {
            panic!("{error:?}")
        };
        assert_eq!(message, "worker 0 trips");
        assert!(location.unwrap().contains("service.rs:"));

        let mut queued = caller.whoami().into_future();
        start(&mut queued);
        until(&pool, |status| {
            status.workers[0].condition == WorkerCondition::Suspect
        })
        .await;
        desk.open(1);
        assert_eq!(beside.await.unwrap(), 1);
        assert_eq!(
            queued.await.unwrap(),
            (0, 1),
            "it is run by the next incarnation"
        );
        assert_eq!(pool.stats().panicked, 1);
    });
}

#[test]
fn a_storm_of_panics_loses_no_other_call() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 2).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let storm = (0..200).map(|n| {
            let caller = caller.clone();
            async move {
                if n % 5 == 0 {
                    assert!(matches!(
                        caller.panic().await,
                        Err(CallError::Panicked { .. })
                    ));
                } else {
                    assert_eq!(caller.echo(n).await.unwrap(), n);
                }
            }
        });
        futures_util::future::join_all(storm).await;
        let stats = pool.stats();
        assert_eq!((stats.panicked, stats.answered), (40, 160));
        until(&pool, |status| {
            status
                .workers
                .iter()
                .map(|worker| worker.incarnation)
                .sum::<u32>()
                == 40
        })
        .await;
    });
}

#[test]
fn a_worker_that_cannot_be_rebuilt_retires_and_the_last_one_fails_the_pool() {
    let built = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&built);
    block_on(async {
        let pool = WorkerPool::builder()
            .workers(2)
            .restart(Restart::never())
            .service::<JobsResponder<_>>(move |cx| {
                counter.fetch_add(1, Ordering::Relaxed);
                async move {
                    match cx.incarnation() {
                        0 => Ok(Desk::default()),
                        _ => Err("the license has expired")?,
                    }
                }
            })
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        assert!(caller.panic().await.is_err());
        until(&pool, |status| status.phase == PoolPhase::Degraded).await;
        let lost = WorkerCondition::Lost("the license has expired".to_owned());
        assert!(
            pool.status()
                .workers
                .iter()
                .any(|worker| worker.condition == lost)
        );
        assert_eq!(caller.echo(1).await.unwrap(), 1);

        assert!(caller.panic().await.is_err());
        until(&pool, |status| status.phase == PoolPhase::Failed).await;
        let error = caller.echo(2).await.unwrap_err();
        assert!(
            matches!(
                error,
                CallError::Rejected {
                    why: Reject::NoWorker,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.into_request(), Some(2));
    });
    assert_eq!(built.load(Ordering::Relaxed), 4);
}
