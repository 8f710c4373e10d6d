//! The figures of a run, for the table at its end.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use command::{Table, bytes};
use insula::pool::PoolStats;
use serde::Serialize;

use crate::statistics::Shown;
use crate::{BadRows, Ingested, Layout, Processed, Statistics};

/// Counts chunks as they come back.
#[derive(Debug, Default)]
pub struct Tally {
    missing: u64,
    bad: BadRows,
    values: Statistics,
    results: Statistics,
    bytes_read: u64,
    failed: u64,
}

impl Tally {
    /// Counts a processed chunk of `bytes` bytes.
    pub fn add(&mut self, bytes: usize, processed: &Processed) {
        self.missing += processed.missing;
        self.bad.merge(processed.bad.clone());
        self.values.merge(&processed.values);
        self.results.merge(&processed.results);
        self.bytes_read += bytes as u64;
    }

    /// Counts a chunk that could not be processed at all.
    pub fn add_failure(&mut self) {
        self.failed += 1;
    }

    /// Counts rows that are in no chunk.
    pub fn add_bad(&mut self, rows: BadRows) {
        self.bad.merge(rows);
    }

    /// Counts what was ingested from `bytes` bytes.
    pub fn add_ingested(&mut self, bytes: u64, ingested: &Ingested) {
        self.missing += ingested.missing;
        self.bad.merge(ingested.bad.clone());
        self.values.merge(&ingested.values);
        self.bytes_read += bytes;
    }

    /// Returns the rows that could not be processed so far.
    pub fn bad(&self) -> &BadRows {
        &self.bad
    }

    /// Returns how many chunks could not be processed at all.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Returns the figures of a run over records of this layout, that took `elapsed` on a pool with
    /// these statistics.
    pub fn summary(self, layout: Arc<Layout>, elapsed: Duration, pool: PoolStats) -> Summary {
        Summary {
            layout,
            items: self.values.count(),
            missing: self.missing,
            bad: self.bad.count,
            values: self.values,
            results: self.results,
            bytes_read: self.bytes_read,
            elapsed,
            failed: self.failed,
            pool,
            speed_up: None,
        }
    }
}

/// The figures of a run. Its `Display` is the table that the program prints.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The fields that were read.
    pub layout: Arc<Layout>,
    /// Records that were processed.
    pub items: u64,
    /// Records without a number.
    pub missing: u64,
    /// Rows that could not be processed.
    pub bad: u64,
    /// The statistics of the numbers.
    pub values: Statistics,
    /// Those of the results.
    pub results: Statistics,
    /// The bytes of text in all chunks.
    pub bytes_read: u64,
    /// Time from the first chunk to the last result written.
    pub elapsed: Duration,
    /// Chunks that could not be processed at all.
    pub failed: u64,
    /// The pool's counters.
    pub pool: PoolStats,
    /// The rate relative to that of one worker on the same file.
    pub speed_up: Option<f64>,
}

impl Summary {
    /// Returns the processed records per second.
    pub fn rate(&self) -> f64 {
        // A run without records may take no time that the clock can show.
        self.items as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Returns the figures as JSON, for programs.
    pub fn json(&self) -> String {
        let shown = Json {
            id_field: &self.layout.id.name,
            value_field: &self.layout.value.name,
            items: self.items,
            missing: self.missing,
            bad: self.bad,
            failed_chunks: self.failed,
            seconds: self.elapsed.as_secs_f64(),
            items_per_second: self.rate(),
            speed_up: self.speed_up,
            values: self.values.shown(),
            results: (self.results.count() > 0).then(|| self.results.shown()),
            bytes_read: self.bytes_read,
            bytes_moved: self.pool.traffic.bytes_moved,
            bytes_copied: self.pool.traffic.bytes_copied,
            workers: self.pool.workers.iter().map(|it| it.calls).collect(),
        };
        // Numbers and names always have a form in JSON.
        serde_json::to_string_pretty(&shown).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Json<'a> {
    id_field: &'a str,
    value_field: &'a str,
    items: u64,
    missing: u64,
    bad: u64,
    failed_chunks: u64,
    seconds: f64,
    items_per_second: f64,
    speed_up: Option<f64>,
    values: Shown,
    results: Option<Shown>,
    bytes_read: u64,
    bytes_moved: u64,
    bytes_copied: u64,
    /// The calls of each worker.
    workers: Vec<u64>,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        let Self {
            layout,
            items,
            missing,
            bad,
            ..
        } = self;
        let (id, value) = (&layout.id.name, &layout.value.name);
        table.row(
            "fields",
            format_args!("numbers of `{value}`, named by `{id}`"),
        );
        table.row(
            "items",
            format_args!("{items} processed, {missing} without a number, {bad} bad"),
        );
        if self.failed > 0 {
            table.row("failed chunks", self.failed);
        }
        table.time(self.elapsed);
        table.row("rate", format_args!("{:.0} items/s", self.rate()));
        table.speed_up(self.speed_up);
        table.row("values", line(&self.values));
        if self.results.count() > 0 {
            table.row("results", line(&self.results));
        }
        table.workers(&self.pool, "chunks");
        if self.bytes_read > 0 {
            table.row("bytes read", bytes(self.bytes_read));
        }
        table.traffic(&self.pool);
        table.fmt(f)
    }
}

fn line(statistics: &Statistics) -> String {
    let Shown { mean, min, max, .. } = statistics.shown();
    let deviation = statistics.standard_deviation();
    let number = |number: Option<f64>| number.map_or("-".to_owned(), |it| format!("{it:.6}"));
    let [mean, deviation, min, max] = [mean, deviation, min, max].map(number);
    format!("mean {mean}, deviation {deviation}, from {min} to {max}")
}
