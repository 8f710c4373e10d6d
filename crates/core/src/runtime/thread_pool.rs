//! The threads that run pooled isolates.
//!
//! # Where runnable isolates wait
//! - A thread's *next* slot: the isolate that the running one messaged last. It runs next on
//!   this thread, in its warm caches, and no other thread is woken for it.
//! - A thread's *ring*: isolates that were displaced from the slot, or whose budget ran out.
//!   Isolates that do not fit into the ring wait in the thread's *overflow queue*.
//! - The *injector*: isolates from outside of the pool, and from stuck threads.
//!
//! A thread takes isolates from its slot (a limited number of times in a row), its ring, its
//! overflow queue and the injector, in this order, and now and then from the injector first. A
//! thread without work searches for a while ([`SEARCH`] by default) and then parks ([`sleep`]). A
//! searcher steals half of a ring if at least [`BACKLOG_NS`] of work waits in it (its length times
//! the owner's mean slice; [`FINE_BACKLOG_NS`] if slices are short), or anything from a stuck
//! thread. A push to a ring wakes a thread only for such a backlog: for less, waking costs more
//! than it gains (17 us for a sleeping core, some 30 ns per message; figures of 2026-11-21). A
//! searcher also looks at the sources of input that were given to the runtime
//! ([`pollers`](super::pollers)).
//!
//! # Compensation
//! While runnable isolates wait and threads run, the [`monitor`] looks every millisecond, and seldom
//! while none waits. A thread that has been inside of one turn since the last look is *stuck*: it no
//! longer counts, its queues are open to thieves, and another thread takes its place, a new one if
//! need be. A section that blocks announces itself ([`blocking`]). When the turn ends, the thread takes
//! its place back if there is room; otherwise it gives its queues away and parks. [`starvation`]
//! describes what happens when all threads wait and none is left.
//!
//! An idle pool makes no wake-ups: threads and monitor are parked.

mod locked_queue;
#[cfg(all(test, loom))]
mod loom_models;
mod monitor;
mod ring;
pub(crate) mod sleep;
mod starvation;
#[cfg(all(test, not(loom)))]
mod tests;

use std::cell::Cell;
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
use crate::runtime::pollers::Pollers;
use crate::runtime::{self, RuntimeCore};
use locked_queue::LockedQueue;
use monitor::Monitor;
pub(crate) use ring::Ring;
use sleep::{Injected, Sleep, Wake};
pub(crate) use starvation::BegunWait;
use starvation::Waits;

/// The default of [`RuntimeBuilder::search_time`](crate::RuntimeBuilder::search_time).
pub(crate) const SEARCH: Duration = Duration::from_micros(20);

/// Queued work that is worth another thread: several times the cost of waking one.
const BACKLOG_NS: u64 = 200_000;

/// The threshold for slices shorter than [`COARSE_NS`]: a stolen slice moves its cache lines to
/// another core, which can cost more than running it.
// With the threshold of longer slices, a thousand isolates that asked one another ran slower on two
// threads than on one (2026-11-21).
const FINE_BACKLOG_NS: u64 = 500_000;

/// A slice at least this long hardly gains from running on the core of the slice before.
const COARSE_NS: u64 = 10_000;

/// Picks from the next slot in a row, after which the ring gets its turn. Without a limit, two
/// isolates that message each other would keep the ring waiting.
const NEXT_STREAK: u32 = 64;

/// Every so many picks, the injector comes first.
const INJECTOR_TICK: u32 = 64;

/// Slices between two readings of the clock.
const SAMPLE_SLICES: u32 = 16;

/// A [`Runnable`] in a queue, made by `Runnable::into_raw`.
type Raw = NonNull<IsolateCore>;

pub(crate) struct ThreadPool {
    threads: Box<[PoolThread]>,
    /// The length of the prefix of `threads` that has ever been started. `start_thread` raises it
    /// before the thread runs; the Acquire loads of all scans pair with that.
    started: AtomicUsize,
    /// Set when a thread has been started, which then runs until the pool stops.
    has_thread: AtomicBool,
    injector: LockedQueue,
    sleep: Sleep,
    monitor: Monitor,
    stopped: AtomicBool,
    search: Duration,
    pollers: Pollers,
    handles: Mutex<Vec<JoinHandle<()>>>,
    name: Arc<str>,
    runtime: OnceLock<std::sync::Weak<RuntimeCore>>,
}

