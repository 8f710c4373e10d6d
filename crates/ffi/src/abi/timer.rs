//! Timers, microtasks, and other requests of an isolate's code.

use std::ffi::{c_char, c_void};
use std::time::Duration;

use super::status::{Status, StatusCode};
use super::types::{FreeFn, PortHandle, RawValue, TaskFn, TimerFn, TimerHandle};
use crate::guard::{guard, guard_always, guard_taking};
use crate::raw::{self, Out, User};
use crate::timer::Callback;
use crate::value::read;
use crate::{callout, port, serving, state, timer};

/// Starts a timer of the current isolate. With a `period_ns` of 0 it fires once, after `delay_ns`;
/// otherwise it fires periodically, first after one period, and `delay_ns` has to be 0. A timer
/// never fires early; a timer without delay is ordered with the messages. A pending timer keeps its
/// isolate alive. `timer` may be null. The handle is stale once the timer has fired for the last
/// time; `free_user` is called after that, or when the timer is cancelled, or at the end of the
/// isolate.
///
/// Errors: `NO_ISOLATE`, `BAD_VALUE`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_timer_start(
    delay_ns: u64,
    period_ns: u64,
    function: TimerFn,
    user: *mut c_void,
    free_user: FreeFn,
    timer: *mut TimerHandle,
) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::if_wanted(timer) };
        let function = function.ok_or(Status::NullPointer)?;
        // A periodic timer has no separate first delay. To ignore one of the two would hide a
        // mistake.
        if delay_ns != 0 && period_ns != 0 {
            return Err(Status::BadValue.into());
        }
        let callback = Callback {
            function,
            user: User::new(user, free_user, custody),
        };
        let period = (period_ns != 0).then(|| Duration::from_nanos(period_ns));
        let timer = timer::start(Duration::from_nanos(delay_ns), period, callback)?;
        if let Some(out) = out {
            out.set(timer);
        }
        Ok(())
    })
}

/// Cancels a timer of the current isolate: its function will not be called.
///
/// Errors: `STALE_HANDLE` if it was cancelled or has fired; `NO_ISOLATE`, `WRONG_ISOLATE`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_timer_cancel(timer: TimerHandle) -> StatusCode {
    guard(|| timer::cancel(timer))
}

/// Runs a function in the current isolate after the current event, before the next one.
///
/// Errors: `NO_ISOLATE`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_microtask(
    function: TaskFn,
    user: *mut c_void,
    free_user: FreeFn,
) -> StatusCode {
    guard_taking(|custody| {
        let function = function.ok_or(Status::NullPointer)?;
        insula::Isolate::current().ok_or(Status::NoIsolate)?;
        let user = User::new(user, free_user, custody);
        insula::isolate::schedule_microtask(move || callout::in_isolate(|| function(user.data())));
        Ok(())
    })
}

/// Raises an uncaught error in the current isolate as soon as the current callback returns. `text`
/// may be null.
///
/// Errors: `NO_ISOLATE`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_throw(text: *const c_char) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let text = unsafe { raw::text(text) }?;
        callout::throw(text.unwrap_or("(no message)").to_owned())?;
        Ok(())
    })
}

/// Ends the current isolate as soon as the current callback returns; no other code of the isolate
/// runs after that. Posts `message` to `port` before it returns, unless `port` is 0.
///
/// Errors: `NO_ISOLATE`, and those of `insula_post`; after an error the isolate continues.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_exit(port: PortHandle, message: *const RawValue) -> StatusCode {
    guard_taking(|custody| {
        if insula::Isolate::current().is_none() || !callout::is_inside() {
            return Err(Status::NoIsolate.into());
        }
        // Posted now and not when the callback returns, so that a refusal is this function's result
        // and the isolate goes on.
        if port != 0 {
            // SAFETY: promised by the caller.
            port::post(port, unsafe { read::value_or_null(message, custody) }?)?;
        }
        callout::exit()?;
        Ok(())
    })
}

/// An interrupt check for callbacks that compute for a long time: handles pauses, pings and kills
/// that have arrived. A callback goes on only while this returns `INSULA_OK`.
///
/// Errors: `ENDING` if the isolate is ending, because it was killed or the runtime shuts down, at
/// each check from then on. In a function of a service also `CANCELLED` if the answer is no longer
/// needed, and `TIMED_OUT` if the deadline of the call has passed. Outside of isolates only
/// `SHUT_DOWN` once the runtime shuts down, and `NOT_STARTED`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_checkpoint() -> StatusCode {
    guard_always(|| {
        if insula::Isolate::current().is_none() {
            return Ok(state::require_running()?);
        }
        insula::control::try_checkpoint().map_err(|_| Status::Ending)?;
        // `ENDING` and not `SHUT_DOWN`: a loop that checks needs one status that says that it must
        // stop.
        state::require_running().map_err(|_| Status::Ending)?;
        Ok(serving::check()?)
    })
}

/// Calls a function that may block, on this thread, and lets another thread take this thread's
/// place in the pool meanwhile.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_blocking(function: TaskFn, user: *mut c_void) -> StatusCode {
    guard(|| {
        let function = function.ok_or(Status::NullPointer)?;
        insula::runtime::blocking(|| callout::outside(|| function(user)));
        Ok(())
    })
}
