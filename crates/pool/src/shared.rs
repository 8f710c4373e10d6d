//! The part that callers, workers and the pool's handle share: the state behind its lock, and the
//! one place where its decisions are carried out.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{self, Poll, Waker};
use std::time::Duration;

use insula_core::{Instant, IsolateId, Sleep, sleep, sleep_until, wake_contained};
use insula_rpc::{
    Admission, CallInfo, Calls, CancelledBy, Endpoint, How, Priority, Refusal, Reject, Signal,
    Ticket, WorkType, WorkerExit, WorkerId,
};
use insula_sync::{Mutex, Rank};

use crate::balance::{Balance, Strategy};
use crate::config::{Change, Cpu, Heap, Measure, Monitor, Queue};
use crate::error::{BuildError, ReloadError, WorkerFault};
use crate::queues::Key;
use crate::size::Workers;

use crate::dispatch::{
    Actions, Condition, Dispatch, Fate, Job, Next, Phase, Place, Signs, Step, Submitted, Target,
    Unpark,
};
use crate::health::{Health, Readiness, Resident, SetReadiness};
use crate::lifecycle::{Directive, Recycle, Restart, Start};
use crate::memory::{CallMemory, Dropper, Memory};
use crate::observe::cpu::CpuMeter;
use crate::observe::discards::{DiscardReason, Discarded, Discards};
use crate::observe::hub::{Hub, Observers};
use crate::observe::report::{Baseline, PerformanceReport};
use crate::pool::ShutdownReport;
use crate::stats::books::{Books, Methods, Totals};
use crate::stats::{PoolPhase, PoolStats, PoolStatus, WorkerCondition, WorkerMemory, WorkerStatus};

pub(crate) struct Shared<C: Calls> {
    pub(crate) name: Arc<str>,
    /// The time that a cancelled handler may go on.
    pub(crate) grace: Duration,
    pub(crate) startup_timeout: Duration,
    /// Locked alone.
    restart: Mutex<Restart>,
    /// One per worker.
    pub(crate) books: Vec<Arc<Books>>,
    methods: Arc<Methods>,
    /// One per worker; none if their time is not measured.
    pub(crate) cpu: Vec<Arc<CpuMeter>>,
    state: Mutex<Dispatch<Entry<C>>>,
    signs: Arc<Signs>,
    /// The user's policy, if there is one.
    strategy: Option<Strategy>,
    /// The isolates of each worker: that of its present state last, and before it those of earlier
    /// states that still have streams. Locked alone.
    isolates: Mutex<Vec<Vec<Resident>>>,
    /// Calls that end workers are held back, so that their identities are needed.
    has_quarantine: bool,
    /// The limit of each worker.
    pub(crate) memory: Option<Memory>,
    /// Memory is measured.
    pub(crate) measures_memory: bool,
    pub(crate) dropper: Dropper,
    /// Workers are watched.
    pub(crate) has_watchdog: bool,
    /// Is told what happens to workers.
    pub(crate) hub: Arc<Hub>,
    discards: Discards,
    /// From which the next report counts. Held while the counts are read, so that two reports at
    /// once do not share them.
    baseline: Mutex<Baseline>,
    /// Written once, at the end. Locked alone.
    pub(crate) report: Mutex<Option<ShutdownReport>>,
}

/// A call in the pool.
#[derive(Debug)]
pub(crate) struct Entry<C> {
    pub(crate) call: C,
    /// The time at which it came, if it is timed.
    pub(crate) queued_at: Option<Instant>,
    pub(crate) pin: Option<Target>,
    priority: Priority,
    work: WorkType,
    /// What few pools need to know of their calls.
    rare: Option<Box<Rare>>,
}

#[derive(Debug)]
struct Rare {
    /// The time at which it came, if the queue sheds calls that wait too long.
    came_at: Option<Instant>,
    /// The piece of work that it is, if calls are held back.
    identity: Option<u64>,
}

type Handle = Option<Arc<dyn Signal>>;

const BASELINE: Rank = Rank::new(40, "the baseline of a pool's reports");

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
        self.rare.as_ref()?.came_at
    }

    fn bytes(&self) -> u64 {
        self.call.pending().request_bytes()
    }

    fn identity(&self) -> Option<u64> {
        self.rare.as_ref()?.identity
    }
}

