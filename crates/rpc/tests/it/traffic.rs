//! Risk: the counters do not prove what the documentation promises about copies.

use std::time::Duration;

use insula_core::block_on;
use insula_rpc::{Traffic, WorkerId};

use crate::desk::{Desk, Worker, poll};
use crate::probe::Recorder;

const MIB: usize = 1 << 20;

#[test]
fn a_mebibyte_is_moved_both_ways_and_never_copied() {
    let desk = Desk::default();
    let caller = desk.caller();
    let bytes = vec![7; MIB];
    let address = bytes.as_ptr();
    let mut reply = caller.weigh(bytes).detailed();
    assert!(poll(&mut reply).is_pending());
    let ended = Worker::new(&Recorder::default(), Duration::ZERO).run(desk.take());
    let detailed = block_on(reply).unwrap();
    assert_eq!(detailed.value.as_ptr(), address, "the very same bytes");
    assert_eq!(detailed.worker, Some(WorkerId::new(5)));
    let expected = Traffic {
        bytes_moved: (2 * MIB + 24 + 16) as u64,
        bytes_copied: 0,
    };
    assert_eq!((detailed.traffic, ended.traffic), (expected, expected));
}

#[test]
fn the_items_of_a_stream_are_counted() {
    let desk = Desk::default();
    let caller = desk.caller();
    let mut reply = caller.count(10).into_future();
    assert!(poll(&mut reply).is_pending());
    let ended = Worker::new(&Recorder::default(), Duration::ZERO).run(desk.take());
    let stream = block_on(reply).unwrap();
    assert_eq!(stream.traffic(), Traffic::moved(10 * 4));
    assert_eq!(
        ended.traffic,
        Traffic::moved(4 + 10 * 4),
        "the request and the items"
    );
}
