//! Risk: a call is counted twice, for the wrong method, or a quantile is wrong.

use std::sync::Arc;
use std::time::Duration;

use insula_core::Instant;
use insula_rpc::{Ended, How, Ledger as _, MethodDescriptor, MethodKind, Traffic, WorkerId};

use super::Latency;
use super::books::{Books, LaneBooks, Methods, Totals};
use super::times::Times;
use crate::config::Monitor;
use crate::memory::CallMemory;

fn method(name: &'static str) -> (&'static str, MethodDescriptor) {
    let descriptor = MethodDescriptor {
        name,
        id: 0,
        kind: MethodKind::Unary,
        is_idempotent: false,
        work: insula_rpc::WorkType::Balanced,
    };
    ("Contract", descriptor)
}

#[test]
fn quantiles_are_exact_to_one_percent() {
    let mut times = Times::default();
    assert_eq!(times.latency(), Latency::default());
    for micros in 1..=1000 {
        times.record(Duration::from_micros(micros));
    }
    let mut sum = Times::default();
    sum.add(&times);
    let latency = sum.latency();
    assert_eq!(latency.samples, 1000);
    for (seen, expected) in [
        (latency.p50, 500.0),
        (latency.mean, 500.5),
        (latency.p90, 900.0),
        (latency.p99, 990.0),
        (latency.p999, 999.0),
        (latency.max, 1000.0),
    ] {
        let micros = seen.as_secs_f64() * 1e6;
        assert!(
            (micros / expected - 1.0).abs() < 0.011,
            "{micros} for {expected}"
        );
    }
}

#[test]
fn times_are_counted_by_powers_of_two() {
    let mut times = Times::default();
    assert_eq!(times.by_powers(), []);
    for nanos in [1, 2, 3, 4, 5, 1000, 1_000_000, 1_040_000, 1_100_000] {
        times.record(Duration::from_nanos(nanos));
    }
    let powers = times.by_powers().into_iter();
    let powers: Vec<_> = powers
        .map(|(time, count)| (time.as_nanos(), count))
        .collect();
    // The last two: 2^20 is 1,048,576.
    let expected = [
        (1, 1),
        (2, 1),
        (4, 2),
        (8, 1),
        (1024, 1),
        (1 << 20, 2),
        (1 << 21, 1),
    ];
    assert_eq!(powers, expected);
}

#[test]
fn a_lane_books_each_call_once() {
    let methods = Methods::new(
        vec![method("first"), method("second")],
        Monitor::default(),
        &Arc::default(),
    );
    let books = Arc::new(Books::new(&methods, WorkerId::new(0)));
    let state = books.open();
    let lane = LaneBooks::new(&state);
    lane.begin(1);
    lane.time(Instant::now(), Instant::now());
    lane.record(&Ended {
        how: How::Answered,
        has_run: true,
        is_late: false,
        traffic: Traffic::moved(7),
    });
    lane.begin(0);
    lane.record(&Ended {
        how: How::Panicked,
        has_run: true,
        is_late: false,
        traffic: Traffic::default(),
    });
    let mut totals = Totals::default();
    books.add_to(&mut totals);
    assert_eq!(totals.count(How::Answered), 1);
    assert_eq!(
        (totals.traffic().bytes_moved, totals.run_time().samples),
        (7, 1)
    );
    let stats = books.snapshot(WorkerId::new(0), None);
    assert_eq!((stats.calls, stats.panicked), (2, 1));
    assert_eq!(stats.methods, [1, 1]);
    let [first, second] = &methods.snapshot(&[books])[..] else {
        panic!("two methods")
    };
    assert_eq!(
        (first.method, first.panicked, first.calls()),
        ("first", 1, 1)
    );
    assert_eq!(first.run_time.samples, 0);
    assert_eq!(
        (second.method, second.answered, second.calls()),
        ("second", 1, 1)
    );
    assert_eq!(
        (second.traffic.bytes_moved, second.run_time.samples),
        (7, 1)
    );
    for times in [
        second.queue_wait,
        second.latency,
        stats.queue_wait,
        stats.latency,
    ] {
        assert_eq!(times.samples, 1);
    }
}

/// A call that a worker answers at once.
fn answered() -> Ended {
    Ended {
        how: How::Answered,
        has_run: true,
        is_late: false,
        traffic: Traffic::moved(1),
    }
}

/// An earlier state has streams that end while the next one runs calls, on another thread. A third
/// thread reads the counts all the time.
#[test]
fn two_states_of_a_worker_count_at_once_and_nothing_is_lost() {
    const CALLS: u64 = 20_000;
    let names = vec![method("one")];
    let methods = Methods::new(names, Monitor::memory(), &Arc::default());
    let books = Arc::new(Books::new(&methods, WorkerId::new(0)));
    std::thread::scope(|scope| {
        let states: Vec<_> = (0..2).map(|_| books.open()).collect();
        let writers: Vec<_> = states
            .into_iter()
            .map(|state| {
                scope.spawn(move || {
                    let lane = LaneBooks::new(&state);
                    for _ in 0..CALLS {
                        lane.begin(0);
                        lane.time(Instant::now(), Instant::now());
                        lane.record(&answered());
                    }
                })
            })
            .collect();
        let mut before = 0;
        while !writers.iter().all(|it| it.is_finished()) {
            let stats = books.snapshot(WorkerId::new(0), None);
            assert!(before <= stats.calls, "{before} of {}", stats.calls);
            assert!(stats.run_time.samples <= 2 * CALLS);
            before = stats.calls;
        }
    });
    let stats = books.snapshot(WorkerId::new(0), None);
    assert_eq!(stats.calls, 2 * CALLS);
    assert_eq!(stats.run_time.samples, 2 * CALLS);
    let methods = methods.snapshot(&[books]);
    assert_eq!(methods[0].answered, 2 * CALLS);
    assert_eq!(methods[0].latency.samples, 2 * CALLS);
    assert_eq!(methods[0].traffic.bytes_moved, 2 * CALLS);
}

#[test]
fn what_a_state_has_counted_stays_when_it_is_over() {
    let methods = Methods::new(vec![method("one")], Monitor::memory(), &Arc::default());
    let books = Arc::new(Books::new(&methods, WorkerId::new(0)));
    for (allocated, peak) in [(5, 3), (7, 4), (1, 1)] {
        let state = books.open();
        let lane = LaneBooks::new(&state);
        lane.begin(0);
        lane.time(Instant::now(), Instant::now());
        assert_eq!(lane.take_end(), None);
        lane.record(&answered());
        assert!(lane.take_end().is_some());
        assert_eq!(lane.take_end(), None);
        state.add_memory(0, &CallMemory::of(allocated, peak));
    }
    let sums = books.method_memory(0);
    assert_eq!((sums.allocated, sums.peak), (13, 4));
    let stats = books.snapshot(WorkerId::new(0), None);
    assert_eq!((stats.calls, stats.queue_wait.samples), (3, 3));
}
