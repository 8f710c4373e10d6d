//! Risk: a call waits beside a worker that could run it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use insula_core::sleep;
use insula_pool::{Overflow, Queue, WorkerPool};
use insula_rpc::{CallError, Reject};

use super::trial::{Service, TrialCaller, TrialResponder, assert_serves, soon, trial, trial_of};
use crate::desk::{seeded, start};
use crate::service::Desk;

/// Fault 20.
#[test]
fn a_blocking_call_of_a_handler_gets_the_worker_that_becomes_free() {
    for first in 0..2 {
        let (desk, own) = (Desk::default(), Arc::default());
        soon(async {
            let builder = trial_of(2, 2, &desk, Arc::clone(&own), false);
            let pool = builder.build().await.unwrap();
            assert!(own.set(pool.caller()).is_ok());
            let caller: TrialCaller = pool.caller();
            // Two calls on each worker, in turn.
            let gates = [1, 2, 1, 2];
            let mut busy: Vec<_> = gates.iter().map(|&gate| caller.wait_for(gate)).collect();
            busy.iter_mut().for_each(start);
            desk.noted("at 1").await;
            desk.noted("at 2").await;
            // One worker is free, the other is full.
            desk.open(1 + first);
            let mut nested = caller.nested(7);
            start(&mut nested);
            desk.noted("nested").await;
            desk.open(2 - first);
            assert!(join_all(busy).await.iter().all(Result::is_ok));
            assert_eq!(nested.await.ok(), Some(7));
        });
    }
}

/// Fault 21.
#[test]
fn no_call_waits_behind_a_computation() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 2, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut blocking = caller.block(1);
        start(&mut blocking);
        desk.noted("blocking 1").await;
        for round in 0..20 {
            let calls = (0..5).map(|_| caller.who());
            let workers: Vec<_> = join_all(calls).await;
            assert!(workers.iter().all(Result::is_ok), "{round}");
        }
        desk.open(1);
        assert!(blocking.await.is_ok());
    });
}

/// Around fault 21: the worker computes in a task that a handler has left behind.
#[test]
fn no_call_waits_behind_a_task_that_computes() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 2, 16).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        assert!(caller.block_later(1).await.is_ok());
        desk.noted("blocking 1").await;
        for number in 0..40 {
            // The other worker comes to rest, and does not find the next call by itself.
            sleep(Duration::from_millis(2)).await;
            assert_eq!(caller.echo(number).await.ok(), Some(number));
        }
        desk.open(1);
    });
}

/// Around fault 21: the worker computes, while a stream of the state that it had before goes on.
#[test]
fn no_call_waits_behind_a_computation_beside_an_old_stream() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 2, 16).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut streams = Vec::new();
        for _ in 0..2 {
            streams.push(caller.count(1000).await.unwrap());
        }
        while pool.status().workers.iter().any(|it| it.incarnation == 0) {
            assert!(caller.boom().await.is_err());
        }
        let mut blocking = caller.block(1);
        start(&mut blocking);
        desk.noted("blocking 1").await;
        for number in 0..40 {
            for items in &mut streams {
                for _ in 0..20 {
                    assert!(matches!(items.next().await, Some(Ok(_))));
                }
            }
            // The other worker comes to rest, and does not find the next call by itself.
            sleep(Duration::from_millis(2)).await;
            assert_eq!(caller.echo(number).await.ok(), Some(number));
        }
        desk.open(1);
        assert!(blocking.await.is_ok());
    });
}

/// Around fault 21: the worker builds its state again.
#[test]
fn no_call_waits_behind_a_factory_that_computes() {
    let desk = Desk::default();
    let service = desk.clone();
    soon(async {
        let builder = WorkerPool::builder().workers(2).concurrency_per_worker(2);
        let builder = builder.service::<TrialResponder<Service>>(move |cx| {
            let desk = service.clone();
            async move {
                if cx.incarnation() > 0 {
                    desk.note("building");
                    insula_core::blocking(|| {
                        while !desk.is_open(1) {
                            std::thread::yield_now();
                        }
                    });
                }
                Ok(Service::default())
            }
        });
        let pool = builder.build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        assert!(caller.boom().await.is_err());
        desk.noted("building").await;
        for number in 0..100 {
            assert_eq!(caller.echo(number).await.ok(), Some(number));
        }
        desk.open(1);
    });
}

