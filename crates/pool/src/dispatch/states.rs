//! The states of the workers: when one is built, suspect, built again, or gone.

use std::sync::Arc;
use std::task::Waker;

use insula_core::Instant;
use insula_rpc::Reject;

use super::homes::Homes;
use super::worker::{Condition, Doing};
use super::{Actions, Dispatch, Fate, Job, Phase, Step};
use crate::error::WorkerFault;
use crate::lifecycle::Start;
use crate::observe::events::{WorkerChange, WorkerEnd};
use crate::observe::outbox::Batch;

impl<J: Job> Dispatch<J> {
    /// The isolate of a state of a worker is about to be spawned. One [`bury`](Self::bury) follows
    /// for it.
    pub(crate) fn spawning(&mut self, worker: usize, incarnation: u32) {
        self.outbox.spawning(worker, incarnation);
    }

    /// Something has happened to the present state of a worker.
    fn happened(&mut self, worker: usize, change: WorkerChange) {
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

    /// A handler of this worker has panicked: no further call on this state.
    pub(crate) fn suspect(&mut self, worker: usize) -> Actions<J> {
        let mut actions = Actions::none();
        if self.workers[worker].takes_calls() {
            self.workers[worker].condition = Condition::Suspect;
            self.happened(worker, WorkerChange::Suspect);
            self.unpark_all(worker, &mut actions);
            // It may have been woken for a call that another one can take now.
            actions.unpark.extend(self.spread());
        }
        actions
    }

    /// A worker's state is built. Gives the lanes that it is to run; `None` if the pool has ended
    /// meanwhile.
    pub(crate) fn ready(&mut self, worker: usize) -> (Option<Vec<usize>>, Actions<J>) {
        let mut actions = Actions::none();
        let is_open = self.phase < Phase::Closed;
        if is_open {
            self.happened(worker, WorkerChange::Ready);
        }
        let worker = &mut self.workers[worker];
        let lanes = is_open.then(|| (0..worker.places).map(|_| worker.open()).collect());
        worker.condition = if is_open {
            Condition::Ready
        } else {
            Condition::Ended
        };
        actions.wake.append(&mut self.watchers);
        (lanes, actions)
    }

    /// Returns whether the lanes of this worker have ended, as far as its next step needs it; the
    /// supervisor is woken when they have. A state that is built again does not wait for streams
    /// that are absent.
    pub(crate) fn is_quiet(&mut self, index: usize, supervisor: Waker) -> (bool, Option<Waker>) {
        let is_rebuilt = self.is_rebuilt(index);
        let worker = &mut self.workers[index];
        let left = if is_rebuilt { worker.absent } else { 0 };
        if worker.open <= left {
            return (true, Some(supervisor));
        }
        (false, worker.supervisor.replace(supervisor))
    }

    /// Returns whether a worker whose lanes have closed is built again.
    pub(super) fn is_rebuilt(&self, worker: usize) -> bool {
        self.phase == Phase::Open || (self.phase == Phase::Draining && self.has_call_for(worker))
    }

    /// All loops of a worker have ended: gives its next incarnation if it is to be rebuilt.
    pub(crate) fn rebuild(&mut self, worker: usize) -> (Option<u32>, Actions<J>) {
        let mut actions = Actions::none();
        let is_rebuilt = self.is_rebuilt(worker);
        if self.workers[worker].is_gone() {
            return (None, actions);
        }
        if is_rebuilt {
            self.happened(worker, WorkerChange::Rebuilding);
            let of_one = &mut self.workers[worker];
            self.outbox
                .decide(worker, of_one.incarnation, WorkerEnd::Replaced);
            of_one.condition = Condition::Starting;
            of_one.succeed();
            return (Some(of_one.incarnation), actions);
        }
        self.workers[worker].condition = Condition::Ended;
        actions.wake.append(&mut self.watchers);
        (None, actions)
    }

    /// The state of a worker could not be built, or its isolate has ended. Does nothing if its end
    /// is known, or if the worker has another state by now.
    ///
    /// Its earlier states have isolates of their own, so their streams go on; see
    /// [`bury`](Self::bury).
    pub(crate) fn lose(
        &mut self,
        worker: usize,
        incarnation: u32,
        fault: Arc<WorkerFault>,
        fate: Fate,
    ) -> Actions<J> {
        let mut actions = Actions::none();
        if self.is_ended(worker, incarnation) {
            return actions;
        }
        let start = self.restart(worker, fate);
        self.tell_end(worker, &fault, start, fate);
        self.workers[worker].condition = match start {
            Some(_) => Condition::Starting,
            None => Condition::Lost(fault),
        };
        // Before they are forgotten: a loop that still runs has to ask once more, and then ends.
        self.unpark_all(worker, &mut actions);
        self.forget_lanes(worker, incarnation, &mut actions);
        match start {
            None => self.lost(worker, &mut actions),
            Some(at) => {
                let of_one = &mut self.workers[worker];
                of_one.succeed();
                let incarnation = of_one.incarnation;
                let start = Start {
                    worker,
                    incarnation,
                };
                self.starts.add(at, start);
                actions.wake.append(&mut self.watchers);
            }
        }
        actions
    }

    /// The present state of a worker has ended, or could not be built.
    fn tell_end(
        &mut self,
        worker: usize,
        fault: &Arc<WorkerFault>,
        start: Option<Instant>,
        fate: Fate,
    ) {
        // One whose state was not built when the pool closed is no loss.
        if self.phase == Phase::Closed && matches!(**fault, WorkerFault::Ended) {
            return;
        }
        let incarnation = self.workers[worker].incarnation;
        let why = WorkerEnd::Fault(Arc::clone(fault));
        self.outbox.decide(worker, incarnation, why);
        let fault = Arc::clone(fault);
        let change = match (start, fate) {
            (Some(at), Fate::ByPolicy(now)) => WorkerChange::Restarting {
                fault,
                delay: at.saturating_duration_since(now),
            },
            _ => WorkerChange::Lost { fault },
        };
        self.happened(worker, change);
    }

    /// Returns whether the end of this state of a worker is known, or changes nothing.
    pub(crate) fn is_ended(&self, worker: usize, incarnation: u32) -> bool {
        let worker = &self.workers[worker];
        worker.is_gone() || worker.incarnation != incarnation
    }

    pub(crate) fn incarnation(&self, worker: usize) -> u32 {
        self.workers[worker].incarnation
    }

    /// The time at which a worker that has ended starts again, if it does.
    fn restart(&mut self, worker: usize, fate: Fate) -> Option<Instant> {
        let Fate::ByPolicy(now) = fate else {
            return None;
        };
        if self.starts.is_orphaned() || !self.is_rebuilt(worker) {
            return None;
        }
        let delay = self.workers[worker].restarts.next(&self.restart, now)?;
        Some(now + delay)
    }

    /// A worker is lost: its queued calls go to other workers, or back to their callers.
    fn lost(&mut self, worker: usize, actions: &mut Actions<J>) {
        if self.is_alive() {
            let homes = Homes::of(&self.workers);
            let home = |pin| homes.find(pin).map_or(0, |worker| worker + 1);
            self.queues
                .move_all(worker + 1, |job| job.pin().map_or(0, home));
            // Any of them may have got a call that was pinned to the lost one.
            for other in 0..self.workers.len() {
                actions.unpark.extend(self.offer_outside(other));
            }
        } else {
            self.refuse_queued(Reject::NoWorker, actions);
        }
        actions.wake.append(&mut self.watchers);
    }

    /// The supervisor asks for its next step.
    pub(crate) fn supervise(&mut self, now: Instant) -> Step {
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
        loop {
            match self.starts.next(now) {
                Ok(start) if self.is_rebuilt(start.worker) => return Step::Start(start),
                // The pool drains, and has no call for it.
                Ok(start) => self.workers[start.worker].condition = Condition::Ended,
                Err(Some(at)) => return Step::WaitUntil(at),
                Err(None) => return Step::Wait,
            }
        }
    }

    /// There is no supervisor any more: what has not started will not start.
    pub(crate) fn orphan(&mut self) -> Actions<J> {
        let mut actions = Actions::none();
        for worker in self.starts.orphan() {
            let fault = Arc::new(WorkerFault::Ended);
            let lost = Arc::clone(&fault);
            self.happened(worker, WorkerChange::Lost { fault: lost });
            self.workers[worker].condition = Condition::Lost(fault);
            self.lost(worker, &mut actions);
        }
        actions
    }

    /// The isolate of a state of a worker has ended, and with it the lanes of the streams that it
    /// still had. Their places are free. Comes after [`lose`](Self::lose) for the last state.
    pub(crate) fn bury(&mut self, worker: usize, incarnation: u32) -> Actions<J> {
        let mut actions = Actions::none();
        self.forget_lanes(worker, incarnation, &mut actions);
        self.outbox.exited(worker, incarnation);
        let of_one = &mut self.workers[worker];
        // It may be waiting for the lanes that were closed here.
        actions.wake.extend(of_one.supervisor.take());
        if of_one.is_over() {
            actions.wake.append(&mut self.watchers);
        }
        if self.phase == Phase::Draining {
            self.unpark_all(worker, &mut actions);
        }
        actions.unpark.extend(self.offer_outside(worker));
        actions
    }

    /// Closes the lanes of one state of a worker, whatever they are doing.
    fn forget_lanes(&mut self, index: usize, incarnation: u32, actions: &mut Actions<J>) {
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
    }
}
