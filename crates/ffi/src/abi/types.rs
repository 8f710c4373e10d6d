//! Types and numbers, as C sees them. Nothing here has a width that depends on the machine, but
//! for pointers.

use std::ffi::{c_char, c_void};

/// The version that header and library must agree on.
pub const INSULA_ABI_VERSION: u32 = 1;

/// The address of a port, of an isolate's or a native one. 0 is none.
pub type PortHandle = u64;
/// An isolate. 0 is none.
pub type IsolateHandle = u64;
/// A timer. 0 is none.
pub type TimerHandle = u64;
/// An isolate that a thread of the program drives. 0 is none.
pub type RootHandle = u64;
/// A service on a pool of workers. 0 is none.
pub type ServiceHandle = u64;
/// A call of a service that has no answer yet. 0 is none.
pub type CallHandle = u64;
/// A token that equals no other one; it also takes back a pause. 0 is none.
pub type CapabilityHandle = u64;

/// Bytes that the library holds for its caller. 0 is none.
pub type BufferHandle = u64;
/// A party of a mailbox. 0 is none.
pub type MailboxHandle = u64;
/// The requesting side of a rendezvous. 0 is none.
pub type RequesterHandle = u64;
/// The responding side of a rendezvous. 0 is none.
pub type ResponderHandle = u64;
/// A lock. 0 is none.
pub type MutexHandle = u64;
/// A condition variable. 0 is none.
pub type ConditionHandle = u64;
/// A callback into an isolate. 0 is none.
pub type CallbackHandle = u64;

/// A signal, which a signal handler raises to wake a port. 0 is none.
pub type SignalHandle = u64;

/// A time-out without a limit.
pub const INSULA_FOREVER: u64 = u64::MAX;

/// No content.
pub const INSULA_KIND_NULL: u32 = 0;
/// `integer` is 0 or 1.
pub const INSULA_KIND_BOOL: u32 = 1;
/// `integer`, which must fit 32 bits.
pub const INSULA_KIND_INT32: u32 = 2;
/// `integer`.
pub const INSULA_KIND_INT64: u32 = 3;
/// `real`.
pub const INSULA_KIND_DOUBLE: u32 = 4;
/// UTF-8 at `data`, of `length` bytes. Copied when sent; the receiver's copy ends with a zero byte,
/// which `length` does not count.
pub const INSULA_KIND_STRING: u32 = 5;
/// `length` values at `data`.
pub const INSULA_KIND_ARRAY: u32 = 6;
/// `length` bytes at `data`, elements of type `element`. Copied when sent; the copy's address is a
/// multiple of 16.
pub const INSULA_KIND_TYPED_DATA: u32 = 7;
/// `length` bytes at `data`, elements of type `element`, which move when sent: `finalizer` is
/// called with `peer`, once, when they are no longer needed.
pub const INSULA_KIND_EXTERNAL_TYPED_DATA: u32 = 8;
/// `integer` is a port.
pub const INSULA_KIND_SEND_PORT: u32 = 9;
/// `integer` is a capability.
pub const INSULA_KIND_CAPABILITY: u32 = 10;
/// The address `data`, of something of `length` bytes. The receiver owns it; `finalizer`, which may
/// be null, is called with `data` if it is never delivered.
pub const INSULA_KIND_NATIVE_POINTER: u32 = 11;
/// A value that could not be converted. It cannot be sent.
pub const INSULA_KIND_UNSUPPORTED: u32 = 12;
/// Like `INSULA_KIND_EXTERNAL_TYPED_DATA`, but the data must not be written to.
pub const INSULA_KIND_UNMODIFIABLE_EXTERNAL_TYPED_DATA: u32 = 13;
/// The number of kinds.
pub const INSULA_KIND_COUNT: u32 = 14;

