//! The handle of a pool, and how a pool ends.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use insula_core::Isolate;
use insula_rpc::{Contract, Endpoint, How, Respond};

use crate::builder::PoolBuilder;
use crate::config::Shutdown;
use crate::shared::Shared;
use crate::stats::{PoolStats, PoolStatus};

/// Several workers behind one queue, for the contract of the responder `R`.
///
/// Dropping the pool without [`shut_down`](Self::shut_down) closes it without waiting: queued
/// calls are rejected, running ones are cancelled and have the grace period to end.
#[must_use = "dropping a pool closes it"]
pub struct WorkerPool<R: Respond> {
    shared: Arc<Shared<R::Contract>>,
    isolates: Arc<[Isolate]>,
}

/// The counts of how the calls ended that were in a pool when it was shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Calls whose handler came to its end, well or not.
    pub finished: u64,
    /// Calls that were rejected in the queue or cancelled while they ran.
    pub cancelled: u64,
    /// Calls that did not stop when they were told to. Their callers have got `WorkerDied`,
    /// maybe executed; their isolates are killed as soon as they let go of their threads.
    pub lost: u64,
}

impl<R: Respond> WorkerPool<R> {
    /// Starts to describe a pool. The type of the service follows from the factory:
    /// `WorkerPool::<GreeterResponder<_>>::builder().worker(..)`.
    pub fn builder() -> PoolBuilder<R> {
        PoolBuilder::new()
    }

    pub(crate) fn new(shared: Arc<Shared<R::Contract>>, isolates: Arc<[Isolate]>) -> Self {
        Self { shared, isolates }
    }

    /// A caller whose calls go to this pool. It keeps nothing alive: after the end of the pool
    /// its calls are rejected.
    pub fn caller(&self) -> <R::Contract as Contract>::Caller {
        let endpoint: Arc<dyn Endpoint<R::Contract>> =
            Arc::<Shared<R::Contract>>::clone(&self.shared);
        endpoint.into()
    }

    /// Returns the pool's present state.
    pub fn status(&self) -> PoolStatus {
        self.shared.status()
    }

    /// Returns the counts so far. A call is counted before its caller sees the answer.
    pub fn stats(&self) -> PoolStats {
        self.shared.stats()
    }

    /// Ends the pool: takes no more calls, lets those that are here finish for as long as
    /// `plan` says, cancels what is left, gives that twice the grace period (at least 100 ms),
    /// and then gives up the workers that still compute. Every call ends, and the report says
    /// how.
    ///
    /// Calling it again, also at the same time, waits for the same end and gives the same
    /// report; only the first plan counts.
    ///
    /// # Cancellation
    /// Dropping the future does not stop the shutdown.
    pub async fn shut_down(&self, plan: Shutdown) -> ShutdownReport {
        let before = self.shared.totals();
        if let Some(refused) = self.shared.drain(plan.rejects_queued) {
            let ending = Ending {
                shared: Arc::clone(&self.shared),
                isolates: Arc::clone(&self.isolates),
                patience: plan.patience,
                finished_before: before.finished(),
                cancelled_before: before.count(How::Cancelled) + before.count(How::Expired),
                refused,
            };
            let name = format!("{}.end", self.shared.name);
            Isolate::builder()
                .name(name)
                .spawn(Ending::run, Box::new(ending));
        }
        self.shared.report().await
    }
}

impl<R: Respond> Drop for WorkerPool<R> {
    fn drop(&mut self) {
        // A shutdown that is under way keeps its patience.
        if self.shared.drain(true).is_some() {
            self.shared.stop_all();
        }
    }
}

/// The steps of a shutdown, in an isolate of their own, so that they go on when the future
/// that asked for them is dropped.
struct Ending<C: Contract> {
    shared: Arc<Shared<C>>,
    isolates: Arc<[Isolate]>,
    patience: Duration,
    finished_before: u64,
    cancelled_before: u64,
    /// Queued calls that were turned away.
    refused: u64,
}

impl<C: Contract> Ending<C> {
    /// The least that cancelled handlers get to end by themselves.
    const LEAST_GRACE: Duration = Duration::from_millis(100);

    async fn run(mut self: Box<Self>) {
        let mut lost = 0;
        if !self.shared.is_over_within(self.patience).await {
            self.refused += self.shared.stop_all();
            let grace = Self::LEAST_GRACE.max(self.shared.grace.saturating_mul(2));
            if !self.shared.is_over_within(grace).await {
                lost = self.shared.abandon_all();
                self.isolates.iter().for_each(Isolate::kill);
            }
        }
        self.publish(lost);
    }

    fn publish(&self, lost: u64) {
        let after = self.shared.totals();
        let cancelled = after.count(How::Cancelled) + after.count(How::Expired);
        self.shared.publish(ShutdownReport {
            finished: after.finished() - self.finished_before,
            cancelled: cancelled - self.cancelled_before + self.refused,
            lost,
        });
    }
}

/// The isolate may be killed, or never run, because the runtime shuts down. The shutdown of the
/// pool has an end all the same.
impl<C: Contract> Drop for Ending<C> {
    fn drop(&mut self) {
        if self.shared.report.lock().is_none() {
            self.publish(0);
        }
    }
}

impl<C: Contract> Shared<C> {
    fn publish(&self, report: ShutdownReport) {
        *self.report.lock() = Some(report);
        self.changed();
    }

    async fn report(&self) -> ShutdownReport {
        poll_fn(|cx| {
            // Watching first: a report that comes in between wakes this task.
            self.watch(cx.waker());
            self.report.lock().map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl<R: Respond> fmt::Debug for WorkerPool<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("name", &self.shared.name)
            .field("contract", &R::Contract::NAME)
            .field("workers", &self.isolates.len())
            .finish_non_exhaustive()
    }
}
