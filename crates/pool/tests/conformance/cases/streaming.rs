//! Risk: an item is lost or comes twice, an end that broke looks like a clean one, or one side
//! waits for another that has gone.

use futures_util::stream;
use insula_core::yield_now;
use insula_rpc::{CallError, Outcome, TrySendError, WINDOW};

use super::Set;
use crate::script::{End, Item, Oops, Step, give};
use crate::seam::Transport;

/// More than one window in each direction.
const MANY: u64 = 3 * WINDOW as u64 + 5;

/// gRPC: `client_streaming`.
pub(crate) async fn the_items_of_a_caller_arrive_in_order<T: Transport>() {
    let set = Set::new::<T>().await;
    let (mut sender, call) = set.caller.absorb(vec![Step::ReadAll]).open();
    for number in 0..MANY {
        assert!(sender.send(Item::light(number)).await.is_ok());
    }
    sender.finish();
    let summary = call.await.expect("answered");
    assert_eq!(summary.numbers, (0..MANY).collect::<Vec<_>>());
    assert_eq!(summary.end, Some(End::Finished));
    set.end().await;
}

/// gRPC: `server_streaming`.
pub(crate) async fn the_items_of_a_handler_arrive_in_order<T: Transport>() {
    let set = Set::new::<T>().await;
    let mut items = set
        .caller
        .produce(vec![], give(0..MANY))
        .await
        .expect("open");
    for number in 0..MANY {
        let item = items.next().await.expect("no end").expect("no error");
        assert_eq!(item.number, number);
    }
    assert!(items.next().await.is_none());
    assert!(items.next().await.is_none(), "it stays over");
    drop(items);
    set.end().await;
}

/// gRPC: `ping_pong`.
pub(crate) async fn each_item_can_wait_for_the_answer_to_the_one_before<T: Transport>() {
    let set = Set::new::<T>().await;
    let (mut sender, call) = set.caller.exchange(vec![], vec![Step::EchoAll]).open();
    let mut items = call.await.expect("open");
    for number in 0..MANY {
        assert!(sender.send(Item::light(number)).await.is_ok());
        let item = items.next().await.expect("no end").expect("no error");
        assert_eq!(item.number, number);
    }
    sender.finish();
    assert!(items.next().await.is_none());
    drop(items);
    set.end().await;
}

/// gRPC: `empty_stream`.
pub(crate) async fn a_stream_may_be_empty_in_both_directions<T: Transport>() {
    let set = Set::new::<T>().await;
    let (sender, call) = set.caller.exchange(vec![], vec![Step::EchoAll]).open();
    sender.finish();
    let mut items = call.await.expect("open");
    assert!(items.next().await.is_none());
    drop(items);
    let summary = set
        .caller
        .absorb(vec![Step::ReadAll])
        .send_all(stream::empty())
        .await;
    assert_eq!(summary.expect("answered").end, Some(End::Finished));
    let mut items = set.caller.produce(vec![], vec![]).await.expect("open");
    assert!(items.next().await.is_none());
    drop(items);
    set.end().await;
}

pub(crate) async fn an_end_of_the_callers_items_comes_before_the_answer<T: Transport>() {
    let set = Set::new::<T>().await;
    let steps = vec![Step::ReadAll, Step::WaitFor(1)];
    let (mut sender, call) = set.caller.absorb(steps).open();
    assert!(sender.send(Item::light(0)).await.is_ok());
    sender.finish();
    // The handler has seen the end and has not answered.
    set.stage.noted("at 1").await;
    assert!(set.stage.has_noted("finished"));
    set.stage.open(1);
    assert_eq!(call.await.expect("answered").numbers, [0]);

    let steps = vec![Step::ReadAll, Step::WaitFor(2), Step::Give(Item::light(7))];
    let (sender, call) = set.caller.exchange(vec![], steps).open();
    sender.finish();
    let mut items = call.await.expect("open");
    set.stage.noted("at 2").await;
    set.stage.open(2);
    let item = items.next().await.expect("no end").expect("no error");
    assert_eq!(item.number, 7);
    assert!(items.next().await.is_none());
    drop(items);
    set.end().await;
}

