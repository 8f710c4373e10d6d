//! Status codes, as C sees them.

use std::borrow::Cow;

/// The result of a function: `INSULA_OK`, or the reason why it did nothing.
pub type StatusCode = i32;

/// Success.
pub const INSULA_OK: i32 = 0;
/// A required pointer is null.
pub const INSULA_ERROR_NULL_POINTER: i32 = 1;
/// The number is not a handle and never was one.
pub const INSULA_ERROR_BAD_HANDLE: i32 = 2;
/// The handle's object has been closed or released, or has ended.
pub const INSULA_ERROR_STALE_HANDLE: i32 = 3;
/// The handle is of another type.
pub const INSULA_ERROR_WRONG_TYPE: i32 = 4;
/// The length is more than memory can hold, or is not a multiple of the element size.
pub const INSULA_ERROR_BAD_LENGTH: i32 = 5;
/// The text is not UTF-8.
pub const INSULA_ERROR_BAD_UTF8: i32 = 6;
/// The number is not one of those allowed here, or the pointer is not aligned.
pub const INSULA_ERROR_BAD_VALUE: i32 = 7;
/// The value is nested too deeply, or has too many parts.
pub const INSULA_ERROR_TOO_DEEP: i32 = 8;
/// `insula_init` has not been called.
pub const INSULA_ERROR_NOT_STARTED: i32 = 9;
/// `insula_shut_down` has been called.
pub const INSULA_ERROR_SHUT_DOWN: i32 = 10;
/// The runtime is running already.
pub const INSULA_ERROR_ALREADY_STARTED: i32 = 11;
/// This process was forked from the process that started the runtime.
pub const INSULA_ERROR_FORKED: i32 = 12;
/// The object is closed, or its isolate has ended. Nothing has moved.
pub const INSULA_ERROR_CLOSED: i32 = 13;
/// There is no room now.
pub const INSULA_ERROR_FULL: i32 = 14;
/// There is nothing to take now.
pub const INSULA_ERROR_EMPTY: i32 = 15;
/// The time-out has passed.
pub const INSULA_ERROR_TIMED_OUT: i32 = 16;
/// No isolate runs on this thread.
pub const INSULA_ERROR_NO_ISOLATE: i32 = 17;
/// Only the isolate that created the object may do this.
pub const INSULA_ERROR_WRONG_ISOLATE: i32 = 18;
/// Only the thread that created the object may do this.
pub const INSULA_ERROR_WRONG_THREAD: i32 = 19;
/// The wait would never end.
pub const INSULA_ERROR_DEADLOCK: i32 = 20;
/// The object is in use further up on this thread's stack.
pub const INSULA_ERROR_IN_USE: i32 = 21;
/// The peer that was to answer has ended.
pub const INSULA_ERROR_PEER_DIED: i32 = 22;
/// The callee rejected the call: its queue is full, or it shuts down.
pub const INSULA_ERROR_REJECTED: i32 = 23;
/// The operation was cancelled.
pub const INSULA_ERROR_CANCELLED: i32 = 24;
/// The callee's own code failed, and supplied the text.
pub const INSULA_ERROR_FAILED: i32 = 25;
/// The isolate is ending: return from the callback.
pub const INSULA_ERROR_ENDING: i32 = 26;
/// The operating system, or a table of the library, has no room.
pub const INSULA_ERROR_OUT_OF_RESOURCES: i32 = 27;
/// Header and library do not match.
pub const INSULA_ERROR_VERSION: i32 = 28;
/// The object's state does not allow this.
pub const INSULA_ERROR_BAD_STATE: i32 = 29;
/// The name is taken.
pub const INSULA_ERROR_NAME_TAKEN: i32 = 30;
/// There is no object of this name, or no such data.
pub const INSULA_ERROR_NOT_FOUND: i32 = 31;
/// A value of this kind cannot be sent.
pub const INSULA_ERROR_UNSUPPORTED: i32 = 32;
/// A fault of the library. No panic crossed the border; the text describes it.
pub const INSULA_ERROR_INTERNAL: i32 = 33;

