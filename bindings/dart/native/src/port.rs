//! Ports of Dart isolates as ports of Insula, to which any thread can post.
//!
//! A Dart port is closed by its isolate, or by the end of the isolate. The first message after that
//! closes the port of Insula as well, so that later ones are refused with an error.

use std::ffi::c_void;

use insula_ffi::abi::port::{insula_native_port_open, insula_port_close};
use insula_ffi::abi::status::{INSULA_ERROR_CLOSED, StatusCode};
use insula_ffi::abi::types::{PortHandle, RawValue};

use crate::api::DartPort;
use crate::letter::{Letter, Owner};

/// Posts a value to a Dart port, from any thread. Copies it, except for external data, which moves.
///
/// Errors: `CLOSED` if there is no such port; external data is still the caller's then.
///
/// # Safety
/// `message` is null or a value as `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_dart_post(port: DartPort, message: *const RawValue) -> StatusCode {
    let mut letter = Letter::new(Owner::Caller);
    // SAFETY: promised by the caller.
    match unsafe { letter.value(message) } {
        // SAFETY: the message exists until this function returns.
        Ok(message) => unsafe { letter.post(port, message) },
        Err(status) => status,
    }
}

/// Opens a port whose messages are passed on to a Dart port, in order. Close it with
/// `insula_port_close`: messages that were posted before still arrive.
///
/// # Safety
/// `handle` is null or valid for writing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_dart_port_open(
    port: DartPort,
    handle: *mut PortHandle,
) -> StatusCode {
    let user = Box::into_raw(Box::new(port)).cast::<c_void>();
    // SAFETY: the pointers are valid, and `user` may be used on any thread.
    let status = unsafe {
        insula_native_port_open(c"dart".as_ptr(), 1, Some(pass_on), user, Some(free), handle)
    };
    if status != 0 {
        // A function that fails leaves its `user` with the caller.
        free(user);
    }
    status
}

extern "C" fn pass_on(user: *mut c_void, handle: PortHandle, message: *const RawValue) {
    // SAFETY: the number that `insula_dart_port_open` made, until `free`.
    let port = unsafe { *user.cast::<DartPort>() };
    let mut letter = Letter::new(Owner::Message);
    // A message that Dart cannot represent is dropped: its sender was told that it was posted.
    // SAFETY: valid during this call.
    if let Ok(message) = unsafe { letter.value(message) } {
        // SAFETY: as above.
        if unsafe { letter.post(port, message) } == INSULA_ERROR_CLOSED {
            // Fails if an earlier message has closed it, which is fine.
            let _ = insula_port_close(handle);
        }
    }
}

extern "C" fn free(user: *mut c_void) {
    // SAFETY: made by `insula_dart_port_open`, and freed once.
    drop(unsafe { Box::from_raw(user.cast::<DartPort>()) });
}
