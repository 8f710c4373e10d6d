//! Risk: a table with wrong figures.

use std::time::Duration;

use super::{Percentiles, Tally, Transfer, WorkerCount, bytes};

#[test]
fn percentiles_by_nearest_rank() {
    let of = |values: std::ops::RangeInclusive<u64>| {
        let percentiles = Percentiles::of(values.map(Duration::from_millis).collect())?;
        Some((percentiles.p50.as_millis(), percentiles.p99.as_millis()))
    };
    assert_eq!(of(1..=100), Some((50, 99)));
    assert_eq!(of(1..=1000), Some((500, 990)));
    assert_eq!(of(7..=7), Some((7, 7)));
    assert_eq!(Percentiles::of(Vec::new()), None);
}

#[test]
fn the_table_shows_what_is_known_and_omits_the_rest() {
    let mut tally = Tally::default();
    tally.add_failure();
    let mut summary = tally.summary(Duration::from_secs(2));
    let table = summary.to_string();
    assert!(table.contains("0 made, 1 failed"), "{table}");
    assert!(
        !table.contains("speed-up") && !table.contains("queue"),
        "{table}"
    );
    summary.finished = 5;
    summary.speed_up = Some(1.9);
    summary.workers = vec![WorkerCount {
        name: "worker 0".to_owned(),
        pictures: 5,
    }];
    summary.transfer = Some(Transfer {
        moved: 2_500_000,
        copied: 0,
    });
    let table = summary.to_string();
    for part in [
        "2.5 pictures/s",
        "1.90 times",
        "worker 0",
        "5 pictures",
        "2.5 MB",
        "0 B",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
}

#[test]
fn byte_counts_have_fitting_units() {
    assert_eq!(bytes(999), "999 B");
    assert_eq!(bytes(1_500), "1.5 kB");
    assert_eq!(bytes(12_340_000), "12.3 MB");
    assert_eq!(bytes(3_210_000_000), "3.21 GB");
}
