//! Services on pools of workers, and calls of them.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use insula::Runtime;

use super::status::{Status, StatusCode};
use super::timeout;
use super::types::{
    CallHandle, DoneFn, FreeFn, INSULA_FOREVER, INSULA_SERVICE_REJECT_WHEN_FULL, RawValue,
    ServiceFn, ServiceHandle, ServiceOptions,
};
use crate::guard::{guard, guard_taking};
use crate::handle::Reservation;
use crate::object::{self, CallObject, Kind};
use crate::raw::{self, Out, User};
use crate::service::{self, Done, Handler, ServiceObject, ServiceSettings};
use crate::value::{Value, read};
use crate::{handle, replying, serving, state};

/// Opens a service: `function` answers requests on the workers of a pool, several at once. It may
/// block, and answers with `insula_reply` or `insula_fail` before it returns. `options` may be
/// null. The service is open until `insula_service_close`, or until all its handles are released if
/// it has no name.
///
/// Blocks until the workers have started. Errors: `NAME_TAKEN`, `OUT_OF_RESOURCES`, `SHUT_DOWN`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_service_open(
    options: *const ServiceOptions,
    function: ServiceFn,
    user: *mut c_void,
    free_user: FreeFn,
    service: *mut ServiceHandle,
) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(service) }?;
        let function = function.ok_or(Status::NullPointer)?;
        let mut opening = ServiceSettings::default();
        // SAFETY: promised by the caller.
        if let Some(options) = unsafe { raw::read_if(options) } {
            if options.size as usize != size_of::<ServiceOptions>() {
                return Err(Status::Version.into());
            }
            if options.flags & !INSULA_SERVICE_REJECT_WHEN_FULL != 0 {
                return Err(Status::BadValue.into());
            }
            // SAFETY: promised by the caller.
            let name = unsafe { raw::text(options.name) }?;
            let count = |number: u32| (number != 0).then_some(number as usize);
            opening = ServiceSettings {
                name: name.map(str::to_owned),
                workers: count(options.workers),
                queue: count(options.queue),
                rejects_when_full: options.flags & INSULA_SERVICE_REJECT_WHEN_FULL != 0,
            };
        }
        let handler = Handler::C(function, User::new(user, free_user, custody));
        out.set(service::open(opening, handler)?);
        Ok(())
    })
}

/// Returns a new handle to the service that was opened with that name, in C or in Rust. Release it
/// with `insula_service_release`.
///
/// Errors: `NOT_FOUND`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_service_find(
    name: *const c_char,
    service: *mut ServiceHandle,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(service) }?;
        // SAFETY: promised by the caller.
        let name = unsafe { raw::text(name) }?.ok_or(Status::NullPointer)?;
        out.set(service::look_up(name)?);
        Ok(())
    })
}

/// Releases a handle to a service.
#[unsafe(no_mangle)]
pub extern "C" fn insula_service_release(service: ServiceHandle) -> StatusCode {
    guard(|| {
        drop(object::remove::<Arc<ServiceObject>>(service)?);
        Ok(())
    })
}

/// Ends a service, and releases this handle. Queued and running calls have `patience_ns` to finish;
/// then queued calls are rejected and running ones are cancelled, and callers whose function does
/// not stop within two seconds get `PEER_DIED`. Blocks until the last function has returned and
/// `free_user` has been called, however long that takes: a function that computes for a long time
/// should call `insula_checkpoint`.
///
/// Errors: `DEADLOCK` in a callback of an isolate or of a service; `SHUT_DOWN` if the runtime is
/// shut down meanwhile, which ends the service as well.
#[unsafe(no_mangle)]
pub extern "C" fn insula_service_close(service: ServiceHandle, patience_ns: u64) -> StatusCode {
    guard(|| service::close(service, Duration::from_nanos(patience_ns)))
}

/// Answers the request that this thread's innermost callback handles. Texts, typed data and arrays
/// are copied, external data moves, as with `insula_post`. The last answer counts; without an
/// answer the callback answers with the value null.
///
/// Errors: `BAD_STATE` outside of such a callback.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_reply(reply: *const RawValue) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        let reply = unsafe { read::value_or_null(reply, custody) }?;
        Ok(replying::answer(Ok(reply))?)
    })
}

/// Answers the request that this thread's innermost callback handles with an error: its caller gets
/// `FAILED` and the text, which may be null.
///
/// Errors: `BAD_STATE` outside of such a callback.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_fail(text: *const c_char) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let text = unsafe { raw::text(text) }?;
        let text = text.unwrap_or("(no message)").to_owned();
        Ok(replying::answer(Err(text))?)
    })
}

/// Returns how much time is left for the call that a function of a service answers: `remaining_ns`
/// receives the time until the deadline, or `INSULA_FOREVER` if the call has none.
///
/// Errors: `TIMED_OUT` if the deadline has passed, `CANCELLED` if the answer is no longer needed:
/// the function should return, because it occupies the worker. `BAD_STATE` outside of such a
/// function.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_call_remaining(remaining_ns: *mut u64) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(remaining_ns) }?;
        let left = serving::remaining()?.map(|left| left.as_nanos());
        // More than C's number can hold, some 584 years, is for ever.
        let left = left.and_then(|left| u64::try_from(left).ok());
        out.set(left.unwrap_or(INSULA_FOREVER));
        Ok(())
    })
}