/// Untyped bytes.
pub const INSULA_ELEMENT_BYTES: u32 = 0;
/// `int8_t`.
pub const INSULA_ELEMENT_INT8: u32 = 1;
/// `uint8_t`.
pub const INSULA_ELEMENT_UINT8: u32 = 2;
/// `uint8_t`; larger and smaller numbers are clamped.
pub const INSULA_ELEMENT_UINT8_CLAMPED: u32 = 3;
/// `int16_t`.
pub const INSULA_ELEMENT_INT16: u32 = 4;
/// `uint16_t`.
pub const INSULA_ELEMENT_UINT16: u32 = 5;
/// `int32_t`.
pub const INSULA_ELEMENT_INT32: u32 = 6;
/// `uint32_t`.
pub const INSULA_ELEMENT_UINT32: u32 = 7;
/// `int64_t`.
pub const INSULA_ELEMENT_INT64: u32 = 8;
/// `uint64_t`.
pub const INSULA_ELEMENT_UINT64: u32 = 9;
/// `float`.
pub const INSULA_ELEMENT_FLOAT32: u32 = 10;
/// `double`.
pub const INSULA_ELEMENT_FLOAT64: u32 = 11;
/// Four `int32_t`.
pub const INSULA_ELEMENT_INT32X4: u32 = 12;
/// Four `float`.
pub const INSULA_ELEMENT_FLOAT32X4: u32 = 13;
/// Two `double`.
pub const INSULA_ELEMENT_FLOAT64X2: u32 = 14;
/// The number of element types.
pub const INSULA_ELEMENT_COUNT: u32 = 15;

/// Frees what belongs to a pointer. Called on any thread.
pub type FinalizerFn = Option<extern "C" fn(peer: *mut c_void)>;

/// A message, or a part of one. `kind` determines which of the other fields are used.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct RawValue {
    /// One of `INSULA_KIND_`...
    pub kind: u32,
    /// One of `INSULA_ELEMENT_`..., for typed data.
    pub element: u32,
    /// A number, a boolean, a port or a capability.
    pub integer: i64,
    /// A floating-point number.
    pub real: f64,
    /// The number of bytes at `data`; for an array, of values.
    pub length: u64,
    /// Text, bytes, values, or an address.
    pub data: *const c_void,
    /// The argument of `finalizer`, for external typed data.
    pub peer: *mut c_void,
    /// Called when the data is no longer needed.
    pub finalizer: FinalizerFn,
}

impl Default for RawValue {
    fn default() -> Self {
        Self {
            kind: INSULA_KIND_NULL,
            element: INSULA_ELEMENT_BYTES,
            integer: 0,
            real: 0.0,
            length: 0,
            data: std::ptr::null(),
            peer: std::ptr::null_mut(),
            finalizer: None,
        }
    }
}

/// Threads without work park at once, without the usual search of 20 us. This is better where other
/// threads bring most of the work, one piece at a time, and wait for each answer.
pub const INSULA_INIT_PARK_AT_ONCE: u32 = 1;

/// The settings of the runtime. Initialize it with `INSULA_CONFIG_INIT`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// `sizeof(insula_config)`.
    pub size: u32,
    /// `INSULA_ABI_VERSION`.
    pub abi_version: u32,
    /// `sizeof(insula_value)`.
    pub value_size: u32,
    /// `sizeof(insula_spawn_options)`.
    pub spawn_options_size: u32,
    /// `sizeof(insula_status_info)`.
    pub status_info_size: u32,
    /// `sizeof(insula_service_options)`.
    pub service_options_size: u32,
    /// `sizeof(insula_buffer)`.
    pub buffer_size: u32,
    /// The number of threads that run isolates at a time; 0 for one per core. Larger numbers than
    /// 65,536 count as 65,536.
    pub threads: u32,
    /// The number of threads that may be added while others are blocked; 0 for 256. Larger numbers
    /// than 65,536 count as 65,536.
    pub spare_threads: u32,
    /// `INSULA_INIT_PARK_AT_ONCE`, or 0.
    pub flags: u32,
    /// The stack size in bytes of the threads that run isolates, including pinned ones; 0 for 2
    /// MiB, or the value of the environment variable `RUST_MIN_STACK`. Less than 64 KiB counts as
    /// 64 KiB; more than 1 GiB is a `BAD_VALUE`. A stack overflow aborts the process.
    pub stack_size: u64,
    /// The prefix of the threads' names; null for `insula`.
    pub name: *const c_char,
}

