//! How calls come to a service in another process.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use insula_pool::{Measure, PoolStats, Queue, Shutdown, WorkerPool};
use insula_process::Process;
use insula_rpc::wire::WireContract;
use insula_rpc::{Caller, Respond, Whole};

use crate::stage::{STAGE, Stage};

/// The variable of workers that serve the contract with `&mut self`.
pub(crate) const EXCLUSIVE: &str = "CONFORMANCE_EXCLUSIVE";

/// A way for calls to come to a service.
pub(crate) trait Transport: 'static {
    /// What one side does, the other learns a little later.
    const IS_DISTANT: bool = true;

    /// The calls that it runs at once.
    fn places<R: Respond>() -> usize;

    /// Starts workers that show `stage` to their handlers, with a queue of at most `bound` calls. They
    /// have services of their own.
    fn start<K, R>(
        service: R::Service,
        stage: &Stage,
        bound: Option<usize>,
    ) -> impl Future<Output = (K, Host)> + Send
    where
        K: Caller + Send,
        K::Contract: WireContract,
        R: Respond<Contract = K::Contract>,
        R::Service: Clone + Sync;
}

/// Keeps the workers.
pub(crate) struct Host(Box<dyn FnOnce() -> Ending + Send + Sync>);

type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Host {
    /// Ends the workers once their calls have ended, and checks what the pool has counted.
    pub(crate) async fn end(self) {
        (self.0)().await;
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// A pool of processes.
#[derive(Debug)]
pub(crate) enum Processes<const WORKERS: usize, const AT_ONCE: usize> {}

pub(crate) type OneProcess = Processes<1, 1>;
pub(crate) type ThreeProcesses = Processes<3, 2>;

impl<const WORKERS: usize, const AT_ONCE: usize> Processes<WORKERS, AT_ONCE> {
    fn at_once<R: Respond>() -> usize {
        if R::EXCLUSIVE { 1 } else { AT_ONCE }
    }
}

impl<const WORKERS: usize, const AT_ONCE: usize> Transport for Processes<WORKERS, AT_ONCE> {
    fn places<R: Respond>() -> usize {
        WORKERS * Self::at_once::<R>()
    }

    async fn start<K, R>(_service: R::Service, stage: &Stage, bound: Option<usize>) -> (K, Host)
    where
        K: Caller + Send,
        K::Contract: WireContract,
        R: Respond<Contract = K::Contract>,
        R::Service: Clone + Sync,
    {
        let mut kind = Process::current_exe().env(STAGE, stage.address());
        if R::EXCLUSIVE {
            kind = kind.env(EXCLUSIVE, "1");
        }
        let mut builder = WorkerPool::builder()
            .name("conformance")
            .workers(WORKERS)
            .concurrency_per_worker(Self::at_once::<R>())
            .measure(Measure::All);
        if let Some(bound) = bound {
            builder = builder.queue(Queue::bounded(bound));
        }
        let pool = builder.kind::<K::Contract, _>(kind).build().await;
        let pool = pool.expect("the pool starts");
        let caller = pool.caller::<K, Whole>();
        let end = || -> Ending {
            Box::pin(async move {
                // All calls have ended or were dropped, so this is patience for a busy machine only.
                let patience = Shutdown::graceful(Duration::from_secs(60));
                let report = pool.shut_down(patience).await;
                assert_eq!(report.lost, 0, "{report:?}");
                assert_balanced(&pool.stats());
            })
        };
        (caller, Host(Box::new(end)))
    }
}

/// Every call has exactly one end in the books.
fn assert_balanced(stats: &PoolStats) {
    let ended = [
        stats.answered,
        stats.failed,
        stats.panicked,
        stats.cancelled,
        stats.expired,
        stats.died,
        stats.rejected,
        stats.shed,
    ];
    assert_eq!(stats.submitted, ended.iter().sum::<u64>(), "{stats:?}");
}
