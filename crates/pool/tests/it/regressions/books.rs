//! Risk: what a pool has counted is not what has happened.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream;
use insula_core::sleep;
use insula_pool::{Measure, Restart, Shutdown};
use insula_rpc::{CallError, Outcome};

use super::trial::{Thorn, TrialCaller, soon, trial};
use crate::desk::{seeded, start, until};
use crate::service::Desk;

const HOUR: Duration = Duration::from_secs(3600);

/// Fault 30.
#[test]
fn a_handler_that_ends_its_isolate_is_in_the_books() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 2, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let error = caller.exit().await.unwrap_err();
        assert!(matches!(error, CallError::WorkerDied { .. }), "{error:?}");
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
        let stats = pool.stats();
        assert_eq!((stats.submitted, stats.died, stats.ended()), (1, 1, 1));
        let mut items = caller.count(1000).await.unwrap();
        assert!(items.next().await.is_some());
        // Its worker is the last one.
        assert!(caller.exit().await.is_err());
        let mut last = items.next().await;
        while let Some(Ok(_)) = last {
            last = items.next().await;
        }
        assert!(
            matches!(last, Some(Err(CallError::WorkerDied { .. }))),
            "{last:?}"
        );
        let stats = pool.stats();
        assert_eq!((stats.submitted, stats.died, stats.ended()), (3, 3, 3));
    });
}

/// Fault 30.
#[test]
fn a_shutdown_reports_every_call_that_it_found() {
    let desk = Desk::default();
    soon(async {
        let grace = Duration::from_millis(1);
        let pool = trial(&desk, 2, 1).grace(grace).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let before = [caller.echo(1).await.is_ok(), caller.boom().await.is_err()];
        assert_eq!(before, [true; 2]);
        let mut stuck = caller.block(9);
        start(&mut stuck);
        desk.noted("blocking 9").await;
        let mut waits = caller.wait_for(1);
        start(&mut waits);
        desk.noted("at 1").await;
        let queued: Vec<_> = (0..3).map(|number| caller.echo(number).start()).collect();
        let report = pool.shut_down(Shutdown::now()).await;
        assert_eq!((report.finished, report.cancelled, report.lost), (0, 4, 1));
        assert!(join_all(queued).await.iter().all(Result::is_err));
        assert!(stuck.await.is_err() && waits.await.is_err());
        let stats = pool.stats();
        assert_eq!(stats.submitted, 7);
        assert_eq!(stats.ended(), 7, "{stats:?}");
        desk.open(9);
    });
}

/// Around fault 30: the last worker ends while the pool does.
#[test]
fn a_shutdown_reports_calls_that_had_no_worker_left() {
    let desk = Desk::default();
    soon(async {
        let builder = trial(&desk, 1, 1).restart(Restart::never());
        let pool = builder.build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut exits = caller.exit_after(1);
        start(&mut exits);
        desk.noted("at 1").await;
        let queued: Vec<_> = (0..3).map(|number| caller.echo(number).start()).collect();
        let mut shutdown = Box::pin(pool.shut_down(Shutdown::graceful(HOUR)));
        start(&mut shutdown);
        desk.open(1);
        let report = shutdown.await;
        assert!(exits.await.is_err());
        assert!(join_all(queued).await.iter().all(Result::is_err));
        assert_eq!((report.finished, report.cancelled, report.lost), (0, 3, 1));
    });
}

/// Fault 30: calls that never ran have no run time. On virtual time.
#[test]
fn a_call_that_expires_in_the_queue_has_no_run_time() {
    seeded(1, || async {
        let desk = Desk::default();
        let builder = trial(&desk, 1, 1).measure(Measure::All);
        let pool = builder.build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut busy = caller.wait_for(1);
        start(&mut busy);
        desk.noted("at 1").await;
        let soon = Duration::from_millis(5);
        // One that its caller looks at, and one that only the worker finds.
        let watched = caller.echo(1).deadline(soon);
        let mut unwatched = caller.echo(2).deadline(soon).start();
        start(&mut unwatched);
        assert!(watched.await.is_err());
        sleep(2 * soon).await;
        desk.open(1);
        assert!(busy.await.is_ok());
        until(&pool, |status| {
            status.queued == 0 && status.workers[0].busy == 0
        })
        .await;
        assert!(unwatched.await.is_err());
        let stats = pool.stats();
        assert_eq!((stats.answered, stats.expired), (1, 2));
        assert_eq!(stats.run_time.samples, 1);
    });
}

/// Fault 30.
#[test]
fn each_pool_has_samples_of_its_own() {
    let desk = Desk::default();
    soon(async {
        let one = trial(&desk, 1, 1)
            .measure(Measure::OneIn(4))
            .build()
            .await
            .unwrap();
        let two = trial(&desk, 1, 1)
            .measure(Measure::OneIn(4))
            .build()
            .await
            .unwrap();
        for number in 0..100 {
            for pool in [&one, &two] {
                let caller: TrialCaller = pool.caller();
                assert!(caller.echo(number).await.is_ok());
            }
        }
        let samples = [&one, &two].map(|pool| pool.stats().run_time.samples);
        assert_eq!(samples, [25, 25]);
    });
}

/// Around fault 30: the items of both directions belong to the traffic.
#[test]
fn the_items_of_callers_are_counted_as_traffic() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 1).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let before = pool.stats().traffic.bytes_moved;
        let items = stream::iter((0..10).map(|_| Thorn::weighing(1000)));
        assert!(caller.weigh().send_all(items).await.is_ok());
        let moved = pool.stats().traffic.bytes_moved - before;
        assert!(moved >= 10_000, "{moved} bytes");
        let before = pool.stats().traffic.bytes_moved;
        let thorns = (0..10).map(|_| Thorn::weighing(1000)).collect();
        let mut items = caller.thorns(thorns).await.unwrap();
        while items.next().await.is_some() {}
        let moved = pool.stats().traffic.bytes_moved - before;
        assert!(moved >= 10_000, "{moved} bytes");
    });
}

/// The stream of a detached call, which has no reader, is not left to wait for ever.
#[test]
fn a_detached_stream_comes_to_an_end() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 1).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        assert!(caller.count(1000).detach().is_ok());
        assert!(caller.echo(1).await.is_ok());
        let report = pool.shut_down(Shutdown::graceful(HOUR)).await;
        assert_eq!(report.lost, 0);
        assert_eq!(pool.stats().ended(), 2);
    });
}

/// A short stream that its caller has not taken when it ends, and never takes.
#[test]
fn an_unread_stream_that_has_ended_is_not_kept() {
    let (desk, witness) = (Desk::default(), Arc::new(()));
    soon(async {
        let pool = trial(&desk, 1, 1).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let call = caller.thorns(vec![Thorn::witnessed(&witness)]).start();
        while pool.stats().answered < 1 {
            insula_core::yield_now().await;
            std::thread::yield_now();
        }
        drop(call);
        pool.shut_down(Shutdown::now()).await;
    });
    assert_eq!(Arc::strong_count(&witness), 1);
}
