//! Timers of isolates, and `sleep` for all code. Rules are those of `docs/conformance.md`.
//!
//! # Storage
//! One table holds all pending timers. A timer with zero delay is due at once and goes through
//! the lane as a [`ZeroTimer`] record, so it shares one order with messages (rule 3) and costs
//! no system call. The others are also in a heap, ordered by due time and then by creation. The
//! [`EventHandler`](crate::runtime::event_handler) knows only the earliest of them, and posts a
//! [`Timeout`] when that is due. A cancelled timer leaves the table at once. Its entry in the heap
//! is skipped, and removed when half of the heap consists of such entries.
//!
//! # Order
//! The record of a zero timer runs first all timers that sort before it, then the timer itself. A
//! timeout runs all timers that are due and sort before the first zero timer (rule 4). Microtasks
//! run after each callback (rule 5). A timer never fires early. If a callback panics, the other
//! timers are kept, and the next event runs them (rule 28).
//!
//! # Periodic timers
//! The next due time is the last one plus the period, whenever the callback ran, so the timer does
//! not drift. Missed periods are not repeated: one callback counts them all (rule 34).

mod sleep;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use crate::event_loop::drain_microtasks;
use crate::event_loop::task::Wakeup;
use crate::memory::record::SystemRecord;
use crate::memory::slab::{Key, Slab};
use crate::memory::{Current, IsolateRef};
use crate::runtime::event_handler::DeadlineKey;
use crate::runtime::time::Instant;
pub use sleep::{Sleep, sleep, sleep_until};

/// A timer's place in the order of timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct TimerOrder {
    due: Instant,
    serial: u64,
}

enum Action {
    Call(Box<dyn FnOnce()>),
    Wake(Wakeup),
    /// Boxed, since most timers run once, and each entry moves in and out of the table.
    Repeat(Box<Repeated>),
}

struct Repeated {
    periodic: Periodic,
    /// `None` while it runs.
    callback: Option<Callback>,
}

type Callback = Box<dyn FnMut(Timer, u64)>;

#[derive(Clone, Copy)]
struct Periodic {
    period: Duration,
    tick: u64,
}

struct Entry {
    place: TimerOrder,
    is_zero: bool,
    action: Action,
}

#[derive(Default)]
pub(crate) struct Timers {
    /// All pending timers. Bounded by what the isolate waits for.
    entries: Slab<Entry>,
    /// Timers with a delay, earliest first; some of them are no longer in `entries`.
    heap: BinaryHeap<Reverse<(TimerOrder, Key)>>,
    /// The number of entries in `heap` without a timer.
    stale: usize,
    /// Timers without a delay, in the order of their records; cancelled ones are included.
    zeros: VecDeque<Key>,
    next_serial: u64,
    /// The deadline that the event handler knows: at most the earliest due time.
    armed: Option<DeadlineKey>,
}

