//! The part that callers, workers and the pool's handle share: the state behind its lock, and the
//! one place where its decisions are carried out.

mod life;
mod show;

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use insula_core::{Instant, IsolateId, contain, sleep, wake_contained};
use insula_rpc::{
    Admission, CallInfo, Calls, CancelledBy, Endpoint, How, Priority, Refusal, Reject, Share,
    Signal, Ticket, WorkType, WorkerId, catch,
};
use insula_sync::atomic::{AtomicBool, Ordering};
use insula_sync::{Mutex, Rank};

use crate::balance::{Balance, Strategy};
use crate::config::{Change, Cpu, Heap, Measure, Monitor, Order, Queue};
use crate::queues::Key;
use crate::size::Workers;

use crate::dispatch::{Actions, Dispatch, Job, Next, Place, Signs, Submitted, Target, Unpark};
use crate::health::{Health, Resident};
use crate::inspect::Entered;
use crate::lifecycle::{Recycle, Restart};
use crate::memory::{Dropper, Memory};
use crate::observe::discards::{DiscardReason, Discarded, Discards};
use crate::observe::hub::{Hub, Observers};
use crate::observe::report::Baseline;
use crate::observe::trace::{CallTrace, EndedCall, Traces};
use crate::pool::ShutdownReport;
use crate::stats::books::{Books, Methods};

pub(crate) struct Shared<C: Calls> {
    pub(crate) name: Arc<str>,
    /// The calls that a worker runs at once.
    pub(crate) places: usize,
    /// The time that a cancelled handler may go on.
    pub(crate) grace: Duration,
    pub(crate) startup_timeout: Duration,
    /// Locked alone.
    restart: Mutex<Restart>,
    /// One per worker.
    pub(crate) books: Vec<Arc<Books>>,
    methods: Arc<Methods>,
    traces: Arc<Traces>,
    /// The time of workers on the CPU is measured.
    pub(crate) measures_cpu: bool,
    state: Mutex<Dispatch<Entry<C>>>,
    signs: Arc<Signs>,
    /// The user's policy, if there is one.
    strategy: Option<Strategy>,
    /// The isolates of each worker: that of its present state last, and before it those of earlier
    /// states that still have streams. Locked alone.
    isolates: Mutex<Vec<Vec<Resident>>>,
    /// Calls that end workers are held back, so that their identities are needed.
    has_quarantine: bool,
    /// The queue is fair to shares, so that calls are asked for theirs. Changes while the pool runs.
    is_fair: AtomicBool,
    /// The limit of each worker.
    pub(crate) memory: Option<Memory>,
    /// Memory is measured.
    pub(crate) measures_memory: bool,
    pub(crate) dropper: Dropper,
    /// The time after which a worker is given up, if workers are watched.
    pub(crate) stuck_after: Option<Duration>,
    /// Is told what happens to workers.
    pub(crate) hub: Arc<Hub>,
    discards: Discards,
    /// From which the next report counts. Held while the counts are read, so that two reports at
    /// once do not share them.
    baseline: Mutex<Baseline>,
    /// Set by the shutdown, or the drop, that ends the pool.
    is_ending: AtomicBool,
    /// Written once, at the end. Locked alone.
    pub(crate) report: Mutex<Option<ShutdownReport>>,
    /// Set once, at the beginning.
    entered: OnceLock<Entered>,
}

/// A call in the pool.
#[derive(Debug)]
pub(crate) struct Entry<C> {
    pub(crate) call: C,
    /// The time at which it came, if that is needed.
    came_at: Option<Instant>,
    is_timed: bool,
    pub(crate) pin: Option<Target>,
    priority: Priority,
    work: WorkType,
    /// Nearly always nothing: a call is moved several times, and is to be small.
    facts: Option<Box<Facts>>,
}

/// What a call says of itself, where a pool asks for it.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    /// The piece of work that it is, if calls are held back.
    identity: Option<u64>,
    /// The share that it counts to, if the queue is fair to shares.
    share: Option<Share>,
}

type Handle = Option<Arc<dyn Signal>>;

const BASELINE: Rank = Rank::new(40, "the baseline of a pool's reports");

impl<C> Entry<C> {
    /// The time at which it came, if it is timed.
    pub(crate) fn timed_from(&self) -> Option<Instant> {
        self.came_at.filter(|_| self.is_timed)
    }
}

