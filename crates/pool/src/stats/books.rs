//! Counting calls: the books of each worker.
//!
//! What is counted of a call is written by the isolate that ran it, without a lock: an addition is a load
//! and a store. So each state of a worker has books of its own, since an earlier one may still have
//! streams while the next one runs calls. When a state is over, its counts go to those of the worker.

use std::sync::Arc;
use std::time::Duration;

use insula_core::Instant;
use insula_memory::thread_counts;
use insula_rpc::{Ended, How, Ledger, MethodDescriptor, Traffic, WorkerId};
use insula_sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use insula_sync::{Mutex, Rank};

use super::samples::{Sample, Samples};
use super::times::Times;
use super::{Histograms, Latency, MethodMemory, MethodStats, WorkerMemory, WorkerStats};
use crate::config::{Cpu, Heap, Monitor};
use crate::memory::CallMemory;
use crate::observe::cpu::{self, CpuMeter};
use crate::observe::trace::{EndedCall, Traces, name_of};

/// The methods of a pool, and how long the calls of each took on all workers together: histograms for
/// each worker too would take 90 KB for each pair of them.
pub(crate) struct Methods {
    /// The name of each one's contract, and the method.
    names: Vec<(&'static str, MethodDescriptor)>,
    times: Vec<Mutex<CallTimes>>,
    monitor: Monitor,
    traces: Arc<Traces>,
}

/// The books of one worker.
pub(crate) struct Books {
    worker: WorkerId,
    states: Mutex<States>,
    /// Of the timed calls, except those whose times are still in the ring of a state. Held while a ring
    /// is drained.
    times: Mutex<CallTimes>,
    methods: Arc<Methods>,
}

const TIMES: Rank = Rank::new(70, "the times of a worker");

/// The states of one worker.
struct States {
    /// The sums of those that are over.
    over: Sums,
    open: Vec<Arc<Counts>>,
}

/// What the isolate of one state has counted. It alone writes, and other threads read at any time.
struct Counts {
    /// One for each method.
    methods: Vec<MethodCounts>,
    /// The same; empty if this is not measured.
    memory: Vec<MemoryCounts>,
    late: AtomicU64,
    samples: Samples,
    /// The time that the isolate has taken, if that is measured.
    cpu: CpuMeter,
}

/// The calls of one method. One line of the cache.
#[derive(Default)]
struct MethodCounts {
    ends: [AtomicU64; 6],
    moved: AtomicU64,
    copied: AtomicU64,
}

/// What the calls of one method have allocated.
#[derive(Default)]
struct MemoryCounts {
    allocated: AtomicU64,
    peak: AtomicU64,
}

/// The books of one state. Its drop closes them.
pub(crate) struct StateBooks {
    books: Arc<Books>,
    counts: Arc<Counts>,
}

/// The books of a state as one of its lanes uses them.
pub(crate) struct LaneBooks {
    state: Arc<StateBooks>,
    /// The place of the method of the lane's present call; written by the lane only, as all below.
    method: AtomicUsize,
    /// The lane's present call is timed.
    is_timed: AtomicBool,
    /// The times at which it came and began, in nanoseconds.
    came: AtomicU64,
    began: AtomicU64,
    /// The time at which the last timed call ended; 0 once it was asked for.
    ended: AtomicU64,
}

/// Sums over several states.
struct Sums {
    methods: Vec<MethodSums>,
    late: u64,
    cpu: Duration,
}

#[derive(Clone, Default)]
struct MethodSums {
    ends: [u64; 6],
    traffic: Traffic,
    memory: MethodMemory,
}

/// The times of the calls of one worker, or of one method, that were timed.
#[derive(Default, Clone)]
struct CallTimes {
    queue_wait: Times,
    run_time: Times,
    /// Both together.
    latency: Times,
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
    fn record(&mut self, sample: &Sample) {
        self.queue_wait.record_nanos(sample.queue_wait);
        if let Some(run_time) = sample.run_time {
            let latency = sample.queue_wait.saturating_add(run_time);
            self.run_time.record_nanos(run_time);
            self.latency.record_nanos(latency);
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
        monitor: Monitor,
        traces: &Arc<Traces>,
    ) -> Arc<Self> {
        let times = names.iter().map(|_| Mutex::default()).collect();
        Arc::new(Self {
            names,
            times,
            monitor,
            traces: Arc::clone(traces),
        })
    }

    /// The counts of all methods, over these workers.
    pub(crate) fn snapshot(&self, workers: &[Arc<Books>]) -> Vec<MethodStats> {
        let mut sums = Sums::new(self.names.len());
        for books in workers {
            sums.add(&books.sums());
            // Afterwards, so that each call that is counted has its times.
            books.settle();
        }
        let methods = self.names.iter().zip(&self.times).zip(sums.methods);
        methods
            .map(|(((contract, descriptor), times), sums)| {
                let mut totals = Totals::default();
                totals.count_in(&sums);
                totals.times = times.lock().clone();
                let mut stats = totals.of_method(contract, descriptor.name);
                let is_measured =
                    self.monitor.memory == Heap::Measured && thread_counts().is_some();
                stats.memory = is_measured.then_some(sums.memory);
                stats
            })
            .collect()
    }
}

impl Books {
    pub(crate) fn new(methods: &Arc<Methods>, worker: WorkerId) -> Self {
        Self {
            worker,
            states: Mutex::new(States {
                over: Sums::new(methods.names.len()),
                open: Vec::new(),
            }),
            times: Mutex::ranked(CallTimes::default(), TIMES),
            methods: Arc::clone(methods),
        }
    }

