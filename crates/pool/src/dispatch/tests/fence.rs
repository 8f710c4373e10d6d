//! Risk: the calls of a key start out of order because they have moved to another isolate, or wait for
//! ever for one that has begun.

use super::*;

fn pinned(number: u32) -> Call {
    Call {
        pin: Some(7),
        ..call(number)
    }
}

/// Two workers with two places each. The home of the key has taken the first of three calls.
fn taken() -> (Dispatch<Call>, usize) {
    let mut state = dispatch(2, 2, Queue::default(), Balance::default());
    for number in 1..=3 {
        queued(&mut state, pinned(number));
    }
    let home = state.home(Target::Key(7)).unwrap();
    // It is about to begin.
    assert!(matches!(state.next(at(home, 0)), Next::Run(..)));
    (state, home)
}

#[test]
fn the_next_state_starts_no_call_of_a_key_before_the_last_one_has_begun() {
    let (mut state, home) = taken();
    let start = state.recycle(home);
    let (lanes, actions) = state.ready(home, start.incarnation, now());
    drop(actions);
    let lanes = lanes.expect("it takes the worker over");
    assert_eq!(next(&mut state, home, lanes[0]), None);
    // A call of no key does not wait for that.
    queued(&mut state, call(9));
    assert_eq!(next(&mut state, home, lanes[0]), Some(9));
    finish(&mut state, home, lanes[0]);
    assert_eq!(next(&mut state, home, lanes[0]), None);
    assert!(state.signs().begin(home), "calls wait for this");
    let woken = places(&state.pass_fences().unpark);
    assert!(woken.contains(&at(home, lanes[0])), "{woken:?}");
    assert_eq!(next(&mut state, home, lanes[0]), Some(2));
    assert!(!state.signs().begin(home));
}

#[test]
fn a_worker_to_which_a_key_moves_waits_for_the_one_that_it_leaves() {
    let (mut state, home) = taken();
    let other = 1 - home;
    let actions = state.lose(home, 0, &fault(), Fate::Lost);
    drop(actions);
    assert_eq!(state.home(Target::Key(7)), Some(other));
    assert_eq!(next(&mut state, other, 0), None);
    assert!(state.signs().begin(home));
    let woken = places(&state.pass_fences().unpark);
    assert_eq!(woken, [at(other, 0)]);
    assert_eq!(next(&mut state, other, 0), Some(2));
    // Within one isolate there is no fence.
    assert_eq!(next(&mut state, other, 1), Some(3));
}

/// Also one of an earlier state, which the fence is for.
#[test]
fn an_isolate_that_was_given_up_is_waited_for_no_more() {
    let mut state = dispatch(1, 2, Queue::default(), Balance::default());
    state.needs.watchdog = true;
    state.spawning(0, 0);
    for number in 1..=2 {
        queued(&mut state, pinned(number));
    }
    assert!(matches!(state.next(at(0, 0)), Next::Run(..)));
    let start = state.recycle(0);
    let (lanes, actions) = state.ready(0, start.incarnation, now());
    drop(actions);
    let lane = lanes.expect("it takes the worker over")[0];
    assert_eq!(next(&mut state, 0, lane), None);
    let woken = places(&state.leave_behind(0, 0).unpark);
    assert_eq!(woken, [at(0, lane)]);
    // It comes to an end of its first poll after all, just before that of the next call.
    assert!(matches!(state.next(at(0, lane)), Next::Run(..)));
    let actions = state.began(0, 0);
    assert!(actions.unpark.is_empty());
    assert_eq!(state.signs().begun(0), 1);
    let actions = state.began(0, start.incarnation);
    assert!(actions.unpark.is_empty());
    assert_eq!(state.signs().begun(0), 2);
}
