//! Risk: those who make many calls delay those who make few, or the order of shares loses a call, keeps
//! one that has left, or grows without end.

use super::*;
use crate::dispatch::fair::Fair;

fn of(number: u32, share: u32, weight: u32) -> Call {
    Call {
        share: Some(Share::of(share).weighted(weight)),
        ..call(number)
    }
}

fn fair(bound: usize) -> Dispatch<Call> {
    dispatch(1, 1, Queue::bounded(bound).fair(), Balance::default())
}

/// Starts a call, and ends it.
fn run(state: &mut Dispatch<Call>) -> Option<u32> {
    let number = next(state, 0, 0)?;
    assert_eq!(finish(state, 0, 0), Some(number));
    Some(number)
}

fn run_all(state: &mut Dispatch<Call>) -> Vec<u32> {
    std::iter::from_fn(|| run(state)).collect()
}

fn order(state: &Dispatch<Call>) -> &Fair {
    state.fair.as_deref().unwrap()
}

#[test]
fn fair_queues_start_the_calls_of_shares_by_their_weights() {
    let mut state = fair(1000);
    for number in 0..60 {
        queued(&mut state, of(number, 1, 1));
    }
    for number in 100..160 {
        queued(&mut state, of(number, 2, 3));
    }
    let first: Vec<_> = (0..80).map(|_| run(&mut state).unwrap()).collect();
    for (few, length) in [(5, 20), (10, 40), (20, 80)] {
        let of_the_lighter = first[..length].iter().filter(|&&it| it < 100).count();
        assert_eq!(of_the_lighter, few, "of {length}: {first:?}");
    }
    for share in [0..60, 100..160] {
        let in_order = first.iter().filter(|&it| share.contains(it));
        assert!(in_order.is_sorted(), "{first:?}");
    }
    assert_eq!(run_all(&mut state), (20..60).collect::<Vec<_>>());
}

#[test]
fn a_call_does_not_wait_for_all_calls_of_another_share() {
    let mut state = fair(1000);
    for number in 0..500 {
        queued(&mut state, of(number, 1, 1));
    }
    assert_eq!(run(&mut state), Some(0));
    queued(&mut state, of(500, 2, 1));
    // Those without a share have one together.
    queued(&mut state, call(501));
    queued(&mut state, call(502));
    let next: Vec<_> = (0..5).map(|_| run(&mut state).unwrap()).collect();
    assert_eq!(next, [500, 501, 1, 502, 2]);
}

#[test]
fn a_share_that_had_no_calls_gets_no_more_for_it() {
    let mut state = fair(1000);
    for number in 0..200 {
        queued(&mut state, of(number, 1, 1));
    }
    for _ in 0..100 {
        run(&mut state);
    }
    for number in 200..220 {
        queued(&mut state, of(number, 2, 1));
    }
    let next: Vec<_> = (0..20).map(|_| run(&mut state).unwrap()).collect();
    let late = next.iter().filter(|&&it| it >= 200).count();
    assert!((9..=11).contains(&late), "{next:?}");
}

#[test]
fn priorities_come_before_shares_and_keys_keep_their_order() {
    let mut state = fair(1000);
    queued(&mut state, of(0, 1, 1));
    queued(&mut state, of(1, 1, 1));
    let high = Priority::High;
    for (number, share) in [(2, 1), (3, 1), (4, 2)] {
        queued(
            &mut state,
            Call {
                priority: high,
                ..of(number, share, 1)
            },
        );
    }
    for number in 5..8 {
        queued(
            &mut state,
            Call {
                pin: Some(7),
                ..of(number, number, number)
            },
        );
    }
    let order = run_all(&mut state);
    assert_eq!(order[..3], [2, 4, 3]);
    let keyed: Vec<_> = order.iter().filter(|&&it| it > 4).collect();
    assert_eq!(keyed, [&5, &6, &7]);
    assert_eq!(order.len(), 8);
}

#[test]
fn what_leaves_a_fair_queue_otherwise_than_by_a_start_leaves_its_order_too() {
    let queue = Queue::bounded(3).overflow(Overflow::DropOldest).fair();
    let mut state = dispatch(1, 1, queue, Balance::default());
    let (first, _) = queued(&mut state, of(1, 1, 1));
    for number in 2..4 {
        queued(&mut state, of(number, 1, 1));
    }
    let submitted = state.submit(of(4, 2, 1), true, now);
    assert_eq!(shed(&submitted)[0].number, 1);
    assert!(state.withdraw(first, false, now).is_none());
    assert_eq!(order(&state).waiting(), 3);
    let expired = Call {
        deadline: Some(now()),
        ..of(5, 3, 1)
    };
    let _shed = state.submit(expired, true, now);
    let (key, _) = queued(&mut state, of(6, 3, 1));
    assert!(state.withdraw(key, false, now).is_some());
    assert_eq!(order(&state).waiting(), state.queued());
    run_all(&mut state);
    assert_eq!((order(&state).waiting(), state.queued()), (0, 0));
}