impl Timers {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns the time at which the next timer with a delay is due. A cancelled one may still be
    /// among them for a while.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((place, _))| place.due)
    }

    fn next_place(&mut self, due: Instant) -> TimerOrder {
        let serial = self.next_serial;
        self.next_serial += 1;
        TimerOrder { due, serial }
    }

    #[inline]
    fn insert(&mut self, due: Instant, action: Action) -> Key {
        let place = self.next_place(due);
        let key = self.entries.insert(Entry {
            place,
            is_zero: false,
            action,
        });
        self.heap.push(Reverse((place, key)));
        key
    }

    /// Inserts a timer that is due now. With no delayed timers pending it sorts first, so the clock
    /// is not read.
    #[inline]
    fn insert_zero(&mut self, now: impl FnOnce() -> Instant, action: Action) -> Key {
        let due = if self.heap.is_empty() {
            Instant::FIRST
        } else {
            now()
        };
        let place = self.next_place(due);
        let key = self.entries.insert(Entry {
            place,
            is_zero: true,
            action,
        });
        // Not in the heap: the lane keeps zero timers in order, however many there are.
        self.zeros.push_back(key);
        key
    }

    #[inline]
    fn remove(&mut self, key: Key) -> Option<Action> {
        let Entry {
            is_zero, action, ..
        } = self.entries.remove(key)?;
        // A periodic timer whose callback runs is not in the heap, so it leaves no stale entry
        // there.
        let is_running = matches!(&action, Action::Repeat(it) if it.callback.is_none());
        if !is_zero && !is_running {
            self.stale += 1;
            self.clear_away();
        }
        Some(action)
    }

    /// Takes all timers out, and the deadline that the event handler knows, for a teardown.
    pub(crate) fn take_all(&mut self) -> (Vec<impl Sized + use<>>, Option<DeadlineKey>) {
        self.heap.clear();
        self.zeros.clear();
        self.stale = 0;
        (self.entries.take_all(), self.armed.take())
    }

    fn clear_away(&mut self) {
        if self.stale == self.heap.len() {
            self.heap.clear();
            self.stale = 0;
        } else if self.stale > 64 && self.stale * 2 > self.heap.len() {
            // At half of the heap, so that a sweep costs a constant number of steps per stale
            // entry.
            let mut places = std::mem::take(&mut self.heap).into_vec();
            places.retain(|Reverse((_, key))| self.entries.get_mut(*key).is_some());
            self.heap = places.into();
            self.stale = 0;
        }
    }

    /// Returns the earliest timer with a delay.
    #[inline]
    fn first(&mut self) -> Option<(TimerOrder, Key)> {
        while let Some(&Reverse((place, key))) = self.heap.peek() {
            if self.entries.get_mut(key).is_some() {
                return Some((place, key));
            }
            self.heap.pop();
            self.stale -= 1;
        }
        None
    }

    /// Returns the place of the first zero timer that waits for its record.
    fn first_zero(&mut self) -> Option<TimerOrder> {
        while let Some(&key) = self.zeros.front() {
            if let Some(entry) = self.entries.get_mut(key) {
                return Some(entry.place);
            }
            self.zeros.pop_front();
        }
        None
    }

    /// Takes the first timer with a delay, if its place is before `limit`.
    #[inline]
    fn pop_before(&mut self, limit: TimerOrder) -> Option<Due> {
        let (place, key) = self.first()?;
        if place >= limit {
            return None;
        }
        self.heap.pop();
        self.take(key)
    }

    /// Takes a zero timer when its record has arrived.
    #[inline]
    fn take_zero(&mut self, key: Key) -> Option<Due> {
        // In front of it are cancelled timers only. If it is itself cancelled, `first_zero` may have
        // skipped it already, and the timers that are left come later.
        while let Some(&front) = self.zeros.front() {
            if front != key && self.entries.get_mut(front).is_some() {
                break;
            }
            self.zeros.pop_front();
            if front == key {
                break;
            }
        }
        self.take(key)
    }

    /// Takes what is to run. A periodic timer stays in the table.
    #[inline]
    fn take(&mut self, key: Key) -> Option<Due> {
        let entry = self.entries.get_mut(key)?;
        if let Action::Repeat(repeated) = &mut entry.action {
            let callback = repeated.callback.take()?;
            let due = entry.place.due;
            return Some(Due::Again(key, repeated.periodic, due, callback));
        }
        self.entries
            .remove(key)
            .map(|entry| Due::Once(entry.action))
    }
}

/// A timer that is due.
enum Due {
    Once(Action),
    Again(Key, Periodic, Instant, Callback),
}

impl Due {
    #[inline]
    fn run(self, isolate: Current<'_>) {
        match self {
            Self::Once(Action::Call(callback)) => callback(),
            Self::Once(Action::Wake(wakeup)) => wakeup.wake(isolate),
            Self::Once(Action::Repeat(_)) => unreachable!("a periodic timer runs again"),
            Self::Again(key, periodic, due, callback) => {
                Repetition::new(isolate, key, periodic, due, callback).run();
            }
        }
    }
}

/// A periodic timer while its callback runs. When dropped, also after a panic of the callback, it
/// starts the timer anew unless it was cancelled.
struct Repetition<'a> {
    isolate: Current<'a>,
    key: Key,
    periodic: Periodic,
    next: Option<Instant>,
    callback: Option<Callback>,
}

impl<'a> Repetition<'a> {
    fn new(
        isolate: Current<'a>,
        key: Key,
        mut periodic: Periodic,
        due: Instant,
        callback: Callback,
    ) -> Self {
        let period = periodic.period;
        let now = isolate.runtime.clock().now();
        let overdue = now - due;
        let missed = if period.is_zero() {
            0
        } else {
            u64::try_from(overdue.as_nanos() / period.as_nanos()).unwrap_or(u64::MAX)
        };
        let passed = missed.saturating_add(1);
        periodic.tick = periodic.tick.saturating_add(passed);
        let periods = u128::from(passed) * period.as_nanos();
        let next = if period.is_zero() {
            // As if it were made now. With its old time it would sort before every timer with a
            // delay, and these would never run.
            Some(now)
        } else {
            let next = due + Duration::from_nanos(u64::try_from(periods).unwrap_or(u64::MAX));
            // At the end of time, where instants saturate, the timer does not run again.
            (next > due).then_some(next)
        };
        isolate.with_events(|events| {
            let entry = events.timers.entries.get_mut(key);
            if let Some(Action::Repeat(repeated)) = entry.map(|entry| &mut entry.action) {
                repeated.periodic = periodic;
            }
        });
        Self {
            isolate,
            key,
            periodic,
            next,
            callback: Some(callback),
        }
    }

