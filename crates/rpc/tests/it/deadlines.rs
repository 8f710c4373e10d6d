//! Risk: a deadline is missed silently, or its error blurs whether the handler ran.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use insula_core::block_on;
use insula_rpc::{Admission, CallError, Calls, CancelledBy, How, Outcome, Phase};

use crate::desk::{Desk, Woken, Worker, poll};
use crate::probe::Recorder;

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(600);

#[test]
fn expiry_in_the_queue_gives_the_request_back() {
    let desk = Desk::default();
    let error = block_on(
        desk.caller()
            .echo("late".into())
            .deadline(SHORT)
            .into_future(),
    );
    let error = error.unwrap_err();
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
    assert_eq!(error.outcome(), Outcome::NotStarted);
    assert_eq!(error.into_request().as_deref(), Some("late"));
    assert_eq!(desk.withdrawn(), [1]);
}

#[test]
fn a_worker_does_not_start_an_expired_call() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut reply = caller
        .echo("late".into())
        .deadline(Duration::ZERO)
        .into_future();
    // Pending or ready: the caller's own timer may have been first.
    let first = poll(&mut reply);
    let ended = Worker::new(&recorder, Duration::ZERO).run(desk.take());
    assert!(matches!(ended.how, How::Expired | How::Cancelled));
    assert!(recorder.take().is_empty());
    let error = match first {
        std::task::Poll::Ready(answer) => answer.unwrap_err(),
        std::task::Poll::Pending => block_on(reply).unwrap_err(),
    };
    assert_eq!(error.into_request().as_deref(), Some("late"));
}

#[test]
fn expiry_while_running_stops_the_handler() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut reply = caller
        .wait()
        .deadline(Duration::from_millis(20))
        .into_future();
    assert!(poll(&mut reply).is_pending());
    let call = desk.take();
    let signal = call.pending().signal().unwrap();
    let worker = Worker::new(&recorder, LONG);
    let mut running = worker.start(call);
    assert!(poll(&mut running).is_pending());
    let error = block_on(reply).unwrap_err();
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
    assert_eq!(signal.cancelled_by(), Some(CancelledBy::Deadline));
    assert!(poll(&mut running).is_ready());
    assert_eq!(recorder.take(), ["wait", "cancelled by its deadline"]);
}

#[test]
fn a_deadline_that_is_met_changes_nothing() {
    let (desk, recorder) = (Desk::default(), Recorder::default());
    let caller = desk.caller();
    let mut reply = caller
        .echo("in time".into())
        .deadline(LONG)
        .no_wait()
        .into_future();
    assert!(poll(&mut reply).is_pending());
    assert_eq!(desk.admissions(), [Admission::NoWait]);
    let call = desk.take();
    assert!(call.pending().deadline().is_some());
    assert_eq!(
        Worker::new(&recorder, Duration::ZERO).run(call).how,
        How::Answered
    );
    assert_eq!(block_on(reply).unwrap(), "in time");
}

/// The caller's own timer may come late, or its clock may stand still.
#[test]
fn an_expiry_that_the_callee_sees_first_wakes_the_caller() {
    let desk = Desk::default();
    let mut reply = desk.caller().echo("late".into()).deadline(LONG);
    let woken = Arc::new(Woken::default());
    assert!(woken.poll(&mut reply).is_pending());
    let call = desk.take();
    assert!(call.pending().signal().unwrap().expire());
    assert!(woken.take(), "the caller sleeps on");
    let Poll::Ready(Err(error)) = woken.poll(&mut reply) else {
        panic!("no error")
    };
    assert_eq!(error.into_request().as_deref(), Some("late"));
}