pub(crate) async fn an_early_answer_tells_how_many_items_were_consumed<T: Transport>() {
    let set = Set::new::<T>().await;
    let window = WINDOW as u64;
    for read in [0, 1, window / 2, window / 2 + 1, window, window + 1, MANY] {
        let (mut sender, call) = set.caller.absorb(vec![Step::Read(read)]).open();
        for number in 0..read {
            assert!(
                sender.send(Item::light(number)).await.is_ok(),
                "{number} of {read}"
            );
        }
        // One more, which the handler does not read. It may have answered already.
        let _more = sender.send(Item::light(read)).await;
        let summary = call.await.expect("answered");
        assert_eq!(summary.numbers, (0..read).collect::<Vec<_>>());
        assert_eq!(summary.end, None);
        let not_sent = sender
            .send(Item::light(99))
            .await
            .expect_err("nobody reads");
        assert_eq!((not_sent.item.number, not_sent.consumed), (99, read));
        assert_eq!(sender.consumed(), read);
        match sender.try_send(Item::light(98)) {
            Err(TrySendError::Closed(not_sent)) => assert_eq!(not_sent.item.number, 98),
            other => panic!("{other:?}"),
        }
        assert_eq!(
            sender.reserve().await.expect_err("nobody reads").consumed,
            read
        );
    }
    set.end().await;
}

/// The sender waits for credit when the answer comes.
pub(crate) async fn an_early_answer_wakes_a_sender_that_waits<T: Transport>() {
    let set = Set::new::<T>().await;
    let (mut sender, call) = set.caller.absorb(vec![Step::WaitFor(1)]).open();
    let sending = async {
        for number in 0.. {
            if let Err(not_sent) = sender.send(Item::light(number)).await {
                return (number, not_sent.consumed);
            }
            if number + 1 == WINDOW as u64 {
                set.stage.open(1);
            }
        }
        unreachable!("the handler reads nothing")
    };
    let (sent, answer) = futures_util::future::join(sending, call).await;
    assert!(answer.is_ok());
    assert_eq!(sent, (WINDOW as u64, 0));
    set.end().await;
}

/// The convenience must not wait for items that the handler does not read, nor lose an answer to
/// them.
pub(crate) async fn an_endless_stream_of_items_ends_with_the_answer<T: Transport>() {
    let set = Set::new::<T>().await;
    let endless = stream::iter((0..).map(Item::light));
    let summary = set
        .caller
        .absorb(vec![Step::Read(MANY)])
        .send_all(endless)
        .await;
    assert_eq!(
        summary.expect("answered").numbers,
        (0..MANY).collect::<Vec<_>>()
    );
    let pending = stream::pending();
    let summary = set
        .caller
        .absorb(vec![Step::Read(0)])
        .send_all(pending)
        .await;
    assert!(summary.is_ok());
    set.end().await;
}

pub(crate) async fn a_broken_stream_of_the_caller_never_looks_complete<T: Transport>() {
    let set = Set::new::<T>().await;
    let open = || set.caller.absorb(vec![Step::ReadAll]).open();
    let ends = ["finish", "abort", "drop"];
    for (how, expected) in ends.into_iter().zip([
        End::Finished,
        End::Aborted("the disk is full".to_owned()),
        End::Aborted("the sender was dropped".to_owned()),
    ]) {
        for items in [0, 3] {
            let (mut sender, call) = open();
            for number in 0..items {
                assert!(sender.send(Item::light(number)).await.is_ok());
            }
            match how {
                "finish" => sender.finish(),
                "abort" => sender.abort("the disk is full"),
                _ => drop(sender),
            }
            let summary = call.await.expect("the handler decides");
            assert_eq!(summary.end.as_ref(), Some(&expected));
            assert_eq!(summary.numbers, (0..items).collect::<Vec<_>>(), "{how}");
        }
    }
    set.end().await;
}

