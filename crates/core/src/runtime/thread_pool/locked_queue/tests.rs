//! Risk: a thread leaves all isolates in the queue, or takes more than its share.

use std::ptr::NonNull;

use super::{BATCH, LockedQueue};
use crate::memory::IsolateCore;
use crate::runtime::thread_pool::Ring;

/// A pointer that stands for an isolate. Nothing follows it.
fn isolate(number: usize) -> NonNull<IsolateCore> {
    NonNull::new(std::ptr::without_provenance_mut(number)).expect("numbers begin with 1")
}

#[test]
fn a_thread_takes_up_to_half_of_the_queue_in_order() {
    let (queue, ring) = (LockedQueue::default(), Ring::new());
    assert!(queue.take(Some(&ring)).is_none());
    queue.push((1..=9).map(isolate));
    assert_eq!(queue.take(Some(&ring)), Some(isolate(1)));
    assert_eq!((queue.len(), ring.len()), (5, 3));
    for number in 2..=4 {
        assert_eq!(ring.pop(), Some(isolate(number)));
    }
    assert_eq!(queue.take(None), Some(isolate(5)));
    assert_eq!((queue.len(), ring.len()), (4, 0));
}

#[test]
fn a_thread_takes_no_more_than_a_batch() {
    let (queue, ring) = (LockedQueue::default(), Ring::new());
    queue.push((1..=10 * BATCH).map(isolate));
    assert_eq!(queue.take(Some(&ring)), Some(isolate(1)));
    assert_eq!(ring.len(), BATCH - 1);
    assert_eq!(queue.len(), 9 * BATCH);
}
