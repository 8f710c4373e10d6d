//! Reports on the performance of a pool.

mod memory;

use std::time::Duration;

use insula_core::Instant;
use insula_rpc::{Calls, Traffic, WorkerId};

use crate::shared::Shared;
use crate::stats::times::Times;
use crate::stats::{Latency, PoolStats, PoolStatus, WorkerCondition, WorkerStats, WorkerStatus};

/// The performance of a pool, since the report before and since the pool was built.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct PerformanceReport {
    /// The pool's name.
    pub pool: String,
    /// Everything since the report before; for the first one, since the pool was built.
    pub recent: Performance,
    /// Everything since the pool was built.
    pub total: Performance,
    /// Calls in the queue now.
    pub queued: usize,
    /// Calls that wait now for room in the queue.
    pub waiting: usize,
    /// Bytes of the process's memory that are resident now: of the whole process, since workers
    /// share its memory. `None` if that cannot be read, as on systems other than Linux.
    pub memory_usage: Option<u64>,
    /// The most bytes that were resident since the process began; `None` as above.
    pub max_memory_usage: Option<u64>,
    /// One entry per worker, by its index.
    pub workers: Vec<WorkerReport>,
}

/// The performance in a span of time.
///
/// Rates are over the time that has really passed on the runtime's clock. They are zero if no time
/// has passed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub struct Performance {
    /// The length of the span.
    pub elapsed: Duration,
    /// Calls that ended with a response or with an error of their handler.
    pub operations: u64,
    /// The same, per second.
    pub operations_per_second: f64,
    /// The time on the CPU that the workers took, as a part of the time that has passed: 1.0 is one
    /// core. `None` if it is not measured; see [`Monitor::cpu`](crate::Monitor::cpu).
    pub cpu_usage: Option<f64>,
    /// The mean of `latency`.
    pub average_latency: Duration,
    /// The time from the submission to the end, of the calls that were timed. See
    /// [`PoolBuilder::measure`](crate::PoolBuilder::measure).
    pub latency: Latency,
    /// Calls that were not admitted, or turned away.
    pub rejected: u64,
    /// Calls that were dropped from a queue that was full or too slow.
    pub shed: u64,
    /// Calls that were cancelled.
    pub cancelled: u64,
    /// Calls whose deadline passed.
    pub expired: u64,
    /// Calls whose handler panicked.
    pub panicked: u64,
    /// Calls whose worker ended, or was given up, while they ran.
    pub died: u64,
    /// Times that the services of a worker were built again.
    pub rebuilds: u64,
    /// Bytes of requests, responses and items.
    pub traffic: Traffic,
}

/// The performance of one worker.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct WorkerReport {
    /// The worker.
    pub id: WorkerId,
    /// Its condition now.
    pub condition: WorkerCondition,
    /// The number of times that its services were built before.
    pub incarnation: u32,
    /// Calls that it runs now.
    pub busy: usize,
    /// Calls that it has ended since the report before.
    pub recent_calls: u64,
    /// Calls that it has ended since the pool was built.
    pub total_calls: u64,
    /// The time on the CPU that it took since the report before, as a part of the time that has
    /// passed. `None` if it is not measured.
    pub cpu_usage: Option<f64>,
}

/// The counts up to one moment.
struct Reading {
    at: Instant,
    stats: PoolStats,
    latency: Times,
    rebuilds: u64,
}

/// The reading of the last report, from which the next one counts.
pub(crate) struct Baseline {
    first: Reading,
    before: Option<Reading>,
}

impl Baseline {
    /// Nothing was counted before now.
    pub(crate) fn new() -> Self {
        let first = Reading {
            at: Instant::now(),
            stats: PoolStats::default(),
            latency: Times::default(),
            rebuilds: 0,
        };
        let before = None;
        Self { first, before }
    }

    /// Reports what has happened since the call before. `status` was asked for just now.
    pub(crate) fn report<C: Calls>(
        &mut self,
        shared: &Shared<C>,
        status: PoolStatus,
    ) -> PerformanceReport {
        let now = Reading::of(shared, &status);
        let before = self.before.as_ref().unwrap_or(&self.first);
        let memory = memory::read();
        let recent = now.since(before);
        let rows = status.workers.into_iter().zip(&now.stats.workers);
        let report = PerformanceReport {
            pool: status.name,
            recent,
            total: now.since(&self.first),
            queued: status.queued,
            waiting: status.waiting,
            memory_usage: memory.resident,
            max_memory_usage: memory.peak,
            workers: rows
                .map(|(status, stats)| {
                    let before = before.stats.workers.get(stats.id.index());
                    WorkerReport::new(status, stats, before, recent.elapsed)
                })
                .collect(),
        };
        self.before = Some(now);
        report
    }
}

impl Reading {
    fn of<C: Calls>(shared: &Shared<C>, status: &PoolStatus) -> Self {
        let incarnations = status.workers.iter().map(|it| u64::from(it.incarnation));
        Self {
            // Before the counts, which take a while to read with many workers.
            at: Instant::now(),
            rebuilds: incarnations.sum(),
            stats: shared.stats(),
            latency: shared.totals().into_latency(),
        }
    }

    /// The changes between `before` and this.
    fn since(&self, before: &Self) -> Performance {
        let elapsed = self.at.saturating_duration_since(before.at);
        let difference = |count: fn(&PoolStats) -> u64| {
            // Not below zero, though sizes are the user's and their sums wrap.
            count(&self.stats).saturating_sub(count(&before.stats))
        };
        let latency = self.latency.since(&before.latency).latency();
        let operations = difference(|it| it.answered + it.failed);
        Performance {
            elapsed,
            operations,
            operations_per_second: rate(operations as f64, elapsed),
            cpu_usage: cpu_usage(self.stats.cpu_time, before.stats.cpu_time, elapsed),
            average_latency: latency.mean,
            latency,
            rejected: difference(|it| it.rejected),
            shed: difference(|it| it.shed),
            cancelled: difference(|it| it.cancelled),
            expired: difference(|it| it.expired),
            panicked: difference(|it| it.panicked),
            died: difference(|it| it.died),
            rebuilds: self.rebuilds.saturating_sub(before.rebuilds),
            traffic: Traffic {
                bytes_moved: difference(|it| it.traffic.bytes_moved),
                bytes_copied: difference(|it| it.traffic.bytes_copied),
            },
        }
    }
}

impl WorkerReport {
    fn new(
        status: WorkerStatus,
        stats: &WorkerStats,
        before: Option<&WorkerStats>,
        elapsed: Duration,
    ) -> Self {
        let (calls, cpu_time) = before.map_or((0, None), |it| (it.calls, it.cpu_time));
        Self {
            id: status.id,
            condition: status.condition,
            incarnation: status.incarnation,
            busy: status.busy,
            recent_calls: stats.calls.saturating_sub(calls),
            total_calls: stats.calls,
            cpu_usage: cpu_usage(stats.cpu_time, cpu_time, elapsed),
        }
    }
}

/// So much per second; zero if no time has passed.
pub(super) fn rate(amount: f64, elapsed: Duration) -> f64 {
    if elapsed.is_zero() {
        0.0
    } else {
        amount / elapsed.as_secs_f64()
    }
}

fn cpu_usage(now: Option<Duration>, before: Option<Duration>, elapsed: Duration) -> Option<f64> {
    let time = now?.saturating_sub(before.unwrap_or_default());
    Some(rate(time.as_secs_f64(), elapsed))
}

#[cfg(test)]
mod tests;
