//! The part that callers, workers and the pool's handle share: the state behind its lock, and the
//! one place where its decisions are carried out.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use insula_core::{Instant, IsolateId, sleep, wake_contained};
use insula_rpc::{
    Admission, Contract, Endpoint, How, Refusal, Reject, Signal, Ticket, WorkerExit, WorkerId,
};
use insula_sync::Mutex;

use crate::config::{Balance, Measure, Queue};
use crate::error::{BuildError, WorkerFault};
use crate::fifo::Key;
use crate::pool::ShutdownReport;
use crate::state::{Actions, Condition, Job, Next, Phase, Place, State, Submitted};
use crate::stats::{
    Books, PoolPhase, PoolStats, PoolStatus, Totals, WorkerCondition, WorkerStatus,
};

pub(crate) struct Shared<C: Contract> {
    pub(crate) name: String,
    /// The time that a cancelled handler may go on.
    pub(crate) grace: Duration,
    pub(crate) startup_timeout: Duration,
    bound: usize,
    measure: Measure,
    /// One per worker.
    pub(crate) books: Vec<Arc<Books>>,
    /// The waker of each lane, by worker and lane. A lane's waker stays the same over its life,
    /// and is never cloned for a call. Locked alone; what runs under it is the runtime's own.
    lanes: Vec<Vec<Mutex<Option<Arc<Waker>>>>>,
    state: Mutex<State<Entry<C>>>,
    /// The isolates of the workers, each set at the worker's start.
    isolates: Vec<OnceLock<IsolateId>>,
    /// Written once, at the end. Locked alone.
    pub(crate) report: Mutex<Option<ShutdownReport>>,
}

/// A call in the pool.
#[derive(Debug)]
pub(crate) struct Entry<C> {
    pub(crate) call: C,
    /// The time at which it came, if it is timed.
    pub(crate) queued_at: Option<Instant>,
}

type Handle = Option<Arc<dyn Signal>>;

impl<C: Contract> Job for Entry<C> {
    type Handle = Handle;

    fn handle(&self) -> Handle {
        self.call.pending().signal()
    }
}

impl<C: Contract> Entry<C> {
    fn refuse(self, why: Reject) {
        self.call.pending().refuse(Refusal::Rejected(why));
    }
}

/// The settings that the shared part keeps.
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) workers: usize,
    pub(crate) lanes: usize,
    pub(crate) queue: Queue,
    pub(crate) balance: Balance,
    pub(crate) measure: Measure,
    pub(crate) grace: Duration,
    pub(crate) startup_timeout: Duration,
}

impl<C: Contract> Endpoint<C> for Shared<C> {
    fn submit(&self, call: C, admission: Admission) -> Ticket {
        let queued_at = self.measure.takes_this_one().then(Instant::now);
        let may_wait = admission == Admission::Policy;
        let submitted = self
            .state
            .lock()
            .submit(Entry { call, queued_at }, may_wait);
        match submitted {
            Submitted::Handed(place) => self.unpark(place),
            Submitted::Queued(key) => return Ticket(key.to_bits()),
            Submitted::QueuedFor(key, oldest) => {
                oldest.refuse(Reject::Shed);
                return Ticket(key.to_bits());
            }
            Submitted::Refused(entry, why) => entry.refuse(why),
        }
        Ticket::NONE
    }

    fn withdraw(&self, ticket: Ticket) {
        let withdrawn = self.state.lock().withdraw(Key::from_bits(ticket.0));
        drop(withdrawn);
    }

    fn isolates(&self) -> Vec<IsolateId> {
        let known: Option<Vec<_>> = self.isolates.iter().map(|it| it.get().copied()).collect();
        known.unwrap_or_default()
    }
}

impl<C: Contract> Shared<C> {
    /// A worker has its isolate.
    pub(crate) fn moved_in(&self, worker: usize, isolate: IsolateId) {
        // A worker keeps its isolate, so that there is only the first time.
        let _ = self.isolates[worker].set(isolate);
    }

    pub(crate) fn new(setup: Setup) -> Self {
        let Setup {
            workers,
            lanes,
            queue,
            balance,
            ..
        } = setup;
        Self {
            name: setup.name,
            grace: setup.grace,
            startup_timeout: setup.startup_timeout,
            bound: queue.bound,
            measure: setup.measure,
            books: (0..workers).map(|_| Arc::new(Books::new(lanes))).collect(),
            lanes: (0..workers)
                .map(|_| (0..lanes).map(|_| Mutex::new(None)).collect())
                .collect(),
            isolates: (0..workers).map(|_| OnceLock::new()).collect(),
            state: Mutex::new(State::new(workers, lanes, queue, balance)),
            report: Mutex::new(None),
        }
    }

