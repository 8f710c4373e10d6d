//! Risk: a policy selects a worker without room, always the same one, or the slow one.

use std::time::Duration;

use insula_rpc::WorkType;

use super::*;

const MS: Duration = Duration::from_millis(1);

/// Workers of so many places, whose lanes are parked.
fn parked(workers: usize, places: usize, balance: Balance) -> Dispatch<Call> {
    let mut state = dispatch(workers, places, Queue::default(), balance);
    for worker in 0..workers {
        for lane in 0..places {
            assert_eq!(next(&mut state, worker, lane), None);
        }
    }
    state
}

/// Submits a call; the lane that was woken for it runs it.
fn runs(state: &mut Dispatch<Call>, call: Call) -> Place {
    let number = call.number;
    let clock = state.looked_at.unwrap_or_else(now);
    let Submitted::Queued { unpark, .. } = state.submit(call, true, || clock) else {
        panic!("{number} was refused");
    };
    let at = unpark.expect("a lane").at;
    assert_eq!(next(state, at.worker, at.lane), Some(number));
    at
}

/// Calls, each of which takes as long as `time` says of its worker. Returns how many each worker had.
fn shares(state: &mut Dispatch<Call>, calls: u32, time: impl Fn(usize) -> Duration) -> Vec<u32> {
    let mut clock = Instant::now();
    let mut had = vec![0; state.workers.len()];
    for number in 0..calls {
        state.look(clock);
        let at = runs(state, call(number));
        had[at.worker] += 1;
        clock = clock + time(at.worker);
        state.look(clock);
        finish(state, at.worker, at.lane);
        assert_eq!(next(state, at.worker, at.lane), None);
    }
    had
}

#[test]
fn preferred_workers_are_selected_while_they_have_room() {
    let balances = [
        Balance::RoundRobin,
        Balance::LeastLoaded,
        Balance::Random,
        Balance::PowerOfTwo,
        Balance::PeakEwma,
        Balance::Adaptive,
        Balance::weighted([1, 1, 9, 9]),
        Balance::custom(|_, _| Some(0)),
    ];
    for balance in balances {
        let name = format!("{balance:?}");
        let mut state = parked(4, 1, balance);
        state.look(now());
        state.prefer_first(2);
        let mut picked: Vec<_> = (0..4)
            .map(|number| runs(&mut state, call(number)).worker)
            .collect();
        picked[..2].sort_unstable();
        picked[2..].sort_unstable();
        assert_eq!(picked, [0, 1, 2, 3], "{name}");
        for (number, worker) in [(4, 1), (5, 0), (6, 3)] {
            finish(&mut state, worker, 0);
            assert_eq!(next(&mut state, worker, 0), None);
            let work = WorkType::ALL[number as usize % WorkType::ALL.len()];
            let call = Call {
                work,
                ..call(number)
            };
            assert_eq!(runs(&mut state, call).worker, worker, "{name}");
        }
    }
}

#[test]
fn random_gives_each_worker_its_share() {
    let mut state = parked(4, 1, Balance::Random);
    let had = shares(&mut state, 4_000, |_| MS);
    assert!(had.iter().all(|it| (900..1_100).contains(it)), "{had:?}");
}

#[test]
fn power_of_two_never_selects_the_most_loaded_of_all() {
    let mut state = parked(3, 2, Balance::PowerOfTwo);
    let first = runs(&mut state, call(0));
    // One of the two that are drawn is always one that runs nothing.
    for number in 1..100 {
        let at = runs(&mut state, call(number));
        assert_ne!(at.worker, first.worker);
        finish(&mut state, at.worker, at.lane);
        assert_eq!(next(&mut state, at.worker, at.lane), None);
    }
}

#[test]
fn peak_ewma_leaves_a_slow_worker_alone_and_comes_back_to_it() {
    let mut state = parked(3, 1, Balance::PeakEwma);
    let slow = |worker| if worker == 0 { 100 * MS } else { MS };
    let had = shares(&mut state, 1_000, slow);
    assert!(had[0] <= 3, "{had:?}");
    // It is fast again, and its peak is forgotten after some time.
    let had = shares(&mut state, 200_000, |_| MS);
    assert!(had[0] > 10_000, "{had:?}");
}

/// Also by time in which no call has ended.
#[test]
fn peak_ewma_forgets_a_peak_while_the_pool_is_idle() {
    let mut state = parked(2, 1, Balance::PeakEwma);
    let slow = |worker| if worker == 0 { 100 * MS } else { 50 * MS };
    shares(&mut state, 2, slow);
    let clock = state.looked_at.unwrap();
    for (passed, latency) in [(0, 100), (60, 0)] {
        let later = clock + passed * 1_000 * MS;
        let submitted = state.submit(call(1), true, || later);
        let Submitted::Queued { unpark, .. } = submitted else {
            panic!("it was refused");
        };
        let at = unpark.expect("a lane").at;
        let now = state.looked_at.unwrap();
        let seen = state.workers[0].load.latency(now).as_millis();
        assert!(seen <= latency && seen * 2 >= latency, "{seen} ms");
        assert_eq!(next(&mut state, at.worker, at.lane), Some(1));
        finish(&mut state, at.worker, at.lane);
        assert_eq!(next(&mut state, at.worker, at.lane), None);
    }
}