/// The isolate is paused before its entry, until `insula_isolate_resume` with capability 0.
pub const INSULA_SPAWN_PAUSED: u32 = 1;
/// An uncaught error does not end the isolate.
pub const INSULA_SPAWN_ERRORS_NOT_FATAL: u32 = 2;
/// The isolate has a thread of its own, on which all of its callbacks run.
pub const INSULA_SPAWN_PINNED: u32 = 4;

/// The settings of an isolate. Initialize it with `INSULA_SPAWN_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct SpawnOptions {
    /// `sizeof(insula_spawn_options)`.
    pub size: u32,
    /// A sum of `INSULA_SPAWN_`...
    pub flags: u32,
    /// The name for reports; null for a number.
    pub name: *const c_char,
    /// A port that receives `[reason, text]` when the isolate has ended; 0 for none. It must be a
    /// port of an isolate: a native one is a `WRONG_TYPE`.
    pub on_exit: PortHandle,
    /// A port of the spawning isolate that receives `[text, place, name, is fatal]` for every
    /// uncaught error; 0 for none.
    pub on_error: PortHandle,
}

/// The port does not keep its isolate alive.
pub const INSULA_PORT_WEAK: u32 = 1;

/// At the next interrupt check, even in the middle of an event: `insula_checkpoint`.
pub const INSULA_PRIORITY_IMMEDIATE: u32 = 0;
/// When the current event is done, before all queued events.
pub const INSULA_PRIORITY_BEFORE_NEXT_EVENT: u32 = 1;
/// After all queued events.
pub const INSULA_PRIORITY_AS_EVENT: u32 = 2;

/// Any thread may call it, and does not wait; the callback runs later, as an event of the isolate.
pub const INSULA_CALLBACK_LISTENER: u32 = 0;
/// Any thread may call it, and waits for the isolate's answer.
pub const INSULA_CALLBACK_BLOCKING: u32 = 1;
/// Only code of the isolate may call it; it runs at once.
pub const INSULA_CALLBACK_ISOLATE_LOCAL: u32 = 2;
/// Any thread may call it; it runs at once on the calling thread, possibly on several threads at
/// the same time, and is not code of the isolate.
pub const INSULA_CALLBACK_GROUP_BOUND: u32 = 3;

/// No request, and no response.
pub const INSULA_RENDEZVOUS_NONE: u32 = 0;
/// A request has not been answered.
pub const INSULA_RENDEZVOUS_REQUEST: u32 = 1;
/// A response has not been taken.
pub const INSULA_RENDEZVOUS_RESPONSE: u32 = 2;

/// Nothing was left that could wake the isolate.
pub const INSULA_EXIT_FINISHED: u32 = 0;
/// The isolate called `insula_exit`.
pub const INSULA_EXIT_EXITED: u32 = 1;
/// The isolate was killed, or the runtime was shut down.
pub const INSULA_EXIT_KILLED: u32 = 2;
/// An uncaught error ended the isolate.
pub const INSULA_EXIT_FAILED: u32 = 3;

/// Nothing is queued; `notify` is called when there is.
pub const INSULA_ROOT_IDLE: u32 = 0;
/// There may be more to do: call again.
pub const INSULA_ROOT_MORE: u32 = 1;
/// The isolate is paused; `notify` is called when there is something to do.
pub const INSULA_ROOT_PAUSED: u32 = 2;
/// The isolate has ended.
pub const INSULA_ROOT_EXITED: u32 = 3;

/// The runtime has not been started.
pub const INSULA_PHASE_NOT_STARTED: u32 = 0;
/// The runtime is running.
pub const INSULA_PHASE_RUNNING: u32 = 1;
/// The runtime is shutting down, or a shutdown timed out.
pub const INSULA_PHASE_STOPPING: u32 = 2;
/// The runtime has been shut down.
pub const INSULA_PHASE_STOPPED: u32 = 3;