    fn run(mut self) {
        let timer = Timer {
            isolate: self.isolate.id,
            key: self.key,
        };
        if let Some(callback) = &mut self.callback {
            callback(timer, self.periodic.tick);
        }
    }
}

impl Drop for Repetition<'_> {
    fn drop(&mut self) {
        let (isolate, key) = (self.isolate, self.key);
        let is_zero = self.periodic.period.is_zero();
        let Some(next) = self.next else {
            drop(isolate.with_events(|events| events.timers.entries.remove(key)));
            return;
        };
        let goes_on = isolate.with_events(|events| {
            let timers = &mut events.timers;
            let place = timers.next_place(next);
            let Some(entry) = timers.entries.get_mut(key) else {
                return false;
            };
            entry.place = place;
            if let Action::Repeat(repeated) = &mut entry.action {
                repeated.callback = self.callback.take();
            }
            if is_zero {
                timers.zeros.push_back(key);
            } else {
                timers.heap.push(Reverse((place, key)));
            }
            true
        });
        if goes_on && is_zero {
            // A dying isolate drops its timers.
            let _ = isolate.post(ZeroTimer(key));
        }
    }
}

/// The record of a zero timer.
struct ZeroTimer(Key);

impl SystemRecord for ZeroTimer {
    fn run(self, isolate: Current<'_>) {
        let due = isolate.with_events(|events| {
            let timers = &mut events.timers;
            // Without a delayed timer none sorts before this one.
            if timers.heap.is_empty() {
                return Ok(timers.take_zero(self.0));
            }
            Err(timers.entries.get_mut(self.0).map(|entry| entry.place))
        });
        match due {
            Ok(due) => {
                if let Some(due) = due {
                    due.run(isolate);
                }
            }
            Err(None) => {}
            Err(Some(place)) => {
                let mut again = Again(isolate, Some(self.0));
                let _armed = Armed(isolate);
                let goes_on = fire_before(isolate, place);
                again.1 = None;
                // One of these callbacks may have cancelled it, or ended the isolate.
                let due = isolate.with_events(|events| events.timers.take_zero(self.0));
                if goes_on && let Some(due) = due {
                    due.run(isolate);
                }
            }
        }
    }
}

/// A zero timer while timers run that sort before it. If one of them panics, its record is
/// posted again, after what is queued by then.
struct Again<'a>(Current<'a>, Option<Key>);

impl Drop for Again<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.1 {
            // A dying isolate drops its timers.
            let _ = self.0.post(ZeroTimer(key));
        }
    }
}

/// The record that the event handler posts when the earliest timer is due.
pub(crate) struct Timeout;

impl SystemRecord for Timeout {
    fn run(self, isolate: Current<'_>) {
        let now = isolate.runtime.clock().now();
        let limit = isolate.with_events(|events| {
            // The event handler forgets a deadline when it fires.
            events.timers.armed = None;
            let due = TimerOrder {
                due: now,
                serial: u64::MAX,
            };
            events.timers.first_zero().map_or(due, |zero| zero.min(due))
        });
        let _armed = Armed(isolate);
        fire_before(isolate, limit);
    }
}

/// Runs the timers before `limit`. Returns `false` if the isolate is ending: no further callback
/// may run.
fn fire_before(isolate: Current<'_>, limit: TimerOrder) -> bool {
    // One at a time: a callback may cancel the next timer, or start an earlier one.
    while let Some(due) = isolate.with_events(|events| events.timers.pop_before(limit)) {
        due.run(isolate);
        if !drain_microtasks(isolate) {
            return false;
        }
    }
    true
}

/// Arms the earliest remaining timer when dropped, after timers have fired or one panicked.
struct Armed<'a>(Current<'a>);

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        arm(self.0);
    }
}

/// Arms the earliest timer, unless the event handler already knows it or an earlier one.
fn arm(isolate: Current<'_>) {
    let (first, armed) = isolate.with_events(|events| (events.timers.first(), events.timers.armed));
    let Some((TimerOrder { due, .. }, _)) = first else {
        return;
    };
    if armed.is_some_and(|key| key.due() <= due) || isolate.local().flags.dying.get() {
        return;
    }
    let key = isolate
        .runtime
        .event_handler()
        .arm(armed, due, IsolateRef::new(isolate.core()));
    isolate.with_events(|events| events.timers.armed = key);
}

fn start(isolate: Current<'_>, due: Instant, action: Action) -> Key {
    let (key, is_known) = isolate.with_events(|events| {
        let timers = &mut events.timers;
        let key = timers.insert(due, action);
        (key, timers.armed.is_some_and(|armed| armed.due() <= due))
    });
    // Otherwise it may be the earliest.
    if !is_known {
        arm(isolate);
    }
    key
}