#[test]
fn adaptive_prefers_workers_whose_calls_do_not_fail() {
    let mut state = parked(2, 1, Balance::Adaptive);
    let mut clock = Instant::now();
    let mut had = [0, 0];
    for number in 0..1_000 {
        state.look(clock);
        let at = runs(&mut state, call(number));
        had[at.worker] += 1;
        clock = clock + MS;
        state.look(clock);
        let how = if at.worker == 0 {
            How::Failed
        } else {
            How::Answered
        };
        let _finished = state.finish(super::at(at.worker, at.lane), how);
        assert_eq!(next(&mut state, at.worker, at.lane), None);
    }
    assert!(had[0] < 100, "{had:?}");
}

#[test]
fn weighted_keeps_to_the_weights() {
    let mut state = parked(3, 1, Balance::weighted([1, 3, 0]));
    let had = shares(&mut state, 400, |_| MS);
    assert_eq!(had, [100, 300, 0]);
    // The worker of weight 0 is there if no other has room.
    let busy = [
        runs(&mut state, call(1)).worker,
        runs(&mut state, call(2)).worker,
    ];
    assert!(!busy.contains(&2));
    assert_eq!(runs(&mut state, call(3)).worker, 2);
}

#[test]
fn weighted_does_not_make_up_for_a_time_without_room() {
    let mut state = parked(2, 1, Balance::weighted([1, 1]));
    let signs = state.signs();
    signs.enter(0);
    assert_eq!(shares(&mut state, 100, |_| MS), [0, 100]);
    signs.leave(0);
    let had = shares(&mut state, 100, |_| MS);
    assert!(had[0].abs_diff(had[1]) <= 2, "{had:?}");
}

#[test]
fn work_types_are_spread_over_the_workers() {
    for work in [WorkType::Cpu, WorkType::Memory, WorkType::Io] {
        let mut state = parked(3, 4, Balance::default());
        let of_type = |number| Call {
            work,
            ..call(number)
        };
        // Three calls of no type in between turn the round.
        let mut had = [0; 3];
        for number in 0..6 {
            had[runs(&mut state, of_type(number)).worker] += 1;
            if number % 2 == 0 {
                runs(&mut state, call(100 + number));
            }
        }
        assert_eq!(had, [2, 2, 2], "{work:?}");
    }
}

/// Also when the call was lost with its worker, or the lane was woken for it and another one took it.
#[test]
fn the_calls_of_a_type_are_counted_exactly() {
    let mut state = parked(2, 2, Balance::default());
    let cpu = |number| Call {
        work: WorkType::Cpu,
        ..call(number)
    };
    let first = queued(&mut state, cpu(1)).1.unwrap();
    let second = queued(&mut state, cpu(2)).1.unwrap();
    assert_ne!(first.worker, second.worker);
    // The one that asks first takes the first call; the other call goes with its worker.
    assert_eq!(next(&mut state, second.worker, second.lane), Some(1));
    assert_eq!(next(&mut state, first.worker, first.lane), Some(2));
    let lost = state.lose(first.worker, 0, &fault(), Fate::Lost);
    drop(lost);
    finish(&mut state, second.worker, second.lane);
    for worker in &state.workers {
        assert_eq!(worker.load.of(WorkType::Cpu), 0);
    }
}

/// The time that its stream waits for its reader is not the worker's.
#[test]
fn latency_leaves_out_streams_that_wait_and_calls_of_earlier_services() {
    let mut state = parked(1, 2, Balance::PeakEwma);
    let clock = Instant::now();
    state.look(clock);
    let at = runs(&mut state, call(1));
    let (lane, actions) = state.give_back(at);
    drop(actions);
    state.look(clock + 3_600_000 * MS);
    assert!(state.poll_return(at, Waker::noop().clone()).0);
    finish(&mut state, at.worker, at.lane);
    assert!(is_closed(&mut state, 0, at.lane), "one too many");
    assert_eq!(next(&mut state, 0, lane.unwrap()), None);
    assert_eq!(state.workers[0].load.latency(clock), Duration::ZERO);
    // One that was taken before the services were replaced.
    state.look(clock);
    let at = runs(&mut state, call(2));
    let start = state.recycle(0);
    let (lanes, actions) = state.ready(0, start.incarnation, clock);
    drop(actions);
    assert!(lanes.is_some());
    state.look(clock + 3_600_000 * MS);
    finish(&mut state, at.worker, at.lane);
    assert_eq!(state.workers[0].load.latency(clock), Duration::ZERO);
}
