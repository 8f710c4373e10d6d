//! Risk: the work of a caller that has gone blocks the pool.

use std::time::Duration;

use insula_core::block_on;
use insula_rpc::{CallError, Outcome, Phase};

use crate::desk::{start, until};
use crate::service::{Desk, JobsCaller, pool};

#[test]
fn a_call_dropped_in_the_queue_never_starts() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut busy = caller.wait_for(1).into_future();
        start(&mut busy);
        desk.noted("at 1").await;
        let mut gone = caller.wait_for(2).into_future();
        start(&mut gone);
        assert_eq!(pool.status().queued, 1);
        drop(gone);
        assert_eq!(pool.status().queued, 0);
        desk.open(1);
        assert!(busy.await.is_ok());
        assert_eq!(caller.echo(3).await.unwrap(), 3);
        assert_eq!(desk.notes(), ["at 1"]);
        assert_eq!(pool.stats().cancelled, 1);
    });
}

#[test]
fn a_dropped_running_call_is_told_and_frees_its_worker() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut gone = caller.until_cancelled().into_future();
        start(&mut gone);
        desk.noted("waiting").await;
        drop(gone);
        assert_eq!(caller.echo(1).await.unwrap(), 1);
        assert_eq!(desk.notes(), ["waiting", "call cancelled by its caller"]);
    });
}

#[test]
fn a_deaf_handler_is_dropped_after_the_grace_period() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .grace(Duration::from_millis(2))
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let error = caller
            .hang()
            .deadline(Duration::from_millis(20))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                CallError::Deadline {
                    phase: Phase::Run,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
        assert_eq!(caller.echo(1).await.unwrap(), 1);
        assert_eq!(pool.stats().expired, 1);
    });
}

#[test]
fn dropping_a_stream_frees_its_worker() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut items = caller.count(1_000_000).await.unwrap();
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
        drop(items);
        assert_eq!(caller.echo(1).await.unwrap(), 1);
        until(&pool, |status| status.workers[0].busy == 0).await;
    });
}

#[test]
fn a_whole_stream_arrives() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).build().await.unwrap();
        let mut items = pool.caller::<JobsCaller, _>().count(1_000).await.unwrap();
        let mut expected = 0;
        while let Some(item) = items.next().await {
            assert_eq!(item.unwrap(), expected);
            expected += 1;
        }
        assert_eq!(expected, 1_000);
    });
}
