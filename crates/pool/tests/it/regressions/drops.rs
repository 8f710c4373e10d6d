//! Risk: a destructor or a measure of the user's that panics ends a worker (fault 26).

use std::sync::Arc;

use insula_core::sleep;
use insula_pool::{Shutdown, WorkerCondition};
use insula_rpc::{CallError, Outcome, Phase, Receipt};

use super::trial::{Pool, Thorn, TrialCaller, assert_serves, soon, trial, trial_of};
use crate::desk::{seeded, start, until};
use crate::service::Desk;

fn told<T: std::fmt::Debug, E: std::fmt::Debug, Q>(answer: Result<T, CallError<E, Q>>) -> String {
    match answer {
        Err(CallError::Panicked { message, .. }) => message,
        other => panic!("{other:?}"),
    }
}

/// Every worker that was there is still there.
async fn assert_whole(pool: &Pool) {
    assert_serves(pool).await;
    for worker in pool.status().workers {
        let is_lost = matches!(worker.condition, WorkerCondition::Lost(_));
        assert!(!is_lost, "{worker:?}");
    }
}

#[test]
fn a_request_that_panics_in_the_handler_fails_its_own_call() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        assert_eq!(
            told(caller.take(Thorn::on_drop()).await),
            "a thorn was dropped"
        );
        assert_whole(&pool).await;
    });
}

#[test]
fn a_response_that_cannot_be_measured_fails_its_own_call() {
    let desk = Desk::default();
    desk.open(1);
    soon(async {
        let pool = trial(&desk, 1, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        assert_eq!(
            told(caller.make(1, Thorn::on_size()).await),
            "a thorn was measured"
        );
        assert_whole(&pool).await;
    });
}

#[test]
fn an_item_that_cannot_be_measured_fails_its_own_stream() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let thorns = vec![Thorn::weighing(8), Thorn::on_size()];
        let mut items = caller.thorns(thorns).await.unwrap();
        assert!(matches!(items.next().await, Some(Ok(_))));
        assert_eq!(told(items.next().await.unwrap()), "a thorn was measured");
        assert!(items.next().await.is_none());
        assert_whole(&pool).await;
    });
}

#[test]
fn a_stream_that_panics_in_its_drop_ends_no_worker() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        // The next state, after each panic: before it the worker waits for whatever else it runs,
        // and so does this test for the worker.
        let state = |number| until(&pool, move |it| it.workers[0].incarnation == number);
        for round in 0..3 {
            drop(caller.hold(Thorn::on_drop()).await.unwrap());
            state(2 * round + 1).await;
            assert_whole(&pool).await;
            let call = caller.hold(Thorn::on_drop()).start();
            assert_whole(&pool).await;
            drop(call);
            state(2 * round + 2).await;
            assert_whole(&pool).await;
        }
    });
}

/// The answers of calls whose callers have gone while they ran.
#[test]
fn a_late_answer_that_panics_in_its_drop_ends_no_worker() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let late = caller.make(1, Thorn::on_drop()).start();
        desk.noted("at 1").await;
        drop(late);
        desk.open(1);
        desk.noted("made").await;
        assert_whole(&pool).await;
        let late = caller.fail(2, Thorn::on_drop()).start();
        desk.noted("at 2").await;
        drop(late);
        desk.open(2);
        assert_whole(&pool).await;
    });
}

/// The answers of calls whose callers have let them run by themselves.
#[test]
fn a_detached_answer_that_panics_in_its_drop_ends_no_worker() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        assert!(caller.make(1, Thorn::on_drop()).detach().is_ok());
        desk.noted("at 1").await;
        desk.open(1);
        desk.noted("made").await;
        assert_whole(&pool).await;
        assert!(caller.fail(1, Thorn::on_drop()).detach().is_ok());
        assert_whole(&pool).await;
    });
}

/// A call whose caller has not taken the answer is dropped. Whichever side is last drops the
/// answer.
#[test]
fn an_unread_answer_that_panics_in_its_drop_ends_no_worker() {
    let desk = Desk::default();
    desk.open(1);
    soon(async {
        let pool = trial(&desk, 1, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        for _ in 0..200 {
            let answered = pool.stats().answered;
            let call = caller.make(1, Thorn::on_drop()).start();
            while pool.stats().answered == answered {
                std::thread::yield_now();
            }
            // It may panic here, which is right: it is the caller's value.
            let _dropped = insula_core::catch_panic(|| drop(call));
        }
        assert_whole(&pool).await;
    });
}

/// On virtual time: a request that comes to its worker too late, whose caller does not look.
#[test]
fn an_expired_request_that_panics_in_its_drop_ends_no_worker() {
    for seed in 0..5 {
        seeded(seed, || async {
            let desk = Desk::default();
            let pool = trial(&desk, 1, 1).build().await.unwrap();
            let caller: TrialCaller = pool.caller();
            let mut busy = caller.wait_for(1);
            start(&mut busy);
            desk.noted("at 1").await;
            let ms = std::time::Duration::from_millis(1);
            assert!(caller.take(Thorn::on_drop()).deadline(ms).detach().is_ok());
            let mut kept = caller.take(Thorn::on_drop()).deadline(ms).start();
            start(&mut kept);
            sleep(5 * ms).await;
            desk.open(1);
            assert!(busy.await.is_ok());
            assert_whole(&pool).await;
            match kept.await {
                Err(CallError::Deadline {
                    phase: Phase::Queue,
                    request: Some(mut thorn),
                    ..
                }) => thorn.defuse(),
                other => panic!("{other:?}"),
            }
            assert_eq!(pool.stats().expired, 2);
        });
    }
}

/// The state of a worker, which is dropped when it is built again.
#[test]
fn a_state_that_panics_in_its_drop_ends_no_worker() {
    let desk = Desk::default();
    soon(async {
        let pool = trial_of(2, 2, &desk, Arc::default(), true)
            .build()
            .await
            .unwrap();
        let caller: TrialCaller = pool.caller();
        for _ in 0..5 {
            assert!(caller.boom().await.is_err());
            assert_whole(&pool).await;
        }
        let report = pool.shut_down(Shutdown::now()).await;
        assert_eq!(report.lost, 0);
    });
}

/// Queued requests that no caller gets back, at the end of a pool.
#[test]
fn a_queued_request_that_panics_in_its_drop_stops_no_shutdown() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 1).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut running = caller.wait_for(1);
        start(&mut running);
        desk.noted("at 1").await;
        assert!(caller.take(Thorn::on_drop()).detach().is_ok());
        let queued = caller.echo(1).start();
        let mut shutdown = Box::pin(pool.shut_down(Shutdown::now()));
        start(&mut shutdown);
        assert_eq!(queued.await.unwrap_err().outcome(), Outcome::NotStarted);
        let report = shutdown.await;
        assert_eq!((report.finished, report.cancelled, report.lost), (0, 3, 0));
        assert!(matches!(running.await, Err(CallError::Cancelled { .. })));
        assert_eq!(pool.stats().rejected, 2);
    });
}

/// A request that is given back is the caller's, thorn and all.
#[test]
fn a_thorn_in_a_queue_can_be_taken_back() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 1).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut running = caller.wait_for(1);
        start(&mut running);
        desk.noted("at 1").await;
        match caller
            .take(Thorn::on_drop())
            .start()
            .cancel_and_wait()
            .await
        {
            Receipt::NotStarted(Some(mut thorn)) => thorn.defuse(),
            other => panic!("{other:?}"),
        }
        desk.open(1);
        assert!(running.await.is_ok());
        assert_whole(&pool).await;
    });
}
