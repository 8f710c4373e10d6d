//! The states of the workers: when one is built, suspect, built again, or gone.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use insula_core::Instant;
use insula_rpc::Reject;

use super::homes::Homes;
use super::worker::{Condition, Doing, Supply, Worker};
use super::{Actions, Dispatch, Fate, Job, Phase, Step, Target};
use crate::error::WorkerFault;
use crate::lifecycle::Start;
use crate::observe::events::{WorkerChange, WorkerEnd};
use crate::observe::outbox::Batch;
use crate::size::Waiting;

/// The consequences of the end of a worker's present state.
#[derive(Clone, Copy)]
enum After {
    /// The state of this incarnation, which is being built already.
    Successor(u32),
    /// Another one, at a time.
    Restart {
        at: Instant,
        delay: Duration,
    },
    Nothing,
}

impl<J: Job> Dispatch<J> {
    /// The isolate of a state of a worker is about to be spawned. One [`bury`](Self::bury) follows
    /// for it.
    pub(crate) fn spawning(&mut self, worker: usize, incarnation: u32) {
        self.outbox.spawning(worker, incarnation);
    }

    /// Something has happened to the present state of a worker.
    pub(super) fn happened(&mut self, worker: usize, change: WorkerChange) {
        let incarnation = self.workers[worker].incarnation;
        self.outbox.push(worker, incarnation, change);
    }

    /// The events that the calling thread has to tell before it asks for
    /// [`more`](Self::more_events). `None` if there are none, or another thread is telling.
    pub(crate) fn events(&mut self) -> Option<Batch> {
        let is_over = self.has_no_more_events();
        self.outbox.begin(is_over)
    }

    /// The events that came while the calling thread told others.
    pub(crate) fn more_events(&mut self) -> Option<Batch> {
        let is_over = self.has_no_more_events();
        self.outbox.more(is_over)
    }

    fn has_no_more_events(&self) -> bool {
        self.outbox.is_quiet() && !self.is_alive()
    }

    /// A handler of a state has panicked: no further call on it.
    pub(crate) fn suspect(&mut self, worker: usize, incarnation: u32) -> Actions<J> {
        let mut actions = Actions::none();
        let of_one = &self.workers[worker];
        // The services of an earlier state, which takes no more calls, are not those of this one.
        if of_one.takes_calls() && of_one.incarnation == incarnation {
            self.workers[worker].condition = Condition::Suspect;
            self.happened(worker, WorkerChange::Suspect);
            self.unpark_all(worker, &mut actions);
            // It may have been woken for a call that another one can take now.
            actions.unpark.extend(self.spread());
        }
        actions
    }

    /// A state of a worker is built. Gives the lanes that it is to run; `None` if it is not needed
    /// any more.
    ///
    /// One that was built beside another takes the worker over here: the lanes of the other one
    /// close when they ask next, and its calls come to their end.
    pub(crate) fn ready(
        &mut self,
        worker: usize,
        incarnation: u32,
        now: Instant,
    ) -> (Option<Vec<usize>>, Actions<J>) {
        let mut actions = Actions::none();
        let (phase, of_one) = (self.phase, &mut self.workers[worker]);
        actions.wake.append(&mut self.watchers);
        if of_one.successor == Some(incarnation) {
            of_one.successor = None;
            // A pool that drains does with the state that it has.
            if phase != Phase::Open || of_one.is_gone() {
                return (None, actions);
            }
            let earlier = of_one.incarnation;
            self.outbox.decide(worker, earlier, WorkerEnd::Recycled);
            self.unpark_all(worker, &mut actions);
            self.workers[worker].succeed(incarnation);
            self.put_up_fences();
        } else if of_one.is_gone() || of_one.incarnation != incarnation {
            return (None, actions);
        } else if phase == Phase::Closed {
            of_one.condition = Condition::Ended;
            return (None, actions);
        }
        self.happened(worker, WorkerChange::Ready);
        if std::mem::take(&mut self.workers[worker].is_joining) {
            self.rehome(&mut actions);
        }
        if !self.workers[worker].is_serving(incarnation) {
            // Its factory has said so.
            self.happened(worker, WorkerChange::NotServing);
        }
        let of_one = &mut self.workers[worker];
        of_one.condition = Condition::Ready;
        (of_one.ready_at, of_one.recycled_from) = (Some(now), Some(now));
        of_one.draw = self.choice.draw();
        let lanes = (0..of_one.places).map(|_| of_one.open()).collect();
        (Some(lanes), actions)
    }

