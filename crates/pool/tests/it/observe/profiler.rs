//! Risk: a profiler divides by zero, grows with each record, or counts over another time than has
//! passed.

use std::time::Duration;

use insula_core::sleep;
use insula_pool::{Latency, Profiler};

use super::seeded;

#[test]
fn profiler_without_records_or_time_has_a_report() {
    seeded(|| async {
        let profiler = Profiler::new();
        assert!(profiler.report().operations.is_empty());
        // On virtual time none has passed.
        profiler.record_throughput("rows", u64::MAX);
        profiler.record_throughput("rows", 1);
        let report = profiler.report();
        let rows = &report.operations["rows"];
        assert!(rows.per_second.is_finite());
        assert_eq!((rows.count, rows.latency), (u64::MAX, Latency::default()));
    });
}

#[test]
fn profiler_rates_are_over_the_time_that_has_passed() {
    seeded(|| async {
        let profiler = Profiler::new();
        sleep(Duration::from_secs(5)).await;
        profiler.record_throughput("rows", 50);
        for _ in 0..5 {
            profiler.record("parse", Duration::from_millis(3));
        }
        let report = profiler.report();
        let near = |seen: f64, expected: f64| (seen / expected - 1.0).abs() < 0.01;
        assert!(near(report.elapsed.as_secs_f64(), 5.0), "{report:?}");
        assert!(
            near(report.operations["rows"].per_second, 10.0),
            "{report:?}"
        );
        assert!(
            near(report.operations["parse"].per_second, 1.0),
            "{report:?}"
        );
    });
}

#[test]
fn profiler_keeps_the_quantiles_of_any_number_of_times() {
    let profiler = Profiler::new();
    for micros in 1..=100_000 {
        profiler.record("step", Duration::from_micros(micros));
    }
    profiler.record("long", Duration::MAX);
    let report = profiler.report();
    let step = report.operations["step"].latency;
    assert_eq!(step.samples, 100_000);
    for (seen, expected) in [(step.p50, 0.05), (step.p90, 0.09), (step.p99, 0.099)] {
        let seconds = seen.as_secs_f64();
        assert!(
            (seconds / expected - 1.0).abs() < 0.011,
            "{seconds} for {expected}"
        );
    }
    let long = report.operations["long"].latency;
    assert!(long.max > Duration::from_secs(23 * 3600), "{long:?}");
}

#[test]
fn profiler_reset_begins_anew() {
    seeded(|| async {
        let profiler = Profiler::default();
        profiler.record("step", Duration::from_secs(1));
        sleep(Duration::from_secs(60)).await;
        assert_eq!(profiler.reset().operations["step"].count, 1);
        let report = profiler.report();
        assert!(report.operations.is_empty());
        assert!(report.elapsed < Duration::from_secs(1));
    });
}
