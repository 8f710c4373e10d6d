//! The memory of the workers of a pool: what is measured, and what happens when there is little left.
//!
//! What a thread allocates can be counted, if the program has
//! [`Tracking`](insula_memory::Tracking) as its global allocator; it cannot be limited. An allocation
//! that is refused ends the process, so a worker that is an isolate has a *soft* limit: when it is
//! reached, its services are replaced. A limit that holds needs a process of its own.

use std::fmt;
use std::sync::Arc;

use insula_memory::{Budget, MemoryMeter, Reaper, purge, thread_counts};
use insula_rpc::{Calls, catch};
use insula_sync::Mutex;

use crate::shared::Shared;

/// The memory that each worker of a pool should hold at most. By default there is no limit.
///
/// What a worker holds is what its isolate has allocated and not freed. Memory that moves to another
/// isolate with a message, and is freed there, still counts here; see
/// [`MemoryMeter`](insula_memory::MemoryMeter). The program needs
/// [`Tracking`](insula_memory::Tracking) as its global allocator, or the pool is not built.
///
/// Above the share [`pressure_at`](Self::pressure_at) of the limit, a worker is under *pressure*: its
/// services are [told](crate::WorkerContext::on_memory_pressure), and the allocator returns what is
/// free to the system. At the limit its services are told once more, and if that was not enough it gets
/// new ones, as [`Recycle`](crate::Recycle) says. It takes no more calls while they are built, and goes on
/// with the old ones if they cannot be, or have to wait.
///
/// ```
/// use insula_memory::Budget;
/// use insula_pool::{Memory, Reclaim};
///
/// let memory = Memory::soft(Budget::bytes(512 << 20))
///     .pressure_at(0.7)
///     .reclaim(Reclaim::LowLatency);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Memory {
    pub(crate) soft: Budget,
    pressure_at: f64,
    pub(crate) reclaim: Reclaim,
}

/// What a pool does about memory that its workers have freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Reclaim {
    /// Leaves it to the allocator, which reuses it, until a worker is under pressure.
    #[default]
    Throughput,
    /// As `Throughput`, but never returns memory to the system on the thread of a worker, and drops
    /// what is given to [`WorkerContext::drop_later`](crate::WorkerContext::drop_later) on a thread of
    /// its own.
    LowLatency,
    /// Returns it to the system after each call. Costs the most time, and keeps the least memory.
    Compact,
}

/// How short of memory a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Pressure {
    /// More than the share of its limit that was set.
    High,
    /// At its limit.
    Critical,
}

impl Memory {
    /// Sets the memory that each worker should hold at most. For a share of what the process may have,
    /// divided among the workers: `Budget::fraction(0.7)?.per_worker(workers)`.
    pub fn soft(limit: Budget) -> Self {
        Self {
            soft: limit,
            pressure_at: 0.8,
            reclaim: Reclaim::default(),
        }
    }

    /// Sets the share of the limit from which a worker is under pressure, from 0 to 1. The default is
    /// 0.8.
    pub fn pressure_at(self, share: f64) -> Self {
        Self {
            pressure_at: share,
            ..self
        }
    }

    /// Sets what is done about freed memory.
    pub fn reclaim(self, reclaim: Reclaim) -> Self {
        Self { reclaim, ..self }
    }

    pub(crate) fn has_sense(&self) -> bool {
        (0.0..=1.0).contains(&self.pressure_at) && self.soft.limit() > 0
    }

    /// The pressure of a worker that holds so many bytes.
    fn pressure(&self, held: u64) -> Option<Pressure> {
        let share = held as f64 / self.soft.limit() as f64;
        if share >= 1.0 {
            Some(Pressure::Critical)
        } else if share >= self.pressure_at {
            Some(Pressure::High)
        } else {
            None
        }
    }
}

type Hook = Box<dyn FnMut(Pressure) + Send>;

/// The memory of one state of a worker.
#[derive(Default)]
pub(crate) struct StateMemory {
    pub(crate) meter: MemoryMeter,
    hooks: Mutex<Vec<Hook>>,
    /// The pressure at the last look.
    last: Mutex<Option<Pressure>>,
}

