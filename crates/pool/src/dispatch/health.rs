//! Workers that are stuck, and workers that do not serve.

use insula_core::Instant;

use super::worker::{Doing, Supply};
use super::{Actions, Dispatch, Job, Phase};
use crate::observe::events::WorkerChange;

impl<J: Job> Dispatch<J> {
    /// The calls that a state of a worker runs.
    pub(crate) fn running_on(&self, worker: usize, incarnation: u32) -> Vec<J::Handle>
    where
        J::Handle: Clone,
    {
        let lanes = self.workers[worker].lanes.iter();
        let lanes = lanes.filter(|lane| lane.incarnation == incarnation);
        let handles = lanes.filter_map(|lane| match &lane.doing {
            Doing::Running(handle) | Doing::Absent(handle) | Doing::Returning(handle, _) => {
                Some(handle.clone())
            }
            _ => None,
        });
        handles.collect()
    }

    /// A state of a worker is about to be lost while its isolate runs: its lanes may still ask for
    /// calls, so that their places are not used again before [`bury`](Self::bury).
    pub(crate) fn leave_behind(&mut self, worker: usize, incarnation: u32) -> Actions<J> {
        self.tally.stuck += 1;
        // Its isolate may compute on in a destructor, and was buried before.
        if self.outbox.is_living(worker, incarnation) {
            self.workers[worker].left_behind.push(incarnation);
        }
        // A call that it has taken may never begin, and is not waited for.
        self.began(worker, incarnation)
    }

    /// Closes what lanes a state still has, for streams that had readers.
    pub(crate) fn give_up_state(&mut self, worker: usize, incarnation: u32) -> Actions<J> {
        let mut actions = Actions::none();
        self.forget_lanes(worker, incarnation, &mut actions);
        actions.unpark.extend(self.spread());
        actions
    }

    /// A state of a worker says whether it can serve.
    pub(crate) fn set_serving(
        &mut self,
        worker: usize,
        incarnation: u32,
        is_serving: bool,
    ) -> Actions<J> {
        let mut actions = Actions::none();
        let of_one = &mut self.workers[worker];
        let was_serving = of_one.is_serving(incarnation);
        if was_serving == is_serving || !self.outbox.is_living(worker, incarnation) {
            return actions;
        }
        if is_serving {
            of_one.not_serving.retain(|it| *it != incarnation);
        } else {
            of_one.not_serving.push(incarnation);
        }
        let of_one = &self.workers[worker];
        if of_one.is_gone() || of_one.incarnation != incarnation {
            return actions;
        }
        self.happened(
            worker,
            if is_serving {
                WorkerChange::Serving
            } else {
                WorkerChange::NotServing
            },
        );
        if is_serving {
            // Its lanes are parked, and calls may wait for them.
            actions.unpark.extend(self.offer_outside(worker));
        } else {
            // It may have been woken for a call that another one can take now.
            actions.unpark.extend(self.spread());
        }
        actions
    }

    /// A state of a worker is so short of memory.
    pub(crate) fn set_pressure(&mut self, worker: usize, incarnation: u32, pressure: f64) {
        let of_one = &mut self.workers[worker];
        if of_one.incarnation == incarnation {
            of_one.load.pressure = pressure;
        }
    }

    /// A state of a worker is at its limit: it is replaced, and starts no more calls while its successor
    /// is being built.
    pub(crate) fn exhaust(&mut self, worker: usize, incarnation: u32, now: Instant) -> Actions<J> {
        let mut actions = Actions::none();
        let is_open = self.phase == Phase::Open && !self.starts.is_orphaned();
        let is_building = self.workers.iter().any(|it| it.successor.is_some());
        let of_one = &mut self.workers[worker];
        // A pool that ends builds no other one, and its calls are to come to their end.
        if of_one.incarnation == incarnation && of_one.takes_calls() && is_open {
            // It stops only if its successor is being built, or can be at once.
            let is_next = !is_building && of_one.recycled_from.is_some_and(|from| from <= now);
            of_one.memory = match of_one.successor {
                None if !is_next => Supply::Short,
                _ => Supply::Exhausted,
            };
            actions.unpark.extend(self.spread());
        }
        actions
    }

    /// Returns whether a worker is there that serves, or will be.
    pub(super) fn has_serving(&self) -> bool {
        let serves =
            |worker: &super::Worker<J>| !worker.is_gone() && worker.is_serving(worker.incarnation);
        let has_one = self.workers.iter().any(serves);
        has_one || (self.has_reserve() && self.will_grow())
    }

    /// Returns whether the pool may start one more worker.
    fn will_grow(&self) -> bool {
        let present = self.workers.iter().filter(|it| !it.is_gone()).count();
        present < self.scale.target || self.scale.may_grow()
    }
}
