//! The dispatch of a pool as a pure state machine.
//!
//! [`Dispatch`] decides which call goes where. It owns every call that has not started, never
//! runs foreign code and never waits; its methods return what is to be done, and
//! [`Shared`](crate::shared::Shared) does that after it has released the lock around the state.
//!
//! # Pull
//! A call is never handed to a worker. It waits in a queue, and a lane is woken, which takes the
//! front of the queue once it runs. The lane that asks first takes the call, so a call for which
//! one worker was woken does not wait for it if another one is free earlier, and calls start in the
//! order of their submission.
//!
//! # Places and lanes
//! A worker has as many *places* as calls it may run at once. Each call that runs has one. A *lane*
//! is a loop of the worker's isolate that asks for a call, runs it, and asks again:
//!
//! ```text
//!   Away ──► (asks) ──► Parked ──► Woken ──► (asks)
//!               │
//!               ▼            give back           place free
//!            Running ───────────────────► Absent ◄──────► Returning ──► Running
//!               │
//!               └──► Away
//! ```
//!
//! A call whose stream waits for its reader gives its place back: it is absent, and keeps its lane.
//! So that the place can be used, the worker opens one more lane, and closes one once it has too
//! many. A stream that goes on needs a place again, and comes before any call that has not started.
//!
//! # Room
//! A worker has room if a place is free, a lane is parked, and its isolate is not *inside* a slice.
//! Inside is where a worker computes, in a handler or in whatever else its isolate runs, or where a
//! handler blocks: a lane that is woken there comes to nothing until it is over. The flag is set
//! around each slice of the isolate. When a slice ends, the dispatch is asked whether calls wait
//! ([`offer`](Dispatch::offer)); a submission first queues the call and then looks at the flag. Both
//! write before they read, in one total order, so at least one of the two sees the other.
//!
//! # Invariants
//! - a call is in exactly one place: a queue, or running;
//! - no call waits beside a worker with room;
//! - `busy` counts the lanes that are running, and is at most the number of places;
//! - the lanes of a worker that are neither absent nor closed are at most as many as its places,
//!   from when the surplus ones have asked.

mod admission;
mod bucket;
mod bytes;
mod choice;
mod codel;
mod fair;
mod fence;
mod health;
mod homes;
mod order;
mod pace;
mod pick;
mod poison;
mod pull;
mod reconfigure;
mod reload;
mod signs;
mod states;
mod streams;
mod worker;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Waker;

use insula_core::Instant;
use insula_rpc::{How, Priority, Reject, Share, WorkType, WorkerId};

pub(crate) use self::admission::Submitted;
use self::bucket::Bucket;
use self::bytes::Bytes;
use self::choice::Choice;
use self::codel::Codel;
use self::fair::Fair;
use self::fence::Fence;
use self::pace::Pace;
use self::poison::Quarantine;
pub(crate) use self::signs::Signs;
pub(crate) use self::worker::Condition;
use self::worker::{Doing, Supply, Worker};
use crate::balance::Balance;
use crate::config::{Deadlines, Measure, Order, Overflow, Queue};
use crate::error::WorkerFault;
use crate::lifecycle::{Recycle, Restart, Start, Starts};
use crate::observe::outbox::Outbox;
use crate::queues::{Key, Queues};
use crate::size::{Scale, Workers};

/// A call as the dispatch sees it.
pub(crate) trait Job {
    /// The part of it that is kept while it runs.
    type Handle;
    fn handle(&self) -> Self::Handle;
    /// The time after which it need not start.
    fn deadline(&self) -> Option<Instant>;
    /// What it is pinned to.
    fn pin(&self) -> Option<Target>;
    /// What its work needs most.
    fn work(&self) -> WorkType;
    /// Its priority, which does not count if it is pinned.
    fn priority(&self) -> Priority;
    /// The share that it counts to, if the queue is fair to shares.
    fn share(&self) -> Option<Share>;
    /// The time at which it came, if that is needed.
    fn came_at(&self) -> Option<Instant>;
    /// The bytes of its request. Always the same.
    fn bytes(&self) -> u64;
    /// A number for the piece of work that it is, if calls that end workers are held back.
    fn identity(&self) -> Option<u64>;
}

