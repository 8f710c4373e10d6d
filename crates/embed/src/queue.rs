//! The tasks of one loop that wait, earliest first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use insula_core::Instant;

/// What a task is. Runs once, or is dropped.
pub(crate) type Run = Box<dyn FnOnce() + Send>;

/// Where a task stands among all tasks: by its time, and among tasks of one time by the order
/// of posting, which is one order across all loops of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Place {
    pub(crate) due: Instant,
    pub(crate) order: u64,
}

struct Waiting {
    place: Place,
    run: Run,
}

/// A queue by [`Place`]. Bounded by what the embedder posts.
#[derive(Default)]
pub(crate) struct TaskQueue(BinaryHeap<Waiting>);

impl TaskQueue {
    /// Adds a task and tells whether it is the first one now.
    pub(crate) fn push(&mut self, place: Place, run: Run) -> bool {
        let is_first = self.first().is_none_or(|first| place < first);
        self.0.push(Waiting { place, run });
        is_first
    }

    /// Returns all tasks, in any order.
    pub(crate) fn into_tasks(self) -> impl Iterator<Item = Run> {
        self.0.into_iter().map(|waiting| waiting.run)
    }

    /// How many tasks wait, due or not.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The place of the first task.
    pub(crate) fn first(&self) -> Option<Place> {
        self.0.peek().map(|waiting| waiting.place)
    }

    /// Takes the first task if `may_run` approves of its place.
    pub(crate) fn pop_if(&mut self, may_run: impl FnOnce(Place) -> bool) -> Option<Run> {
        may_run(self.first()?).then(|| self.0.pop().map(|waiting| waiting.run))?
    }
}

// The heap gives its greatest first, so the earlier one is the greater one.
impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        other.place.cmp(&self.place)
    }
}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Waiting {}
