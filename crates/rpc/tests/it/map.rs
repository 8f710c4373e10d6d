//! Risk: an answer of many is lost or comes for another request, or too many calls run at once.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use insula_core::block_on;
use insula_rpc::{CallError, CancelledBy, Reject, catch, map};

use crate::desk::{Desk, Woken, Worker, poll};
use crate::probe::{Oops, Recorder};

const GRACE: Duration = Duration::ZERO;

#[test]
fn answers_come_in_the_order_of_their_requests() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let mut answers = map(0..10, |n| caller.echo(n.to_string())).concurrency(4);
    let mut seen = Vec::new();
    while seen.len() < 10 {
        match poll(&mut Box::pin(answers.next())) {
            Poll::Ready(answer) => seen.push(answer.unwrap().unwrap()),
            Poll::Pending => {
                assert!(desk.len() <= 4, "more calls than may be on their way");
                // The last one first: its answer waits for those before it.
                _ = worker.run(desk.take_last());
            }
        }
    }
    assert!(block_on(answers.next()).is_none());
    let expected: Vec<_> = (0..10).map(|n| n.to_string()).collect();
    assert_eq!(seen, expected);
}

#[test]
fn unordered_answers_come_as_they_are_there() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let mut answers = map(0..3, |n| caller.echo(n.to_string())).unordered();
    let woken = Arc::new(Woken::default());
    for expected in [2, 1, 0] {
        assert!(woken.poll(&mut Box::pin(answers.next())).is_pending());
        _ = worker.run(desk.take_last());
        assert!(woken.take(), "any of the answers wakes");
        let (request, answer) = block_on(answers.next()).unwrap();
        assert_eq!((request, answer.unwrap()), (expected, expected.to_string()));
    }
    assert!(block_on(answers.next()).is_none());
}

#[test]
fn all_answers_are_collected_in_the_order_of_their_requests() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    for concurrency in [0, 1, 2, 3, 4, 10, 11, usize::MAX] {
        let answers = map(0..10, |n| caller.echo(n.to_string())).concurrency(concurrency);
        let mut answers = Box::pin(answers.collect::<Vec<_>>());
        let seen = loop {
            match poll(&mut answers) {
                Poll::Ready(seen) => break seen,
                Poll::Pending => {
                    assert!(desk.len() <= concurrency.max(1));
                    _ = worker.run(desk.take_last());
                }
            }
        };
        let expected: Vec<_> = (0..10).map(|n| n.to_string()).collect();
        let seen: Vec<_> = seen.into_iter().map(Result::unwrap).collect();
        assert_eq!(seen, expected, "{concurrency} at once");
    }
}

#[test]
fn nothing_is_collected_from_no_requests() {
    let desk = Desk::default();
    let caller = desk.caller();
    let none = map(0..0, |n: u32| caller.echo(n.to_string())).collect::<Vec<_>>();
    assert!(block_on(none).is_empty());
}

/// Twice for each 100: when there is room for a batch, and at the end.
#[test]
fn whoever_collects_is_not_woken_for_each_answer() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let answers = map(0..100, |n| caller.echo(n.to_string())).concurrency(100);
    let mut answers = Box::pin(answers.collect::<Vec<_>>());
    let woken = Arc::new(Woken::default());
    let mut wakes = 0;
    assert!(woken.poll(&mut answers).is_pending());
    let seen = loop {
        // Nobody else would wake it, so that a wake-up that is lost ends the test.
        _ = worker.run(desk.take());
        if woken.take() {
            wakes += 1;
            if let Poll::Ready(seen) = woken.poll(&mut answers) {
                break seen;
            }
        }
    };
    assert_eq!((seen.len(), wakes), (100, 2));
}

/// The call that wakes it is the last one, and comes first.
#[test]
fn whoever_collects_is_woken_whichever_answer_comes_last() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let answers = map(0..4, |n| caller.echo(n.to_string())).concurrency(100);
    let mut answers = Box::pin(answers.collect::<Vec<_>>());
    let (first, last) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    assert!(first.poll(&mut answers).is_pending());
    for _ in 0..3 {
        assert!(last.poll(&mut answers).is_pending());
        _ = worker.run(desk.take_last());
        assert!(last.take() && !first.take());
    }
    assert!(last.poll(&mut answers).is_pending());
    _ = worker.run(desk.take_last());
    assert!(last.take());
    let Poll::Ready(seen) = last.poll(&mut answers) else {
        panic!("all were answered");
    };
    let seen: Vec<_> = seen.into_iter().map(Result::unwrap).collect();
    assert_eq!(seen, ["0", "1", "2", "3"]);
}

