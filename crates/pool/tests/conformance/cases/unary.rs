//! Risk: a request or an answer is lost, changed or mixed up with another one.

use std::sync::Arc;

use futures_util::future::{join, join_all};
use futures_util::stream;
use insula_rpc::{CallError, Metadata, Outcome, TraceContext};
use insula_sync::atomic::{AtomicU64, Ordering};

use super::Set;
use crate::script::{Item, Oops, Step, give};
use crate::seam::Transport;

const MIB: usize = 1 << 20;

/// gRPC: `empty_unary`.
pub(crate) async fn an_empty_request_gets_its_answer<T: Transport>() {
    let set = Set::new::<T>().await;
    assert_eq!(set.caller.empty().await.ok(), Some(()));
    set.end().await;
}

/// gRPC: `large_unary`.
pub(crate) async fn a_large_message_moves_both_ways_and_is_never_copied<T: Transport>() {
    let set = Set::new::<T>().await;
    let bytes = vec![7; 8 * MIB];
    let address = bytes.as_ptr().addr();
    let detailed = set.caller.mirror(bytes).detailed().await.expect("answered");
    assert_eq!(
        detailed.value.as_ptr().addr(),
        address,
        "the very same bytes"
    );
    assert_eq!(detailed.traffic.bytes_moved, 2 * (8 * MIB + 24) as u64);
    assert_eq!(detailed.traffic.bytes_copied, 0);
    set.end().await;
}

/// gRPC: `large_unary`, over a wire.
pub(crate) async fn a_large_message_is_copied_once_in_each_direction<T: Transport>() {
    let set = Set::new::<T>().await;
    let bytes = vec![7; 8 * MIB];
    let detailed = set.caller.mirror(bytes).detailed().await.expect("answered");
    assert_eq!(detailed.value, vec![7; 8 * MIB]);
    let copied = detailed.traffic.bytes_copied;
    let least = 2 * 8 * MIB as u64;
    assert!(
        (least..least + 100).contains(&copied),
        "{copied} bytes were copied"
    );
    set.end().await;
}

/// gRPC: `custom_metadata`. In all kinds of calls.
pub(crate) async fn what_is_sent_along_arrives_and_comes_back<T: Transport>() {
    let set = Set::new::<T>().await;
    let mut metadata = Metadata::new();
    for (key, value) in [("echo", "back"), ("tenant", "a")] {
        metadata.insert(key, value).expect("a valid entry");
    }
    let bytes = [0, 255, 10];
    metadata.insert_bytes("token-bin", bytes).expect("bytes");
    let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let trace: TraceContext = text.parse().expect("a trace");

    let call = set.caller.inspect().metadata(metadata.clone()).trace(trace);
    let detailed = call.attempt(2).idempotency_key("k").detailed().await;
    let detailed = detailed.expect("answered");
    let seen = detailed.value;
    assert_eq!(seen.metadata, metadata);
    assert_eq!(seen.metadata.get_bytes("token-bin"), Some(&bytes[..]));
    assert_eq!(
        (seen.trace, seen.attempt, seen.key.as_deref()),
        (Some(trace), 2, Some("k"))
    );
    assert_eq!(detailed.trailing.get("echo"), Some("back"));

    let plain = set.caller.inspect().detailed().await.expect("answered");
    assert!(
        plain.trailing.is_empty() && plain.value.metadata.is_empty(),
        "of another call"
    );

    let produced = set
        .caller
        .produce(vec![], vec![])
        .metadata(metadata.clone());
    let produced = produced.detailed().await.expect("open");
    assert_eq!(produced.trailing.get("echo"), Some("back"));
    let absorbed = set
        .caller
        .absorb(vec![Step::ReadAll])
        .metadata(metadata.clone());
    let (sender, absorbed) = absorbed.open();
    sender.finish();
    let absorbed = absorbed.detailed().await.expect("answered");
    assert_eq!(absorbed.trailing.get("echo"), Some("back"));
    drop(produced);
    let exchanged = set.caller.exchange(vec![], vec![]).metadata(metadata);
    let (_sender, exchanged) = exchanged.open();
    let exchanged = exchanged.detailed().await.expect("open");
    assert_eq!(exchanged.trailing.get("echo"), Some("back"));
    drop(exchanged);
    set.end().await;
}

