//! Timers of an isolate, and `sleep` for everybody.
//!
//! An isolate's timers lie in one map, ordered by due time and then by creation. A timer of
//! zero delay is due at once and goes through the lane as a [`ZeroTimer`] record, so it shares
//! one order with messages (rule 3) and costs no system call. Of the others only the earliest
//! is known to the [`EventHandler`](crate::event_handler), which posts a [`Timeout`] when it
//! is due.
//!
//! What runs when (rules 4 and 5): with a zero timer's record, first all timers that sort
//! before it, then it; with a timeout, all that are due and sort before the first zero timer.
//! Microtasks run after each callback. A timer never fires early.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::event_handler::DeadlineKey;
use crate::isolate::{Current, IsolateRef};
use crate::record::SystemRecord;
use crate::runtime;
use crate::task::Wakeup;
use crate::time::Instant;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct TimerKey {
    due: Instant,
    serial: u64,
}

enum Action {
    Call(Box<dyn FnOnce()>),
    Wake(Wakeup),
}

struct Entry {
    is_zero: bool,
    action: Action,
}

#[derive(Default)]
pub(crate) struct Timers {
    entries: BTreeMap<TimerKey, Entry>,
    next_serial: u64,
    /// What the event handler knows: at most the earliest due time.
    armed: Option<DeadlineKey>,
}

impl Timers {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn armed(&self) -> Option<DeadlineKey> {
        self.armed
    }

    fn insert(&mut self, due: Instant, is_zero: bool, action: Action) -> TimerKey {
        let key = TimerKey {
            due,
            serial: self.next_serial,
        };
        self.next_serial += 1;
        self.entries.insert(key, Entry { is_zero, action });
        key
    }

    /// Takes the first timer if it may run before, or as, the one with key `last`.
    fn pop_until(&mut self, last: TimerKey, zero: Option<TimerKey>) -> Option<Action> {
        let (&key, entry) = self.entries.first_key_value()?;
        let may_run = key <= last && (!entry.is_zero || Some(key) == zero);
        if !may_run {
            return None;
        }
        self.entries.remove(&key).map(|entry| entry.action)
    }

    fn first_due(&self) -> Option<Instant> {
        self.entries
            .iter()
            .find(|(_, entry)| !entry.is_zero)
            .map(|(key, _)| key.due)
    }
}

/// A zero timer's turn.
struct ZeroTimer(TimerKey);

impl SystemRecord for ZeroTimer {
    fn run(self, isolate: Current<'_>) {
        fire(isolate, self.0, Some(self.0));
    }
}

/// The earliest timer is due.
pub(crate) struct Timeout;

impl SystemRecord for Timeout {
    fn run(self, isolate: Current<'_>) {
        isolate.with_events(|events| events.timers.armed = None);
        let due = isolate.runtime.clock().now();
        fire(
            isolate,
            TimerKey {
                due,
                serial: u64::MAX,
            },
            None,
        );
    }
}

fn fire(isolate: Current<'_>, last: TimerKey, zero: Option<TimerKey>) {
    while let Some(action) = isolate.with_events(|events| events.timers.pop_until(last, zero)) {
        match action {
            Action::Call(callback) => callback(),
            Action::Wake(wakeup) => wakeup.wake(isolate),
        }
        isolate.run_microtasks();
    }
    arm(isolate);
}

/// Tells the event handler of the earliest timer, if it does not know that or an earlier one.
fn arm(isolate: Current<'_>) {
    let (due, armed) =
        isolate.with_events(|events| (events.timers.first_due(), events.timers.armed));
    let Some(due) = due else { return };
    if armed.is_some_and(|key| key.due() <= due) {
        return;
    }
    let key = isolate
        .runtime
        .event_handler()
        .arm(armed, due, IsolateRef::new(isolate.core()));
    isolate.with_events(|events| events.timers.armed = Some(key));
}

fn start(isolate: Current<'_>, due: Instant, action: Action) -> TimerKey {
    let key = isolate.with_events(|events| events.timers.insert(due, false, action));
    arm(isolate);
    key
}