/// One that has a deadline is looked at for its own sake.
#[test]
fn a_deadline_passes_while_others_are_collected() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let answers = map(0..3, |n| {
        let call = caller.echo(n.to_string());
        match n {
            1 => call.deadline(Duration::from_millis(1)),
            _ => call,
        }
    });
    let mut answers = Box::pin(answers.collect::<Vec<_>>());
    assert!(poll(&mut answers).is_pending());
    _ = worker.run(desk.take());
    _ = worker.run(desk.take_last());
    let seen = block_on(answers);
    assert!(matches!(seen[1], Err(CallError::Deadline { .. })));
    assert!(seen[0].is_ok() && seen[2].is_ok());
}

#[test]
fn whoever_stops_collecting_cancels_what_is_on_its_way() {
    let desk = Desk::default();
    let caller = desk.caller();
    let answers = map(0..100, |n| caller.echo(n.to_string())).concurrency(3);
    let mut answers = Box::pin(answers.collect::<Vec<_>>());
    assert!(poll(&mut answers).is_pending());
    drop(answers);
    assert_eq!((desk.len(), desk.withdrawn()), (3, vec![1, 2, 3]));
}

/// The waker of the first poll may be another one than that of the last.
#[test]
fn every_answer_wakes_the_task_that_polled_last() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let mut answers = map(0..2, |n| caller.echo(n.to_string())).unordered();
    let (first, last) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    assert!(first.poll(&mut Box::pin(answers.next())).is_pending());
    assert!(last.poll(&mut Box::pin(answers.next())).is_pending());
    _ = worker.run(desk.take_last());
    assert!(last.take() && !first.take());
}

#[test]
fn errors_are_answers_too_and_hold_nothing_up() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let mut answers = map([1, 2], |n| caller.fail(n));
    assert!(poll(&mut Box::pin(answers.next())).is_pending());
    let refused = desk.take_last();
    assert!(
        insula_rpc::Calls::pending(&refused).refuse(insula_rpc::Refusal::Rejected(Reject::Shed))
    );
    _ = worker.run(desk.take());
    let first = block_on(answers.next()).unwrap().unwrap_err();
    assert_eq!(first.into_app(), Some(Oops::Number(1)));
    let second = block_on(answers.next()).unwrap().unwrap_err();
    assert!(matches!(
        &second,
        CallError::Rejected {
            why: Reject::Shed,
            ..
        }
    ));
    assert_eq!(second.into_request(), Some(2));
}

#[test]
fn dropping_the_stream_cancels_what_is_on_its_way_and_makes_no_more() {
    let desk = Desk::default();
    let caller = desk.caller();
    let mut answers = map(0..100, |n| caller.echo(n.to_string())).concurrency(3);
    assert!(poll(&mut Box::pin(answers.next())).is_pending());
    drop(answers);
    assert_eq!((desk.len(), desk.withdrawn()), (3, vec![1, 2, 3]));
}

/// A call may be made in the memory of one that was answered, unless a callee or a shutdown still
/// has the signal of the answered call.
#[test]
fn a_signal_of_an_ended_call_reaches_no_other_call() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let mut answers = map(0..20, |n| caller.echo(n.to_string())).concurrency(1);
    let mut signals = Vec::new();
    for n in 0..20 {
        assert!(poll(&mut Box::pin(answers.next())).is_pending());
        let call = desk.take();
        // Every other one has memory that may be used again.
        if n % 2 == 0 {
            signals.extend(insula_rpc::Calls::pending(&call).signal());
        }
        for ended in &signals[..signals.len() - usize::from(n % 2 == 0)] {
            ended.cancel();
            ended.ask_to_stop(CancelledBy::Shutdown);
        }
        _ = worker.run(call);
        let answer = block_on(answers.next()).unwrap();
        assert_eq!(answer.unwrap(), n.to_string());
    }
}

/// The closure panics for one request, and the stream is polled again.
#[test]
fn a_call_that_has_given_its_answer_holds_up_no_other() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let mut over = caller.echo("over".to_owned()).start();
    _ = worker.run(desk.take());
    assert!(poll(&mut over).is_ready());
    let calls = [over, caller.echo("next".to_owned())];
    let mut answers = map(calls, |call| call);
    let panicked = catch(|| poll(&mut Box::pin(answers.next())).is_ready());
    assert!(panicked.is_err());
    assert!(poll(&mut Box::pin(answers.next())).is_pending());
    _ = worker.run(desk.take());
    assert_eq!(block_on(answers.next()).unwrap().unwrap(), "next");
    assert!(block_on(answers.next()).is_none());
}

#[test]
fn a_panic_of_the_closure_holds_up_no_other_call() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let mut answers = map(0..4, |n: u32| {
        assert!(n != 2, "no call for this one");
        caller.echo(n.to_string())
    });
    let panicked = catch(|| poll(&mut Box::pin(answers.next())).is_ready());
    assert!(panicked.is_err());
    for expected in ["0", "1", "3"] {
        assert!(poll(&mut Box::pin(answers.next())).is_pending());
        _ = worker.run(desk.take());
        let answer = block_on(answers.next()).unwrap();
        assert_eq!(answer.unwrap(), expected);
    }
    assert!(block_on(answers.next()).is_none());
}
