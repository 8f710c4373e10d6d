//! Isolates.

use std::ffi::{c_char, c_void};

use insula::Isolate;
use insula::control::{Capability, ErrorPolicy};

use super::status::{Failure, Status, StatusCode};
use super::timeout;
use super::types::{
    CapabilityHandle, EntryFn, FreeFn, IsolateHandle, PortHandle, RawValue, SpawnOptions,
};
use crate::guard::{guard, guard_taking};
use crate::handle;
use crate::handle::Reservation;
use crate::isolate::{self, Entry, Spawning};
use crate::object::{self, Kind, Object};
use crate::raw::{self, Out, User};
use crate::value::read;

/// Starts an isolate. `entry` is its first event, with `message`, which moves as with
/// `insula_post`; null is the value null. The isolate lives until nothing is left that could wake
/// it (an open port, a timer), or until it is killed, exits, or has a fatal error. `options` may be
/// null. `isolate` may be null; otherwise it receives a handle, to be released with
/// `insula_isolate_release`. The handle is written before the entry can begin, and is 0 if the
/// function fails.
///
/// `free_user` is called when the entry has returned, or if it will never be called. If the
/// function fails, `free_user` is not called, and everything is still the caller's.
///
/// Errors: those of `insula_post` for the message; `OUT_OF_RESOURCES`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_spawn(
    options: *const SpawnOptions,
    entry: EntryFn,
    user: *mut c_void,
    free_user: FreeFn,
    message: *const RawValue,
    isolate: *mut IsolateHandle,
) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::if_wanted(isolate) };
        let function = entry.ok_or(Status::NullPointer)?;
        // SAFETY: promised by the caller.
        let options = unsafe { raw::read_if(options) };
        let mut spawning = Spawning::default();
        if let Some(options) = options {
            if options.size as usize != size_of::<SpawnOptions>() {
                return Err(Status::Version.into());
            }
            spawning = Spawning {
                // SAFETY: promised by the caller.
                name: unsafe { raw::text(options.name) }?,
                flags: options.flags,
                on_exit: options.on_exit,
                on_error: options.on_error,
            };
        }
        // SAFETY: promised by the caller.
        let message = unsafe { read::value_or_null(message, custody) }?;
        let user = User::new(user, free_user, custody);
        let handle = match &out {
            Some(_) => Some(handle::table().reserve(Kind::Isolate)?),
            None => None,
        };
        let bits = handle.as_ref().map(Reservation::bits);
        // The entry may begin before `spawn` returns, and must find the handle in its place.
        let show = |bits| out.iter().for_each(|out| out.set(bits));
        show(bits.unwrap_or(0));
        let entry = Entry {
            function,
            user,
            message,
            handle: bits,
        };
        // A failed call vacates the handle, so its number is taken back from C as well.
        let spawned = isolate::spawn(&spawning, entry).inspect_err(|_| show(0))?;
        if let Some(handle) = handle {
            handle.fill(Object::Isolate(spawned));
        }
        Ok(())
    })
}

/// Returns a handle to the isolate whose code runs on this thread. Release it with
/// `insula_isolate_release`.
///
/// Errors: `NO_ISOLATE`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_isolate_current(isolate: *mut IsolateHandle) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(isolate) }?;
        let current = Isolate::current().ok_or(Status::NoIsolate)?;
        out.set(handle::table().insert(Object::Isolate(current))?);
        Ok(())
    })
}

/// Releases a handle to an isolate. The isolate does not need it.
#[unsafe(no_mangle)]
pub extern "C" fn insula_isolate_release(isolate: IsolateHandle) -> StatusCode {
    guard(|| {
        drop(object::remove::<Isolate>(isolate)?);
        Ok(())
    })
}

/// Copies the isolate's name into `buffer`, cut to `capacity` bytes including a zero byte at the
/// end. `length` receives the full length without the zero byte. Both `buffer` and `length` may be
/// null.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_isolate_name(
    isolate: IsolateHandle,
    buffer: *mut c_char,
    capacity: u64,
    length: *mut u64,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::if_wanted(length) };
        let name = object::find::<Isolate>(isolate)?.name();
        // SAFETY: promised by the caller.
        unsafe { raw::copy_text(&name, buffer, capacity) };
        if let Some(out) = out {
            out.set(name.len() as u64);
        }
        Ok(())
    })
}

/// Waits for the end of an isolate. `reason` receives one of `INSULA_EXIT_`..., and `buffer` the
/// text of the reason, cut to `capacity` bytes; both may be null.
///
/// Errors: `TIMED_OUT`; `DEADLOCK` if the isolate waits, maybe through others, for the current one.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_isolate_wait(
    isolate: IsolateHandle,
    timeout_ns: u64,
    reason: *mut u32,
    buffer: *mut c_char,
    capacity: u64,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::if_wanted(reason) };
        let isolate: Isolate = object::find(isolate)?;
        let ended = isolate::wait(&isolate, timeout(timeout_ns))?;
        // SAFETY: promised by the caller.
        unsafe { raw::copy_text(&ended.to_string(), buffer, capacity) };
        if let Some(out) = out {
            out.set(isolate::exit_code(&ended));
        }
        Ok(())
    })
}