    /// Returns whether the lanes of a state have ended, as far as its isolate waits for that; it is
    /// woken when they have.
    pub(crate) fn is_quiet(
        &mut self,
        worker: usize,
        incarnation: u32,
        waiting: Waker,
    ) -> (bool, Option<Waker>) {
        let is_rebuilt = self.is_rebuilt(worker);
        let worker = &mut self.workers[worker];
        if worker.is_quiet(incarnation, is_rebuilt) {
            return (true, Some(waiting));
        }
        match worker.state(incarnation) {
            Some(state) => (false, state.waiting.replace(waiting)),
            None => (true, Some(waiting)),
        }
    }

    /// Returns whether a worker whose lanes have closed is built again.
    pub(super) fn is_rebuilt(&self, worker: usize) -> bool {
        self.phase == Phase::Open || (self.phase == Phase::Draining && self.has_call_for(worker))
    }

    /// All loops of a state have ended: gives the next incarnation if its isolate is to start that.
    pub(crate) fn rebuild(&mut self, worker: usize, incarnation: u32) -> (Option<u32>, Actions<J>) {
        let mut actions = Actions::none();
        if self.is_ended(worker, incarnation) {
            return (None, actions);
        }
        if !self.is_rebuilt(worker) {
            self.workers[worker].condition = Condition::Ended;
            actions.wake.append(&mut self.watchers);
            return (None, actions);
        }
        self.happened(worker, WorkerChange::Rebuilding);
        self.outbox.decide(worker, incarnation, WorkerEnd::Replaced);
        let worker = &mut self.workers[worker];
        worker.condition = Condition::Starting;
        match worker.successor.take() {
            // It is being built already.
            Some(next) => {
                worker.succeed(next);
                (None, actions)
            }
            None => {
                let next = worker.next_incarnation();
                worker.succeed(next);
                (Some(worker.incarnation), actions)
            }
        }
    }

    /// The worker that is to be recycled next, and when. One at a time, so that the workers of a pool
    /// do not all need twice the memory.
    fn next_recycled(&self) -> Option<(Instant, usize)> {
        let is_building = self.workers.iter().any(|it| it.successor.is_some());
        if is_building || self.phase != Phase::Open {
            return None;
        }
        let workers = self.workers.iter().enumerate();
        let due = workers.filter_map(|(worker, it)| Some((it.recycled_at(&self.recycle)?, worker)));
        due.min()
    }

    /// The next state of a worker is to be built beside its present one, whose place it takes.
    pub(super) fn recycle(&mut self, worker: usize) -> Start {
        let of_one = &mut self.workers[worker];
        let incarnation = of_one.next_incarnation();
        of_one.successor = Some(incarnation);
        if of_one.memory == Supply::Short {
            of_one.memory = Supply::Exhausted;
        }
        Start {
            worker,
            incarnation,
        }
    }

