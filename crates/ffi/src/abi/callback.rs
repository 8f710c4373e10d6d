//! Callbacks into an isolate, from any thread.

use std::ffi::c_void;
use std::sync::Arc;

use super::status::{Status, StatusCode};
use super::timeout;
use super::types::{CallbackFn, CallbackHandle, FreeFn, INSULA_PORT_WEAK, RawValue, ResultFn};
use crate::callback::{self, CallbackObject, Opening};
use crate::guard::{guard, guard_taking};
use crate::raw::{Out, User};
use crate::value::read;
use crate::value::view::deliver;
use crate::{callout, object};

/// Opens a callback of the current isolate. `kind` is one of `INSULA_CALLBACK_`..., `flags` is 0 or
/// `INSULA_PORT_WEAK`: an open callback keeps its isolate alive unless it is weak. Close the handle
/// with `insula_callback_close`, also after the end of the isolate.
///
/// Errors: `NO_ISOLATE`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_callback_open(
    kind: u32,
    flags: u32,
    function: CallbackFn,
    user: *mut c_void,
    free_user: FreeFn,
    callback: *mut CallbackHandle,
) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(callback) }?;
        // An unknown bit is refused, and not ignored: a later header may give it a meaning that
        // this library does not know.
        if flags & !INSULA_PORT_WEAK != 0 {
            return Err(Status::BadValue.into());
        }
        let opening = Opening {
            kind,
            function: function.ok_or(Status::NullPointer)?,
            is_weak: flags & INSULA_PORT_WEAK != 0,
        };
        let user = User::new(user, free_user, custody);
        out.set(callback::open(&opening, user)?);
        Ok(())
    })
}

/// Calls a callback. `arguments` move as with `insula_post`; null is the value null. `result`,
/// which may be null, is called with the answer on this thread before the function returns; the
/// answer of a listener is the value null. Only a blocking callback waits, for `timeout_ns` at
/// most.
///
/// Errors: `CLOSED`; `WRONG_ISOLATE` for an isolate-local callback whose isolate does not run on
/// this thread. After these two, and those of `insula_post`, nothing has moved. After the following
/// the arguments were handed over: `TIMED_OUT`; `DEADLOCK` if isolates would wait for each other in
/// a cycle; `CANCELLED` if the callback was closed meanwhile; `PEER_DIED` if its isolate ended;
/// `FAILED` with the callback's own text.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_callback_call(
    callback: CallbackHandle,
    arguments: *const RawValue,
    timeout_ns: u64,
    result: ResultFn,
    user: *mut c_void,
) -> StatusCode {
    guard_taking(|custody| {
        let callback: Arc<CallbackObject> = object::find(callback)?;
        // SAFETY: promised by the caller.
        let arguments = unsafe { read::value_or_null(arguments, custody) }?;
        let answer = callback.call(arguments, timeout(timeout_ns), custody)?;
        if let Some(result) = result {
            deliver(answer, |answer| callout::outside(|| result(user, answer)));
        }
        Ok(())
    })
}

/// Closes a callback, from any thread. Later calls fail, and calls that have not begun are dropped;
/// a call that runs finishes, and is answered.
///
/// Errors: `STALE_HANDLE` if it is closed already.
#[unsafe(no_mangle)]
pub extern "C" fn insula_callback_close(callback: CallbackHandle) -> StatusCode {
    guard(|| callback::close(callback))
}

/// Sets whether an open callback of the current isolate keeps that isolate alive.
///
/// Errors: `NO_ISOLATE`, `WRONG_ISOLATE`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_callback_keep_isolate_alive(
    callback: CallbackHandle,
    keep: u32,
) -> StatusCode {
    guard(|| {
        let callback = || object::find::<Arc<CallbackObject>>(callback);
        match keep {
            // The number is checked before the handle is looked up, so that a wrong one is reported
            // as such also for a stale handle.
            0 => callback()?.let_isolate_end(),
            1 => callback()?.keep_isolate_alive(),
            _ => Err(Status::BadValue.into()),
        }
    })
}
