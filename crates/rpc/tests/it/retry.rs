//! Risk: a call that may have run is made again, or one that can be is given up.

use std::task::Poll;
use std::time::Duration;

use insula_core::block_on;
use insula_rpc::{CallError, Calls, Contract, Refusal, Reject, Retry, hedge, retry};

use crate::desk::{Desk, Woken, Worker, poll};
use crate::probe::{Oops, ProbeCaller, ProbeRequest, Recorder};

const GRACE: Duration = Duration::ZERO;

fn soon() -> Retry {
    Retry::attempts(3).backoff(Duration::ZERO, Duration::ZERO)
}

fn refuse(desk: &Desk, why: Reject) {
    assert!(desk.take().pending().refuse(Refusal::Rejected(why)));
}

/// Polls until the next attempt is on the desk, and tells whether there is one.
fn arrives<F: Future + Unpin>(desk: &Desk, future: &mut F) -> bool {
    let woken = std::sync::Arc::new(Woken::default());
    for _ in 0..1_000 {
        if woken.poll(future).is_ready() {
            return false;
        }
        if !desk.is_empty() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

#[test]
fn the_method_table_says_which_methods_are_idempotent() {
    let idempotent = |name| {
        let found = ProbeRequest::METHODS.iter().find(|it| it.name == name);
        found.is_some_and(|it| it.is_idempotent)
    };
    assert!(idempotent("weigh") && !idempotent("echo"));
}

#[test]
fn a_refused_call_is_made_again_whatever_its_method() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let (caller, policy) = (desk.caller(), soon());
    let mut answer = Box::pin(retry(&policy, |n| caller.echo(n.to_string())));
    for _ in 0..2 {
        assert!(arrives(&desk, &mut answer));
        refuse(&desk, Reject::QueueFull);
    }
    assert!(arrives(&desk, &mut answer));
    _ = worker.run(desk.take());
    assert_eq!(block_on(answer).ok().as_deref(), Some("2"));
}

#[test]
fn the_last_attempt_gives_its_error() {
    let desk = Desk::default();
    let (caller, policy) = (desk.caller(), soon());
    let mut answer = Box::pin(retry(&policy, |n| caller.echo(n.to_string())));
    for _ in 0..3 {
        assert!(arrives(&desk, &mut answer));
        refuse(&desk, Reject::Shed);
    }
    let error = block_on(answer).unwrap_err();
    assert_eq!(error.into_request().as_deref(), Some("2"));
    assert!(desk.is_empty());
}

#[test]
fn what_is_no_passing_trouble_is_not_repeated() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let (caller, policy) = (desk.caller(), soon());
    for end in [
        (|desk, _| refuse(desk, Reject::Shutdown)) as fn(&Desk, &Worker),
        |desk, _| refuse(desk, Reject::NoWorker),
        |desk, _| refuse(desk, Reject::TooLarge),
        |desk, worker| _ = worker.run(desk.take()),
    ] {
        let mut answer = Box::pin(retry(&policy, |_| caller.fail(1)));
        assert!(arrives(&desk, &mut answer));
        end(&desk, &worker);
        assert!(!arrives(&desk, &mut answer) && desk.is_empty());
    }
}

/// The worker ends while the handler runs.
fn die(desk: &Desk, worker: &Worker) {
    let mut running = worker.start(desk.take());
    let _ = poll(&mut running);
}

#[test]
fn only_an_idempotent_call_is_made_again_after_it_may_have_run() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let (caller, policy) = (desk.caller(), soon());
    let mut answer = Box::pin(retry(&policy, |_| caller.hang()));
    assert!(arrives(&desk, &mut answer));
    die(&desk, &worker);
    assert!(matches!(
        block_on(answer),
        Err(CallError::WorkerDied { .. })
    ));
    assert!(desk.is_empty());

    let mut answer = Box::pin(retry(&policy, |_| caller.hang_again()));
    assert!(arrives(&desk, &mut answer));
    die(&desk, &worker);
    assert!(arrives(&desk, &mut answer), "it is made again");
}

#[test]
fn attempts_and_pauses_share_one_time() {
    let desk = Desk::default();
    let caller = desk.caller();
    let policy = Retry::attempts(u32::MAX).within(Duration::from_secs(600));
    let mut answer = Box::pin(retry(&policy, |_| caller.echo(String::new())));
    assert!(arrives(&desk, &mut answer));
    assert!(desk.take().pending().deadline().is_some());

    let policy = Retry::attempts(u32::MAX)
        .backoff(Duration::from_secs(60), Duration::from_secs(60))
        .within(Duration::from_secs(20));
    let mut answer = Box::pin(retry(&policy, |_| caller.echo(String::new())));
    assert!(arrives(&desk, &mut answer));
    refuse(&desk, Reject::QueueFull);
    assert!(
        block_on(answer).is_err(),
        "the pause would be longer than what is left"
    );
}

fn hedged(
    caller: &ProbeCaller,
) -> impl Future<Output = Result<Box<[u8]>, CallError<Oops, Vec<u8>>>> {
    let caller = caller.clone();
    hedge(Duration::ZERO, move |n| caller.weigh(vec![n as u8]))
}

#[test]
fn the_first_of_two_answers_counts_and_the_other_call_is_cancelled() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let mut answer = Box::pin(hedged(&caller));
    while desk.len() < 2 {
        assert!(poll(&mut answer).is_pending());
    }
    _ = worker.run(desk.take_last());
    let Poll::Ready(Ok(bytes)) = poll(&mut answer) else {
        panic!("no answer")
    };
    assert_eq!(*bytes, [1]);
    drop(answer);
    assert_eq!(desk.withdrawn(), [1]);
}

#[test]
fn one_failure_of_two_is_not_the_end() {
    let (desk, worker) = (Desk::default(), Worker::new(&Recorder::default(), GRACE));
    let caller = desk.caller();
    let mut answer = Box::pin(hedged(&caller));
    while desk.len() < 2 {
        assert!(poll(&mut answer).is_pending());
    }
    refuse(&desk, Reject::QueueFull);
    assert!(poll(&mut answer).is_pending());
    _ = worker.run(desk.take());
    assert_eq!(*block_on(answer).unwrap(), [1]);
}
