//! Runs a handler's future so that no panic escapes and a cancelled one comes to an end.

use std::fmt;
use std::pin::{Pin, pin};
use std::task::{self, Poll, ready};

use insula_core::{Sleep, catch_panic, sleep, sleep_until};

use crate::context::Context;
use crate::error::CancelledBy;
use crate::scoped::{ScopedTasks, give_up_all};

/// Why a handler came to no result of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It panicked.
    Panicked(Panic),
    /// It was cancelled and did not end by itself in the grace period.
    Cancelled(CancelledBy),
}

/// The message and the location of a caught panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// Its message.
    pub message: String,
    /// `file:line:column`, if it is known.
    pub location: Option<String>,
}

/// Runs a handler's future, which stays where the responder has pinned it, to its end.
///
/// Each poll, and the drop of the future, catches panics. Once the call is cancelled, the
/// future has the grace period of the context to end by itself; then it is dropped. Gives an
/// error if the future panicked or was dropped after a cancellation.
///
/// The tasks that the handler spawns are part of the call: they are polled here, and it is over
/// when they are.
///
/// The output is measured in the same place, since the size of a value is the user's code too.
#[must_use = "futures do nothing unless they are awaited"]
pub struct Guard<'a, F: Future, B> {
    /// `None` once it has ended.
    future: Pin<&'a mut Option<F>>,
    cx: &'a Context,
    measure: B,
    /// Made when the handler waits for the first time, or has spawned. Most do neither, and drop
    /// nothing but a null pointer.
    waiting: Option<Box<Waiting<'a, F::Output>>>,
}

/// The part of a guard that a handler needs which waits or has tasks.
struct Waiting<'a, T> {
    watching: Watching<'a>,
    joining: Option<Joining<T>>,
}

/// The tasks of a call.
struct Joining<T> {
    tasks: ScopedTasks,
    /// The result of the handler, while they still run.
    output: Option<(T, u64)>,
}

/// The result of a handler, and the size of its response.
pub(crate) type Outcome<T> = Result<(T, u64), Stopped>;

/// Calls a handler: gives its future, or leaves its panic in `early`.
pub fn begin<F>(early: &mut Option<Panic>, handler: impl FnOnce() -> F) -> Option<F> {
    catch(handler).map_err(|panic| *early = Some(panic)).ok()
}

/// The outcome of a call for whose handler there was no service.
///
/// # Errors
/// Always: this panic.
pub fn no_handler<T>(panic: Panic) -> Result<(T, u64), Stopped> {
    Err(Stopped::Panicked(panic))
}

impl<'a, F: Future, B> Guard<'a, F, B> {
    pub(crate) fn new(future: Pin<&'a mut Option<F>>, cx: &'a Context, measure: B) -> Self {
        Self {
            future,
            cx,
            measure,
            waiting: None,
        }
    }

    fn waiting(&mut self) -> &mut Waiting<'a, F::Output> {
        let cx = self.cx;
        self.waiting.get_or_insert_with(|| {
            let (watching, joining) = (Watching::new(cx), None);
            Box::new(Waiting { watching, joining })
        })
    }

    fn has_tasks(&self) -> bool {
        let joining = self.waiting.as_ref().and_then(|it| it.joining.as_ref());
        joining.is_some() || self.cx.has_spawned()
    }

    /// Runs the tasks of the call, and keeps what its handler came to until they have ended.
    #[cold]
    fn join(
        &mut self,
        polled: Poll<(F::Output, u64)>,
        task: &mut task::Context<'_>,
    ) -> Poll<(F::Output, u64)> {
        let (cx, joining) = (self.cx, &mut self.waiting().joining);
        let running = joining.get_or_insert_with(|| {
            let (tasks, output) = (ScopedTasks::default(), None);
            Joining { tasks, output }
        });
        if let Poll::Ready(output) = polled {
            running.output = Some(output);
        }
        // Only the handler can spawn: a task outlives what it could borrow the context from.
        ready!(running.tasks.poll(cx, task));
        let output = joining.take().and_then(|joining| joining.output);
        output.map_or(Poll::Pending, Poll::Ready)
    }

    fn stop(&mut self, stopped: Stopped) -> Poll<Outcome<F::Output>> {
        // What the future still holds is the user's, and its drop may panic too.
        let dropped = catch(|| self.future.set(None));
        let cx = self.cx;
        let joining = self.waiting.as_mut().and_then(|it| it.joining.take());
        let dropped = match joining {
            // After a panic, those that were spawned in the same poll are not joined yet.
            None => dropped.and(give_up_all(cx.take_spawned())),
            Some(mut joining) => {
                let tasks = joining.tasks.give_up(cx);
                dropped.and(tasks).and(catch(move || drop(joining)))
            }
        };
        Poll::Ready(Err(dropped.map_or_else(Stopped::Panicked, |()| stopped)))
    }
}

// Nothing in here is pinned in place but the future, which its owner has pinned.
impl<F: Future, B> Unpin for Guard<'_, F, B> {}

impl<F: Future, B: Fn(&F::Output) -> u64> Future for Guard<'_, F, B> {
    type Output = Outcome<F::Output>;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // An output whose size panics is dropped outside of the unwinding, in which a panic of its drop
        // would end the process.
        let mut unmeasured = None;
        let span = this.cx.span();
        let polled = span.catch(|| {
            let polled = match poll_and_drop(this.future.as_mut(), task) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(output) => {
                    let bytes = (this.measure)(unmeasured.insert(output));
                    let output = unmeasured.take().map(|output| (output, bytes));
                    output.map_or(Poll::Pending, Poll::Ready)
                }
            };
            if this.has_tasks() {
                this.join(polled, task)
            } else {
                polled
            }
        });
        match polled {
            Ok(Poll::Ready(measured)) => Poll::Ready(Ok(measured)),
            Ok(Poll::Pending) => match self.waiting().watching.poll(task) {
                Poll::Pending => Poll::Pending,
                // Looked at after the handler, so that one which ends in this poll is not stopped.
                Poll::Ready(by) => self.stop(Stopped::Cancelled(by)),
            },
            Err(panic) => {
                let _second = catch(move || drop(unmeasured));
                self.stop(Stopped::Panicked(panic))
            }
        }
    }
}

