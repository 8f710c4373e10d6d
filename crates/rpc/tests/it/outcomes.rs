//! Risk: a call never ends, ends twice, or lies about whether its handler ran.

use std::error::Error;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use insula_rpc::{
    CallError, Calls, Contract, How, MethodKind, Outcome, Refusal, Reject, WorkerExit, WorkerId,
};

use crate::desk::{Desk, Ends, Woken, Worker, poll};
use crate::probe::{Oops, ProbeRequest, Recorder};

fn worker() -> Worker {
    Worker::new(&Recorder::default(), Duration::ZERO)
}

#[test]
fn a_response_reaches_its_caller() {
    let desk = Desk::default();
    let caller = desk.caller();
    let mut reply = caller.echo("hi".into()).into_future();
    assert!(desk.is_empty(), "nothing is sent before the first poll");
    assert!(poll(&mut reply).is_pending());
    assert_eq!(worker().run(desk.take()).how, How::Answered);
    let Poll::Ready(Ok(text)) = poll(&mut reply) else {
        panic!("no response")
    };
    assert_eq!(text, "hi");
}

#[test]
fn the_handlers_error_keeps_its_type() {
    let desk = Desk::default();
    let caller = desk.caller();
    let mut reply = caller.fail(3).into_future();
    assert!(poll(&mut reply).is_pending());
    assert_eq!(worker().run(desk.take()).how, How::Failed);
    let Poll::Ready(Err(error)) = poll(&mut reply) else {
        panic!("no error")
    };
    assert_eq!(error.outcome(), Outcome::Executed);
    assert_eq!(error.into_app(), Some(Oops::Number(3)));
}

#[test]
fn a_panic_is_an_error_with_its_place() {
    let desk = Desk::default();
    let caller = desk.caller();
    let mut reply = caller.panic("ouch".into()).into_future();
    assert!(poll(&mut reply).is_pending());
    assert_eq!(worker().run(desk.take()).how, How::Panicked);
    let Poll::Ready(Err(error)) = poll(&mut reply) else {
        panic!("no error")
    };
    assert_eq!(error.outcome(), Outcome::MaybeExecuted);
    let CallError::Panicked {
        message,
        location: Some(location),
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(message, "ouch");
    assert!(location.contains("probe.rs:"), "{location}");
}

#[test]
fn a_refused_call_gives_its_request_back() {
    for (why, text) in [
        (
            Refusal::Rejected(Reject::QueueFull),
            "call rejected: the queue is full",
        ),
        (
            Refusal::Rejected(Reject::Shutdown),
            "call rejected: shutting down",
        ),
        (
            Refusal::WorkerDied {
                exit: WorkerExit::Ended,
                worker: Some(WorkerId::new(1)),
            },
            "worker 1 died: its isolate ended",
        ),
    ] {
        let desk = Desk::default();
        let caller = desk.caller();
        let mut reply = caller.echo("mine".into()).into_future();
        assert!(poll(&mut reply).is_pending());
        let call = desk.take();
        assert!(call.pending().is_waiting() && call.pending().refuse(why.clone()));
        assert!(!call.pending().is_waiting() && !call.pending().refuse(why));
        assert_eq!(
            worker().run(call).how,
            How::Cancelled,
            "a refused call never runs"
        );
        let Poll::Ready(Err(error)) = poll(&mut reply) else {
            panic!("no error")
        };
        assert_eq!(
            (error.to_string().as_str(), error.outcome()),
            (text, Outcome::NotStarted)
        );
        assert_eq!(error.into_request().as_deref(), Some("mine"));
    }
}

#[test]
fn a_dropped_call_was_not_started() {
    let desk = Desk::default();
    let caller = desk.caller();
    let mut reply = caller.echo("mine".into()).into_future();
    assert!(poll(&mut reply).is_pending());
    drop(desk.take());
    let Poll::Ready(Err(error)) = poll(&mut reply) else {
        panic!("no error")
    };
    assert!(matches!(error, CallError::WorkerDied { worker: None, .. }));
    assert_eq!(error.outcome(), Outcome::NotStarted);
    assert_eq!(error.into_request().as_deref(), Some("mine"));
}

#[test]
fn a_dropped_handler_may_have_executed() {
    let desk = Desk::default();
    let caller = desk.caller();
    let mut reply = caller.hang().into_future();
    assert!(poll(&mut reply).is_pending());
    let worker = worker();
    let mut running = worker.start(desk.take());
    assert!(poll(&mut running).is_pending() && poll(&mut reply).is_pending());
    drop(running);
    let Poll::Ready(Err(error)) = poll(&mut reply) else {
        panic!("no error")
    };
    assert_eq!(error.outcome(), Outcome::MaybeExecuted);
    assert_eq!(error.to_string(), "worker 5 died: its isolate ended");
}

#[test]
fn an_abandoned_call_ends_once() {
    let desk = Desk::default();
    let caller = desk.caller();
    let mut reply = caller.hang().into_future();
    assert!(poll(&mut reply).is_pending());
    let call = desk.take();
    let signal = call.pending().signal().unwrap();
    let worker = worker();
    let mut running = worker.start(call);
    assert!(poll(&mut running).is_pending());
    let mut counted = 0;
    for exit in [WorkerExit::Abandoned, WorkerExit::Ended] {
        signal.abandon(WorkerId::new(5), exit, &mut || counted += 1);
    }
    assert_eq!(counted, 1);
    let Poll::Ready(Err(error)) = poll(&mut reply) else {
        panic!("no error")
    };
    assert_eq!(error.outcome(), Outcome::MaybeExecuted);
    assert!(matches!(
        error,
        CallError::WorkerDied {
            exit: WorkerExit::Abandoned,
            ..
        }
    ));
}

/// The text of the handler's error is the whole error's, so its source continues below it.
#[test]
fn the_source_of_the_handlers_error_is_that_of_the_call() {
    #[derive(Debug)]
    struct Outer(Oops);
    impl std::fmt::Display for Outer {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("outer")
        }
    }
    impl Error for Outer {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }
    let error = CallError::<Outer, ()>::App(Outer(Oops::Number(1)));
    assert_eq!(error.to_string(), "outer");
    assert!(error.source().is_some_and(|source| source.is::<Oops>()));
    let rejected = CallError::<Outer, ()>::Rejected {
        why: Reject::Shed,
        request: None,
    };
    assert!(rejected.source().is_none());
}