/// The reason why a function did nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(i32)]
#[expect(missing_docs, reason = "each is told at its constant")]
pub enum Status {
    NullPointer = INSULA_ERROR_NULL_POINTER,
    BadHandle = INSULA_ERROR_BAD_HANDLE,
    StaleHandle = INSULA_ERROR_STALE_HANDLE,
    WrongType = INSULA_ERROR_WRONG_TYPE,
    BadLength = INSULA_ERROR_BAD_LENGTH,
    BadUtf8 = INSULA_ERROR_BAD_UTF8,
    BadValue = INSULA_ERROR_BAD_VALUE,
    TooDeep = INSULA_ERROR_TOO_DEEP,
    NotStarted = INSULA_ERROR_NOT_STARTED,
    ShutDown = INSULA_ERROR_SHUT_DOWN,
    AlreadyStarted = INSULA_ERROR_ALREADY_STARTED,
    Forked = INSULA_ERROR_FORKED,
    Closed = INSULA_ERROR_CLOSED,
    Full = INSULA_ERROR_FULL,
    Empty = INSULA_ERROR_EMPTY,
    TimedOut = INSULA_ERROR_TIMED_OUT,
    NoIsolate = INSULA_ERROR_NO_ISOLATE,
    WrongIsolate = INSULA_ERROR_WRONG_ISOLATE,
    WrongThread = INSULA_ERROR_WRONG_THREAD,
    Deadlock = INSULA_ERROR_DEADLOCK,
    InUse = INSULA_ERROR_IN_USE,
    PeerDied = INSULA_ERROR_PEER_DIED,
    Rejected = INSULA_ERROR_REJECTED,
    Cancelled = INSULA_ERROR_CANCELLED,
    Failed = INSULA_ERROR_FAILED,
    Ending = INSULA_ERROR_ENDING,
    OutOfResources = INSULA_ERROR_OUT_OF_RESOURCES,
    Version = INSULA_ERROR_VERSION,
    BadState = INSULA_ERROR_BAD_STATE,
    NameTaken = INSULA_ERROR_NAME_TAKEN,
    NotFound = INSULA_ERROR_NOT_FOUND,
    Unsupported = INSULA_ERROR_UNSUPPORTED,
    Internal = INSULA_ERROR_INTERNAL,
}

impl Status {
    /// Returns the number that C sees.
    pub fn code(self) -> StatusCode {
        self as i32
    }

    /// Returns a sentence that describes the status.
    pub fn text(self) -> &'static str {
        name(self.code()).to_str().unwrap_or_default()
    }
}

/// Returns a description of a status.
pub(crate) fn name(code: StatusCode) -> &'static std::ffi::CStr {
    match code {
        INSULA_OK => c"done",
        INSULA_ERROR_NULL_POINTER => c"a pointer is null",
        INSULA_ERROR_BAD_HANDLE => c"this is no handle",
        INSULA_ERROR_STALE_HANDLE => c"what the handle stood for is gone",
        INSULA_ERROR_WRONG_TYPE => c"the handle is of another type",
        INSULA_ERROR_BAD_LENGTH => c"the length is impossible",
        INSULA_ERROR_BAD_UTF8 => c"the text is not UTF-8",
        INSULA_ERROR_BAD_VALUE => c"a value is not among those allowed",
        INSULA_ERROR_TOO_DEEP => c"the value is nested too deeply or has too many parts",
        INSULA_ERROR_NOT_STARTED => c"the runtime has not been started",
        INSULA_ERROR_SHUT_DOWN => c"the runtime has been shut down",
        INSULA_ERROR_ALREADY_STARTED => c"the runtime runs already",
        INSULA_ERROR_FORKED => c"the runtime does not survive a fork",
        INSULA_ERROR_CLOSED => c"it is closed",
        INSULA_ERROR_FULL => c"it is full",
        INSULA_ERROR_EMPTY => c"it is empty",
        INSULA_ERROR_TIMED_OUT => c"the time-out has passed",
        INSULA_ERROR_NO_ISOLATE => c"no isolate runs on this thread",
        INSULA_ERROR_WRONG_ISOLATE => c"it belongs to another isolate",
        INSULA_ERROR_WRONG_THREAD => c"it belongs to another thread",
        INSULA_ERROR_DEADLOCK => c"the wait would never end",
        INSULA_ERROR_IN_USE => c"it is in use on this thread",
        INSULA_ERROR_PEER_DIED => c"the other side has ended",
        INSULA_ERROR_REJECTED => c"the call was refused",
        INSULA_ERROR_CANCELLED => c"it was cancelled",
        INSULA_ERROR_FAILED => c"the callee failed",
        INSULA_ERROR_ENDING => c"the isolate is ending",
        INSULA_ERROR_OUT_OF_RESOURCES => c"there is no room for more",
        INSULA_ERROR_VERSION => c"header and library do not fit together",
        INSULA_ERROR_BAD_STATE => c"not allowed in this state",
        INSULA_ERROR_NAME_TAKEN => c"the name is taken",
        INSULA_ERROR_NOT_FOUND => c"there is none of this name",
        INSULA_ERROR_UNSUPPORTED => c"a value of this kind cannot be sent",
        INSULA_ERROR_INTERNAL => c"the library is at fault",
        _ => c"an unknown status",
    }
}

/// A status with a text about the failure.
#[derive(Debug)]
pub struct Failure {
    pub(crate) status: Status,
    pub(crate) text: Cow<'static, str>,
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self {
            status,
            text: Cow::Borrowed(status.text()),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// Returns the status.
    pub fn status(&self) -> Status {
        self.status
    }

    pub(crate) fn new(status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }
}

/// The result of the functions inside the border.
pub type Outcome<T = ()> = Result<T, Failure>;
