//! The monitor: finds threads that are inside of one turn for long while isolates wait.
//!
//! It is awake whenever a thread of the pool is: a thread that has been started, or that found
//! work after it had parked or searched, wakes it before it runs anything. It goes to sleep when
//! it has found all threads parked for [`IDLE_TICKS`] looks. Before it sleeps it sets `asleep` and
//! then counts the active threads once more; a thread counts as active before it reads `asleep`.
//! All four accesses are sequentially consistent, so a thread that runs isolates is always
//! watched, and an idle pool never wakes up. A pool with a stuck thread is not idle: the monitor
//! goes on looking, because that thread takes its place back without waking it.

#[cfg(all(test, not(loom)))]
mod tests;

use std::time::Duration;

use insula_sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use insula_sync::{Mutex, Parker};

use super::ThreadPool;
use crate::inspect::ThreadSnapshot;
use crate::isolate::IsolateId;
use crate::runtime;

/// Time between two looks.
const TICK: Duration = Duration::from_millis(1);

/// Looks in a row that find no isolate waiting, before the monitor dozes.
const QUIET_TICKS: u32 = 4;

/// Time between two looks of a monitor that dozes. In a virtual machine a look costs 14 us, so that
/// looking each millisecond took 1.7 % of the CPU time of a pool that computes (`perf` of the bench's
/// suite `tables`, 2026-11-30).
const DOZE: Duration = Duration::from_millis(8);

/// Looks in a row that find all threads parked, before the monitor goes to sleep.
const IDLE_TICKS: u32 = 4;

pub(super) struct Monitor {
    parker: Parker,
    /// Set while the monitor sleeps or has no thread. A thread that clears it must wake or start
    /// the monitor.
    asleep: AtomicBool,
    /// Set while the monitor dozes. A thread that clears it must wake the monitor.
    dozes: AtomicBool,
    /// Set when the monitor gets its thread. Only read by the thread that has cleared `asleep`.
    started: AtomicBool,
    /// Looks so far. A counter for tests and tools, so Relaxed.
    ticks: AtomicU32,
    handle: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Monitor {
    pub(super) fn new() -> Self {
        Self {
            parker: Parker::new(),
            asleep: AtomicBool::new(true),
            dozes: AtomicBool::new(false),
            started: AtomicBool::new(false),
            ticks: AtomicU32::new(0),
            handle: Mutex::new(None),
        }
    }

    /// Has the monitor count as one that has a thread, in models, which have none to start.
    #[cfg(all(test, loom))]
    pub(super) fn set_awake(&self) {
        self.started.store(true, Ordering::SeqCst);
        self.asleep.store(false, Ordering::SeqCst);
    }
}

impl ThreadPool {
    /// Wakes the monitor if it sleeps, since the calling thread is going to run isolates.
    #[inline]
    pub(super) fn watch(&self) {
        // SeqCst: pairs with `watch_threads`, which stores `asleep` and then counts active threads.
        if self.monitor.asleep.load(Ordering::SeqCst) {
            self.wake_monitor();
        }
    }

    #[cold]
    fn wake_monitor(&self) {
        // Of several threads, the one that clears the flag wakes the monitor. The swap pairs with
        // the stores of `true`: it sees the `started` that was written before them.
        if !self.monitor.asleep.swap(false, Ordering::SeqCst) {
            return;
        }
        if self.monitor.started.swap(true, Ordering::SeqCst) {
            return self.monitor.parker.unpark();
        }
        let Some(runtime) = self.runtime.get().and_then(std::sync::Weak::upgrade) else {
            return;
        };
        let thread = std::thread::Builder::new()
            .name(runtime::thread_name(&format!("{}-monitor", self.name)))
            .spawn(move || {
                if let Some(pool) = runtime.thread_pool() {
                    pool.watch_threads();
                }
            });
        match thread {
            Ok(handle) => *self.monitor.handle.lock() = Some(handle),
            // The next thread that finds work tries again, and so does one that injects work while
            // all threads are busy. `asleep` is stored last: once it is set, another thread may be
            // here.
            Err(_) => {
                self.monitor.started.store(false, Ordering::SeqCst);
                self.monitor.asleep.store(true, Ordering::SeqCst);
            }
        }
    }

    /// Has the monitor look soon, since an isolate waits that no thread may be free to run.
    #[inline]
    pub(super) fn nudge(&self) {
        // Relaxed: see the module's description for who has a fence before this.
        if self.monitor.dozes.load(Ordering::Relaxed) {
            self.end_doze();
        }
    }

    #[cold]
    fn end_doze(&self) {
        // Of several threads, one wakes the monitor. Relaxed: the token orders what it looks at.
        if self.monitor.dozes.swap(false, Ordering::Relaxed) {
            self.monitor.parker.unpark();
        }
    }

    /// Waits for the time of a doze, unless an isolate waits or begins to. Returns whether it was nudged.
    pub(super) fn doze(&self) -> bool {
        self.monitor.dozes.store(true, Ordering::Relaxed);
        // Between the store and the look; pairs with the fence in `work_injected`.
        fence(Ordering::SeqCst);
        if !self.work_waits() {
            self.monitor.parker.park_timeout(DOZE);
        }
        !self.monitor.dozes.swap(false, Ordering::Relaxed)
    }