fn start_zero(isolate: Current<'_>, action: Action) -> Key {
    let now = || isolate.runtime.clock().now();
    let key = isolate.with_events(|events| events.timers.insert_zero(now, action));
    // A dying isolate drops its timers.
    let _ = isolate.post(ZeroTimer(key));
    key
}

/// Starts a timer of the runtime's own.
pub(crate) fn call_at(
    isolate: Current<'_>,
    due: Instant,
    callback: impl FnOnce() + 'static,
) -> Key {
    start(isolate, due, Action::Call(Box::new(callback)))
}

pub(crate) fn cancel(isolate: Current<'_>, key: Key) -> bool {
    let action = isolate.with_events(|events| events.timers.remove(key));
    // The action holds a value of the user, so it is dropped after `with_events` has returned.
    action.is_some()
}

/// A handle to a callback that runs later, once or repeatedly, in the isolate that made it.
/// Dropping the handle changes nothing; a pending timer keeps its isolate alive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Timer {
    isolate: u64,
    key: Key,
}

impl Timer {
    /// Runs `callback` after everything that is queued now, without any system call.
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn run(callback: impl FnOnce() + Send + 'static) -> Self {
        Self::after(Duration::ZERO, callback)
    }

    /// Runs `callback` once `delay` has passed, never earlier. Timers that are due at the same time
    /// run in the order in which they were made.
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn after(delay: Duration, callback: impl FnOnce() + Send + 'static) -> Self {
        Self::start(delay, Action::Call(Box::new(callback)))
    }

    /// Runs `callback` repeatedly, first when `period` has passed. It gets the timer, to
    /// [cancel](Self::cancel) it, and the number of periods that have passed so far: more than one
    /// since the last call if the isolate was busy, or paused, for that long.
    ///
    /// With a period of zero it runs once in each round of the queue.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # insula_core::block_on(async {
    /// use insula_core::{Isolate, Timer, one_shot};
    /// let (done, finished) = one_shot();
    /// let mut done = Some(done);
    /// Isolate::spawn(
    ///     move |()| {
    ///         Timer::periodic(Duration::from_millis(1), move |timer, tick| {
    ///             if tick >= 3
    ///                 && let Some(done) = done.take()
    ///             {
    ///                 timer.cancel();
    ///                 done.send(tick);
    ///             }
    ///         });
    ///     },
    ///     (),
    /// );
    /// assert!(finished.await.is_ok_and(|tick| tick >= 3));
    /// # });
    /// ```
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn periodic(period: Duration, callback: impl FnMut(Self, u64) + Send + 'static) -> Self {
        let repeated = Repeated {
            periodic: Periodic { period, tick: 0 },
            callback: Some(Box::new(callback)),
        };
        Self::start(period, Action::Repeat(Box::new(repeated)))
    }

    fn start(delay: Duration, action: Action) -> Self {
        Current::with(|isolate| {
            let isolate = isolate.expect("a Timer needs a current isolate");
            let key = if delay.is_zero() {
                start_zero(isolate, action)
            } else {
                start(isolate, isolate.runtime.clock().now() + delay, action)
            };
            Self {
                isolate: isolate.id,
                key,
            }
        })
    }

    /// Cancels the timer. Returns whether its callback was still pending.
    ///
    /// # Panics
    /// Outside the isolate that made the timer.
    pub fn cancel(self) -> bool {
        self.here(|isolate| cancel(isolate, self.key))
    }

    /// Returns whether the callback is still pending.
    ///
    /// # Panics
    /// Outside the isolate that made the timer.
    pub fn is_active(self) -> bool {
        self.here(|isolate| {
            isolate.with_events(|events| events.timers.entries.get_mut(self.key).is_some())
        })
    }

    /// Returns the number of periods that have passed for a [periodic](Self::periodic) timer, as
    /// its last callback was told; `None` for a cancelled timer and for others.
    ///
    /// # Panics
    /// Outside the isolate that made the timer.
    pub fn tick(self) -> Option<u64> {
        self.here(|isolate| {
            isolate.with_events(
                |events| match &events.timers.entries.get_mut(self.key)?.action {
                    Action::Repeat(repeated) => Some(repeated.periodic.tick),
                    Action::Call(_) | Action::Wake(_) => None,
                },
            )
        })
    }

    fn here<R>(self, f: impl FnOnce(Current<'_>) -> R) -> R {
        Current::with(|current| match current {
            Some(isolate) if isolate.id == self.isolate => f(isolate),
            _ => panic!("a Timer can only be used by the isolate that made it"),
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
