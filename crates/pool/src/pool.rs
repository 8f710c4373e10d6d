//! The handle of a pool, and how a pool ends.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use insula_core::{Isolate, IsolateId};
use insula_rpc::{
    Call, CallError, CallInfo, Caller, Calls, CancelledBy, Endpoint, Includes, Method,
    MethodDescriptor, PendingCall, Ticket, WorkerId,
};

use crate::builder::{PoolBuilder, problem};
use crate::config::{Change, Shutdown};
use crate::dispatch::Target;
use crate::error::{BuildError, ReloadError, ResizeError};
use crate::observe::hub::Events;
use crate::observe::report::PerformanceReport;
use crate::shared::Shared;
use crate::stats::{PoolStats, PoolStatus};

/// Several workers behind one queue, for calls of the type `C`: the request enum of a contract, or
/// a sum of several.
///
/// Dropping the pool without [`shut_down`](Self::shut_down) closes it without waiting: queued
/// calls are rejected, running ones are cancelled and have the grace period to end.
#[must_use = "dropping a pool closes it"]
pub struct WorkerPool<C: Calls = NoCalls> {
    shared: Arc<Shared<C>>,
}

/// The counts of how the calls ended that were in a pool when it was shut down. Calls that come
/// later are rejected and not counted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Calls whose handler came to its end, well or not: also one that returned when it was told to
    /// stop.
    pub finished: u64,
    /// Calls that were rejected in the queue, that were cancelled, or whose deadline passed.
    pub cancelled: u64,
    /// Calls that did not stop when they were told to. Their callers have got `WorkerDied`,
    /// maybe executed; their isolates are killed as soon as they let go of their threads.
    pub lost: u64,
}

/// The calls of a pool that has no service yet: there are none.
#[derive(Debug)]
pub enum NoCalls {}

impl Calls for NoCalls {
    const METHOD_COUNT: usize = 0;

    fn methods() -> Vec<(&'static str, MethodDescriptor)> {
        Vec::new()
    }

    fn method(&self) -> usize {
        match *self {}
    }

    fn pending(&self) -> &dyn PendingCall {
        match *self {}
    }
}

impl WorkerPool {
    /// Starts to describe a pool. Its calls follow from its services:
    /// `WorkerPool::builder().service::<GreeterResponder<_>>(..)`.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::new()
    }
}

impl<C: Calls> WorkerPool<C> {
    pub(crate) fn new(shared: Arc<Shared<C>>) -> Self {
        Self { shared }
    }

    /// Returns a caller whose calls go to this pool, for one of the contracts that it serves. It
    /// keeps nothing alive: after the end of the pool its calls are rejected.
    ///
    /// The type of the caller says which contract is meant:
    /// `let greeter: GreeterCaller = pool.caller();`
    pub fn caller<K: Caller, At>(&self) -> K
    where
        C: Includes<K::Contract, At>,
    {
        C::narrow(self.endpoint()).into()
    }

    /// Returns the pool as a destination of calls, for code that submits those of others, such as the
    /// far end of a link. It keeps nothing alive.
    pub fn endpoint(&self) -> Arc<dyn Endpoint<C>> {
        Arc::<Shared<C>>::clone(&self.shared)
    }

    /// Returns a caller whose calls go to one worker of this pool and to no other. They are rejected
    /// with `NoWorker` once that worker is lost or retired, and while no worker of the pool serves; one
    /// that starts again keeps them.
    ///
    /// # Panics
    /// If the pool has no place for such a worker.
    pub fn caller_of<K: Caller, At>(&self, worker: WorkerId) -> K
    where
        C: Includes<K::Contract, At>,
    {
        let (worker, slots) = (worker.index(), self.shared.slots());
        assert!(
            worker < slots,
            "worker {worker} of a pool of at most {slots}"
        );
        let shared = Arc::clone(&self.shared);
        let endpoint: Arc<dyn Endpoint<C>> = Arc::new(OneWorker { shared, worker });
        C::narrow(endpoint).into()
    }

