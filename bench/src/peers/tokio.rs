//! tokio: its runtimes as executors, its mpsc channels, its tasks as jobs.

use std::future::Future;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::drivers::async_channel::AsyncChannel;
use crate::drivers::executor::{Executor, THREADS};
use crate::drivers::pool::{ClosurePool, Tick};
use crate::drivers::thread_channel::ThreadChannel;
use crate::measure::Work;

/// The two shapes of a tokio runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavor {
    /// `multi_thread` with [`THREADS`] workers.
    Multi,
    /// `current_thread`.
    Current,
}

impl Flavor {
    pub(crate) const ALL: [Self; 2] = [Self::Multi, Self::Current];

    /// Returns a system's name with the runtime's shape.
    pub(crate) fn name(self, system: &str) -> String {
        match self {
            Self::Multi => system.to_owned(),
            Self::Current => format!("{system}-ct"),
        }
    }

    /// Creates a runtime without timers, which cost a little at each park.
    pub(crate) fn runtime(self) -> Runtime {
        self.builder()
            .build()
            .expect("the system gives two threads")
    }

    /// Runs `root` as a task of a runtime with timers.
    pub(crate) fn run_with_timers<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let runtime = self.builder().enable_time().build();
        let runtime = runtime.expect("the system gives two threads");
        runtime.block_on(async { start_task(root).await })
    }

    /// Creates a runtime with sockets and timers.
    pub(crate) fn runtime_with_sockets(self) -> Runtime {
        let runtime = self.builder().enable_all().build();
        runtime.expect("the system gives two threads")
    }

    fn builder(self) -> Builder {
        let mut builder = match self {
            Self::Multi => Builder::new_multi_thread(),
            Self::Current => Builder::new_current_thread(),
        };
        builder.worker_threads(THREADS);
        builder
    }
}

/// Starts a task of the current runtime.
pub(crate) fn start_task<F>(task: F) -> impl Future<Output = F::Output> + Send
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let task = tokio::spawn(task);
    async move { task.await.expect("a task does not panic") }
}

impl Executor for Flavor {
    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        // As a task, because the thread of `block_on` is not a worker of a multi-thread runtime.
        self.runtime().block_on(async { start_task(root).await })
    }

    fn spawn<F>(&self, task: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        start_task(task)
    }

    fn detach<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        tokio::spawn(task);
    }
}

/// `mpsc::channel`; needs a bound.
pub(crate) struct TokioBounded;

impl AsyncChannel for TokioBounded {
    type Tx<T: Send + 'static> = mpsc::Sender<T>;
    type Rx<T: Send + 'static> = mpsc::Receiver<T>;

    fn open<T: Send + 'static>(bound: Option<usize>) -> (mpsc::Sender<T>, mpsc::Receiver<T>) {
        mpsc::channel(bound.expect("a bounded channel has a bound"))
    }

    async fn send<T: Send + 'static>(tx: &mpsc::Sender<T>, value: T) {
        assert!(tx.send(value).await.is_ok(), "the receiver is there");
    }

    fn recv<T: Send + 'static>(
        rx: &mut mpsc::Receiver<T>,
    ) -> impl Future<Output = Option<T>> + Send {
        rx.recv()
    }
}

/// `mpsc::unbounded_channel`; ignores a bound.
pub(crate) struct TokioUnbounded;

impl AsyncChannel for TokioUnbounded {
    type Tx<T: Send + 'static> = mpsc::UnboundedSender<T>;
    type Rx<T: Send + 'static> = mpsc::UnboundedReceiver<T>;

    fn open<T: Send + 'static>(_bound: Option<usize>) -> (Self::Tx<T>, Self::Rx<T>) {
        mpsc::unbounded_channel()
    }

    async fn send<T: Send + 'static>(tx: &mpsc::UnboundedSender<T>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver is there");
    }

    fn recv<T: Send + 'static>(
        rx: &mut mpsc::UnboundedReceiver<T>,
    ) -> impl Future<Output = Option<T>> + Send {
        rx.recv()
    }
}

impl ThreadChannel for TokioUnbounded {
    type Tx<T: Send + 'static> = mpsc::UnboundedSender<T>;
    type Rx<T: Send + 'static> = std::cell::RefCell<mpsc::UnboundedReceiver<T>>;

