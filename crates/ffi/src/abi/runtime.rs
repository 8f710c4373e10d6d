//! Start, shutdown, and what the library tells of itself.

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

/// How large a stack may be; the runtime takes no larger ones.
const MOST_STACK: u64 = 1 << 30;

/// The version of the library. May be called at any time.
#[unsafe(no_mangle)]
pub extern "C" fn insula_abi_version() -> u32 {
    INSULA_ABI_VERSION
}

/// What a status means, in words. Never null; stays for ever. May be called at any time.
#[unsafe(no_mangle)]
pub extern "C" fn insula_status_text(status: StatusCode) -> *const c_char {
    status::name(status).as_ptr()
}

/// What went wrong in the last call on this thread that failed. Never null; empty if none has
/// failed; valid until the next call on this thread that fails. May be called at any time.
#[unsafe(no_mangle)]
pub extern "C" fn insula_last_error() -> *const c_char {
    last_error()
}

/// Starts the runtime, after a look at whether header and library fit together.
///
/// Errors: `VERSION`, `ALREADY_STARTED`, also while a shutdown is going on; `BAD_VALUE` for unknown
/// flags and a stack size out of bounds; `OUT_OF_RESOURCES` if no thread can be started.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_init(config: *const Config) -> StatusCode {
    guard_always(|| {
        // SAFETY: promised by the caller: even another version's begins with these two.
        let size = unsafe { raw::read(config.cast::<u32>()) }?;
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
            // It fits: there is a limit to it.
            stack_size: (config.stack_size != 0).then_some(config.stack_size as usize),
            name: name.map(str::to_owned),
        })
    })
}

fn mismatch(name: &str, theirs: u32, ours: usize) -> Failure {
    let text = format!("{name} has {theirs} bytes in the header and {ours} in the library");
    Failure::new(Status::Version, text)
}

/// Ends everything: closes all handles, kills all isolates, and waits until they have ended
/// and no callback runs or will run any more. Then the runtime may be started again.
///
/// Root isolates end here only if they belong to this thread; the others' threads are notified
/// and have to handle it (`insula_root_handle_message`), or close them.
///
/// Errors: `TIMED_OUT` if something has not ended after `timeout_ns`; call again to go on
/// waiting. `DEADLOCK` from inside of an isolate or a callback. `NOT_STARTED`, `SHUT_DOWN`.
///
/// Several threads may shut down at the same time; each returns when this runtime has ended, and
/// ends nothing that was started since.
#[unsafe(no_mangle)]
pub extern "C" fn insula_shut_down(timeout_ns: u64) -> StatusCode {
    guard_always(|| state::shut_down(timeout(timeout_ns)))
}

/// Tells how the library is at this moment. May be called at any time.
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

/// Sets who is told of uncaught errors that no listener gets, on the thread where they happen.
/// A null `function` has them written to the standard error stream again. `free_user` is
/// called when another one takes its place, or at the shutdown.
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