/// The settings that the shared part keeps.
pub(crate) struct Setup {
    pub(crate) name: String,
    pub(crate) workers: Workers,
    pub(crate) lanes: usize,
    pub(crate) queue: Queue,
    pub(crate) balance: Balance,
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
        let identities: Vec<_> = match self.has_quarantine {
            true => calls.iter().map(|call| self.identity(call)).collect(),
            false => Vec::new(),
        };
        let mut identities = identities.into_iter();
        let mut state = self.state.lock();
        let submit = |call| {
            let identity = identities.next().flatten();
            submit_to(&mut state, call, info, (pin, identity))
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
/// which calls of a full queue have expired.
fn submit_to<C: Calls>(
    state: &mut Dispatch<Entry<C>>,
    call: C,
    info: CallInfo,
    (pin, identity): (Option<Target>, Option<u64>),
) -> Submitted<Entry<C>> {
    let entry = Entry {
        call,
        queued_at: state.takes_sample().then(Instant::now),
        pin,
        priority: info.priority,
        work: info.work,
        rare: rare(state.has_codel(), identity),
    };
    state.submit(entry, info.admission == Admission::Policy, Instant::now)
}

fn rare(has_codel: bool, identity: Option<u64>) -> Option<Box<Rare>> {
    // Nearly always nothing: a call is moved several times, and is to be small.
    (has_codel || identity.is_some()).then(|| {
        let came_at = has_codel.then(Instant::now);
        Box::new(Rare { came_at, identity })
    })
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
        let identity = self.identity(&call);
        let submitted = submit_to(&mut self.state.lock(), call, info, (pin, identity));
        self.follow(submitted)
    }

    fn identity(&self, call: &C) -> Option<u64> {
        if !self.has_quarantine {
            return None;
        }
        call.pending().identity()
    }

    /// Asks the user's policy for the worker of the next call.
    fn ask(&self, strategy: &Strategy, work: WorkType) {
        let now = Instant::now();
        let candidates = self.state.lock().candidates(now);
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
        self.discards.tell(|| {
            let (contract, descriptor) = C::methods()[method];
            Discarded {
                contract,
                method: descriptor.name,
                why,
            }
        });
    }

    /// A state of a worker has its isolate.
    pub(crate) fn move_in(&self, worker: usize, resident: Resident) {
        self.isolates.lock()[worker].push(resident);
    }

    /// The isolates of all states.
    pub(crate) fn residents(&self) -> Vec<(WorkerId, Resident)> {
        let isolates = self.isolates.lock();
        let of_workers = isolates.iter().zip(0..);
        of_workers
            .flat_map(|(of_one, worker)| {
                let residents = of_one.iter().cloned();
                residents.map(move |it| (WorkerId::new(worker), it))
            })
            .collect()
    }

    /// The calls that a state of a worker runs.
    pub(crate) fn running_on(&self, worker: usize, incarnation: u32) -> Vec<Arc<dyn Signal>> {
        let running = self.state.lock().running_on(worker, incarnation);
        running.into_iter().flatten().collect()
    }

    /// A state of a worker is stuck, and its calls have ended.
    pub(crate) fn stuck(&self, worker: usize, incarnation: u32) {
        let actions = self.state.lock().leave_behind(worker, incarnation);
        self.perform(actions);
        self.end(worker, incarnation, WorkerFault::Stuck);
        // An earlier state, which had streams only, is no worker that could start again.
        let actions = self.state.lock().give_up_state(worker, incarnation);
        self.perform(actions);
    }

    /// Ends a call that runs, and counts it as one that has died with its worker.
    pub(crate) fn abandon(&self, worker: WorkerId, signal: &dyn Signal) {
        // The lock of the state is taken under that of a call, and never the other way round. Counted
        // before the caller can see it, as any other end.
        signal.abandon(worker, WorkerExit::Abandoned, &mut || {
            self.state.lock().tally.died += 1;
        });
    }

    /// A call that is pinned has begun on a lane of a worker.
    pub(crate) fn began(&self, worker: usize, incarnation: u32) {
        let actions = if self.has_watchdog {
            self.state.lock().began(worker, incarnation)
        } else if self.signs.begin(worker) {
            self.state.lock().pass_fences()
        } else {
            return;
        };
        self.perform(actions);
    }

    /// Sets whether a state of a worker serves.
    fn set_serving(&self, worker: usize, incarnation: u32, is_serving: bool) {
        let mut state = self.state.lock();
        let actions = state.set_serving(worker, incarnation, is_serving);
        drop(state);
        self.perform(actions);
        self.tell();
    }

    /// The readiness of a state of a worker, for its services.
    pub(crate) fn readiness(self: &Arc<Self>, worker: usize, incarnation: u32) -> Readiness {
        Readiness(Arc::new(ReadinessOf {
            shared: Arc::downgrade(self),
            worker,
            incarnation,
        }))
    }

    pub(crate) fn clear_quarantine(&self) {
        self.state.lock().clear_quarantine();
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
        drop((before, policy));
        self.changed();
    }

    /// Replaces the services of all workers.
    pub(crate) async fn reload(&self) -> Result<(), ReloadError> {
        self.state.lock().reload();
        self.changed();
        self.when(Dispatch::reloaded).await
    }

    /// The isolate of a state ends. Nothing of it is kept here.
    pub(crate) fn move_out(&self, worker: usize, isolate: IsolateId) {
        let mut isolates = self.isolates.lock();
        let of_one = &mut isolates[worker];
        let index = of_one.iter().position(|it| it.isolate.id() == isolate);
        let gone = index.map(|index| of_one.remove(index));
        drop(isolates);
        drop(gone);
    }

    /// Kills the isolates of all workers.
    pub(crate) fn kill_all(&self) {
        // A copy, because an isolate that ends takes this lock when it moves out.
        for (_, resident) in self.residents() {
            resident.isolate.kill();
        }
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
        state.measure(setup.measure);
        let metered = match setup.monitor.cpu {
            Cpu::Measured => slots,
            Cpu::Unknown => 0,
        };
        let heap = match setup.memory {
            Some(_) => Heap::Measured,
            None => setup.monitor.memory,
        };
        let methods = Methods::new(C::methods(), heap);
        let books = || Arc::new(Books::new(&methods));
        drop(state.restart_by(restart.clone()));
        state.recycle_by(setup.recycle);
        state.is_watched = setup.health.stuck_after.is_some();
        if let Some(ends) = setup.quarantine {
            state.quarantine_after(ends);
        }
        Self {
            name: setup.name.into(),
            grace: setup.grace,
            startup_timeout: setup.startup_timeout,
            restart: Mutex::new(restart),
            books: (0..slots).map(|_| books()).collect(),
            methods,
            cpu: (0..metered).map(|_| Arc::default()).collect(),
            isolates: Mutex::new((0..slots).map(|_| Vec::new()).collect()),
            signs: state.signs(),
            strategy,
            has_quarantine: setup.quarantine.is_some(),
            memory: setup.memory,
            measures_memory: heap == Heap::Measured,
            dropper: Dropper::new(setup.memory),
            has_watchdog: setup.health.stuck_after.is_some(),
            state: Mutex::new(state),
            hub: Hub::new(setup.observers),
            discards: setup.discards,
            baseline: Mutex::ranked(Baseline::new(), BASELINE),
            report: Mutex::new(None),
        }
    }

    pub(crate) fn signs(&self) -> &Signs {
        &self.signs
    }

    /// Ends the lane's call, if it is `done`, and gets the next; `None` when the loop has to end.
    pub(crate) fn poll_next(&self, at: Place, done: &mut Option<How>) -> Poll<Option<Entry<C>>> {
        let mut state = self.state.lock();
        if state.needs_time() {
            state.look(Instant::now());
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

    /// A lane's call gives its place back. `true` if the worker is to run one more lane.
    pub(crate) fn give_back(&self, at: Place) -> bool {
        let (needs_lane, actions) = self.state.lock().give_back(at);
        self.perform(actions);
        needs_lane
    }

    pub(crate) fn open_lane(&self, worker: usize) -> usize {
        self.state.lock().open_lane(worker)
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

    pub(crate) fn suspect(&self, worker: usize, incarnation: u32) {
        let actions = self.state.lock().suspect(worker, incarnation);
        self.perform(actions);
        self.tell();
    }

    /// The lanes that a worker is to run, now that its state is built.
    pub(crate) fn ready(&self, worker: usize, incarnation: u32) -> Option<Vec<usize>> {
        let now = Instant::now();
        let (lanes, actions) = self.state.lock().ready(worker, incarnation, now);
        self.perform(actions);
        self.tell();
        lanes
    }

    /// Waits until all loops of a state have ended.
    pub(crate) async fn quiet(&self, worker: usize, incarnation: u32) {
        poll_fn(|cx| {
            // Cloned before the lock is taken, and what it replaces is dropped after.
            let waker = cx.waker().clone();
            let (is_quiet, unused) = self.state.lock().is_quiet(worker, incarnation, waker);
            drop(unused);
            if is_quiet {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    pub(crate) fn rebuild(&self, worker: usize, incarnation: u32) -> Option<u32> {
        let (next, actions) = self.state.lock().rebuild(worker, incarnation);
        self.perform(actions);
        self.tell();
        next
    }

    /// A state of a worker has ended, or could not be built. The policy has the worker start again,
    /// or it is lost.
    pub(crate) fn end(&self, worker: usize, incarnation: u32, fault: WorkerFault) {
        // First, so that nothing is decided about a worker that ends with its pool.
        if self.state.lock().is_ended(worker, incarnation) {
            return;
        }
        // The user's code, and so asked without the lock.
        let policy = self.restart.lock().clone();
        let fate = match policy.directive(&fault) {
            Directive::Restart => Fate::ByPolicy(Instant::now()),
            Directive::Stop => Fate::Lost,
        };
        self.lose_as(worker, incarnation, fault, fate);
    }

    /// A state of a worker has ended, or could not be built, and the worker is lost.
    pub(crate) fn lose(&self, worker: usize, incarnation: u32, fault: WorkerFault) {
        self.lose_as(worker, incarnation, fault, Fate::Lost);
    }

    fn lose_as(&self, worker: usize, incarnation: u32, fault: WorkerFault, fate: Fate) {
        let fault = Arc::new(fault);
        let actions = self.state.lock().lose(worker, incarnation, &fault, fate);
        self.perform(actions);
        self.tell();
    }

    /// Waits for a worker that is to start; `None` once the pool is over.
    pub(crate) async fn next_start(&self) -> Option<Start> {
        let mut timer = None::<Pin<Box<Sleep>>>;
        poll_fn(|cx| {
            loop {
                // Before the lock is taken: the waker may be of any executor.
                let (waker, now) = (cx.waker().clone(), Instant::now());
                let mut state = self.state.lock();
                let step = state.supervise(now);
                let old = match step {
                    Step::Wait | Step::WaitUntil(_) => state.watch(waker),
                    Step::Start(_) | Step::Retired(_) | Step::End => None,
                };
                drop(state);
                drop(old);
                // Starts that a closed pool has given up may have been its last ones.
                self.tell();
                match step {
                    Step::Start(start) => return Poll::Ready(Some(start)),
                    Step::Retired(actions) => {
                        // Then asked again, without a wait.
                        self.perform(actions);
                        self.tell();
                    }
                    Step::End => return Poll::Ready(None),
                    Step::Wait => return Poll::Pending,
                    Step::WaitUntil(at) => {
                        let timer = timer.insert(Box::pin(sleep_until(at)));
                        task::ready!(timer.as_mut().poll(cx));
                    }
                }
            }
        })
        .await
    }

    /// The workers that are not gone.
    pub(crate) fn present(&self) -> Vec<WorkerId> {
        let state = self.state.lock();
        let workers = state.workers();
        let present = workers.filter(|(_, condition, ..)| condition.is_present());
        present.map(|(id, ..)| id).collect()
    }

    /// The most workers that the pool may have.
    pub(crate) fn slots(&self) -> usize {
        self.books.len()
    }

    /// Sets the number of workers.
    pub(crate) fn resize(&self, workers: usize) {
        self.state.lock().resize(workers);
        self.changed();
    }

    /// Nothing starts workers any more.
    pub(crate) fn orphan(&self) {
        let actions = self.state.lock().orphan();
        self.perform(actions);
        self.tell();
    }

    /// The isolate of a state of a worker has ended.
    pub(crate) fn bury(&self, worker: usize, incarnation: u32) {
        let actions = self.state.lock().bury(worker, incarnation);
        self.perform(actions);
        self.tell();
    }

    /// The isolate of a state of a worker is about to be spawned.
    pub(crate) fn spawning(&self, start: Start) {
        let Start {
            worker,
            incarnation,
        } = start;
        self.state.lock().spawning(worker, incarnation);
        self.tell();
    }

    /// Tells what has happened to workers, unless another thread does.
    fn tell(&self) {
        let mut batch = self.state.lock().events();
        while let Some(events) = batch {
            self.hub.tell(events);
            batch = self.state.lock().more_events();
        }
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

    /// Waits until nothing of the pool runs any more, or its shutdown has come to its end.
    pub(crate) async fn over(&self) {
        let all = self.when(|state| state.is_over().then_some(()));
        let shut_down = async {
            self.report().await;
        };
        unless(shut_down, all).await;
    }

    /// Reports what has happened since the call before.
    pub(crate) fn performance(&self) -> PerformanceReport {
        // Before the lock, since it makes texts of the errors of factories.
        let status = self.status();
        self.baseline.lock().report(self, status)
    }

    /// Waits until a state that is being built is not needed any more.
    pub(crate) async fn unneeded(&self, worker: usize, incarnation: u32) {
        self.when(|state| state.is_unneeded(worker, incarnation).then_some(()))
            .await;
    }

    /// The first worker that has not become ready.
    pub(crate) fn first_starting(&self) -> Option<WorkerId> {
        let state = self.state.lock();
        let mut workers = state.workers();
        workers
            .find(|(_, condition, ..)| matches!(condition, Condition::Starting))
            .map(|w| w.0)
    }

    /// Stops taking calls. `false` if that has happened before.
    pub(crate) fn drain(&self, rejects_queued: bool) -> bool {
        let Some(actions) = self.state.lock().drain(rejects_queued) else {
            return false;
        };
        self.perform(actions);
        true
    }

    /// Turns away what is queued and asks what runs to stop.
    pub(crate) fn stop_all(&self) {
        let mut state = self.state.lock();
        let actions = state.close_all();
        // Under the same lock as the end: no call starts in between and is missed.
        let running = state.running();
        drop(state);
        self.perform(actions);
        running
            .into_iter()
            .filter_map(|(_, handle)| handle)
            .for_each(|signal| signal.ask_to_stop(CancelledBy::Shutdown));
    }

    /// Ends the calls that still run, and gives their workers up.
    pub(crate) fn abandon_all(&self) {
        let running = self.state.lock().running();
        let abandoned = running
            .into_iter()
            .filter_map(|(worker, handle)| Some((worker, handle?)));
        for (worker, signal) in abandoned {
            self.abandon(worker, &*signal);
        }
        for worker in 0..self.books.len() {
            let incarnation = self.state.lock().incarnation(worker);
            self.lose(worker, incarnation, WorkerFault::Stuck);
            // A worker that was lost before may still run calls on an earlier state.
            let actions = self.state.lock().give_up(worker);
            self.perform(actions);
        }
    }

    /// Returns the number of queued calls that the end of the pool has turned away.
    pub(crate) fn turned_away(&self) -> u64 {
        self.state.lock().turned_away()
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

    /// The memory of each worker, by its index; empty if it is not measured.
    fn worker_memory(&self) -> Vec<Option<WorkerMemory>> {
        if !self.measures_memory {
            return Vec::new();
        }
        let isolates = self.isolates.lock();
        let present = isolates.iter().map(|of_one| of_one.last());
        present
            .map(|it| {
                let meter = &it?.memory.as_ref()?.meter;
                let (held, peak) = (meter.held()?, meter.peak()?);
                Some(WorkerMemory { held, peak })
            })
            .collect()
    }

    /// A call of a method has ended that has allocated this.
    pub(crate) fn add_memory(&self, method: usize, call: &CallMemory) {
        self.methods.add_memory(method, call);
    }

    /// A state of a worker is so short of memory: from 0 to 1.
    pub(crate) fn set_pressure(&self, worker: usize, incarnation: u32, pressure: f64) {
        self.state
            .lock()
            .set_pressure(worker, incarnation, pressure);
    }

    /// A state of a worker holds all the memory that it may: it takes no more calls, and gets a
    /// successor.
    pub(crate) fn exhaust(&self, worker: usize, incarnation: u32) {
        let actions = self.state.lock().exhaust(worker, incarnation);
        self.perform(actions);
        self.changed();
    }

    pub(crate) fn stats(&self) -> PoolStats {
        // The ends first: read the other way round, more calls might have ended than had come.
        let totals = self.totals();
        let tally = self.state.lock().tally;
        let memory = self.worker_memory();
        let books = self.books.iter().zip(0..);
        let workers: Vec<_> = books
            .map(|(books, index)| {
                let meter = self.cpu.get(index as usize);
                let memory = memory.get(index as usize).copied().flatten();
                let cpu_time = meter.and_then(|it| it.time());
                books.snapshot(WorkerId::new(index), cpu_time, memory)
            })
            .collect();
        PoolStats {
            // Not zero but unknown, if it is not measured.
            cpu_time: workers.iter().map(|worker| worker.cpu_time).sum(),
            submitted: tally.submitted,
            answered: totals.count(How::Answered),
            failed: totals.count(How::Failed),
            panicked: totals.count(How::Panicked),
            cancelled: totals.count(How::Cancelled) + tally.withdrawn,
            expired: totals.count(How::Expired) + tally.expired,
            died: totals.count(How::Died) + tally.died,
            rejected: tally.rejected,
            shed: tally.shed,
            stuck: tally.stuck,
            late: totals.late(),
            traffic: totals.traffic(),
            queue_wait: totals.queue_wait(),
            run_time: totals.run_time(),
            latency: totals.latency(),
            workers,
            methods: self.methods.snapshot(&self.books),
        }
    }

    pub(crate) fn status(&self) -> PoolStatus {
        let state = self.state.lock();
        let (phase, depth, is_alive) = (state.phase(), state.queued(), state.is_alive());
        let bound = state.bound();
        // The texts of faults are foreign code, so they are made outside of the lock.
        let workers: Vec<_> = state
            .workers()
            .map(|(id, condition, i, busy)| (id, condition.clone(), i, busy))
            .collect();
        drop(state);
        let mut conditions = workers.iter().map(|worker| &worker.1);
        let is_whole = !conditions.any(|it| matches!(it, Condition::Lost(_)));
        PoolStatus {
            name: self.name.to_string(),
            phase: match phase {
                Phase::Open if is_whole => PoolPhase::Serving,
                Phase::Open if is_alive => PoolPhase::Degraded,
                Phase::Open => PoolPhase::Failed,
                Phase::Draining => PoolPhase::Draining,
                Phase::Closed => PoolPhase::Closed,
            },
            queued: depth.min(bound),
            waiting: depth.saturating_sub(bound),
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

/// The readiness of one state of a worker.
struct ReadinessOf<C: Calls> {
    /// The services, which may keep this, are kept by the pool.
    shared: Weak<Shared<C>>,
    worker: usize,
    incarnation: u32,
}

impl<C: Calls> SetReadiness for ReadinessOf<C> {
    fn set(&self, is_serving: bool) {
        if let Some(shared) = self.shared.upgrade() {
            shared.set_serving(self.worker, self.incarnation, is_serving);
        }
    }
}

impl From<Condition> for WorkerCondition {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Starting => Self::Starting,
            Condition::Ready => Self::Ready,
            Condition::Suspect => Self::Suspect,
            Condition::Retired => Self::Retired,
            Condition::Ended => Self::Ended,
            Condition::Lost(fault) => Self::Lost(fault.to_string()),
        }
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
