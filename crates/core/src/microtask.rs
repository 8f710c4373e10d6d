//! The microtask queue: first in, first out, emptied after every event.

use crate::isolate::Current;
use crate::slab::Key;
use crate::task;

pub(crate) enum Microtask {
    /// Poll a local task.
    Task(Key),
    /// Call a function.
    Call(Box<dyn FnOnce()>),
}

impl Current<'_> {
    pub(crate) fn push_microtask(self, microtask: Microtask) {
        self.with_events(|events| events.microtasks.push_back(microtask));
        self.local().flags.microtasks.set(true);
    }

    /// Runs microtasks until there are none, those that they schedule included, or until an
    /// out-of-band message waits, which goes first.
    ///
    /// Unbounded, as in the VM (rule 6): a chain of microtasks without end starves the
    /// isolate's own events, but no other isolate, since the pool compensates for it.
    #[inline]
    pub(crate) fn run_microtasks(self) {
        while self.local().flags.microtasks.get() && !self.lane.peek_oob() {
            let next = self.with_events(|events| events.microtasks.pop_front());
            match next {
                None => self.local().flags.microtasks.set(false),
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
        if !isolate.local().flags.dying.get() {
            isolate.push_microtask(Microtask::Call(Box::new(function)));
        }
    });
}
