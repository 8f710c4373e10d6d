//! Risk: a slow reader fills the memory, a slow writer stalls, or two sides wait for each other.

use insula_rpc::{TrySendError, WINDOW, WINDOW_BYTES};

use super::Set;
use crate::script::{Item, Step, give};
use crate::seam::Transport;

const WINDOW_ITEMS: u64 = WINDOW as u64;
const MIB: u64 = 1 << 20;

fn heavy(number: u64, weight: u64) -> Step {
    Step::Give(Item { number, weight })
}

pub(crate) async fn a_handler_is_never_ahead_by_more_than_a_window<T: Transport>() {
    let set = Set::new::<T>().await;
    let many = 10 * WINDOW_ITEMS;
    let mut items = set
        .caller
        .produce(vec![], give(0..many))
        .await
        .expect("open");
    // The caller does not read: the handler makes one window and no more.
    set.stage.made_times(WINDOW_ITEMS).await;
    for number in 0..many {
        set.stage.ask();
        let item = items.next().await.expect("no end").expect("no error");
        assert_eq!(item.number, number);
    }
    assert!(items.next().await.is_none());
    assert_eq!(set.stage.lead(), WINDOW_ITEMS);
    drop(items);
    set.end().await;
}

pub(crate) async fn a_handler_is_never_ahead_by_more_than_a_window_of_bytes<T: Transport>() {
    for (weight, most) in [
        (MIB, WINDOW_BYTES / MIB),
        // The last one begins below the limit and ends beyond.
        (3 * MIB, 2),
        // Larger than a window: one at a time.
        (2 * WINDOW_BYTES, 1),
        (u64::MAX, 1),
    ] {
        let set = Set::new::<T>().await;
        let steps = (0..30).map(|number| heavy(number, weight)).collect();
        let mut items = set.caller.produce(vec![], steps).await.expect("open");
        set.stage.made_times(most).await;
        for number in 0..30 {
            set.stage.ask();
            let item = items.next().await.expect("no end").expect("no error");
            assert_eq!(item.number, number);
        }
        assert!(items.next().await.is_none());
        assert_eq!(set.stage.lead(), most, "{weight} bytes each");
        drop(items);
        set.end().await;
    }
}

pub(crate) async fn a_sender_is_never_ahead_by_more_than_a_window<T: Transport>() {
    for (weight, most) in [
        (16, WINDOW_ITEMS),
        (MIB, WINDOW_BYTES / MIB),
        (3 * MIB, 2),
        (2 * WINDOW_BYTES, 1),
        (u64::MAX, 1),
    ] {
        let set = Set::new::<T>().await;
        let (mut sender, call) = set
            .caller
            .absorb(vec![Step::WaitFor(1), Step::ReadAll])
            .open();
        set.stage.noted("at 1").await;
        let mut sent = 0;
        let refused = loop {
            match sender.try_send(Item {
                number: sent,
                weight,
            }) {
                Ok(()) => sent += 1,
                Err(TrySendError::Full(item)) => break item.number,
                Err(closed) => panic!("{closed}"),
            }
            set.stage.make();
        };
        assert_eq!(
            (sent, refused, sender.consumed()),
            (most, most, 0),
            "{weight} bytes each"
        );
        // It reads now, and asks before it reads.
        set.stage.open(1);
        for number in sent..40 {
            let permit = sender.reserve().await.expect("it reads");
            set.stage.make();
            assert!(permit.send(Item { number, weight }).is_ok());
        }
        sender.finish();
        assert_eq!(
            call.await.expect("answered").numbers,
            (0..40).collect::<Vec<_>>()
        );
        assert!(set.stage.lead() <= most, "{} ahead", set.stage.lead());
        set.end().await;
    }
}

/// A permit that is not used gives its credit to the next item.
pub(crate) async fn a_permit_that_is_dropped_costs_nothing<T: Transport>() {
    let set = Set::new::<T>().await;
    let (mut sender, call) = set
        .caller
        .absorb(vec![Step::WaitFor(1), Step::ReadAll])
        .open();
    for number in 0..WINDOW_ITEMS {
        for _ in 0..3 {
            assert!(sender.reserve().await.is_ok());
        }
        assert!(sender.try_send(Item::light(number)).is_ok(), "{number}");
    }
    assert!(matches!(
        sender.try_send(Item::light(99)),
        Err(TrySendError::Full(_))
    ));
    set.stage.open(1);
    sender.finish();
    assert_eq!(call.await.expect("answered").numbers.len(), WINDOW);
    set.end().await;
}

/// Credits come back in batches, and a reader that waits gives all of them back.
pub(crate) async fn a_reader_in_step_with_its_writer_never_stalls<T: Transport>() {
    let set = Set::new::<T>().await;
    let (mut sender, call) = set.caller.exchange(vec![], vec![Step::EchoAll]).open();
    let mut items = call.await.expect("open");
    // Bursts of every length up to a window, read to the last item.
    for burst in 1..=WINDOW_ITEMS {
        for number in 0..burst {
            let weight = if burst % 3 == 0 { WINDOW_BYTES / 2 } else { 16 };
            // Sent and echoed in turn where the window is of two items only.
            assert!(sender.send(Item { number, weight }).await.is_ok());
            if burst % 3 == 0 {
                let item = items.next().await.expect("no end").expect("no error");
                assert_eq!(item.number, number);
            }
        }
        if burst % 3 != 0 {
            for number in 0..burst {
                let item = items.next().await.expect("no end").expect("no error");
                assert_eq!(item.number, number);
            }
        }
    }
    sender.finish();
    assert!(items.next().await.is_none());
    drop(items);
    set.end().await;
}
