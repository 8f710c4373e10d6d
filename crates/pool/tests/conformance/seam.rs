//! The seam of this suite: how calls come to a service, and how a service ends.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use insula_pool::{Measure, PoolBuilder, PoolStats, Queue, Shutdown, WorkerPool};
use insula_rpc::wire::WireContract;
use insula_rpc::{Caller, Calls, Respond};

use crate::stage::Stage;

/// A way for calls to come to a service.
pub(crate) trait Transport: 'static {
    /// What one side does, the other learns a little later.
    const IS_DISTANT: bool = false;

    /// The calls that it runs at once.
    fn places<R: Respond>() -> usize;

    /// Puts a service under this transport, with a queue of at most `bound` calls. `stage` is what the
    /// case shares with the handlers, for a transport that has to bring it to them. Workers that are
    /// processes have services of their own.
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

/// Keeps a service under its transport.
pub(crate) struct Host(Box<dyn FnOnce() -> Ending + Send + Sync>);

type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Host {
    pub(crate) fn new<F: Future<Output = ()> + Send + 'static>(
        end: impl FnOnce() -> F + Send + Sync + 'static,
    ) -> Self {
        Self(Box::new(|| Box::pin(end())))
    }

    /// Ends the service once its calls have ended, and checks what the transport has counted.
    pub(crate) async fn end(self) {
        (self.0)().await;
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

/// Returns the settings of a pool with so many workers, each with so many calls at once, and a queue of
/// at most `bound` calls.
pub(crate) fn pool_of(workers: usize, at_once: usize, bound: Option<usize>) -> PoolBuilder {
    let builder = WorkerPool::builder()
        .name("conformance")
        .workers(workers)
        .concurrency_per_worker(at_once)
        .measure(Measure::All);
    match bound {
        Some(bound) => builder.queue(Queue::bounded(bound)),
        None => builder,
    }
}

/// Returns the calls that a worker runs at once, of a pool that has `most` if the service allows it.
pub(crate) fn at_once<R: Respond>(most: usize) -> usize {
    if R::EXCLUSIVE { 1 } else { most }
}

/// Ends a pool, all of whose calls have ended or were dropped.
pub(crate) async fn end<C: Calls>(pool: WorkerPool<C>) {
    // Patience for a busy machine only.
    let patience = Shutdown::graceful(Duration::from_secs(60));
    let report = pool.shut_down(patience).await;
    assert_eq!(report.lost, 0, "{report:?}");
    assert_balanced(&pool.stats());
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
