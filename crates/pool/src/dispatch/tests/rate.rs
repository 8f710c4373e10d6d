//! Risk: more calls are admitted than the rate allows, or fewer, or a bucket never fills again.

use std::cell::Cell;
use std::time::Duration;

use super::*;
use crate::config::Rate;

const MS: Duration = Duration::from_millis(1);

/// The time that a call has to wait for, if it is not admitted.
fn wait(state: &mut Dispatch<Call>, at: Instant) -> Option<Duration> {
    match state.submit(call(0), true, || at) {
        Submitted::Queued { .. } => None,
        Submitted::Refused {
            why: Reject::RateLimited { retry_after },
            ..
        } => Some(retry_after),
        Submitted::Refused { why, .. } => panic!("refused: {why}"),
    }
}

#[test]
fn a_burst_is_admitted_at_once_and_then_one_call_after_the_other() {
    let queue = Queue::default().rate(Rate::per_second(100).burst(3));
    let mut state = dispatch(1, 1, queue, Balance::default());
    let start = now();
    for _ in 0..3 {
        assert_eq!(wait(&mut state, start), None);
    }
    assert_eq!(wait(&mut state, start), Some(10 * MS));
    assert_eq!(wait(&mut state, start + 4 * MS), Some(6 * MS));
    assert_eq!(wait(&mut state, start + 10 * MS), None);
    assert_eq!(wait(&mut state, start + 10 * MS), Some(10 * MS));
    // A clock that was read before the last one takes nothing back.
    assert_eq!(wait(&mut state, start), Some(10 * MS));
    // A long rest fills the bucket, and no more.
    let later = start + Duration::from_secs(1_000_000_000);
    for _ in 0..3 {
        assert_eq!(wait(&mut state, later), None);
    }
    assert_eq!(wait(&mut state, later), Some(10 * MS));
    assert_eq!(state.tally.rejected, 5);
}

/// The time that is named is enough, and no parts of tokens are lost.
#[test]
fn a_call_that_comes_after_the_named_time_is_admitted() {
    for per_second in [1, 3, 7, 999_999_937, u32::MAX] {
        let queue = Queue::bounded(10_000).rate(Rate::per_second(per_second).burst(1));
        let mut state = dispatch(1, 1, queue, Balance::default());
        let (start, mut at) = (now(), now());
        let mut admitted = 0_u64;
        while admitted < 1_000 {
            match wait(&mut state, at) {
                None => admitted += 1,
                Some(time) => at = at + time,
            }
        }
        let most = at.saturating_duration_since(start).as_nanos() * u128::from(per_second);
        assert!(u128::from(admitted - 1) * 1_000_000_000 <= most + u128::from(per_second));
    }
}

#[test]
fn a_call_that_is_rejected_otherwise_takes_nothing_from_the_rate() {
    let queue = Queue::bounded(1).bytes(10).overflow(Overflow::Reject);
    let queue = queue.rate(Rate::per_second(1).burst(2));
    let mut state = dispatch(1, 1, queue, Balance::default());
    let start = now();
    let large = Call {
        bytes: 11,
        ..call(1)
    };
    let submitted = state.submit(large, true, || start);
    assert!(matches!(
        submitted,
        Submitted::Refused {
            why: Reject::TooLarge,
            ..
        }
    ));
    assert_eq!(wait(&mut state, start), None);
    let submitted = state.submit(call(3), true, || start);
    assert!(matches!(
        submitted,
        Submitted::Refused {
            why: Reject::QueueFull,
            ..
        }
    ));
    assert_eq!(next(&mut state, 0, 0), Some(0));
    assert_eq!(wait(&mut state, start), None);
}

#[test]
fn without_a_rate_the_clock_is_not_read() {
    let mut state = dispatch(1, 1, Queue::default(), Balance::default());
    let reads = Cell::new(0);
    let submitted = state.submit(call(1), true, || {
        reads.set(reads.get() + 1);
        now()
    });
    assert!(matches!(submitted, Submitted::Queued { .. }));
    assert_eq!(reads.get(), 0);
}
