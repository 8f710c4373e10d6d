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

    /// Queues a poll. One that is alone goes to the front place, past the queue: most turns
    /// wake one task.
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

    /// What is in the front place is older than what is queued now.
    fn move_front_to_queue(self) {
        if let Some(key) = self.local().front.take() {
            self.with_events(|events| events.microtasks.push_front(Microtask::Task(key)));
        }
    }

    /// Runs microtasks until there are none, those that they schedule included, or until a
    /// control message waits, which goes first. Those that an error left behind are among them.
    ///
    /// Unbounded, as in the VM (rule 6): a chain of microtasks without end starves the
    /// isolate's own events, but no other isolate, since the pool compensates for it.
    #[inline]
    pub(crate) fn run_microtasks(self) {
        let local = self.local();
        local.flags.microtasks_held.set(false);
        while local.flags.microtasks.get() && !self.interrupted() {
            if let Some(key) = local.front.take() {
                // Nothing but the front place is in use as long as the queue is empty.
                let more = self.with_events(|events| !events.microtasks.is_empty());
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