fn start_zero(isolate: Current<'_>, action: Action) -> TimerKey {
    let now = isolate.runtime.clock().now();
    let key = isolate.with_events(|events| events.timers.insert(now, true, action));
    // A dying isolate drops its timers.
    let _ = isolate.post(ZeroTimer(key));
    key
}

fn cancel(isolate: Current<'_>, key: TimerKey) -> bool {
    let entry = isolate.with_events(|events| events.timers.entries.remove(&key));
    entry.is_some()
}

/// A callback that runs once, later, in the isolate that made it. Dropping the handle changes
/// nothing; a pending timer keeps its isolate alive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timer {
    isolate: u64,
    key: TimerKey,
}

impl Timer {
    /// Runs `callback` behind everything that is queued now, without any system call.
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn run(callback: impl FnOnce() + Send + 'static) -> Self {
        Self::after(Duration::ZERO, callback)
    }

    /// Runs `callback` not before `delay` has passed. Timers that are due at the same time run
    /// in the order in which they were made.
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn after(delay: Duration, callback: impl FnOnce() + Send + 'static) -> Self {
        Current::with(|isolate| {
            let isolate = isolate.expect("a Timer needs a current isolate");
            let action = Action::Call(Box::new(callback));
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

    /// Takes the callback back. Tells whether it was still to come.
    ///
    /// # Panics
    /// Outside the isolate that made the timer.
    pub fn cancel(self) -> bool {
        self.here(|isolate| cancel(isolate, self.key))
    }

    /// Whether the callback is still to come.
    ///
    /// # Panics
    /// Outside the isolate that made the timer.
    pub fn is_active(self) -> bool {
        self.here(|isolate| {
            isolate.with_events(|events| events.timers.entries.contains_key(&self.key))
        })
    }

    fn here<R>(self, f: impl FnOnce(Current<'_>) -> R) -> R {
        Current::with(|current| match current {
            Some(isolate) if isolate.id == self.isolate => f(isolate),
            _ => panic!("a Timer can only be used by the isolate that made it"),
        })
    }
}

/// Waits until `duration` has passed: in an isolate as one of its timers, elsewhere (on any
/// executor) through the current runtime's event handler.
///
/// # Cancellation
/// Dropping the future takes the deadline back.
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(Instant::now() + duration)
}

/// As [`sleep`], until an instant.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        state: State::Idle,
    }
}

/// Waits for an instant. Made by [`sleep`] and [`sleep_until`].
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    state: State,
}

enum State {
    Idle,
    Isolate(IsolateRef, TimerKey),
    Handler(runtime::Runtime, DeadlineKey),
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline <= Instant::now() {
            self.stop();
            return Poll::Ready(());
        }
        // A new registration with each poll: the waker may be another one.
        self.stop();
        let deadline = self.deadline;
        self.state = Current::with(|current| match current {
            Some(isolate) => {
                let wakeup = Wakeup::capture(isolate, cx);
                let key = start(isolate, deadline, Action::Wake(wakeup));
                State::Isolate(IsolateRef::new(isolate.core()), key)
            }
            None => {
                let runtime = runtime::Runtime::current();
                let key = runtime
                    .core()
                    .event_handler()
                    .wake_at(deadline, cx.waker().clone());
                State::Handler(runtime, key)
            }
        });
        Poll::Pending
    }
}

impl Sleep {
    /// The instant that it waits for.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    fn stop(&mut self) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle => {}
            State::Isolate(home, key) => Current::with(|current| match current {
                Some(isolate) if isolate.is(&raw const *home) => drop(cancel(isolate, key)),
                // A dead isolate has dropped its timers.
                _ => drop(home.post(Cancel(key))),
            }),
            State::Handler(runtime, key) => runtime.core().event_handler().disarm(key),
        }
    }
}

/// A sleep that was moved out of its isolate has been dropped.
struct Cancel(TimerKey);

impl SystemRecord for Cancel {
    fn run(self, isolate: Current<'_>) {
        cancel(isolate, self.0);
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
