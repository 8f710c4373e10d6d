//! The pools of the process without the types of their calls, for tools.
//!
//! Each pool is entered in a list when its start begins, and leaves it when it is dropped. The list
//! holds nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, LazyLock, Weak};

use insula_core::{IsolateId, contain};
use insula_rpc::{Calls, Signal, WorkerId};
use insula_sync::{Mutex, Serial};

use crate::error::ResizeError;
use crate::observe::hub::Events;
use crate::observe::trace::CallTrace;
use crate::shared::Shared;
use crate::stats::{Histograms, PoolStats, PoolStatus};

/// The pools that exist, by their numbers.
static POOLS: LazyLock<Mutex<List>> = LazyLock::new(Mutex::default);

type List = BTreeMap<u64, Weak<dyn Pool>>;

/// The entry of a pool in the list, which it keeps.
pub(crate) struct Entered(u64);

impl Drop for Entered {
    fn drop(&mut self) {
        let gone = POOLS.lock().remove(&self.0);
        drop(gone);
    }
}

/// A pool as tools see it, for one type of calls.
trait Pool: Send + Sync {
    fn status(&self) -> PoolStatus;
    fn stats(&self) -> PoolStats;
    fn histograms(&self) -> Histograms;
    fn in_flight(&self) -> Vec<InFlight>;
    fn in_queue(&self, most: usize) -> Vec<Queued>;
    fn trace(self: Arc<Self>) -> CallTrace;
    fn worker_isolates(&self) -> Vec<(WorkerId, IsolateId)>;
    fn events(&self) -> Events;
    fn methods(&self) -> Vec<(&'static str, &'static str)>;
    fn most_workers(&self) -> usize;
    fn resize(&self, workers: usize) -> Result<(), ResizeError>;
    fn begin_reload(&self);
    fn begin_drain(&self) -> bool;
}

/// A pool of this process, whatever its calls are. It does not keep the pool open.
#[derive(Clone)]
pub struct AnyPool {
    number: u64,
    pool: Kept,
}

/// A pool that this may be the last to hold.
#[derive(Clone)]
struct Kept(Option<Arc<dyn Pool>>);

impl Deref for Kept {
    type Target = dyn Pool;

    fn deref(&self) -> &(dyn Pool + 'static) {
        self.0.as_deref().expect("it is there until the drop")
    }
}

impl Kept {
    fn shared(&self) -> Arc<dyn Pool> {
        self.0.clone().expect("it is there until the drop")
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Contained, since with a pool its observers and policies are dropped, which are the user's:
        // their panic must not end the thread of a tool.
        let pool = self.0.take();
        contain(move || drop(pool));
    }
}

/// A call that a worker runs, or a stream that waits for its reader.
#[derive(Clone)]
pub struct InFlight {
    /// The worker.
    pub worker: WorkerId,
    /// The name of its method.
    pub method: &'static str,
    /// Whether it is a stream that waits, and so occupies no place.
    pub is_waiting: bool,
    /// The isolate that awaits the answer, alone or among others. `None` for a caller outside of
    /// isolates, and for a call that was sent and is not awaited, such as all but the oldest of
    /// [`insula_rpc::map`].
    pub caller: Option<IsolateId>,
    /// Keeps the place of the call in memory, and none of its values, so that no later call has it.
    call: Weak<dyn Signal>,
}

/// A call in the queue of a pool.
#[derive(Clone)]
#[non_exhaustive]
pub struct Queued {
    /// The name of its method.
    pub method: &'static str,
    /// The isolate that awaits the answer, as [`InFlight::caller`].
    pub caller: Option<IsolateId>,
    /// As that of [`InFlight`].
    call: Weak<dyn Signal>,
}

