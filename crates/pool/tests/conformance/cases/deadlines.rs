//! Risk: a deadline is missed, is enforced twice in different words, or holds only while a caller
//! looks.

use std::time::Duration;

use insula_rpc::{CallError, Outcome, Phase};

use super::Set;
use crate::script::{Item, Step};
use crate::seam::Transport;

const SOON: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(600);

/// gRPC: `timeout_on_sleeping_server`, in all kinds of calls. In virtual time.
pub(crate) async fn a_handler_that_sleeps_exceeds_its_deadline<T: Transport>() {
    let set = Set::new::<T>().await;
    let sleep = || vec![Step::UntilCancelled, Step::Sleep(LATE)];
    let assert_late = |phase, outcome, has_request: bool| {
        assert_eq!((phase, outcome), (Phase::Run, Outcome::MaybeExecuted));
        assert!(!has_request);
    };
    macro_rules! assert_expires {
        ($call:expr) => {
            match $call.await {
                Err(CallError::Deadline {
                    phase,
                    outcome,
                    request,
                }) => assert_late(phase, outcome, request.is_some()),
                other => panic!("{other:?}"),
            }
            // The handler goes on for a while, and keeps its place.
            assert!(set.caller.empty().await.is_ok());
        };
    }
    assert_expires!(set.caller.run(sleep()).deadline(SOON));
    assert_expires!(set.caller.produce(sleep(), vec![]).deadline(SOON));
    let (mut sender, call) = set.caller.absorb(sleep()).deadline(SOON).open();
    assert_expires!(call);
    assert!(sender.send(Item::light(0)).await.is_err(), "nobody reads");
    let (mut sender, call) = set.caller.exchange(sleep(), vec![]).deadline(SOON).open();
    assert_expires!(call);
    assert!(sender.send(Item::light(0)).await.is_err(), "nobody reads");
    let line = "call cancelled by its deadline";
    set.stage.noted_times(line, 4).await;
    set.end().await;
}

/// On threads, where either side may see first that the deadline has passed.
pub(crate) async fn a_deadline_is_a_deadline_whoever_sees_it_first<T: Transport>() {
    let set = Set::new::<T>().await;
    for micros in [0, 1, 50, 200, 1_000, 3_000] {
        // It fails with an error of its own as soon as it knows.
        let steps = vec![
            Step::UntilCancelled,
            Step::Fail(crate::script::Oops::new(1, "told")),
        ];
        let call = set
            .caller
            .run(steps)
            .deadline(Duration::from_micros(micros));
        match call.await {
            Err(CallError::Deadline {
                phase: Phase::Run,
                outcome,
                request,
            }) => {
                assert_eq!(outcome, Outcome::MaybeExecuted);
                assert!(request.is_none());
            }
            Err(CallError::Deadline {
                phase: Phase::Queue,
                outcome,
                request,
            }) => {
                assert_eq!(outcome, Outcome::NotStarted);
                // It is lost if the deadline passes just as it is written for another program.
                assert!(request.is_some() || T::IS_DISTANT);
            }
            other => panic!("{other:?}"),
        }
    }
    set.end().await;
}

/// In virtual time.
pub(crate) async fn a_deadline_that_passes_in_the_queue_gives_the_request_back<T: Transport>() {
    let set = Set::new::<T>().await;
    let busy = set.occupy(1).await;
    let error = set
        .caller
        .mirror(vec![7])
        .deadline(SOON)
        .await
        .expect_err("late");
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
    assert_eq!(error.into_request(), Some(vec![7]));
    let late = set.caller.run(vec![Step::Note("started")]).deadline(SOON);
    let error = late.await.expect_err("late");
    assert!(error.into_request().is_some());
    set.stage.open(1);
    for call in busy {
        assert!(call.await.is_ok());
    }
    assert!(set.caller.empty().await.is_ok());
    assert!(!set.stage.has_noted("started"));
    set.end().await;
}