/// gRPC: `status_code_and_message` and `special_status_message`. In all kinds of calls, and in the
/// middle of streams.
pub(crate) async fn the_error_of_a_handler_keeps_its_code_and_its_text<T: Transport>() {
    let set = Set::new::<T>().await;
    for oops in [
        Oops::new(2, "test status message"),
        Oops::new(
            7,
            "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n",
        ),
        Oops::new(u32::MAX, ""),
    ] {
        let fail = || vec![Step::Fail(oops.clone())];
        let error = set.caller.run(fail()).await.expect_err("it fails");
        assert_eq!(error.outcome(), Outcome::Executed);
        assert_eq!(error.to_string(), oops.to_string());
        assert_eq!(error.into_app().as_ref(), Some(&oops));

        let error = set
            .caller
            .produce(fail(), vec![])
            .await
            .expect_err("it fails");
        assert_eq!(error.into_app().as_ref(), Some(&oops));

        let mut steps = give(0..2);
        steps.extend(fail());
        let mut items = set
            .caller
            .produce(vec![], steps.clone())
            .await
            .expect("open");
        for number in 0..2 {
            let item = items.next().await.expect("no end").expect("no error");
            assert_eq!(item.number, number);
        }
        let error = items.next().await.expect("no end").expect_err("it fails");
        assert_eq!(error.into_app().as_ref(), Some(&oops));
        assert!(items.next().await.is_none(), "an error is the last thing");

        let (sender, call) = set.caller.absorb(fail()).open();
        let error = call.await.expect_err("it fails");
        assert_eq!(error.into_app().as_ref(), Some(&oops));
        drop(sender);

        let (sender, call) = set.caller.exchange(vec![], steps).open();
        let mut items = call.await.expect("open");
        let mut seen = Vec::new();
        while let Some(item) = items.next().await {
            seen.push(item.map(|item| item.number).map_err(CallError::into_app));
        }
        assert_eq!(seen, [Ok(0), Ok(1), Err(Some(oops.clone()))]);
        drop((sender, items));
    }
    set.end().await;
}

/// In all kinds of calls.
pub(crate) async fn a_panic_fails_its_own_call_only<T: Transport>() {
    let set = Set::new::<T>().await;
    let told = |error: CallError<Oops>| match error {
        CallError::Panicked {
            message,
            location: Some(location),
        } => {
            assert!(location.contains("script.rs:"), "{location}");
            message
        }
        other => panic!("{other:?}"),
    };
    let panic = |text| vec![Step::Panic(text)];
    let error = set.caller.run(panic("one")).await.expect_err("a panic");
    assert_eq!(error.outcome(), Outcome::MaybeExecuted);
    assert_eq!(told(error.without_request()), "one");
    let error = set
        .caller
        .produce(panic("two"), vec![])
        .await
        .expect_err("a panic");
    assert_eq!(told(error.without_request()), "two");
    let mut items = set
        .caller
        .produce(vec![], panic("three"))
        .await
        .expect("open");
    let error = items
        .next()
        .await
        .expect("no clean end")
        .expect_err("a panic");
    assert_eq!(told(error), "three");
    assert!(items.next().await.is_none());
    let (_sender, call) = set.caller.absorb(panic("four")).open();
    assert_eq!(
        told(call.await.expect_err("a panic").without_request()),
        "four"
    );
    let (_sender, call) = set.caller.exchange(vec![], panic("five")).open();
    let mut items = call.await.expect("open");
    let error = items
        .next()
        .await
        .expect("no clean end")
        .expect_err("a panic");
    assert_eq!(told(error), "five");
    assert_eq!(
        set.caller.empty().await.ok(),
        Some(()),
        "the service goes on"
    );
    drop(items);
    set.end().await;
}

/// Many calls of all kinds, with one caller and at once.
pub(crate) async fn every_one_of_many_calls_gets_its_own_answer<T: Transport>() {
    let set = Set::new::<T>().await;
    let caller = &set.caller;
    let runs = (0..200_u8).map(|n| async move {
        let bytes = caller.mirror(vec![n]).await.expect("answered");
        assert_eq!(bytes, [n]);
    });
    let streams = (0..20).map(|n| async move {
        let mut items = caller.produce(vec![], give(n..n + 50)).await.expect("open");
        for number in n..n + 50 {
            let item = items.next().await.expect("no end").expect("no error");
            assert_eq!(item.number, number);
        }
        assert!(items.next().await.is_none());
    });
    let sums = (0..20).map(|n| async move {
        let items = stream::iter((n..n + 50).map(Item::light));
        let summary = caller.absorb(vec![Step::ReadAll]).send_all(items).await;
        let numbers = summary.expect("answered").numbers;
        assert_eq!(numbers, (n..n + 50).collect::<Vec<_>>());
    });
    join(join_all(runs), join(join_all(streams), join_all(sums))).await;
    set.end().await;
}