/// Kills an isolate, at the time that `priority` selects: one of `INSULA_PRIORITY_`... A callback
/// that neither returns nor calls `insula_checkpoint` cannot be stopped.
#[unsafe(no_mangle)]
pub extern "C" fn insula_isolate_kill(isolate: IsolateHandle, priority: u32) -> StatusCode {
    guard(|| {
        let priority = isolate::priority(priority)?;
        object::find::<Isolate>(isolate)?.kill_at(priority);
        Ok(())
    })
}

/// Pauses an isolate after its current event, until `capability` is passed to
/// `insula_isolate_resume`. Several pauses nest. Release the capability with
/// `insula_capability_release`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_isolate_pause(
    isolate: IsolateHandle,
    capability: *mut CapabilityHandle,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(capability) }?;
        let isolate: Isolate = object::find(isolate)?;
        let capability = Capability::new();
        // The handle first: without one, C could never resume the isolate that it has paused.
        let bits = handle::table().insert(Object::Capability(capability))?;
        isolate.pause_with(capability);
        out.set(bits);
        Ok(())
    })
}

/// Takes back one pause; 0 stands for that of `INSULA_SPAWN_PAUSED`. A capability that does not
/// pause the isolate has no effect.
#[unsafe(no_mangle)]
pub extern "C" fn insula_isolate_resume(
    isolate: IsolateHandle,
    capability: CapabilityHandle,
) -> StatusCode {
    guard(|| {
        let isolate: Isolate = object::find(isolate)?;
        let capability = match capability {
            // 0 stands for the isolate's own capability, which a pause on start uses and C has no
            // handle to.
            0 => isolate.pause_capability().ok_or(Status::BadState)?,
            bits => object::find(bits)?,
        };
        isolate.resume(capability);
        Ok(())
    })
}

/// Pings an isolate: `port` receives `response`, at the time that `priority` selects; never, if the
/// isolate has ended. A null `response` is the value null.
///
/// Errors: `WRONG_TYPE` if `port` is a native port.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_isolate_ping(
    isolate: IsolateHandle,
    port: PortHandle,
    response: *const RawValue,
    priority: u32,
) -> StatusCode {
    guard_taking(|custody| {
        let priority = isolate::priority(priority)?;
        let isolate: Isolate = object::find(isolate)?;
        // SAFETY: promised by the caller.
        let response = unsafe { read::value_or_null(response, custody) }?;
        isolate::ping(&isolate, port, response, priority)
    })
}

/// Sets whether an uncaught error ends the isolate; initially it does.
#[unsafe(no_mangle)]
pub extern "C" fn insula_isolate_set_errors_fatal(
    isolate: IsolateHandle,
    are_fatal: u32,
) -> StatusCode {
    guard(|| {
        let policy = match are_fatal {
            0 => ErrorPolicy::Continue,
            1 => ErrorPolicy::End,
            _ => return Err(Failure::from(Status::BadValue)),
        };
        object::find::<Isolate>(isolate)?.set_error_policy(policy);
        Ok(())
    })
}

/// Adds an exit listener. When the isolate has ended, `port` receives `response`, or
/// `[reason, text]` if that is null, after everything that the isolate posted; at once, if the
/// isolate has ended already.
///
/// Errors: `WRONG_TYPE` if `port` is a native port.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_isolate_add_exit_listener(
    isolate: IsolateHandle,
    port: PortHandle,
    response: *const RawValue,
) -> StatusCode {
    guard_taking(|custody| {
        let isolate: Isolate = object::find(isolate)?;
        // Null asks for the reason of the end in place of a response, so `value_or_null` does not
        // fit.
        let response = if response.is_null() {
            None
        } else {
            // SAFETY: promised by the caller.
            Some(unsafe { read::value(response, custody) }?)
        };
        isolate::add_exit_listener(&isolate, port, response)
    })
}

/// Removes an exit listener.
#[unsafe(no_mangle)]
pub extern "C" fn insula_isolate_remove_exit_listener(
    isolate: IsolateHandle,
    port: PortHandle,
) -> StatusCode {
    guard(|| isolate::remove_exit_listener(&object::find(isolate)?, port))
}

/// Adds a port of the current isolate as an error listener. It receives every uncaught error of
/// `isolate` as `[text, place or null, name, is fatal]`, in order with that isolate's messages.
///
/// Errors: `NO_ISOLATE`; `WRONG_ISOLATE` if the port belongs to another isolate; `WRONG_TYPE` if it
/// is a native port.
#[unsafe(no_mangle)]
pub extern "C" fn insula_isolate_add_error_listener(
    isolate: IsolateHandle,
    port: PortHandle,
) -> StatusCode {
    guard(|| isolate::add_error_listener(&object::find(isolate)?, port))
}

/// Removes an error listener.
#[unsafe(no_mangle)]
pub extern "C" fn insula_isolate_remove_error_listener(
    isolate: IsolateHandle,
    port: PortHandle,
) -> StatusCode {
    guard(|| isolate::remove_error_listener(&object::find(isolate)?, port))
}
