//! Waiting for an instant as a future.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Action, cancel, start};
use crate::event_handler::DeadlineKey;
use crate::isolate::{Current, IsolateRef};
use crate::record::SystemRecord;
use crate::runtime::Runtime;
use crate::slab::Key;
use crate::task::{self, Wakeup};
use crate::time::Instant;

/// Waits until `duration` has passed: in an isolate as one of its timers, elsewhere (on any
/// executor) through the current runtime's event handler.
///
/// # Cancellation
/// Dropping the future takes the deadline back.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep {
        deadline: Instant::now() + duration,
        is_later: !duration.is_zero(),
        state: State::Idle,
    }
}

/// As [`sleep`], until an instant.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        is_later: false,
        state: State::Idle,
    }
}

/// Waits for an instant. Made by [`sleep`] and [`sleep_until`].
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    /// It was in the future a moment ago: the first poll need not read the clock again.
    is_later: bool,
    state: State,
}

enum State {
    Idle,
    /// A timer of an isolate.
    Isolate(IsolateRef, Key),
    Handler(Runtime, DeadlineKey),
    Done,
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_later {
            // The first poll: there is nothing to stop.
            self.is_later = false;
            self.state = register(self.deadline, cx);
            return Poll::Pending;
        }
        let poll = match &self.state {
            State::Done => Some(Poll::Ready(())),
            State::Isolate(home, key) => poll_timer(home, *key, cx),
            State::Idle | State::Handler(..) => {
                (self.deadline <= Instant::now()).then_some(Poll::Ready(()))
            }
        };
        match poll {
            Some(Poll::Pending) => Poll::Pending,
            Some(Poll::Ready(())) => {
                self.stop();
                self.state = State::Done;
                Poll::Ready(())
            }
            None => {
                self.stop();
                self.state = register(self.deadline, cx);
                Poll::Pending
            }
        }
    }
}

impl Sleep {
    /// The instant that it waits for.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    fn stop(&mut self) {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle | State::Done => {}
            State::Isolate(home, key) => Current::with(|current| match current {
                Some(isolate) if isolate.is(&raw const *home) => drop(cancel(isolate, key)),
                // A dead isolate has dropped its timers.
                _ => drop(home.post(Cancel(key))),
            }),
            State::Handler(runtime, key) => runtime.core().event_handler().disarm(key),
        }
    }
}

fn register(deadline: Instant, cx: &Context<'_>) -> State {
    Current::with(|current| match current {
        Some(isolate) => {
            let action = Action::Wake(Wakeup::capture(isolate, cx));
            let key = start(isolate, deadline, action);
            State::Isolate(IsolateRef::new(isolate.core()), key)
        }
        None => {
            let runtime = Runtime::current();
            let handler = runtime.core().event_handler();
            let key = handler.wake_at(deadline, cx.waker().clone());
            State::Handler(runtime, key)
        }
    })
}

/// A timer that is there no more has fired. Another waker takes the place of the one before.
/// `None` in another isolate, or outside of any.
fn poll_timer(home: &IsolateRef, key: Key, cx: &Context<'_>) -> Option<Poll<()>> {
    Current::with(|current| {
        let isolate = current.filter(|isolate| isolate.is(home.as_ptr().as_ptr()))?;
        let own = task::own_task(isolate, cx);
        let replaced = isolate.with_events(|events| {
            let Action::Wake(wakeup) = &mut events.timers.entries.get_mut(key)?.action else {
                return None;
            };
            match (own, &wakeup) {
                (Some(own), Wakeup::Task(task)) if own == *task => Some(None),
                _ => Some(Some(std::mem::take(wakeup))),
            }
        });
        let Some(replaced) = replaced else {
            return Some(Poll::Ready(()));
        };
        if replaced.is_some() {
            let wakeup = Wakeup::capture(isolate, cx);
            isolate.with_events(|events| {
                if let Some(entry) = events.timers.entries.get_mut(key) {
                    entry.action = Action::Wake(wakeup);
                }
            });
        }
        Some(Poll::Pending)
    })
}

/// A sleep that was moved out of its isolate has been dropped.
struct Cancel(Key);

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