    /// Makes a call on each worker that is there: `pool.broadcast(|caller: CacheCaller|
    /// caller.clear())`. They are all submitted at once, and each waits until its worker has room.
    /// Returns their ends, by worker. Workers that start later are not called.
    ///
    /// # Cancellation
    /// Dropping the future cancels the calls that have not ended.
    pub async fn broadcast<K: Caller, M: Method, At>(
        &self,
        mut call: impl FnMut(K) -> Call<M>,
    ) -> Vec<(
        WorkerId,
        Result<M::Response, CallError<M::Error, M::Request>>,
    )>
    where
        C: Includes<K::Contract, At>,
    {
        let calls: Vec<_> = self
            .shared
            .present()
            .into_iter()
            .map(|worker| (worker, call(self.caller_of(worker)).start()))
            .collect();
        let mut ends = Vec::with_capacity(calls.len());
        for (worker, call) in calls {
            ends.push((worker, call.await));
        }
        ends
    }

    /// Returns the pool's present state.
    pub fn status(&self) -> PoolStatus {
        self.shared.status()
    }

    /// Returns the counts so far. A call is counted before its caller sees the answer.
    ///
    /// # Blocking
    /// Copies the histograms of each worker and each method, which takes some time.
    pub fn stats(&self) -> PoolStats {
        self.shared.stats()
    }

    /// Returns a stream of what happens to the workers from now on. There may be any number of them,
    /// each with a buffer of its own.
    pub fn events(&self) -> Events {
        self.shared.hub.events()
    }

    /// Sets the number of workers, at most as many as the pool was built for. From here on the pool
    /// does not follow its load. A pool that ends, or has failed because the last worker was lost,
    /// starts none for that. Workers that are not needed any more finish the calls that they run, and
    /// none is waited for.
    ///
    /// # Errors
    /// There are no workers, or more than the pool was built for: see
    /// [`PoolBuilder::workers`].
    pub fn resize(&self, workers: usize) -> Result<(), ResizeError> {
        self.shared.try_resize(workers)
    }

    /// Replaces the services of all workers, one worker after the other: the factories build new ones
    /// while the old ones take calls, as for [`Recycle`](crate::Recycle). No call fails or waits for
    /// it. A factory that reads a configuration, or loads a library, brings a new version into a pool
    /// that runs in this way. Workers that start meanwhile count as new, and one that waits to be started
    /// again is not waited for. A factory that never ends is waited for, within the start-up timeout.
    ///
    /// # Cancellation
    /// Dropping the future does not stop it. A second reload at the same time begins anew, and both end
    /// with it.
    ///
    /// # Errors
    /// New services could not be built: that worker and those after it keep the old ones. Or the pool
    /// has ended.
    pub async fn reload(&self) -> Result<(), ReloadError> {
        self.shared.reload().await
    }

    /// Admits the calls again that were held back; see [`PoolBuilder::quarantine_after`].
    pub fn clear_quarantine(&self) {
        self.shared.clear_quarantine();
    }

    /// Changes settings of the pool while it runs.
    ///
    /// # Errors
    /// The settings make no sense, in the words of [`PoolBuilder::build`]; none is changed.
    pub fn reconfigure(&self, change: Change) -> Result<(), BuildError> {
        if let Some(problem) = problem(change.queue.as_ref(), change.recycle.as_ref()) {
            return Err(BuildError::Settings(problem));
        }
        self.shared.reconfigure(change);
        Ok(())
    }

    /// Reports the performance of the pool since the call before, and since the pool was built. The
    /// reports of [`PoolBuilder::report_every`] count on their own.
    ///
    /// # Blocking
    /// It copies histograms and reads a file of the system on Linux, and is not made for each call.
    pub fn report(&self) -> PerformanceReport {
        self.shared.performance()
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
        // Before the drain, so that a call that ends in between is in the report.
        let before = self.shared.stats();
        if self.shared.takes_on_end() {
            self.shared.drain(plan.rejects_queued);
            let ending = Ending {
                shared: Arc::clone(&self.shared),
                patience: plan.patience,
                before,
            };
            // In an isolate of its own: the future may be dropped, and the shutdown goes on.
            let name = format!("{}.end", self.shared.name);
            Isolate::builder()
                .name(name)
                .spawn(Ending::run, Box::new(ending));
        }
        self.shared.report().await
    }
}

