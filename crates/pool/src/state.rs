//! The pool as a pure state machine.
//!
//! [`State`] decides which call goes where. It owns every call that has not started, never
//! runs foreign code and never waits; its methods return what is to be done, and
//! [`Shared`](crate::shared::Shared) does that after it has released the lock around the state.
//!
//! A worker has as many *lanes* as it may run calls at once. A lane is a loop of the worker's
//! isolate that asks for a call, runs it, and asks again:
//!
//! ```text
//!            ┌────────── next call of the queue ───────────┐
//!            ▼                                             │
//!   Away ─► Running ──► (asks for more) ──► Parked ──► Handed ──► Running
//!                                              └──────► Closed
//! ```
//!
//! Invariants:
//! - a lane is `Parked` only while the queue is empty, so that a call never waits beside a
//!   worker with room, and the queue's order is the order of starting;
//! - a call is in exactly one place: the queue, a lane it was handed to, or running;
//! - only workers that are `Ready` have parked lanes; `idle` counts them all.

use std::sync::Arc;
use std::task::Waker;

use insula_rpc::{Reject, WorkerId};

use crate::config::{Balance, Overflow, Queue};
use crate::error::WorkerFault;
use crate::fifo::{Fifo, Key};

/// A call as the state machine sees it.
pub(crate) trait Job {
    /// The part of it that is kept while it runs.
    type Handle;
    fn handle(&self) -> Self::Handle;
}

pub(crate) struct State<J: Job> {
    queue: Fifo<J>,
    workers: Vec<Worker<J>>,
    /// Parked lanes of all workers.
    idle: usize,
    /// The worker at which the search for one with room begins.
    cursor: usize,
    phase: Phase,
    bound: usize,
    overflow: Overflow,
    balance: Balance,
    /// Calls that came, and those that were turned away.
    pub(crate) tally: Tally,
    /// Woken whenever a worker starts, fails or ends.
    watchers: Vec<Waker>,
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
    pub(crate) withdrawn: u64,
}

struct Worker<J: Job> {
    condition: Condition,
    incarnation: u32,
    lanes: Vec<Lane<J>>,
    /// The parked lanes, the one that parked last on top: its state is in the cache.
    parked: Vec<usize>,
    /// Lanes that are not closed.
    open: usize,
    /// Lanes with a call, handed or running.
    busy: usize,
    /// Waits for `open` to become 0.
    supervisor: Option<Waker>,
}

/// The condition of a worker.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// Its state is being built.
    Starting,
    /// It takes calls.
    Ready,
    /// A handler panicked: its other calls end, then its state is built again.
    Suspect,
    /// It ended because the pool ended.
    Ended,
    /// It is gone before its time.
    Lost(Arc<WorkerFault>),
}

enum Lane<J: Job> {
    /// The loop does not run.
    Closed,
    /// The loop has not asked yet.
    Away,
    /// The loop waits for a call.
    Parked,
    /// The loop was woken to fetch this call.
    Handed(J),
    /// The loop runs a call.
    Running(J::Handle),
}

/// A lane of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) worker: usize,
    pub(crate) lane: usize,
}

/// The actions that follow an event. The order is: refuse, wake, drop.
#[must_use]
pub(crate) struct Actions<J: Job> {
    pub(crate) refuse: Vec<(J, Reject)>,
    /// Lanes that have something to do.
    pub(crate) unpark: Vec<Place>,
    /// Those that wait for a change.
    pub(crate) wake: Vec<Waker>,
    pub(crate) discard: Vec<J::Handle>,
}

/// The result of submitting a call.
#[derive(Debug)]
#[must_use]
pub(crate) enum Submitted<J> {
    /// It was handed to this lane, which is to be woken.
    Handed(Place),
    /// It was queued.
    Queued(Key),
    /// It was queued, and another call was shed for it.
    QueuedFor(Key, J),
    /// It was turned away.
    Refused(J, Reject),
}

/// The next action of a lane.
#[derive(Debug)]
#[must_use]
pub(crate) enum Next<J> {
    Run(J),
    Park,
    /// The loop ends; wake the waiter for that.
    Close(Option<Waker>),
}

