//! Risk: requests fill the memory though their number is bounded, or their sum goes wrong and the
//! queue stays full for ever.

use super::*;

fn of_bytes(number: u32, bytes: u64) -> Call {
    Call {
        bytes,
        ..call(number)
    }
}

fn full(overflow: Overflow) -> Dispatch<Call> {
    let queue = Queue::bounded(10).bytes(100).overflow(overflow);
    let mut state = dispatch(1, 1, queue, Balance::default());
    for (number, bytes) in [(1, 30), (2, 30), (3, 40)] {
        queued(&mut state, of_bytes(number, bytes));
    }
    state
}

fn why(state: &mut Dispatch<Call>, call: Call, may_wait: bool) -> Reject {
    match state.submit(call, may_wait, now) {
        Submitted::Refused { why, .. } => why,
        Submitted::Queued { .. } => panic!("{call:?} was queued"),
    }
}

#[test]
fn bytes_fill_a_queue_that_has_room_for_more_calls() {
    let one = of_bytes(4, 1);
    assert_eq!(
        why(&mut full(Overflow::Reject), one, true),
        Reject::QueueFull
    );
    assert_eq!(
        why(&mut full(Overflow::DropNewest), one, true),
        Reject::Shed
    );
    let mut state = full(Overflow::Wait);
    assert_eq!(why(&mut state, one, false), Reject::QueueFull);
    queued(&mut state, one);
    assert_eq!(state.bytes.sums(), (101, 0));
    // A call without bytes has room among them.
    let none = of_bytes(5, 0);
    assert_eq!(why(&mut state, none, false), Reject::QueueFull);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    queued(&mut state, none);
    assert_eq!(state.bytes.sums(), (71, 0));
}

#[test]
fn as_many_of_the_oldest_calls_are_shed_as_the_bytes_need() {
    let mut state = full(Overflow::DropOldest);
    assert_eq!(why(&mut state, of_bytes(9, 50), false), Reject::QueueFull);
    let submitted = state.submit(of_bytes(4, 50), true, now);
    assert!(matches!(submitted, Submitted::Queued { .. }));
    assert_eq!(shed(&submitted), [of_bytes(1, 30), of_bytes(2, 30)]);
    assert_eq!((state.tally.shed, state.bytes.sums()), (2, (90, 0)));
    let submitted = state.submit(of_bytes(5, 100), true, now);
    assert!(matches!(submitted, Submitted::Queued { .. }));
    assert_eq!(shed(&submitted), [of_bytes(3, 40), of_bytes(4, 50)]);
    assert_eq!(state.queued(), 1);
}

#[test]
fn a_call_with_more_bytes_than_the_queue_is_too_large_under_each_policy() {
    for overflow in [
        Overflow::Wait,
        Overflow::Reject,
        Overflow::DropOldest,
        Overflow::DropNewest,
    ] {
        let queue = Queue::bounded(10).bytes(100).overflow(overflow);
        let mut state = dispatch(1, 1, queue, Balance::default());
        // Also if a worker has room.
        assert_eq!(next(&mut state, 0, 0), None);
        assert_eq!(why(&mut state, of_bytes(1, 101), true), Reject::TooLarge);
        assert_eq!((state.tally.rejected, state.queued()), (1, 0));
        let (_, unpark) = queued(&mut state, of_bytes(2, 100));
        assert_eq!(unpark, Some(at(0, 0)));
    }
}

/// Calls in a row that find free workers are not in each other's way before the lanes have asked.
#[test]
fn a_call_for_which_a_lane_was_woken_comes_on_top_of_the_bytes() {
    let queue = Queue::bounded(10).bytes(100).overflow(Overflow::Reject);
    let mut state = dispatch(2, 1, queue, Balance::default());
    assert_eq!(next(&mut state, 0, 0), None);
    assert_eq!(next(&mut state, 1, 0), None);
    for number in [1, 2] {
        assert!(queued(&mut state, of_bytes(number, 60)).1.is_some());
    }
    queued(&mut state, of_bytes(3, 60));
    assert_eq!(why(&mut state, of_bytes(4, 60), true), Reject::QueueFull);
    assert_eq!(next(&mut state, 0, 0), Some(1));
    assert_eq!(state.bytes.sums(), (120, 60));
    // A lane that ends without asking is not waited for.
    let _actions = state.lose(1, 0, &fault(), Fate::Lost);
    assert_eq!(state.bytes.sums(), (120, 0));
}

#[test]
fn bytes_that_leave_the_queue_make_room() {
    let start = Instant::now();
    let second = std::time::Duration::from_secs(1);
    let queue = Queue::bounded(10).bytes(100).overflow(Overflow::Reject);
    let mut state = dispatch(1, 1, queue, Balance::default());
    let mut late = of_bytes(1, 60);
    late.deadline = Some(start + second);
    queued(&mut state, late);
    let (key, _) = queued(&mut state, of_bytes(2, 40));
    assert_eq!(
        state.withdraw(key, false, now).map(|it| it.job),
        Some(of_bytes(2, 40))
    );
    assert_eq!(state.bytes.sums(), (60, 0));
    let submitted = state.submit(of_bytes(3, 100), true, || start + second);
    assert!(matches!(submitted, Submitted::Queued { .. }));
    assert_eq!(expired(&submitted), [late]);
    let _actions = state.close_all();
    assert_eq!(state.bytes.sums(), (0, 0));
}

#[test]
fn without_a_bound_bytes_are_not_looked_at() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    for number in 0..3 {
        queued(&mut state, of_bytes(number, u64::MAX));
    }
    assert_eq!(state.bytes.sums(), (0, 0));
}

/// A bound that is taken away and set again counts no lane that has asked meanwhile.
#[test]
fn a_bound_that_changes_counts_what_is_there() {
    let queue = Queue::bounded(10).bytes(1_000);
    let mut state = dispatch(1, 1, queue, Balance::default());
    assert_eq!(next(&mut state, 0, 0), None);
    let heavy = Call {
        bytes: 100,
        ..call(1)
    };
    assert!(queued(&mut state, heavy).1.is_some());
    assert_eq!(state.bytes.sums(), (100, 100));
    state.set_queue(Queue::bounded(10));
    assert_eq!(next(&mut state, 0, 0), Some(1));
    state.set_queue(queue);
    assert_eq!(state.bytes.sums(), (0, 0));
}