    /// The state of a worker could not be built, or its isolate has ended. Does nothing if its end
    /// is known, or if the worker has another state by now.
    ///
    /// Its earlier states have isolates of their own, so their streams go on; see
    /// [`bury`](Self::bury). The fault stays with the caller, whose last reference it may be: it is
    /// the user's.
    pub(crate) fn lose(
        &mut self,
        worker: usize,
        incarnation: u32,
        fault: &Arc<WorkerFault>,
        fate: Fate,
    ) -> Actions<J> {
        let mut actions = Actions::none();
        if self.workers[worker].successor == Some(incarnation) {
            self.lose_successor(worker, fault, fate);
            actions.wake.append(&mut self.watchers);
            return actions;
        }
        if self.is_ended(worker, incarnation) {
            return actions;
        }
        self.blame(worker, incarnation);
        let after = self.after(worker, fate);
        self.tell_end(worker, fault, after);
        self.workers[worker].condition = match after {
            After::Nothing => Condition::Lost(Arc::clone(fault)),
            After::Successor(_) | After::Restart { .. } => Condition::Starting,
        };
        // Before they are forgotten: a loop that still runs has to ask once more, and then ends.
        self.unpark_all(worker, &mut actions);
        self.forget_lanes(worker, incarnation, &mut actions);
        let of_one = &mut self.workers[worker];
        match after {
            After::Nothing => self.lost(&mut actions),
            // It takes the worker over once it is built.
            After::Successor(next) => {
                of_one.succeed(next);
                actions.unpark.extend(self.spread());
                actions.wake.append(&mut self.watchers);
            }
            After::Restart { at, .. } => {
                let incarnation = of_one.next_incarnation();
                of_one.succeed(incarnation);
                let start = Start {
                    worker,
                    incarnation,
                };
                self.starts.add(at, start);
                // It may have been woken for a call that another one can take now.
                actions.unpark.extend(self.spread());
                actions.wake.append(&mut self.watchers);
            }
        }
        actions
    }

    /// The state that was to take the place of the present one could not be built. The present one
    /// goes on, and gets another successor later.
    fn lose_successor(&mut self, worker: usize, fault: &Arc<WorkerFault>, fate: Fate) {
        let of_one = &mut self.workers[worker];
        let lost = of_one.successor.take();
        // It is better than nothing, and tried again later.
        if of_one.memory == Supply::Exhausted {
            of_one.memory = Supply::Short;
        }
        let next = match fate {
            // Without a limit on their number, which is one on the ends of workers.
            Fate::ByPolicy(now) => {
                let delay = self
                    .restart
                    .delay_after(of_one.failures, self.choice.draw());
                of_one.failures = of_one.failures.saturating_add(1);
                Some((now + delay, delay))
            }
            Fate::Lost => None,
        };
        of_one.recycled_from = next.map(|(at, _)| at);
        // One that is not built because the pool ends is no failure.
        if let Some(incarnation) = lost
            && self.phase == Phase::Open
        {
            self.give_up_reload(worker, fault);
            let change = WorkerChange::NotRecycled {
                fault: Arc::clone(fault),
                delay: next.map(|(_, delay)| delay),
            };
            self.outbox.push(worker, incarnation, change);
            let why = WorkerEnd::Fault(Arc::clone(fault));
            self.outbox.decide(worker, incarnation, why);
        }
    }

    /// The calls that a state ran are suspected of its end.
    fn blame(&mut self, worker: usize, incarnation: u32) {
        let Some(quarantine) = &mut self.quarantine else {
            return;
        };
        let lanes = self.workers[worker].lanes.iter_mut();
        let running = lanes.filter(|lane| {
            let is_running = matches!(
                lane.doing,
                Doing::Running(_) | Doing::Absent(_) | Doing::Returning(..)
            );
            is_running && lane.incarnation == incarnation
        });
        running
            .filter_map(|lane| lane.identity.take())
            .for_each(|identity| quarantine.blame(identity));
    }

