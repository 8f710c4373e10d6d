//! The places of calls whose streams wait for their readers.

use std::task::Waker;

use super::worker::Doing;
use super::{Actions, Dispatch, Job, Phase, Place};

impl<J: Job> Dispatch<J> {
    /// A lane's call does not need its place. Gives the lane that the worker is to run beside it, so
    /// that the place can be used.
    pub(crate) fn give_back(&mut self, at: Place) -> (Option<usize>, Actions<J>) {
        let mut actions = Actions::none();
        let is_closed = self.phase == Phase::Closed;
        let is_rebuilt = self.is_rebuilt(at.worker);
        let worker = &mut self.workers[at.worker];
        let doing = &mut worker.lanes[at.lane].doing;
        match std::mem::replace(doing, Doing::Away) {
            Doing::Running(handle) => *doing = Doing::Absent(handle),
            other => {
                *doing = other;
                return (None, actions);
            }
        }
        // The time for which it waits for its reader is none of its own.
        worker.lanes[at.lane].began = None;
        worker.went_absent(at.lane);
        let is_current = worker.is_current(at.lane);
        let incarnation = worker.lanes[at.lane].incarnation;
        actions.wake.extend(worker.admit(is_closed));
        // A state that another one follows does not wait for streams.
        actions.wake.extend(worker.quieted(incarnation, is_rebuilt));
        // Only a lane of the present state can open another one for it.
        let takes_calls = worker.takes_calls() && is_current && !is_closed;
        let needs_lane = takes_calls && worker.active() < worker.places;
        let lane = needs_lane.then(|| worker.open());
        self.recount(at.worker);
        (lane, actions)
    }

    /// Returns whether the call of a lane has its place again; otherwise `waker` is woken when it
    /// has.
    pub(crate) fn poll_return(&mut self, at: Place, waker: Waker) -> (bool, Option<Waker>) {
        let is_closed = self.phase == Phase::Closed;
        let worker = &mut self.workers[at.worker];
        let doing = &mut worker.lanes[at.lane].doing;
        match std::mem::replace(doing, Doing::Away) {
            // A closed pool lets every stream go on, whether there is a place or not, so that it
            // ends.
            Doing::Absent(handle) if worker.busy < worker.places || is_closed => {
                *doing = Doing::Running(handle);
                worker.came_back(at.lane);
                self.recount(at.worker);
                (true, Some(waker))
            }
            Doing::Absent(handle) => {
                *doing = Doing::Returning(handle, waker);
                worker.returning.push_back(at.lane);
                (false, None)
            }
            Doing::Returning(handle, old) => {
                *doing = Doing::Returning(handle, waker);
                (false, Some(old))
            }
            // It has it, or its worker was given up, and then nothing matters any more.
            other => {
                *doing = other;
                (true, Some(waker))
            }
        }
    }
}
