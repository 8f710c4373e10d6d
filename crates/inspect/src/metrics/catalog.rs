//! The metrics, once for both forms: the text for Prometheus, and the instruments of OpenTelemetry.

use crate::model::{Latency, Pool, Sample};

/// A metric. `F` returns its number.
pub(crate) struct Metric<F> {
    /// The name of its instrument. The text has underscores in place of the points, and the unit and
    /// `_total` behind the name.
    pub(crate) name: &'static str,
    /// The unit, as OpenTelemetry writes it.
    pub(crate) unit: &'static str,
    /// What it is, in a sentence.
    pub(crate) help: &'static str,
    /// Returns its number.
    pub(crate) of: F,
}

/// A number of a sample; `None` if the system does not tell it.
pub(crate) type OfSample = fn(&Sample) -> Option<u64>;

/// The isolates of a sample, by what they do.
pub(crate) type ByState = fn(&Sample) -> [(&'static str, u64); 4];

/// A number of a pool.
pub(crate) type OfPool = fn(&Pool) -> u64;

/// Times of the calls of a pool.
pub(crate) type TimesOfPool = fn(&Pool) -> Latency;

pub(crate) const ISOLATES: Metric<ByState> = Metric {
    name: "insula.isolates",
    unit: "{isolate}",
    help: "Isolates that have not ended, by what they do.",
    of: |now| {
        let busy = now.running + now.runnable + now.paused;
        [
            ("idle", now.isolates.saturating_sub(busy)),
            ("runnable", now.runnable),
            ("running", now.running),
            ("paused", now.paused),
        ]
    },
};

pub(crate) const GAUGES: [Metric<OfSample>; 5] = [
    Metric {
        name: "insula.queued_events",
        unit: "{event}",
        help: "Events in the queues of all isolates.",
        of: |it| Some(it.queued),
    },
    Metric {
        name: "insula.threads",
        unit: "{thread}",
        help: "Threads that the pool has started.",
        of: |it| Some(it.threads),
    },
    Metric {
        name: "insula.stuck_threads",
        unit: "{thread}",
        help: "Threads that are inside of one long turn, or blocked.",
        of: |it| Some(it.stuck_threads),
    },
    Metric {
        name: "insula.waits",
        unit: "{wait}",
        help: "Waits that block a thread.",
        of: |it| Some(it.waits),
    },
    Metric {
        name: "insula.resident_memory",
        unit: "By",
        help: "Memory of the process that is resident.",
        of: |it| it.memory_bytes,
    },
];

pub(crate) const COUNTERS: [Metric<OfSample>; 3] = [
    Metric {
        name: "insula.isolates_spawned",
        unit: "{isolate}",
        help: "Isolates that were spawned.",
        of: |it| Some(it.spawned_total),
    },
    Metric {
        name: "insula.isolates_ended",
        unit: "{isolate}",
        help: "Isolates that have ended.",
        of: |it| Some(it.ended_total),
    },
    Metric {
        name: "insula.turns",
        unit: "{turn}",
        help: "Turns of isolates.",
        of: |it| Some(it.turns_total),
    },
];

/// In milliseconds, which both forms turn into the unit.
pub(crate) const CPU: Metric<OfSample> = Metric {
    name: "insula.cpu",
    unit: "s",
    help: "Time that the process has spent on the CPU.",
    of: |it| it.cpu_total_ms,
};

pub(crate) const POOL_GAUGES: [Metric<OfPool>; 4] = [
    Metric {
        name: "insula.pool.queued_calls",
        unit: "{call}",
        help: "Calls in the queue, and those that wait for room in it.",
        of: |it| it.queued + it.waiting,
    },
    Metric {
        name: "insula.pool.running_calls",
        unit: "{call}",
        help: "Calls that workers run.",
        of: |it| it.running,
    },
    Metric {
        name: "insula.pool.workers",
        unit: "{worker}",
        help: "Workers that are there.",
        of: |it| it.workers,
    },
    Metric {
        name: "insula.pool.ready_workers",
        unit: "{worker}",
        help: "Workers that take calls.",
        of: |it| it.ready,
    },
];

pub(crate) const POOL_COUNTERS: [Metric<OfPool>; 3] = [
    Metric {
        name: "insula.pool.submitted_calls",
        unit: "{call}",
        help: "Calls that were submitted.",
        of: |it| it.submitted_total,
    },
    Metric {
        name: "insula.pool.stuck_workers",
        unit: "{worker}",
        help: "Workers that were given up because they were stuck.",
        of: |it| it.stuck_total,
    },
    Metric {
        name: "insula.pool.rebuilt_workers",
        unit: "{worker}",
        help: "Times that the services of a worker were built again.",
        of: |it| it.rebuilt_total,
    },
];

/// Has a number for each outcome.
pub(crate) const ENDED_CALLS: Metric<()> = Metric {
    name: "insula.pool.ended_calls",
    unit: "{call}",
    help: "Calls that have ended, by how.",
    of: (),
};

/// In microseconds, which both forms turn into the unit.
pub(crate) const POOL_TIMES: [Metric<TimesOfPool>; 3] = [
    Metric {
        name: "insula.pool.queue_wait",
        unit: "s",
        help: "Time from the submission of a call to its start.",
        of: |it| it.queue_wait,
    },
    Metric {
        name: "insula.pool.run",
        unit: "s",
        help: "Time of a call in its handler.",
        of: |it| it.run_time,
    },
    Metric {
        name: "insula.pool.latency",
        unit: "s",
        help: "Time from the submission of a call to its end.",
        of: |it| it.latency,
    },
];

/// Returns the quantiles of times in seconds, each with its label. They are the upper ends of the
/// ranges in which times are counted.
pub(crate) fn quantiles(times: &Latency) -> [(&'static str, f64); 4] {
    [
        ("0.5", times.p50_us / 1e6),
        ("0.9", times.p90_us / 1e6),
        ("0.99", times.p99_us / 1e6),
        ("0.999", times.p999_us / 1e6),
    ]
}
