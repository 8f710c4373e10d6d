//! Risk: a call starts on a service with `&mut self` that another call still uses.

use insula_rpc::WINDOW;

use super::Set;
use crate::script::{Step, give};
use crate::seam::Transport;

const WINDOW_ITEMS: u64 = WINDOW as u64;

/// A service with `&mut self` is used until the end of a stream, so that no other call may start.
pub(crate) async fn a_stream_keeps_its_service_to_itself<T: Transport>() {
    let set = Set::new::<T>().await;
    assert_eq!(set.places, 1);
    let many = 3 * WINDOW_ITEMS;
    let mut items = set
        .caller
        .produce(vec![], give(0..many))
        .await
        .expect("open");
    set.stage.made_times(WINDOW_ITEMS).await;
    let next = set.caller.run(vec![Step::Note("next")]).start();
    for number in 0..many {
        // Its last items are still to be made.
        assert!(number >= many - WINDOW_ITEMS || !set.stage.has_noted("next"));
        let item = items.next().await.expect("no end").expect("no error");
        assert_eq!(item.number, number);
    }
    assert!(items.next().await.is_none());
    assert!(next.await.is_ok());
    drop(items);
    set.end().await;
}
