//! Risk: a table with wrong figures.

use std::time::Duration;

use insula::pool::PoolStats;

use super::Tally;

#[test]
fn the_table_shows_what_is_known_and_omits_the_rest() {
    let mut tally = Tally::default();
    tally.add_failure();
    let mut pool = PoolStats::default();
    pool.traffic.bytes_moved = 2_500_000;
    pool.run_time.samples = 1;
    pool.run_time.p50 = Duration::from_millis(7);
    let mut summary = tally.summary(Duration::from_secs(2), pool);
    let table = summary.to_string();
    assert!(table.contains("0 made, 1 failed"), "{table}");
    assert!(
        !table.contains("speed-up") && !table.contains("worker"),
        "{table}"
    );
    summary.finished = 5;
    summary.speed_up = Some(1.9);
    let table = summary.to_string();
    for line in [
        "rate            2.5 pictures/s",
        "speed-up        1.90 times one worker",
        "queue           -",
        "run             p50 7.0 ms, p99 0.0 ms",
        "bytes moved     2.5 MB",
        "bytes copied    0 B",
    ] {
        assert!(table.lines().any(|row| row == line), "{line} in {table}");
    }
}