impl<J: Job> Actions<J> {
    fn none() -> Self {
        Self {
            refuse: Vec::new(),
            unpark: Vec::new(),
            wake: Vec::new(),
            discard: Vec::new(),
        }
    }
}

impl<J: Job> State<J> {
    pub(crate) fn new(workers: usize, lanes: usize, queue: Queue, balance: Balance) -> Self {
        let worker = || Worker {
            condition: Condition::Starting,
            incarnation: 0,
            lanes: (0..lanes).map(|_| Lane::Closed).collect(),
            parked: Vec::with_capacity(lanes),
            open: 0,
            busy: 0,
            supervisor: None,
        };
        Self {
            queue: Fifo::new(),
            workers: (0..workers).map(|_| worker()).collect(),
            idle: 0,
            cursor: 0,
            phase: Phase::Open,
            bound: queue.bound,
            overflow: queue.overflow,
            balance,
            tally: Tally::default(),
            watchers: Vec::new(),
        }
    }

    pub(crate) fn submit(&mut self, job: J, may_wait: bool) -> Submitted<J> {
        self.tally.submitted += 1;
        let is_full = self.queue.len() >= self.bound;
        let reject = if self.phase != Phase::Open {
            Reject::Shutdown
        } else if let Some(place) = self.pick() {
            self.hand(place, job);
            return Submitted::Handed(place);
        } else if !self.is_alive() {
            Reject::NoWorker
        } else if !is_full || (self.overflow == Overflow::Wait && may_wait) {
            return Submitted::Queued(self.queue.push_back(job));
        } else if self.overflow == Overflow::DropOldest
            && let Some(oldest) = self.queue.pop_front()
        {
            self.tally.shed += 1;
            return Submitted::QueuedFor(self.queue.push_back(job), oldest);
        } else if matches!(self.overflow, Overflow::DropNewest | Overflow::DropOldest) {
            Reject::Shed
        } else {
            Reject::QueueFull
        };
        self.count(reject);
        Submitted::Refused(job, reject)
    }

    /// Takes a call back whose caller has gone. `None` if it is no longer in the queue.
    pub(crate) fn withdraw(&mut self, key: Key) -> Option<J> {
        let job = self.queue.remove(key);
        self.tally.withdrawn += u64::from(job.is_some());
        job
    }

    /// A lane asks for a call. If it has to park, it is unparked once there is one.
    pub(crate) fn next(&mut self, at: Place) -> Next<J> {
        let worker = &mut self.workers[at.worker];
        let lane = &mut worker.lanes[at.lane];
        if matches!(lane, Lane::Handed(_))
            && let Lane::Handed(job) = std::mem::replace(lane, Lane::Away)
        {
            *lane = Lane::Running(job.handle());
            return Next::Run(job);
        }
        let takes_calls = matches!(worker.condition, Condition::Ready);
        if !takes_calls || self.phase == Phase::Closed {
            return self.close(at);
        }
        if let Some(job) = self.queue.pop_front() {
            worker.busy += 1;
            // A lane parks only while the queue is empty, and leaves that by being handed a
            // call; so this one was away.
            *lane = Lane::Running(job.handle());
            return Next::Run(job);
        }
        if self.phase == Phase::Draining {
            return self.close(at);
        }
        if !matches!(lane, Lane::Parked) {
            worker.parked.push(at.lane);
            self.idle += 1;
        }
        *lane = Lane::Parked;
        Next::Park
    }

    /// A lane's call has ended. Gives back its handle, to be dropped outside.
    pub(crate) fn finish(&mut self, at: Place) -> Option<J::Handle> {
        let worker = &mut self.workers[at.worker];
        let lane = &mut worker.lanes[at.lane];
        // Closed already, if the worker was given up while the call ran.
        if !matches!(lane, Lane::Running(_)) {
            return None;
        }
        worker.busy -= 1;
        match std::mem::replace(lane, Lane::Away) {
            Lane::Running(handle) => Some(handle),
            _ => None,
        }
    }

    /// A handler of this worker has panicked: no further call on this state.
    pub(crate) fn suspect(&mut self, worker: usize) -> Actions<J> {
        let mut actions = Actions::none();
        if matches!(self.workers[worker].condition, Condition::Ready) {
            self.workers[worker].condition = Condition::Suspect;
            self.dismiss(worker, &mut actions);
        }
        actions
    }

