//! One look at the program, and what it shows beside the look before.
//!
//! A [`View`] never changes, so that any number of clients read one without a lock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use insula_core::{
    IsolateId, IsolateKind, IsolateSnapshot, IsolateState, Runtime, RuntimeSnapshot, WaitSnapshot,
};
use insula_pool::{AnyPool, InFlight, PoolStats, PoolStatus, Queued};

use super::process;
use super::waits::party_id;
use super::watch::time_of_thread;
use crate::model::Sample;

/// Calls in the queue of one pool that are looked at.
const QUEUED: usize = 1_000;

/// Everything that one look has found, and since when it is so.
pub(super) struct View {
    pub(super) at: Instant,
    pub(super) runtime: RuntimeSnapshot,
    pub(super) waits: Vec<WaitSnapshot>,
    pub(super) pools: Vec<PoolView>,
    pub(super) seen: Seen,
    /// The time on the CPU of the isolates that have run, by their numbers; `None` if it is not
    /// known.
    pub(super) cpu: Option<HashMap<u64, Duration>>,
}

/// A pool at that moment. It does not hold the pool, which would never end otherwise: each look finds
/// what the one before still holds.
pub(super) struct PoolView {
    pub(super) number: u64,
    pub(super) most_workers: usize,
    pub(super) methods: Vec<(&'static str, &'static str)>,
    /// The isolates of the workers by the workers' numbers, each with the newest one last.
    pub(super) isolates: Vec<(usize, IsolateId)>,
    pub(super) status: PoolStatus,
    pub(super) stats: PoolStats,
    pub(super) calls: Vec<InFlight>,
    /// Calls in its queue, in no order.
    pub(super) queued: Vec<Queued>,
}

/// What follows from this look and those before. Bounded by what exists in the program.
#[derive(Default)]
pub(super) struct Seen {
    /// By the number of the isolate.
    pub(super) isolates: HashMap<u64, SeenIsolate>,
    /// By the number of the thread.
    pub(super) threads: Vec<SeenThread>,
    /// By the identity of the call.
    pub(super) calls: HashMap<usize, SeenCall>,
    /// The calls in queues, by their identities: when each was seen first there.
    pub(super) queued: HashMap<usize, (u64, Queued)>,
    /// When each wait was seen first, by the id of its waiter.
    pub(super) waits: HashMap<String, u64>,
    /// Turns on threads of the pool, and of isolates that have threads of their own.
    turns_total: u64,
    /// The calls of each pool, by its number.
    pools: HashMap<u64, CallTotals>,
    /// The calls of the pools that are gone.
    gone: CallTotals,
}

/// Calls of pools, from the beginning on.
#[derive(Clone, Copy, Default)]
struct CallTotals {
    submitted: u64,
    ended: u64,
    lost: u64,
}

impl CallTotals {
    fn of(pool: &PoolStats) -> Self {
        let ended = pool.ended();
        Self {
            submitted: pool.submitted,
            ended,
            lost: ended - pool.answered - pool.failed,
        }
    }

    fn and(self, other: &Self) -> Self {
        Self {
            submitted: self.submitted + other.submitted,
            ended: self.ended + other.ended,
            lost: self.lost + other.lost,
        }
    }
}

/// What was seen of an isolate.
#[derive(Clone, Copy)]
pub(super) struct SeenIsolate {
    /// When it was seen first.
    pub(super) first_ms: u64,
    /// Its turns, modulo 2^32, and all that were seen.
    turns: u32,
    pub(super) turns_total: u64,
    /// When the present turn was seen first, if the isolate runs.
    pub(super) turn_since_ms: Option<u64>,
    /// Its place in the list of this look.
    place: usize,
}

/// What was seen of a thread.
#[derive(Clone, Copy, Default)]
pub(super) struct SeenThread {
    turns: u32,
    pub(super) turns_total: u64,
    /// When the present turn was seen first, if the thread runs one.
    pub(super) turn_since_ms: Option<u64>,
}

