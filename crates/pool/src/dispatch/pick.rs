//! The worker that is woken for a call.

use insula_core::Instant;
use insula_rpc::WorkType;

use super::homes::Homes;
use super::worker::Doing;
use super::{Actions, Dispatch, Job, Place, Target, Unpark, id};
use crate::balance::Candidate;

impl<J: Job> Dispatch<J> {
    /// A worker with room, by the policy of the pool; or the one that a call is pinned to, if that
    /// has room.
    #[inline]
    pub(super) fn pick(&mut self, home: Option<usize>, work: WorkType) -> Option<usize> {
        // A pool under load has no parked lane, and then no worker need be looked at.
        if self.idle == 0 {
            return None;
        }
        let has_room =
            |index: &usize| self.workers[*index].has_room() && !self.signs.is_inside(*index);
        if let Some(home) = home {
            return Some(home).filter(has_room);
        }
        let preferred = self.choice.preferred;
        let mut turn = (self.cursor..self.workers.len()).chain(0..self.cursor);
        let worker = if self.choice.is_in_turn() && work == WorkType::Balanced && preferred == 0 {
            turn.find(has_room)
        } else {
            let mut candidates = std::mem::take(&mut self.candidates);
            candidates.clear();
            self.find_candidates(work, &mut candidates);
            let chosen = self
                .choice
                .select(&mut self.workers, &candidates, self.looked_at);
            self.candidates = candidates;
            chosen
        }?;
        self.turn_to(worker);
        Some(worker)
    }

    /// Finds the workers with room that run the fewest calls of this type, from the one whose turn it is.
    fn find_candidates(&self, work: WorkType, found: &mut Vec<usize>) {
        let (before, after) = self.workers.split_at(self.cursor);
        let turn = (self.cursor..).zip(after).chain((0..).zip(before));
        for (index, worker) in turn {
            if worker.has_room() && !self.signs.is_inside(index) {
                found.push(index);
            }
        }
        let preferred = self.choice.preferred;
        if found.iter().any(|&it| it < preferred) {
            found.retain(|&it| it < preferred);
        }
        // A worker runs as many of these as of any other.
        if work == WorkType::Balanced {
            return;
        }
        let of_work = |worker: usize| self.workers[worker].load.of(work);
        let least = found.iter().map(|&it| of_work(it)).min();
        found.retain(|&it| Some(of_work(it)) == least);
    }

    /// The next search begins behind this worker.
    pub(super) fn turn_to(&mut self, worker: usize) {
        self.cursor = if worker + 1 == self.workers.len() {
            0
        } else {
            worker + 1
        };
    }

    /// The workers with room for a call of this type, for a user's policy, from the one whose turn it
    /// is.
    pub(crate) fn candidates(&self, work: WorkType, now: Instant) -> Vec<Candidate> {
        let candidate = |index: usize| {
            let worker = &self.workers[index];
            Candidate {
                worker: id(index),
                incarnation: worker.incarnation,
                running: worker.busy + worker.woken,
                places: worker.places,
                latency: worker.load.latency(now),
                failures: worker.load.failures(),
            }
        };
        let mut found = Vec::new();
        self.find_candidates(work, &mut found);
        found.into_iter().map(candidate).collect()
    }

    /// Has the next choice begin with a worker, which a user's policy has chosen, if its state is still
    /// this one.
    pub(crate) fn prefer(&mut self, worker: usize, incarnation: u32) {
        if self.workers[worker].incarnation == incarnation {
            self.cursor = worker;
        }
    }

    /// The worker that a call goes to.
    pub(super) fn home(&self, pin: Target) -> Option<usize> {
        match pin {
            Target::Key(key) => Homes::of(&self.workers).find(key),
            Target::Worker(worker) => Some(worker).filter(|&it| !self.workers[it].is_gone()),
        }
    }

    /// Wakes a parked lane of a worker with room, for a call of so many bytes if it has just come.
    #[inline]
    pub(super) fn unpark(&mut self, index: usize, work: WorkType, bytes: u64) -> Unpark {
        let worker = &mut self.workers[index];
        // Each caller has seen that a lane is parked.
        let lane = worker.parked.pop().unwrap_or(0);
        self.idle -= 1;
        worker.woken += 1;
        self.woken += 1;
        worker.lanes[lane].doing = Doing::Woken;
        worker.charge(lane, work);
        self.bytes.expect(&mut worker.lanes[lane], bytes);
        Unpark {
            at: Place {
                worker: index,
                lane,
            },
            waker: worker.lanes[lane].waker.clone(),
        }
    }

    /// Wakes all parked lanes of a worker, though there may be no call for them.
    pub(super) fn unpark_all(&mut self, index: usize, actions: &mut Actions<J>) {
        while !self.workers[index].parked.is_empty() {
            let lane = self.unpark(index, WorkType::Balanced, 0);
            actions.unpark.push(lane);
        }
    }
}
