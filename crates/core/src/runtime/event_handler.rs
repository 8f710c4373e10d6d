//! The thread that knows what is due next, and which socket is ready.
//!
//! One per runtime, started with the first deadline or socket, asleep while nothing is due. It
//! keeps at most one deadline per isolate (the earliest of its timers) and one per `sleep`
//! outside of isolates. A runtime with a virtual clock has no such thread: its driver asks for
//! the next deadline when nothing else is left to do, and moves the clock there.
//!
//! # How it sleeps
//! On a condition variable until there is a socket, and inside of the operating system's poller
//! from then on; so timers need no descriptor, and work in a process that has none left. Before
//! it sleeps it writes down, under the lock, until when: who brings an earlier deadline wakes
//! it, and nobody else does.
//!
//! What a socket's readiness means stands in [`readiness`].
//!
//! # Foreign code
//! Deadlines outside of isolates, and all sockets, have wakers of any executor. They are woken and
//! dropped without a lock, and their panics are contained, because all other deadlines depend on
//! this thread.
//!
//! # Shutdown
//! By then no isolate is left, and all other futures that wait are woken: a `sleep` is over at
//! once, also one that begins later, and a wait for a socket ends with an error. So no future
//! waits for ever for a thread that has ended.

mod readiness;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::task::Waker;

use insula_sync::{Condvar, Mutex, MutexGuard};
use polling::{Event, Events, Poller};

use crate::event_loop::timer::Timeout;
use crate::memory::IsolateRef;
use crate::panic::wake_contained;
use crate::runtime::thread_pool::{begin_own_thread, is_own_thread};
use crate::runtime::time::{Clock, Instant};
use readiness::Sources;
pub use readiness::{Direction, Handle, Source};

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
            Self::Waker(waker) => wake_contained(waker),
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
    rest: Rest,
    /// Made with the first socket, and never taken away.
    poller: Option<Arc<Poller>>,
}

/// Whether the thread sleeps. Somebody who wakes it leaves `Awake` behind, so that it is woken
/// once.
#[derive(Clone, Copy, Default)]
enum Rest {
    #[default]
    Awake,
    Until(Instant),
    ForEver,
}

impl Deadlines {
    /// Whether the thread must be woken for something that is due at `due`.
    fn wakes_for(&mut self, due: Instant) -> bool {
        let wakes = match self.rest {
            Rest::Awake => false,
            Rest::Until(until) => due < until,
            Rest::ForEver => true,
        };
        if wakes {
            self.rest = Rest::Awake;
        }
        wakes
    }

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
        // One by one, so that what is not due costs nothing; and by comparison, so that the last
        // instant of all is due when the clock has come to it.
        let mut due = Vec::new();
        while let Some(first) = self.entries.first_entry()
            && first.key().due <= now
        {
            due.push(first.remove());
        }
        due
    }
}

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
    sources: Mutex<Sources>,
}

impl EventHandler {
    pub(crate) fn new(clock: &Clock) -> Self {
        Self {
            is_virtual: matches!(clock, Clock::Virtual(_)),
            ..Self::default()
        }
    }

    /// Starts the thread before anything waits for it.
    pub(crate) fn start(&self) -> io::Result<()> {
        self.shared.start_thread(&mut self.shared.deadlines.lock())
    }

    /// Registers an isolate's earliest timer in place of the one it had. `None` once the handler
    /// has been stopped, when no isolate is left to run.
    pub(crate) fn arm(
        &self,
        before: Option<DeadlineKey>,
        due: Instant,
        isolate: IsolateRef,
    ) -> Option<DeadlineKey> {
        self.register(before, due, Target::Isolate(isolate))
    }

    /// Wakes a future outside of isolates. `None` once the handler has been stopped: nothing will
    /// wake it any more.
    pub(crate) fn wake_at(&self, due: Instant, waker: Waker) -> Option<DeadlineKey> {
        self.register(None, due, Target::Waker(waker))
    }