impl<C: Calls> Job for Entry<C> {
    type Handle = Handle;

    fn handle(&self) -> Handle {
        self.call.pending().signal()
    }

    fn deadline(&self) -> Option<Instant> {
        self.call.pending().deadline()
    }

    fn pin(&self) -> Option<Target> {
        self.pin
    }

    fn work(&self) -> WorkType {
        self.work
    }

    fn priority(&self) -> Priority {
        self.priority
    }

    fn came_at(&self) -> Option<Instant> {
        self.came_at
    }

    fn bytes(&self) -> u64 {
        self.call.pending().request_bytes()
    }

    fn identity(&self) -> Option<u64> {
        self.facts.as_ref()?.identity
    }

    fn share(&self) -> Option<Share> {
        self.facts.as_ref()?.share
    }
}

/// The settings that the shared part keeps.
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) workers: Workers,
    pub(crate) lanes: usize,
    pub(crate) queue: Queue,
    pub(crate) balance: Balance,
    pub(crate) preferred: usize,
    pub(crate) measure: Measure,
    pub(crate) monitor: Monitor,
    pub(crate) grace: Duration,
    pub(crate) startup_timeout: Duration,
    pub(crate) restart: Restart,
    pub(crate) observers: Observers,
    pub(crate) discards: Discards,
    pub(crate) recycle: Recycle,
    pub(crate) memory: Option<Memory>,
    pub(crate) health: Health,
    pub(crate) quarantine: Option<u32>,
}

impl<C: Calls> Endpoint<C> for Shared<C> {
    fn submit(&self, call: C, info: CallInfo) -> Ticket {
        self.submit_pinned(call, info, info.key.map(Target::Key))
    }

    fn submit_all(&self, calls: Vec<C>, info: CallInfo, each: &mut dyn FnMut(Ticket)) {
        // A user's policy is asked for each of them, without the lock.
        if self.strategy.is_some() {
            return calls
                .into_iter()
                .for_each(|call| each(self.submit(call, info)));
        }
        let pin = info.key.map(Target::Key);
        // Before the lock, since it takes those of the calls.
        let facts: Vec<_> = match self.needs_facts() {
            true => calls.iter().map(|call| self.facts(call)).collect(),
            false => Vec::new(),
        };
        let mut facts = facts.into_iter();
        let mut state = self.state.lock();
        let submit = |call| {
            let facts = facts.next().flatten();
            submit_to(&mut state, call, info, (pin, facts))
        };
        let submitted: Vec<_> = calls.into_iter().map(submit).collect();
        drop(state);
        // One lock for all of them, and what follows from them only after it: that wakes lanes and
        // ends calls.
        for submitted in submitted {
            each(self.follow(submitted));
        }
    }

    fn withdraw(&self, ticket: Ticket, by: CancelledBy) {
        let has_expired = by == CancelledBy::Deadline;
        let key = Key::from_bits(ticket.0);
        // `Ticket::NONE` becomes a key whose index no call has. What comes back is dropped outside
        // of the lock, since it may be the last reference to what a user has given.
        let withdrawn = self.state.lock().withdraw(key, has_expired, Instant::now);
        let Some(withdrawn) = withdrawn else {
            return;
        };
        withdrawn.wake.into_iter().for_each(wake_contained);
        withdrawn.unpark.into_iter().for_each(wake_lane);
        if withdrawn.has_expired {
            self.discarded(withdrawn.job.call.method(), DiscardReason::Expired);
        }
    }

    fn isolates(&self) -> Vec<IsolateId> {
        let isolates = self.isolates.lock();
        // None at all if a worker has none at the moment: one that is between two states may answer
        // later, so that a wait for it must not look hopeless.
        let present = isolates
            .iter()
            .map(|of_one| of_one.last().map(|it| it.isolate.id()));
        present.collect::<Option<Vec<_>>>().unwrap_or_default()
    }
}

