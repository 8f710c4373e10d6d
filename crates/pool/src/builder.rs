//! Building a pool.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_memory::thread_counts;
use insula_rpc::{Calls, Respond, Router, WorkerId};

use crate::balance::Balance;
use crate::config::{Measure, Monitor, Queue};
use crate::error::{BuildError, FactoryError};
use crate::health::{self, Health};
use crate::inspect;
use crate::kind::{Kind, Starting};
use crate::lifecycle::{Recycle, Restart};
use crate::memory::Memory;
use crate::observe::discards::{Discarded, Discards};
use crate::observe::events::PoolObserver;
use crate::observe::hub::Observers;
use crate::observe::report::PerformanceReport;
use crate::observe::reporter::Reporters;
use crate::pool::WorkerPool;
use crate::shared::{Setup, Shared, within};
use crate::size::Workers;
use crate::supervisor::Supervisor;
use crate::worker::{Factory, Seed, WorkerContext};

/// Calls that all workers of a pool together may run at once.
const MOST_PLACES: usize = 1 << 20;

/// Collects the settings of a [`WorkerPool`]; see [`WorkerPool::builder`].
///
/// It can be built once it has a [`service`](PoolBuilder::service).
#[must_use = "a pool is built by `build().await`"]
pub struct PoolBuilder<R = NoService> {
    settings: Settings,
    factory: Option<Factory<R>>,
}

/// The services of a pool that has none yet.
#[derive(Debug)]
pub enum NoService {}

/// Settings that do not depend on the services.
#[derive(Debug)]
struct Settings {
    name: String,
    workers: Workers,
    lanes: usize,
    queue: Queue,
    balance: Balance,
    /// The workers, from the first, that are woken before others; see `Kind::preferred`.
    preferred: usize,
    measure: Measure,
    monitor: Monitor,
    grace: Duration,
    startup_timeout: Duration,
    restart: Restart,
    observers: Observers,
    discards: Discards,
    recycle: Recycle,
    reporters: Reporters,
    memory: Option<Memory>,
    health: Health,
    quarantine: Option<u32>,
}

impl PoolBuilder {
    pub(crate) fn new() -> Self {
        Self {
            settings: Settings {
                name: "pool".to_owned(),
                workers: Workers::default(),
                lanes: 1,
                queue: Queue::default(),
                balance: Balance::default(),
                preferred: 0,
                measure: Measure::default(),
                monitor: Monitor::default(),
                grace: Duration::from_secs(1),
                startup_timeout: Duration::from_secs(30),
                restart: Restart::default(),
                observers: Observers::default(),
                discards: Discards::default(),
                recycle: Recycle::default(),
                reporters: Reporters::default(),
                memory: None,
                health: Health::default(),
                quarantine: None,
            },
            factory: None,
        }
    }

    /// Has each worker answer the calls of a contract with a service of its own, which `factory`
    /// builds inside the worker's isolate; also each time that a panic has made the worker's state
    /// suspect.
    ///
    /// A pool may serve several contracts; each worker then has one service of each.
    pub fn service<R: Respond>(self, factory: impl ServiceFactory<R::Service>) -> PoolBuilder<R> {
        PoolBuilder {
            settings: self.settings,
            factory: Some(builds::<R>(factory)),
        }
    }

    /// Has each worker bring the calls of a contract to where they run, such as a process, in the place
    /// of a service of its own. Which contract that is, the type of the pool says, or
    /// `kind::<XRequest, _>(..)`.
    pub fn kind<C: Calls, K: Kind<C>>(self, kind: K) -> PoolBuilder<K::Responder> {
        let preferred = kind.preferred();
        PoolBuilder {
            settings: Settings {
                preferred,
                ..self.settings
            },
            factory: Some(builds::<K::Responder>(move |cx| kind.start(cx))),
        }
    }
}