/// What a call is pinned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The worker that calls with this key go to.
    Key(u64),
    /// This worker, and no other.
    Worker(usize),
}

pub(crate) struct Dispatch<J: Job> {
    /// The common queue, after it one for each worker, of calls that are pinned to it, and at last
    /// those of calls with high and with low priority.
    queues: Queues<J>,
    /// A call of high or low priority has come. Until then the last two queues are not looked at.
    has_ranks: bool,
    /// `Some` if the queue is fair to shares.
    fair: Option<Box<Fair>>,
    /// The queued calls that have a deadline.
    deadlines: BTreeSet<(Instant, Key)>,
    workers: Vec<Worker<J>>,
    /// Parked lanes of all workers.
    idle: usize,
    /// Woken lanes of all workers.
    woken: usize,
    /// The worker at which the search for one with room begins.
    cursor: usize,
    phase: Phase,
    bound: usize,
    bytes: Bytes,
    rate: Option<Bucket>,
    /// The state of each queue, if calls are shed that have waited too long; empty otherwise.
    codel: Vec<Codel>,
    /// The time of the last look.
    looked_at: Option<Instant>,
    /// `Some` if calls are turned away whose deadlines would pass in the queue.
    pace: Option<Pace>,
    /// `Some` if calls are held back that end their workers.
    quarantine: Option<Quarantine>,
    /// The reason for which the last reload was given up.
    reload_fault: Option<(usize, Arc<WorkerFault>)>,
    /// Calls that were shed since the last look.
    shed: Vec<J>,
    overflow: Overflow,
    choice: Choice,
    /// The workers with room, at the last choice. Kept for its memory.
    candidates: Vec<usize>,
    measure: Measure,
    /// What is to be measured once there is no trace any more, if there is one: meanwhile `measure`
    /// is all.
    untraced: Option<Measure>,
    /// Calls since the last one that is timed.
    unmeasured: u32,
    signs: Arc<Signs>,
    /// Calls that came, and those that were turned away.
    pub(crate) tally: Tally,
    /// Queued calls that the end of the pool has rejected.
    turned_away: u64,
    /// Woken whenever a worker starts, fails or ends.
    watchers: Vec<Waker>,
    restart: Restart,
    recycle: Recycle,
    starts: Starts,
    pub(crate) needs: Needs,
    /// What has to begin before a pinned call is taken.
    fences: Vec<Fence>,
    /// Calls with keys may be in the common queue, since there was no worker to pin them to.
    has_homeless: bool,
    scale: Scale,
    /// The events of workers that are to be told.
    outbox: Outbox,
}

/// What the options of a pool need beside the usual.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Needs {
    /// Calls are timed for the sake of decisions.
    times: bool,
    /// The policy of recycling has a limit.
    recycling: bool,
    /// Isolates may be given up while they run.
    pub(crate) watchdog: bool,
}

/// The fate of a worker whose end is reported.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fate {
    Lost,
    /// The policy may have it start again. It ends now.
    ByPolicy(Instant),
}

/// The next step of the supervisor.
pub(crate) enum Step<J: Job> {
    Start(Start),
    /// A worker was retired. Ask again.
    Retired(Actions<J>),
    WaitUntil(Instant),
    Wait,
    /// The pool is over.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Calls are taken.
    Open,
    /// No more calls are taken; those that are here are finished.
    Draining,
    /// Nothing starts any more.
    Closed,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) submitted: u64,
    pub(crate) rejected: u64,
    pub(crate) shed: u64,
    /// Calls whose caller has gone while they were queued.
    pub(crate) withdrawn: u64,
    /// Calls whose deadline has passed while they were queued.
    pub(crate) expired: u64,
    /// Calls that were given up with their worker.
    pub(crate) died: u64,
    /// Workers that were given up.
    pub(crate) stuck: u64,
}

/// A lane of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) worker: usize,
    pub(crate) lane: usize,
}

/// A lane that is to be woken.
#[derive(Debug)]
pub(crate) struct Unpark {
    #[cfg_attr(not(test), expect(dead_code, reason = "tests look at it"))]
    pub(crate) at: Place,
    pub(crate) waker: Option<Arc<Waker>>,
}

