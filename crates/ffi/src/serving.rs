//! The call that a function of a service answers on this thread: how it learns that nobody needs
//! its answer any more.
//!
//! A worker cannot stop a function of C. So the function asks, with `insula_checkpoint` or
//! `insula_call_remaining`, and finds the call in a place of its thread. The place has no
//! destructor: it is filled and emptied around the function.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::Duration;

use insula::{CancelToken, Context, Instant};

use crate::abi::status::Status;

/// The call as its function may ask about it.
struct Serving {
    token: CancelToken,
    deadline: Option<Instant>,
}

type Place = Option<Rc<Serving>>;

thread_local! {
    static PLACE: Cell<Option<ManuallyDrop<Rc<Serving>>>> = const { Cell::new(None) };
}

fn replace(place: Place) -> Place {
    let before = PLACE.replace(place.map(ManuallyDrop::new));
    before.map(ManuallyDrop::into_inner)
}

/// The call further out; comes back when this is dropped, also when somebody unwinds.
struct Outer(Place);

impl Drop for Outer {
    fn drop(&mut self) {
        drop(replace(self.0.take()));
    }
}

/// Runs the function that answers a call.
pub(crate) fn serving<R>(cx: &Context, function: impl FnOnce() -> R) -> R {
    let serving = Rc::new(Serving {
        token: cx.token(),
        deadline: cx.deadline(),
    });
    let _outer = Outer(replace(Some(serving)));
    function()
}

/// The time until the deadline of the call that is being answered; `None` if it has none.
///
/// # Errors
/// `TIMED_OUT` once it has passed, `CANCELLED` once nobody needs the answer, `BAD_STATE` if no
/// call is being answered.
pub(crate) fn remaining() -> Result<Option<Duration>, Status> {
    let serving = replace(None);
    drop(replace(serving.clone()));
    let serving = serving.ok_or(Status::BadState)?;
    let left = serving
        .deadline
        .map(|deadline| deadline.saturating_duration_since(Instant::now()));
    if left.is_some_and(|left| left.is_zero()) {
        return Err(Status::TimedOut);
    }
    if serving.token.is_cancelled() {
        return Err(Status::Cancelled);
    }
    Ok(left)
}

/// Whether the answer is needed, if a call is being answered.
pub(crate) fn check() -> Result<(), Status> {
    match remaining() {
        Ok(_) | Err(Status::BadState) => Ok(()),
        Err(status) => Err(status),
    }
}
