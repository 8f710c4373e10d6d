//! Counting calls: the books that each worker keeps.

use std::sync::Arc;
use std::time::Duration;

use insula_core::Instant;
use insula_memory::thread_counts;
use insula_rpc::{Ended, How, Ledger, MethodDescriptor, Traffic, WorkerId};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::times::Times;
use super::{Latency, MethodMemory, MethodStats, WorkerMemory, WorkerStats};
use crate::config::Heap;
use crate::memory::CallMemory;
use crate::observe::trace::{EndedCall, Traces, name_of};

/// The methods of a pool, and how long the calls of each took on all workers together: histograms for
/// each worker too would take 90 KB for each pair of them.
pub(crate) struct Methods {
    /// The name of each one's contract, and the method.
    names: Vec<(&'static str, MethodDescriptor)>,
    times: Vec<Mutex<CallTimes>>,
    /// What their calls have allocated, if that is measured.
    memory: Option<Vec<Mutex<MethodMemory>>>,
    traces: Arc<Traces>,
}

/// The books of one worker. Only the worker's isolate writes the counters, one call after the
/// other, so an addition is a load and a store; other threads read at any time.
pub(crate) struct Books {
    worker: WorkerId,
    /// One for each method.
    counts: Vec<Counts>,
    late: AtomicU64,
    times: Mutex<CallTimes>,
    methods: Arc<Methods>,
}

/// The times of the calls of one worker, or of one method, that were timed.
#[derive(Default, Clone)]
struct CallTimes {
    queue_wait: Times,
    run_time: Times,
    /// Both together.
    latency: Times,
}

/// The calls of one method on one worker. One line of the cache.
#[derive(Default)]
struct Counts {
    ends: [AtomicU64; 6],
    moved: AtomicU64,
    copied: AtomicU64,
}

/// The books of a worker as one of its lanes uses them.
pub(crate) struct LaneBooks {
    books: Arc<Books>,
    /// The place of the method of the lane's present call; written by the lane only.
    method: AtomicUsize,
    /// `true` if `timing` holds something; written by the lane only.
    is_timed: AtomicBool,
    /// The times at which the lane's present call came and started.
    timing: Mutex<Option<(Instant, Instant)>>,
}

/// Sums over several workers or methods.
#[derive(Default)]
pub(crate) struct Totals {
    ends: [u64; 6],
    late: u64,
    traffic: Traffic,
    times: CallTimes,
}

impl CallTimes {
    /// A call has come, begun and ended.
    fn record(&mut self, came: Instant, began: Instant, ended: Instant, has_run: bool) {
        self.queue_wait
            .record(began.saturating_duration_since(came));
        if has_run {
            self.run_time.record(ended.saturating_duration_since(began));
            self.latency.record(ended.saturating_duration_since(came));
        }
    }

    fn add(&mut self, other: &Self) {
        self.queue_wait.add(&other.queue_wait);
        self.run_time.add(&other.run_time);
        self.latency.add(&other.latency);
    }
}

impl Methods {
    pub(crate) fn new(
        names: Vec<(&'static str, MethodDescriptor)>,
        heap: Heap,
        traces: &Arc<Traces>,
    ) -> Arc<Self> {
        let memory = match heap {
            Heap::Measured => Some(names.iter().map(|_| Mutex::default()).collect()),
            Heap::Unknown => None,
        };
        let times = names.iter().map(|_| Mutex::default()).collect();
        Arc::new(Self {
            names,
            times,
            memory,
            traces: Arc::clone(traces),
        })
    }

    /// A call of a method has ended.
    pub(crate) fn add_memory(&self, method: usize, call: &CallMemory) {
        let Some(memory) = self.memory.as_ref().and_then(|it| it.get(method)) else {
            return;
        };
        let mut sum = memory.lock();
        sum.allocated = sum.allocated.wrapping_add(call.allocated);
        sum.peak = sum.peak.max(call.peak);
    }

    /// The counts of all methods, over these workers.
    pub(crate) fn snapshot(&self, workers: &[Arc<Books>]) -> Vec<MethodStats> {
        let methods = self.names.iter().zip(&self.times).enumerate();
        methods
            .map(|(index, ((contract, descriptor), times))| {
                let mut totals = Totals::default();
                for books in workers {
                    totals.count_in(&books.counts[index]);
                }
                totals.times = times.lock().clone();
                let mut stats = totals.of_method(contract, descriptor.name);
                let memory = self.memory.as_ref().and_then(|it| it.get(index));
                stats.memory = memory
                    .filter(|_| thread_counts().is_some())
                    .map(|it| *it.lock());
                stats
            })
            .collect()
    }
}

impl Books {
    pub(crate) fn new(methods: &Arc<Methods>, worker: WorkerId) -> Self {
        Self {
            worker,
            counts: methods.names.iter().map(|_| Counts::default()).collect(),
            late: AtomicU64::new(0),
            times: Mutex::default(),
            methods: Arc::clone(methods),
        }
    }

