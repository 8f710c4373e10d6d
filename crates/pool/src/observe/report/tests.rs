//! Risk: a rate is not a number, or a part of a report is of another span than its rest.

use super::*;

#[test]
fn report_of_no_time_has_no_rate() {
    assert_eq!(rate(5.0, Duration::ZERO), 0.0);
    assert_eq!(rate(5.0, Duration::from_millis(500)), 10.0);
    assert_eq!(cpu_usage(None, None, Duration::ZERO), None);
    let second = Some(Duration::from_secs(1));
    assert_eq!(cpu_usage(second, None, Duration::ZERO), Some(0.0));
    assert_eq!(cpu_usage(second, second, Duration::from_secs(1)), Some(0.0));
    assert_eq!(cpu_usage(second, None, Duration::from_secs(2)), Some(0.5));
}

#[test]
fn report_of_recent_times_forgets_earlier_ones() {
    let mut times = Times::default();
    times.record(Duration::from_secs(1000));
    let before = times.clone();
    assert_eq!(times.since(&before).latency(), Latency::default());
    times.record(Duration::from_millis(10));
    let recent = times.since(&before).latency();
    assert_eq!(recent.samples, 1);
    assert!(recent.max < Duration::from_millis(11), "{recent:?}");
    assert!(recent.mean > Duration::from_millis(9), "{recent:?}");
    assert_eq!(times.since(&Times::default()).latency().samples, 2);
}