/// The state of a pool thread that other threads may access.
struct PoolThread {
    meter: Meter,
    /// The next slot. Only the thread itself fills it; a thief may empty it while the thread is
    /// stuck.
    next: AtomicPtr<IsolateCore>,
    ring: OnceLock<Ring<IsolateCore>>,
    overflow: LockedQueue,
    parker: Parker,
    /// The mean length of its last slices, from which the backlog is estimated.
    slice_ns: AtomicU32,
    /// Set after [`Sleep::stick`], by the thread itself or the monitor; cleared by the thread.
    stuck: AtomicBool,
    waits: Arc<Waits>,
    /// Its number in the operating system, written as it starts; 0 before, and if it is not known.
    system_id: AtomicU32,
}

insula_sync::thread_cell! {
    /// The state of this thread, while it is a pool thread; null otherwise.
    static THIS_THREAD: *const ThisThread = ptr::null();
}

/// The state of a pool thread that only the thread itself accesses.
struct ThisThread {
    pool: *const ThreadPool,
    index: usize,
    picks: Cell<u32>,
    streak: Cell<u32>,
    slices: Cell<u32>,
    sampled: Cell<Instant>,
}

impl ThisThread {
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
            injector: LockedQueue::default(),
            sleep: Sleep::new(threads, threads + spares),
            monitor: Monitor::new(),
            stopped: AtomicBool::new(false),
            search,
            pollers: Pollers::default(),
            handles: Mutex::new(Vec::new()),
            name,
            runtime: OnceLock::new(),
        }
    }

    /// Sets the runtime that the threads keep alive. Called once, before anything is scheduled.
    pub(crate) fn belongs_to(&self, runtime: &Arc<RuntimeCore>) {
        // Weak, since the runtime owns the pool. Cannot fail: it is called once.
        let _ = self.runtime.set(Arc::downgrade(runtime));
    }

    pub(crate) fn pollers(&self) -> &Pollers {
        &self.pollers
    }

    /// Queues an isolate on the calling thread, where it runs soonest.
    ///
    /// # Errors
    /// Returns the isolate if the calling thread does not belong to this pool.
    #[inline]
    pub(crate) fn schedule_here(&self, runnable: Runnable) -> Result<(), Runnable> {
        let this = THIS_THREAD.with(Cell::get);
        // SAFETY: not null only while this thread's `ThisThread` lives in `run_thread`.
        match unsafe { this.as_ref() } {
            Some(this) if ptr::eq(this.pool, self) => {
                self.schedule_on(this, runnable.into_raw());
                Ok(())
            }
            _ => Err(runnable),
        }
    }

    /// Queues an isolate from a thread outside of the pool.
    pub(crate) fn schedule_elsewhere(&self, runnable: Runnable) {
        self.inject([runnable.into_raw()]);
    }

    #[inline]
    fn schedule_on(&self, this: &ThisThread, raw: Raw) {
        let thread = &self.threads[this.index];
        // Relaxed: if the monitor has just set the flag and it is not seen here, the isolate lands
        // in a queue that thieves may empty.
        if thread.stuck.load(Ordering::Relaxed) {
            return self.inject([raw]);
        }
        // Only this thread fills its slot, and others only empty it, so an empty slot needs no
        // read-modify-write. Release, here and in the swap below, pairs with the Acquire of the
        // swap in `take_next`.
        if thread.next.load(Ordering::Relaxed).is_null() {
            thread.next.store(raw.as_ptr(), Ordering::Release);
            return self.nudge();
        }
        let displaced = thread.next.swap(raw.as_ptr(), Ordering::AcqRel);
        if let Some(displaced) = NonNull::new(displaced) {
            self.push_to_ring(this, displaced);
        }
    }

    fn push_to_ring(&self, this: &ThisThread, raw: Raw) {
        let thread = &self.threads[this.index];
        let ring = thread.ring();
        if let Err(raw) = ring.push(raw) {
            // Half of the ring moves too, so that the next pushes find room again. The queue is
            // read when the ring is empty, so isolates run in roughly the order of their arrival.
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
            // The monitor watches the threads, and replaces one that does not come back. It sleeps
            // now only if it could not be started before, but it may doze.
            Injected::AllBusy => {
                self.watch();
                self.nudge();
            }
        }
    }

    fn wake(&self, wake: Option<Wake>) {
        match wake {
            None => {}
            Some(Wake::Unpark(index)) => self.threads[index].parker.unpark(),
            // If this fails, the existing threads run the isolates that wait, or the next wake-up
            // tries again.
            Some(Wake::Start(index)) => drop(self.start_thread(index)),
        }
    }

    /// Wakes a thread, or starts one if none is parked and there is room for it.
    ///
    /// # Errors
    /// If a thread could not be started.
    pub(crate) fn start_first(&self) -> io::Result<()> {
        match self.sleep.wake_one() {
            Some(Wake::Start(index)) => self.start_thread(index),
            other => {
                self.wake(other);
                Ok(())
            }
        }
    }

    /// Makes sure that the pool has a thread, before an isolate is spawned. Without one the isolate
    /// would wait for ever, and no caller would be left to receive the error.
    ///
    /// # Panics
    /// If there is no thread, and none can be started.
    #[inline]
    pub(crate) fn require_thread(&self) {
        // Relaxed: a stale `false` only costs an attempt. Models have no threads to start.
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
            // Before the thread runs; pairs with the Acquire loads of `started` in the scans.
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
                // Relaxed: the flag only saves `require_thread` an attempt to start a thread.
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

    /// Returns the next isolate for this thread to run, from its own queues or the injector.
    // In line where each turn passes: 16 instructions less.
    #[inline(always)]
    fn next(&self, this: &ThisThread) -> Option<Raw> {
        let thread = &self.threads[this.index];
        let picks = this.picks.get().wrapping_add(1);
        this.picks.set(picks);
        if picks.is_multiple_of(INJECTOR_TICK)
            && let Some(raw) = self.injector.take(None)
        {
            self.leave_rest_to_others();
            return Some(raw);
        }
        if this.streak.get() < NEXT_STREAK
            && let Some(raw) = thread.take_next()
        {
            this.streak.set(this.streak.get() + 1);
            return Some(raw);
        }
        this.streak.set(0);
        // The streak is over, but if the ring is empty the slot keeps nothing waiting.
        let picked = thread.ring().pop().or_else(|| thread.take_next());
        let picked = picked.or_else(|| thread.overflow.take(Some(thread.ring())));
        picked.or_else(|| {
            let raw = self.injector.take(Some(thread.ring()))?;
            self.leave_rest_to_others();
            Some(raw)
        })
    }

    /// Wakes another thread if the injector is not empty, since this thread is about to be busy.
    fn leave_rest_to_others(&self) {
        if !self.injector.is_empty() && self.sleep.could_use_a_thread() {
            self.wake(self.sleep.wake_one());
        }
    }

    /// Runs an isolate until it is idle, or something else wants to run.
    fn run(&self, this: &ThisThread, raw: Raw) {
        let thread = &self.threads[this.index];
        // SAFETY: `raw` is from `Runnable::into_raw`, and was taken out of its one run queue.
        let mut runnable = unsafe { Runnable::from_raw(raw) };
        loop {
            let again = run_slice(runnable, &thread.meter, SLICE_TURNS);
            self.sample(this);
            // Relaxed: this thread has set the flag itself, or the monitor has, and then the end of
            // the next slice is early enough.
            if thread.stuck.load(Ordering::Relaxed) {
                return self.come_unstuck(this, again.map(Runnable::into_raw));
            }
            match again {
                None => return,
                Some(again) if !self.has_other_work(thread) => runnable = again,
                Some(again) => return self.push_to_ring(this, again.into_raw()),
            }
        }
    }

    fn has_other_work(&self, thread: &PoolThread) -> bool {
        // Relaxed: only this thread fills its slot.
        !thread.next.load(Ordering::Relaxed).is_null()
            || thread.queue_len() != 0
            || !self.injector.is_empty()
    }

    /// Updates the mean length of this thread's slices.
    #[inline]
    fn sample(&self, this: &ThisThread) {
        let slices = this.slices.get() + 1;
        this.slices.set(slices);
        if slices == SAMPLE_SLICES {
            let now = Instant::now();
            let elapsed = now - this.sampled.replace(now);
            let mean = elapsed.as_nanos() / u128::from(SAMPLE_SLICES);
            let mean = u32::try_from(mean).unwrap_or(u32::MAX);
            self.threads[this.index]
                .slice_ns
                .store(mean, Ordering::Relaxed);
            this.slices.set(0);
        }
    }

    /// Takes this thread's place back after a long turn, or gives its queues away and parks.
    #[cold]
    fn come_unstuck(&self, this: &ThisThread, again: Option<Raw>) {
        let thread = &self.threads[this.index];
        // Cleared before `unstick`: from then on the monitor may set it again, and this must not
        // erase that. It publishes nothing: a thief that misses it only steals more.
        thread.stuck.store(false, Ordering::SeqCst);
        if self.sleep.unstick(this.index) {
            if let Some(again) = again {
                self.push_to_ring(this, again);
            }
            return;
        }
        // Another thread has taken the place, and this one counts as parked already.
        let mut queue: Vec<Raw> = thread.take_next().into_iter().collect();
        while thread.ring().take_half(|item| queue.push(item)) != 0 {}
        queue.extend(std::iter::from_fn(|| thread.overflow.take(None)));
        queue.extend(again);
        if !queue.is_empty() {
            self.inject(queue);
        }
        self.park(this);
        // The wake-up counted this thread as searching, but it looks at its own queues first.
        self.sleep.found_work();
        self.watch();
    }

    /// Searches for work elsewhere, and parks while there is none. Returns `None` when the pool has
    /// been stopped.
    fn find_work(&self, this: &ThisThread) -> Option<Raw> {
        self.sleep.start_searching();
        loop {
            // The end of the search may have handled input that came last of all.
            if let Some(raw) = self.search(this).or_else(|| self.look_again(this)) {
                if self.sleep.found_work().0 && self.work_for_thieves() {
                    self.wake(self.sleep.wake_one());
                }
                self.leave_rest_to_others();
                self.watch();
                // The time of the search is no part of a slice.
                this.sampled.set(Instant::now());
                this.slices.set(0);
                return Some(raw);
            }
            // See `stop`: the token that is taken in `park` makes the store visible.
            if self.stopped.load(Ordering::SeqCst) {
                return None;
            }
            self.sleep.park(this.index);
            let more = self.work_for_thieves();
            if !(more && self.sleep.resume(this.index)) {
                self.park(this);
            }
        }
    }

    /// Sleeps until another thread wakes this one, which counts as searching from then on.
    fn park(&self, this: &ThisThread) {
        // `stop` leaves a token in every parker, so this does not outlast the pool.
        self.threads[this.index].parker.park();
    }

    fn search(&self, this: &ThisThread) -> Option<Raw> {
        if let Some(raw) = self.look_elsewhere(this) {
            return Some(raw);
        }
        let polling = self.pollers.begin();
        let start = Instant::now();
        loop {
            for _ in 0..16 {
                // What it finds out makes isolates of this thread runnable, or those of others.
                if polling.poll()
                    && let Some(raw) = self.look_again(this)
                {
                    return Some(raw);
                }
                wait::spin();
            }
            if let Some(raw) = self.look_elsewhere(this) {
                return Some(raw);
            }
            // Relaxed: `find_work` looks at the flag again before it parks.
            if start.elapsed() >= self.search || self.stopped.load(Ordering::Relaxed) {
                return None;
            }
        }
    }

    /// Looks at this thread's own queues, after something was handled outside of turns.
    #[inline(never)]
    fn look_again(&self, this: &ThisThread) -> Option<Raw> {
        self.next(this)
    }

    fn look_elsewhere(&self, this: &ThisThread) -> Option<Raw> {
        let own = self.threads[this.index].ring();
        self.injector.take(Some(own)).or_else(|| self.steal(this))
    }

    fn steal(&self, this: &ThisThread) -> Option<Raw> {
        // Acquire; pairs with the `fetch_max` in `start_thread`, here and in the other scans.
        let started = self.started.load(Ordering::Acquire);
        let own = self.threads[this.index].ring();
        // Each thief begins behind itself, so that they do not all begin at the same victim.
        let victims = (1..started).map(|offset| (this.index + offset) % started);
        for victim in victims.map(|index| &self.threads[index]) {
            if !victim.is_open_to_thieves() {
                continue;
            }
            let mut first = None;
            victim.ring().take_half(|item| {
                if first.is_none() {
                    first = Some(item);
                } else if let Err(item) = own.push(item) {
                    // Not expected: half of a ring fits into a thief's ring, which is empty.
                    self.injector.push([item]);
                }
            });
            first = first.or_else(|| victim.overflow.take(Some(own)));
            // Acquire; pairs with the store in `about_to_block` and `look`. Only a stuck thread's
            // slot is taken: otherwise its isolate runs soonest there.
            if first.is_none() && victim.stuck.load(Ordering::SeqCst) {
                first = victim.take_next();
            }
            if first.is_some() {
                return first;
            }
        }
        None
    }

    /// Returns whether a searcher would find something to take.
    fn work_for_thieves(&self) -> bool {
        let started = self.started.load(Ordering::Acquire);
        !self.injector.is_empty()
            || self.threads[..started].iter().any(|thread| {
                thread.is_open_to_thieves() && (thread.queue_len() != 0 || thread.has_next())
            })
    }

    /// Returns whether any isolate waits to run, in whichever queue.
    fn work_waits(&self) -> bool {
        let started = self.started.load(Ordering::Acquire);
        !self.injector.is_empty()
            || self.threads[..started]
                .iter()
                .any(|thread| thread.has_next() || thread.queue_len() != 0)
    }

    /// Gives this thread's place away, since it is about to block inside of a turn.
    fn about_to_block(&self, this: &ThisThread) {
        let thread = &self.threads[this.index];
        if self.sleep.stick(this.index) {
            // The Release half pairs with the loads in `is_open_to_thieves` and `steal`: a thief
            // that sees the flag sees this thread's queues as they are now. A searcher that gives
            // up takes the roster's lock either before `wake_one`, and can be woken, or after it,
            // and sees the flag in its last look.
            thread.stuck.store(true, Ordering::SeqCst);
            if self.work_waits() {
                self.wake(self.sleep.wake_one());
            }
        }
    }

    /// Returns the number of the calling thread, if it belongs to this pool.
    pub(crate) fn own_index(&self) -> Option<usize> {
        // SAFETY: not null only while this thread's `ThisThread` lives in `run_thread`.
        let this = unsafe { THIS_THREAD.with(Cell::get).as_ref() }?;
        ptr::eq(this.pool, self).then_some(this.index)
    }

    pub(crate) fn thread_count(&self) -> usize {
        self.started.load(Ordering::Acquire)
    }

    /// Ends all threads, and waits for them. A thread ends when its turn is over.
    pub(crate) fn stop(&self) {
        // Every thread and the monitor get a token after the store. A thread that has missed the
        // flag sees it when it has taken the token: `unpark` releases what `park` acquires.
        self.stopped.store(true, Ordering::SeqCst);
        self.stop_monitor();
        for thread in &self.threads {
            thread.parker.unpark();
        }
        // Taken out first: the guard must not live while threads are joined, one of which may need
        // the lock to start another.
        let handles = std::mem::take(&mut *self.handles.lock());
        for handle in handles {
            if !is_own_thread(&handle) {
                // User code's panics are caught before they reach the thread.
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
            overflow: LockedQueue::default(),
            parker: Parker::new(),
            slice_ns: AtomicU32::new(0),
            stuck: AtomicBool::new(false),
            waits: Arc::default(),
            system_id: AtomicU32::new(0),
        }
    }

    #[inline]
    fn ring(&self) -> &Ring<IsolateCore> {
        self.ring.get_or_init(Ring::new)
    }

    fn has_next(&self) -> bool {
        // A look without taking. A slot that is missed is seen by its owner, or at the monitor's
        // next look.
        !self.next.load(Ordering::SeqCst).is_null()
    }

    #[inline]
    fn take_next(&self) -> Option<Raw> {
        // An empty slot is not worth a swap. Acquire pairs with the Release in `schedule_on`.
        if self.next.load(Ordering::Relaxed).is_null() {
            return None;
        }
        NonNull::new(self.next.swap(ptr::null_mut(), Ordering::AcqRel))
    }

    fn queue_len(&self) -> usize {
        self.ring().len() + self.overflow.len()
    }

    /// Returns whether enough work waits here to be worth another thread.
    fn has_backlog(&self) -> bool {
        // Relaxed, in `queue_len` too: the backlog is an estimate.
        is_backlog(self.queue_len(), self.slice_ns.load(Ordering::Relaxed))
    }

    fn is_open_to_thieves(&self) -> bool {
        self.stuck.load(Ordering::SeqCst) || self.has_backlog()
    }
}

/// Returns whether so many isolates, whose slices are so long, are worth another thread.
fn is_backlog(isolates: usize, slice_ns: u32) -> bool {
    let slice = u64::from(slice_ns);
    let enough = if slice < COARSE_NS {
        FINE_BACKLOG_NS
    } else {
        BACKLOG_NS
    };
    isolates as u64 * slice >= enough
}

insula_sync::thread_cell! {
    /// The id of this thread, if it is one of a runtime's own. `std::thread::current` cannot be
    /// used for this: it panics at the very end of a thread.
    static OWN: Option<ThreadId> = None;
}

/// Marks the calling thread as one of a runtime's own, for [`is_own_thread`].
pub(crate) fn begin_own_thread() {
    OWN.with(|own| own.set(Some(std::thread::current().id())));
}

/// Returns whether `handle` is that of the calling thread, which has called [`begin_own_thread`]: a
/// thread must not join itself.
pub(crate) fn is_own_thread(handle: &JoinHandle<()>) -> bool {
    OWN.with(Cell::get) == Some(handle.thread().id())
}

fn run_thread(runtime: &Arc<RuntimeCore>, index: usize) {
    begin_own_thread();
    let Some(pool) = runtime.thread_pool() else {
        return;
    };
    let this = ThisThread::new(pool, index);
    THIS_THREAD.with(|it| it.set(&raw const this));
    // Relaxed: for tools, which look again.
    let system_id = &pool.threads[index].system_id;
    system_id.store(runtime::system_id::own(), Ordering::Relaxed);
    runtime::enter_forever(runtime);
    let _hosted = runtime::Hosted::begin(runtime);
    panic::install_hook();
    // The wake-up counted this thread as searching, but it looks at its own queues first.
    pool.sleep.found_work();
    pool.watch();
    // Relaxed: a late look costs one slice; see `stop`.
    while !pool.stopped.load(Ordering::Relaxed) {
        let Some(raw) = pool.next(&this).or_else(|| pool.find_work(&this)) else {
            break;
        };
        pool.run(&this, raw);
    }
    THIS_THREAD.with(|it| it.set(ptr::null()));
}

/// Tells the pool, if this is one of its threads, that the code that follows may block.
pub(crate) fn about_to_block() {
    // SAFETY: not null only while this thread's `ThisThread` lives in `run_thread`.
    if let Some(this) = unsafe { THIS_THREAD.with(Cell::get).as_ref() } {
        // SAFETY: the runtime, which the thread keeps alive, owns the pool.
        unsafe { &*this.pool }.about_to_block(this);
    }
}

/// Tells the pool, if this is one of its threads, of a wait without a time-out. The wait lasts
/// until the result is dropped.
pub(crate) fn begin_wait(seat: &Arc<Seat>) -> Option<BegunWait> {
    // SAFETY: not null only while this thread's `ThisThread` lives in `run_thread`.
    let this = unsafe { THIS_THREAD.with(Cell::get).as_ref() }?;
    // SAFETY: the runtime, which the thread keeps alive, owns the pool.
    let pool = unsafe { &*this.pool };
    Some(pool.threads[this.index].waits.begin(seat))
}

/// Returns whether the calling thread belongs to a pool and other isolates wait to run on it.
pub(crate) fn others_wait() -> bool {
    // SAFETY: not null only while this thread's `ThisThread` lives in `run_thread`.
    let Some(this) = (unsafe { THIS_THREAD.with(Cell::get).as_ref() }) else {
        return false;
    };
    // SAFETY: the runtime, which the thread keeps alive, owns the pool.
    let pool = unsafe { &*this.pool };
    pool.has_other_work(&pool.threads[this.index])
}

/// Runs `f`, which may block or compute for long, and lets another thread take this thread's place
/// in the pool at once, so that other isolates go on. On a thread outside of pools it only runs
/// `f`.
///
/// The monitor finds a section that is not announced like this, a millisecond or two later.
pub fn blocking<R>(f: impl FnOnce() -> R) -> R {
    about_to_block();
    f()
}
