//! Building a pool.

use std::fmt;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use insula_core::Isolate;
use insula_rpc::{Respond, WorkerId};

use crate::config::{Balance, Measure, Queue};
use crate::error::{BuildError, FactoryError};
use crate::pool::WorkerPool;
use crate::shared::{Setup, Shared, within};
use crate::worker::{Factory, Seed, WorkerContext, run};

/// Calls that all workers of a pool together may run at once.
const MOST_PLACES: usize = 1 << 20;

/// Collects the settings of a [`WorkerPool`]; see [`WorkerPool::builder`].
#[must_use = "a pool is built by `build().await`"]
pub struct PoolBuilder<R: Respond> {
    name: String,
    workers: Option<usize>,
    lanes: usize,
    queue: Queue,
    balance: Balance,
    measure: Measure,
    grace: Duration,
    startup_timeout: Duration,
    factory: Option<Factory<R::Service>>,
}

impl<R: Respond> PoolBuilder<R> {
    pub(crate) fn new() -> Self {
        Self {
            name: "pool".to_owned(),
            workers: None,
            lanes: 1,
            queue: Queue::default(),
            balance: Balance::default(),
            measure: Measure::default(),
            grace: Duration::from_secs(1),
            startup_timeout: Duration::from_secs(30),
            factory: None,
        }
    }

    /// Sets the pool's name, which its status and the names of its isolates show. The default
    /// is `"pool"`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the number of workers. The default is the number of cores that the process may use.
    /// Multiplied by [`concurrency_per_worker`](Self::concurrency_per_worker), it is at most
    /// 1,048,576.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets the number of calls that a worker runs at once, interleaved where they wait. The
    /// default is 1.
    pub fn concurrency_per_worker(mut self, calls: usize) -> Self {
        self.lanes = calls;
        self
    }

    /// The queue in front of the workers: 1,024 calls, and further ones wait, unless given.
    pub fn queue(mut self, queue: Queue) -> Self {
        self.queue = queue;
        self
    }

    /// Sets the policy that spreads calls over workers with room. The default is in turn.
    pub fn balance(mut self, balance: Balance) -> Self {
        self.balance = balance;
        self
    }

    /// Sets which calls are timed. The default is one in 16.
    pub fn measure(mut self, measure: Measure) -> Self {
        self.measure = measure;
        self
    }

    /// Sets the time that a cancelled handler may go on before its future is dropped. The
    /// default is one second.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the time that a worker may take to become ready, at first and when it is rebuilt. The
    /// default is 30 seconds.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.startup_timeout = timeout;
        self
    }

    /// Builds the service of a worker, inside the worker's isolate; also each time that a
    /// panic has made its state suspect.
    pub fn worker<F, B>(mut self, factory: F) -> Self
    where
        F: Fn(WorkerContext) -> B + Send + Sync + 'static,
        B: Future<Output = Result<R::Service, FactoryError>> + Send + 'static,
    {
        self.factory = Some(Arc::new(move |cx| Box::pin(factory(cx))));
        self
    }

    /// Starts all workers at once and waits until every one is ready.
    ///
    /// # Cancellation
    /// Dropping the future ends the workers that have started.
    ///
    /// # Errors
    /// The settings make no sense, or a worker did not become ready; then all others end.
    pub async fn build(self) -> Result<WorkerPool<R>, BuildError> {
        let workers = self
            .workers
            .unwrap_or_else(|| available_parallelism().map_or(1, Into::into));
        let Some(factory) = self.factory else {
            return Err(BuildError::Settings(
                "there is no factory: call `worker(..)`",
            ));
        };
        check(workers, self.lanes)?;
        let timeout = self.startup_timeout;
        let shared = Arc::new(Shared::<R::Contract>::new(Setup {
            name: self.name,
            workers,
            lanes: self.lanes,
            queue: self.queue,
            balance: self.balance,
            measure: self.measure,
            grace: self.grace,
            startup_timeout: timeout,
        }));
        let spawn = |index: usize| {
            let seed = Seed::<R> {
                shared: Arc::clone(&shared),
                worker: WorkerId::new(index as u32),
                lanes: self.lanes,
                factory: Arc::clone(&factory),
            };
            Isolate::builder()
                .name(format!("{}.{index}", shared.name))
                .spawn(run::<R>, seed)
        };
        let isolates = (0..workers).map(spawn).collect();
        // From here on a drop, also that of this future, ends the workers.
        let pool = WorkerPool::new(Arc::clone(&shared), isolates);
        // A factory that blocks its thread never sees its own timeout.
        match within(timeout, shared.started()).await {
            Some(Ok(())) => Ok(pool),
            Some(Err(error)) => Err(error),
            None => {
                let worker = shared.first_starting().unwrap_or(WorkerId::new(0));
                Err(BuildError::Timeout {
                    worker,
                    after: timeout,
                })
            }
        }
    }
}

/// Numbers that a pool can make room for: a place for each call that may run at once exists from
/// the start.
fn check(workers: usize, lanes: usize) -> Result<(), BuildError> {
    let problem = if workers == 0 {
        "a pool has at least one worker: see `workers(..)`"
    } else if lanes == 0 {
        "a worker runs at least one call at once: see `concurrency_per_worker(..)`"
    } else if workers.checked_mul(lanes).is_none_or(|it| it > MOST_PLACES) {
        "workers times calls per worker is at most 1,048,576: see `workers(..)` and \
         `concurrency_per_worker(..)`"
    } else {
        return Ok(());
    };
    Err(BuildError::Settings(problem))
}

impl<R: Respond> fmt::Debug for PoolBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("name", &self.name)
            .field("workers", &self.workers)
            .field("concurrency_per_worker", &self.lanes)
            .field("queue", &self.queue)
            .field("balance", &self.balance)
            .field("measure", &self.measure)
            .finish_non_exhaustive()
    }
}