/// A function that builds the service of a worker: `|cx: WorkerContext| async { Ok(service) }`.
///
/// Its error is any error, so that `?` works in it.
///
/// A worker takes no call before its factories have returned: what warms a service up, such as a first
/// call of its own methods, belongs there. The services that take the place of others are warm too, since
/// the old ones go on until then.
pub trait ServiceFactory<S>: Fn(WorkerContext) -> Self::Building + Send + Sync + 'static {
    /// The future of a service.
    type Building: Future<Output = Result<S, FactoryError>> + Send + 'static;
}

impl<S, F, B> ServiceFactory<S> for F
where
    F: Fn(WorkerContext) -> B + Send + Sync + 'static,
    B: Future<Output = Result<S, FactoryError>> + Send + 'static,
{
    type Building = B;
}

/// A factory of responders from one of services.
fn builds<R: Respond>(factory: impl ServiceFactory<R::Service>) -> Factory<R> {
    Arc::new(move |cx| -> Starting<R> {
        let building = factory(cx);
        Box::pin(async { Ok(R::new(building.await?)) })
    })
}

impl<R> PoolBuilder<R> {
    /// Sets the pool's name, which its status and the names of its isolates show. The default
    /// is `"pool"`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = name.into();
        self
    }

    /// Sets the number of workers: `4`, or `2..=8` for a pool that follows its load; see [`Workers`].
    /// The default is the number of cores that the process may use. Multiplied by
    /// [`concurrency_per_worker`](Self::concurrency_per_worker), it is at most 1,048,576.
    pub fn workers(mut self, workers: impl Into<Workers>) -> Self {
        self.settings.workers = workers.into();
        self
    }

    /// Sets the number of calls that a worker runs at once, interleaved where they wait. A call
    /// whose stream waits for its reader does not count. The default is 1, and more are refused for
    /// services whose methods take `&mut self`.
    pub fn concurrency_per_worker(mut self, calls: usize) -> Self {
        self.settings.lanes = calls;
        self
    }

    /// Sets the queue in front of the workers. The default holds 1,024 calls, and further ones
    /// wait.
    pub fn queue(mut self, queue: Queue) -> Self {
        self.settings.queue = queue;
        self
    }

    /// Sets the policy that selects the worker that is woken for a call. The default is in turn.
    pub fn balance(mut self, balance: Balance) -> Self {
        self.settings.balance = balance;
        self
    }

    /// Sets which calls of this pool are timed. The default is one in 16.
    pub fn measure(mut self, measure: Measure) -> Self {
        self.settings.measure = measure;
        self
    }

    /// Sets what this pool measures beyond its counts. The default is nothing.
    pub fn monitor(mut self, monitor: Monitor) -> Self {
        self.settings.monitor = monitor;
        self
    }

    /// Sets the time that a cancelled handler may go on before its future is dropped. The
    /// default is one second.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.settings.grace = grace;
        self
    }

    /// Sets the time that a worker may take to become ready, at first and when it is rebuilt. The
    /// default is 30 seconds. A factory that computes cannot be stopped: `build` does not wait for it,
    /// and a later service counts if it comes, however late.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.settings.startup_timeout = timeout;
        self
    }

    /// Sets the policy for workers that end before their time. By default one starts again, at most
    /// 5 times in 10 seconds.
    pub fn restart(mut self, policy: Restart) -> Self {
        self.settings.restart = policy;
        self
    }

    /// Has `observer` told of each event of the pool's workers, from the first one on, before the
    /// pool is built. A pool may have several observers, which are told in the order in which they
    /// were given.
    pub fn observe(mut self, observer: impl PoolObserver) -> Self {
        self.settings.observers.add(Box::new(observer));
        self
    }

    /// Has `hook` told of each call that ends without that a handler has seen it, other than by its
    /// caller: those that the counts of the pool have as rejected, as shed, and as expired in the
    /// queue. A pool may have several hooks.
    ///
    /// # Blocking
    /// It runs on the thread that discards the call: that of a caller, of a worker or of a shutdown. No
    /// lock is held.
    ///
    /// # Panics
    /// A panic of a hook is discarded.
    pub fn on_discard(mut self, hook: impl Fn(&Discarded) + Send + Sync + 'static) -> Self {
        self.settings.discards.add(Box::new(hook));
        self
    }

    /// Sets when a worker gets new services though its old ones have not failed. By default never.
    pub fn recycle(mut self, policy: Recycle) -> Self {
        self.settings.recycle = policy;
        self
    }

    /// Sets the memory that each worker should hold at most. By default there is no limit.
    pub fn memory(mut self, memory: Memory) -> Self {
        self.settings.memory = Some(memory);
        self
    }

    /// Sets how the workers are watched. By default they are not.
    pub fn health(mut self, health: Health) -> Self {
        self.settings.health = health;
        self
    }

    /// Rejects calls with `Quarantined` that have an [idempotency
    /// key](insula_rpc::Call::idempotency_key) which so many workers had to pay for: a call of this
    /// method with this key panicked, or ran when its worker ended. One that comes to an end without
    /// that takes all suspicion from its key, so that calls which only ran beside another one are not
    /// held back for it.
    ///
    /// [`retry`](insula_rpc::retry()) makes each attempt of a call anew, so that it meets this too, if
    /// its attempts have a key. 1,024 keys are remembered at most;
    /// [`WorkerPool::clear_quarantine`] forgets them. By default no call is held back.
    pub fn quarantine_after(mut self, ends: u32) -> Self {
        self.settings.quarantine = Some(ends);
        self
    }

    /// Has `tell` called with a report on the pool's performance after each `period`, and once more
    /// when the pool has ended. The first report counts from the end of the build, and each further
    /// one from the one before. A pool may have several of these.
    ///
    /// A period is at least the time between two reports: a slow `tell` puts the next one off. It runs
    /// in an isolate of its own, and a panic of it is discarded.
    pub fn report_every(
        mut self,
        period: Duration,
        tell: impl FnMut(&PerformanceReport) + Send + 'static,
    ) -> Self {
        self.settings.reporters.add(period, Box::new(tell));
        self
    }
}

