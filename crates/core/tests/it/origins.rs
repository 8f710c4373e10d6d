//! Risk: a report names a place where another panic began.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};

use insula_core::{
    ErrorCause, ExitReason, Isolate, PanicReport, ReceivePort, RunError, Runtime, block_on,
    catch_panic,
};

fn report_of(computation: impl FnOnce() + Send + 'static) -> PanicReport {
    match Isolate::run(computation).wait() {
        Err(RunError::Panicked(report)) => report,
        other => unreachable!("it has not panicked: {other:?}"),
    }
}

/// On one thread, so that the second isolate finds what the first one left behind.
#[test]
fn a_resumed_panic_has_no_place_of_another_isolate() {
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    let caught = Isolate::run(|| {
        let caught = catch_unwind(|| panic!("the same text"));
        assert!(caught.is_err());
    });
    assert_eq!(caught.wait(), Ok(()));
    let report = report_of(|| resume_unwind(Box::new("the same text")));
    assert_eq!(report.message(), "the same text");
    assert_eq!(report.location(), None);
    runtime.shut_down();
}

#[test]
fn a_resumed_panic_has_its_own_place_and_no_other() {
    let report = report_of(|| {
        let caught = catch_unwind(|| panic!("the {}", "first"));
        let first = caught.err();
        let other = catch_unwind(|| panic_any(7u32));
        assert!(other.is_err());
        if let Some(first) = first {
            resume_unwind(first);
        }
    });
    assert_eq!(report.message(), "the first");
    assert!(
        report
            .location()
            .is_some_and(|it| it.contains("origins.rs:"))
    );

    let report = report_of(|| {
        let caught = catch_unwind(|| panic!("caught"));
        assert!(caught.is_err());
        resume_unwind(Box::new("another".to_owned()));
    });
    assert_eq!((report.message(), report.location()), ("another", None));

    let report = catch_panic(|| {
        let caught = catch_unwind(|| panic_any(7u32));
        assert!(caught.is_err());
        resume_unwind(Box::new(7u64));
    });
    assert!(report.is_err_and(|report| report.location().is_none()));
}

/// The destructor's panic begins later, and is over before the other one is caught.
#[test]
fn a_panic_that_is_contained_during_another_takes_no_place_from_it() {
    struct Contained;
    impl Drop for Contained {
        fn drop(&mut self) {
            let caught = catch_panic(|| panic!("inner"));
            assert!(caught.is_err_and(|inner| inner.location().is_some()));
            let unasked = catch_unwind(AssertUnwindSafe(|| panic!("inner too")));
            assert!(unasked.is_err());
        }
    }
    let report = report_of(|| {
        let _contained = Contained;
        panic!("outer");
    });
    assert_eq!(report.message(), "outer");
    assert!(
        report
            .location()
            .is_some_and(|it| it.contains("origins.rs:"))
    );
}

/// The future runs outside of the isolate, its panic ends the isolate all the same.
#[test]
fn a_panic_under_block_on_is_told_with_its_place() {
    let told = Isolate::run_async(async || {
        let mut errors = ReceivePort::new();
        let isolate = Isolate::builder()
            .on_error(&errors.send_port())
            .spawn(|()| block_on(async { panic!("under block_on") }), ());
        let error = errors.recv().await;
        (error.map(|error| error.cause), isolate.exited().await)
    });
    let Ok((Some(ErrorCause::Panicked(report)), reason)) = told.wait() else {
        unreachable!("the error is told");
    };
    assert!(
        report
            .location()
            .is_some_and(|it| it.contains("origins.rs:"))
    );
    assert_eq!(reason, ExitReason::Panicked(report));
}