/// The actions that follow an event. The order is: refuse, wake, drop.
#[must_use]
pub(crate) struct Actions<J: Job> {
    pub(crate) refuse: Vec<(J, Reject)>,
    /// Lanes that have something to do.
    pub(crate) unpark: Vec<Unpark>,
    /// Those that wait for a change, and calls that have their place again.
    pub(crate) wake: Vec<Waker>,
    pub(crate) discard: Vec<J::Handle>,
    /// Wakers of lanes that have closed. The drop of one may post to its isolate.
    pub(crate) retired: Vec<Arc<Waker>>,
}

/// A call that has ended in the queue.
#[must_use]
pub(crate) struct Withdrawn<J> {
    pub(crate) job: J,
    pub(crate) has_expired: bool,
    /// Those that wait for the end of a pool that drains: a worker that was to start for this call
    /// is not needed any more.
    pub(crate) wake: Vec<Waker>,
    /// Lanes of such a pool that have nothing to wait for any more.
    pub(crate) unpark: Vec<Unpark>,
}

/// The results of the end of a call.
#[must_use]
pub(crate) struct Finished<J: Job> {
    /// To be dropped outside of the lock.
    pub(crate) handle: Option<J::Handle>,
    /// A stream that has its place now.
    pub(crate) returned: Option<Waker>,
    /// The supervisor has to look at the worker.
    pub(crate) is_due: bool,
}

/// The next action of a lane.
#[must_use]
pub(crate) enum Next<J: Job> {
    /// Run the call, and wake another worker's lane for the next one.
    Run(J, Option<Unpark>),
    /// Wait, and wake another worker's lane for a call that this one has no place for.
    Park(Option<Unpark>),
    /// The loop ends; wake the waiters for that, and other lanes that may have to end too.
    Close(Actions<J>),
}

impl<J: Job> Actions<J> {
    fn none() -> Self {
        Self {
            refuse: Vec::new(),
            unpark: Vec::new(),
            wake: Vec::new(),
            discard: Vec::new(),
            retired: Vec::new(),
        }
    }
}

impl<J: Job> Dispatch<J> {
    pub(crate) fn new(workers: usize, places: usize, queue: Queue, balance: Balance) -> Self {
        Self {
            queues: Queues::new(workers + 3),
            has_ranks: false,
            fair: fair(queue.order),
            deadlines: BTreeSet::new(),
            workers: (0..workers).map(|_| Worker::new(places)).collect(),
            idle: 0,
            woken: 0,
            cursor: 0,
            phase: Phase::Open,
            bound: queue.bound,
            bytes: Bytes::new(queue.bytes),
            rate: queue.rate.map(Bucket::new),
            codel: queue.codel.map_or_else(Vec::new, |(target, interval)| {
                vec![Codel::new(target, interval); workers + 3]
            }),
            looked_at: None,
            quarantine: None,
            reload_fault: None,
            shed: Vec::new(),
            overflow: queue.overflow,
            pace: (queue.deadlines == Deadlines::Respected).then(Pace::default),
            needs: Needs {
                times: balance.needs_times() || queue.deadlines == Deadlines::Respected,
                ..Needs::default()
            },
            choice: Choice::new(balance),
            candidates: Vec::new(),
            measure: Measure::default(),
            untraced: None,
            unmeasured: 0,
            signs: Signs::new(workers),
            tally: Tally::default(),
            turned_away: 0,
            watchers: Vec::new(),
            restart: Restart::default(),
            recycle: Recycle::default(),
            starts: Starts::default(),
            fences: Vec::new(),
            has_homeless: false,
            scale: Scale::new(Workers::from(workers)),
            outbox: Outbox::default(),
        }
    }

    /// Sets the number of workers. The pool has a slot for each of the most.
    pub(crate) fn scale_by(&mut self, workers: Workers) {
        self.scale = Scale::new(workers);
        self.workers[workers.least..]
            .iter_mut()
            .for_each(Worker::leave_out);
    }

    /// Sets the workers, from the first, that are woken for a call before all others.
    pub(crate) fn prefer_first(&mut self, workers: usize) {
        self.choice.preferred = workers;
    }

    /// Sets the policy, and returns the one before, which is the user's.
    pub(crate) fn restart_by(&mut self, policy: Restart) -> Restart {
        std::mem::replace(&mut self.restart, policy)
    }

