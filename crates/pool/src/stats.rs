//! Counting calls, and the plain snapshots that are shown of a pool.

use std::sync::Arc;
use std::time::Duration;

use hdrhistogram::Histogram;
use insula_core::Instant;
use insula_rpc::{Ended, How, Ledger, Traffic, WorkerId};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Everything that was counted since the pool was built. All counters only grow.
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
    /// Calls that the overflow policy dropped.
    pub shed: u64,
    /// Answers that came too late and were discarded: the deadline of the call had passed, or its
    /// caller had gone. These calls are counted as `expired` and `cancelled`.
    pub late: u64,
    /// Bytes of requests, responses and items of the calls that workers have ended.
    pub traffic: Traffic,
    /// The time from the submission to the start, of the calls that were timed.
    pub queue_wait: Latency,
    /// The time from the start to the end, of the calls that were timed.
    pub run_time: Latency,
    /// One entry per worker, by its index.
    pub workers: Vec<WorkerStats>,
}

/// The counts of one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// The worker.
    pub id: WorkerId,
    /// Calls that it ran to an end of any kind.
    pub calls: u64,
    /// Those that panicked.
    pub panicked: u64,
    /// The time that its timed calls ran.
    pub run_time: Latency,
}

/// A distribution of times. Quantiles are exact to one percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Latency {
    /// The number of timed calls.
    pub samples: u64,
    /// The median.
    pub p50: Duration,
    /// The time that 99 of 100 calls do not exceed.
    pub p99: Duration,
    /// The longest.
    pub max: Duration,
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
    /// The number of times that its state was rebuilt.
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
    /// It takes calls.
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

/// The books of one worker. Only the worker's isolate writes the counters, one call after the
/// other, so an addition is a load and a store; other threads read at any time.
#[derive(Default)]
pub(crate) struct Books {
    counts: [AtomicU64; 6],
    moved: AtomicU64,
    copied: AtomicU64,
    late: AtomicU64,
    times: Mutex<(Times, Times)>,
}

/// The books of a worker as one of its lanes uses them.
pub(crate) struct LaneBooks {
    books: Arc<Books>,
    /// `true` if `timing` holds something; written by the lane only.
    is_timed: AtomicBool,
    /// The times at which the lane's present call came and started.
    timing: Mutex<Option<(Instant, Instant)>>,
}

/// Sums over several workers.
#[derive(Default)]
pub(crate) struct Totals {
    counts: [u64; 6],
    late: u64,
    traffic: Traffic,
    queue_wait: Times,
    run_time: Times,
}

/// A histogram of nanoseconds; made when the first time is recorded, since it takes 30 KB.
#[derive(Clone, Default)]
struct Times(Option<Box<Histogram<u64>>>);

/// Times beyond a day are recorded as a day.
const LONGEST_NS: u64 = 24 * 3600 * 1_000_000_000;

impl Books {
    pub(crate) fn add_to(&self, totals: &mut Totals) {
        for (total, count) in totals.counts.iter_mut().zip(&self.counts) {
            // Acquire pairs with the Release of `add`. A caller that has its answer finds it
            // counted anyway, because of the lock that the answer came through.
            *total += count.load(Ordering::Acquire);
        }
        totals.late += self.late.load(Ordering::Acquire);
        totals.traffic.add(Traffic {
            bytes_moved: self.moved.load(Ordering::Acquire),
            bytes_copied: self.copied.load(Ordering::Acquire),
        });
        let times = self.times.lock();
        totals.queue_wait.add(&times.0);
        totals.run_time.add(&times.1);
    }

    pub(crate) fn snapshot(&self, id: WorkerId) -> WorkerStats {
        let mut totals = Totals::default();
        self.add_to(&mut totals);
        WorkerStats {
            id,
            calls: totals.counts.iter().sum(),
            panicked: totals.count(How::Panicked),
            run_time: totals.run_time(),
        }
    }
}

/// Adds to a counter that no other thread writes.
fn add(counter: &AtomicU64, more: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(more);
    counter.store(sum, Ordering::Release);
}

impl LaneBooks {
    pub(crate) fn new(books: &Arc<Books>) -> Self {
        let (is_timed, timing) = (AtomicBool::new(false), Mutex::new(None));
        Self {
            books: Arc::clone(books),
            is_timed,
            timing,
        }
    }