    /// Decides what follows the end of a worker's present state.
    fn after(&mut self, worker: usize, fate: Fate) -> After {
        let of_one = &mut self.workers[worker];
        if let Some(next) = of_one.successor.take() {
            return After::Successor(next);
        }
        let Fate::ByPolicy(now) = fate else {
            return After::Nothing;
        };
        if self.starts.is_orphaned() || !self.is_rebuilt(worker) {
            return After::Nothing;
        }
        let draw = self.choice.draw();
        match self.workers[worker].restarts.next(&self.restart, now, draw) {
            Some(delay) => After::Restart {
                at: now + delay,
                delay,
            },
            None => After::Nothing,
        }
    }

    /// The present state of a worker has ended, or could not be built.
    fn tell_end(&mut self, worker: usize, fault: &Arc<WorkerFault>, after: After) {
        // One whose state was not built when the pool closed is no loss.
        if self.phase == Phase::Closed
            && matches!(**fault, WorkerFault::Ended | WorkerFault::GivenUp(_))
        {
            return;
        }
        let incarnation = self.workers[worker].incarnation;
        let why = WorkerEnd::Fault(Arc::clone(fault));
        self.outbox.decide(worker, incarnation, why);
        let fault = Arc::clone(fault);
        let change = match after {
            After::Nothing => WorkerChange::Lost { fault },
            After::Restart { delay, .. } => WorkerChange::Restarting { fault, delay },
            After::Successor(_) => WorkerChange::Restarting {
                fault,
                delay: Duration::ZERO,
            },
        };
        self.happened(worker, change);
    }

    /// Returns whether the end of this state of a worker is known, or changes nothing.
    pub(crate) fn is_ended(&self, worker: usize, incarnation: u32) -> bool {
        let worker = &self.workers[worker];
        let is_known = worker.is_gone() || worker.incarnation != incarnation;
        is_known && worker.successor != Some(incarnation)
    }

    /// Returns whether a state that is being built is not needed any more.
    pub(crate) fn is_unneeded(&self, worker: usize, incarnation: u32) -> bool {
        let of_one = &self.workers[worker];
        let is_successor = of_one.successor == Some(incarnation);
        let is_stale = !is_successor && of_one.incarnation != incarnation;
        let is_unneeded = self.phase() == Phase::Closed || of_one.is_gone() || is_stale;
        is_unneeded || (is_successor && self.phase != Phase::Open)
    }

    pub(crate) fn incarnation(&self, worker: usize) -> u32 {
        self.workers[worker].incarnation
    }

    /// A worker is lost or retired: its queued calls go to other workers, or back to their callers.
    fn lost(&mut self, actions: &mut Actions<J>) {
        if self.is_alive() {
            self.rehome(actions);
        } else {
            self.refuse_queued(Reject::NoWorker, actions);
        }
        actions.wake.append(&mut self.watchers);
    }

    /// Other workers than before are there to have calls pinned to them: queued calls follow their
    /// keys.
    fn rehome(&mut self, actions: &mut Actions<J>) {
        self.put_up_fences();
        let homes = Homes::of(&self.workers);
        // Before they would follow the calls with keys: they are meant for no other worker.
        for worker in 0..self.workers.len() {
            let is_meant_for = |job: &J| job.pin() == Some(Target::Worker(worker));
            if self.workers[worker].is_gone() {
                for (job, key) in self.queues.extract(worker + 1, is_meant_for) {
                    self.left(&job, key);
                    self.count(Reject::NoWorker);
                    actions.refuse.push((job, Reject::NoWorker));
                }
            }
        }
        let home = |job: &J| {
            let home = match job.pin() {
                Some(Target::Key(key)) => homes.find(key),
                Some(Target::Worker(worker)) => Some(worker),
                None => None,
            };
            home.map_or(0, |worker| worker + 1)
        };
        // The common queue, which may be long, only if calls with keys are there or come there: those of
        // a key stay in the order in which they came, wherever they were.
        let is_homeless = homes.is_empty();
        let first = usize::from(!is_homeless && !self.has_homeless);
        self.queues.sort_out(first..self.workers.len() + 1, home);
        self.has_homeless = is_homeless;
        // Any worker may have got a call.
        for worker in 0..self.workers.len() {
            actions.unpark.extend(self.offer_outside(worker));
        }
    }

