//! The call that a C function of a service answers on this thread, through which the function
//! learns that its answer is no longer needed.
//!
//! A worker cannot stop a C function. So the function asks, with `insula_checkpoint` or
//! `insula_call_remaining`, and finds the call in a place of its thread. The place has no
//! destructor: it is filled before the function runs and emptied after it.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::time::Duration;

use insula::rpc::{CancelToken, CancelledBy};
use insula::{Context, Instant};

use crate::abi::status::Status;

/// The parts of a call that its function may ask about.
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

/// The next outer call. Dropping this restores it, also when a panic unwinds.
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

/// Returns the time until the deadline of the call that is being answered; `None` without a
/// deadline.
///
/// # Errors
/// `TIMED_OUT` once the deadline has passed, `CANCELLED` once the answer is no longer needed,
/// `BAD_STATE` if no call is being answered.
pub(crate) fn remaining() -> Result<Option<Duration>, Status> {
    // Taken out and put back, since a `Cell` cannot be read in place.
    let serving = replace(None);
    drop(replace(serving.clone()));
    let serving = serving.ok_or(Status::BadState)?;
    let left = serving
        .deadline
        .map(|deadline| deadline.saturating_duration_since(Instant::now()));
    // After the look at the clock, so that no time is left only if this fails.
    match serving.token.check() {
        Ok(()) => Ok(left),
        Err(cancelled) if cancelled.by == CancelledBy::Deadline => Err(Status::TimedOut),
        Err(_) => Err(Status::Cancelled),
    }
}

/// Fails if a call is being answered whose answer is no longer needed.
pub(crate) fn check() -> Result<(), Status> {
    match remaining() {
        Ok(_) | Err(Status::BadState) => Ok(()),
        Err(status) => Err(status),
    }
}