    /// Opens the books of a state.
    pub(crate) fn open(self: &Arc<Self>) -> Arc<StateBooks> {
        let counts = Arc::new(Counts::new(&self.methods));
        self.states.lock().open.push(Arc::clone(&counts));
        Arc::new(StateBooks {
            books: Arc::clone(self),
            counts,
        })
    }

    /// A state has counted all that it will.
    fn close(&self, counts: &Arc<Counts>) {
        self.drain(counts, &mut self.times.lock());
        let mut states = self.states.lock();
        // Under one lock, so that a sum has these counts exactly once.
        states.over.count_in(counts);
        states.open.retain(|it| !Arc::ptr_eq(it, counts));
    }

    fn sums(&self) -> Sums {
        let states = self.states.lock();
        let mut sums = Sums::new(self.methods.names.len());
        sums.add(&states.over);
        for counts in &states.open {
            sums.count_in(counts);
        }
        sums
    }

    #[cfg(test)]
    pub(super) fn method_memory(&self, method: usize) -> MethodMemory {
        self.sums().methods[method].memory
    }

    /// Moves the samples of all states to the histograms.
    fn settle(&self) {
        let open = self.states.lock().open.clone();
        let mut times = self.times.lock();
        for counts in open {
            self.drain(&counts, &mut times);
        }
    }

    /// Moves the samples of a state to the histograms.
    fn drain(&self, counts: &Counts, times: &mut CallTimes) {
        counts.samples.drain(|sample| {
            times.record(&sample);
            self.methods.times[sample.method].lock().record(&sample);
        });
    }

    pub(crate) fn add_to(&self, totals: &mut Totals) {
        self.add_all(&self.sums(), totals);
    }

    /// Adds the sums of this worker, and then its times, so that each call that is counted has them.
    fn add_all(&self, sums: &Sums, totals: &mut Totals) {
        for method in &sums.methods {
            totals.count_in(method);
        }
        totals.late += sums.late;
        self.settle();
        totals.times.add(&self.times.lock());
    }

    pub(crate) fn snapshot(&self, id: WorkerId, memory: Option<WorkerMemory>) -> WorkerStats {
        let mut totals = Totals::default();
        let sums = self.sums();
        self.add_all(&sums, &mut totals);
        let is_timed = self.methods.monitor.cpu == Cpu::Measured && cpu::is_known();
        WorkerStats {
            id,
            calls: totals.ends.iter().sum(),
            panicked: totals.count(How::Panicked),
            methods: sums.methods.iter().map(MethodSums::calls).collect(),
            queue_wait: totals.queue_wait(),
            run_time: totals.run_time(),
            latency: totals.latency(),
            cpu_time: is_timed.then_some(sums.cpu),
            memory,
        }
    }
}

impl Counts {
    /// The calls whose times wait for their way into the histograms, at most.
    const SAMPLES: usize = 64;

    fn new(methods: &Methods) -> Self {
        let measured = match methods.monitor.memory {
            Heap::Measured => methods.names.len(),
            Heap::Unknown => 0,
        };
        Self {
            methods: methods
                .names
                .iter()
                .map(|_| MethodCounts::default())
                .collect(),
            memory: (0..measured).map(|_| MemoryCounts::default()).collect(),
            late: AtomicU64::new(0),
            samples: Samples::new(Self::SAMPLES),
            cpu: CpuMeter::default(),
        }
    }
}

impl Sums {
    fn new(methods: usize) -> Self {
        Self {
            methods: vec![MethodSums::default(); methods],
            late: 0,
            cpu: Duration::ZERO,
        }
    }

    fn count_in(&mut self, counts: &Counts) {
        // Acquire pairs with the Release of `set`. A caller that has its answer finds it counted
        // anyway, because of the lock that the answer came through.
        let get = |counter: &AtomicU64| counter.load(Ordering::Acquire);
        for (sums, counts) in self.methods.iter_mut().zip(&counts.methods) {
            for (sum, count) in sums.ends.iter_mut().zip(&counts.ends) {
                *sum += get(count);
            }
            sums.traffic.add(Traffic {
                bytes_moved: get(&counts.moved),
                bytes_copied: get(&counts.copied),
            });
        }
        for (sums, counts) in self.methods.iter_mut().zip(&counts.memory) {
            sums.memory.add(MethodMemory {
                allocated: get(&counts.allocated),
                peak: get(&counts.peak),
            });
        }
        self.late += get(&counts.late);
        self.cpu += counts.cpu.time();
    }