    pub(crate) fn add_to(&self, totals: &mut Totals) {
        for counts in &self.counts {
            totals.count_in(counts);
        }
        totals.late += self.late.load(Ordering::Acquire);
        totals.times.add(&self.times.lock());
    }

    pub(crate) fn snapshot(
        &self,
        id: WorkerId,
        cpu_time: Option<Duration>,
        memory: Option<WorkerMemory>,
    ) -> WorkerStats {
        let mut totals = Totals::default();
        self.add_to(&mut totals);
        WorkerStats {
            id,
            calls: totals.ends.iter().sum(),
            panicked: totals.count(How::Panicked),
            methods: self.counts.iter().map(Counts::calls).collect(),
            queue_wait: totals.queue_wait(),
            run_time: totals.run_time(),
            latency: totals.latency(),
            cpu_time,
            memory,
        }
    }
}

impl Counts {
    fn calls(&self) -> u64 {
        let ends = self.ends.iter();
        ends.map(|count| count.load(Ordering::Acquire)).sum()
    }
}

/// Adds to a counter that no other thread writes.
fn add(counter: &AtomicU64, more: u64) {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(more);
    counter.store(sum, Ordering::Release);
}

impl LaneBooks {
    pub(crate) fn new(books: &Arc<Books>) -> Self {
        Self {
            books: Arc::clone(books),
            method: AtomicUsize::new(0),
            is_timed: AtomicBool::new(false),
            timing: Mutex::new(None),
        }
    }

    /// The lane's next call is one of this method.
    pub(crate) fn begin(&self, method: usize) {
        // Relaxed, as below: the lane that reads it is the one that has written it.
        self.method.store(method, Ordering::Relaxed);
    }

    /// The lane's next call is timed. It came and begins at these times.
    pub(crate) fn time(&self, queued_at: Instant, begins: Instant) {
        *self.timing.lock() = Some((queued_at, begins));
        // Relaxed: the lane that reads it is the one that has written it.
        self.is_timed.store(true, Ordering::Relaxed);
    }

    fn record_times(&self, method: usize, ended: &Ended) {
        self.is_timed.store(false, Ordering::Relaxed);
        let Some((queued_at, began)) = self.timing.lock().take() else {
            return;
        };
        let now = Instant::now();
        for times in [&self.books.times, &self.books.methods.times[method]] {
            times.lock().record(queued_at, began, now, ended.has_run);
        }
        self.books.methods.traces.add(|| {
            let (contract, descriptor) = self.books.methods.names[method];
            let ran = now.saturating_duration_since(began);
            EndedCall {
                at: now,
                worker: Some(self.books.worker),
                contract,
                method: descriptor.name,
                waited: Some(began.saturating_duration_since(queued_at)),
                ran: ended.has_run.then_some(ran),
                outcome: name_of(ended.how),
            }
        });
    }
}

impl Ledger for LaneBooks {
    fn record(&self, ended: &Ended) {
        let books = &*self.books;
        let method = self.method.load(Ordering::Relaxed);
        let counts = &books.counts[method];
        add(&counts.ends[place(ended.how)], 1);
        add(&counts.moved, ended.traffic.bytes_moved);
        if ended.is_late {
            add(&books.late, 1);
        }
        // No call within a process copies anything, and so none pays for this store.
        if ended.traffic.bytes_copied > 0 {
            add(&counts.copied, ended.traffic.bytes_copied);
        }
        if self.is_timed.load(Ordering::Relaxed) {
            self.record_times(method, ended);
        }
    }
}

impl Totals {
    fn count_in(&mut self, counts: &Counts) {
        for (total, count) in self.ends.iter_mut().zip(&counts.ends) {
            // Acquire pairs with the Release of `add`. A caller that has its answer finds it
            // counted anyway, because of the lock that the answer came through.
            *total += count.load(Ordering::Acquire);
        }
        self.traffic.add(Traffic {
            bytes_moved: counts.moved.load(Ordering::Acquire),
            bytes_copied: counts.copied.load(Ordering::Acquire),
        });
    }

    fn of_method(self, contract: &'static str, method: &'static str) -> MethodStats {
        MethodStats {
            contract,
            method,
            answered: self.count(How::Answered),
            failed: self.count(How::Failed),
            panicked: self.count(How::Panicked),
            cancelled: self.count(How::Cancelled),
            expired: self.count(How::Expired),
            died: self.count(How::Died),
            traffic: self.traffic,
            queue_wait: self.queue_wait(),
            run_time: self.run_time(),
            latency: self.latency(),
            memory: None,
        }
    }

    pub(crate) fn count(&self, how: How) -> u64 {
        self.ends[place(how)]
    }

    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    pub(crate) fn traffic(&self) -> Traffic {
        self.traffic
    }

    pub(crate) fn queue_wait(&self) -> Latency {
        self.times.queue_wait.latency()
    }

    pub(crate) fn run_time(&self) -> Latency {
        self.times.run_time.latency()
    }

    pub(crate) fn latency(&self) -> Latency {
        self.times.latency.latency()
    }

    pub(crate) fn into_latency(self) -> Times {
        self.times.latency
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
