//! The microtask queue: first in, first out, emptied after every event.

use crate::event_loop::task;
use crate::memory::Current;
use crate::memory::slab::Key;

pub(crate) enum Microtask {
    /// Poll a local task.
    Task(Key),
    /// Call a function.
    Call(Box<dyn FnOnce()>),
}

impl Current<'_> {
    pub(crate) fn push_microtask(self, microtask: Microtask) {
        self.move_front_to_queue();
        self.with_events(|events| events.microtasks.push_back(microtask));
        self.local().flags.microtasks.set(true);
    }

    /// Queues a poll. If nothing else is queued it goes to the front place, past the queue: most
    /// turns wake one task.
    #[inline]
    pub(crate) fn push_poll(self, key: Key) {
        let local = self.local();
        if local.flags.microtasks.get() {
            self.push_microtask(Microtask::Task(key));
        } else {
            local.front.set(Some(key));
            local.flags.microtasks.set(true);
        }
    }

    /// Begins the microtasks of an event in its last step, if there are none yet: the caller may
    /// run one without queueing it. Otherwise returns `false`, and the caller queues it.
    #[inline]
    pub(crate) fn may_run_task(self) -> bool {
        let flags = &self.local().flags;
        if flags.microtasks.get() || self.interrupted() {
            return false;
        }
        // As in `run_microtasks`: with this event begins a new round of them.
        flags.microtasks_held.set(false);
        true
    }

    /// Moves the poll in the front place, which is the oldest, to the head of the queue.
    fn move_front_to_queue(self) {
        if let Some(key) = self.local().front.take() {
            self.with_events(|events| events.microtasks.push_front(Microtask::Task(key)));
        }
    }

    /// Runs microtasks, including those that they schedule and those that an error left behind,
    /// until there are none or a control message waits, which comes first.
    ///
    /// Unbounded, as in the VM (rule 6 of `docs/conformance.md`): an endless chain of microtasks
    /// starves the isolate's own events, but no other isolate, since the pool compensates for it.
    #[inline]
    pub(crate) fn run_microtasks(self) {
        let local = self.local();
        local.flags.microtasks_held.set(false);
        while local.flags.microtasks.get() && !self.interrupted() {
            if let Some(key) = local.front.take() {
                // Only the front place is in use as long as the queue is empty.
                let more = self.with_events(|events| !events.microtasks.is_empty());
                // Before the poll, which may queue further microtasks.
                local.flags.microtasks.set(more);
                task::run(self, key);
                continue;
            }
            let next = self.with_events(|events| events.microtasks.pop_front());
            match next {
                None => local.flags.microtasks.set(false),
                Some(Microtask::Task(key)) => task::run(self, key),
                Some(Microtask::Call(function)) => function(),
            }
        }
    }
}

/// Runs `function` in the current isolate after the current event (or microtask), before the
/// next event.
///
/// # Ordering
/// First in, first out with all other microtasks of the isolate, woken local tasks included.
///
/// # Panics
/// If there is no current isolate.
pub fn schedule_microtask(function: impl FnOnce() + Send + 'static) {
    Current::with(|isolate| {
        let isolate = isolate.expect("schedule_microtask needs a current isolate");
        isolate.push_microtask(Microtask::Call(Box::new(function)));
    });
}