/// Called under the lock of the state. The clock is read for calls that are timed, and to find out
/// which calls of a full queue have expired; once, if the pool needs it anyway.
fn submit_to<C: Calls>(
    state: &mut Dispatch<Entry<C>>,
    call: C,
    info: CallInfo,
    (pin, facts): (Option<Target>, Option<Box<Facts>>),
) -> Submitted<Entry<C>> {
    let clock = state.needs_time().then(Instant::now);
    let now = || clock.unwrap_or_else(Instant::now);
    let is_timed = state.takes_sample();
    let entry = Entry {
        call,
        came_at: (is_timed || state.has_codel()).then(now),
        is_timed,
        pin,
        priority: info.priority,
        work: info.work,
        facts,
    };
    state.submit(entry, info.admission == Admission::Policy, now)
}

impl<C: Calls> Shared<C> {
    /// Takes a call that may be pinned.
    pub(crate) fn submit_pinned(&self, call: C, info: CallInfo, pin: Option<Target>) -> Ticket {
        if let Some(strategy) = &self.strategy
            && pin.is_none()
        {
            self.ask(strategy, info.work);
        }
        // Before the lock, since it takes that of the call.
        let facts = self.facts(&call);
        let submitted = submit_to(&mut self.state.lock(), call, info, (pin, facts));
        self.follow(submitted)
    }

    fn needs_facts(&self) -> bool {
        self.has_quarantine || self.is_fair.load(Ordering::Relaxed)
    }

    fn facts(&self, call: &C) -> Option<Box<Facts>> {
        match self.needs_facts() {
            true => self.ask_for_facts(call),
            false => None,
        }
    }

    #[cold]
    fn ask_for_facts(&self, call: &C) -> Option<Box<Facts>> {
        let call = call.pending();
        let identity = self.has_quarantine.then(|| call.identity()).flatten();
        let is_fair = self.is_fair.load(Ordering::Relaxed);
        let share = is_fair.then(|| call.share()).flatten();
        let is_any = identity.is_some() || share.is_some();
        is_any.then(|| Box::new(Facts { identity, share }))
    }

    /// Asks the user's policy for the worker of the next call.
    fn ask(&self, strategy: &Strategy, work: WorkType) {
        let now = Instant::now();
        let candidates = self.state.lock().candidates(work, now);
        if candidates.len() > 1
            && let Some(chosen) = strategy.choose(&candidates, work)
        {
            let (worker, incarnation) = (chosen.worker.index(), chosen.incarnation);
            // Another call that comes in between may take this choice. It is as good for that one.
            self.state.lock().prefer(worker, incarnation);
        }
    }

    /// Carries out what the submission of a call has led to.
    fn follow(&self, submitted: Submitted<Entry<C>>) -> Ticket {
        let (ticket, aside) = match submitted {
            Submitted::Queued { key, unpark, aside } => {
                unpark.into_iter().for_each(wake_lane);
                (Ticket(key.to_bits()), aside)
            }
            Submitted::Refused { job, why, aside } => {
                self.refuse(job, why);
                (Ticket::NONE, aside)
            }
        };
        if let Some(crowded) = aside {
            for oldest in crowded.shed {
                self.refuse(oldest, Reject::Shed);
            }
            for late in crowded.expired {
                self.expire(late);
            }
            if crowded.is_pressed {
                self.changed();
            }
        }
        ticket
    }

    /// Ends a call that does not run.
    fn refuse(&self, entry: Entry<C>, why: Reject) {
        let method = entry.call.method();
        entry.call.pending().refuse(Refusal::Rejected(why));
        drop(entry);
        self.discarded(method, DiscardReason::Rejected(why));
    }

    /// Ends a call whose deadline has passed in the queue.
    fn expire(&self, entry: Entry<C>) {
        let method = entry.call.method();
        if let Some(signal) = entry.call.pending().signal() {
            signal.expire();
        }
        drop(entry);
        self.discarded(method, DiscardReason::Expired);
    }

    /// Tells that a call was discarded.
    pub(crate) fn discarded(&self, method: usize, why: DiscardReason) {
        self.traces.add(|| self.untaken(method, why));
        self.discards.tell(|| {
            let (contract, descriptor) = C::methods()[method];
            Discarded {
                contract,
                method: descriptor.name,
                why,
            }
        });
    }

    /// Returns a discarded call as a trace has it.
    fn untaken(&self, method: usize, why: DiscardReason) -> EndedCall {
        let (contract, descriptor) = C::methods()[method];
        EndedCall {
            at: Instant::now(),
            worker: None,
            contract,
            method: descriptor.name,
            waited: None,
            ran: None,
            outcome: match why {
                DiscardReason::Expired => "expired",
                DiscardReason::Rejected(Reject::Shed) => "shed",
                DiscardReason::Rejected(_) => "rejected",
            },
        }
    }