impl Queued {
    /// Returns a number that no other call has while this value exists.
    pub fn identity(&self) -> usize {
        self.call.as_ptr().cast::<()>().addr()
    }
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queued")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl InFlight {
    /// Returns a number that no other call has while this value exists.
    pub fn identity(&self) -> usize {
        self.call.as_ptr().cast::<()>().addr()
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("worker", &self.worker)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// Returns the pools of this process that have not been dropped, in the order of their start.
pub fn pools() -> Vec<AnyPool> {
    let list = POOLS.lock();
    let present = list.iter().filter_map(|(number, pool)| {
        let pool = Kept(Some(pool.upgrade()?));
        let number = *number;
        Some(AnyPool { number, pool })
    });
    present.collect()
}

/// Enters a pool in the list.
pub(crate) fn enter<C: Calls>(shared: &Arc<Shared<C>>) {
    static NUMBERS: Serial = Serial::new();
    let pool: Weak<dyn Pool> = Arc::<Shared<C>>::downgrade(shared);
    let number = NUMBERS.next();
    POOLS.lock().insert(number, pool);
    shared.keep_entered(Entered(number));
}

impl AnyPool {
    /// Returns a number that no other pool of this process has.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Like [`WorkerPool::status`](crate::WorkerPool::status).
    pub fn status(&self) -> PoolStatus {
        self.pool.status()
    }

    /// Like [`WorkerPool::stats`](crate::WorkerPool::stats).
    pub fn stats(&self) -> PoolStats {
        self.pool.stats()
    }

    /// Returns how many of its timed calls took how long.
    pub fn histograms(&self) -> Histograms {
        self.pool.histograms()
    }

    /// Returns the calls that workers run now, and the streams that wait.
    pub fn in_flight(&self) -> Vec<InFlight> {
        self.pool.in_flight()
    }

    /// Returns calls that wait in the queue, in no order, and at most `most` of them.
    pub fn in_queue(&self, most: usize) -> Vec<Queued> {
        self.pool.in_queue(most)
    }

    /// Begins a trace of the calls, as they end. While it exists, every call is timed.
    pub fn trace(&self) -> CallTrace {
        self.pool.shared().trace()
    }

    /// Returns the isolates of the workers, each with the newest one last.
    pub fn worker_isolates(&self) -> Vec<(WorkerId, IsolateId)> {
        self.pool.worker_isolates()
    }

    /// Like [`WorkerPool::events`](crate::WorkerPool::events).
    pub fn events(&self) -> Events {
        self.pool.events()
    }

    /// Returns the methods of the pool, each with the name of its contract.
    pub fn methods(&self) -> Vec<(&'static str, &'static str)> {
        self.pool.methods()
    }

    /// Returns the most workers that the pool may have.
    pub fn most_workers(&self) -> usize {
        self.pool.most_workers()
    }

    /// Like [`WorkerPool::resize`](crate::WorkerPool::resize).
    ///
    /// # Errors
    /// There are no workers, or more than the pool was built for.
    pub fn resize(&self, workers: usize) -> Result<(), ResizeError> {
        self.pool.resize(workers)
    }

    /// Begins to replace the services of all workers, like
    /// [`WorkerPool::reload`](crate::WorkerPool::reload), without waiting for it.
    pub fn begin_reload(&self) {
        self.pool.begin_reload();
    }

    /// Takes no more calls, and finishes those that it has. Returns `false` if that has begun before.
    pub fn begin_drain(&self) -> bool {
        self.pool.begin_drain()
    }
}

impl fmt::Debug for AnyPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyPool")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}

impl<C: Calls> Pool for Shared<C> {
    fn status(&self) -> PoolStatus {
        self.status()
    }

    fn stats(&self) -> PoolStats {
        self.stats()
    }

    fn histograms(&self) -> Histograms {
        self.totals().histograms()
    }

    fn in_flight(&self) -> Vec<InFlight> {
        let calls = self.calls_in_flight().into_iter();
        calls
            .map(|(worker, call, is_waiting)| InFlight {
                worker,
                method: call.method().name,
                is_waiting,
                // After the lock of the pool's state, which is taken under that of a call.
                caller: call.awaited_by(),
                call: Arc::downgrade(&call),
            })
            .collect()
    }

    fn in_queue(&self, most: usize) -> Vec<Queued> {
        let calls = self.calls_in_queue(most).into_iter();
        calls
            .map(|call| Queued {
                method: call.method().name,
                caller: call.awaited_by(),
                call: Arc::downgrade(&call),
            })
            .collect()
    }

    fn trace(self: Arc<Self>) -> CallTrace {
        Self::trace(&self)
    }

    fn worker_isolates(&self) -> Vec<(WorkerId, IsolateId)> {
        let residents = self.residents().into_iter();
        residents
            .map(|(worker, resident)| (worker, resident.isolate.id()))
            .collect()
    }

    fn events(&self) -> Events {
        self.hub.events()
    }

    fn methods(&self) -> Vec<(&'static str, &'static str)> {
        let methods = C::methods().into_iter();
        methods
            .map(|(contract, method)| (contract, method.name))
            .collect()
    }

    fn most_workers(&self) -> usize {
        self.slots()
    }

    fn resize(&self, workers: usize) -> Result<(), ResizeError> {
        self.try_resize(workers)
    }

    fn begin_reload(&self) {
        self.begin_reload();
    }

    fn begin_drain(&self) -> bool {
        self.drain(false)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
