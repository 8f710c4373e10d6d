//! Risk: work that is not needed any more goes on, or a caller is told something else than what
//! has become of its call.

use insula_rpc::{CallError, Receipt, WINDOW};

use super::Set;
use crate::script::{End, Item, Oops, Step, give};
use crate::seam::Transport;

/// gRPC: `cancel_after_begin`.
pub(crate) async fn a_call_cancelled_before_its_first_item_tells_both_sides<T: Transport>() {
    let set = Set::new::<T>().await;
    let steps = vec![Step::Note("begun"), Step::ReadAll, Step::UntilCancelled];
    let (mut sender, call) = set.caller.absorb(steps).open();
    set.stage.noted("begun").await;
    drop(call);
    assert!(sender.send(Item::light(0)).await.is_err(), "nobody reads");
    set.stage.noted("aborted: the call has ended").await;
    set.stage.noted("call cancelled by its caller").await;
    set.end().await;
}

/// gRPC: `cancel_after_first_response`.
pub(crate) async fn a_stream_dropped_after_its_first_item_tells_both_sides<T: Transport>() {
    let set = Set::new::<T>().await;
    let steps = vec![Step::Arm("gone"), Step::EchoAll, Step::UntilCancelled];
    let (mut sender, call) = set.caller.exchange(vec![], steps).open();
    let mut items = call.await.expect("open");
    assert!(sender.send(Item::light(0)).await.is_ok());
    assert_eq!(
        items
            .next()
            .await
            .expect("no end")
            .expect("no error")
            .number,
        0
    );
    drop(items);
    assert!(sender.send(Item::light(1)).await.is_err(), "nobody reads");
    set.stage.noted("gone").await;
    set.end().await;
}

/// It waits for its reader.
pub(crate) async fn a_dropped_stream_ends_its_handler<T: Transport>() {
    let set = Set::new::<T>().await;
    let mut steps = vec![Step::Arm("gone")];
    steps.extend(give(0..2 * WINDOW as u64));
    let mut items = set.caller.produce(vec![], steps).await.expect("open");
    assert!(matches!(items.next().await, Some(Ok(_))));
    drop(items);
    set.stage.noted("gone").await;
    set.end().await;
}

/// It waits for something else. Its reader has gone and does not read what it would still give, so
/// it has no grace period.
pub(crate) async fn a_stream_whose_reader_has_gone_is_dropped_where_it_waits<T: Transport>() {
    let set = Set::new::<T>().await;
    let steps = vec![
        Step::Arm("gone"),
        Step::Give(Item::light(0)),
        Step::UntilCancelled,
        Step::Note("went on"),
    ];
    let mut items = set.caller.produce(vec![], steps).await.expect("open");
    assert!(matches!(items.next().await, Some(Ok(_))));
    set.stage.noted("waiting").await;
    drop(items);
    set.stage.noted("gone").await;
    assert!(!set.stage.has_noted("went on"));
    set.end().await;
}

/// The stream is there, and the caller has not taken it.
pub(crate) async fn a_call_dropped_with_its_stream_ends_its_handler<T: Transport>() {
    let set = Set::new::<T>().await;
    let mut steps = vec![Step::Arm("gone")];
    steps.extend(give(0..2 * WINDOW as u64));
    let call = set.caller.produce(vec![], steps).start();
    set.stage.made_times(WINDOW as u64).await;
    drop(call);
    set.stage.noted("gone").await;
    set.end().await;
}

pub(crate) async fn a_call_dropped_in_the_queue_never_starts<T: Transport>() {
    let set = Set::new::<T>().await;
    let busy = set.occupy(1).await;
    let gone = set.caller.run(vec![Step::Note("started")]).start();
    let (mut sender, also_gone) = set.caller.absorb(vec![Step::Note("started")]).open();
    drop((gone, also_gone));
    assert_eq!(
        sender
            .send(Item::light(0))
            .await
            .expect_err("gone")
            .consumed,
        0
    );
    set.stage.open(1);
    for call in busy {
        assert!(call.await.is_ok());
    }
    // After them in every queue.
    assert!(set.caller.empty().await.is_ok());
    assert!(!set.stage.has_noted("started"));
    set.end().await;
}

/// Whether it was dropped, has a receipt, or was cut off by its deadline, while it is watched.
pub(crate) async fn a_call_that_leaves_a_full_queue_makes_room<T: Transport>() {
    let set = Set::bounded::<T>(1).await;
    let busy = set.occupy(1).await;
    let call = || set.caller.run(vec![Step::Note("started")]);
    drop(call().try_start().expect("there is room"));
    let queued = call().try_start().expect("a dropped call makes room");
    assert!(call().try_start().is_err(), "it is full");
    let receipt = queued.cancel_and_wait().await;
    assert!(
        matches!(receipt, Receipt::NotStarted(Some(_))),
        "{receipt:?}"
    );
    let short = std::time::Duration::from_millis(1);
    let late = call().deadline(short).try_start();
    let late = late.expect("a cancelled call makes room");
    assert!(late.await.is_err());
    let last = set.caller.empty().try_start();
    let last = last.expect("an expired call makes room");
    set.stage.open(1);
    assert!(last.await.is_ok());
    for call in busy {
        assert!(call.await.is_ok());
    }
    assert!(!set.stage.has_noted("started"));
    set.end().await;
}

