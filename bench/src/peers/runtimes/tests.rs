//! Risk: a line of another case, or in another unit, ends up in a row.

use super::numbers;
use crate::case::Metric;

#[test]
fn one_metric_takes_the_line_of_its_case() {
    let sample = numbers(
        "other\t1\tns\nask\t384.5\tns\n",
        "ask",
        &[Metric::lower("x", "ns")],
    );
    assert_eq!(sample.0, [384.5]);
}

#[test]
fn several_metrics_take_their_own_lines() {
    let metrics = [
        Metric::lower("spawned", "ns each"),
        Metric::lower("ended", "ns each"),
    ];
    let sample = numbers("spawn/spawned\t2\tns each\n", "spawn", &metrics);
    assert_eq!(sample.0[0], 2.0);
    assert!(sample.0[1].is_nan());
}

#[test]
fn another_unit_is_no_number() {
    let sample = numbers("ask\t384\tus\n", "ask", &[Metric::lower("x", "ns")]);
    assert!(sample.0[0].is_nan());
}
