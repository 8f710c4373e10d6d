//! Risk: a call of a high priority waits behind others, one of a low priority waits for ever, or a
//! priority changes the order of the calls of a key.

use super::*;
use crate::dispatch::order::MOST;

const HIGH: Priority = Priority::High;
const NORMAL: Priority = Priority::Normal;
const LOW: Priority = Priority::Low;

fn of(number: u32, priority: Priority) -> Call {
    Call {
        priority,
        ..call(number)
    }
}

/// Starts a call, and ends it.
fn run(state: &mut Dispatch<Call>, worker: usize) -> Option<u32> {
    let number = next(state, worker, 0)?;
    assert_eq!(finish(state, worker, 0), Some(number));
    Some(number)
}

#[test]
fn a_higher_priority_starts_first_and_each_in_the_order_of_arrival() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    for (number, priority) in [LOW, NORMAL, HIGH, LOW, NORMAL, HIGH]
        .into_iter()
        .enumerate()
    {
        queued(&mut state, of(number as u32, priority));
    }
    for number in [2, 5, 1, 4, 0, 3] {
        assert_eq!(run(&mut state, 0), Some(number));
    }
    assert_eq!(run(&mut state, 0), None);
}

/// The bounds that the documentation of the crate states.
#[test]
fn a_call_of_lower_priority_is_passed_by_so_many_others_and_no_more() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    let most = u32::from(MOST);
    assert_eq!(most, 16, "the documentation says so");
    for number in 0..100 {
        queued(&mut state, of(number, HIGH));
    }
    for (number, priority) in [(100, NORMAL), (101, LOW), (102, NORMAL)] {
        queued(&mut state, of(number, priority));
    }
    let mut order: Vec<_> = (0..most).collect();
    order.extend([100, 101]);
    // The low one has passed the second normal one too.
    order.extend(most..2 * most - 1);
    order.push(102);
    order.extend(2 * most - 1..2 * most + 10);
    for number in order {
        assert_eq!(run(&mut state, 0), Some(number));
    }
}

/// Counted for each worker: one that never finds a pinned call must not keep the others from it.
#[test]
fn a_pinned_call_waits_for_so_many_calls_of_its_own_worker() {
    let mut state = dispatch(2, 1, Queue::default(), Balance::default());
    let pinned = Call {
        pin: Some(7),
        ..call(1_000)
    };
    queued(&mut state, pinned);
    let home = state.home(Target::Key(7)).unwrap();
    for number in 0..100 {
        queued(&mut state, of(number, HIGH));
    }
    for number in 0..2 * u32::from(MOST) {
        assert_eq!(run(&mut state, 1 - home), Some(number));
    }
    for number in 0..u32::from(MOST) {
        let number = number + 2 * u32::from(MOST);
        assert_eq!(run(&mut state, home), Some(number));
    }
    assert_eq!(run(&mut state, home), Some(1_000));
}

#[test]
fn calls_of_a_key_keep_their_order_whatever_their_priority_is() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    for (number, priority) in [LOW, NORMAL, HIGH].into_iter().enumerate() {
        let pin = Some(3);
        let call = Call {
            pin,
            ..of(number as u32, priority)
        };
        queued(&mut state, call);
    }
    queued(&mut state, of(3, HIGH));
    queued(&mut state, of(4, NORMAL));
    for number in [3, 0, 1, 2, 4] {
        assert_eq!(run(&mut state, 0), Some(number));
    }
}

#[test]
fn the_oldest_call_of_the_lowest_priority_makes_room() {
    let queue = Queue::bounded(3).overflow(Overflow::DropOldest);
    let mut state = dispatch(1, 1, queue, Balance::default());
    for (number, priority) in [(1, HIGH), (2, NORMAL), (3, LOW)] {
        queued(&mut state, of(number, priority));
    }
    for (call, victim) in [(of(4, LOW), 3), (of(5, HIGH), 4), (of(6, NORMAL), 2)] {
        let submitted = state.submit(call, true, now);
        assert!(matches!(submitted, Submitted::Queued { .. }), "{call:?}");
        let shed: Vec<_> = shed(&submitted).iter().map(|it| it.number).collect();
        assert_eq!(shed, [victim]);
    }
    let submitted = state.submit(of(7, LOW), true, now);
    assert!(matches!(
        submitted,
        Submitted::Refused {
            why: Reject::Shed,
            ..
        }
    ));
    assert_eq!((state.tally.shed, state.queued()), (4, 3));
}

#[test]
fn no_call_is_shed_in_vain() {
    let queue = Queue::bounded(9).bytes(100).overflow(Overflow::DropOldest);
    let mut state = dispatch(1, 1, queue, Balance::default());
    for (number, priority) in [(1, HIGH), (2, LOW)] {
        let bytes = 50;
        queued(
            &mut state,
            Call {
                bytes,
                ..of(number, priority)
            },
        );
    }
    let large = Call {
        bytes: 60,
        ..of(3, NORMAL)
    };
    let submitted = state.submit(large, true, now);
    assert!(matches!(
        submitted,
        Submitted::Refused {
            why: Reject::Shed,
            ..
        }
    ));
    assert_eq!((state.tally.shed, state.queued()), (1, 2));
}

#[test]
fn a_waiting_call_of_any_priority_gets_another_worker_woken_and_is_drained() {
    for priority in [HIGH, LOW] {
        let mut state = dispatch(2, 1, Queue::default(), Balance::default());
        let signs = state.signs();
        assert_eq!(next(&mut state, 1, 0), None);
        signs.enter(1);
        queued(&mut state, of(1, priority));
        queued(&mut state, of(2, priority));
        assert!(signs.leave(1));
        signs.enter(0);
        let Next::Run(_, Some(other)) = state.next(at(0, 0)) else {
            panic!("no other worker was woken")
        };
        assert_eq!(other.at.worker, 1);
        assert!(state.drain(false).is_some());
        assert_eq!(next(&mut state, 1, 0), Some(2));
    }
}
