//! Root isolates: isolates in a loop of the program.

use std::ffi::{c_char, c_void};

use insula::control::ExitReason;
use insula::embed::Handled;

use super::status::{Status, StatusCode};
use super::types::{
    FreeFn, INSULA_ROOT_EXITED, INSULA_ROOT_IDLE, INSULA_ROOT_MORE, INSULA_ROOT_PAUSED,
    IsolateHandle, RootHandle, TaskFn,
};
use crate::guard::{guard, guard_stopping, guard_taking};
use crate::handle;
use crate::isolate::exit_code;
use crate::object::Object;
use crate::raw::{self, Out, User};
use crate::root;

/// Creates an isolate that this thread drives. `notify` is called, on any thread, when there is
/// something to do: it must not block, and has to make this thread call
/// `insula_root_handle_message`. The isolate does nothing until it is entered.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_root_create(
    name: *const c_char,
    notify: TaskFn,
    user: *mut c_void,
    free_user: FreeFn,
    root: *mut RootHandle,
) -> StatusCode {
    guard_taking(|custody| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(root) }?;
        // SAFETY: promised by the caller.
        let name = unsafe { raw::text(name) }?;
        let notify = notify.ok_or(Status::NullPointer)?;
        let user = User::new(user, free_user, custody);
        out.set(root::create(name.unwrap_or("root"), notify, user)?);
        Ok(())
    })
}

/// Returns a handle to the root isolate as an isolate. Release it with `insula_isolate_release`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_root_isolate(
    root: RootHandle,
    isolate: *mut IsolateHandle,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(isolate) }?;
        out.set(handle::table().insert(Object::Isolate(root::isolate(root)?))?);
        Ok(())
    })
}

/// Calls a function as code of the root isolate, for example to open ports and start timers.
///
/// Errors: `WRONG_THREAD`; `IN_USE` if the thread runs an isolate already; `ENDING` if the root
/// isolate has ended, was killed, or is ended by the function.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_root_enter(
    root: RootHandle,
    function: TaskFn,
    user: *mut c_void,
) -> StatusCode {
    guard(|| {
        let function = function.ok_or(Status::NullPointer)?;
        root::enter(root, function, user)
    })
}

/// Handles the control messages that have arrived, then one message and its microtasks. `state`
/// receives one of `INSULA_ROOT_`..., and may be null.
///
/// Errors: `WRONG_THREAD`, `IN_USE`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_root_handle_message(
    root: RootHandle,
    state: *mut u32,
) -> StatusCode {
    // Also while the runtime stops: a root isolate ends on this thread only, and the shutdown waits
    // for that.
    guard_stopping(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::if_wanted(state) };
        let state = match root::handle_message(root)? {
            Handled::Idle => INSULA_ROOT_IDLE,
            Handled::More => INSULA_ROOT_MORE,
            Handled::Paused => INSULA_ROOT_PAUSED,
            Handled::Exited(_) => INSULA_ROOT_EXITED,
        };
        if let Some(out) = out {
            out.set(state);
        }
        Ok(())
    })
}

/// Runs the root isolate's event loop on this thread until nothing is left that could wake it, or
/// it ends in another way, and closes it. `reason` receives one of `INSULA_EXIT_`..., and may be
/// null.
///
/// Errors: `WRONG_THREAD`, `IN_USE`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_root_run(root: RootHandle, reason: *mut u32) -> StatusCode {
    guard_stopping(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::if_wanted(reason) };
        tell(&root::run(root)?, out);
        Ok(())
    })
}

/// Ends the root isolate at once, and all isolates of its group.
///
/// Errors: `WRONG_THREAD`, `IN_USE`, `STALE_HANDLE` if it is closed already.
#[unsafe(no_mangle)]
pub extern "C" fn insula_root_close(root: RootHandle) -> StatusCode {
    guard_stopping(|| {
        tell(&root::close(root)?, None);
        Ok(())
    })
}

fn tell(reason: &ExitReason, out: Option<Out<u32>>) {
    if let Some(out) = out {
        out.set(exit_code(reason));
    }
}
