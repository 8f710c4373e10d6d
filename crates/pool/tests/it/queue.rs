//! Risk: a call is dropped without a word, or deadlines in the queue are forgotten.

use std::time::Duration;

use futures_util::future::join_all;
use insula_core::block_on;
use insula_pool::{Overflow, Queue};
use insula_rpc::{CallError, Outcome, Phase, Reject};

use crate::desk::{start, until};
use crate::service::{Desk, JobsCaller, pool};

#[test]
fn every_one_of_many_calls_is_answered_with_its_own_answer() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 2)
            .concurrency_per_worker(3)
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let answers = join_all((0..5_000).map(|n| caller.echo(n).into_future())).await;
        for (n, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), n as u64);
        }
    });
}

#[test]
fn waiting_calls_are_answered_beyond_the_bound() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .queue(Queue::bounded(2))
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let mut busy = caller.wait_for(1).into_future();
        start(&mut busy);
        desk.noted("at 1").await;
        let mut waiting: Vec<_> = (0..5).map(|n| caller.echo(n).into_future()).collect();
        waiting.iter_mut().for_each(start);
        let status = pool.status();
        assert_eq!((status.queued, status.waiting), (2, 3));
        let error = caller.echo(9).no_wait().await.unwrap_err();
        assert!(matches!(
            error,
            CallError::Rejected {
                why: Reject::QueueFull,
                ..
            }
        ));
        assert_eq!(error.into_request(), Some(9));
        desk.open(1);
        assert!(busy.await.is_ok());
        for (n, answer) in join_all(waiting).await.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), n as u64);
        }
    });
}

#[test]
fn the_loser_of_an_overflow_gets_its_request_back() {
    for (overflow, loser, why) in [
        (Overflow::Reject, 3, Reject::QueueFull),
        (Overflow::DropNewest, 3, Reject::Shed),
        (Overflow::DropOldest, 1, Reject::Shed),
    ] {
        let desk = Desk::default();
        block_on(async {
            let queue = Queue::bounded(2).overflow(overflow);
            let pool = pool(&desk, 1).queue(queue).build().await.unwrap();
            let caller: JobsCaller = pool.caller();
            let mut busy = caller.wait_for(0).into_future();
            start(&mut busy);
            desk.noted("at 0").await;
            let (mut one, mut two) = (caller.echo(1).into_future(), caller.echo(2).into_future());
            start(&mut one);
            start(&mut two);
            let opener = async { desk.open(0) };
            let (three, ()) =
                futures_util::future::join(caller.echo(3).into_future(), opener).await;
            let mut lost = Vec::new();
            for answer in [one.await, two.await, three] {
                if let Err(error) = answer {
                    assert_eq!(error.outcome(), Outcome::NotStarted);
                    assert!(matches!(error, CallError::Rejected { why: seen, .. } if seen == why));
                    lost.push(error.into_request());
                }
            }
            assert_eq!(lost, [Some(loser)], "{overflow:?}");
            assert!(busy.await.is_ok());
        });
    }
}

#[test]
fn a_deadline_in_the_queue_gives_the_request_back_and_the_place_free() {
    let desk = Desk::default();
    block_on(async {
        let queue = Queue::bounded(1).overflow(Overflow::Reject);
        let pool = pool(&desk, 1).queue(queue).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut busy = caller.wait_for(1).into_future();
        start(&mut busy);
        desk.noted("at 1").await;
        let error = caller
            .echo(7)
            .deadline(Duration::from_millis(3))
            .await
            .unwrap_err();
        assert!(
            matches!(
                error,
                CallError::Deadline {
                    phase: Phase::Queue,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(
            (error.outcome(), error.into_request()),
            (Outcome::NotStarted, Some(7))
        );
        assert_eq!(pool.status().queued, 0);
        let mut next = caller.echo(8).into_future();
        start(&mut next);
        desk.open(1);
        assert_eq!(next.await.unwrap(), 8);
    });
}

#[test]
fn an_expired_call_is_not_started() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut busy = caller.wait_for(1).into_future();
        start(&mut busy);
        desk.noted("at 1").await;
        // Its caller does not look at it while the deadline passes.
        let mut late = caller
            .wait_for(2)
            .deadline(Duration::from_millis(1))
            .into_future();
        start(&mut late);
        insula_core::sleep(Duration::from_millis(3)).await;
        desk.open(1);
        until(&pool, |status| {
            status.queued == 0 && status.workers[0].busy == 0
        })
        .await;
        let error = late.await.unwrap_err();
        assert!(
            matches!(
                error,
                CallError::Deadline {
                    phase: Phase::Queue,
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(error.into_request(), Some(2));
        assert_eq!(desk.notes(), ["at 1"]);
    });
}

#[test]
fn plain_threads_may_call() {
    let desk = Desk::default();
    let pool = block_on(pool(&desk, 2).build()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let caller: JobsCaller = pool.caller();
            scope.spawn(move || {
                for n in 0..500 {
                    assert_eq!(caller.echo(n).blocking().unwrap(), n);
                }
            });
        }
    });
}