/// One place, so that the next call cannot overtake.
pub(crate) async fn calls_start_in_the_order_of_their_submission<T: Transport>() {
    let set = Set::new::<T>().await;
    let busy = set.occupy(0).await;
    let lines = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let calls: Vec<_> = lines
        .iter()
        .map(|line| set.caller.run(vec![Step::Note(line)]).start())
        .collect();
    set.stage.open(0);
    for call in busy.into_iter().chain(calls) {
        assert!(call.await.is_ok());
    }
    let mut notes = set.stage.notes();
    notes.retain(|note| lines.contains(&&**note));
    if set.places == 1 {
        assert_eq!(notes, lines);
    } else {
        // They start in order, and what they do then is not ordered.
        notes.sort_unstable();
        assert_eq!(notes, lines);
    }
    set.end().await;
}

/// A report is made after each gate, and its caller sees it before the next gate opens.
pub(crate) async fn progress_is_seen_while_the_handler_runs<T: Transport>() {
    const STEPS: u64 = 5;
    let set = Set::new::<T>().await;
    let stage = set.stage.clone();
    let mut seen = Vec::new();
    let look = move |progress: insula_rpc::Progress| {
        assert_eq!(progress.total, Some(STEPS));
        assert_eq!(progress.message, Some(format!("step {}", progress.done)));
        seen.push(progress.done);
        assert_eq!(seen, (0..seen.len() as u64).collect::<Vec<_>>());
        // The handler waits for this one to be seen.
        stage.open(seen.len() as u64);
    };
    let call = set.caller.progress(STEPS).on_progress(look).start();
    set.stage.open(0);
    assert_eq!(call.await.ok(), Some(()));
    set.end().await;
}

/// The handler has come to its end by the time at which its caller looks.
pub(crate) async fn the_last_report_comes_with_the_answer<T: Transport>() {
    let set = Set::new::<T>().await;
    for round in 0..10 {
        let last = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&last);
        let look = move |progress: insula_rpc::Progress| {
            seen.store(progress.done, Ordering::Relaxed);
        };
        (0..=3).for_each(|step| set.stage.open(step));
        let call = set.caller.progress(3).on_progress(look).start();
        assert_eq!(call.await.ok(), Some(()));
        assert_eq!(last.load(Ordering::Relaxed), 2, "{round}");
    }
    set.end().await;
}

/// Its caller does not wait for the answer.
pub(crate) async fn a_detached_call_runs_to_its_end<T: Transport>() {
    let set = Set::new::<T>().await;
    let steps = vec![Step::WaitFor(1), Step::Note("done")];
    assert!(set.caller.run(steps).detach().is_ok());
    set.stage.noted("at 1").await;
    set.stage.open(1);
    set.stage.noted("done").await;
    set.end().await;
}

pub(crate) async fn a_full_queue_gives_the_request_back_at_once<T: Transport>() {
    let set = Set::bounded::<T>(1).await;
    let busy = set.occupy(1).await;
    let queued = set
        .caller
        .mirror(vec![1])
        .try_start()
        .expect("there is room");
    let error = set
        .caller
        .mirror(vec![2])
        .try_start()
        .expect_err("it is full");
    assert_eq!(error.outcome(), Outcome::NotStarted);
    assert_eq!(error.into_request(), Some(vec![2]));
    let error = set.caller.mirror(vec![3]).detach().expect_err("it is full");
    assert_eq!(error.into_request(), Some(vec![3]));
    let error = set
        .caller
        .mirror(vec![4])
        .no_wait()
        .await
        .expect_err("it is full");
    assert_eq!(error.into_request(), Some(vec![4]));
    set.stage.open(1);
    assert_eq!(queued.await.ok(), Some(vec![1]));
    for call in busy {
        assert!(call.await.is_ok());
    }
    let again = set
        .caller
        .mirror(vec![5])
        .try_start()
        .expect("there is room again");
    assert_eq!(again.await.ok(), Some(vec![5]));
    set.end().await;
}

/// A call is a value: stored, moved and awaited anywhere, and made only when it is awaited.
pub(crate) async fn a_call_that_is_not_awaited_is_not_made<T: Transport>() {
    let set = Set::new::<T>().await;
    drop(set.caller.run(vec![Step::Note("made")]));
    let later = set.caller.run(vec![Step::Note("later")]);
    assert_eq!(set.caller.empty().await.ok(), Some(()));
    assert!(set.stage.notes().is_empty());
    let boxed: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(later);
    assert!(boxed.await.is_ok());
    assert_eq!(set.stage.notes(), ["later"]);
    set.end().await;
}