    pub(crate) fn recycle_by(&mut self, policy: Recycle) {
        self.needs.recycling = policy != Recycle::default();
        self.recycle = policy;
    }

    /// Holds calls back after so many ends of workers.
    pub(crate) fn quarantine_after(&mut self, ends: u32) {
        self.quarantine = Some(Quarantine::new(ends));
    }

    pub(crate) fn clear_quarantine(&mut self) {
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.clear_all();
        }
    }

    pub(crate) fn signs(&self) -> Arc<Signs> {
        Arc::clone(&self.signs)
    }

    pub(crate) fn measure(&mut self, measure: Measure) {
        match &mut self.untraced {
            Some(untraced) => *untraced = measure,
            None => self.measure = measure,
        }
    }

    /// Sets whether there is a trace, which needs the times of all calls.
    pub(crate) fn trace(&mut self, is_traced: bool) {
        match (is_traced, self.untraced) {
            (true, None) => {
                self.untraced = Some(std::mem::replace(&mut self.measure, Measure::All));
            }
            (false, Some(measure)) => {
                self.measure = measure;
                self.untraced = None;
            }
            _ => {}
        }
    }

    /// Returns whether the call that comes now is timed.
    pub(crate) fn takes_sample(&mut self) -> bool {
        match self.measure {
            Measure::Off => false,
            Measure::All => true,
            Measure::OneIn(n) => {
                // The first of each `n` and not the last, so that a pool with few calls has a
                // sample too.
                let is_first = self.unmeasured == 0;
                let next = self.unmeasured + 1;
                self.unmeasured = if next >= n { 0 } else { next };
                is_first
            }
        }
    }

    /// Takes a call back that has ended in the queue. `None` if it is no longer there. `now` is asked
    /// for the time if that can make a difference.
    pub(crate) fn withdraw(
        &mut self,
        key: Key,
        has_expired: bool,
        now: impl FnOnce() -> Instant,
    ) -> Option<Withdrawn<J>> {
        let job = self.queues.remove(key)?;
        self.left(&job, key);
        // The deadline came first, though its caller has gone by now.
        let has_expired = has_expired || job.deadline().is_some_and(|it| it <= now());
        if has_expired {
            self.tally.expired += 1;
        } else {
            self.tally.withdrawn += 1;
        }
        let (mut wake, mut unpark) = (Vec::new(), Vec::new());
        if self.phase != Phase::Open {
            wake = self.take_watchers();
            let mut actions = Actions::none();
            self.unpark_idle(&mut actions);
            unpark = actions.unpark;
        }
        Some(Withdrawn {
            job,
            has_expired,
            wake,
            unpark,
        })
    }

    /// A lane asks for a call. If it has to park, it is woken once there may be one.
    pub(crate) fn next(&mut self, at: Place) -> Next<J> {
        let phase = self.phase;
        let worker = &mut self.workers[at.worker];
        worker.discharge(at.lane);
        let lane = &mut worker.lanes[at.lane];
        // It runs, whatever it was doing before.
        match lane.doing {
            Doing::Woken => {
                worker.woken -= 1;
                self.woken -= 1;
                self.bytes.settle(lane);
                lane.doing = Doing::Away;
            }
            // Woken by something else.
            Doing::Parked => {
                if let Some(index) = worker.parked.iter().rposition(|&lane| lane == at.lane) {
                    worker.parked.remove(index);
                    self.idle -= 1;
                }
                lane.doing = Doing::Away;
            }
            _ => {}
        }
        let is_current = lane.incarnation == worker.incarnation;
        let takes_calls = worker.takes_calls() && phase < Phase::Closed;
        let is_surplus = worker.active() > worker.places;
        if !takes_calls || !is_current || is_surplus {
            return self.close(at);
        }
        // A stream that came back may have the place for which this lane was woken.
        if worker.busy < worker.places
            && worker.may_start()
            && let Some(job) = self.take(at.worker)
        {
            let worker = &mut self.workers[at.worker];
            worker.busy += 1;
            worker.charge(at.lane, job.work());
            let lane = &mut worker.lanes[at.lane];
            lane.doing = Doing::Running(job.handle());
            let incarnation = lane.incarnation;
            lane.began = self.looked_at.filter(|_| self.needs.times);
            if self.quarantine.is_some() {
                lane.identity = job.identity();
            }
            if job.pin().is_some() {
                self.took_pinned(at.worker, incarnation);
            }
            self.recount(at.worker);
            return Next::Run(job, self.spread());
        }
        if phase == Phase::Draining && !self.has_call_for(at.worker) {
            return self.close(at);
        }
        // A stream of an earlier state may have the last place, and the call for which this lane was
        // woken goes to another worker.
        let unpark = self.spread();
        let worker = &mut self.workers[at.worker];
        worker.lanes[at.lane].doing = Doing::Parked;
        worker.parked.push(at.lane);
        self.idle += 1;
        Next::Park(unpark)
    }

    /// Returns whether calls are shed that have waited too long, so that the time is needed when a
    /// call comes.
    pub(crate) fn has_codel(&self) -> bool {
        !self.codel.is_empty()
    }

    /// Returns whether the time is needed when a lane asks.
    pub(crate) fn needs_time(&self) -> bool {
        self.needs.times || self.has_codel()
    }

    /// Sets the time of the question or the call that follows.
    pub(crate) fn look(&mut self, now: Instant) {
        self.looked_at = Some(now);
    }

    /// The calls that the last question has shed.
    pub(crate) fn take_shed(&mut self) -> Vec<J> {
        std::mem::take(&mut self.shed)
    }

    /// A lane's call has ended.
    pub(crate) fn finish(&mut self, at: Place, how: How) -> Finished<J> {
        let is_closed = self.phase == Phase::Closed;
        let worker = &mut self.workers[at.worker];
        worker.discharge(at.lane);
        if self.observes_calls() {
            self.observe(at, how);
        }
        let worker = &mut self.workers[at.worker];
        let doing = &mut worker.lanes[at.lane].doing;
        let mut finished = Finished {
            handle: None,
            returned: None,
            is_due: false,
        };
        // Closed already, if the worker was given up while the call ran.
        match std::mem::replace(doing, Doing::Away) {
            Doing::Running(handle) => {
                worker.busy -= 1;
                if self.needs.recycling && worker.is_current(at.lane) {
                    worker.calls += 1;
                    let has_failed = matches!(how, How::Failed | How::Panicked);
                    worker.errors += u64::from(has_failed);
                    finished.is_due = self.recycle.is_due_now(&worker.wear(), has_failed);
                }
                finished.handle = Some(handle);
                finished.returned = worker.admit(is_closed);
            }
            other => *doing = other,
        }
        self.recount(at.worker);
        finished
    }

    /// Returns whether something depends on how single calls go.
    fn observes_calls(&self) -> bool {
        self.needs.times || self.quarantine.is_some()
    }

    /// A lane's call has ended.
    #[cold]
    fn observe(&mut self, at: Place, how: How) {
        let worker = &mut self.workers[at.worker];
        let is_current = worker.is_current(at.lane);
        let lane = &mut worker.lanes[at.lane];
        // What an earlier state does says nothing of this one.
        if let Some((began, now)) = lane.began.take().zip(self.looked_at)
            && self.needs.times
            && is_current
        {
            let time = now.saturating_duration_since(began);
            worker.load.took(time, now);
            let has_failed = matches!(how, How::Failed | How::Panicked);
            worker.load.ended(has_failed);
            if let Some(pace) = &mut self.pace {
                pace.record(time);
            }
        }
        if let Some(quarantine) = &mut self.quarantine
            && let Some(identity) = worker.lanes[at.lane].identity.take()
        {
            match how {
                How::Panicked => quarantine.blame(identity),
                _ => quarantine.clear(identity),
            }
        }
    }

    /// The number of calls that a worker runs may have changed.
    fn recount(&mut self, worker: usize) {
        // A pool of a fixed size needs no such counts, and pays for none.
        if !self.scale.is_range() {
            return;
        }
        let worker = &mut self.workers[worker];
        let is_active = worker.busy > 0;
        match (
            std::mem::replace(&mut worker.is_active, is_active),
            is_active,
        ) {
            (false, true) => self.scale.begin(),
            (true, false) => self.scale.end(),
            _ => {}
        }
    }

    /// A lane's loop runs: it is woken through `waker` from now on.
    pub(crate) fn enroll(&mut self, at: Place, waker: Arc<Waker>) -> Option<Arc<Waker>> {
        self.workers[at.worker].lanes[at.lane].waker.replace(waker)
    }

    /// Stops taking calls. `None` if that has happened before.
    pub(crate) fn drain(&mut self, rejects_queued: bool) -> Option<Actions<J>> {
        if self.phase != Phase::Open {
            return None;
        }
        let mut actions = Actions::none();
        self.phase = Phase::Draining;
        // No new services are built for it any more.
        for worker in &mut self.workers {
            worker.memory = Supply::Enough;
        }
        // Without a worker, nothing starts one for them any more.
        if rejects_queued || !self.is_alive() {
            self.refuse_queued(Reject::Shutdown, &mut actions);
        }
        self.unpark_everyone(&mut actions);
        // States that are built, to take the places of others, are not needed any more.
        actions.wake.append(&mut self.watchers);
        Some(actions)
    }

    /// Turns away what is queued, in a pool that takes no more calls.
    pub(crate) fn reject_queued(&mut self) -> Actions<J> {
        let mut actions = Actions::none();
        if self.phase == Phase::Draining {
            self.refuse_queued(Reject::Shutdown, &mut actions);
            // Lanes that wait for their turn may have none any more.
            self.unpark_everyone(&mut actions);
        }
        actions
    }

    /// Starts nothing more and turns away what is queued.
    pub(crate) fn close_all(&mut self) -> Actions<J> {
        let mut actions = Actions::none();
        self.phase = Phase::Closed;
        self.refuse_queued(Reject::Shutdown, &mut actions);
        self.unpark_everyone(&mut actions);
        // Workers whose states are being built wait for this.
        actions.wake.append(&mut self.watchers);
        for worker in &mut self.workers {
            // With or without a place for them: a stream has to go on in order to end.
            while let Some(waker) = worker.admit(true) {
                actions.wake.push(waker);
            }
        }
        actions
    }

    /// Wakes all parked lanes, which will find that they are to close, and the isolates of states
    /// that may have no lanes left.
    fn unpark_everyone(&mut self, actions: &mut Actions<J>) {
        for worker in 0..self.workers.len() {
            self.unpark_all(worker, actions);
            let states = self.workers[worker].states.iter_mut();
            let waiting = states.filter_map(|state| state.waiting.take());
            actions.wake.extend(waiting);
        }
    }

    /// Wakes the parked lanes of workers for which no call waits, of a pool that drains: they are to
    /// close, whatever they have been parked for.
    fn unpark_idle(&mut self, actions: &mut Actions<J>) {
        for worker in 0..self.workers.len() {
            if !self.has_call_for(worker) {
                self.unpark_all(worker, actions);
            }
        }
    }

    /// The calls that run now, each with its worker, and whether it is a stream that waits.
    pub(crate) fn in_flight(&self) -> Vec<(WorkerId, J::Handle, bool)>
    where
        J::Handle: Clone,
    {
        let lanes = |(index, worker): (usize, &Worker<J>)| {
            let lanes = worker.lanes.iter();
            let calls = lanes.filter_map(move |lane| match &lane.doing {
                Doing::Running(call) | Doing::Returning(call, _) => Some((call.clone(), false)),
                Doing::Absent(call) => Some((call.clone(), true)),
                _ => None,
            });
            calls
                .map(|(call, waits)| (id(index), call, waits))
                .collect::<Vec<_>>()
        };
        self.workers.iter().enumerate().flat_map(lanes).collect()
    }

    /// The first calls of the queues, in no order, and at most so many.
    pub(crate) fn waiting_calls(&self, most: usize) -> Vec<J::Handle> {
        let calls = self.queues.values().take(most);
        calls.map(Job::handle).collect()
    }

    /// The calls that run now, streams among them, each with its worker.
    pub(crate) fn running(&self) -> Vec<(WorkerId, J::Handle)>
    where
        J::Handle: Clone,
    {
        let mut running = Vec::new();
        for (index, worker) in self.workers.iter().enumerate() {
            for lane in &worker.lanes {
                if let Doing::Running(handle)
                | Doing::Absent(handle)
                | Doing::Returning(handle, _) = &lane.doing
                {
                    running.push((id(index), handle.clone()));
                }
            }
        }
        running
    }

    /// Has `waker` woken when a worker starts, fails or ends. Gives it back if it is known.
    pub(crate) fn watch(&mut self, waker: Waker) -> Option<Waker> {
        // A future that is polled again leaves one waker here, and not one for each poll.
        if self.watchers.iter().any(|known| known.will_wake(&waker)) {
            return Some(waker);
        }
        self.watchers.push(waker);
        None
    }

    pub(crate) fn take_watchers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.watchers)
    }

    /// The phase; a pool whose workers have all ended after it was drained is closed.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase {
            Phase::Draining if self.is_over() => Phase::Closed,
            phase => phase,
        }
    }

    /// The calls that wait to be started, those for which there is no room included.
    pub(crate) fn queued(&self) -> usize {
        self.queues.len()
    }

    /// Each worker's condition, incarnation and running calls, streams that wait for their readers
    /// not among them.
    pub(crate) fn workers(&self) -> impl Iterator<Item = (WorkerId, &Condition, u32, usize)> {
        self.workers.iter().enumerate().map(|(index, worker)| {
            // One that waits to start, which a pool that ends does not need, has ended.
            let is_over = self.starts.has(index) && !self.is_rebuilt(index);
            (
                id(index),
                if is_over {
                    &Condition::Ended
                } else {
                    &worker.condition
                },
                worker.incarnation,
                worker.busy,
            )
        })
    }

    /// Returns the number of queued calls that the end of the pool has rejected.
    pub(crate) fn turned_away(&self) -> u64 {
        self.turned_away
    }

    /// Returns whether every worker has ended, in whatever way, and with it all its streams. One
    /// that waits to start again, for no call, has ended too.
    pub(crate) fn is_over(&self) -> bool {
        let is_over = |(index, worker): (usize, &Worker<J>)| {
            worker.is_over()
                || (worker.open == 0
                    && worker.successor.is_none()
                    && self.starts.has(index)
                    && !self.is_rebuilt(index))
        };
        self.workers.iter().enumerate().all(is_over)
    }

    /// Returns whether a worker is there, or will be.
    pub(crate) fn is_alive(&self) -> bool {
        self.workers.iter().any(|worker| !worker.is_gone()) || self.has_reserve()
    }

    fn count(&mut self, reject: Reject) {
        match reject {
            Reject::Shed => self.tally.shed += 1,
            _ => self.tally.rejected += 1,
        }
    }

    fn close(&mut self, at: Place) -> Next<J> {
        let is_rebuilt = self.is_rebuilt(at.worker);
        let worker = &mut self.workers[at.worker];
        let doing = &mut worker.lanes[at.lane].doing;
        // Closed before it asked, if its worker was lost or its state's isolate ended: then it was
        // taken out of the numbers there.
        if !matches!(std::mem::replace(doing, Doing::Closed), Doing::Closed) {
            worker.closed(at.lane, false);
        }
        let mut actions = Actions::none();
        // Now, since another lane may have this one's place before its loop is gone.
        let waker = worker.lanes[at.lane].waker.take();
        actions.retired.extend(waker);
        let incarnation = worker.lanes[at.lane].incarnation;
        actions.wake.extend(worker.quieted(incarnation, is_rebuilt));
        if worker.is_over() {
            actions.wake.append(&mut self.watchers);
        }
        // It may have been woken for a call, and come to nothing because a stream has its place.
        actions.unpark.extend(self.spread());
        // One that was parked for want of a place has one now, or nothing to wait for any more.
        if self.phase == Phase::Draining {
            self.unpark_all(at.worker, &mut actions);
            self.unpark_idle(&mut actions);
        }
        Next::Close(actions)
    }

    /// A lane's loop is gone, perhaps with its isolate. Its waker would keep the isolate alive.
    pub(crate) fn dismiss(&mut self, at: Place, incarnation: u32) -> Option<Arc<Waker>> {
        let lane = &mut self.workers[at.worker].lanes[at.lane];
        // The place of a lane whose isolate has ended may be that of a lane of the next state.
        if lane.incarnation != incarnation {
            return None;
        }
        lane.waker.take()
    }
}

fn fair(order: Order) -> Option<Box<Fair>> {
    (order == Order::Fair).then(Box::default)
}

fn id(index: usize) -> WorkerId {
    WorkerId::new(index as u32)
}

#[cfg(test)]
mod tests;