/// The handler ends the call while its caller still sends.
pub(crate) async fn a_reset_by_the_handler_stops_the_sender<T: Transport>() {
    let set = Set::new::<T>().await;
    let oops = Oops::new(9, "enough");
    let (mut sender, call) = set
        .caller
        .absorb(vec![Step::Read(2), Step::Fail(oops.clone())])
        .open();
    let mut consumed = None;
    for number in 0..=WINDOW as u64 + 2 {
        if let Err(not_sent) = sender.send(Item::light(number)).await {
            consumed = Some(not_sent.consumed);
            break;
        }
    }
    assert_eq!(consumed, Some(2), "it must run out of credit at the latest");
    assert_eq!(
        call.await.expect_err("reset").into_app(),
        Some(oops.clone())
    );

    let steps = vec![Step::Echo, Step::Fail(oops.clone())];
    let (mut sender, call) = set.caller.exchange(vec![], steps).open();
    let mut items = call.await.expect("open");
    assert!(sender.send(Item::light(1)).await.is_ok());
    assert_eq!(
        items
            .next()
            .await
            .expect("no end")
            .expect("no error")
            .number,
        1
    );
    let error = items
        .next()
        .await
        .expect("no clean end")
        .expect_err("reset");
    assert_eq!(error.into_app(), Some(oops));
    let not_sent = sender.send(Item::light(2)).await.expect_err("nobody reads");
    assert_eq!(not_sent.consumed, 1);
    drop(items);
    set.end().await;
}

/// The handler goes on without reading.
pub(crate) async fn a_handler_that_stops_reading_tells_the_sender<T: Transport>() {
    let set = Set::new::<T>().await;
    let steps = vec![Step::Read(1), Step::StopReading, Step::WaitFor(1)];
    let (mut sender, call) = set.caller.absorb(steps).open();
    assert!(sender.send(Item::light(0)).await.is_ok());
    set.stage.noted("at 1").await;
    let not_sent = loop {
        match sender.send(Item::light(1)).await {
            Ok(()) if T::IS_DISTANT => yield_now().await,
            sent => break sent.expect_err("nobody reads"),
        }
    };
    assert_eq!(not_sent.consumed, 1);
    set.stage.open(1);
    assert_eq!(call.await.expect("answered").numbers, [0]);
    set.end().await;
}

/// Each item's reader waits when it comes.
pub(crate) async fn a_slow_writer_holds_no_item_back<T: Transport>() {
    let set = Set::new::<T>().await;
    let steps = (0..40).flat_map(|n| [Step::WaitFor(n), Step::Give(Item::light(n))]);
    let mut items = set
        .caller
        .produce(vec![], steps.collect())
        .await
        .expect("open");
    for number in 0..40 {
        set.stage.open(number);
        let item = items.next().await.expect("no end").expect("no error");
        assert_eq!(item.number, number);
    }
    assert!(items.next().await.is_none());
    drop(items);

    let lines = ["r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7"];
    let steps = lines
        .iter()
        .flat_map(|line| [Step::Read(1), Step::Note(line)]);
    let (mut sender, call) = set.caller.absorb(steps.collect()).open();
    for (number, line) in (0..).zip(lines) {
        assert!(sender.send(Item::light(number)).await.is_ok());
        set.stage.noted(line).await;
    }
    sender.finish();
    assert!(call.await.is_ok());
    set.end().await;
}

/// The end of a stream is no cancellation, however its reader drops it afterwards.
pub(crate) async fn a_stream_dropped_after_its_last_item_is_not_reported_as_broken<T: Transport>() {
    let set = Set::new::<T>().await;
    let steps = vec![Step::Give(Item::light(0)), Step::Arm("over")];
    let mut items = set.caller.produce(vec![], steps).await.expect("open");
    assert!(matches!(items.next().await, Some(Ok(_))));
    set.stage.noted("over").await;
    assert!(items.next().await.is_none());
    drop(items);
    set.end().await;
}

/// A call that is refused gives its request back, and the sender is told.
pub(crate) async fn a_refused_call_stops_its_sender<T: Transport>() {
    let set = Set::bounded::<T>(1).await;
    let busy = set.occupy(1).await;
    let queued = set.caller.empty().start();
    let (mut sender, call) = set.caller.absorb(vec![Step::ReadAll]).no_wait().open();
    let error = call.await.expect_err("it is full");
    assert!(matches!(error, CallError::Rejected { .. }), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotStarted);
    let not_sent = sender.send(Item::light(1)).await.expect_err("nobody reads");
    assert_eq!(not_sent.consumed, 0);
    drop(error);
    set.stage.open(1);
    assert!(queued.await.is_ok());
    for call in busy {
        assert!(call.await.is_ok());
    }
    set.end().await;
}