    /// Ends the lane's call, if `is_done`, and gets the next; `None` when the loop has to end.
    pub(crate) fn poll_next(&self, at: Place, is_done: &mut bool) -> Poll<Option<Entry<C>>> {
        let mut state = self.state.lock();
        let done = if std::mem::take(is_done) {
            state.finish(at)
        } else {
            None
        };
        let next = state.next(at);
        drop(state);
        drop(done);
        match next {
            Next::Run(entry) => Poll::Ready(Some(entry)),
            Next::Park => Poll::Pending,
            Next::Close(supervisor) => {
                supervisor.into_iter().for_each(wake_contained);
                Poll::Ready(None)
            }
        }
    }

    pub(crate) fn suspect(&self, worker: usize) {
        let actions = self.state.lock().suspect(worker);
        self.perform(actions);
    }

    pub(crate) fn ready(&self, worker: usize) -> bool {
        let (is_open, actions) = self.state.lock().ready(worker);
        self.perform(actions);
        is_open
    }

    /// Waits until all loops of a worker have ended.
    pub(crate) async fn quiet(&self, worker: usize) {
        poll_fn(|cx| match self.state.lock().is_quiet(worker, cx.waker()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }

    pub(crate) fn rebuild(&self, worker: usize) -> Option<u32> {
        let (incarnation, actions) = self.state.lock().rebuild(worker);
        self.perform(actions);
        incarnation
    }

    pub(crate) fn lose(&self, worker: usize, fault: WorkerFault) {
        let actions = self.state.lock().lose(worker, Arc::new(fault));
        self.perform(actions);
    }

    /// Waits until every worker is ready for the first time.
    pub(crate) async fn started(&self) -> Result<(), BuildError> {
        self.when(|state| {
            let mut is_starting = false;
            for (worker, condition, ..) in state.workers() {
                match condition {
                    Condition::Lost(fault) => {
                        return Some(Err(BuildError::Startup {
                            worker,
                            fault: Arc::clone(fault),
                        }));
                    }
                    Condition::Starting => is_starting = true,
                    _ => {}
                }
            }
            (!is_starting).then_some(Ok(()))
        })
        .await
    }

    /// The first worker that has not become ready.
    pub(crate) fn first_starting(&self) -> Option<WorkerId> {
        let state = self.state.lock();
        let mut workers = state.workers();
        workers
            .find(|(_, condition, ..)| matches!(condition, Condition::Starting))
            .map(|w| w.0)
    }

    /// Stops taking calls; tells how many queued ones were turned away. `None` if that has
    /// happened before.
    pub(crate) fn drain(&self, rejects_queued: bool) -> Option<u64> {
        let actions = self.state.lock().drain(rejects_queued)?;
        let refused = actions.refuse.len() as u64;
        self.perform(actions);
        Some(refused)
    }

    /// Turns away what is queued and asks what runs to stop; tells how many were turned away.
    pub(crate) fn stop_all(&self) -> u64 {
        let mut state = self.state.lock();
        let actions = state.close_all();
        let running = state.running();
        drop(state);
        let refused = actions.refuse.len() as u64;
        self.perform(actions);
        running
            .into_iter()
            .filter_map(|(_, handle)| handle)
            .for_each(|signal| signal.stop());
        refused
    }

    /// Ends the calls that still run, and gives their workers up; tells how many calls it was.
    pub(crate) fn abandon_all(&self) -> u64 {
        let running = self.state.lock().running();
        let abandoned = running
            .into_iter()
            .filter_map(|(worker, handle)| Some((worker, handle?)));
        let lost = abandoned
            .filter(|(worker, signal)| signal.abandon(*worker, WorkerExit::Abandoned))
            .count();
        for worker in 0..self.books.len() {
            self.lose(worker, WorkerFault::Stuck);
        }
        lost as u64
    }

    /// Returns whether all workers end within `time`.
    pub(crate) async fn is_over_within(&self, time: Duration) -> bool {
        within(time, self.when(|state| state.is_over().then_some(())))
            .await
            .is_some()
    }

    pub(crate) fn totals(&self) -> Totals {
        let mut totals = Totals::default();
        for books in &self.books {
            books.add_to(&mut totals);
        }
        totals
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let totals = self.totals();
        let tally = self.state.lock().tally;
        let workers = self.books.iter().zip(0..);
        PoolStats {
            submitted: tally.submitted,
            answered: totals.count(How::Answered),
            failed: totals.count(How::Failed),
            panicked: totals.count(How::Panicked),
            cancelled: totals.count(How::Cancelled) + tally.withdrawn,
            expired: totals.count(How::Expired),
            rejected: tally.rejected,
            shed: tally.shed,
            traffic: totals.traffic(),
            queue_wait: totals.queue_wait(),
            run_time: totals.run_time(),
            workers: workers.map(|(b, i)| b.snapshot(WorkerId::new(i))).collect(),
        }
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let state = self.state.lock();
        let (phase, depth) = (state.phase(), state.queued());
        // The texts of faults are foreign code, so they are made outside of the lock.
        let workers: Vec<_> = state
            .workers()
            .map(|(id, condition, i, busy)| (id, condition.clone(), i, busy))
            .collect();
        drop(state);
        let is_lost = |w: &&(WorkerId, Condition, u32, usize)| matches!(w.1, Condition::Lost(_));
        let lost = workers.iter().filter(is_lost).count();
        PoolStatus {
            name: self.name.clone(),
            phase: match phase {
                Phase::Open if lost == 0 => PoolPhase::Serving,
                Phase::Open if lost < workers.len() => PoolPhase::Degraded,
                Phase::Open => PoolPhase::Failed,
                Phase::Draining => PoolPhase::Draining,
                Phase::Closed => PoolPhase::Closed,
            },
            queued: depth.min(self.bound),
            waiting: depth.saturating_sub(self.bound),
            workers: workers
                .into_iter()
                .map(|(id, condition, incarnation, busy)| WorkerStatus {
                    id,
                    condition: condition.into(),
                    incarnation,
                    busy,
                })
                .collect(),
        }
    }

    /// Carries out what the state machine decided, with no lock of the state held.
    fn perform(&self, actions: Actions<Entry<C>>) {
        let Actions {
            refuse,
            unpark,
            wake,
            discard,
        } = actions;
        refuse
            .into_iter()
            .for_each(|(entry, why)| entry.refuse(why));
        unpark.into_iter().for_each(|place| self.unpark(place));
        wake.into_iter().for_each(wake_contained);
        drop(discard);
    }

    fn unpark(&self, place: Place) {
        // Counted, so that it can be woken after the lock is released: a wake-up takes the lane of
        // the worker's isolate, and a waker of the user may run any code.
        let waker = self.lanes[place.worker][place.lane].lock().clone();
        if let Some(waker) = waker {
            waker.wake_by_ref();
        }
    }

    /// A lane's loop begins: it is woken through `waker` from now on.
    pub(crate) fn enroll(&self, place: Place, waker: &Waker) {
        let waker = Arc::new(waker.clone());
        let old = self.lanes[place.worker][place.lane].lock().replace(waker);
        drop(old);
    }

    /// A lane's loop ends. Its waker would keep the isolate alive.
    pub(crate) fn dismiss(&self, place: Place) {
        let old = self.lanes[place.worker][place.lane].lock().take();
        drop(old);
    }

    /// Has `waker` woken at the next change.
    pub(crate) fn watch(&self, waker: &Waker) {
        let waker = waker.clone();
        let known = self.state.lock().watch(waker);
        drop(known);
    }

    /// Wakes all waiters for a change.
    pub(crate) fn changed(&self) {
        let watchers = self.state.lock().take_watchers();
        watchers.into_iter().for_each(wake_contained);
    }

    /// Waits until `look` finds something; it is asked whenever a worker has changed.
    async fn when<R>(&self, look: impl Fn(&State<Entry<C>>) -> Option<R>) -> R {
        poll_fn(|cx| {
            // Cloned before the lock is taken: the waker may be of any executor.
            let waker = cx.waker().clone();
            let mut state = self.state.lock();
            let found = look(&state);
            let old = if found.is_none() {
                state.watch(waker)
            } else {
                None
            };
            drop(state);
            drop(old);
            found.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

impl From<Condition> for WorkerCondition {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Starting => Self::Starting,
            Condition::Ready => Self::Ready,
            Condition::Suspect => Self::Suspect,
            Condition::Ended => Self::Ended,
            Condition::Lost(fault) => Self::Lost(fault.to_string()),
        }
    }
}

impl Measure {
    fn takes_this_one(self) -> bool {
        thread_local! {
            static COUNT: Cell<u32> = const { Cell::new(0) };
        }
        match self {
            Self::Off => false,
            Self::All => true,
            Self::OneIn(n) => {
                let count = COUNT.get();
                COUNT.set(if count + 1 >= n { 0 } else { count + 1 });
                count == 0
            }
        }
    }
}

/// Waits for `future`, but not for longer than `time`.
pub(crate) async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut timer) = (std::pin::pin!(future), std::pin::pin!(sleep(time)));
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}

impl<C: Contract> fmt::Debug for Shared<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