/// A slice that its drop ends.
pub(crate) struct Slice<'a>(&'a MemoryMeter);

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl StateMemory {
    /// Begins a slice on this thread.
    pub(crate) fn slice(&self) -> Slice<'_> {
        self.meter.begin();
        Slice(&self.meter)
    }

    /// Has `hook` told of pressure.
    pub(crate) fn add(&self, hook: Hook) {
        self.hooks.lock().push(hook);
    }

    /// Called in the isolate of the state, after each of its calls.
    pub(crate) fn look<C: Calls>(
        &self,
        memory: &Memory,
        shared: &Shared<C>,
        (worker, incarnation): (usize, u32),
    ) {
        if memory.reclaim == Reclaim::Compact {
            purge();
        }
        let Some(held) = self.meter.held_inside() else {
            return;
        };
        let pressure = memory.pressure(held);
        let before = std::mem::replace(&mut *self.last.lock(), pressure);
        if pressure == before {
            return;
        }
        // Told once for each step up, not after each call.
        if let Some(pressure) = pressure
            && before < Some(pressure)
        {
            self.tell(pressure);
            if memory.reclaim != Reclaim::LowLatency {
                purge();
            }
        }
        // The hooks may have freed some.
        let held = self.meter.held_inside().unwrap_or(held);
        let pressure = memory.pressure(held);
        *self.last.lock() = pressure;
        let share = pressure.map_or(0.0, |_| held as f64 / memory.soft.limit() as f64);
        shared.set_pressure(worker, incarnation, share.min(1.0));
        if pressure == Some(Pressure::Critical) {
            shared.exhaust(worker, incarnation);
        }
    }

    fn tell(&self, pressure: Pressure) {
        // Taken out, since a hook is the user's code, and may add another one.
        let mut hooks = std::mem::take(&mut *self.hooks.lock());
        for hook in &mut hooks {
            let _told = catch(|| hook(pressure));
        }
        let mut kept = self.hooks.lock();
        hooks.append(&mut kept);
        *kept = hooks;
    }
}

impl fmt::Debug for StateMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateMemory").finish_non_exhaustive()
    }
}

impl Drop for StateMemory {
    fn drop(&mut self) {
        // What the hooks have captured is the user's, and this is often dropped by the runtime.
        let hooks = std::mem::take(&mut *self.hooks.lock());
        for hook in hooks {
            let _dropped = catch(move || drop(hook));
        }
    }
}

/// Drops values for the workers of a pool.
#[derive(Clone, Default)]
pub(crate) struct Dropper(Option<Arc<Reaper>>);

impl Dropper {
    /// The values that wait to be dropped, at most.
    const BOUND: usize = 1024;

    pub(crate) fn new(memory: Option<Memory>) -> Self {
        let has_reaper = memory.is_some_and(|it| it.reclaim == Reclaim::LowLatency);
        // Without a thread for it, values are dropped where they are.
        Self(
            has_reaper
                .then(|| Reaper::new(Self::BOUND).ok().map(Arc::new))
                .flatten(),
        )
    }

    pub(crate) fn drop_later<T: Send + 'static>(&self, value: T) {
        match &self.0 {
            Some(reaper) => reaper.drop_later(value),
            None => {
                let _dropped = catch(move || drop(value));
            }
        }
    }
}

impl fmt::Debug for Dropper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dropper").finish_non_exhaustive()
    }
}

/// What the polls of one call allocate.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct CallMemory {
    /// Bytes that it has allocated.
    pub(crate) allocated: u64,
    /// What it has allocated and not freed, and the most of that after a poll.
    held: i64,
    pub(crate) peak: u64,
}

impl CallMemory {
    #[cfg(test)]
    pub(crate) fn of(allocated: u64, peak: u64) -> Self {
        Self {
            allocated,
            held: 0,
            peak,
        }
    }

    /// Polls a part of the call.
    pub(crate) fn count<R>(&mut self, poll: impl FnOnce() -> R) -> R {
        let before = thread_counts();
        let polled = poll();
        if let Some((before, after)) = before.zip(thread_counts()) {
            let spent = after.since(before);
            self.allocated = self.allocated.saturating_add(spent.allocated);
            let held = spent.allocated as i64 - spent.freed as i64;
            self.held = self.held.saturating_add(held);
            self.peak = self.peak.max(u64::try_from(self.held).unwrap_or(0));
        }
        polled
    }
}
