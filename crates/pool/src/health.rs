//! Watching the workers of a pool: those that compute or block without an end, and those that say that
//! they cannot serve.
//!
//! # Stuck workers
//! Each state of a worker has a [`Heartbeat`], which counts the beginnings and the ends of the slices
//! of its isolate. The *watchdog* is an isolate that looks at them now and then: one that is odd, and
//! the same as some time ago, is of a slice that lasts. The slice itself does nothing for this beyond
//! two additions.
//!
//! Rust cannot stop a thread. A worker that is stuck is *given up*: its calls end, its isolate will end
//! once the slice does, and the worker starts again, in another isolate. Until then the thread is
//! missing, which the runtime makes up for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_core::{Instant, Isolate, IsolateId};
use insula_rpc::{Calls, WorkerId};
use insula_sync::atomic::{AtomicU64, Ordering};

use crate::dispatch::Signs;
use crate::memory::StateMemory;
use crate::shared::{Shared, within};

/// How the workers of a pool are watched. By default they are not.
///
/// ```
/// use std::time::Duration;
///
/// use insula_pool::Health;
///
/// let health = Health::stuck_after(Duration::from_secs(60)).at_most(2);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Health {
    /// `None` if nothing is watched.
    pub(crate) stuck_after: Option<Duration>,
    at_most: usize,
}

impl Health {
    /// Gives a worker up whose isolate computes or blocks for this long without a wait. The calls that
    /// it runs end with `WorkerDied`, maybe executed, and it starts again as its
    /// [`Restart`](crate::Restart) policy says; the fault is
    /// [`WorkerFault::Stuck`](crate::WorkerFault::Stuck). It is noticed at most a quarter of that time
    /// later. A call that waits is not stuck, however long: give it a deadline.
    ///
    /// The thread cannot be stopped: the isolate that is stuck goes on until it comes to a wait, and
    /// ends there. By default at most 4 of a pool do so; see [`at_most`](Self::at_most).
    ///
    /// # Blocking
    /// The pool wakes up 4 times in that time, also while it has nothing to do.
    pub fn stuck_after(time: Duration) -> Self {
        Self {
            stuck_after: Some(time),
            at_most: 4,
        }
    }

    /// Sets how many isolates that were given up may still compute. A further worker that is stuck is
    /// left as it is until one of them has ended.
    pub fn at_most(self, isolates: usize) -> Self {
        Self {
            at_most: isolates,
            ..self
        }
    }
}

/// The readiness of a worker, which its services may change; see
/// [`WorkerContext::readiness`](crate::WorkerContext::readiness).
#[derive(Clone)]
pub struct Readiness(pub(crate) Arc<dyn SetReadiness>);

/// Sets the readiness of one state of a worker.
pub(crate) trait SetReadiness: Send + Sync {
    fn set(&self, is_serving: bool);
}

impl Readiness {
    /// The worker takes calls again. It does from the beginning.
    pub fn serving(&self) {
        self.0.set(true);
    }

    /// The worker takes no more calls until it is [serving](Self::serving) again. Those that it runs go
    /// on, and those that are pinned to it wait. New services begin as serving.
    ///
    /// If no worker of the pool is serving, calls that come are rejected with `NoWorker`; those that
    /// are queued wait.
    pub fn not_serving(&self) {
        self.0.set(false);
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness").finish_non_exhaustive()
    }
}

/// Counts the beginnings and ends of the slices of one isolate: odd inside of one. The highest bit is
/// set once it was given up.
#[derive(Debug, Default)]
pub(crate) struct Heartbeat(AtomicU64);

const GIVEN_UP: u64 = 1 << 63;

impl Heartbeat {
    /// A slice begins. The signs say that its worker is inside, unless it was given up.
    pub(crate) fn begins(&self, signs: &Signs, worker: usize) {
        // Before the count: a worker that is given up in between is taken out here.
        signs.enter(worker);
        // A load and a store: the count is even, and `give_up`, the only other writer, changes odd counts
        // only.
        let count = self.0.load(Ordering::Relaxed);
        self.0.store(count + 1, Ordering::Relaxed);
        if count & GIVEN_UP != 0 {
            signs.leave(worker);
        }
    }

