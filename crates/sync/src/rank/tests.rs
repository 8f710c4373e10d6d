//! Risk: a wrong order of locks is not seen, or a right one panics.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Rank, assert_none_held};
use crate::{Condvar, Mutex, StateLock};

const OUTER: Rank = Rank::new(1, "the outer lock");
const INNER: Rank = Rank::new(2, "the inner lock");

/// The panic of `f`, if it panics.
fn refusal(f: impl FnOnce()) -> Option<String> {
    let payload = catch_unwind(AssertUnwindSafe(f)).err()?;
    Some(*payload.downcast::<String>().expect("it has a text"))
}

#[test]
fn locks_are_taken_in_the_order_of_their_levels() {
    let (outer, inner, leaf) = (
        Mutex::ranked(1, OUTER),
        Mutex::ranked(2, INNER),
        Mutex::new(3),
    );
    for _ in 0..2 {
        let all = (outer.lock(), inner.lock(), leaf.lock());
        assert_eq!(*all.0 + *all.1 + *all.2, 6);
    }
    let state = StateLock::new();
    let _outer = outer.lock();
    let _state = state.lock();
}

#[test]
fn a_wrong_order_panics_with_both_names_and_takes_nothing() {
    let (outer, inner) = (Mutex::ranked((), OUTER), Mutex::ranked((), INNER));
    let held = inner.lock();
    let text = refusal(|| drop(outer.lock())).expect("it is refused");
    assert!(
        text.contains("the outer lock is taken while the inner lock is held"),
        "{text}"
    );
    drop(held);
    drop(outer.lock());
}

#[test]
fn no_lock_is_taken_under_a_leaf() {
    let (one, two, state) = (Mutex::new(()), Mutex::new(()), StateLock::new());
    let _one = one.lock();
    assert!(refusal(|| drop(two.lock())).is_some());
    assert!(refusal(|| drop(state.lock())).is_some());
    assert!(
        refusal(|| drop(one.lock())).is_some(),
        "it would wait for itself"
    );
}

#[test]
fn two_of_one_rank_are_taken_only_on_request() {
    let (one, two) = (Mutex::ranked((), OUTER), Mutex::ranked((), OUTER));
    let held = one.lock();
    assert!(refusal(|| drop(two.lock())).is_some());
    let both = two.lock_beside();
    // In any order.
    drop(held);
    drop(both);
    assert_none_held();
}

#[test]
fn a_lock_is_held_again_after_a_wait() {
    let (outer, inner, condition) = (Mutex::ranked((), OUTER), Mutex::new(()), Condvar::new());
    let mut held = outer.lock();
    held = condition.wait_timeout(held, std::time::Duration::ZERO);
    assert!(refusal(assert_none_held).is_some_and(|text| text.contains("the outer lock")));
    drop((inner.lock(), held));
    assert_none_held();
}

#[test]
fn what_another_thread_holds_does_not_matter() {
    let (one, two) = (Mutex::new(()), Mutex::new(()));
    let _one = one.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(two.lock()));
    });
}