    /// # Panics
    /// If the thread cannot be started. Nothing has been registered then.
    fn register(
        &self,
        before: Option<DeadlineKey>,
        due: Instant,
        target: Target,
    ) -> Option<DeadlineKey> {
        let mut deadlines = self.shared.deadlines.lock();
        let old = before.and_then(|key| deadlines.entries.remove(&key));
        let started = if self.is_virtual {
            Ok(())
        } else {
            self.shared.start_thread(&mut deadlines)
        };
        if deadlines.stopped || started.is_err() {
            drop(deadlines);
            drop((old, target));
            if let Err(error) = started {
                panic!("the thread that timers need could not be started: {error}");
            }
            return None;
        }
        let key = deadlines.insert(due, target);
        if deadlines.wakes_for(due) {
            self.shared.wake(deadlines);
        } else {
            drop(deadlines);
        }
        drop(old);
        Some(key)
    }

    /// Takes a deadline back. Tells whether it was still to come.
    pub(crate) fn disarm(&self, key: DeadlineKey) -> bool {
        let target = self.shared.deadlines.lock().entries.remove(&key);
        target.is_some()
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

    /// Whether its thread has been started.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn has_thread(&self) -> bool {
        self.shared.deadlines.lock().thread.is_some()
    }

    /// Ends the thread and wakes all futures that wait. A `sleep` finds that it is over, and a
    /// wait for a socket ends with an error.
    pub(crate) fn stop(&self) {
        let mut deadlines = self.shared.deadlines.lock();
        deadlines.stopped = true;
        let thread = deadlines.thread.take();
        let left = std::mem::take(&mut deadlines.entries);
        self.shared.wake(deadlines);
        left.into_values().for_each(Target::fire);
        let sources = self.shared.sources.lock().stop();
        for source in sources {
            source.stop();
        }
        if let Some(thread) = thread
            && !is_own_thread(&thread)
        {
            // It runs no code of the user's but wakers, whose panics are contained.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Starts the thread, if there is none.
    fn start_thread(self: &Arc<Self>, deadlines: &mut Deadlines) -> io::Result<()> {
        if deadlines.thread.is_none() && !deadlines.stopped {
            let shared = self.clone();
            let thread = std::thread::Builder::new()
                .name("insula-events".to_owned())
                .spawn(move || shared.run(&Clock::System))?;
            deadlines.thread = Some(thread);
        }
        Ok(())
    }

    /// Wakes the thread, wherever it sleeps.
    fn wake(&self, deadlines: MutexGuard<'_, Deadlines>) {
        let poller = deadlines.poller.clone();
        drop(deadlines);
        match poller {
            // Fails only if the poller is broken, and then the thread is not inside of it.
            Some(poller) => drop(poller.notify()),
            None => self.changed.notify_one(),
        }
    }

    /// The poller, made if need be, and the thread that waits for it.
    fn poller(self: &Arc<Self>) -> io::Result<Arc<Poller>> {
        let mut deadlines = self.deadlines.lock();
        if deadlines.stopped {
            return Err(readiness::shut_down());
        }
        if let Some(poller) = &deadlines.poller {
            return Ok(poller.clone());
        }
        let poller = Arc::new(Poller::new()?);
        self.start_thread(&mut deadlines)?;
        deadlines.poller = Some(poller.clone());
        drop(deadlines);
        // The thread may sleep where it cannot hear of sockets.
        self.changed.notify_one();
        Ok(poller)
    }

    fn run(&self, clock: &Clock) {
        begin_own_thread();
        let mut events = Events::new();
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
            let next = deadlines.next_due();
            deadlines.rest = next.map_or(Rest::ForEver, Rest::Until);
            let timeout = next.map(|next| next.saturating_duration_since(now));
            deadlines = match deadlines.poller.clone() {
                Some(poller) => {
                    drop(deadlines);
                    self.poll(&poller, &mut events, timeout);
                    self.deadlines.lock()
                }
                None => match timeout {
                    Some(timeout) => self.changed.wait_timeout(deadlines, timeout),
                    None => self.changed.wait(deadlines),
                },
            };
            deadlines.rest = Rest::Awake;
        }
    }

    /// Waits for sockets, and tells those who wait for them.
    fn poll(&self, poller: &Poller, events: &mut Events, timeout: Option<std::time::Duration>) {
        events.clear();
        // An interrupted wait is over early; nothing else can fail on a poller that works.
        if poller.wait(events, timeout).is_err() || events.is_empty() {
            return;
        }
        let ready = self.sources.lock().of(events);
        for (source, event) in ready {
            // Without edges an event ends both interests, so that both must be waited for anew.
            let both = !poller.supports_edge();
            source.notice(if both { Event::all(event.key) } else { event });
        }
    }
}
