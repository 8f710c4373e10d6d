//! The figures of a run, for the table at its end.

use std::fmt;
use std::time::Duration;

use command::{Table, bytes};
use insula::pool::PoolStats;

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
        let mut table = Table::new();
        let (finished, failed) = (self.finished, self.failed);
        table.row("pictures", format_args!("{finished} made, {failed} failed"));
        table.time(self.elapsed);
        table.row("rate", format_args!("{:.1} pictures/s", self.rate()));
        table.speed_up(self.speed_up);
        table.workers(&self.pool, "pictures");
        let Timings {
            decode,
            operations,
            encode,
        } = self.stages;
        let share = |part: Duration| {
            100.0 * part.as_secs_f64() / self.stages.total().as_secs_f64().max(1e-9)
        };
        let (decode, operations, encode) = (share(decode), share(operations), share(encode));
        table.row(
            "stages",
            format_args!(
                "decode {decode:.0} %, operations {operations:.0} %, encode {encode:.0} %"
            ),
        );
        table.row("reduced decodes", self.reduced);
        table.traffic(&self.pool);
        table.row("bytes written", bytes(self.bytes_written));
        table.fmt(f)
    }
}

#[cfg(test)]
mod tests;