pub(crate) async fn a_handler_whose_caller_has_gone_may_end_by_itself<T: Transport>() {
    let set = Set::new::<T>().await;
    let call = set.caller.run(vec![
        Step::Arm("gone"),
        Step::UntilCancelled,
        Step::WaitFor(1),
        Step::Note("done"),
    ]);
    let call = call.start();
    set.stage.noted("waiting").await;
    drop(call);
    set.stage.noted("at 1").await;
    assert!(set.stage.has_noted("call cancelled by its caller"));
    set.stage.open(1);
    set.stage.noted("gone").await;
    assert!(set.stage.has_noted("done"));
    set.end().await;
}

/// In virtual time, since its grace period has to pass.
pub(crate) async fn a_deaf_handler_is_dropped_after_its_grace_period<T: Transport>() {
    let set = Set::new::<T>().await;
    let call = set.caller.run(vec![Step::Arm("gone"), Step::Hang]).start();
    set.stage.noted("hanging").await;
    drop(call);
    set.stage.noted("gone").await;

    let steps = vec![Step::Arm("stream gone"), Step::Hang];
    let items = set.caller.produce(vec![], steps).await.expect("open");
    set.stage.noted_times("hanging", 2).await;
    drop(items);
    set.stage.noted("stream gone").await;
    assert!(set.caller.empty().await.is_ok());
    set.end().await;
}

pub(crate) async fn the_receipt_of_a_cancellation_is_not_started<T: Transport>() {
    let set = Set::new::<T>().await;
    let unsent = set.caller.mirror(vec![1]).cancel_and_wait().await;
    assert!(matches!(unsent, Receipt::NotStarted(Some(bytes)) if bytes == [1]));
    let busy = set.occupy(1).await;
    let queued = set.caller.mirror(vec![2]).start();
    let receipt = queued.cancel_and_wait().await;
    assert!(matches!(receipt, Receipt::NotStarted(Some(bytes)) if bytes == [2]));
    let (mut sender, queued) = set.caller.absorb(vec![Step::Note("started")]).open();
    let receipt = queued.cancel_and_wait().await;
    assert!(
        matches!(receipt, Receipt::NotStarted(Some(_))),
        "{receipt:?}"
    );
    assert!(sender.send(Item::light(0)).await.is_err());
    set.stage.open(1);
    for call in busy {
        assert!(call.await.is_ok());
    }
    assert!(set.caller.empty().await.is_ok());
    assert!(!set.stage.has_noted("started"));
    set.end().await;
}

/// In virtual time, since a deaf handler has a grace period.
pub(crate) async fn the_receipt_of_a_cancellation_is_stopped<T: Transport>() {
    let set = Set::new::<T>().await;
    let call = set.caller.run(vec![Step::Arm("gone"), Step::Hang]).start();
    set.stage.noted("hanging").await;
    let receipt = call.cancel_and_wait().await;
    assert!(matches!(receipt, Receipt::Stopped), "{receipt:?}");
    assert!(
        set.stage.has_noted("gone"),
        "it waits until the handler runs no more"
    );
    set.end().await;
}

pub(crate) async fn the_receipt_of_a_cancellation_is_the_end<T: Transport>() {
    let set = Set::new::<T>().await;
    // It answers in its grace period.
    let call = set.caller.run(vec![Step::UntilCancelled]).start();
    set.stage.noted("waiting").await;
    let receipt = call.cancel_and_wait().await;
    assert!(matches!(receipt, Receipt::Ended(Ok(_))), "{receipt:?}");
    assert!(set.stage.has_noted("call cancelled by its caller"));
    // It fails in its grace period.
    let oops = Oops::new(3, "stopped");
    let call = set
        .caller
        .run(vec![Step::UntilCancelled, Step::Fail(oops.clone())])
        .start();
    set.stage.noted_times("waiting", 2).await;
    let receipt = call.cancel_and_wait().await;
    assert!(matches!(receipt, Receipt::Ended(Err(CallError::App(error))) if error == oops));
    // It has answered before.
    let call = set.caller.run(vec![Step::Arm("answered")]).start();
    set.stage.noted("answered").await;
    assert!(set.caller.empty().await.is_ok());
    let receipt = call.cancel_and_wait().await;
    assert!(matches!(receipt, Receipt::Ended(Ok(_))), "{receipt:?}");
    // Its items end, and the handler decides.
    let (sender, call) = set
        .caller
        .absorb(vec![Step::Note("begun"), Step::ReadAll])
        .open();
    set.stage.noted("begun").await;
    sender.finish();
    let receipt = call.cancel_and_wait().await;
    let Receipt::Ended(Ok(summary)) = receipt else {
        panic!("{receipt:?}")
    };
    assert_eq!(summary.end, Some(End::Finished));
    // A panic is an end too.
    let call = set
        .caller
        .run(vec![Step::UntilCancelled, Step::Panic("late")])
        .start();
    set.stage.noted_times("waiting", 3).await;
    let receipt = call.cancel_and_wait().await;
    assert!(
        matches!(receipt, Receipt::Ended(Err(CallError::Panicked { .. }))),
        "{receipt:?}"
    );
    set.end().await;
}
