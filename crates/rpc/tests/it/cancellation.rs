//! Risk: work that is not needed any more goes on, or a cancellation hits a call that has its
//! answer.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use insula_rpc::{CallError, Calls, CancelledBy, How, Outcome, Receipt};

use crate::desk::{Desk, Woken, Worker, poll};
use crate::probe::Recorder;

#[test]
fn a_call_dropped_before_its_first_poll_was_never_made() {
    let desk = Desk::default();
    drop(desk.caller().echo("no".into()).into_future());
    assert!(desk.is_empty() && desk.withdrawn().is_empty());
}

#[test]
fn a_call_dropped_in_a_queue_is_withdrawn_and_never_runs() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut reply = caller.echo("no".into()).into_future();
    assert!(poll(&mut reply).is_pending());
    drop(reply);
    assert_eq!(desk.withdrawn(), [1]);
    let call = desk.take();
    assert!(!call.pending().is_waiting());
    assert_eq!(
        Worker::new(&recorder, Duration::ZERO).run(call).how,
        How::Cancelled
    );
    assert!(recorder.take().is_empty());
}

#[test]
fn a_running_handler_is_told_and_may_end_by_itself() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut reply = caller.wait().into_future();
    assert!(poll(&mut reply).is_pending());
    let worker = Worker::new(&recorder, Duration::from_secs(60));
    let mut running = worker.start(desk.take());
    assert!(poll(&mut running).is_pending());
    drop(reply);
    assert!(
        desk.withdrawn().is_empty(),
        "a running call lies in no queue"
    );
    let Poll::Ready(ended) = poll(&mut running) else {
        panic!("still running")
    };
    assert_eq!(ended.how, How::Cancelled, "its late answer is dropped");
    assert_eq!(recorder.take(), ["wait", "cancelled by its caller"]);
}

#[test]
fn a_handler_that_waits_is_woken_to_be_told_of_a_shutdown() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut reply = caller.wait().into_future();
    assert!(poll(&mut reply).is_pending());
    let worker = Worker::new(&recorder, Duration::from_secs(60));
    let call = desk.take();
    let signal = call.pending().signal().expect("it waits");
    let mut running = worker.start(call);
    let woken = Arc::new(Woken::default());
    assert!(woken.poll(&mut running).is_pending());
    signal.ask_to_stop(CancelledBy::Shutdown);
    assert!(woken.take(), "the handler sleeps on");
    assert!(poll(&mut running).is_ready());
    assert_eq!(recorder.take().len(), 2, "it ended by itself");
}

/// A call may be polled by one task after the other.
#[test]
fn an_answer_wakes_who_asked_last() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut reply = caller.echo("yes".into()).into_future();
    let [first, last] = [(); 2].map(|()| Arc::new(Woken::default()));
    assert!(first.poll(&mut reply).is_pending());
    assert!(last.poll(&mut reply).is_pending());
    let ended = Worker::new(&recorder, Duration::ZERO).run(desk.take());
    assert_eq!(ended.how, How::Answered);
    assert!(last.take() && !first.take());
    assert!(matches!(poll(&mut reply), Poll::Ready(Ok(_))));
}

#[test]
fn a_deaf_handler_is_dropped_after_the_grace_period() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut reply = caller.hang().into_future();
    assert!(poll(&mut reply).is_pending());
    let worker = Worker::new(&recorder, Duration::from_millis(1));
    let mut running = worker.start(desk.take());
    assert!(poll(&mut running).is_pending());
    drop(reply);
    assert_eq!(insula_core::block_on(running).how, How::Cancelled);
    assert_eq!(recorder.take(), ["hang dropped"]);
}

#[test]
fn a_shutdown_cancels_with_an_error_but_lets_an_answer_through() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let worker = Worker::new(&recorder, Duration::ZERO);
    let mut reply = caller.hang().into_future();
    assert!(poll(&mut reply).is_pending());
    let call = desk.take();
    let signal = call.pending().signal().unwrap();
    let mut running = worker.start(call);
    assert!(poll(&mut running).is_pending());
    signal.ask_to_stop(CancelledBy::Shutdown);
    assert_eq!(signal.cancelled_by(), Some(CancelledBy::Shutdown));
    assert!(poll(&mut running).is_ready());
    let Poll::Ready(Err(error)) = poll(&mut reply) else {
        panic!("no error")
    };
    assert_eq!(error.outcome(), Outcome::MaybeExecuted);
    assert!(matches!(
        error,
        CallError::Cancelled {
            by: CancelledBy::Shutdown,
            ..
        }
    ));

    let mut reply = caller.echo("late".into()).into_future();
    assert!(poll(&mut reply).is_pending());
    let call = desk.take();
    call.pending()
        .signal()
        .unwrap()
        .ask_to_stop(CancelledBy::Shutdown);
    assert_eq!(worker.run(call).how, How::Answered);
    assert!(matches!(poll(&mut reply), Poll::Ready(Ok(text)) if text == "late"));
}

#[test]
fn an_answer_that_is_there_wins_against_the_drop() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut reply = caller.echo("done".into()).into_future();
    assert!(poll(&mut reply).is_pending());
    assert_eq!(
        Worker::new(&recorder, Duration::ZERO).run(desk.take()).how,
        How::Answered
    );
    drop(reply);
    assert!(desk.withdrawn().is_empty());
}

/// The answer may have come just before its caller gave up.
#[test]
fn a_call_that_has_given_its_answer_has_nothing_to_cancel() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut call = caller.echo("there".into()).start();
    _ = Worker::new(&recorder, Duration::ZERO).run(desk.take());
    assert!(matches!(poll(&mut call), Poll::Ready(Ok(text)) if text == "there"));
    let receipt = insula_core::block_on(call.cancel_and_wait());
    assert!(matches!(receipt, Receipt::Taken), "{receipt:?}");
}

#[test]
#[should_panic(expected = "polled after it had given its answer")]
fn a_call_gives_its_answer_once() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut call = caller.echo("there".into()).start();
    _ = Worker::new(&recorder, Duration::ZERO).run(desk.take());
    assert!(poll(&mut call).is_ready());
    let _never = call.blocking();
}

/// As an error of a call, it is printed whatever the request is.
#[test]
fn a_receipt_is_debug_though_its_request_is_not() {
    struct Secret;
    let receipt = Receipt::<(), (), Secret>::NotStarted(Some(Secret));
    assert_eq!(format!("{receipt:?}"), "NotStarted { has_request: true }");
}
