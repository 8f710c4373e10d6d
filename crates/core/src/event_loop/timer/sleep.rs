//! Waiting for an instant as a future.

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
/// Dropping the future takes the deadline back.
///
/// # Shutdown
/// In an isolate the future is dropped with the isolate. Elsewhere it is ready at once when its
/// runtime is [shut down](Runtime::shut_down), and so is one that is polled first after that: it
/// ends early rather than never. A loop that sleeps asks [`Runtime::is_shut_down`] whether to go
/// on.
///
/// # Panics
/// When polled, if the operating system has no thread left for the runtime's first deadline.
pub fn sleep(duration: Duration) -> Sleep {
    Sleep {
        deadline: Instant::now() + duration,
        is_later: !duration.is_zero(),
        state: State::Idle,
    }
}

/// As [`sleep`], until an instant. An instant that has passed is over at once.
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
    /// Also of a runtime that has been shut down.
    Done,
}

impl Future for Sleep {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_later {
            // The first poll: there is nothing to stop.
            self.is_later = false;
            return self.wait(None, cx);
        }
        let poll = match &self.state {
            State::Done => Some(Poll::Ready(())),
            State::Isolate(home, key) => poll_timer(home, *key, cx),
            State::Idle => (self.deadline <= Instant::now()).then_some(Poll::Ready(())),
            // It has fired if it is not there any more, be it by the shutdown of its runtime.
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
                let runtime = self.stop();
                self.wait(runtime, cx)
            }
        }
    }
}

impl Sleep {
    /// The instant that it waits for.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Outside of isolates with `runtime`, or else with the current one.
    fn wait(&mut self, runtime: Option<Runtime>, cx: &Context<'_>) -> Poll<()> {
        self.state = register(self.deadline, runtime, cx);
        match self.state {
            State::Done => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Returns the runtime with which it waited.
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
