//! Wake-ups from signal handlers.

use super::status::StatusCode;
use super::types::{PortHandle, SignalHandle};
use crate::guard::guard;
use crate::raw::Out;
use crate::signal;

/// Opens a signal, through which a signal handler wakes a port of an isolate or a native port: the
/// port receives `number`, as an `INSULA_KIND_INT64`, after each `insula_signal_raise`. Store the
/// handle where the handler finds it before the handler is installed. Close it with
/// `insula_signal_close`; a shutdown closes it, too. Once the port is closed, raising the signal
/// has no effect.
///
/// Errors: `STALE_HANDLE`, `WRONG_TYPE`; `OUT_OF_RESOURCES` if 64 signals are open, or no thread or
/// descriptor is left; `UNSUPPORTED` on Windows.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_signal_open(
    port: PortHandle,
    number: i64,
    signal: *mut SignalHandle,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(signal) }?;
        out.set(signal::open(port, number)?);
        Ok(())
    })
}

/// Wakes the port of a signal. May be called at any time, also in a signal handler, whatever code
/// that interrupted: takes no lock, allocates nothing, never waits, and leaves `errno` and
/// `insula_last_error` as they are.
///
/// Each call that returns `INSULA_OK` is followed by a message to the port, unless the signal or
/// the port is closed first. Calls before that message is posted may share it, so there can be
/// fewer messages than calls. If the port is full, the message is posted as soon as there is room.
///
/// Errors: `BAD_HANDLE`; `STALE_HANDLE` if the signal is closed, also by a shutdown; `FORKED`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_signal_raise(signal: SignalHandle) -> StatusCode {
    signal::raise(signal)
}

/// Closes a signal. A message that has not been posted yet may get lost. A handler that raises the
/// signal later, or at the same time on another thread, gets `STALE_HANDLE`.
///
/// Errors: `STALE_HANDLE`, `WRONG_TYPE`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_signal_close(signal: SignalHandle) -> StatusCode {
    guard(|| signal::close(signal))
}
