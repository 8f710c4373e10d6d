//! The figures of a run, for the table at its end.

use std::fmt;
use std::time::Duration;

use insula::pool::{Latency, PoolStats};

use crate::{Decoding, ProcessedImage, Timings};

/// Counts results as they arrive.
#[derive(Debug, Default)]
pub struct Tally {
    finished: u64,
    failed: u64,
    reduced: u64,
    bytes_written: u64,
    stages: Timings,
}

impl Tally {
    /// Counts a finished picture.
    pub fn add(&mut self, picture: &ProcessedImage) {
        self.finished += 1;
        self.reduced += u64::from(picture.decoding != Decoding::Full);
        self.bytes_written += picture.bytes.len() as u64;
        self.stages.decode += picture.timings.decode;
        self.stages.operations += picture.timings.operations;
        self.stages.encode += picture.timings.encode;
    }

    /// Counts a file that gave no picture.
    pub fn add_failure(&mut self) {
        self.failed += 1;
    }

    /// Returns the figures of a run that took `elapsed` on a pool with these statistics.
    pub fn summary(self, elapsed: Duration, pool: PoolStats) -> Summary {
        Summary {
            finished: self.finished,
            failed: self.failed,
            reduced: self.reduced,
            bytes_written: self.bytes_written,
            elapsed,
            stages: self.stages,
            pool,
            speed_up: None,
        }
    }
}

/// The figures of a run. Its `Display` is the table that the program prints.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// Finished pictures.
    pub finished: u64,
    /// Files that gave no picture.
    pub failed: u64,
    /// Pictures decoded directly to a reduced size.
    pub reduced: u64,
    /// Bytes of the finished pictures.
    pub bytes_written: u64,
    /// Time from the first file read to the last file written.
    pub elapsed: Duration,
    /// Time per stage, summed over all pictures and workers.
    pub stages: Timings,
    /// The pool's counters. A picture that fails on its worker counts here too; an unreadable file
    /// does not reach the pool.
    pub pool: PoolStats,
    /// The rate relative to that of one worker on the same files.
    pub speed_up: Option<f64>,
}

impl Summary {
    /// Returns the finished pictures per second.
    pub fn rate(&self) -> f64 {
        // A run in which every file fails at once may take no time that the clock can show.
        self.finished as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut row = |name: &str, value: String| writeln!(f, "{name:<16}{value}");
        row(
            "pictures",
            format!("{} made, {} failed", self.finished, self.failed),
        )?;
        row("time", format!("{:.2} s", self.elapsed.as_secs_f64()))?;
        row("rate", format!("{:.1} pictures/s", self.rate()))?;
        if let Some(speed_up) = self.speed_up {
            row("speed-up", format!("{speed_up:.2} times one worker"))?;
        }
        for worker in &self.pool.workers {
            row(
                &format!("worker {}", worker.id),
                format!("{} pictures", worker.calls),
            )?;
        }
        row("queue", latency(&self.pool.queue_wait))?;
        row("run", latency(&self.pool.run_time))?;
        let Timings {
            decode,
            operations,
            encode,
        } = self.stages;
        let share = |part: Duration| {
            100.0 * part.as_secs_f64() / self.stages.total().as_secs_f64().max(1e-9)
        };
        let (decode, operations, encode) = (share(decode), share(operations), share(encode));
        row(
            "stages",
            format!("decode {decode:.0} %, operations {operations:.0} %, encode {encode:.0} %"),
        )?;
        row("reduced decodes", self.reduced.to_string())?;
        row("bytes moved", bytes(self.pool.traffic.bytes_moved))?;
        row("bytes copied", bytes(self.pool.traffic.bytes_copied))?;
        row("bytes written", bytes(self.bytes_written))
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

fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", count as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", count as f64 / 1e6),
        _ => format!("{:.2} GB", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests;
