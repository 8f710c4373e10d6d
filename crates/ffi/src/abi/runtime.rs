//! Start, shutdown, and information about the library.

use std::ffi::{c_char, c_void};

use super::status::{self, Failure, Status, StatusCode};
use super::timeout;
use super::types::{
    Buffer, Config, ErrorFn, FreeFn, INSULA_ABI_VERSION, INSULA_INIT_PARK_AT_ONCE, RawValue,
    ServiceOptions, SpawnOptions, StatusInfo,
};
use crate::guard::{guard_always, guard_taking, last_error};
use crate::handle;
use crate::raw::{self, Out, User};
use crate::signal;
use crate::state::{self, ErrorHook, Settings};

/// The largest stack size in bytes, which is also the runtime's limit.
const MOST_STACK: u64 = 1 << 30;

/// Returns the version of the library. May be called at any time.
#[unsafe(no_mangle)]
pub extern "C" fn insula_abi_version() -> u32 {
    INSULA_ABI_VERSION
}

/// Returns a description of a status. It is never null, and valid forever. May be called at any
/// time.
#[unsafe(no_mangle)]
pub extern "C" fn insula_status_text(status: StatusCode) -> *const c_char {
    status::name(status).as_ptr()
}

/// Returns the error text of the last call on this thread that failed. It is never null, empty if
/// no call has failed, and valid until the next call on this thread that fails. May be called at
/// any time.
#[unsafe(no_mangle)]
pub extern "C" fn insula_last_error() -> *const c_char {
    last_error()
}

/// Starts the runtime, after a check that header and library match.
///
/// Errors: `VERSION`; `ALREADY_STARTED`, also while a shutdown is under way; `BAD_VALUE` for
/// unknown flags and a stack size out of bounds; `OUT_OF_RESOURCES` if no thread can be started.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_init(config: *const Config) -> StatusCode {
    guard_always(|| {
        // SAFETY: promised by the caller; the configuration of any version begins with these bytes.
        let size = unsafe { raw::read(config.cast::<u32>()) }?;
        // Compared before the rest is read, which another version may not have.
        if size as usize != size_of::<Config>() {
            return Err(mismatch("insula_config", size, size_of::<Config>()));
        }
        // SAFETY: promised by the caller, and the size fits.
        let config = unsafe { raw::read(config) }?;
        if config.abi_version != INSULA_ABI_VERSION {
            let text = format!(
                "the header is version {}, the library {INSULA_ABI_VERSION}",
                config.abi_version
            );
            return Err(Failure::new(Status::Version, text));
        }
        let sizes = [
            ("insula_value", config.value_size, size_of::<RawValue>()),
            (
                "insula_spawn_options",
                config.spawn_options_size,
                size_of::<SpawnOptions>(),
            ),
            (
                "insula_status_info",
                config.status_info_size,
                size_of::<StatusInfo>(),
            ),
            (
                "insula_service_options",
                config.service_options_size,
                size_of::<ServiceOptions>(),
            ),
            ("insula_buffer", config.buffer_size, size_of::<Buffer>()),
        ];
        for (name, theirs, ours) in sizes {
            if theirs as usize != ours {
                return Err(mismatch(name, theirs, ours));
            }
        }
        if config.flags & !INSULA_INIT_PARK_AT_ONCE != 0 {
            return Err(Status::BadValue.into());
        }
        if config.stack_size > MOST_STACK {
            let text = format!(
                "stacks of {} bytes are larger than {MOST_STACK}, which is the most",
                config.stack_size
            );
            return Err(Failure::new(Status::BadValue, text));
        }
        // SAFETY: promised by the caller.
        let name = unsafe { raw::text(config.name) }?;
        let count = |number: u32| (number != 0).then_some(number as usize);
        state::start(Settings {
            threads: count(config.threads),
            spare_threads: count(config.spare_threads),
            parks_at_once: config.flags & INSULA_INIT_PARK_AT_ONCE != 0,
            // Cannot truncate, because of the limit.
            stack_size: (config.stack_size != 0).then_some(config.stack_size as usize),
            name: name.map(str::to_owned),
        })
    })
}

fn mismatch(name: &str, theirs: u32, ours: usize) -> Failure {
    let text = format!("{name} has {theirs} bytes in the header and {ours} in the library");
    Failure::new(Status::Version, text)
}

/// Ends everything: closes all handles, kills all isolates, and waits until they have ended and no
/// callback runs or will run again. After that the runtime may be started again.
///
/// The root isolates of this thread end here. The threads of the others are notified and have to
/// handle that (`insula_root_handle_message`), or close their root isolates.
///
/// Errors: `TIMED_OUT` if something has not ended after `timeout_ns`; another call continues the
/// wait. `DEADLOCK` inside an isolate or a callback. `NOT_STARTED`, `SHUT_DOWN`.
///
/// Several threads may shut down at the same time; each returns when this runtime has ended, and
/// ends nothing that was started since.
#[unsafe(no_mangle)]
pub extern "C" fn insula_shut_down(timeout_ns: u64) -> StatusCode {
    guard_always(|| state::shut_down(timeout(timeout_ns)))
}

/// Writes a snapshot of the library to `info`. May be called at any time.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_inspect(info: *mut StatusInfo) -> StatusCode {
    guard_always(|| {
        // SAFETY: promised by the caller.
        let size = unsafe { raw::read(info.cast_const().cast::<u32>()) }?;
        if size as usize != size_of::<StatusInfo>() {
            return Err(mismatch(
                "insula_status_info",
                size,
                size_of::<StatusInfo>(),
            ));
        }
        // SAFETY: promised by the caller, and the size fits.
        let out = unsafe { Out::new(info) }?;
        // Without a runtime the counts are 0. The phase and the counters of the library exist all
        // the same.
        let runtime = state::runtime().ok();
        out.set(StatusInfo {
            size,
            phase: state::phase(),
            isolates: runtime.as_ref().map_or(0, |it| it.isolate_count() as u64),
            threads: runtime.as_ref().map_or(0, |it| it.thread_count() as u64),
            handles: handle::table().live() + signal::live(),
            callbacks: state::callbacks(),
            external_values: state::externals(),
            posts: state::posts(),
        });
        Ok(())
    })
}

/// Sets the function that receives uncaught errors which no listener gets, on the thread where they
/// happen. With a null `function` they are written to the standard error stream again. `free_user`
/// is called when another function replaces this one, or at the shutdown.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_set_error_hook(
    function: ErrorFn,
    user: *mut c_void,
    free_user: FreeFn,
) -> StatusCode {
    guard_taking(|custody| {
        let hook = ErrorHook::new(function, User::new(user, free_user, custody));
        drop(state::set_error_hook(hook)?);
        Ok(())
    })
}