/// Begins a call of a service, and returns at once. `done` is called at the end of the call,
/// exactly once, on any thread. `request` moves as with `insula_post`; null is the value null.
/// `call` may be null; otherwise it receives a handle for `insula_call_cancel`, to be released with
/// `insula_call_release`. The handle is written before `done` can be called. The call ends
/// `deadline_ns` nanoseconds from now if it has no answer by then; `INSULA_FOREVER` is no deadline.
///
/// The status that `done` gets is `INSULA_OK`, `FAILED` (the service has called `insula_fail`, or has
/// panicked), `CLOSED` (the service was closed), `REJECTED` (its queue is full), `CANCELLED`,
/// `TIMED_OUT`, `PEER_DIED` (the worker has ended) or `INTERNAL`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_service_call(
    service: ServiceHandle,
    request: *const RawValue,
    deadline_ns: u64,
    done: DoneFn,
    user: *mut c_void,
    free_user: FreeFn,
    call: *mut CallHandle,
) -> StatusCode {
    let told = (done, user, free_user);
    // SAFETY: promised by the caller.
    unsafe {
        begin(
            service,
            request,
            told,
            call,
            |runtime, service, request, done, handle| {
                let deadline = timeout(deadline_ns);
                service::call(runtime, service, request, deadline, done, handle);
            },
        )
    }
}

/// Like [`insula_service_call`] without a deadline, for libraries in Rust: no isolate waits for the
/// answer. The thread that ends the call calls `done`, in the middle of its work: a worker's
/// thread, or this one before the function returns. So `done` has to be short, and must not wait.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
pub unsafe fn service_call_in_place(
    service: ServiceHandle,
    request: *const RawValue,
    done: DoneFn,
    user: *mut c_void,
    free_user: FreeFn,
    call: *mut CallHandle,
) -> StatusCode {
    let told = (done, user, free_user);
    // SAFETY: promised by the caller.
    unsafe {
        begin(
            service,
            request,
            told,
            call,
            |_, service, request, done, handle| {
                service::call_in_place(service, request, done, handle);
            },
        )
    }
}

/// Begins a call with `start`, and returns.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
unsafe fn begin(
    service: ServiceHandle,
    request: *const RawValue,
    (done, user, free_user): (DoneFn, *mut c_void, FreeFn),
    call: *mut CallHandle,
    start: impl FnOnce(&Runtime, &Arc<ServiceObject>, Value, Done, Option<Reservation<'_>>),
) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::if_wanted(call) };
        let done = done.ok_or(Status::NullPointer)?;
        let service: Arc<ServiceObject> = object::find(service)?;
        let runtime = state::runtime()?;
        // SAFETY: promised by the caller.
        let request = unsafe { read::value_or_null(request, custody) }?;
        let done = Done::new(done, User::new(user, free_user, custody), custody);
        let reserved = match &out {
            Some(_) => Some(handle::table().reserve(Kind::Call)?),
            None => None,
        };
        // `done` may be called before `start` returns, and must find the handle in its place.
        if let (Some(out), Some(reserved)) = (out, &reserved) {
            out.set(reserved.bits());
        }
        start(&runtime, &service, request, done, reserved);
        Ok(())
    })
}

/// Like `insula_service_call`, but waits on this thread: calls `done`, which may be null, before it
/// returns with the same status. That may be `DEADLOCK`, if all workers that could start or answer
/// the call wait, maybe through others, for this isolate.
///
/// If it fails and `may_have_run` is 0, nothing has moved, as always after `CLOSED` and `REJECTED`.
/// If `may_have_run` is 1, the request was handed over.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_service_call_blocking(
    service: ServiceHandle,
    request: *const RawValue,
    deadline_ns: u64,
    done: DoneFn,
    user: *mut c_void,
) -> StatusCode {
    guard_taking(|custody| {
        let service: Arc<ServiceObject> = object::find(service)?;
        // SAFETY: promised by the caller.
        let request = unsafe { read::value_or_null(request, custody) }?;
        let end = service::call_blocking(&service, request, timeout(deadline_ns), custody)?;
        // The status is taken before `done` consumes the end, since the caller gets it too.
        let outcome = end.outcome();
        if let Some(done) = done {
            end.show(done, user);
        }
        outcome
    })
}

/// Cancels a call: `done` is called with `CANCELLED`, unless the call has ended in another way.
#[unsafe(no_mangle)]
pub extern "C" fn insula_call_cancel(call: CallHandle) -> StatusCode {
    guard(|| {
        object::find::<CallObject>(call)?.cancel();
        Ok(())
    })
}

/// Releases the handle of a call. The call continues.
#[unsafe(no_mangle)]
pub extern "C" fn insula_call_release(call: CallHandle) -> StatusCode {
    guard(|| {
        drop(object::remove::<CallObject>(call)?);
        Ok(())
    })
}
