//! The table at the end of a run.

use std::fmt::{self, Display};
use std::time::Duration;

use insula::pool::{Latency, PoolStats};

/// Lines with a name and a value each. Its `Display` is what a program prints.
#[derive(Clone, Debug, Default)]
pub struct Table(Vec<(String, String)>);

impl Table {
    /// Creates a table without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    pub fn row(&mut self, name: impl Into<String>, value: impl Display) {
        self.0.push((name.into(), value.to_string()));
    }

    /// Adds the time of a run.
    pub fn time(&mut self, elapsed: Duration) {
        self.row("time", format_args!("{:.2} s", elapsed.as_secs_f64()));
    }

    /// Adds the rate relative to that of one worker, if it is known.
    pub fn speed_up(&mut self, factor: Option<f64>) {
        if let Some(factor) = factor {
            self.row("speed-up", format_args!("{factor:.2} times one worker"));
        }
    }

    /// Adds what each worker has done, in calls that are called `unit` in the plural, and the waits
    /// and run times of all.
    pub fn workers(&mut self, pool: &PoolStats, unit: &str) {
        for worker in &pool.workers {
            self.row(
                format!("worker {}", worker.id),
                format_args!("{} {unit}", worker.calls),
            );
        }
        self.row("queue", latency(&pool.queue_wait));
        self.row("run", latency(&pool.run_time));
    }

    /// Adds the bytes that were moved between isolates, and those that were copied.
    pub fn traffic(&mut self, pool: &PoolStats) {
        self.row("bytes moved", bytes(pool.traffic.bytes_moved));
        self.row("bytes copied", bytes(pool.traffic.bytes_copied));
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.0 {
            writeln!(f, "{name:<16}{value}")?;
        }
        Ok(())
    }
}

/// Returns the rate of a run relative to that of the same work with one worker, which took `alone`.
pub fn speed_up(alone: Duration, elapsed: Duration) -> f64 {
    // A run may take no time that the clock can show, and the quotient would be infinite.
    alone.as_secs_f64() / elapsed.as_secs_f64().max(1e-9)
}

/// Returns a number of bytes with its unit.
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

fn latency(latency: &Latency) -> String {
    let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
    match latency.samples {
        0 => "-".to_owned(),
        _ => format!(
            "p50 {:.1} ms, p99 {:.1} ms",
            ms(latency.p50),
            ms(latency.p99)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_begin_in_one_column() {
        let mut table = Table::new();
        table.row("items", 12);
        table.time(Duration::from_millis(1_234));
        table.speed_up(None);
        table.speed_up(Some(1.5));
        assert_eq!(
            table.to_string(),
            "items           12\ntime            1.23 s\nspeed-up        1.50 times one worker\n"
        );
    }

    #[test]
    fn bytes_have_the_unit_of_their_size() {
        let texts = [999, 1_000, 2_500_000, 3_000_000_000].map(bytes);
        assert_eq!(texts, ["999 B", "1.0 kB", "2.5 MB", "3.00 GB"]);
    }

    #[test]
    fn a_run_without_time_has_a_finite_speed_up() {
        assert!(speed_up(Duration::from_secs(1), Duration::ZERO).is_finite());
    }
}