/// What was seen of a call.
pub(super) struct SeenCall {
    pub(super) first_ms: u64,
    /// Keeps its identity from being used again before the next look.
    _call: InFlight,
}

impl View {
    /// Looks at the program with these pools. `before` is the look before this one.
    pub(super) fn take(
        runtime: &Runtime,
        pools: &[AnyPool],
        before: Option<&Self>,
        now: u64,
    ) -> Self {
        let pools = pools.iter().map(|pool| PoolView {
            number: pool.number(),
            most_workers: pool.most_workers(),
            methods: pool.methods(),
            isolates: {
                let isolates = pool.worker_isolates().into_iter();
                isolates.map(|it| (it.0.index(), it.1)).collect()
            },
            status: pool.status(),
            stats: pool.stats(),
            calls: pool.in_flight(),
            queued: pool.in_queue(QUEUED),
        });
        let mut view = Self {
            at: Instant::now(),
            pools: pools.collect(),
            waits: insula_core::waits(),
            runtime: runtime.snapshot(),
            seen: Seen::default(),
            cpu: None,
        };
        let nothing = Seen::default();
        view.seen = view.compare(before.map_or(&nothing, |view| &view.seen), now);
        view
    }

    fn compare(&self, before: &Seen, now: u64) -> Seen {
        let threads = self.compare_threads(before, now);
        let new: u64 = threads
            .iter()
            .enumerate()
            .map(|(index, thread)| {
                let known = before.threads.get(index).copied().unwrap_or_default();
                thread.turns_total - known.turns_total
            })
            .sum();
        let isolates = self.runtime.isolates.iter().enumerate();
        let isolates: HashMap<_, _> = isolates
            .map(|(place, isolate)| {
                let number = isolate.id.number();
                let known = before.isolates.get(&number).copied();
                (number, compare_isolate(known, isolate, place, now))
            })
            .collect();
        let of_pools = self.pools.iter();
        let pools: HashMap<_, _> = of_pools
            .map(|pool| (pool.number, CallTotals::of(&pool.stats)))
            .collect();
        let calls = self.pools.iter().flat_map(|pool| &pool.calls);
        let queued = self.pools.iter().flat_map(|pool| &pool.queued);
        let waiters = self.waits.iter().map(|wait| party_id(&wait.waiter));
        Seen {
            threads,
            turns_total: before.turns_total + new + self.turns_at_home(&isolates, before),
            gone: before
                .pools
                .iter()
                .filter(|(number, _)| !pools.contains_key(number))
                .fold(before.gone, |gone, (_, totals)| gone.and(totals)),
            pools,
            isolates,
            calls: calls
                .map(|call| {
                    let known = before.calls.get(&call.identity());
                    let seen = SeenCall {
                        first_ms: known.map_or(now, |it| it.first_ms),
                        _call: call.clone(),
                    };
                    (call.identity(), seen)
                })
                .collect(),
            queued: queued
                .map(|call| {
                    let known = before.queued.get(&call.identity());
                    let first = known.map_or(now, |known| known.0);
                    (call.identity(), (first, call.clone()))
                })
                .collect(),
            waits: waiters
                .map(|waiter| {
                    let first = before.waits.get(&waiter).copied();
                    (waiter, first.unwrap_or(now))
                })
                .collect(),
        }
    }

    /// Returns the turns since the look before of the isolates that no thread of the pool runs.
    fn turns_at_home(&self, now: &HashMap<u64, SeenIsolate>, before: &Seen) -> u64 {
        let isolates = self.runtime.isolates.iter();
        let at_home = isolates.filter(|it| it.kind != IsolateKind::Pooled);
        let turns = at_home.map(|isolate| {
            let number = &isolate.id.number();
            let total =
                |seen: &HashMap<u64, SeenIsolate>| seen.get(number).map(|it| it.turns_total);
            total(now).unwrap_or_default() - total(&before.isolates).unwrap_or_default()
        });
        turns.sum()
    }

    /// Returns what this look has found of an isolate.
    pub(super) fn isolate(&self, id: IsolateId) -> Option<&IsolateSnapshot> {
        let seen = self.seen.isolates.get(&id.number())?;
        self.runtime.isolates.get(seen.place)
    }

