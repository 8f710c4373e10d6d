//! Risk: a pool grows without need, too late, or never shrinks.

use super::*;

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn waiting(calls: usize, oldest: u64, next: u64) -> Waiting {
    Waiting {
        calls,
        oldest: (calls > 0).then_some(oldest),
        next,
    }
}

#[test]
fn numbers_and_ranges_are_sizes() {
    let fixed = Workers::from(3);
    assert_eq!((fixed.least, fixed.most, fixed.is_range()), (3, 3, false));
    let range = Workers::from(2..=5);
    assert_eq!((range.least, range.most, range.is_range()), (2, 5, true));
    for (factor, least) in [(1.0, 1), (0.0, 1), (f64::NAN, 1), (-1.0, 1), (2.0, 2)] {
        assert!(Workers::per_core(factor).least >= least, "{factor}");
    }
}

#[test]
fn a_call_that_waits_makes_the_pool_grow_and_at_most_double() {
    let (mut scale, now) = (Scale::new(Workers::from(1..=8)), Instant::now());
    assert!(scale.press());
    assert!(!scale.press(), "once is enough");
    assert_eq!(
        scale.look(now, waiting(1, 0, 1)),
        Some(now + Scale::UP_AFTER)
    );
    // The call is still there.
    let mut at = now + Scale::UP_AFTER;
    for (target, next) in [(2, 10), (4, 20), (8, 30)] {
        let again = scale.look(at, waiting(50, 0, next));
        assert_eq!(scale.target, target);
        assert!(again.is_some());
        at = at + Scale::UP_AFTER;
    }
    assert!(!scale.press(), "it cannot grow any more");
    assert!(at < now + 50 * MS);
}

#[test]
fn calls_that_only_wait_their_turn_do_not_make_it_grow() {
    let (mut scale, now) = (Scale::new(Workers::from(1..=8)), Instant::now());
    assert!(scale.press());
    scale.look(now, waiting(5, 0, 5));
    let mut at = now;
    for round in 1..10 {
        at = at + Scale::UP_AFTER;
        // Those that were there at the last look are gone, and others have come.
        scale.look(at, waiting(5, 5 * round, 5 * round + 5));
        assert_eq!(scale.target, 1);
    }
    assert_eq!(scale.look(at + Scale::UP_AFTER, waiting(0, 0, 60)), None);
    assert!(scale.press(), "the next time that a call waits");
}

#[test]
fn workers_that_were_of_no_use_for_a_period_go() {
    let workers = Workers::from(1..=8).idle(10 * SECOND);
    let (mut scale, now) = (Scale::new(workers), Instant::now());
    scale.target = 6;
    (0..3).for_each(|_| scale.begin());
    assert_eq!(scale.look(now, waiting(0, 0, 0)), Some(now + 10 * SECOND));
    scale.begin();
    (0..4).for_each(|_| scale.end());
    assert_eq!(
        scale.look(now + SECOND, waiting(0, 0, 0)),
        Some(now + 10 * SECOND)
    );
    assert_eq!(scale.target, 6);
    scale.look(now + 10 * SECOND, waiting(0, 0, 0));
    assert_eq!(scale.target, 4, "so many ran at once");
    assert_eq!(scale.look(now + 20 * SECOND, waiting(0, 0, 0)), None);
    assert_eq!(scale.target, 1, "none did, and one is the least");
}

#[test]
fn a_size_that_was_set_stays() {
    let (mut scale, now) = (Scale::new(Workers::from(1..=8)), Instant::now());
    scale.set(5);
    assert!(!scale.press());
    assert_eq!(scale.look(now, waiting(9, 0, 9)), None);
    assert_eq!(scale.target, 5);
}
