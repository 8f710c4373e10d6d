//! The watcher: finds threads that are inside one turn for long while others wait.
//!
//! It is awake whenever a thread of the pool is: a thread that has been started, or that found
//! work after it had parked or searched, wakes it before it runs anything. It goes to sleep
//! when it has found all threads parked, and none of their queues in use, for a while. Before
//! it does, it says so (`asleep`) and looks at the number of threads awake once more; a thread
//! counts as awake before it looks at `asleep`. Both are sequentially consistent, so a thread
//! that runs isolates is always watched, and an idle pool never wakes up.

use std::time::Duration;

use insula_sync::atomic::{AtomicBool, AtomicU32, Ordering};
use insula_sync::{Mutex, Parker};

use super::ThreadPool;
use crate::runtime;

/// Time between two looks.
const TICK: Duration = Duration::from_millis(1);

/// Looks in vain before it goes to sleep.
const IDLE_TICKS: u32 = 4;

pub(super) struct Monitor {
    parker: Parker,
    asleep: AtomicBool,
    started: AtomicBool,
    ticks: AtomicU32,
    handle: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Monitor {
    pub(super) fn new() -> Self {
        Self {
            parker: Parker::new(),
            asleep: AtomicBool::new(true),
            started: AtomicBool::new(false),
            ticks: AtomicU32::new(0),
            handle: Mutex::new(None),
        }
    }
}

impl ThreadPool {
    /// A thread is going to run isolates: somebody must watch it.
    #[inline]
    pub(super) fn watch(&self) {
        // SeqCst pairs with `watch_threads`, which stores `asleep` and then counts threads.
        if self.monitor.asleep.load(Ordering::SeqCst) {
            self.wake_monitor();
        }
    }

    #[cold]
    fn wake_monitor(&self) {
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
            // The next thread to wake up tries again.
            Err(_) => {
                self.monitor.started.store(false, Ordering::SeqCst);
                self.monitor.asleep.store(true, Ordering::SeqCst);
            }
        }
    }

    fn watch_threads(&self) {
        let mut seen = vec![None; self.threads.len()];
        let mut starved = None;
        while !self.stopped.load(Ordering::SeqCst) {
            let mut idle_ticks = 0;
            while idle_ticks < IDLE_TICKS && !self.stopped.load(Ordering::SeqCst) {
                self.monitor.parker.park_timeout(TICK);
                self.monitor.ticks.fetch_add(1, Ordering::Relaxed);
                if self.work_waits() {
                    self.look(&mut seen);
                    self.look_for_starvation(&mut starved);
                } else {
                    seen.fill(None);
                    starved = None;
                }
                idle_ticks = if self.sleep.all_parked() {
                    idle_ticks + 1
                } else {
                    0
                };
            }
            self.monitor.asleep.store(true, Ordering::SeqCst);
            if self.sleep.all_parked() && !self.stopped.load(Ordering::SeqCst) {
                self.monitor.parker.park();
            } else {
                self.monitor.asleep.store(false, Ordering::SeqCst);
            }
        }
    }

    /// The isolates inside of a turn, each with a number that changes with the turn.
    pub(crate) fn turns(&self) -> Vec<(u64, u32)> {
        let started = self.started.load(Ordering::Acquire);
        let meters = self.threads[..started].iter().map(|thread| &thread.meter);
        meters
            .filter_map(|meter| {
                let turn = meter.turn()?;
                Some((meter.isolate.load(Ordering::Relaxed), turn))
            })
            .collect()
    }

    /// Finds threads whose turn count has not moved since the last look. Asks the others to
    /// end their slice, since somebody waits.
    pub(super) fn look(&self, seen: &mut [Option<u32>]) {
        let started = self.started.load(Ordering::Acquire);
        for (index, (thread, seen)) in self.threads[..started].iter().zip(seen).enumerate() {
            if !thread.meter.running.load(Ordering::Relaxed) {
                *seen = None;
                continue;
            }
            let turns = thread.meter.turns.load(Ordering::Relaxed);
            if *seen != Some(turns) {
                *seen = Some(turns);
                thread.meter.interrupt.store(true, Ordering::Relaxed);
            } else if !thread.stuck.load(Ordering::SeqCst) && self.sleep.stick(index) {
                thread.stuck.store(true, Ordering::SeqCst);
            }
        }
        // One more thread a look: it wakes the next if it finds more than it can run.
        if self.work_for_thieves() {
            self.wake(self.sleep.wake_one());
        }
    }

    pub(super) fn stop_monitor(&self) {
        self.monitor.parker.unpark();
        if let Some(handle) = self.monitor.handle.lock().take() {
            let _ = handle.join();
        }
    }

    /// How often the monitor has looked.
    pub(crate) fn monitor_ticks(&self) -> u32 {
        self.monitor.ticks.load(Ordering::Relaxed)
    }
}
