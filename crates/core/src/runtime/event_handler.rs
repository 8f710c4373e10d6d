//! The event handler: a thread that fires deadlines and reports ready sockets.
//!
//! There is one per runtime. It starts with the first deadline or socket, and sleeps while nothing
//! is due. It keeps at most one deadline per isolate (the earliest of its timers) and one per
//! `sleep` outside of isolates. A runtime with a virtual clock has no such thread: its driver asks
//! for the next deadline when nothing else is left to do, and moves the clock there.
//!
//! # How it sleeps
//! Until there is a socket, the thread sleeps on a condition variable; from then on, in the
//! operating system's poller. So timers need no descriptor, and work in a process that has none
//! left. Before the thread sleeps it records, under the lock, until when. Of new deadlines, only
//! one that is earlier wakes it.
//!
//! [`readiness`] describes how the readiness of a socket is reported.
//!
//! # Foreign code
//! Deadlines outside of isolates, and all sockets, have wakers of any executor. They are woken and
//! dropped without a lock, and their panics are contained, because all other deadlines depend on
//! this thread.
//!
//! # Shutdown
//! When the thread stops, no isolate is left, and all other futures that wait are woken: a `sleep`
//! ends at once, even one that begins later, and a wait for a socket ends with an error. So no
//! future waits forever for a thread that has ended.

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
            // A failed post needs no handling: the isolate is dead, and has no timers.
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
    /// Made with the first socket, and never removed.
    poller: Option<Arc<Poller>>,
}

/// The sleep that the thread has announced. The caller that wakes it resets this to `Awake`, so
/// that it is woken only once.
#[derive(Clone, Copy, Default)]
enum Rest {
    #[default]
    Awake,
    Until(Instant),
    ForEver,
}

impl Deadlines {
    /// Returns whether the caller must wake the thread for a deadline at `due`.
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

    /// Removes and returns all targets that are due, in order.
    fn take_due(&mut self, now: Instant) -> Vec<Target> {
        // One by one, so that later deadlines cost nothing. Compared with `<=` instead of split at
        // `now` plus one, which the last representable instant does not have.
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
    /// `true` if there is no thread, and the driver that moves the clock fires deadlines.
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

    /// Starts the thread, before anything waits for it.
    ///
    /// # Errors
    /// If the thread could not be started.
    pub(crate) fn start(&self) -> io::Result<()> {
        self.shared.start_thread(&mut self.shared.deadlines.lock())
    }

    /// Registers an isolate's earliest timer in place of `before`. Returns `None` once the handler
    /// has been stopped, when no isolate is left to run.
    pub(crate) fn arm(
        &self,
        before: Option<DeadlineKey>,
        due: Instant,
        isolate: IsolateRef,
    ) -> Option<DeadlineKey> {
        self.register(before, due, Target::Isolate(isolate))
    }

    /// Registers a waker of a future outside of isolates, to be woken at `due`. Returns `None` once
    /// the handler has been stopped, when nothing will wake it any more.
    pub(crate) fn wake_at(&self, due: Instant, waker: Waker) -> Option<DeadlineKey> {
        self.register(None, due, Target::Waker(waker))
    }

    /// Registers a target in place of `before`, and starts or wakes the thread if need be.
    ///
    /// # Panics
    /// If the thread cannot be started. Then nothing has been registered.
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
            // Wakers of users may be among them, so they are dropped after the lock is released.
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

    /// Removes a deadline. Returns whether it had not been fired yet.
    pub(crate) fn disarm(&self, key: DeadlineKey) -> bool {
        // Two statements, so that a waker is dropped after the lock is released.
        let target = self.shared.deadlines.lock().entries.remove(&key);
        target.is_some()
    }

    /// Returns the next deadline, for the driver that moves a virtual clock.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.shared.deadlines.lock().next_due()
    }

    /// Fires all deadlines up to `now`, for the driver that moves a virtual clock.
    pub(crate) fn fire_due(&self, now: Instant) {
        let due = self.shared.deadlines.lock().take_due(now);
        due.into_iter().for_each(Target::fire);
    }

    /// Returns whether the thread has been started.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn has_thread(&self) -> bool {
        self.shared.deadlines.lock().thread.is_some()
    }

    /// Ends the thread and wakes all futures that wait. A `sleep` is ready then, and a wait for a
    /// socket ends with an error.
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
            // An error needs no handling: the only user code on the thread is wakers, whose panics
            // are contained.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Starts the thread, if there is none.
    fn start_thread(self: &Arc<Self>, deadlines: &mut Deadlines) -> io::Result<()> {
        // Under the lock, so that only one thread is started.
        if deadlines.thread.is_none() && !deadlines.stopped {
            let shared = self.clone();
            let thread = std::thread::Builder::new()
                .name("insula-events".to_owned())
                .spawn(move || shared.run(&Clock::System))?;
            deadlines.thread = Some(thread);
        }
        Ok(())
    }

    /// Wakes the thread, whether it sleeps on the condition variable or in the poller.
    fn wake(&self, deadlines: MutexGuard<'_, Deadlines>) {
        let poller = deadlines.poller.clone();
        drop(deadlines);
        match poller {
            // This fails only if the poller is broken, and then the thread is not inside of it.
            Some(poller) => drop(poller.notify()),
            None => self.changed.notify_one(),
        }
    }

    /// Returns the poller. Makes it first if need be, and starts the thread.
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
        // The thread may sleep on the condition variable, where sockets do not wake it.
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
                // From the start again: the wakers took time, and may have added deadlines.
                continue;
            }
            let next = deadlines.next_due();
            deadlines.rest = next.map_or(Rest::ForEver, Rest::Until);
            let timeout = next.map(|next| next.saturating_duration_since(now));
            deadlines = match deadlines.poller.clone() {
                Some(poller) => {
                    // A wake-up between here and the wait is not lost: `notify` leaves an event in
                    // the poller.
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

    /// Waits for sockets until the time-out, and wakes the futures that wait for the ready ones.
    fn poll(&self, poller: &Poller, events: &mut Events, timeout: Option<std::time::Duration>) {
        events.clear();
        // The only error of a working poller is an interruption, and the caller's loop waits again.
        if poller.wait(events, timeout).is_err() || events.is_empty() {
            return;
        }
        // Looked up first, since wakers must not run under the lock.
        let ready = self.sources.lock().of(events);
        for (source, event) in ready {
            // Without edges an event ends the interest in both directions. So the waiters of both
            // are woken, and register their interest again if they wait again.
            let both = !poller.supports_edge();
            source.notice(if both { Event::all(event.key) } else { event });
        }
    }
}