    fn add(&mut self, other: &Self) {
        for (sums, other) in self.methods.iter_mut().zip(&other.methods) {
            for (sum, count) in sums.ends.iter_mut().zip(&other.ends) {
                *sum += count;
            }
            sums.traffic.add(other.traffic);
            sums.memory.add(other.memory);
        }
        self.late += other.late;
        self.cpu += other.cpu;
    }
}

impl MethodSums {
    fn calls(&self) -> u64 {
        self.ends.iter().sum()
    }
}

impl MethodMemory {
    fn add(&mut self, other: Self) {
        self.allocated = self.allocated.wrapping_add(other.allocated);
        self.peak = self.peak.max(other.peak);
    }
}

/// Adds to a counter that no other thread writes.
fn add(counter: &AtomicU64, more: u64) {
    set(counter, get_own(counter).wrapping_add(more));
}

fn get_own(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn set(counter: &AtomicU64, value: u64) {
    counter.store(value, Ordering::Release);
}

impl StateBooks {
    /// The meter of the state's isolate.
    pub(crate) fn cpu(&self) -> &CpuMeter {
        &self.counts.cpu
    }

    /// A call of a method has ended that has allocated this.
    pub(crate) fn add_memory(&self, method: usize, call: &CallMemory) {
        if let Some(counts) = self.counts.memory.get(method) {
            add(&counts.allocated, call.allocated);
            set(&counts.peak, get_own(&counts.peak).max(call.peak));
        }
    }

    fn sample(&self, sample: Sample) {
        let samples = &self.counts.samples;
        if !samples.push(sample) {
            self.books.drain(&self.counts, &mut self.books.times.lock());
            // There is room now: this is the only writer.
            samples.push(sample);
        }
    }
}

impl Drop for StateBooks {
    fn drop(&mut self) {
        self.books.close(&self.counts);
    }
}

impl LaneBooks {
    pub(crate) fn new(state: &Arc<StateBooks>) -> Self {
        Self {
            state: Arc::clone(state),
            method: AtomicUsize::new(0),
            is_timed: AtomicBool::new(false),
            came: AtomicU64::new(0),
            began: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    /// The lane's next call is one of this method.
    pub(crate) fn begin(&self, method: usize) {
        // Relaxed, as below: the lane that reads it is the one that has written it.
        self.method.store(method, Ordering::Relaxed);
    }

    /// The lane's next call is timed. It came and begins at these times.
    pub(crate) fn time(&self, came: Instant, begins: Instant) {
        self.came.store(came.as_nanos(), Ordering::Relaxed);
        self.began.store(begins.as_nanos(), Ordering::Relaxed);
        self.is_timed.store(true, Ordering::Relaxed);
    }

    /// The time at which the lane's last call ended, once, if it was timed.
    pub(crate) fn take_end(&self) -> Option<Instant> {
        let ended = self.ended.load(Ordering::Relaxed);
        if ended == 0 {
            return None;
        }
        self.ended.store(0, Ordering::Relaxed);
        Some(Instant::from_nanos(ended))
    }

    fn record_times(&self, method: usize, ended: &Ended) {
        self.is_timed.store(false, Ordering::Relaxed);
        let (came, began) = (get_own(&self.came), get_own(&self.began));
        let now = Instant::now();
        self.ended.store(now.as_nanos(), Ordering::Relaxed);
        // A call that came from another thread may have read its clock later than this one.
        let queue_wait = began.saturating_sub(came);
        let ran = now.as_nanos().saturating_sub(began);
        let run_time = ended.has_run.then_some(ran);
        self.state.sample(Sample {
            method,
            queue_wait,
            run_time,
        });
        let books = &*self.state.books;
        books.methods.traces.add(|| {
            let (contract, descriptor) = books.methods.names[method];
            EndedCall {
                at: now,
                worker: Some(books.worker),
                contract,
                method: descriptor.name,
                waited: Some(Duration::from_nanos(queue_wait)),
                ran: run_time.map(Duration::from_nanos),
                outcome: name_of(ended.how),
            }
        });
    }
}

impl Ledger for LaneBooks {
    fn record(&self, ended: &Ended) {
        let all = &*self.state.counts;
        let method = self.method.load(Ordering::Relaxed);
        let counts = &all.methods[method];
        add(&counts.ends[place(ended.how)], 1);
        add(&counts.moved, ended.traffic.bytes_moved);
        if ended.is_late {
            add(&all.late, 1);
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
    fn count_in(&mut self, sums: &MethodSums) {
        for (total, count) in self.ends.iter_mut().zip(&sums.ends) {
            *total += count;
        }
        self.traffic.add(sums.traffic);
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

    pub(crate) fn histograms(&self) -> Histograms {
        Histograms {
            queue_wait: self.times.queue_wait.by_powers(),
            run_time: self.times.run_time.by_powers(),
        }
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