    fn compare_threads(&self, before: &Seen, now: u64) -> Vec<SeenThread> {
        let threads = self.runtime.threads.iter().enumerate();
        threads
            .map(|(index, thread)| {
                let known = before.threads.get(index).copied().unwrap_or_default();
                let turns = thread.turns.wrapping_sub(known.turns);
                let since = known.turn_since_ms.filter(|_| turns == 0);
                SeenThread {
                    turns: thread.turns,
                    turns_total: known.turns_total + u64::from(turns),
                    turn_since_ms: thread.isolate.map(|_| since.unwrap_or(now)),
                }
            })
            .collect()
    }

    /// Returns the milliseconds that an isolate has spent on the CPU, if that is known.
    pub(super) fn cpu_ms(&self, isolate: &IsolateSnapshot) -> Option<u64> {
        let known = self.cpu.as_ref()?;
        let time = known.get(&isolate.id.number()).copied();
        let time = match isolate.kind {
            // Nothing was seen of it, so it has spent next to nothing.
            IsolateKind::Pooled => time.unwrap_or_default(),
            _ => time?,
        };
        Some(super::millis(time))
    }

    /// Adds the time of pinned isolates, which is that of their threads.
    pub(super) fn read_pinned(&mut self) {
        for isolate in &self.runtime.isolates {
            if let Some(time) = isolate.system_id.and_then(time_of_thread) {
                let cpu = self.cpu.get_or_insert_default();
                cpu.insert(isolate.id.number(), time);
            }
        }
    }

    /// Returns the numbers of this look.
    pub(super) fn sample(&self, now: u64) -> Sample {
        let isolates = &self.runtime.isolates;
        let count = |state| isolates.iter().filter(|it| it.state == state).count() as u64;
        let of_pools = |count: fn(&PoolView) -> u64| self.pools.iter().map(count).sum();
        let pools = self.seen.pools.values();
        let calls = pools.fold(self.seen.gone, CallTotals::and);
        let threads = self.runtime.threads.iter();
        Sample {
            at_ms: now,
            isolates: isolates.len() as u64 - count(IsolateState::Ended),
            running: count(IsolateState::Running),
            runnable: count(IsolateState::Runnable),
            paused: count(IsolateState::Paused),
            spawned_total: self.runtime.spawned_total,
            ended_total: self.runtime.ended_total,
            queued: isolates.iter().map(|it| u64::from(it.queued)).sum(),
            turns_total: self.seen.turns_total,
            threads: self.runtime.threads.len() as u64,
            stuck_threads: threads.filter(|it| it.is_stuck).count() as u64,
            waits: self.waits.len() as u64,
            memory_bytes: process::memory_bytes(),
            cpu_total_ms: process::cpu_ms(),
            calls_submitted_total: calls.submitted,
            calls_ended_total: calls.ended,
            calls_lost_total: calls.lost,
            calls_queued: of_pools(|it| (it.status.queued + it.status.waiting) as u64),
            calls_running: of_pools(|it| it.status.workers.iter().map(|it| it.busy as u64).sum()),
            cost_us: 0,
        }
    }
}

fn compare_isolate(
    known: Option<SeenIsolate>,
    isolate: &IsolateSnapshot,
    place: usize,
    now: u64,
) -> SeenIsolate {
    let runs = isolate.state == IsolateState::Running;
    let Some(known) = known else {
        return SeenIsolate {
            first_ms: now,
            turns: isolate.turns,
            turns_total: u64::from(isolate.turns),
            turn_since_ms: runs.then_some(now),
            place,
        };
    };
    let turns = isolate.turns.wrapping_sub(known.turns);
    let since = known.turn_since_ms.filter(|_| turns == 0);
    SeenIsolate {
        turns: isolate.turns,
        turns_total: known.turns_total + u64::from(turns),
        turn_since_ms: runs.then(|| since.unwrap_or(now)),
        place,
        ..known
    }
}
