//! Risk: a worker starts again too soon, too often or never, or services are replaced without an end.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn delays_double_up_to_the_longest_and_a_worker_starts_so_often_in_a_period() {
    let policy = Restart::at_most(4, 10 * SECOND).delay(SECOND, 3 * SECOND);
    let (mut restarts, start) = (Restarts::default(), Instant::now());
    let mut at = |seconds: u32| restarts.next(&policy, start + seconds * SECOND, 0.5);
    assert_eq!(at(0), Some(SECOND));
    assert_eq!(at(1), Some(2 * SECOND));
    assert_eq!(at(2), Some(3 * SECOND), "the longest");
    assert_eq!(at(3), Some(3 * SECOND));
    assert_eq!(at(9), None, "the fifth in ten seconds");
    // The first one is ten seconds old, and three are left.
    assert_eq!(at(10), Some(3 * SECOND));
    assert_eq!(at(10), None);
    assert_eq!(at(100), Some(SECOND), "a new period");
}

#[test]
fn jitter_makes_delays_ages_and_limits_smaller_and_never_nothing() {
    let policy = Restart::at_most(4, 10 * SECOND)
        .delay(SECOND, SECOND)
        .jitter(0.5);
    assert_eq!(policy.delay_after(0, 0.0), SECOND);
    assert_eq!(policy.delay_after(0, 1.0), SECOND / 2);
    let (start, recycle) = (Instant::now(), Recycle::after_calls(10).or_after(SECOND));
    let recycle = recycle.or_after_errors(1).jitter(0.5);
    let wear = |calls, errors, draw| Wear {
        calls,
        errors,
        draw,
    };
    assert!(recycle.is_due_now(&wear(10, 0, 0.0), false));
    assert!(recycle.is_due_now(&wear(5, 0, 1.0), false));
    assert!(!recycle.is_due_now(&wear(4, 0, 1.0), false));
    assert!(recycle.is_due_now(&wear(1, 1, 1.0), true));
    assert_eq!(
        recycle.due(start, &wear(0, 0, 1.0)),
        Some(start + SECOND / 2)
    );
    for share in [f64::NAN, -1.0, 2.0, f64::INFINITY] {
        let policy = Restart::default().jitter(share);
        assert!(policy.delay_after(40, 0.999) <= 10 * SECOND);
        let recycle = Recycle::after_calls(1).jitter(share);
        assert!(!recycle.is_due_now(&wear(0, 0, 0.999), false));
    }
    let longest = Restart::default().delay(Duration::MAX, Duration::MAX);
    assert_eq!(longest.jitter(0.1).delay_after(0, 0.0), Duration::MAX);
}

#[test]
fn extremes_are_accepted() {
    let now = Instant::now();
    let mut restarts = Restarts::default();
    assert_eq!(restarts.next(&Restart::never(), now, 0.5), None);
    let policy = Restart::at_most(usize::MAX, Duration::MAX).delay(SECOND, Duration::MAX);
    for _ in 0..100 {
        assert!(restarts.next(&policy, now, 0.5).is_some());
    }
    let policy = policy.delay(Duration::MAX, Duration::ZERO);
    assert_eq!(restarts.next(&policy, now, 0.5), Some(Duration::ZERO));
}

#[test]
fn starts_come_at_their_time_in_any_order() {
    let (mut starts, now) = (Starts::default(), Instant::now());
    let start = |worker| Start {
        worker,
        incarnation: 1,
    };
    starts.add(now + 2 * SECOND, start(0));
    starts.add(now + SECOND, start(1));
    assert_eq!(starts.next(now), Err(Some(now + SECOND)));
    assert_eq!(starts.next(now + 2 * SECOND), Ok(start(1)));
    assert_eq!(starts.next(now + 2 * SECOND), Ok(start(0)));
    assert_eq!(starts.next(now + 2 * SECOND), Err(None));
    starts.add(now, start(2));
    assert_eq!(starts.orphan(), [2]);
    assert!(starts.is_orphaned());
}
