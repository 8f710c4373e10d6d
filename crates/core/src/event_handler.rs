//! The thread that knows what is due next.
//!
//! One per runtime, started with the first deadline, asleep while nothing is due. It keeps at
//! most one deadline per isolate (the earliest of its timers) and one per `sleep` outside of
//! isolates. A runtime with a virtual clock has no such thread: its driver asks for the next
//! deadline when nothing else is left to do, and moves the clock there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;

use insula_sync::{Condvar, Mutex};

use crate::isolate::IsolateRef;
use crate::time::{Clock, Instant};
use crate::timer::Timeout;

/// A registered deadline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct DeadlineKey {
    due: Instant,
    serial: u64,
}

impl DeadlineKey {
    pub(crate) fn due(self) -> Instant {
        self.due
    }
}

enum Target {
    Isolate(IsolateRef),
    Waker(Waker),
}

impl Target {
    fn fire(self) {
        match self {
            // A dead isolate has no timers.
            Self::Isolate(isolate) => drop(isolate.post(Timeout)),
            Self::Waker(waker) => waker.wake(),
        }
    }
}

#[derive(Default)]
struct Deadlines {
    /// Bounded by the number of isolates and of `sleep` futures.
    entries: BTreeMap<DeadlineKey, Target>,
    next_serial: u64,
    thread: Option<std::thread::JoinHandle<()>>,
    stopped: bool,
}

impl Deadlines {
    fn insert(&mut self, due: Instant, target: Target) -> DeadlineKey {
        let key = DeadlineKey {
            due,
            serial: self.next_serial,
        };
        self.next_serial += 1;
        self.entries.insert(key, target);
        key
    }

    fn next_due(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|(key, _)| key.due)
    }

    /// Takes everything that is due out, in order.
    fn take_due(&mut self, now: Instant) -> Vec<Target> {
        let later = self.entries.split_off(&DeadlineKey {
            due: now + NANOSECOND,
            serial: 0,
        });
        std::mem::replace(&mut self.entries, later)
            .into_values()
            .collect()
    }
}

const NANOSECOND: std::time::Duration = std::time::Duration::from_nanos(1);

#[derive(Default)]
pub(crate) struct EventHandler {
    shared: Arc<Shared>,
    /// Deadlines are fired by whoever moves the clock.
    is_virtual: bool,
}

#[derive(Default)]
struct Shared {
    deadlines: Mutex<Deadlines>,
    changed: Condvar,
}

impl EventHandler {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            is_virtual: matches!(clock, Clock::Virtual(_)),
            ..Self::default()
        }
    }

    /// Registers an isolate's earliest timer in place of the one it had.
    pub(crate) fn arm(
        &self,
        before: Option<DeadlineKey>,
        due: Instant,
        isolate: IsolateRef,
    ) -> DeadlineKey {
        self.register(before, due, Target::Isolate(isolate))
    }

    /// Wakes a future outside of isolates.
    pub(crate) fn wake_at(&self, due: Instant, waker: Waker) -> DeadlineKey {
        self.register(None, due, Target::Waker(waker))
    }

    fn register(&self, before: Option<DeadlineKey>, due: Instant, target: Target) -> DeadlineKey {
        let mut deadlines = self.shared.deadlines.lock();
        let old = before.and_then(|key| deadlines.entries.remove(&key));
        let earlier = deadlines.next_due().is_none_or(|next| due < next);
        let key = deadlines.insert(due, target);
        if deadlines.thread.is_none() && !deadlines.stopped && !self.is_virtual {
            deadlines.thread = Some(start_thread(self.shared.clone()));
        }
        drop(deadlines);
        if earlier {
            self.shared.changed.notify_one();
        }
        drop(old);
        key
    }

    pub(crate) fn disarm(&self, key: DeadlineKey) {
        let target = self.shared.deadlines.lock().entries.remove(&key);
        drop(target);
    }

    /// The next deadline, for whoever moves a virtual clock.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.shared.deadlines.lock().next_due()
    }

    /// Fires what is due, for whoever moves a virtual clock.
    pub(crate) fn fire_due(&self, now: Instant) {
        let due = self.shared.deadlines.lock().take_due(now);
        due.into_iter().for_each(Target::fire);
    }

    /// Ends the thread. Deadlines that were left are dropped unfired.
    pub(crate) fn stop(&self) {
        let mut deadlines = self.shared.deadlines.lock();
        deadlines.stopped = true;
        let thread = deadlines.thread.take();
        let left = std::mem::take(&mut deadlines.entries);
        drop(deadlines);
        self.shared.changed.notify_one();
        drop(left);
        if let Some(thread) = thread
            && thread.thread().id() != std::thread::current().id()
        {
            // It runs nothing of the user's that could panic, but for a foreign waker.
            let _ = thread.join();
        }
    }
}

#[expect(
    clippy::expect_used,
    reason = "a process that cannot start a thread has no timers"
)]
fn start_thread(shared: Arc<Shared>) -> std::thread::JoinHandle<()> {
    std::thread::Builder::new()
        .name("insula-events".to_owned())
        .spawn(move || shared.run(&Clock::System))
        .expect("the event handler's thread could not be started")
}

impl Shared {
    fn run(&self, clock: &Clock) {
        let mut deadlines = self.deadlines.lock();
        while !deadlines.stopped {
            let now = clock.now();
            let due = deadlines.take_due(now);
            if !due.is_empty() {
                drop(deadlines);
                due.into_iter().for_each(Target::fire);
                deadlines = self.deadlines.lock();
                continue;
            }
            deadlines = match deadlines.next_due() {
                Some(next) => self
                    .changed
                    .wait_timeout(deadlines, next.saturating_duration_since(now)),
                None => self.changed.wait(deadlines),
            };
        }
    }
}
