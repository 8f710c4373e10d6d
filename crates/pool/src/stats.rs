//! The plain snapshots that are shown of a pool.

pub(crate) mod books;
pub(crate) mod samples;
pub(crate) mod times;

use std::time::Duration;

use insula_rpc::{Traffic, WorkerId};

/// Everything that was counted since the pool was built. All counters only grow.
///
/// The sums, the workers and the methods are read one after the other. While calls end, a later part has
/// more of them than an earlier one, and a distribution of times may have calls that are not counted beside
/// it yet. Once no call runs, all parts agree.
///
/// Each call that was submitted ends in exactly one of `answered`, `failed`, `panicked`,
/// `cancelled`, `expired`, `rejected`, `shed` and `died`. Until then it is queued or runs. It is
/// counted before its caller can see the end, but for a handler that runs on after that: a call whose
/// deadline passes or whose caller goes while it runs is counted when its handler has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PoolStats {
    /// Calls that were submitted, rejected ones included.
    pub submitted: u64,
    /// Calls with a response.
    pub answered: u64,
    /// Calls whose handler returned its own error.
    pub failed: u64,
    /// Calls whose handler panicked.
    pub panicked: u64,
    /// Calls that their caller or a shutdown cancelled, queued or running.
    pub cancelled: u64,
    /// Calls whose deadline passed, queued or running.
    pub expired: u64,
    /// Calls whose worker ended, or was given up, while they ran.
    pub died: u64,
    /// Calls that were not admitted, and queued ones that a shutdown or the loss of the last
    /// worker turned away.
    pub rejected: u64,
    /// Calls that the overflow policy of a full queue or [`Queue::codel`](crate::Queue::codel) dropped.
    pub shed: u64,
    /// Workers that were given up because they were stuck; see [`Health`](crate::Health).
    pub stuck: u64,
    /// Answers that came too late and were discarded: the deadline of the call had passed, or its
    /// caller had gone. These calls are counted as `expired` and `cancelled`.
    pub late: u64,
    /// Bytes of requests, responses and items of the calls that workers have ended.
    pub traffic: Traffic,
    /// The time from the submission to the start, of the calls that were timed.
    pub queue_wait: Latency,
    /// The time from the start to the end, of the calls that were timed and whose handler has run.
    pub run_time: Latency,
    /// The time from the submission to the end, of the calls that were timed and whose handler has
    /// run.
    pub latency: Latency,
    /// The time that the isolates of all workers have taken on the CPU since their services were
    /// built, in slices that are over.
    /// `None` if it is not measured (see [`Monitor::cpu`](crate::Monitor::cpu)), or the threads of
    /// the system have no clock for it. It is real also on virtual time.
    pub cpu_time: Option<Duration>,
    /// One entry per worker, by its index.
    pub workers: Vec<WorkerStats>,
    /// One entry per method of the pool's contracts, in the order in which the contracts were given
    /// to the pool and the methods stand in them.
    pub methods: Vec<MethodStats>,
}

/// The counts of one method.
///
/// They have the calls that workers have ended. A call that ended in the queue, or was given up with
/// its worker at a shutdown, is in the sums of the pool only.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MethodStats {
    /// The name of the method's contract.
    pub contract: &'static str,
    /// The method's name.
    pub method: &'static str,
    /// Calls with a response.
    pub answered: u64,
    /// Calls whose handler returned its own error.
    pub failed: u64,
    /// Calls whose handler panicked.
    pub panicked: u64,
    /// Calls that their caller or a shutdown cancelled.
    pub cancelled: u64,
    /// Calls whose deadline passed.
    pub expired: u64,
    /// Calls whose worker ended while they ran.
    pub died: u64,
    /// Bytes of their requests, responses and items.
    pub traffic: Traffic,
    /// The time from the submission to the start, of the calls that were timed and that a worker took.
    pub queue_wait: Latency,
    /// The time from the start to the end, of the calls that were timed and whose handler has run.
    pub run_time: Latency,
    /// The time from the submission to the end, of the calls that were timed.
    pub latency: Latency,
    /// The memory that its calls have allocated. `None` if it is not measured; see
    /// [`Monitor::memory`](crate::Monitor::memory).
    pub memory: Option<MethodMemory>,
}

/// The memory that the calls of a method have allocated, in the polls of their handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MethodMemory {
    /// Bytes of all calls together, also of memory that was freed since then.
    pub allocated: u64,
    /// The most that one call has allocated and not freed, after one of its polls.
    pub peak: u64,
}