    fn watch_threads(&self) {
        let mut seen = vec![None; self.threads.len()];
        let mut starved = None;
        // See `stop`: the monitor's token makes the store visible.
        while !self.stopped.load(Ordering::SeqCst) {
            let (mut idle_ticks, mut quiet_ticks) = (0, 0);
            while idle_ticks < IDLE_TICKS && !self.stopped.load(Ordering::SeqCst) {
                if idle_ticks == 0 && quiet_ticks >= QUIET_TICKS {
                    // Otherwise each message between isolates that have short turns would end a doze.
                    if self.doze() {
                        quiet_ticks = 0;
                    }
                } else {
                    self.monitor.parker.park_timeout(TICK);
                }
                self.monitor.ticks.fetch_add(1, Ordering::Relaxed);
                if self.work_waits() {
                    quiet_ticks = 0;
                    self.look(&mut seen);
                    self.look_for_starvation(&mut starved);
                } else {
                    quiet_ticks += 1;
                    seen.fill(None);
                    starved = None;
                }
                idle_ticks = if self.sleep.all_parked() {
                    idle_ticks + 1
                } else {
                    0
                };
            }
            // SeqCst, before the count of active threads: pairs with the load in `watch`.
            self.monitor.asleep.store(true, Ordering::SeqCst);
            if self.sleep.all_parked() && !self.stopped.load(Ordering::SeqCst) {
                self.monitor.parker.park();
            } else {
                self.monitor.asleep.store(false, Ordering::SeqCst);
            }
        }
    }

    /// Returns the isolates inside of a turn, each with a number that changes with the turn.
    pub(crate) fn turns(&self) -> Vec<(u64, u32)> {
        let started = self.started.load(Ordering::Acquire);
        let meters = self.threads[..started].iter().map(|thread| &thread.meter);
        meters
            .filter_map(|meter| {
                // Relaxed: callers compare two looks, and use only what is the same in both.
                let turn = meter.turn()?;
                Some((meter.isolate.load(Ordering::Relaxed), turn))
            })
            .collect()
    }

    /// Returns what the threads do now, for tools.
    pub(crate) fn threads(&self) -> Vec<ThreadSnapshot> {
        let started = self.started.load(Ordering::Acquire);
        let threads = self.threads[..started].iter().enumerate();
        threads
            .map(|(index, thread)| {
                // Relaxed, all of them: a sample.
                let runs = thread.meter.running.load(Ordering::Relaxed);
                let isolate = thread.meter.isolate.load(Ordering::Relaxed);
                let system_id = thread.system_id.load(Ordering::Relaxed);
                ThreadSnapshot {
                    index,
                    system_id: (system_id != 0).then_some(system_id),
                    isolate: runs.then(|| IsolateId::from_number(isolate)),
                    last_isolate: (isolate != 0).then(|| IsolateId::from_number(isolate)),
                    turns: thread.meter.turns.load(Ordering::Relaxed),
                    is_stuck: thread.stuck.load(Ordering::Relaxed),
                    queued: thread.queue_len(),
                    mean_slice_ns: thread.slice_ns.load(Ordering::Relaxed),
                }
            })
            .collect()
    }

    /// Returns the number of isolates that wait in the queue of all threads.
    pub(crate) fn injected(&self) -> usize {
        self.injector.len()
    }

    /// Marks the threads as stuck whose turn count has not moved since the last look. Asks the
    /// others to end their slices, since isolates wait.
    pub(super) fn look(&self, seen: &mut [Option<u32>]) {
        let started = self.started.load(Ordering::Acquire);
        for (index, (thread, seen)) in self.threads[..started].iter().zip(seen).enumerate() {
            // The meter is Relaxed: it publishes nothing, and the next look corrects a stale one.
            if !thread.meter.running.load(Ordering::Relaxed) {
                *seen = None;
                continue;
            }
            let turns = thread.meter.turns.load(Ordering::Relaxed);
            if *seen != Some(turns) {
                *seen = Some(turns);
                thread.meter.interrupt.store(true, Ordering::Relaxed);
            } else if !thread.stuck.load(Ordering::SeqCst) && self.sleep.stick(index) {
                // Before `wake_one` below, so that a searcher sees it, as in `about_to_block`.
                thread.stuck.store(true, Ordering::SeqCst);
            }
        }
        // One thread per look is enough: it wakes the next if it finds more than it can run.
        if self.work_for_thieves() {
            self.wake(self.sleep.wake_one());
        }
    }

    pub(super) fn stop_monitor(&self) {
        self.monitor.parker.unpark();
        // In two statements, so that the lock is not held during the join.
        let handle = self.monitor.handle.lock().take();
        if let Some(handle) = handle {
            let _ = handle.join();
        }
    }

    /// Returns how often the monitor has looked.
    pub(crate) fn monitor_ticks(&self) -> u32 {
        self.monitor.ticks.load(Ordering::Relaxed)
    }
}