    /// Begins a trace.
    pub(crate) fn trace(self: &Arc<Self>) -> CallTrace {
        let pool = Arc::downgrade(self);
        self.traces.begin(move || {
            if let Some(pool) = pool.upgrade() {
                let mut state = pool.state.lock();
                // Read under the lock, so that the last of several changes is the one that counts.
                state.trace(pool.traces.is_any());
                drop(state);
                contain(move || drop(pool));
            }
        })
    }

    /// A call that is pinned has begun on a lane of a worker.
    pub(crate) fn began(&self, worker: usize, incarnation: u32) {
        let actions = if self.stuck_after.is_some() {
            self.state.lock().began(worker, incarnation)
        } else if self.signs.begin(worker) {
            self.state.lock().pass_fences()
        } else {
            return;
        };
        self.perform(actions);
    }

    /// Changes settings.
    pub(crate) fn reconfigure(&self, change: Change) {
        let Change {
            queue,
            restart,
            recycle,
            measure,
        } = change;
        // What it replaces is the user's, and dropped after the locks.
        let before = restart
            .clone()
            .map(|policy| std::mem::replace(&mut *self.restart.lock(), policy));
        let mut state = self.state.lock();
        if let Some(queue) = queue {
            state.set_queue(queue);
            // A call that comes at this moment may count to no share.
            let is_fair = queue.order == Order::Fair;
            self.is_fair.store(is_fair, Ordering::Relaxed);
        }
        let mut policy = None;
        if let Some(restart) = restart {
            policy = Some(state.restart_by(restart));
        }
        if let Some(recycle) = recycle {
            state.recycle_by(recycle);
        }
        if let Some(measure) = measure {
            state.measure(measure);
        }
        drop(state);
        self.changed();
        // Their drops are the user's.
        let _dropped = catch(move || drop(before));
        let _dropped = catch(move || drop(policy));
    }

    pub(crate) fn new(setup: Setup) -> Self {
        let Setup {
            workers,
            lanes,
            queue,
            balance,
            restart,
            ..
        } = setup;
        let slots = workers.most;
        let strategy = match &balance {
            Balance::Custom(strategy) => Some(strategy.clone()),
            _ => None,
        };
        let mut state = Dispatch::new(slots, lanes, queue, balance);
        state.scale_by(workers);
        state.prefer_first(setup.preferred);
        state.measure(setup.measure);
        let mut monitor = setup.monitor;
        if setup.memory.is_some() {
            monitor.memory = Heap::Measured;
        }
        let traces = Arc::<Traces>::default();
        let methods = Methods::new(C::methods(), monitor, &traces);
        let books = |index| Arc::new(Books::new(&methods, WorkerId::new(index)));
        drop(state.restart_by(restart.clone()));
        state.recycle_by(setup.recycle);
        state.needs.watchdog = setup.health.stuck_after.is_some();
        if let Some(ends) = setup.quarantine {
            state.quarantine_after(ends);
        }
        Self {
            name: setup.name.into(),
            places: setup.lanes,
            grace: setup.grace,
            startup_timeout: setup.startup_timeout,
            restart: Mutex::new(restart),
            books: (0..).take(slots).map(books).collect(),
            methods,
            traces,
            measures_cpu: monitor.cpu == Cpu::Measured,
            isolates: Mutex::new((0..slots).map(|_| Vec::new()).collect()),
            signs: state.signs(),
            strategy,
            is_fair: AtomicBool::new(queue.order == Order::Fair),
            has_quarantine: setup.quarantine.is_some(),
            memory: setup.memory,
            measures_memory: monitor.memory == Heap::Measured,
            dropper: Dropper::new(setup.memory),
            stuck_after: setup.health.stuck_after,
            state: Mutex::new(state),
            hub: Hub::new(setup.observers),
            discards: setup.discards,
            baseline: Mutex::ranked(Baseline::new(), BASELINE),
            is_ending: AtomicBool::new(false),
            report: Mutex::new(None),
            entered: OnceLock::new(),
        }
    }

    /// Keeps the entry in the list of pools, until this is dropped.
    pub(crate) fn keep_entered(&self, entered: Entered) {
        // Set once, by the start.
        let _ = self.entered.set(entered);
    }