    fn open<T: Send + 'static>(
        _bound: Option<usize>,
    ) -> (
        <Self as ThreadChannel>::Tx<T>,
        <Self as ThreadChannel>::Rx<T>,
    ) {
        let (tx, rx) = mpsc::unbounded_channel();
        (tx, std::cell::RefCell::new(rx))
    }

    fn send<T: Send + 'static>(tx: &mpsc::UnboundedSender<T>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver is there");
    }

    fn recv<T: Send + 'static>(rx: &<Self as ThreadChannel>::Rx<T>) -> Option<T> {
        rx.borrow_mut().blocking_recv()
    }

    fn try_recv<T: Send + 'static>(rx: &<Self as ThreadChannel>::Rx<T>) -> Option<T> {
        rx.borrow_mut().try_recv().ok()
    }
}

/// The function by which tokio is given a job.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Jobs {
    /// `tokio::spawn`.
    Spawn,
    /// `tokio::task::spawn_blocking`.
    SpawnBlocking,
}

impl Jobs {
    async fn call<T: Send + 'static>(self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let handle = match self {
            Self::Spawn => tokio::spawn(async move { job() }),
            Self::SpawnBlocking => tokio::task::spawn_blocking(job),
        };
        handle.await.expect("a job does not panic")
    }

    async fn call_repeatedly(self, count: u64) {
        for value in 0..count {
            assert_eq!(self.call(move || value + 1).await, value + 1);
        }
    }

    /// Submits a no-op and waits for its result, `count` times.
    pub(crate) fn one_at_a_time(self, flavor: Flavor, count: u64) -> Duration {
        Executor::run(flavor, async move {
            let start = Instant::now();
            self.call_repeatedly(count).await;
            start.elapsed()
        })
    }

    /// Keeps `window` no-ops outstanding, as futures of one task, until `count` have ended.
    pub(crate) fn outstanding(self, flavor: Flavor, window: u64, count: u64) -> Duration {
        Executor::run(flavor, async move {
            let start = Instant::now();
            join_all((0..window).map(|_| self.call_repeatedly(count / window))).await;
            start.elapsed()
        })
    }

    /// Submits `count` no-ops, then waits for all.
    pub(crate) fn all(self, runtime: &Runtime, count: u64, tick: &Tick) {
        let tick = tick.clone();
        self.spread(runtime, count, move || tick.tick());
    }

    /// Submits `count` pieces of work, then waits for all.
    pub(crate) fn all_of_work(self, runtime: &Runtime, count: u64, work: Work) {
        self.spread(runtime, count, move || work.run());
    }

    fn spread(self, runtime: &Runtime, count: u64, job: impl Fn() + Clone + Send + 'static) {
        runtime.block_on(async move {
            // In a task, so that `spawn` pushes onto the worker's own queue.
            let root = tokio::spawn(async move {
                let submit = |_| {
                    let job = job.clone();
                    match self {
                        Self::Spawn => tokio::spawn(async move { job() }),
                        Self::SpawnBlocking => tokio::task::spawn_blocking(job),
                    }
                };
                let handles: Vec<_> = (0..count).map(submit).collect();
                for handle in handles {
                    handle.await.expect("a job does not panic");
                }
            });
            root.await.expect("handing in does not panic");
        });
    }
}

/// `spawn_blocking` on as many threads as every system has.
pub(crate) struct Blocking(Runtime);

impl Blocking {
    pub(crate) fn new() -> Self {
        let mut builder = Flavor::Current.builder();
        let runtime = builder.max_blocking_threads(THREADS).build();
        Self(runtime.expect("the system gives two threads"))
    }

    /// Runs one job per input, all submitted at once, and returns the results.
    pub(crate) fn map_all<T, R>(&self, jobs: Vec<T>, job: fn(T) -> R) -> Vec<R>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        self.0.block_on(async {
            let hand_in = |input| tokio::task::spawn_blocking(move || job(input));
            let handles: Vec<_> = jobs.into_iter().map(hand_in).collect();
            let mut results = Vec::with_capacity(handles.len());
            for handle in handles {
                results.push(handle.await.expect("a job does not panic"));
            }
            results
        })
    }
}

impl ClosurePool for Blocking {
    fn execute(&self, job: impl FnOnce() + Send + 'static) {
        self.0.spawn_blocking(job);
    }
}