    /// A slice ends. Returns whether calls wait for its worker.
    pub(crate) fn ends(&self, signs: &Signs, worker: usize) -> bool {
        // After the count: a worker that is given up in between is left here, and not by the other.
        // Relaxed, as the signs are: it is one place, whose changes have one order, and the fence
        // that orders them with others is in `leave`.
        let was_given_up = self.0.fetch_add(1, Ordering::Relaxed) & GIVEN_UP != 0;
        !was_given_up && signs.leave(worker)
    }

    /// Gives the isolate up, if it is still in the slice of this count. From here on it does not change
    /// the signs; the caller leaves the slice in its place.
    pub(crate) fn give_up(&self, count: u64) -> bool {
        let new = count | GIVEN_UP;
        let order = Ordering::Relaxed;
        self.0.compare_exchange(count, new, order, order).is_ok()
    }

    /// The count, inside of a slice.
    pub(crate) fn inside(&self) -> Option<u64> {
        let count = self.0.load(Ordering::Relaxed);
        (count & 1 == 1).then_some(count)
    }
}

/// The isolate of one state of a worker.
#[derive(Clone)]
pub(crate) struct Resident {
    pub(crate) isolate: Isolate,
    pub(crate) incarnation: u32,
    /// If its worker is watched.
    pub(crate) heartbeat: Option<Arc<Heartbeat>>,
    /// If memory is measured.
    pub(crate) memory: Option<Arc<StateMemory>>,
}

/// An isolate that looks for workers that are stuck.
struct Watchdog<C: Calls> {
    shared: Arc<Shared<C>>,
    period: Duration,
    time: Duration,
    at_most: usize,
    /// The slices that it has found, and when it first saw them.
    seen: HashMap<IsolateId, (u64, Instant)>,
    /// The isolates that were given up.
    stuck: Vec<IsolateId>,
}

/// Begins to watch the workers of a pool.
pub(crate) fn watch<C: Calls>(health: Health, shared: &Arc<Shared<C>>) {
    let Some(time) = health.stuck_after else {
        return;
    };
    let name = format!("{}.health", shared.name);
    let watchdog = Watchdog {
        shared: Arc::clone(shared),
        // Not without a pause, however short the time is.
        period: (time / 4).max(Duration::from_millis(1)),
        time,
        at_most: health.at_most,
        seen: HashMap::new(),
        stuck: Vec::new(),
    };
    Isolate::builder()
        .name(name)
        .spawn(Watchdog::run, Box::new(watchdog));
}

impl<C: Calls> Watchdog<C> {
    async fn run(mut self: Box<Self>) {
        while within(self.period, self.shared.over()).await.is_none() {
            self.look(Instant::now());
        }
    }

    fn look(&mut self, now: Instant) {
        let residents = self.shared.residents();
        let ids: Vec<_> = residents.iter().map(|(_, it)| it.isolate.id()).collect();
        self.stuck.retain(|id| ids.contains(id));
        self.seen.retain(|id, _| ids.contains(id));
        for (worker, resident) in &residents {
            let id = resident.isolate.id();
            let count = resident.heartbeat.as_ref().and_then(|it| it.inside());
            let Some(count) = count.filter(|_| !self.stuck.contains(&id)) else {
                self.seen.remove(&id);
                continue;
            };
            let seen = self.seen.entry(id).or_insert((count, now));
            if seen.0 != count {
                *seen = (count, now);
            }
            let lasts = now.saturating_duration_since(seen.1);
            if lasts >= self.time
                && self.stuck.len() < self.at_most
                && self.shared.give_up_stuck(*worker, resident, count)
            {
                self.stuck.push(id);
            }
        }
    }
}

impl<C: Calls> Shared<C> {
    /// A worker computes or blocks without an end: it goes on without this isolate.
    /// `false` if the slice of this count is over.
    fn give_up_stuck(&self, worker: WorkerId, resident: &Resident, count: u64) -> bool {
        let index = worker.index();
        let heartbeat = resident.heartbeat.as_ref();
        if !heartbeat.is_some_and(|it| it.give_up(count)) {
            return false;
        }
        // Counted before a caller can see the end of its call.
        self.leave_behind(index, resident.incarnation);
        for handle in self.running_on(index, resident.incarnation) {
            self.abandon(worker, &*handle);
        }
        self.stuck(index, resident.incarnation);
        // Once no lane of it can be woken. The worker, which starts again, is outside of this slice.
        if self.signs().leave(index) {
            self.offer(index);
        }
        resident.isolate.kill();
        true
    }
}