impl<F: Future, B> fmt::Debug for Guard<'_, F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("is_over", &self.future.is_none())
            .finish_non_exhaustive()
    }
}

/// Polls a future, and drops it as soon as it is ready.
fn poll_and_drop<F: Future>(
    mut future: Pin<&mut Option<F>>,
    task: &mut task::Context<'_>,
) -> Poll<F::Output> {
    let polled = match future.as_mut().as_pin_mut() {
        Some(future) => future.poll(task),
        // A handler that has ended while its tasks still run.
        None => Poll::Pending,
    };
    // Here, inside of the caller's `catch`: the drop is the user's code, and may panic.
    if polled.is_ready() {
        future.set(None);
    }
    polled
}

/// Runs `future` to its end; a panic in it, or in its drop, comes back as a value.
///
/// # Errors
/// The future panicked.
pub async fn contain<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(Some(future));
    let outcome =
        std::future::poll_fn(
            |task| match catch(|| poll_and_drop(future.as_mut(), task)) {
                Ok(polled) => polled.map(Ok),
                Err(panic) => Poll::Ready(Err(panic)),
            },
        )
        .await;
    // After a panic the future is still there.
    catch(|| future.set(None)).and(outcome)
}

/// Sees to it that a call ends: enforces its deadline and the grace period of a cancelled one.
///
/// It does nothing, and costs nothing, for a handler that never waits.
pub(crate) struct Watching<'a> {
    cx: &'a Context,
    /// The place among the watchers of the cell.
    place: Option<u64>,
    /// Runs from the first wait of the handler.
    deadline: Deadline,
    /// Runs from the moment at which the cancellation was seen.
    grace: Option<Grace>,
}

type Timer = Pin<Box<Sleep>>;

enum Deadline {
    Unwatched,
    Ahead(Timer),
    /// There is none, or it has passed.
    Over,
}

struct Grace {
    by: CancelledBy,
    timer: Timer,
}

impl<'a> Watching<'a> {
    pub(crate) fn new(cx: &'a Context) -> Self {
        Self {
            cx,
            place: None,
            deadline: Deadline::Unwatched,
            grace: None,
        }
    }

    /// Ready once the call has been cancelled and its grace period is over.
    pub(crate) fn poll(&mut self, task: &mut task::Context<'_>) -> Poll<CancelledBy> {
        if self.grace.is_none() {
            let by = ready!(self.poll_cancelled(task));
            let period = self.cx.grace();
            if period.is_zero() {
                return Poll::Ready(by);
            }
            let timer = Box::pin(sleep(period));
            self.grace = Some(Grace { by, timer });
        }
        match &mut self.grace {
            Some(grace) => grace.timer.as_mut().poll(task).map(|()| grace.by),
            None => Poll::Pending,
        }
    }

    /// Ready once the call has been cancelled. That its deadline has passed is one cause, and this
    /// enforces it.
    pub(crate) fn poll_cancelled(&mut self, task: &mut task::Context<'_>) -> Poll<CancelledBy> {
        let signal = self.cx.signal();
        if let Deadline::Unwatched = self.deadline {
            self.deadline = match self.cx.deadline() {
                Some(deadline) => Deadline::Ahead(Box::pin(sleep_until(deadline))),
                None => Deadline::Over,
            };
        }
        if let Deadline::Ahead(timer) = &mut self.deadline
            && timer.as_mut().poll(task).is_ready()
        {
            self.deadline = Deadline::Over;
            // From here on an answer comes too late. A stream that is open has met its deadline.
            signal.expire();
        }
        if !signal.watch(&mut self.place, task.waker()) {
            return Poll::Pending;
        }
        // A cancellation is never taken back, so there is a cause once there is a flag.
        Poll::Ready(signal.cancelled_by().unwrap_or(CancelledBy::Caller))
    }
}

impl Drop for Watching<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place.take() {
            self.cx.signal().forget(place);
        }
    }
}

/// Measures a value of the caller. If that panics, the value counts with its own size: there is no
/// call yet that could fail.
pub(crate) fn measured<T>(value: &T, measure: impl FnOnce(&T) -> u64) -> u64 {
    catch(|| measure(value)).unwrap_or(size_of::<T>() as u64)
}

/// Runs `f`; a panic comes back as a value and is not reported anywhere else.
///
/// # Errors
/// `f` panicked.
pub fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    catch_panic(f).map_err(|report| Panic {
        message: report.message().to_owned(),
        location: report.location().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_with_its_message_and_location() {
        let panic = catch(|| -> u8 { panic!("number {}", 7) }).unwrap_err();
        assert_eq!(panic.message, "number 7");
        assert!(panic.location.unwrap().contains("guard.rs:"));
        assert_eq!(catch(|| 3), Ok(3));
    }

    #[test]
    fn catches_nest() {
        let outer = catch(|| {
            let inner = catch(|| panic!("inner")).unwrap_err();
            assert_eq!(inner.message, "inner");
            panic!("outer");
        });
        assert_eq!(outer.unwrap_err().message, "outer");
    }
}