    /// A worker's state is built. `false` if the pool has ended meanwhile.
    pub(crate) fn ready(&mut self, worker: usize) -> (bool, Actions<J>) {
        let mut actions = Actions::none();
        let is_open = self.phase < Phase::Closed;
        let worker = &mut self.workers[worker];
        if is_open {
            worker.condition = Condition::Ready;
            worker.open = worker.lanes.len();
            worker.lanes.fill_with(|| Lane::Away);
        } else {
            worker.condition = Condition::Ended;
        }
        actions.wake.append(&mut self.watchers);
        (is_open, actions)
    }

    /// Returns whether all loops of this worker have ended; the supervisor is woken when they have.
    pub(crate) fn is_quiet(&mut self, worker: usize, supervisor: &Waker) -> bool {
        let worker = &mut self.workers[worker];
        if worker.open > 0 {
            worker.supervisor = Some(supervisor.clone());
        }
        worker.open == 0
    }

    /// All loops of a worker have ended: gives its next incarnation if it is to be rebuilt.
    pub(crate) fn rebuild(&mut self, worker: usize) -> (Option<u32>, Actions<J>) {
        let mut actions = Actions::none();
        let worker = &mut self.workers[worker];
        if self.phase == Phase::Open || (self.phase == Phase::Draining && !self.queue.is_empty()) {
            worker.condition = Condition::Starting;
            worker.incarnation += 1;
            return (Some(worker.incarnation), actions);
        }
        worker.condition = Condition::Ended;
        actions.wake.append(&mut self.watchers);
        (None, actions)
    }

    /// A worker is gone: its state could not be built, or its isolate ended. Does nothing
    /// if its end is known.
    pub(crate) fn lose(&mut self, worker: usize, fault: Arc<WorkerFault>) -> Actions<J> {
        let mut actions = Actions::none();
        let lost = &mut self.workers[worker];
        if matches!(lost.condition, Condition::Ended | Condition::Lost(_)) {
            return actions;
        }
        lost.condition = Condition::Lost(fault);
        self.dismiss(worker, &mut actions);
        let lost = &mut self.workers[worker];
        (lost.open, lost.busy) = (0, 0);
        for lane in &mut lost.lanes {
            if let Lane::Running(handle) = std::mem::replace(lane, Lane::Closed) {
                actions.discard.push(handle);
            }
        }
        if !self.is_alive() {
            self.refuse_queued(Reject::NoWorker, &mut actions);
        }
        actions.wake.append(&mut self.watchers);
        actions
    }

    /// Stops taking calls. `None` if that has happened before.
    pub(crate) fn drain(&mut self, rejects_queued: bool) -> Option<Actions<J>> {
        if self.phase != Phase::Open {
            return None;
        }
        let mut actions = Actions::none();
        self.phase = Phase::Draining;
        if rejects_queued {
            self.refuse_queued(Reject::Shutdown, &mut actions);
        }
        for worker in 0..self.workers.len() {
            self.unpark(worker, &mut actions);
        }
        Some(actions)
    }

    /// Starts nothing more and turns away what is queued.
    pub(crate) fn close_all(&mut self) -> Actions<J> {
        let mut actions = Actions::none();
        self.phase = Phase::Closed;
        for worker in 0..self.workers.len() {
            self.dismiss(worker, &mut actions);
        }
        self.refuse_queued(Reject::Shutdown, &mut actions);
        actions
    }

    /// The calls that run now, each with its worker.
    pub(crate) fn running(&self) -> Vec<(WorkerId, J::Handle)>
    where
        J::Handle: Clone,
    {
        let of_worker = |(index, worker): (usize, &Worker<J>)| {
            let running = worker.lanes.iter().filter_map(|lane| match lane {
                Lane::Running(handle) => Some((id(index), handle.clone())),
                _ => None,
            });
            running.collect::<Vec<_>>()
        };
        self.workers
            .iter()
            .enumerate()
            .flat_map(of_worker)
            .collect()
    }

    /// Has `waker` woken when a worker starts, fails or ends. Gives it back if it is known.
    pub(crate) fn watch(&mut self, waker: Waker) -> Option<Waker> {
        if self.watchers.iter().any(|known| known.will_wake(&waker)) {
            return Some(waker);
        }
        self.watchers.push(waker);
        None
    }