    /// Sets the number of workers for good.
    pub(crate) fn resize(&mut self, workers: usize) {
        self.scale.set(workers);
    }

    /// Returns whether a worker can take the place of one that is lost.
    pub(crate) fn has_reserve(&self) -> bool {
        let can_start = self.phase == Phase::Open && !self.starts.is_orphaned();
        can_start && self.workers.iter().any(Worker::is_retired)
    }

    /// Starts or retires a worker, if there are not as many as there should be.
    fn fit(&mut self) -> Option<Step<J>> {
        if self.phase != Phase::Open || self.starts.is_orphaned() {
            return None;
        }
        // One that is lost is replaced while there are slots, whose number limits how often.
        let present = self.workers.iter().filter(|it| !it.is_gone()).count();
        // One worker at a time: the supervisor asks again until there are as many as there should be.
        if present < self.scale.target {
            let worker = self.workers.iter().position(Worker::is_retired)?;
            let incarnation = self.workers[worker].join();
            return Some(Step::Start(Start {
                worker,
                incarnation,
            }));
        }
        if present > self.scale.target {
            let worker = self.dispensable()?;
            return Some(Step::Retired(self.retire(worker)));
        }
        None
    }

    /// The worker that is missed least: one that waits to start, or is being built, or does not serve, or
    /// else the last of those that run the fewest calls. Those that are preferred stay the longest.
    fn dispensable(&self) -> Option<usize> {
        // From the end, so that the first slots are those that last.
        let workers = self.workers.iter().enumerate().rev();
        let stages = workers.filter_map(|(index, it)| {
            let stage = match it.condition {
                // It runs nothing, and has nothing to finish.
                Condition::Starting if self.starts.has(index) => 0,
                Condition::Starting => 1,
                Condition::Ready if !it.may_start() => 2,
                Condition::Ready => 3,
                _ => return None,
            };
            Some(((index < self.choice.preferred, stage, it.busy), index))
        });
        Some(stages.min_by_key(|(missed, _)| *missed)?.1)
    }

    /// A worker is not needed. Its calls come to their end.
    fn retire(&mut self, worker: usize) -> Actions<J> {
        let mut actions = Actions::none();
        self.starts.remove(worker);
        let of_one = &mut self.workers[worker];
        of_one.condition = Condition::Retired;
        let present = of_one.incarnation;
        // One that is built to take its place is not needed either.
        let successor = of_one.successor.take();
        for incarnation in successor.into_iter().chain([present]) {
            self.outbox.decide(worker, incarnation, WorkerEnd::Retired);
        }
        // Its lanes ask once more and close, since it takes no calls from here on.
        self.unpark_all(worker, &mut actions);
        self.lost(&mut actions);
        actions
    }

    /// The supervisor asks for its next step.
    pub(crate) fn supervise(&mut self, now: Instant) -> Step<J> {
        if self.phase() == Phase::Closed {
            for worker in self.starts.clear() {
                self.workers[worker].condition = Condition::Ended;
            }
            return if self.is_over() {
                Step::End
            } else {
                Step::Wait
            };
        }
        let next = loop {
            match self.starts.next(now) {
                Ok(start) if self.is_rebuilt(start.worker) => return Step::Start(start),
                // The pool drains, and has no call for it.
                Ok(start) => self.workers[start.worker].condition = Condition::Ended,
                Err(next) => break next,
            }
        };
        let waiting = Waiting {
            calls: self.queues.len(),
            oldest: self.oldest_common_call(),
            next: self.queues.next_number(),
        };
        let look = match self.phase {
            Phase::Open => self.scale.look(now, waiting),
            _ => None,
        };
        if let Some(step) = self.fit() {
            return step;
        }
        // Last: a worker that is about to be retired needs no new services.
        let recycled = match self.next_recycled() {
            Some((at, worker)) if at <= now => return Step::Start(self.recycle(worker)),
            next => next.map(|(at, _)| at),
        };
        let times = next.into_iter().chain(recycled).chain(look);
        times.min().map_or(Step::Wait, Step::WaitUntil)
    }