/// Fault 22.
#[test]
fn calls_start_in_the_order_of_their_submission() {
    for _ in 0..50 {
        let desk = Desk::default();
        soon(async {
            let pool = trial(&desk, 1, 2).build().await.unwrap();
            let caller: TrialCaller = pool.caller();
            let answers = join_all((0..8).map(|number| caller.log(number))).await;
            assert!(answers.iter().all(Result::is_ok));
            let expected: Vec<_> = (0..8).map(|number: u64| number.to_string()).collect();
            assert_eq!(desk.notes(), expected);
        });
    }
}

/// Around fault 22: a call that is pinned to a worker, among others that are not.
#[test]
fn pinned_calls_start_in_the_order_of_their_submission() {
    for seed in 0..20 {
        seeded(seed, || async {
            let desk = Desk::default();
            let pool = trial(&desk, 3, 2).build().await.unwrap();
            let caller: TrialCaller = pool.caller();
            let calls = (0..30).map(|number| {
                let call = caller.log(number);
                if number % 3 == 0 {
                    call
                } else {
                    call.key(number % 3)
                }
            });
            assert!(join_all(calls).await.iter().all(Result::is_ok));
            let notes = desk.notes();
            for key in 1..3 {
                let of_key = |note: &u64| note % 3 == key;
                let numbers = notes.iter().map(|note| note.parse::<u64>().unwrap());
                let numbers: Vec<_> = numbers.filter(of_key).collect();
                assert!(numbers.is_sorted(), "{numbers:?}");
            }
        });
    }
}

/// Fault 24.
#[test]
fn a_panic_beside_an_unread_stream_stops_no_pool() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut items = caller.count(1000).await.unwrap();
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
        assert!(caller.boom().await.is_err());
        assert_serves(&pool).await;
        // The stream is one of the state before, and goes on.
        for number in 1..1000 {
            assert_eq!(items.next().await.unwrap().unwrap(), number);
        }
        assert!(items.next().await.is_none());
        assert_eq!(caller.who().await.ok(), Some((0, 1)));
    });
}

/// Around fault 24: more of both, in turn.
#[test]
fn many_panics_beside_many_unread_streams_stop_no_pool() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 2, 2).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut streams = Vec::new();
        for _ in 0..10 {
            for _ in 0..3 {
                streams.push(caller.count(100).await.unwrap());
            }
            assert!(caller.boom().await.is_err());
            assert_serves(&pool).await;
        }
        for items in &mut streams {
            for number in 0..100 {
                assert_eq!(items.next().await.unwrap().unwrap(), number);
            }
            assert!(items.next().await.is_none());
        }
        let stats = pool.stats();
        assert_eq!((stats.panicked, stats.died), (10, 0));
    });
}

/// Fault 27.
#[test]
fn a_call_that_does_not_wait_evicts_no_other() {
    let desk = Desk::default();
    soon(async {
        let queue = Queue::bounded(1).overflow(Overflow::DropOldest);
        let pool = trial(&desk, 1, 1).queue(queue).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut busy = caller.wait_for(1);
        start(&mut busy);
        desk.noted("at 1").await;
        let queued = caller.echo(1).start();
        for error in [
            caller.echo(2).no_wait().await.unwrap_err(),
            caller.echo(2).try_start().unwrap_err(),
            caller.echo(2).detach().unwrap_err(),
        ] {
            assert!(
                matches!(
                    error,
                    CallError::Rejected {
                        why: Reject::QueueFull,
                        request: Some(2),
                    }
                ),
                "{error:?}"
            );
        }
        desk.open(1);
        assert_eq!(queued.await.ok(), Some(1));
        assert!(busy.await.is_ok());
    });
}

/// A stream that borrows its context may have tasks too.
#[test]
fn a_task_of_a_stream_runs() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 1).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut items = caller.spawning().await.unwrap();
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
        assert_eq!(items.next().await.unwrap().unwrap(), 1);
        assert!(items.next().await.is_none());
    });
}
