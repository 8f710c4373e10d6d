//! The order of the calls of a key, when they move to another isolate.
//!
//! Calls of a key start in the order of their submission. One isolate starts them one after the other: a
//! lane takes a call and begins it before another lane of the same isolate can ask. When the calls of a
//! key move to another isolate, because a worker was recycled, retired or lost, a lane of the new isolate
//! may ask on another thread while the last call of the old isolate was taken and has not begun.
//!
//! So whatever moves calls puts up a *fence*: until each pinned call that was taken before has begun,
//! no pinned call is taken. A call begins when its lane is about to poll its handler, a moment after it
//! was taken, however long the handler then computes. A lane says so without the lock, by a count, and
//! then looks whether there is a fence. What puts a fence up says so and then looks at the counts. In the
//! total order of these steps, at least one side sees the other.

use super::{Actions, Dispatch, Job};

/// The pinned calls that a worker had taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fence {
    worker: usize,
    taken: u64,
}

impl<J: Job> Dispatch<J> {
    /// Calls move to other isolates.
    pub(super) fn put_up_fences(&mut self) {
        self.signs.set_fenced(true);
        for (worker, of_one) in self.workers.iter().enumerate() {
            let taken = of_one.pinned_taken;
            // An older fence of the worker is passed before this one.
            self.fences.retain(|it| it.worker != worker);
            if self.signs.begun(worker) < taken {
                self.fences.push(Fence { worker, taken });
            }
        }
        self.signs.set_fenced(!self.fences.is_empty());
    }

    /// Returns whether all calls have begun that were taken before calls have moved.
    pub(super) fn may_take_pinned(&mut self) -> bool {
        if self.fences.is_empty() {
            return true;
        }
        let signs = &self.signs;
        self.fences.retain(|it| signs.begun(it.worker) < it.taken);
        let is_passed = self.fences.is_empty();
        if is_passed {
            self.signs.set_fenced(false);
        }
        is_passed
    }

    /// A call has begun, and there was a fence.
    pub(crate) fn pass_fences(&mut self) -> Actions<J> {
        let mut actions = Actions::none();
        if self.may_take_pinned() {
            // Any worker may have calls that have waited for this.
            for worker in 0..self.workers.len() {
                actions.unpark.extend(self.offer_outside(worker));
            }
        }
        actions
    }

    /// A lane of a state has taken a call that is pinned.
    pub(super) fn took_pinned(&mut self, worker: usize, incarnation: u32) {
        let of_one = &mut self.workers[worker];
        of_one.pinned_taken += 1;
        if self.needs.watchdog {
            of_one.beginning.push(incarnation);
        }
    }

    /// A pinned call begins, of a pool whose isolates may be given up.
    pub(crate) fn began(&mut self, worker: usize, incarnation: u32) -> Actions<J> {
        let beginning = &mut self.workers[worker].beginning;
        let Some(index) = beginning.iter().position(|it| *it == incarnation) else {
            // Its isolate was given up, and nothing has waited for it since then.
            return Actions::none();
        };
        beginning.swap_remove(index);
        if self.signs.begin(worker) {
            self.pass_fences()
        } else {
            Actions::none()
        }
    }
}
