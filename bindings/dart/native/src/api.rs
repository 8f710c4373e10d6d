//! The functions of the Dart VM that the library needs, and the VM's type of messages.
//!
//! The VM provides a table of names and functions (`NativeApi.initializeApiDLData` in Dart), which
//! begins with a version: within one major version functions and types are only added.

use std::ffi::{CStr, c_char, c_void};
use std::sync::OnceLock;

use insula_ffi::abi::runtime::insula_init;
use insula_ffi::abi::status::{
    INSULA_ERROR_ALREADY_STARTED, INSULA_ERROR_NULL_POINTER, INSULA_ERROR_VERSION, INSULA_OK,
    StatusCode,
};
use insula_ffi::abi::types::{
    Buffer, Config, INSULA_ABI_VERSION, INSULA_INIT_PARK_AT_ONCE, RawValue, ServiceOptions,
    SpawnOptions, StatusInfo,
};

/// The major version of the dynamic API that this code is written for.
const MAJOR: i32 = 2;

/// A port of a Dart isolate, as its VM numbers it.
pub type DartPort = i64;

/// The finalizer that the VM calls when its collector has found external data without references.
pub(crate) type DartFinalizer = extern "C" fn(isolate_data: *mut c_void, peer: *mut c_void);

type Post = extern "C" fn(DartPort, *mut Object) -> bool;
type CurrentIsolate = extern "C" fn() -> *mut c_void;

#[derive(Debug)]
struct Api {
    post: Post,
    current_isolate: CurrentIsolate,
}

static API: OnceLock<Api> = OnceLock::new();

/// A message to a Dart port, or a part of one. `kind` determines which content is used.
#[repr(C)]
pub(crate) struct Object {
    pub(crate) kind: Kind,
    pub(crate) content: Content,
}

#[repr(u32)]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    // The numbers are the VM's. Those that are left out are of kinds that no letter has.
    Null = 0,
    Bool = 1,
    Int64 = 3,
    Double = 4,
    String = 5,
    Array = 6,
    TypedData = 7,
    ExternalTypedData = 8,
    UnmodifiableExternalTypedData = 13,
}

#[repr(C)]
pub(crate) union Content {
    pub(crate) truth: bool,
    pub(crate) integer: i64,
    pub(crate) real: f64,
    pub(crate) text: *const c_char,
    pub(crate) array: Array,
    pub(crate) data: Data,
    pub(crate) external: External,
    /// The largest variant, which determines the size of the type.
    send_port: [i64; 2],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Array {
    pub(crate) length: isize,
    pub(crate) items: *mut *mut Object,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Data {
    pub(crate) element: u32,
    /// The number of elements, not of bytes.
    pub(crate) length: isize,
    pub(crate) bytes: *const u8,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct External {
    pub(crate) element: u32,
    /// The number of elements, not of bytes.
    pub(crate) length: isize,
    pub(crate) bytes: *mut u8,
    pub(crate) peer: *mut c_void,
    pub(crate) finalizer: DartFinalizer,
}

#[repr(C)]
struct Table {
    major: i32,
    minor: i32,
    /// Ends with an entry whose name is null.
    entries: *const Entry,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    name: *const c_char,
    function: *const c_void,
}

/// Stores the VM's functions, and starts the runtime with `threads` threads (0: one per core) if it
/// is not running. Every isolate calls this; all have the same VM and the same runtime.
///
/// # Safety
/// `data` is null or `NativeApi.initializeApiDLData`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_init(data: *const c_void, threads: u32) -> StatusCode {
    // SAFETY: promised by the caller.
    match unsafe { remember(data) } {
        INSULA_OK => start(threads),
        status => status,
    }
}

fn start(threads: u32) -> StatusCode {
    let config = Config {
        size: size_of::<Config>() as u32,
        abi_version: INSULA_ABI_VERSION,
        value_size: size_of::<RawValue>() as u32,
        spawn_options_size: size_of::<SpawnOptions>() as u32,
        status_info_size: size_of::<StatusInfo>() as u32,
        service_options_size: size_of::<ServiceOptions>() as u32,
        buffer_size: size_of::<Buffer>() as u32,
        threads,
        spare_threads: 0,
        // Calls come from the VM's threads, which get the answers. (Measured 2026-11-21 with
        // `benchmark/calls.dart` on two cores: the median of a call is 13 us, and 31 us if threads
        // search for work for 20 us.)
        flags: INSULA_INIT_PARK_AT_ONCE,
        stack_size: 0,
        name: std::ptr::null(),
    };
    // SAFETY: a valid configuration.
    match unsafe { insula_init(&raw const config) } {
        // Started by another isolate.
        INSULA_ERROR_ALREADY_STARTED => INSULA_OK,
        status => status,
    }
}

/// # Safety
/// As for [`insula_dart_init`].
unsafe fn remember(data: *const c_void) -> StatusCode {
    if data.is_null() {
        return INSULA_ERROR_NULL_POINTER;
    }
    let table = data.cast::<Table>();
    // SAFETY: the VM's table, which begins the same way in every version.
    let major = unsafe { (*table).major };
    if major != MAJOR {
        return INSULA_ERROR_VERSION;
    }
    // SAFETY: as above; the entries exist as long as the VM.
    let entries = unsafe { (*table).entries };
    // SAFETY: the table ends with an entry whose name is null.
    let post = unsafe { find(entries, c"Dart_PostCObject") };
    // SAFETY: as above.
    let current_isolate = unsafe { find(entries, c"Dart_CurrentIsolate") };
    let (Some(post), Some(current_isolate)) = (post, current_isolate) else {
        return INSULA_ERROR_VERSION;
    };
    API.get_or_init(|| Api {
        // SAFETY: the function of that name has this type in every minor version.
        post: unsafe { std::mem::transmute::<*const c_void, Post>(post) },
        // SAFETY: as above.
        current_isolate: unsafe {
            std::mem::transmute::<*const c_void, CurrentIsolate>(current_isolate)
        },
    });
    INSULA_OK
}

/// # Safety
/// `entry` is the first of a table that ends with an entry whose name is null.
unsafe fn find(mut entry: *const Entry, name: &CStr) -> Option<*const c_void> {
    loop {
        // SAFETY: the loop does not pass the last entry.
        let this = unsafe { entry.read() };
        if this.name.is_null() {
            return None;
        }
        // SAFETY: the names of the table are C strings.
        if unsafe { CStr::from_ptr(this.name) } == name {
            return (!this.function.is_null()).then_some(this.function);
        }
        // SAFETY: this was not the last one.
        entry = unsafe { entry.add(1) };
    }
}

/// Posts a message, which the VM copies except for external data in it. Returns `false` if there is
/// no such port; then everything is still the caller's.
///
/// # Safety
/// All pointers in the message are valid, and nothing else finalizes the external data.
pub(crate) unsafe fn post(port: DartPort, message: *mut Object) -> bool {
    API.get().is_some_and(|api| (api.post)(port, message))
}

/// Returns a number that identifies the Dart isolate that runs on this thread; 0 if there is none.
pub(crate) fn current_isolate() -> usize {
    API.get().map_or(0, |api| (api.current_isolate)().addr())
}
