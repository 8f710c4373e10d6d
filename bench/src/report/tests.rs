//! Risk: a table that shows a ratio upside down reverses the comparison.

use super::{ahead, number, print_suite};
use crate::case::{Better, Kind};
use crate::run::Row;

fn row(system: &str, better: Better, median: f64) -> Row {
    Row {
        suite: "ports",
        case: "ping-pong".to_owned(),
        system: system.to_owned(),
        kind: Kind::Actor,
        metric: "round trip",
        unit: "ns",
        better,
        median,
        min: median,
        max: median,
        runs: 3,
        values: vec![median; 3],
        version: "1.0.0".to_owned(),
        note: None,
    }
}

#[test]
fn ahead_is_above_one_when_this_project_is_better() {
    let lower = [
        row("insula", Better::Lower, 50.0),
        row("peer", Better::Lower, 100.0),
    ];
    assert_eq!(ahead(&lower[1], &lower), Some(2.0));
    let higher = [
        row("insula", Better::Higher, 50.0),
        row("peer", Better::Higher, 100.0),
    ];
    assert_eq!(ahead(&higher[1], &higher), Some(0.5));
    assert_eq!(ahead(&higher[1], &higher[1..]), None);
}

/// The machine is twice as slow from the second repetition on, and the own third one was disturbed.
#[test]
fn each_repetition_is_compared_with_the_one_beside_it() {
    let mut rows = [
        row("insula", Better::Lower, 0.0),
        row("peer", Better::Lower, 0.0),
    ];
    rows[0].values = vec![10.0, 20.0, 90.0, 20.0, f64::NAN];
    rows[1].values = vec![15.0, 30.0, 30.0, 30.0, 30.0];
    assert_eq!(ahead(&rows[1], &rows), Some(1.5));
}

#[test]
fn numbers_keep_four_digits_at_most() {
    let shown = [0.012_34, 0.5, 12.345, 123.4, 1_234_567.8].map(number);
    assert_eq!(shown, ["0.0123", "0.50", "12.3", "123", "1,234,568"]);
}

#[test]
fn columns_line_up() {
    let rows = [
        row("insula", Better::Lower, 50.0),
        row("a longer name", Better::Lower, 100.0),
    ];
    let mut out = Vec::new();
    print_suite(&mut out, "ports", &rows).unwrap();
    let text = String::from_utf8(out).unwrap();
    let ends: Vec<usize> = text.lines().filter_map(|line| line.find(" ns")).collect();
    assert_eq!(ends.len(), 2);
    assert_eq!(ends[0], ends[1]);
}

#[test]
fn a_row_without_numbers_says_why() {
    let mut missing = row("peer", Better::Higher, f64::NAN);
    (missing.min, missing.max) = (f64::INFINITY, f64::NEG_INFINITY);
    missing.note = Some("not installed".to_owned());
    let rows = [row("insula", Better::Higher, 50.0), missing];
    let mut out = Vec::new();
    print_suite(&mut out, "ports", &rows).unwrap();
    let text = String::from_utf8(out).unwrap();
    let line = text.lines().find(|line| line.contains("peer")).unwrap();
    let cells: Vec<_> = line.split_whitespace().skip(4).collect();
    assert_eq!(cells, ["-", "-", "ns", "3", "-", "not", "installed"]);
    let json = serde_json::to_value(&rows[1]).unwrap();
    assert!(json["median"].is_null());
    assert_eq!(json["note"], "not installed");
}

#[test]
fn a_json_row_has_the_fields_that_readers_expect() {
    let json = serde_json::to_value(row("peer", Better::Lower, 1.0)).unwrap();
    let mut fields: Vec<&str> = json
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    fields.sort_unstable();
    let expected = [
        "better", "case", "kind", "median", "metric", "min", "runs", "suite", "system", "unit",
        "version",
    ];
    assert_eq!(fields, expected);
    assert_eq!(json["better"], "lower");
    assert_eq!(json["kind"], "actor");
}