/// The memory that a worker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WorkerMemory {
    /// Bytes that its present services have allocated and not freed.
    pub held: u64,
    /// The most that they have held so far. New services begin anew.
    pub peak: u64,
}

/// The counts of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// The worker.
    pub id: WorkerId,
    /// Calls that it took and that have ended in any way, also before their handlers could run.
    pub calls: u64,
    /// Those that panicked.
    pub panicked: u64,
    /// Its calls by method, in the order of [`PoolStats::methods`].
    pub methods: Vec<u64>,
    /// The time for which its timed calls waited.
    pub queue_wait: Latency,
    /// The time that its timed calls ran, of those whose handlers did.
    pub run_time: Latency,
    /// Both together.
    pub latency: Latency,
    /// The time that its isolates have taken on the CPU; see [`PoolStats::cpu_time`].
    pub cpu_time: Option<Duration>,
    /// The memory that it holds. `None` if that is not measured, and while it has no services.
    pub memory: Option<WorkerMemory>,
}

/// A distribution of times. Quantiles are exact to one percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Latency {
    /// The number of timed calls.
    pub samples: u64,
    /// The mean.
    pub mean: Duration,
    /// The median.
    pub p50: Duration,
    /// The time that 9 of 10 calls do not exceed.
    pub p90: Duration,
    /// The time that 99 of 100 calls do not exceed.
    pub p99: Duration,
    /// The time that 999 of 1000 calls do not exceed.
    pub p999: Duration,
    /// The longest.
    pub max: Duration,
}

/// How many timed calls of a pool took how long. Each list has a number of calls with the time that
/// none of them exceeded, a power of two in nanoseconds, and of whose half none was shorter. The times
/// ascend, and those without calls are left out. The numbers only grow, so that the difference of two
/// histograms is that of the calls in between.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Histograms {
    /// The time for which they waited.
    pub queue_wait: Vec<(Duration, u64)>,
    /// The time that they ran, of those whose handlers did.
    pub run_time: Vec<(Duration, u64)>,
}

/// A pool as it is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The pool's name.
    pub name: String,
    /// The pool's phase, which says whether it takes calls.
    pub phase: PoolPhase,
    /// Calls in the queue, at most its bound. One whose deadline has passed is among them until its
    /// caller or a worker looks at it.
    pub queued: usize,
    /// Calls that wait for room in the queue beyond its bound. One for whose bytes alone there is no
    /// room is among those in the queue.
    pub waiting: usize,
    /// One entry per worker, by its index.
    pub workers: Vec<WorkerStatus>,
}

/// The phases of a pool, which say whether it takes calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolPhase {
    /// It does, with all of its workers.
    Serving,
    /// It does, with the workers that are left.
    Degraded,
    /// It rejects calls, because no worker is left.
    Failed,
    /// It rejects calls and finishes those that it has.
    Draining,
    /// It rejects calls and starts none.
    Closed,
}

/// A worker as it is at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStatus {
    /// The worker.
    pub id: WorkerId,
    /// Its condition.
    pub condition: WorkerCondition,
    /// The number of times that its state was built before, failures included.
    pub incarnation: u32,
    /// Calls that it runs. Streams that wait for their readers are not among them. A call whose
    /// caller has the answer may still be, for a moment.
    pub busy: usize,
}

/// The condition of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerCondition {
    /// Its state is being built for the first time or again.
    Starting,
    /// It takes calls, unless its services say that they [cannot](crate::Readiness::not_serving).
    Ready,
    /// A handler panicked; once its other calls have ended, its state is built again.
    Suspect,
    /// It is not needed now, and does not exist.
    Retired,
    /// It ended with the pool.
    Ended,
    /// It is gone before its time; the text says why.
    Lost(String),
}

impl PoolStats {
    /// Returns the number of calls that ended in any way. After a shutdown it is
    /// [`submitted`](Self::submitted).
    pub fn ended(&self) -> u64 {
        let ran = self.answered + self.failed + self.panicked + self.died;
        ran + self.cancelled + self.expired + self.rejected + self.shed
    }
}

impl MethodStats {
    /// Returns the number of calls that ended in any way.
    pub fn calls(&self) -> u64 {
        let ran = self.answered + self.failed + self.panicked;
        ran + self.cancelled + self.expired + self.died
    }
}

#[cfg(test)]
mod tests;
