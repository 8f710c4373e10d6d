//! The threads that run pooled isolates.
//!
//! # Where runnable isolates wait
//! - A thread's *next* slot: the isolate that the running one messaged last. It runs next on
//!   this thread, in its warm caches, and nobody is woken for it.
//! - A thread's *ring*: what was displaced from the slot, and isolates whose budget ran out.
//!   What does not fit the ring waits in the thread's *overflow*.
//! - The *injector*: what came from outside of the pool, and from stuck threads.
//!
//! A thread takes from its slot (a limited number of times in a row), its ring, the injector,
//! and now and then from the injector first. One without work searches for a while,
//! [`SEARCH`] unless the runtime was told otherwise, and then parks ([`sleep`]). A searcher
//! steals half a ring where at least [`BACKLOG_NS`] of work waits (its length times the owner's
//! mean slice; [`FINE_BACKLOG_NS`] where that is short), or anything from a stuck thread.
//! Likewise who adds to a ring wakes a thread only for such a backlog: for less, waking costs
//! more than it brings (17 us for a sleeping core against some 30 ns a message).
//!
//! # Compensation
//! While runnable isolates wait and threads run, the [`monitor`] looks every millisecond. A
//! thread that has been inside one turn since the last look is *stuck*: it no longer counts,
//! its queue is open to thieves, and another thread takes its place, a new one if need be. A
//! section that blocks says so itself ([`blocking`]). When the turn ends, the thread takes its
//! place back if there is room, and otherwise gives its queue away and parks. What happens when
//! all threads wait and none is left is told in [`starvation`].
//!
//! An idle pool makes no wake-ups: threads and monitor are parked.

#[cfg(all(test, loom))]
mod loom_models;
mod monitor;
mod ring;
pub(crate) mod sleep;
mod starvation;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use insula_sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use insula_sync::{Mutex, Parker, wait};

use crate::blocking::Seat;
use crate::event_loop::{Meter, SLICE_TURNS, run_slice};
use crate::memory::{IsolateCore, Runnable};
use crate::panic;
use crate::runtime::{self, RuntimeCore};
use monitor::Monitor;
pub(crate) use ring::Ring;
use sleep::{Injected, Sleep, Wake};
pub(crate) use starvation::BegunWait;
use starvation::Waits;

/// How long a thread without work looks for some before it parks, unless it is told otherwise.
pub(crate) const SEARCH: Duration = Duration::from_micros(20);

/// Queued work that is worth another thread: several times what waking one costs.
const BACKLOG_NS: u64 = 200_000;

/// The same where slices are shorter than [`COARSE_NS`]: what they share then moves from core to
/// core with each of them, which costs as much as many a slice.
const FINE_BACKLOG_NS: u64 = 500_000;

/// Slices as long as this hardly notice where they run.
const COARSE_NS: u64 = 10_000;

/// Picks from the next slot in a row, before the ring gets its turn.
const NEXT_STREAK: u32 = 64;

/// Every so many picks the injector goes first.
const INJECTOR_TICK: u32 = 64;

/// Slices between two readings of the clock.
const SAMPLE_SLICES: u32 = 16;

/// How many isolates a thread moves from the injector to its ring at a time, at most.
const INJECTOR_BATCH: usize = 32;

type Raw = NonNull<IsolateCore>;

pub(crate) struct ThreadPool {
    threads: Box<[PoolThread]>,
    /// Threads that have ever been started: the first so many.
    started: AtomicUsize,
    /// Some thread has been started, which runs until the pool stops.
    has_thread: AtomicBool,
    injector: Injector,
    sleep: Sleep,
    monitor: Monitor,
    stopped: AtomicBool,
    search: Duration,
    handles: Mutex<Vec<JoinHandle<()>>>,
    name: Arc<str>,
    runtime: OnceLock<std::sync::Weak<RuntimeCore>>,
}

