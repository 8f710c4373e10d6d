//! Risk: streams that wait for their readers stop a service. A service with `&self` lends
//! their places to other calls.

use insula_rpc::WINDOW;

use super::Set;
use crate::script::{Item, Step, give};
use crate::seam::Transport;

const WINDOW_ITEMS: u64 = WINDOW as u64;

/// Fault 25: `while let Some(item) = stream.next().await { caller.call(item).await }`.
pub(crate) async fn a_reader_may_call_the_same_service_between_items<T: Transport>() {
    let set = Set::new::<T>().await;
    let many = 5 * WINDOW_ITEMS;
    let mut items = set
        .caller
        .produce(vec![], give(0..many))
        .await
        .expect("open");
    for number in 0..many {
        let item = items.next().await.expect("no end").expect("no error");
        assert_eq!(item.number, number);
        assert_eq!(set.caller.empty().await.ok(), Some(()));
    }
    assert!(items.next().await.is_none());
    drop(items);
    set.end().await;
}

/// Fault 25, and what is around it: as many streams as there are places, and more.
pub(crate) async fn unread_streams_take_no_place<T: Transport>() {
    let set = Set::new::<T>().await;
    let many = 2 * WINDOW_ITEMS;
    let mut streams = Vec::new();
    for _ in 0..3 * set.places {
        let items = set
            .caller
            .produce(vec![], give(0..many))
            .await
            .expect("open");
        streams.push(items);
        assert_eq!(set.caller.empty().await.ok(), Some(()));
    }
    for items in &mut streams {
        for number in 0..many {
            let item = items.next().await.expect("no end").expect("no error");
            assert_eq!(item.number, number);
        }
        assert!(items.next().await.is_none());
    }
    drop(streams);
    set.end().await;
}

/// One place: the stream that goes on, goes on before the calls that have not started. In virtual
/// time, which passes only once everything has come to rest.
pub(crate) async fn a_stream_that_goes_on_comes_before_new_calls<T: Transport>() {
    let set = Set::new::<T>().await;
    assert_eq!(set.places, 1);
    let mut steps = give(0..WINDOW_ITEMS);
    steps.extend([Step::Give(Item::light(99)), Step::Note("went on")]);
    let mut items = set.caller.produce(vec![], steps).await.expect("open");
    set.stage.made_times(WINDOW_ITEMS).await;
    // It has given its place back, or this would not start.
    let busy = set.occupy(1).await;
    let queued = set.caller.run(vec![Step::Note("queued")]).start();
    for _ in 0..WINDOW_ITEMS {
        assert!(matches!(items.next().await, Some(Ok(_))));
    }
    // The stream has come to ask for its place again.
    insula_core::sleep(std::time::Duration::from_millis(1)).await;
    set.stage.open(1);
    assert_eq!(
        items
            .next()
            .await
            .expect("no end")
            .expect("no error")
            .number,
        99
    );
    assert!(items.next().await.is_none());
    assert!(queued.await.is_ok());
    let mut notes = set.stage.notes();
    notes.retain(|note| note != "at 1");
    assert_eq!(notes, ["went on", "queued"]);
    for call in busy {
        assert!(call.await.is_ok());
    }
    drop(items);
    set.end().await;
}
