//! Risk: a call that is made for another one outlives it, or forgets what it belongs to.

use std::time::Duration;

use insula_rpc::TraceContext;

use super::Set;
use crate::script::Step;
use crate::seam::Transport;

const SOON: Duration = Duration::from_millis(20);
const LONG: Duration = Duration::from_secs(600);

pub(crate) async fn a_nested_call_takes_over_trace_and_deadline<T: Transport>() {
    let (set, next) = Set::pair::<T>().await;
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace: TraceContext = text.parse().expect("a trace");
    let seen = set
        .caller
        .inspect_next(None)
        .trace(trace)
        .deadline(LONG)
        .await;
    let seen = seen.expect("answered");
    assert_eq!(seen.trace, Some(trace));
    let remaining = seen.remaining.expect("a deadline");
    assert!(remaining <= LONG && remaining > Duration::ZERO);
    // The earlier one of both counts.
    let seen = set.caller.inspect_next(Some(LONG / 2)).deadline(LONG).await;
    assert!(seen.expect("answered").remaining.expect("a deadline") <= LONG / 2);
    let seen = set.caller.inspect_next(Some(LONG)).deadline(LONG / 2).await;
    assert!(seen.expect("answered").remaining.expect("a deadline") <= LONG / 2);
    let seen = set.caller.inspect_next(None).await.expect("answered");
    assert_eq!((seen.trace, seen.remaining), (None, None));
    set.end().await;
    next.end().await;
}

pub(crate) async fn a_nested_call_ends_with_its_caller<T: Transport>() {
    let (set, next) = Set::pair::<T>().await;
    let call = set
        .caller
        .run_next(vec![Step::Arm("gone"), Step::UntilCancelled])
        .start();
    set.stage.noted("waiting").await;
    drop(call);
    set.stage.noted("call cancelled by its caller").await;
    set.stage.noted("gone").await;
    // The handler in between is told too.
    let line = "next: Cancelled { by: Caller, outcome: MaybeExecuted, has_request: false }";
    set.stage.noted(line).await;
    set.end().await;
    next.end().await;
}

pub(crate) async fn a_nested_call_in_a_queue_ends_with_its_caller<T: Transport>() {
    let (set, next) = Set::pair::<T>().await;
    let busy = next.occupy(1).await;
    let call = set.caller.run_next(vec![Step::Note("started")]);
    // It says when it has come to its end, and is asked to before.
    let receipt = call.start().cancel_and_wait();
    drop(receipt.await);
    next.stage.open(1);
    for call in busy {
        assert!(call.await.is_ok());
    }
    assert!(next.caller.empty().await.is_ok());
    assert!(!set.stage.has_noted("started"));
    set.end().await;
    next.end().await;
}

/// In virtual time.
pub(crate) async fn a_nested_call_ends_with_the_deadline_of_its_caller<T: Transport>() {
    let (set, next) = Set::pair::<T>().await;
    let call = set
        .caller
        .run_next(vec![Step::UntilCancelled])
        .deadline(SOON)
        .start();
    set.stage.noted("call cancelled by its deadline").await;
    let line = "next: Deadline { phase: Run, outcome: MaybeExecuted, has_request: false }";
    set.stage.noted(line).await;
    assert!(call.await.is_err());
    set.end().await;
    next.end().await;
}

/// The answer of a call belongs to it, though the call around it ends at once.
pub(crate) async fn a_nested_answer_passes_through<T: Transport>() {
    let (set, next) = Set::pair::<T>().await;
    for _ in 0..20 {
        let summary = set.caller.run_next(vec![]).await.expect("answered");
        assert!(summary.numbers.is_empty());
    }
    set.end().await;
    next.end().await;
}