/// While calls of one share wait all the time, a hundred thousand others come and go.
#[test]
fn shares_that_have_gone_are_forgotten() {
    let mut state = fair(1000);
    queued(&mut state, of(0, 0, 1));
    queued(&mut state, of(1, 0, 1));
    for share in 1..100_000 {
        queued(&mut state, of(2, share, 1));
        run(&mut state);
        queued(&mut state, of(3, 0, 1));
        run(&mut state);
        assert!(order(&state).shares() < 200, "{}", order(&state).shares());
    }
    run_all(&mut state);
    assert_eq!(order(&state).shares(), 0);
}

#[test]
fn a_queue_that_becomes_fair_keeps_its_calls() {
    let mut state = dispatch(1, 1, Queue::bounded(1000), Balance::default());
    for number in 0..10 {
        queued(&mut state, of(number, 1, 1));
    }
    state.set_queue(Queue::bounded(1000).fair());
    queued(&mut state, of(10, 2, 1));
    assert_eq!(order(&state).waiting(), 11);
    assert_eq!([run(&mut state), run(&mut state)], [Some(0), Some(10)]);
    state.set_queue(Queue::bounded(1000));
    assert_eq!(run_all(&mut state), (1..10).collect::<Vec<_>>());
}

/// A tenant that gives up what it has queued is not held back for it.
#[test]
fn calls_that_leave_without_a_start_cost_their_share_nothing() {
    let mut state = fair(10_000);
    for number in 0..1_000 {
        queued(&mut state, of(number, 1, 1));
    }
    let given_up: Vec<_> = (0..1_000)
        .map(|_| queued(&mut state, of(1_000, 2, 1)).0)
        .collect();
    let late = Call {
        deadline: Some(now()),
        ..of(1_001, 2, 1)
    };
    queued(&mut state, late);
    for number in 2_000..2_010 {
        queued(&mut state, of(number, 2, 1));
    }
    for key in given_up {
        assert!(state.withdraw(key, false, now).is_some());
    }
    let first: Vec<_> = (0..22).map(|_| run(&mut state).unwrap()).collect();
    let of_the_second = first.iter().filter(|&&it| it > 1_000).count();
    assert_eq!(of_the_second, 11, "{first:?}");
}

/// Against a plain model of the algorithm, with a fixed sequence of pseudo-random steps.
#[test]
fn the_order_is_that_of_start_time_fair_queueing() {
    let (mut state, mut random) = (fair(100_000), fastrand::Rng::with_seed(11));
    // Powers of two, so that the tags of both are exact.
    let weights = [1, 2, 4, 8];
    let mut waiting: [Vec<(u32, Key)>; 4] = Default::default();
    let (mut tags, mut last) = ([0.0_f64; 4], 0.0_f64);
    for number in 0..20_000 {
        match random.u32(..10) {
            0..=4 => {
                let share = random.usize(..4);
                let (key, _) = queued(&mut state, of(number, share as u32, weights[share]));
                if waiting[share].is_empty() {
                    tags[share] = last.max(tags[share]);
                }
                waiting[share].push((number, key));
            }
            5..=8 => {
                let waits = (0..4).filter(|&share| !waiting[share].is_empty());
                let first = waits.min_by(|&a, &b| {
                    let by_tag = tags[a].total_cmp(&tags[b]);
                    by_tag.then(waiting[a][0].0.cmp(&waiting[b][0].0))
                });
                let Some(share) = first else {
                    continue;
                };
                let (expected, _) = waiting[share].remove(0);
                last = last.max(tags[share]);
                tags[share] += 1.0 / f64::from(weights[share]);
                assert_eq!(run(&mut state), Some(expected), "step {number}");
            }
            _ => {
                let share = random.usize(..4);
                if waiting[share].is_empty() {
                    continue;
                }
                let at = random.usize(..waiting[share].len());
                let (_, key) = waiting[share].remove(at);
                assert!(state.withdraw(key, false, now).is_some());
            }
        }
        if waiting.iter().all(Vec::is_empty) {
            (tags, last) = ([0.0; 4], 0.0);
        }
        let count: usize = waiting.iter().map(Vec::len).sum();
        assert_eq!(order(&state).waiting(), count);
    }
}
