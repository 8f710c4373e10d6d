//! A profiler for the operations of a program.

use std::collections::BTreeMap;
use std::time::Duration;

use insula_core::Instant;
use insula_sync::Mutex;

use super::report::rate;
use crate::stats::Latency;
use crate::stats::times::Times;

/// Collects the times and the throughput of named operations, of a pool's callers or of anything
/// else.
///
/// ```
/// use std::time::Duration;
/// use insula_pool::Profiler;
///
/// let profiler = Profiler::new();
/// profiler.record("parse", Duration::from_micros(120));
/// profiler.record("parse", Duration::from_micros(180));
/// profiler.record_throughput("rows", 5_000);
///
/// let report = profiler.report();
/// let parse = &report.operations["parse"];
/// assert_eq!((parse.count, parse.latency.samples), (2, 2));
/// assert!(parse.latency.max >= Duration::from_micros(178));
/// assert_eq!(report.operations["rows"].count, 5_000);
/// ```
///
/// An operation takes 30 KB once a time was recorded, however many are. Recording takes a lock; a
/// profiler can be shared by reference or in an `Arc`.
#[derive(Debug)]
pub struct Profiler {
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    began: Instant,
    /// As many as names are used, which the program bounds.
    operations: BTreeMap<String, Operation>,
}

#[derive(Debug, Clone, Default)]
struct Operation {
    count: u64,
    times: Times,
}

/// The figures that a [`Profiler`] has collected.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProfilerReport {
    /// The time since the profiler was made or [reset](Profiler::reset).
    pub elapsed: Duration,
    /// The operations by name.
    pub operations: BTreeMap<String, OperationReport>,
}

/// The figures of one operation.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OperationReport {
    /// The number of recorded times, and of operations without one.
    pub count: u64,
    /// The same, per second of the time that has really passed. Zero if no time has passed.
    pub per_second: f64,
    /// The recorded times. Times beyond a day count as a day.
    pub latency: Latency,
}

impl Default for Profiler {
    fn default() -> Self {
        Self::new()
    }
}

impl Profiler {
    /// Makes a profiler, whose time begins now.
    pub fn new() -> Self {
        Self {
            inside: Mutex::new(Inside::new()),
        }
    }

    /// Records that an operation took `time`.
    pub fn record(&self, operation: &str, time: Duration) {
        self.update(operation, |it| {
            it.count = it.count.saturating_add(1);
            it.times.record(time);
        });
    }

    /// Records `count` operations without their times.
    pub fn record_throughput(&self, operation: &str, count: u64) {
        self.update(operation, |it| it.count = it.count.saturating_add(count));
    }

    fn update(&self, operation: &str, update: impl FnOnce(&mut Operation)) {
        let mut inside = self.inside.lock();
        match inside.operations.get_mut(operation) {
            Some(known) => update(known),
            // Looked up first, since most are known, and an entry would need a name of its own.
            None => update(inside.operations.entry(operation.to_owned()).or_default()),
        }
    }

    /// Reports what was collected so far.
    #[must_use]
    pub fn report(&self) -> ProfilerReport {
        self.inside.lock().report()
    }

    /// Reports what was collected, and begins anew. Nothing that is recorded at the same time is
    /// lost.
    pub fn reset(&self) -> ProfilerReport {
        let before = std::mem::replace(&mut *self.inside.lock(), Inside::new());
        before.report()
    }
}

impl Inside {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            operations: BTreeMap::new(),
        }
    }

    fn report(&self) -> ProfilerReport {
        let elapsed = Instant::now().saturating_duration_since(self.began);
        let operations = self.operations.iter().map(|(name, operation)| {
            let report = OperationReport {
                count: operation.count,
                per_second: rate(operation.count as f64, elapsed),
                latency: operation.times.latency(),
            };
            (name.clone(), report)
        });
        ProfilerReport {
            elapsed,
            operations: operations.collect(),
        }
    }
}