    pub(crate) fn take_watchers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.watchers)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// The calls in the queue, waiting ones included.
    pub(crate) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Each worker's condition, incarnation and running calls.
    pub(crate) fn workers(&self) -> impl Iterator<Item = (WorkerId, &Condition, u32, usize)> {
        self.workers.iter().enumerate().map(|(index, worker)| {
            (
                id(index),
                &worker.condition,
                worker.incarnation,
                worker.busy,
            )
        })
    }

    /// Returns whether every worker has ended, in whatever way.
    pub(crate) fn is_over(&self) -> bool {
        self.workers
            .iter()
            .all(|w| matches!(w.condition, Condition::Ended | Condition::Lost(_)))
    }

    fn is_alive(&self) -> bool {
        !self.is_over()
    }

    fn count(&mut self, reject: Reject) {
        match reject {
            Reject::Shed => self.tally.shed += 1,
            _ => self.tally.rejected += 1,
        }
    }

    /// A parked lane, by the rule of balance.
    fn pick(&mut self) -> Option<Place> {
        if self.idle == 0 {
            return None;
        }
        let count = self.workers.len();
        let turn = (0..count).map(|step| (self.cursor + step) % count);
        let mut open = turn.filter(|&index| !self.workers[index].parked.is_empty());
        let worker = match self.balance {
            Balance::RoundRobin => open.next(),
            // The first of several minima, hence in turn among equals.
            Balance::LeastLoaded => open.min_by_key(|&index| self.workers[index].busy),
        }?;
        self.cursor = worker + 1;
        let lane = *self.workers[worker].parked.last()?;
        Some(Place { worker, lane })
    }

    /// Gives a call to the lane that [`pick`](Self::pick) found.
    fn hand(&mut self, at: Place, job: J) {
        let worker = &mut self.workers[at.worker];
        worker.parked.pop();
        worker.busy += 1;
        self.idle -= 1;
        worker.lanes[at.lane] = Lane::Handed(job);
    }

    /// Ends a lane's loop.
    fn close(&mut self, at: Place) -> Next<J> {
        let worker = &mut self.workers[at.worker];
        if let Some(index) = worker.parked.iter().position(|&lane| lane == at.lane) {
            worker.parked.remove(index);
            self.idle -= 1;
        }
        if !matches!(
            std::mem::replace(&mut worker.lanes[at.lane], Lane::Closed),
            Lane::Closed
        ) {
            worker.open -= 1;
        }
        Next::Close(if worker.open == 0 {
            worker.supervisor.take()
        } else {
            None
        })
    }

    /// Unparks the lanes of a worker, which will find that they are to close.
    fn unpark(&mut self, index: usize, actions: &mut Actions<J>) {
        let worker = &mut self.workers[index];
        self.idle -= worker.parked.len();
        for lane in worker.parked.drain(..) {
            worker.lanes[lane] = Lane::Away;
            actions.unpark.push(Place {
                worker: index,
                lane,
            });
        }
    }

    /// Takes back the calls that were handed to a worker and wakes its parked lanes.
    fn dismiss(&mut self, worker: usize, actions: &mut Actions<J>) {
        self.unpark(worker, actions);
        for lane in (0..self.workers[worker].lanes.len()).rev() {
            let place = &mut self.workers[worker].lanes[lane];
            if !matches!(place, Lane::Handed(_)) {
                continue;
            }
            if let Lane::Handed(job) = std::mem::replace(place, Lane::Away) {
                self.workers[worker].busy -= 1;
                match self.pick() {
                    Some(other) => {
                        self.hand(other, job);
                        actions.unpark.push(other);
                    }
                    // They were about to start, so they come before whatever waits.
                    None => _ = self.queue.push_front(job),
                }
            }
        }
    }

    fn refuse_queued(&mut self, why: Reject, actions: &mut Actions<J>) {
        for job in self.queue.take_all() {
            self.count(why);
            actions.refuse.push((job, why));
        }
    }
}

fn id(index: usize) -> WorkerId {
    WorkerId::new(index as u32)
}

#[cfg(test)]
mod tests;