    /// There is no supervisor any more: what has not started will not start.
    pub(crate) fn orphan(&mut self) -> Actions<J> {
        let mut actions = Actions::none();
        for worker in self.starts.orphan() {
            let fault = Arc::new(WorkerFault::Ended);
            let lost = Arc::clone(&fault);
            self.happened(worker, WorkerChange::Lost { fault: lost });
            self.workers[worker].condition = Condition::Lost(fault);
        }
        // Also without any of them: calls may wait for a worker that was to replace a lost one.
        self.lost(&mut actions);
        actions
    }

    /// The isolate of a state of a worker has ended, and with it the lanes of the streams that it
    /// still had. Their places are free. Comes after [`lose`](Self::lose) for the last state.
    pub(crate) fn bury(&mut self, worker: usize, incarnation: u32) -> Actions<J> {
        let mut actions = Actions::none();
        self.forget_lanes(worker, incarnation, &mut actions);
        self.outbox.exited(worker, incarnation);
        let of_one = &mut self.workers[worker];
        of_one.forget_state(incarnation);
        // It may be waiting for the lanes that were closed here.
        actions.wake.extend(of_one.quieted(incarnation, true));
        if of_one.is_over() {
            actions.wake.append(&mut self.watchers);
        }
        if self.phase == Phase::Draining {
            self.unpark_all(worker, &mut actions);
        }
        actions.unpark.extend(self.offer_outside(worker));
        // A lane of it may have been woken for a call that another worker can take.
        actions.unpark.extend(self.spread());
        actions
    }

    /// Gives up what a worker still runs, also on its earlier states.
    pub(crate) fn give_up(&mut self, worker: usize) -> Actions<J> {
        let mut actions = Actions::none();
        let states = &self.workers[worker].states;
        let incarnations: Vec<_> = states.iter().map(|it| it.incarnation).collect();
        for incarnation in incarnations {
            self.forget_lanes(worker, incarnation, &mut actions);
        }
        actions
    }

    /// Closes the lanes of one state of a worker, whatever they are doing.
    pub(super) fn forget_lanes(
        &mut self,
        index: usize,
        incarnation: u32,
        actions: &mut Actions<J>,
    ) {
        let is_closed = self.phase == Phase::Closed;
        let worker = &mut self.workers[index];
        for lane in 0..worker.lanes.len() {
            let of_state = &mut worker.lanes[lane];
            if of_state.incarnation != incarnation {
                continue;
            }
            let mut was_absent = false;
            actions.retired.extend(of_state.waker.take());
            match std::mem::replace(&mut of_state.doing, Doing::Closed) {
                Doing::Closed => continue,
                Doing::Away => {}
                Doing::Parked => {
                    worker.parked.retain(|&other| other != lane);
                    self.idle -= 1;
                }
                // None of them will take a call.
                Doing::Woken => {
                    worker.woken -= 1;
                    self.woken -= 1;
                    self.bytes.settle(of_state);
                }
                Doing::Running(handle) => {
                    worker.busy -= 1;
                    actions.discard.push(handle);
                }
                Doing::Absent(handle) => {
                    was_absent = true;
                    actions.discard.push(handle);
                }
                Doing::Returning(handle, waker) => {
                    was_absent = true;
                    worker.returning.retain(|&other| other != lane);
                    actions.discard.push(handle);
                    actions.wake.push(waker);
                }
            }
            worker.closed(lane, was_absent);
        }
        while let Some(waker) = worker.admit(is_closed) {
            actions.wake.push(waker);
        }
        self.recount(index);
    }
}