/// A snapshot of the library.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct StatusInfo {
    /// `sizeof(insula_status_info)`, set by the caller.
    pub size: u32,
    /// One of `INSULA_PHASE_`...
    pub phase: u32,
    /// The number of isolates that have not ended.
    pub isolates: u64,
    /// The number of threads that the pool has started so far.
    pub threads: u64,
    /// The number of handles that have not been closed.
    pub handles: u64,
    /// The number of registered callbacks that have not been freed.
    pub callbacks: u64,
    /// The number of external data values whose finalizer has not run.
    pub external_values: u64,
    /// The number of messages that were accepted so far.
    pub posts: u64,
}

/// Calls for which the queue has no room are rejected, and do not wait for room.
pub const INSULA_SERVICE_REJECT_WHEN_FULL: u32 = 1;

/// The settings of a service. Initialize it with `INSULA_SERVICE_OPTIONS_INIT`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ServiceOptions {
    /// `sizeof(insula_service_options)`.
    pub size: u32,
    /// A sum of `INSULA_SERVICE_`...
    pub flags: u32,
    /// The number of requests that are answered at once, at most 65,536; 0 for one per core.
    pub workers: u32,
    /// The number of calls that may wait; 0 for 1,024.
    pub queue: u32,
    /// The name by which others find the service; null for none.
    pub name: *const c_char,
}

/// Bytes that the library holds for its caller, valid until `insula_buffer_free`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Buffer {
    /// The handle for `insula_buffer_free`.
    pub handle: BufferHandle,
    /// The number of bytes.
    pub length: u64,
    /// The bytes, at an address that is a multiple of 16. Not null.
    pub bytes: *const u8,
}

/// Frees the data of a callback. Called once, when the callback will never be called again.
pub type FreeFn = Option<extern "C" fn(user: *mut c_void)>;
/// A function that gets only `user`.
pub type TaskFn = Option<extern "C" fn(user: *mut c_void)>;
/// The entry of an isolate, which is its first event. A result other than 0 is an uncaught error;
/// `insula_throw` before the return gives it a text.
pub type EntryFn = Option<extern "C" fn(user: *mut c_void, message: *const RawValue) -> i32>;
/// Handles the messages of a port. The message is valid until it returns.
pub type MessageFn =
    Option<extern "C" fn(user: *mut c_void, port: PortHandle, message: *const RawValue)>;
/// Called when a timer is due; `tick` counts the periods that have passed.
pub type TimerFn = Option<extern "C" fn(user: *mut c_void, timer: TimerHandle, tick: u64)>;
/// Receives an uncaught error that no listener gets; both texts end with a zero byte.
pub type ErrorFn =
    Option<extern "C" fn(user: *mut c_void, isolate: *const c_char, text: *const c_char)>;
/// Handles the requests of a message loop: it answers with `insula_responder_respond` before it
/// returns, otherwise the request is declined.
pub type RequestFn = Option<
    extern "C" fn(user: *mut c_void, responder: ResponderHandle, bytes: *const u8, length: u64),
>;
/// Answers the requests of a service, with `insula_reply` or `insula_fail`.
pub type ServiceFn = Option<extern "C" fn(user: *mut c_void, request: *const RawValue)>;
/// Called at the end of a call. `reply` is the answer, or the text of the error; `may_have_run` is
/// 0 if the service has certainly not begun with the call.
pub type DoneFn = Option<
    extern "C" fn(
        user: *mut c_void,
        status: super::status::StatusCode,
        may_have_run: u32,
        reply: *const RawValue,
    ),
>;
/// The function of a callback; it answers with `insula_reply`.
pub type CallbackFn =
    Option<extern "C" fn(user: *mut c_void, callback: CallbackHandle, arguments: *const RawValue)>;
/// Receives the answer of a callback.
pub type ResultFn = Option<extern "C" fn(user: *mut c_void, result: *const RawValue)>;
