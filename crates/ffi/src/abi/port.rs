//! Ports and messages.

use std::ffi::{c_char, c_void};

use super::status::{Status, StatusCode};
use super::types::{CapabilityHandle, FreeFn, INSULA_PORT_WEAK, MessageFn, PortHandle, RawValue};
use crate::guard::{guard, guard_taking};
use crate::object::Object;
use crate::raw::{self, Out, User};
use crate::value::{Value, read};
use crate::{callout, handle, native_port, object, port};

/// Opens a port of the current isolate: `function` is called for each message, as an event of its
/// own.
///
/// If `limit` is not 0, the port has room for that many messages which are posted and not yet
/// handled. `flags` is 0 or `INSULA_PORT_WEAK`. The port is open until `insula_port_close`, or
/// until its isolate ends; then `free_user` is called, on a thread of the isolate.
///
/// Errors: `NO_ISOLATE`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_port_open(
    limit: u64,
    flags: u32,
    function: MessageFn,
    user: *mut c_void,
    free_user: FreeFn,
    port: *mut PortHandle,
) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(port) }?;
        if flags & !INSULA_PORT_WEAK != 0 {
            return Err(Status::BadValue.into());
        }
        let opening = port::Opening {
            function: function.ok_or(Status::NullPointer)?,
            limit: usize::try_from(limit).map_err(|_| Status::BadLength)?,
            is_weak: flags & INSULA_PORT_WEAK != 0,
        };
        let user = User::new(user, free_user, custody);
        out.set(port::open(&opening, user)?);
        Ok(())
    })
}

/// Opens a native port: `function` is called for each message, on one of the port's own threads,
/// for at most `max_concurrent` messages at once, and may block. Messages start in the order in
/// which they were posted. `free_user` is called after the last message.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_native_port_open(
    name: *const c_char,
    max_concurrent: u32,
    function: MessageFn,
    user: *mut c_void,
    free_user: FreeFn,
    port: *mut PortHandle,
) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(port) }?;
        // SAFETY: promised by the caller.
        let name = unsafe { raw::text(name) }?;
        let opening = native_port::Opening {
            name: name.unwrap_or("native"),
            function: function.ok_or(Status::NullPointer)?,
            max_concurrent: max_concurrent as usize,
        };
        let user = User::new(user, free_user, custody);
        out.set(native_port::open(&opening, user)?);
        Ok(())
    })
}

/// Closes a port of the current isolate, or, from any thread, a native port.
///
/// Messages that are queued at an isolate's port are dropped; those at a native port are still
/// handled. Later posts fail.
///
/// Errors: `NO_ISOLATE`, `WRONG_ISOLATE`, `STALE_HANDLE` if it is closed already.
#[unsafe(no_mangle)]
pub extern "C" fn insula_port_close(port: PortHandle) -> StatusCode {
    guard(|| match handle::table().find(port)? {
        Object::Port(_) => port::close(port),
        Object::NativePort(_) => native_port::close(port),
        _ => Err(Status::WrongType.into()),
    })
}

/// Posts a message to a port, from any thread. Never waits.
///
/// Texts, typed data and arrays are copied; external data moves. If the function succeeds, every
/// finalizer of external data in the message will be called exactly once. If it fails, nothing has
/// moved, no finalizer has been or will be called, and everything is still the caller's.
///
/// Messages of one thread to one isolate arrive in the order in which they were posted, even across
/// several ports.
///
/// Errors: `CLOSED` or `STALE_HANDLE` if the port is closed, `FULL`; for the message
/// `NULL_POINTER`, `BAD_LENGTH`, `BAD_UTF8`, `BAD_VALUE`, `TOO_DEEP`, `UNSUPPORTED`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_post(port: PortHandle, message: *const RawValue) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        port::post(port, unsafe { read::value(message, custody) }?)
    })
}

/// Like `insula_post`, for a number.
#[unsafe(no_mangle)]
pub extern "C" fn insula_post_int64(port: PortHandle, number: i64) -> StatusCode {
    // Nothing to take over, so this needs no custody.
    guard(|| port::post(port, Value::Int64(number)))
}

/// Takes over external data of the message that this thread is handling: the caller has to call its
/// finalizer, once. `value` is the message or a part of it.
///
/// Errors: `NOT_FOUND` if it is not external data of that message, or was taken before.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_value_take(value: *const RawValue) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let raw = unsafe { raw::read(value) }?;
        if callout::find_delivered(|value| value.give_away(raw.data, raw.peer)) {
            Ok(())
        } else {
            Err(Status::NotFound.into())
        }
    })
}

/// Creates a capability: a token that equals no other one. Its handle is stale after
/// `insula_capability_release`, and still equals itself.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_capability_new(capability: *mut CapabilityHandle) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(capability) }?;
        out.set(handle::table().insert(Object::Capability(insula::control::Capability::new()))?);
        Ok(())
    })
}

/// Releases a capability.
#[unsafe(no_mangle)]
pub extern "C" fn insula_capability_release(capability: CapabilityHandle) -> StatusCode {
    guard(|| {
        object::remove::<insula::control::Capability>(capability)?;
        Ok(())
    })
}
