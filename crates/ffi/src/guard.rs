//! The border: what every exported function goes through.
//!
//! A call is refused in a forked child, before the start and after the shutdown; a panic ends
//! here, as `INSULA_ERROR_INTERNAL`. What went wrong stays with the thread, as a text.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::abi::status::{Failure, INSULA_OK, Outcome, Status, StatusCode};
use crate::custody::Custody;
use crate::state;

thread_local! {
    static LAST_ERROR: RefCell<CString> = RefCell::new(CString::default());
}

/// Runs the body of a function that needs a running runtime.
pub(crate) fn guard(function: impl FnOnce() -> Outcome) -> StatusCode {
    guard_always(|| {
        state::require_running()?;
        function()
    })
}

/// As [`guard`], for a function that takes something over: what it read under the custody is the
/// library's if it succeeds, and else the caller's.
pub(crate) fn guard_taking(function: impl FnOnce(&Custody) -> Outcome) -> StatusCode {
    let custody = Custody::default();
    let status = guard(|| function(&custody));
    if status == INSULA_OK {
        custody.accept();
    }
    status
}

/// Runs the body of a function with which what still runs is ended.
pub(crate) fn guard_stopping(function: impl FnOnce() -> Outcome) -> StatusCode {
    guard_always(|| {
        state::require_not_stopped()?;
        function()
    })
}

/// Runs the body of a function that may be called at any time, but in a forked child.
pub(crate) fn guard_always(function: impl FnOnce() -> Outcome) -> StatusCode {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        state::require_same_process()?;
        function()
    }));
    match outcome {
        Ok(Ok(())) => INSULA_OK,
        Ok(Err(failure)) => fail(&failure),
        Err(payload) => {
            let failure = unwound(&*payload);
            // Its destructor is foreign code, and may panic in turn.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            fail(&failure)
        }
    }
}

/// What was on its way up the stack: a panic has a text; an isolate that is to end unwinds
/// without one, from an interrupt check or a wait.
fn unwound(payload: &(dyn std::any::Any + Send)) -> Failure {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => Failure::new(Status::Internal, format!("panicked: {text}")),
        None if insula::Isolate::current().is_some() => Status::Ending.into(),
        None => Failure::new(Status::Internal, "panicked"),
    }
}

/// Remembers a failure, and returns its code.
fn fail(failure: &Failure) -> StatusCode {
    let text = failure.text.replace('\0', " ");
    // A thread that ends has no place for it any more.
    let _ = LAST_ERROR.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = CString::new(text).unwrap_or_default();
        }
    });
    failure.status.code()
}

/// The text of this thread's last failure, until its next one.
pub(crate) fn last_error() -> *const c_char {
    LAST_ERROR
        .try_with(|last| {
            last.try_borrow()
                .map_or(c"".as_ptr(), |text| CStr::as_ptr(&text))
        })
        .unwrap_or(c"".as_ptr())
}