/// What others may see of a thread.
struct PoolThread {
    meter: Meter,
    next: AtomicPtr<IsolateCore>,
    ring: OnceLock<Ring<IsolateCore>>,
    overflow: Injector,
    parker: Parker,
    /// Mean length of its slices of late, for the backlog.
    slice_ns: AtomicU32,
    stuck: AtomicBool,
    waits: Arc<Waits>,
}

#[derive(Default)]
struct Injector {
    /// Bounded by the number of isolates: each is in one run queue at most.
    queue: Mutex<VecDeque<Queued>>,
    len: AtomicUsize,
}

/// A pointer that may move between threads.
struct Queued(Raw);

// SAFETY: it stands for a `Runnable`, which is `Send`.
unsafe impl Send for Queued {}

impl Injector {
    fn push(&self, items: impl IntoIterator<Item = Raw>) {
        let mut queue = self.queue.lock();
        queue.extend(items.into_iter().map(Queued));
        self.len.store(queue.len(), Ordering::SeqCst);
    }

    fn is_empty(&self) -> bool {
        self.len.load(Ordering::SeqCst) == 0
    }

    /// Takes one to run, and some more for `ring`.
    fn take(&self, ring: Option<&Ring<IsolateCore>>) -> Option<Raw> {
        if self.is_empty() {
            return None;
        }
        let mut queue = self.queue.lock();
        let first = queue.pop_front()?.0;
        if let Some(ring) = ring {
            for _ in 1..INJECTOR_BATCH.min(queue.len() / 2) {
                let Some(Queued(item)) = queue.pop_front() else {
                    break;
                };
                if let Err(item) = ring.push(item) {
                    queue.push_front(Queued(item));
                    break;
                }
            }
        }
        self.len.store(queue.len(), Ordering::SeqCst);
        Some(first)
    }
}

insula_sync::thread_cell! {
    static WORKER: *const Worker = ptr::null();
}

/// What only a pool thread itself sees.
struct Worker {
    pool: *const ThreadPool,
    index: usize,
    picks: Cell<u32>,
    streak: Cell<u32>,
    slices: Cell<u32>,
    sampled: Cell<Instant>,
}

impl Worker {
    fn new(pool: &ThreadPool, index: usize) -> Self {
        Self {
            pool,
            index,
            picks: Cell::new(0),
            streak: Cell::new(0),
            slices: Cell::new(0),
            sampled: Cell::new(Instant::now()),
        }
    }
}

impl ThreadPool {
    pub(crate) fn new(threads: usize, spares: usize, search: Duration, name: Arc<str>) -> Self {
        Self {
            threads: (0..threads + spares).map(|_| PoolThread::new()).collect(),
            started: AtomicUsize::new(0),
            has_thread: AtomicBool::new(false),
            injector: Injector::default(),
            sleep: Sleep::new(threads, threads + spares),
            monitor: Monitor::new(),
            stopped: AtomicBool::new(false),
            search,
            handles: Mutex::new(Vec::new()),
            name,
            runtime: OnceLock::new(),
        }
    }

    /// The runtime that the threads are to keep alive. Set once, before anything is scheduled.
    pub(crate) fn belongs_to(&self, runtime: &Arc<RuntimeCore>) {
        let _ = self.runtime.set(Arc::downgrade(runtime));
    }

    /// Queues an isolate on the calling thread, where it will run soonest. Gives it back if that
    /// is no thread of this pool.
    #[inline]
    pub(crate) fn schedule_here(&self, runnable: Runnable) -> Result<(), Runnable> {
        let worker = WORKER.with(Cell::get);
        // SAFETY: set by the thread itself for as long as its `Worker` lives.
        match unsafe { worker.as_ref() } {
            Some(worker) if ptr::eq(worker.pool, self) => {
                self.schedule_on(worker, runnable.into_raw());
                Ok(())
            }
            _ => Err(runnable),
        }
    }

    /// Queues an isolate from a thread that is none of the pool's.
    pub(crate) fn schedule_elsewhere(&self, runnable: Runnable) {
        self.inject([runnable.into_raw()]);
    }

