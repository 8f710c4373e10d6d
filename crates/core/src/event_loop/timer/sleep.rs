//! A future that waits for an instant.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Action, cancel, start};
use crate::event_loop::task::{self, Wakeup};
use crate::memory::record::SystemRecord;
use crate::memory::slab::Key;
use crate::memory::{Current, IsolateRef};
use crate::runtime::Runtime;
use crate::runtime::event_handler::DeadlineKey;
use crate::runtime::time::Instant;

/// Waits until `duration` has passed: in an isolate as one of its timers, elsewhere (on any
/// executor) through the event handler of the runtime that is current at the first poll.
///
/// # Cancellation
/// Dropping the future cancels the deadline.
///
/// # Shutdown
/// In an isolate the future is dropped with the isolate. Elsewhere it becomes ready when its
/// runtime is [shut down](Runtime::shut_down), or at its first poll if that comes later: it ends
/// early rather than never. A loop that sleeps checks [`Runtime::is_shut_down`] before it
/// continues.
///
/// # Panics
/// When polled, if it is the runtime's first deadline and the operating system cannot start a
/// thread for it.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep {
        deadline: Instant::now() + duration,
        is_later: !duration.is_zero(),
        state: State::Idle,
    }
}

/// Waits until `deadline`, like [`sleep`]. A deadline that has passed is over at once.
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        is_later: false,
        state: State::Idle,
    }
}

/// A future that waits for an instant. Made by [`sleep`] and [`sleep_until`].
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    deadline: Instant,
    /// Set until the first poll if the deadline was in the future: the clock is not read again.
    is_later: bool,
    state: State,
}

enum State {
    Idle,
    /// Waits as a timer of an isolate.
    Isolate(IsolateRef, Key),
    Handler(Runtime, DeadlineKey),
    /// The wait is over, or its runtime has been shut down.
    Done,
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_later {
            // The first poll: there is no wait to stop.
            self.is_later = false;
            return self.wait(None, cx);
        }
        let poll = match &self.state {
            State::Done => Some(Poll::Ready(())),
            State::Isolate(home, key) => poll_timer(home, *key, cx),
            State::Idle => (self.deadline <= Instant::now()).then_some(Poll::Ready(())),
            // A deadline that can no longer be disarmed has fired, maybe by its runtime's shutdown.
            State::Handler(runtime, key) => {
                let handler = runtime.core().event_handler();
                let is_over = self.deadline <= runtime.now() || !handler.disarm(*key);
                is_over.then_some(Poll::Ready(()))
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
                // Registered anew, since this poll may come with another waker.
                let runtime = self.stop();
                self.wait(runtime, cx)
            }
        }
    }
}

impl Sleep {
    /// Returns the instant that the future waits for.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Starts to wait. Outside of isolates with `runtime`, or else with the current one.
    fn wait(&mut self, runtime: Option<Runtime>, cx: &Context<'_>) -> Poll<()> {
        self.state = register(self.deadline, runtime, cx);
        match self.state {
            State::Done => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Stops waiting. Returns the runtime with which it waited.
    fn stop(&mut self) -> Option<Runtime> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Idle | State::Done => None,
            State::Isolate(home, key) => {
                Current::with(|current| match current {
                    Some(isolate) if isolate.is(&raw const *home) => drop(cancel(isolate, key)),
                    // A dead isolate has dropped its timers.
                    _ => drop(home.post(Cancel(key))),
                });
                None
            }
            State::Handler(runtime, key) => {
                runtime.core().event_handler().disarm(key);
                Some(runtime)
            }
        }
    }
}

fn register(deadline: Instant, runtime: Option<Runtime>, cx: &Context<'_>) -> State {
    Current::with(|current| match current {
        Some(isolate) => {
            let action = Action::Wake(Wakeup::capture(isolate, cx));
            let key = start(isolate, deadline, action);
            State::Isolate(IsolateRef::new(isolate.core()), key)
        }
        None => {
            let runtime = runtime.unwrap_or_else(Runtime::current);
            let handler = runtime.core().event_handler();
            match handler.wake_at(deadline, cx.waker().clone()) {
                Some(key) => {
                    crate::blocking::block_on::awaits_event();
                    State::Handler(runtime, key)
                }
                None => State::Done,
            }
        }
    })
}

/// Polls a timer of `home`: a timer that is no longer in the table has fired. Replaces its waker
/// if another task polls. Returns `None` in another isolate, or outside of any.
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
                // Only moved here: a waker is foreign code, dropped and cloned outside of
                // `with_events`.
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

/// Cancels the timer of a sleep that was moved out of its isolate and dropped.
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