impl<C: Calls> Drop for WorkerPool<C> {
    fn drop(&mut self) {
        // A shutdown that is under way keeps its patience.
        if self.shared.takes_on_end() {
            self.shared.drain(true);
            self.shared.stop_all();
        }
    }
}

/// One worker of a pool as an endpoint.
struct OneWorker<C: Calls> {
    shared: Arc<Shared<C>>,
    worker: usize,
}

impl<C: Calls> Endpoint<C> for OneWorker<C> {
    fn submit(&self, call: C, info: CallInfo) -> Ticket {
        let target = Some(Target::Worker(self.worker));
        self.shared.submit_pinned(call, info, target)
    }

    fn withdraw(&self, ticket: Ticket, by: CancelledBy) {
        self.shared.withdraw(ticket, by);
    }

    fn isolates(&self) -> Vec<IsolateId> {
        self.shared.isolates()
    }
}

impl<C: Calls> fmt::Debug for OneWorker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneWorker")
            .field("pool", &self.shared.name)
            .field("worker", &self.worker)
            .finish()
    }
}

/// The steps of a shutdown, in an isolate of their own, so that they go on when the future
/// that asked for them is dropped.
struct Ending<C: Calls> {
    shared: Arc<Shared<C>>,
    patience: Duration,
    /// The counts at its beginning.
    before: PoolStats,
}

impl<C: Calls> Ending<C> {
    /// The least that cancelled handlers get to end by themselves.
    const LEAST_GRACE: Duration = Duration::from_millis(100);

    async fn run(self: Box<Self>) {
        if !self.shared.is_over_within(self.patience).await {
            self.shared.stop_all();
            let grace = Self::LEAST_GRACE.max(self.shared.grace.saturating_mul(2));
            if !self.shared.is_over_within(grace).await {
                self.give_up();
            }
        }
        self.publish();
    }

    /// Ends the calls that still run, and their workers with them.
    fn give_up(&self) {
        // Before the kill, after which the calls would end as those of an isolate that has ended by
        // itself, and only once it reaches a wait.
        self.shared.abandon_all();
        self.shared.kill_all();
    }

    fn publish(&self) {
        let (before, after) = (&self.before, self.shared.stats());
        let finished = |stats: &PoolStats| stats.answered + stats.failed + stats.panicked;
        let cancelled = |stats: &PoolStats| stats.cancelled + stats.expired;
        // What comes once the pool takes no more calls is rejected too, but was never in it.
        let refused = self.shared.turned_away();
        // Differences, since what ended before the shutdown is no part of it.
        self.shared.publish(ShutdownReport {
            finished: finished(&after) - finished(before),
            cancelled: cancelled(&after) - cancelled(before) + refused,
            lost: after.died - before.died,
        });
    }
}

/// The isolate may be killed, or never run, because the runtime shuts down. The shutdown of the
/// pool has an end all the same.
impl<C: Calls> Drop for Ending<C> {
    fn drop(&mut self) {
        if self.shared.report.lock().is_none() {
            self.shared.stop_all();
            self.give_up();
            self.publish();
        }
    }
}

impl<C: Calls> Shared<C> {
    fn publish(&self, report: ShutdownReport) {
        *self.report.lock() = Some(report);
        self.changed();
    }

    pub(crate) async fn report(&self) -> ShutdownReport {
        poll_fn(|cx| {
            let look = || self.report.lock().map_or(Poll::Pending, Poll::Ready);
            let found = look();
            if found.is_ready() {
                return found;
            }
            self.watch(cx.waker());
            // Once more, since it may have come in between and woken none.
            let found = look();
            if found.is_ready() {
                // No change comes after this one, and a waker that stayed here would keep its task.
                self.changed();
            }
            found
        })
        .await
    }
}

impl<C: Calls> fmt::Debug for WorkerPool<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerPool")
            .field("name", &self.shared.name)
            .field("workers", &self.shared.books.len())
            .finish_non_exhaustive()
    }
}