    /// The lane's next call is timed.
    pub(crate) fn begin(&self, queued_at: Instant) {
        *self.timing.lock() = Some((queued_at, Instant::now()));
        // Relaxed: the lane that reads it is the one that has written it.
        self.is_timed.store(true, Ordering::Relaxed);
    }

    fn record_times(&self, has_run: bool) {
        self.is_timed.store(false, Ordering::Relaxed);
        let Some((queued_at, began)) = self.timing.lock().take() else {
            return;
        };
        let run = Instant::now().saturating_duration_since(began);
        let mut times = self.books.times.lock();
        times.0.record(began.saturating_duration_since(queued_at));
        if has_run {
            times.1.record(run);
        }
    }
}

impl Ledger for LaneBooks {
    fn record(&self, ended: &Ended) {
        let books = &*self.books;
        add(&books.counts[place(ended.how)], 1);
        add(&books.moved, ended.traffic.bytes_moved);
        if ended.is_late {
            add(&books.late, 1);
        }
        // No call within a process copies anything, and so none pays for this store.
        if ended.traffic.bytes_copied > 0 {
            add(&books.copied, ended.traffic.bytes_copied);
        }
        if self.is_timed.load(Ordering::Relaxed) {
            self.record_times(ended.has_run);
        }
    }
}

impl Totals {
    pub(crate) fn count(&self, how: How) -> u64 {
        self.counts[place(how)]
    }

    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic
    }

    pub(crate) fn queue_wait(&self) -> Latency {
        self.queue_wait.latency()
    }

    pub(crate) fn run_time(&self) -> Latency {
        self.run_time.latency()
    }
}

impl Times {
    fn record(&mut self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos())
            .unwrap_or(u64::MAX)
            .min(LONGEST_NS);
        if let Some(histogram) = self.histogram() {
            histogram.saturating_record(nanos);
        }
    }

    fn add(&mut self, other: &Self) {
        if let (Some(other), Some(histogram)) = (&other.0, self.histogram()) {
            // Both have the same bounds, so that nothing can fall outside.
            let _same_bounds = histogram.add(&**other);
        }
    }

    fn histogram(&mut self) -> Option<&mut Histogram<u64>> {
        if self.0.is_none() {
            // Fails for bounds that make no sense only.
            // Two digits: exact to one percent.
            self.0 = Histogram::new_with_bounds(1, LONGEST_NS, 2)
                .ok()
                .map(Box::new);
        }
        self.0.as_deref_mut()
    }

    fn latency(&self) -> Latency {
        let Some(histogram) = &self.0 else {
            return Latency::default();
        };
        let at = |quantile| Duration::from_nanos(histogram.value_at_quantile(quantile));
        Latency {
            samples: histogram.len(),
            p50: at(0.5),
            p99: at(0.99),
            max: Duration::from_nanos(histogram.max()),
        }
    }
}

fn place(how: How) -> usize {
    match how {
        How::Answered => 0,
        How::Failed => 1,
        How::Panicked => 2,
        How::Cancelled => 3,
        How::Expired => 4,
        How::Died => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_one_percent() {
        let mut times = Times::default();
        assert_eq!(times.latency(), Latency::default());
        for micros in 1..=1000 {
            times.record(Duration::from_micros(micros));
        }
        let mut sum = Times::default();
        sum.add(&times);
        let latency = sum.latency();
        assert_eq!(latency.samples, 1000);
        for (seen, expected) in [
            (latency.p50, 500.0),
            (latency.p99, 990.0),
            (latency.max, 1000.0),
        ] {
            let micros = seen.as_secs_f64() * 1e6;
            assert!(
                (micros / expected - 1.0).abs() < 0.011,
                "{micros} for {expected}"
            );
        }
    }

    #[test]
    fn a_lane_books_each_call_once() {
        let books = Arc::new(Books::default());
        let lane = LaneBooks::new(&books);
        lane.begin(Instant::now());
        lane.record(&Ended {
            how: How::Answered,
            has_run: true,
            is_late: false,
            traffic: Traffic::moved(7),
        });
        lane.record(&Ended {
            how: How::Panicked,
            has_run: true,
            is_late: false,
            traffic: Traffic::default(),
        });
        let mut totals = Totals::default();
        books.add_to(&mut totals);
        assert_eq!(totals.count(How::Answered), 1);
        assert_eq!(
            (totals.traffic().bytes_moved, totals.run_time().samples),
            (7, 1)
        );
        let stats = books.snapshot(WorkerId::new(0));
        assert_eq!((stats.calls, stats.panicked), (2, 1));
    }
}