pub(crate) async fn a_deadline_of_zero_starts_nothing<T: Transport>() {
    let set = Set::new::<T>().await;
    let call = set
        .caller
        .run(vec![Step::Note("started")])
        .deadline(Duration::ZERO);
    let error = call.await.expect_err("late");
    assert_eq!(error.outcome(), Outcome::NotStarted, "{error:?}");
    assert!(error.into_request().is_some());
    assert!(set.caller.empty().await.is_ok());
    assert!(!set.stage.has_noted("started"));
    set.end().await;
}

pub(crate) async fn a_deadline_that_is_met_changes_nothing<T: Transport>() {
    let set = Set::new::<T>().await;
    for deadline in [LONG, Duration::MAX] {
        let call = set.caller.mirror(vec![1]).deadline(deadline);
        assert_eq!(call.await.ok(), Some(vec![1]));
    }
    set.end().await;
}

/// Fault 28. In virtual time: the caller does not poll its call, whose handler is stopped all the
/// same.
pub(crate) async fn a_deadline_that_nobody_polls_stops_the_handler<T: Transport>() {
    let set = Set::new::<T>().await;
    let steps = vec![Step::UntilCancelled, Step::WaitFor(1)];
    let call = set.caller.run(steps).deadline(SOON).start();
    set.stage.noted("call cancelled by its deadline").await;
    set.stage.open(1);
    assert!(set.caller.empty().await.is_ok());
    match call.await {
        Err(CallError::Deadline { phase, outcome, .. }) => {
            assert_eq!((phase, outcome), (Phase::Run, Outcome::MaybeExecuted));
        }
        other => panic!("{other:?}"),
    }
    set.end().await;
}

/// Fault 28. In virtual time.
pub(crate) async fn an_expired_call_that_nobody_polls_is_not_started<T: Transport>() {
    let set = Set::new::<T>().await;
    let busy = set.occupy(1).await;
    let late = set
        .caller
        .run(vec![Step::Note("started")])
        .deadline(SOON)
        .start();
    insula_core::sleep(LATE).await;
    set.stage.open(1);
    for call in busy {
        assert!(call.await.is_ok());
    }
    assert!(set.caller.empty().await.is_ok());
    let error = late.await.expect_err("late");
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
    assert!(error.into_request().is_some());
    assert!(!set.stage.has_noted("started"));
    set.end().await;
}

/// Fault 28. In virtual time: expired calls make room in a full queue.
pub(crate) async fn expired_calls_that_nobody_polls_make_room<T: Transport>() {
    let set = Set::bounded::<T>(3).await;
    let busy = set.occupy(1).await;
    let call = || set.caller.run(vec![Step::Note("started")]).deadline(SOON);
    let expired = [(); 3].map(|()| call().try_start().expect("there is room"));
    assert!(call().try_start().is_err(), "it is full");
    insula_core::sleep(LATE).await;
    let next = set
        .caller
        .mirror(vec![1])
        .try_start()
        .expect("there is room again");
    set.stage.open(1);
    assert_eq!(next.await.ok(), Some(vec![1]));
    for call in expired {
        let error = call.await.expect_err("late");
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
    }
    for call in busy {
        assert!(call.await.is_ok());
    }
    assert!(!set.stage.has_noted("started"));
    set.end().await;
}

/// In virtual time.
pub(crate) async fn a_deadline_does_not_limit_a_stream_that_is_open<T: Transport>() {
    let set = Set::new::<T>().await;
    let give = |number| Step::Give(Item::light(number));
    let steps = vec![
        give(0),
        Step::Sleep(LATE),
        give(1),
        Step::Sleep(LATE),
        give(2),
    ];
    let call = set.caller.produce(vec![], steps).deadline(SOON);
    let mut items = call.await.expect("open in time");
    for number in 0..3 {
        let item = items.next().await.expect("no end").expect("no error");
        assert_eq!(item.number, number);
    }
    assert!(items.next().await.is_none());
    drop(items);
    set.end().await;
}