    #[inline]
    fn schedule_on(&self, worker: &Worker, raw: Raw) {
        let thread = &self.threads[worker.index];
        if thread.stuck.load(Ordering::Relaxed) {
            return self.inject([raw]);
        }
        // Only this thread fills its slot, and others only empty it: an empty one needs no
        // read-modify-write. Release pairs with the Acquire of whoever takes it.
        if thread.next.load(Ordering::Relaxed).is_null() {
            thread.next.store(raw.as_ptr(), Ordering::Release);
            return;
        }
        let displaced = thread.next.swap(raw.as_ptr(), Ordering::AcqRel);
        if let Some(displaced) = NonNull::new(displaced) {
            self.push_to_ring(worker, displaced);
        }
    }

    fn push_to_ring(&self, worker: &Worker, raw: Raw) {
        let thread = &self.threads[worker.index];
        let ring = thread.ring();
        if let Err(raw) = ring.push(raw) {
            // Half of the ring goes along, so that the next ones fit again. What is taken from
            // there later comes behind what stayed: the order is approximately that of arrival.
            let mut older = Vec::with_capacity(ring.len() + 1);
            ring.take_half(|item| older.push(item));
            older.push(raw);
            thread.overflow.push(older);
        }
        if self.sleep.could_use_a_thread() && thread.has_backlog() {
            self.wake(self.sleep.wake_one());
        }
    }

    fn inject(&self, items: impl IntoIterator<Item = Raw>) {
        self.injector.push(items);
        match self.sleep.work_injected() {
            Injected::Seen => {}
            Injected::Wake(wake) => self.wake(Some(wake)),
            // The monitor watches them.
            Injected::AllBusy => {}
        }
    }

    fn wake(&self, wake: Option<Wake>) {
        match wake {
            None => {}
            Some(Wake::Unpark(index)) => self.threads[index].parker.unpark(),
            // Isolates that wait are found by the threads there are, or at the next try.
            Some(Wake::Start(index)) => drop(self.start_thread(index)),
        }
    }

    /// Starts a thread, unless one is awake or can be woken, so that a lack of threads shows.
    pub(crate) fn start_first(&self) -> io::Result<()> {
        match self.sleep.wake_one() {
            Some(Wake::Start(index)) => self.start_thread(index),
            other => {
                self.wake(other);
                Ok(())
            }
        }
    }

    /// Sees to it that some thread runs what is about to be spawned: later a lack of threads has
    /// nobody to go to, and the isolate would wait for ever.
    ///
    /// # Panics
    /// If there is no thread, and none can be started.
    #[inline]
    pub(crate) fn require_thread(&self) {
        if self.has_thread.load(Ordering::Relaxed) || cfg!(loom) {
            return;
        }
        if let Err(error) = self.start_first() {
            panic!(
                "the first thread of '{}' cannot be started: {error}",
                self.name
            );
        }
    }

    #[cold]
    fn start_thread(&self, index: usize) -> io::Result<()> {
        let runtime = self.runtime.get().and_then(std::sync::Weak::upgrade);
        let started = runtime.ok_or_else(|| io::ErrorKind::NotFound.into());
        let started = started.and_then(|runtime| {
            self.started.fetch_max(index + 1, Ordering::SeqCst);
            runtime
                .new_thread(&format!("{}-{index}", self.name))
                .spawn(move || {
                    let surroundings = runtime.surroundings();
                    surroundings.run(|| run_thread(&runtime, index));
                })
        });
        match started {
            Ok(handle) => {
                // Relaxed: it only saves the next spawn a look, see `require_thread`.
                self.has_thread.store(true, Ordering::Relaxed);
                self.handles.lock().push(handle);
                Ok(())
            }
            Err(error) => {
                self.sleep.start_failed(index);
                Err(error)
            }
        }
    }

