//! Runs a handler's future so that no panic escapes and a cancelled one comes to an end.

use std::fmt;
use std::pin::{Pin, pin};
use std::task::{self, Poll};

use insula_core::{Sleep, catch_panic, sleep};

use crate::context::{Context, Watch};
use crate::error::CancelledBy;

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
#[must_use = "futures do nothing unless they are awaited"]
pub struct Guard<'a, F> {
    /// `None` once it has ended, or if the handler panicked before it gave a future.
    future: Pin<&'a mut Option<F>>,
    /// The panic of a handler that gave no future.
    early: &'a mut Option<Panic>,
    watchdog: Watchdog<'a>,
}

/// Calls a handler: gives its future, or leaves its panic in `early`.
pub fn begin<F>(early: &mut Option<Panic>, handler: impl FnOnce() -> F) -> Option<F> {
    catch(handler).map_err(|panic| *early = Some(panic)).ok()
}

impl<'a, F: Future> Guard<'a, F> {
    /// Guards what [`begin`] has begun.
    pub fn new(
        future: Pin<&'a mut Option<F>>,
        early: &'a mut Option<Panic>,
        cx: &'a Context,
    ) -> Self {
        Self {
            future,
            early,
            watchdog: Watchdog::new(cx),
        }
    }

    fn stop(&mut self, stopped: Stopped) -> Poll<Result<F::Output, Stopped>> {
        // What the future still holds is the user's, and its drop may panic too.
        let dropped = catch(|| self.future.set(None));
        Poll::Ready(Err(dropped.map_or_else(Stopped::Panicked, |()| stopped)))
    }
}

impl<F: Future> Future for Guard<'_, F> {
    type Output = Result<F::Output, Stopped>;

    fn poll(mut self: Pin<&mut Self>, task: &mut task::Context<'_>) -> Poll<Self::Output> {
        if let Some(panic) = self.early.take() {
            return Poll::Ready(Err(Stopped::Panicked(panic)));
        }
        match catch(|| poll_and_drop(self.future.as_mut(), task)) {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => match self.watchdog.poll(task) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(by) => self.stop(Stopped::Cancelled(by)),
            },
            Err(panic) => self.stop(Stopped::Panicked(panic)),
        }
    }
}

impl<F> fmt::Debug for Guard<'_, F> {
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
        None => Poll::Pending,
    };
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
    catch(|| future.set(None)).and(outcome)
}

/// Sees to it that a cancelled call ends.
pub(crate) struct Watchdog<'a> {
    cx: &'a Context,
    watch: Watch<'a>,
    /// Runs from the moment at which the cancellation was seen.
    grace: Option<Grace>,
}

struct Grace {
    by: CancelledBy,
    timer: Pin<Box<Sleep>>,
}

impl<'a> Watchdog<'a> {
    pub(crate) fn new(cx: &'a Context) -> Self {
        Self {
            cx,
            watch: cx.watch(),
            grace: None,
        }
    }

    /// Ready once the call has been cancelled and its grace period is over.
    pub(crate) fn poll(&mut self, task: &mut task::Context<'_>) -> Poll<CancelledBy> {
        let grace = match &mut self.grace {
            Some(grace) => grace,
            none => {
                let Some(by) = self.watch.look(task.waker()) else {
                    return Poll::Pending;
                };
                let period = self.cx.grace();
                if period.is_zero() {
                    return Poll::Ready(by);
                }
                none.insert(Grace {
                    by,
                    timer: Box::pin(sleep(period)),
                })
            }
        };
        grace.timer.as_mut().poll(task).map(|()| grace.by)
    }
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