#[test]
fn errors_fit_into_the_error_trait() {
    fn question(error: CallError<Oops, Vec<u8>>) -> Result<(), Box<dyn Error + Send + Sync>> {
        Err(error)?
    }
    let error = CallError::App(Oops::Number(1));
    assert_eq!(question(error).unwrap_err().to_string(), "oops: Number(1)");
    let error: CallError<Oops, u8> = CallError::Rejected {
        why: Reject::NoWorker,
        request: Some(1),
    };
    assert_eq!(
        format!("{error:?}"),
        "Rejected { why: NoWorker, has_request: true }"
    );
    assert!(error.without_request().into_request().is_none());
}

#[test]
fn the_method_table_is_complete() {
    assert_eq!((ProbeRequest::NAME, ProbeRequest::VERSION), ("probe", 2));
    let names: Vec<_> = ProbeRequest::METHODS
        .iter()
        .map(|method| method.name)
        .collect();
    assert_eq!(
        names,
        [
            "echo",
            "fail",
            "panic",
            "wait",
            "hang",
            "hang_again",
            "weigh",
            "count",
            "blow",
            "stall"
        ]
    );
    assert_eq!(ProbeRequest::METHODS[0].kind, MethodKind::Unary);
    assert_eq!(ProbeRequest::METHODS[7].kind, MethodKind::ServerStream);
}

#[test]
fn a_refusal_wakes_its_caller() {
    let desk = Desk::default();
    let mut reply = desk.caller().echo("no".into());
    let woken = Arc::new(Woken::default());
    assert!(woken.poll(&mut reply).is_pending());
    let call = desk.take();
    let why = Refusal::Rejected(Reject::Shutdown);
    assert!(call.pending().refuse(why));
    assert!(woken.take(), "the caller sleeps on");
    assert!(woken.poll(&mut reply).is_ready());
}

/// A worker has taken it, and is given up before it looks at it.
#[test]
fn a_call_that_has_ended_and_is_given_up_before_it_starts_is_counted_once() {
    let (desk, ends) = (Desk::default(), Arc::new(Ends::default()));
    let worker = Worker::counting(&Recorder::default(), &ends);
    for is_given_up in [false, true] {
        let call = desk.caller().echo("late".into()).start();
        let taken = desk.take();
        let signal = taken.pending().signal().expect("it has not started");
        drop(call);
        let mut died = 0;
        if is_given_up {
            signal.abandon(WorkerId::new(5), WorkerExit::Abandoned, &mut || died += 1);
        }
        let ended = worker.run(taken);
        assert!(!ended.has_run);
        let counted = std::mem::take(&mut *ends.0.lock());
        assert_eq!(counted.len() + died, 1, "{counted:?}");
    }
}