impl<R: Respond> PoolBuilder<R> {
    /// Has each worker answer the calls of one more contract; see
    /// [`service`](PoolBuilder::<NoService>::service). The contracts share the queue and the places
    /// of the workers.
    pub fn service<S: Respond>(
        self,
        factory: impl ServiceFactory<S::Service>,
    ) -> PoolBuilder<Router<R, S>> {
        let (first, second) = (self.factory, builds::<S>(factory));
        let both = first.map(|first| -> Factory<Router<R, S>> {
            Arc::new(move |cx| {
                let (first, second) = (first(cx.clone()), second(cx));
                // One after the other: if the first service cannot be built, the future of the
                // second is never polled.
                Box::pin(async move { Ok(Router::new(first.await?, second.await?)) })
            })
        });
        PoolBuilder {
            settings: self.settings,
            factory: both,
        }
    }

    /// Starts all workers at once and waits until every one is ready.
    ///
    /// # Cancellation
    /// Dropping the future ends the workers that have started.
    ///
    /// # Errors
    /// The settings make no sense, or a worker did not become ready; then all others end.
    pub async fn build(self) -> Result<WorkerPool<R::Contract>, BuildError> {
        let Self { settings, factory } = self;
        let workers = settings.workers;
        let Some(factory) = factory else {
            return Err(BuildError::Settings(
                "there is no service: call `service::<..>(..)`",
            ));
        };
        check::<R>(&settings)?;
        let timeout = settings.startup_timeout;
        let shared = Arc::new(Shared::<R::Contract>::new(Setup {
            name: settings.name,
            workers,
            lanes: settings.lanes,
            queue: settings.queue,
            balance: settings.balance,
            preferred: settings.preferred,
            measure: settings.measure,
            monitor: settings.monitor,
            grace: settings.grace,
            startup_timeout: timeout,
            restart: settings.restart,
            observers: settings.observers,
            discards: settings.discards,
            recycle: settings.recycle,
            memory: settings.memory,
            health: settings.health,
            quarantine: settings.quarantine,
        }));
        inspect::enter(&shared);
        // From here on a drop, also that of this future, ends the workers.
        let pool = WorkerPool::new(Arc::clone(&shared));
        // Before the workers: one that ends while others start is started again like any other.
        Supervisor::new(Arc::clone(&shared), Arc::clone(&factory)).spawn();
        for index in 0..workers.least {
            Seed::first(Arc::clone(&shared), index, Arc::clone(&factory)).spawn();
        }
        // A factory that blocks its thread never sees its own timeout.
        match within(timeout, shared.started()).await {
            Some(Ok(())) => {
                settings.reporters.start(&shared);
                health::watch(settings.health, &shared);
                Ok(pool)
            }
            Some(Err(error)) => Err(error),
            None => {
                // All may have started since the time was up, and the error still names one.
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
fn check<R: Respond>(settings: &Settings) -> Result<(), BuildError> {
    let (workers, lanes) = (settings.workers, settings.lanes);
    let problem = if workers.least == 0 {
        "a pool has at least one worker: see `workers(..)`"
    } else if workers.least > workers.most {
        "a range of workers begins with the smaller number: see `workers(..)`"
    } else if lanes == 0 {
        "a worker runs at least one call at once: see `concurrency_per_worker(..)`"
    } else if workers.is_range() && workers.idle.is_zero() {
        "a worker of a range is idle for a time before it is retired: see `workers(..)` and \
         `Workers::idle`"
    } else if workers
        .most
        .checked_mul(lanes)
        .is_none_or(|it| it > MOST_PLACES)
    {
        "workers times calls per worker is at most 1,048,576: see `workers(..)` and \
         `concurrency_per_worker(..)`"
    } else if R::EXCLUSIVE && lanes > 1 {
        "a service with `&mut self` methods runs one call at a time: see \
         `concurrency_per_worker(..)`"
    } else if let Some(problem) = problem(Some(&settings.queue), Some(&settings.recycle)) {
        problem
    } else if settings.memory.is_some_and(|it| !it.has_sense()) {
        "the limit of memory is more than nothing, and the share for pressure from 0 to 1: see \
         `memory(..)` and `Memory::pressure_at`"
    } else if settings.memory.is_some() && thread_counts().is_none() {
        "memory is counted by the global allocator: write `#[global_allocator] static ALLOCATOR: \
         Tracking = Tracking::new(System);`, see `memory(..)` and `insula::memory::Tracking`"
    } else if settings.quarantine == Some(0) {
        "a call is held back after one end of a worker at least: see `quarantine_after(..)`"
    } else if settings.health.stuck_after == Some(Duration::ZERO) {
        "a worker is stuck after more than no time: see `Health::stuck_after`"
    } else if let Balance::Weighted(weights) = &settings.balance
        && weights.0.len() != workers.most
    {
        "there is one weight for each worker that the pool may have: see `Balance::weighted`"
    } else if settings.reporters.is_endless() {
        "the time between two reports is not zero: see `report_every(..)`"
    } else {
        return Ok(());
    };
    Err(BuildError::Settings(problem))
}

/// The problem with settings that can also be changed later.
pub(crate) fn problem(queue: Option<&Queue>, recycle: Option<&Recycle>) -> Option<&'static str> {
    let codel = queue.and_then(|it| it.codel);
    if codel.is_some_and(|(target, interval)| target.is_zero() || target > interval) {
        Some(
            "the target of a queue is longer than zero and not longer than its interval: see \
             `Queue::codel`",
        )
    } else if recycle.is_some_and(Recycle::is_endless) {
        Some(
            "a worker's services last for a call or a time, or new ones would be built without end: \
             see `recycle(..)`",
        )
    } else {
        None
    }
}

impl<R> fmt::Debug for PoolBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PoolBuilder").field(&self.settings).finish()
    }
}