    /// The next isolate for this thread to run, from its own queues and the injector.
    fn next(&self, worker: &Worker) -> Option<Raw> {
        let thread = &self.threads[worker.index];
        let picks = worker.picks.get().wrapping_add(1);
        worker.picks.set(picks);
        if picks.is_multiple_of(INJECTOR_TICK)
            && let Some(raw) = self.injector.take(None)
        {
            self.leave_rest_to_others();
            return Some(raw);
        }
        if worker.streak.get() < NEXT_STREAK
            && let Some(raw) = thread.take_next()
        {
            worker.streak.set(worker.streak.get() + 1);
            return Some(raw);
        }
        worker.streak.set(0);
        let picked = thread.ring().pop().or_else(|| thread.take_next());
        let picked = picked.or_else(|| thread.overflow.take(Some(thread.ring())));
        picked.or_else(|| {
            let raw = self.injector.take(Some(thread.ring()))?;
            self.leave_rest_to_others();
            Some(raw)
        })
    }

    /// This thread is going to be busy: wakes another if the injector still has something.
    fn leave_rest_to_others(&self) {
        if !self.injector.is_empty() && self.sleep.could_use_a_thread() {
            self.wake(self.sleep.wake_one());
        }
    }

    /// Runs an isolate until it is idle, or something else wants to run.
    fn run(&self, worker: &Worker, raw: Raw) {
        let thread = &self.threads[worker.index];
        // SAFETY: it came out of a run queue, where it was put once.
        let mut runnable = unsafe { Runnable::from_raw(raw) };
        loop {
            let again = run_slice(runnable, &thread.meter, SLICE_TURNS);
            self.sample(worker);
            if thread.stuck.load(Ordering::Relaxed) {
                return self.come_unstuck(worker, again.map(Runnable::into_raw));
            }
            match again {
                None => return,
                Some(again) if !self.has_other_work(thread) => runnable = again,
                Some(again) => return self.push_to_ring(worker, again.into_raw()),
            }
        }
    }

    fn has_other_work(&self, thread: &PoolThread) -> bool {
        !thread.next.load(Ordering::Relaxed).is_null()
            || thread.queue_len() != 0
            || !self.injector.is_empty()
    }

    /// Keeps the mean length of this thread's slices.
    #[inline]
    fn sample(&self, worker: &Worker) {
        let slices = worker.slices.get() + 1;
        worker.slices.set(slices);
        if slices == SAMPLE_SLICES {
            let now = Instant::now();
            let elapsed = now - worker.sampled.replace(now);
            let mean = elapsed.as_nanos() / u128::from(SAMPLE_SLICES);
            let mean = u32::try_from(mean).unwrap_or(u32::MAX);
            self.threads[worker.index]
                .slice_ns
                .store(mean, Ordering::Relaxed);
            worker.slices.set(0);
        }
    }

    /// A turn that took long is over.
    #[cold]
    fn come_unstuck(&self, worker: &Worker, again: Option<Raw>) {
        let thread = &self.threads[worker.index];
        thread.stuck.store(false, Ordering::SeqCst);
        if self.sleep.unstick(worker.index) {
            if let Some(again) = again {
                self.push_to_ring(worker, again);
            }
            return;
        }
        // The place has been filled: this thread counts as parked already.
        let mut queue: Vec<Raw> = thread.take_next().into_iter().collect();
        while thread.ring().take_half(|item| queue.push(item)) != 0 {}
        queue.extend(std::iter::from_fn(|| thread.overflow.take(None)));
        queue.extend(again);
        if !queue.is_empty() {
            self.inject(queue);
        }
        self.park(worker);
        // Whoever chose this thread counted it as searching; it looks at its queues first.
        self.sleep.found_work();
        self.watch();
    }

    /// Looks for work elsewhere, then parks. `None` when the pool has been stopped.
    fn find_work(&self, worker: &Worker) -> Option<Raw> {
        self.sleep.start_searching();
        loop {
            if let Some(raw) = self.search(worker) {
                if self.sleep.found_work().0 && self.work_for_thieves() {
                    self.wake(self.sleep.wake_one());
                }
                self.leave_rest_to_others();
                self.watch();
                worker.sampled.set(Instant::now());
                worker.slices.set(0);
                return Some(raw);
            }
            if self.stopped.load(Ordering::SeqCst) {
                return None;
            }
            self.sleep.park(worker.index);
            let more = self.work_for_thieves();
            if !(more && self.sleep.resume(worker.index)) {
                self.park(worker);
            }
        }
    }

