//! Risk: a wrong instrument makes every table wrong at once.

use std::time::Duration;

use super::{Countdown, Work, median, percentile, resident_bytes, switches_in, thread_cpu};

#[test]
fn median_of_odd_even_and_none() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    assert!(median(&[]).is_nan());
}

#[test]
fn percentile_counts_from_the_sorted_end() {
    let values: Vec<f64> = (1..=100).map(f64::from).collect();
    assert_eq!(percentile(&values, 0.5), 51.0);
    assert_eq!(percentile(&values, 0.99), 100.0);
    assert_eq!(percentile(&values, 1.0), 100.0);
    assert!(percentile(&[], 0.5).is_nan());
}

#[test]
fn countdown_completes_with_the_last_hit_only() {
    let (countdown, mut all_hit) = Countdown::new(2);
    countdown.hit();
    assert!(all_hit.try_recv().is_err());
    countdown.hit();
    assert!(all_hit.try_recv().is_ok());
}

#[test]
fn both_kinds_of_switches_are_added() {
    let status = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
    assert_eq!(switches_in(status), 15);
}

#[test]
fn work_takes_about_its_time_of_cpu() {
    let work = Work::lasting(Duration::from_millis(20));
    let start = thread_cpu();
    work.run();
    let used = thread_cpu() - start;
    assert!(
        used > Duration::from_millis(5) && used < Duration::from_millis(80),
        "{used:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn resident_memory_is_known() {
    assert!(resident_bytes() > 100_000);
}
