//! The border: the wrapper of every exported function.
//!
//! It refuses a call in a forked child, before the start and after the shutdown, and turns a panic
//! into `INSULA_ERROR_INTERNAL`. The thread keeps the text of its last failure.

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

/// Like [`guard`], for a function that takes something over: what it reads under the custody
/// belongs to the library if it succeeds, and otherwise to the caller.
pub(crate) fn guard_taking(function: impl FnOnce(&Custody) -> Outcome) -> StatusCode {
    let custody = Custody::default();
    let status = guard(|| function(&custody));
    // Anything else drops the custody undecided, which refuses what was handed over.
    if status == INSULA_OK {
        custody.accept();
    }
    status
}

/// Runs the body of a function that ends what still runs. A shutdown does not refuse it until the
/// runtime has stopped.
pub(crate) fn guard_stopping(function: impl FnOnce() -> Outcome) -> StatusCode {
    guard_always(|| {
        state::require_not_stopped()?;
        function()
    })
}

/// Runs the body of a function that may be called at any time, except in a forked child.
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
            // The payload's destructor is foreign code, and may panic in turn.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(payload)));
            fail(&failure)
        }
    }
}

/// Returns the failure for an unwinding. A panic has a text; an isolate that is ending unwinds
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

/// Stores a failure as the thread's last one, and returns its code.
fn fail(failure: &Failure) -> StatusCode {
    // A panic's message may contain NUL, where the text would end for C.
    let text = failure.text.replace('\0', " ");
    // A thread that is ending has no thread-local storage.
    let _ = LAST_ERROR.try_with(|last| {
        // Nothing else borrows it now. If it were borrowed, a panic outside of the guard would end
        // the process.
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = CString::new(text).unwrap_or_default();
        }
    });
    failure.status.code()
}

/// Returns the text of this thread's last failure, valid until its next one.
pub(crate) fn last_error() -> *const c_char {
    LAST_ERROR
        .try_with(|last| {
            last.try_borrow()
                .map_or(c"".as_ptr(), |text| CStr::as_ptr(&text))
        })
        .unwrap_or(c"".as_ptr())
}
