//! The waiting tasks of one loop, earliest first.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use insula_core::Instant;

/// A task. It runs once, or is dropped.
pub(crate) type Run = Box<dyn FnOnce() + Send>;

/// The position of a task among all tasks: by due time, then by the order of posting, which is
/// one order across all loops of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct TaskOrder {
    pub(crate) due: Instant,
    pub(crate) order: u64,
}

struct Waiting {
    place: TaskOrder,
    run: Run,
}

/// A queue of tasks, ordered by [`TaskOrder`]. Bounded by what the embedder posts.
#[derive(Default)]
pub(crate) struct TaskQueue(BinaryHeap<Waiting>);

impl TaskQueue {
    /// Adds a task and returns whether it is the first one now.
    pub(crate) fn push(&mut self, place: TaskOrder, run: Run) -> bool {
        let is_first = self.first().is_none_or(|first| place < first);
        self.0.push(Waiting { place, run });
        is_first
    }

    /// Returns all tasks, in any order.
    pub(crate) fn into_tasks(self) -> impl Iterator<Item = Run> {
        self.0.into_iter().map(|waiting| waiting.run)
    }

    /// Returns the number of waiting tasks, due or not.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the place of the first task.
    pub(crate) fn first(&self) -> Option<TaskOrder> {
        self.0.peek().map(|waiting| waiting.place)
    }

    /// Removes and returns the first task if `may_run` accepts its place.
    pub(crate) fn pop_if(&mut self, may_run: impl FnOnce(TaskOrder) -> bool) -> Option<Run> {
        may_run(self.first()?).then(|| self.0.pop().map(|waiting| waiting.run))?
    }
}

// `BinaryHeap` pops its greatest element first, so the earlier task compares as the greater.
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
