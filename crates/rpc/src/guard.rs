//! Runs a handler's future so that no panic escapes and a cancelled one comes to an end.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Once;
use std::task::{self, Poll};

use insula_core::sleep;

use crate::context::Context;
use crate::error::CancelledBy;

/// Why a handler came to no result of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stopped {
    /// It panicked.
    Panicked(Panic),
    /// It was cancelled and did not end by itself in the grace period.
    Cancelled(CancelledBy),
}

/// What is known of a caught panic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panic {
    /// Its message.
    pub message: String,
    /// `file:line:column`, if it is known.
    pub location: Option<String>,
}

/// Runs `future` to its end.
///
/// Each poll, and the drop of the future, catches panics. Once the call is cancelled, the
/// future has the grace period of the context to end by itself; then it is dropped.
///
/// # Errors
/// The future panicked, or it was dropped after a cancellation.
pub async fn guard<F: Future>(future: F, cx: &Context) -> Result<F::Output, Stopped> {
    let mut future = pin!(Some(future));
    let mut watchdog = Watchdog::new(cx);
    let outcome = std::future::poll_fn(|task| {
        let polled = catch(|| match future.as_mut().as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        });
        match polled {
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Ok(Poll::Pending) => watchdog.poll(task).map(|by| Err(Stopped::Cancelled(by))),
            Err(panic) => Poll::Ready(Err(Stopped::Panicked(panic))),
        }
    })
    .await;
    // What the future still holds is the user's, and its drop may panic too. A result that is
    // there already stands.
    match catch(|| future.set(None)) {
        Ok(()) => outcome,
        Err(panic) => outcome.and(Err(Stopped::Panicked(panic))),
    }
}

/// Runs `future` to its end; a panic in it, or in its drop, comes back as a value.
///
/// # Errors
/// The future panicked.
pub async fn contain<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(Some(future));
    let outcome = std::future::poll_fn(|task| {
        let polled = catch(|| match future.as_mut().as_pin_mut() {
            Some(future) => future.poll(task),
            None => Poll::Pending,
        });
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await;
    catch(|| future.set(None)).and(outcome)
}

/// Sees to it that a cancelled call ends.
pub(crate) struct Watchdog<'a> {
    cx: &'a Context,
    /// Runs from the moment at which the cancellation was seen.
    grace: Option<Grace>,
}

struct Grace {
    by: CancelledBy,
    timer: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<'a> Watchdog<'a> {
    pub(crate) fn new(cx: &'a Context) -> Self {
        Self { cx, grace: None }
    }

    /// Ready once the call has been cancelled and its grace period is over.
    pub(crate) fn poll(&mut self, task: &mut task::Context<'_>) -> Poll<CancelledBy> {
        let grace = match &mut self.grace {
            Some(grace) => grace,
            none => {
                let Some(by) = self.cx.watch(task.waker()) else { return Poll::Pending };
                let period = self.cx.grace();
                if period.is_zero() {
                    return Poll::Ready(by);
                }
                none.insert(Grace { by, timer: Box::pin(sleep(period)) })
            }
        };
        grace.timer.as_mut().poll(task).map(|()| grace.by)
    }
}

thread_local! {
    /// How many [`catch`]es are under way on this thread.
    static CATCHING: Cell<u32> = const { Cell::new(0) };
    /// Where the last panic under a [`catch`] happened.
    static LOCATION: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `f`; a panic comes back as a value and is not reported anywhere else.
///
/// # Errors
/// `f` panicked.
pub fn catch<R>(f: impl FnOnce() -> R) -> Result<R, Panic> {
    learn_locations();
    CATCHING.set(CATCHING.get() + 1);
    // Whatever `f` may have left in a strange state is dropped by the caller or, in a pool,
    // rebuilt.
    let result = catch_unwind(AssertUnwindSafe(f));
    CATCHING.set(CATCHING.get() - 1);
    result.map_err(|payload| Panic {
        message: message(&*payload),
        location: LOCATION.with_borrow_mut(Option::take),
    })
}

/// Puts a hook in front of the present one that keeps the location of a caught panic. Only a
/// hook is told the location; it runs before the unwinding that [`catch`] ends.
fn learn_locations() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
            if CATCHING.get() == 0 {
                return previous(info);
            }
            LOCATION.set(info.location().map(ToString::to_string));
        }));
    });
}

fn message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_comes_back_with_its_message_and_location() {
        let panic = catch(|| -> u8 { panic!("number {}", 7) }).unwrap_err();
        assert_eq!(panic.message, "number 7");
        assert!(panic.location.unwrap().contains("guard.rs:"));
        let panic = catch(|| std::panic::panic_any(5_u8)).unwrap_err();
        assert_eq!(panic.message, "a panic without a text");
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