    /// Sleeps until another thread has chosen this one, which counts as searching then.
    fn park(&self, worker: &Worker) {
        // Stopping leaves a token for everybody.
        self.threads[worker.index].parker.park();
    }

    fn search(&self, worker: &Worker) -> Option<Raw> {
        let own = self.threads[worker.index].ring();
        let start = Instant::now();
        loop {
            if let Some(raw) = self.injector.take(Some(own)).or_else(|| self.steal(worker)) {
                return Some(raw);
            }
            if start.elapsed() >= self.search || self.stopped.load(Ordering::Relaxed) {
                return None;
            }
            for _ in 0..16 {
                wait::spin();
            }
        }
    }

    fn steal(&self, worker: &Worker) -> Option<Raw> {
        let started = self.started.load(Ordering::Acquire);
        let own = self.threads[worker.index].ring();
        let victims = (1..started).map(|offset| (worker.index + offset) % started);
        for victim in victims.map(|index| &self.threads[index]) {
            if !victim.is_open_to_thieves() {
                continue;
            }
            let mut first = None;
            victim.ring().take_half(|item| {
                if first.is_none() {
                    first = Some(item);
                } else if let Err(item) = own.push(item) {
                    // A thief's ring is empty, so this happens to the last one at most.
                    self.injector.push([item]);
                }
            });
            first = first.or_else(|| victim.overflow.take(Some(own)));
            if first.is_none() && victim.stuck.load(Ordering::SeqCst) {
                first = victim.take_next();
            }
            if first.is_some() {
                return first;
            }
        }
        None
    }

    fn work_for_thieves(&self) -> bool {
        let started = self.started.load(Ordering::Acquire);
        !self.injector.is_empty()
            || self.threads[..started].iter().any(|thread| {
                thread.is_open_to_thieves() && (thread.queue_len() != 0 || thread.has_next())
            })
    }

    /// Whether anything runnable waits anywhere.
    fn work_waits(&self) -> bool {
        let started = self.started.load(Ordering::Acquire);
        !self.injector.is_empty()
            || self.threads[..started]
                .iter()
                .any(|thread| thread.has_next() || thread.queue_len() != 0)
    }

    /// This thread is about to block inside of a turn.
    fn about_to_block(&self, worker: &Worker) {
        let thread = &self.threads[worker.index];
        if self.sleep.stick(worker.index) {
            thread.stuck.store(true, Ordering::SeqCst);
            if self.work_waits() {
                self.wake(self.sleep.wake_one());
            }
        }
    }

    pub(crate) fn thread_count(&self) -> usize {
        self.started.load(Ordering::Acquire)
    }

    /// Ends all threads that are not inside of a turn, and waits for them.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.stop_monitor();
        for thread in &self.threads {
            thread.parker.unpark();
        }
        let handles = std::mem::take(&mut *self.handles.lock());
        for handle in handles {
            if !is_own_thread(&handle) {
                // User code's panics do not get as far as the thread.
                panic::contain(|| drop(handle.join()));
            }
        }
    }
}

impl PoolThread {
    fn new() -> Self {
        Self {
            meter: Meter::default(),
            next: AtomicPtr::new(ptr::null_mut()),
            ring: OnceLock::new(),
            overflow: Injector::default(),
            parker: Parker::new(),
            slice_ns: AtomicU32::new(0),
            stuck: AtomicBool::new(false),
            waits: Arc::default(),
        }
    }

    #[inline]
    fn ring(&self) -> &Ring<IsolateCore> {
        self.ring.get_or_init(Ring::new)
    }

    fn has_next(&self) -> bool {
        !self.next.load(Ordering::SeqCst).is_null()
    }