    pub(crate) fn signs(&self) -> &Signs {
        &self.signs
    }

    /// Ends the lane's call, if it is `done`, and gets the next; `None` when the loop has to end. Tells
    /// the time, if it had to be known for that; the caller has put it there if it knows it.
    pub(crate) fn poll_next(
        &self,
        at: Place,
        done: &mut Option<How>,
        time: &mut Option<Instant>,
    ) -> Poll<Option<Entry<C>>> {
        let mut state = self.state.lock();
        *time = match state.needs_time() {
            true => Some(time.take().unwrap_or_else(Instant::now)),
            false => None,
        };
        if let Some(now) = *time {
            state.look(now);
        }
        let finished = done.take().map(|how| state.finish(at, how));
        let next = state.next(at);
        let shed = state.take_shed();
        drop(state);
        for late in shed {
            self.refuse(late, Reject::Shed);
        }
        if let Some(finished) = finished {
            // Without the lock, since it may be the last reference to a request or an answer.
            drop(finished.handle);
            finished.returned.into_iter().for_each(wake_contained);
            if finished.is_due {
                self.changed();
            }
        }
        match next {
            Next::Run(entry, unpark) => {
                unpark.into_iter().for_each(wake_lane);
                Poll::Ready(Some(entry))
            }
            Next::Park(unpark) => {
                unpark.into_iter().for_each(wake_lane);
                Poll::Pending
            }
            Next::Close(actions) => {
                self.perform(actions);
                Poll::Ready(None)
            }
        }
    }

    /// A slice of a worker has ended, and calls wait.
    pub(crate) fn offer(&self, worker: usize) {
        let unpark = self.state.lock().offer(worker);
        unpark.into_iter().for_each(wake_lane);
    }

    /// A lane's call gives its place back. Gives the lane that the worker is to run beside it.
    pub(crate) fn give_back(&self, at: Place) -> Option<usize> {
        let (lane, actions) = self.state.lock().give_back(at);
        self.perform(actions);
        lane
    }

    pub(crate) fn poll_return(&self, at: Place, waker: Waker) -> Poll<()> {
        let (is_back, unused) = self.state.lock().poll_return(at, waker);
        drop(unused);
        if is_back {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    /// Carries out what the state machine decided, with no lock of the state held.
    fn perform(&self, actions: Actions<Entry<C>>) {
        let Actions {
            refuse,
            unpark,
            wake,
            discard,
            retired,
        } = actions;
        refuse
            .into_iter()
            .for_each(|(entry, why)| self.refuse(entry, why));
        unpark.into_iter().for_each(wake_lane);
        wake.into_iter().for_each(wake_contained);
        drop(discard);
        drop(retired);
    }

    /// A lane's loop begins: it is woken through `waker` from now on.
    pub(crate) fn enroll(&self, place: Place, waker: &Waker) {
        let waker = Arc::new(waker.clone());
        let old = self.state.lock().enroll(place, waker);
        drop(old);
    }

    /// A lane's loop is gone. Its waker would keep the isolate alive.
    pub(crate) fn dismiss(&self, place: Place, incarnation: u32) {
        let old = self.state.lock().dismiss(place, incarnation);
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
    async fn when<R>(&self, look: impl Fn(&Dispatch<Entry<C>>) -> Option<R>) -> R {
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

/// Wakes a lane, outside of the lock: a wake-up takes the lane of the worker's isolate.
fn wake_lane(lane: Unpark) {
    if let Some(waker) = lane.waker {
        // Not contained, as others are: it is the waker of a task of the runtime, and no foreign
        // code.
        waker.wake_by_ref();
    }
}

/// Waits for `future`, but not for longer than `time`.
pub(crate) async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    unless(sleep(time), future).await
}

/// Waits for `future`, but not beyond the end of `stop`.
pub(crate) async fn unless<F: Future>(
    stop: impl Future<Output = ()>,
    future: F,
) -> Option<F::Output> {
    let (mut future, mut stop) = (std::pin::pin!(future), std::pin::pin!(stop));
    poll_fn(|cx| {
        // First: an output that is there when the time is up counts.
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        stop.as_mut().poll(cx).map(|()| None)
    })
    .await
}

impl<C: Calls> fmt::Debug for Shared<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