    #[inline]
    fn take_next(&self) -> Option<Raw> {
        if self.next.load(Ordering::Relaxed).is_null() {
            return None;
        }
        NonNull::new(self.next.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    fn queue_len(&self) -> usize {
        self.ring().len() + self.overflow.len.load(Ordering::Relaxed)
    }

    /// Whether enough waits here for another thread to help.
    fn has_backlog(&self) -> bool {
        let slice = u64::from(self.slice_ns.load(Ordering::Relaxed));
        let enough = if slice < COARSE_NS {
            FINE_BACKLOG_NS
        } else {
            BACKLOG_NS
        };
        self.queue_len() as u64 * slice >= enough
    }

    fn is_open_to_thieves(&self) -> bool {
        self.stuck.load(Ordering::SeqCst) || self.has_backlog()
    }
}

insula_sync::thread_cell! {
    /// What a thread of the runtime is known by to who joins it. `std::thread::current` panics at
    /// the very end of a thread.
    static OWN: Option<ThreadId> = None;
}

/// A thread of the runtime begins.
pub(crate) fn begin_own_thread() {
    OWN.with(|own| own.set(Some(std::thread::current().id())));
}

/// Whether this is the thread of the handle, which has called [`begin_own_thread`].
pub(crate) fn is_own_thread(handle: &JoinHandle<()>) -> bool {
    OWN.with(Cell::get) == Some(handle.thread().id())
}

fn run_thread(runtime: &Arc<RuntimeCore>, index: usize) {
    begin_own_thread();
    let Some(pool) = runtime.thread_pool() else {
        return;
    };
    let worker = Worker::new(pool, index);
    WORKER.with(|it| it.set(&raw const worker));
    runtime::enter_forever(runtime);
    let _hosted = runtime::Hosted::begin(runtime);
    panic::install_hook();
    // A thread that was started or woken counts as searching.
    pool.sleep.found_work();
    pool.watch();
    while !pool.stopped.load(Ordering::Relaxed) {
        let Some(raw) = pool.next(&worker).or_else(|| pool.find_work(&worker)) else {
            break;
        };
        pool.run(&worker, raw);
    }
    WORKER.with(|it| it.set(ptr::null()));
}

/// Tells the pool, if this is one of its threads, that what follows may block.
pub(crate) fn about_to_block() {
    // SAFETY: set by the thread itself for as long as its `Worker` lives.
    if let Some(worker) = unsafe { WORKER.with(Cell::get).as_ref() } {
        // SAFETY: the runtime, which the thread keeps alive, owns the pool.
        unsafe { &*worker.pool }.about_to_block(worker);
    }
}

/// Tells the pool, if this is one of its threads, of a wait without a time-out, until the result
/// is dropped.
pub(crate) fn begin_wait(seat: &Arc<Seat>) -> Option<BegunWait> {
    // SAFETY: set by the thread itself for as long as its `Worker` lives.
    let worker = unsafe { WORKER.with(Cell::get).as_ref() }?;
    // SAFETY: the runtime, which the thread keeps alive, owns the pool.
    let pool = unsafe { &*worker.pool };
    Some(pool.threads[worker.index].waits.begin(seat))
}

/// Whether this is a thread of a pool on which others wait to run.
pub(crate) fn others_wait() -> bool {
    // SAFETY: set by the thread itself for as long as its `Worker` lives.
    let Some(worker) = (unsafe { WORKER.with(Cell::get).as_ref() }) else {
        return false;
    };
    // SAFETY: the runtime, which the thread keeps alive, owns the pool.
    let pool = unsafe { &*worker.pool };
    pool.has_other_work(&pool.threads[worker.index])
}

/// Runs `f`, which may block or compute for long, and lets another thread take this one's
/// place in the pool at once, so that other isolates go on. On any other thread it just runs
/// `f`.
///
/// A section that is not announced is found by the monitor, a millisecond or two later.
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    about_to_block();
    f()
}
