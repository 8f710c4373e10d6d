//! Callbacks into Dart isolates, for whose answer any thread may wait.
//!
//! The VM accepts messages, but cannot be asked. So a blocking call is a message `[call, argument]`
//! to a port of the isolate, whose code runs the callback in a turn of its own and answers with
//! `insula_dart_callback_answer`. The caller sleeps meanwhile.
//!
//! # The protocol
//! A call is *queued*; then *answering*, while the isolate passes the answer to the caller's
//! function; then *over*, with a status. A time-out or a close ends a queued call. A call that is
//! being answered is waited for, because its function uses the caller's data. The callback's lock
//! protects these stages; functions run outside of it.
//!
//! A caller waits at its *bell*, a mailbox that is closed when its call is over. So a calling
//! isolate of Insula gives up its place in the pool, and a kill ends its wait: it unwinds, and the
//! call is withdrawn if it is still queued. Only while it is being answered, which takes as long as
//! the caller's function, nothing ends the wait.
//!
//! A callback is closed by its isolate. Dart's collector, and the end of the isolate, close it too
//! (`insula_dart_callback_gone`); then its callers get `PEER_DIED`.
//!
//! # Deadlock
//! A call from the callback's own isolate, further down on its stack, would wait for itself, and is
//! refused.

use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use insula::Mailbox;
use insula::sync::MailboxError;
use insula_ffi::Failure;
use insula_ffi::abi::status::{
    INSULA_ERROR_BAD_HANDLE, INSULA_ERROR_CLOSED, INSULA_ERROR_DEADLOCK, INSULA_ERROR_ENDING,
    INSULA_ERROR_FAILED, INSULA_ERROR_NOT_FOUND, INSULA_ERROR_NULL_POINTER, INSULA_ERROR_PEER_DIED,
    INSULA_ERROR_TIMED_OUT, INSULA_OK, StatusCode,
};
use insula_ffi::abi::types::{DoneFn, INSULA_FOREVER, RawValue};

use crate::api::{self, DartPort};
use crate::lease::lock;
use crate::letter::{Letter, Owner};

/// The number of a call without a waiting caller.
const NOTIFICATION: i64 = 0;

struct Callback {
    port: DartPort,
    /// The isolate of the callback, as the VM identifies it.
    isolate: usize,
    calls: Mutex<Calls>,
    /// For callers that only the end of an answer may wake.
    over: Condvar,
}

#[derive(Default)]
struct Calls {
    /// The reason why no more calls are accepted.
    closed: Option<StatusCode>,
    last: i64,
    pending: HashMap<i64, Call>,
}

struct Call {
    stage: Stage,
    bell: Arc<Mailbox<()>>,
}

enum Stage {
    Queued(Caller),
    Answering,
    Over(StatusCode),
}

impl Call {
    fn end(&mut self, status: StatusCode) {
        self.stage = Stage::Over(status);
        self.bell.close();
    }
}

/// The function of a caller that waits for the answer.
struct Caller {
    done: DoneFn,
    user: *mut c_void,
}

// SAFETY: the caller's thread sleeps while another one calls its function with its pointer.
unsafe impl Send for Caller {}

type Callbacks = HashMap<usize, Arc<Callback>>;

/// All open callbacks, by number. Numbers fit a pointer, because finalizers carry them in one.
static CALLBACKS: LazyLock<Mutex<(usize, Callbacks)>> = LazyLock::new(Mutex::default);

fn find(callback: usize) -> Result<Arc<Callback>, StatusCode> {
    let found = lock(&CALLBACKS).1.get(&callback).cloned();
    found.ok_or(INSULA_ERROR_BAD_HANDLE)
}

/// Creates a callback of the current Dart isolate, whose calls are posted to `port`. Returns its
/// number.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_callback_new(port: DartPort) -> usize {
    let callback = Arc::new(Callback {
        port,
        isolate: api::current_isolate(),
        calls: Mutex::default(),
        over: Condvar::new(),
    });
    let mut callbacks = lock(&CALLBACKS);
    callbacks.0 += 1;
    let number = callbacks.0;
    callbacks.1.insert(number, callback);
    number
}

/// Closes a callback: calls that are not being answered end with `CLOSED`. Later calls are refused.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_callback_close(callback: usize) -> StatusCode {
    close(callback, INSULA_ERROR_CLOSED)
}

/// Closes a callback. The finalizer for when its Dart object, or the whole isolate, is gone.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_callback_gone(token: *mut c_void) {
    let _ = close(token.addr(), INSULA_ERROR_PEER_DIED);
}

fn close(number: usize, why: StatusCode) -> StatusCode {
    let removed = lock(&CALLBACKS).1.remove(&number);
    let Some(callback) = removed else {
        return INSULA_ERROR_BAD_HANDLE;
    };
    let mut calls = lock(&callback.calls);
    calls.closed = Some(why);
    for call in calls.pending.values_mut() {
        if let Stage::Queued(_) = call.stage {
            call.end(why);
        }
    }
    drop(calls);
    callback.over.notify_all();
    INSULA_OK
}

/// Calls, and waits for the answer for at most `timeout_ns` (without a limit if it is
/// `INSULA_FOREVER`). Before this function returns, while the calling thread waits, `done` is
/// called on the thread of the Dart isolate with the answer, or with the text of a failure. The
/// argument is copied, except for external data, which moves if the call was handed over.
///
/// Errors: `CLOSED`, `PEER_DIED`, `TIMED_OUT`, `FAILED` if the callback threw, `DEADLOCK` in the
/// callback's own isolate, `ENDING` if the isolate of Insula that waits is ending.
///
/// # Safety
/// The pointers are valid as `insula.h` requires; `done` may use `user` on any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_dart_callback_call(
    callback: usize,
    argument: *const RawValue,
    timeout_ns: u64,
    done: DoneFn,
    user: *mut c_void,
) -> StatusCode {
    let callback = match find(callback) {
        Ok(callback) => callback,
        Err(status) => return status,
    };
    // 0 stands for no isolate, on both sides: two threads without one are not the same.
    if callback.isolate != 0 && callback.isolate == api::current_isolate() {
        return INSULA_ERROR_DEADLOCK;
    }
    let timeout = (timeout_ns != INSULA_FOREVER).then(|| Duration::from_nanos(timeout_ns));
    let number = match callback.begin(Caller { done, user }) {
        Ok(number) => number,
        Err(status) => return status,
    };
    // SAFETY: promised by the caller.
    let posted = unsafe { callback.post(number, argument) };
    if posted != INSULA_OK {
        lock(&callback.calls).pending.remove(&number);
        return posted;
    }
    callback.wait(number, timeout)
}

/// Calls, and does not wait. The argument moves as with `insula_dart_callback_call`.
///
/// # Safety
/// `argument` is null or a value as `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_dart_callback_notify(
    callback: usize,
    argument: *const RawValue,
) -> StatusCode {
    match find(callback) {
        // SAFETY: promised by the caller.
        Ok(callback) => unsafe { callback.post(NOTIFICATION, argument) },
        Err(status) => status,
    }
}

/// Answers a call: with a value, or, if `status` is not 0, with a text. Returns `NOT_FOUND` if no
/// caller waits for the answer; then external data is still the caller's.
///
/// # Safety
/// `answer` is null or a value as `insula.h` requires.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_callback_answer(
    callback: usize,
    call: i64,
    status: StatusCode,
    answer: *const RawValue,
) -> StatusCode {
    let callback = match find(callback) {
        Ok(callback) => callback,
        Err(status) => return status,
    };
    let caller = match lock(&callback.calls).pending.get_mut(&call) {
        Some(Call {
            stage: stage @ Stage::Queued(_),
            ..
        }) => std::mem::replace(stage, Stage::Answering),
        _ => return INSULA_ERROR_NOT_FOUND,
    };
    if let Stage::Queued(Caller {
        done: Some(done),
        user,
    }) = caller
    {
        done(user, status, 1, answer);
    }
    let status = if status == INSULA_OK {
        INSULA_OK
    } else {
        INSULA_ERROR_FAILED
    };
    if let Some(call) = lock(&callback.calls).pending.get_mut(&call) {
        call.end(status);
    }
    callback.over.notify_all();
    INSULA_OK
}

impl Callback {
    fn begin(&self, caller: Caller) -> Result<i64, StatusCode> {
        if caller.done.is_none() {
            return Err(INSULA_ERROR_NULL_POINTER);
        }
        let mut calls = lock(&self.calls);
        if let Some(why) = calls.closed {
            return Err(why);
        }
        calls.last += 1;
        let number = calls.last;
        let call = Call {
            stage: Stage::Queued(caller),
            bell: Arc::new(Mailbox::new()),
        };
        calls.pending.insert(number, call);
        Ok(number)
    }

    /// # Safety
    /// `argument` is null or a value as `insula.h` requires.
    unsafe fn post(&self, number: i64, argument: *const RawValue) -> StatusCode {
        let mut letter = Letter::new(Owner::Caller);
        let call = letter.integer(number);
        // SAFETY: promised by the caller.
        match unsafe { letter.value(argument) } {
            Ok(argument) => {
                let message = letter.array([call, argument]);
                // SAFETY: the argument exists until this function returns.
                unsafe { letter.post(self.port, message) }
            }
            Err(status) => status,
        }
    }

    /// Waits for the end of a call that has been posted.
    fn wait(&self, number: i64, timeout: Option<Duration>) -> StatusCode {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let bell = lock(&self.calls)
            .pending
            .get(&number)
            .map(|call| call.bell.clone());
        let rung = bell.map(|bell| {
            catch_unwind(AssertUnwindSafe(|| match deadline {
                None => bell.take(),
                Some(deadline) => {
                    bell.take_timeout(deadline.saturating_duration_since(Instant::now()))
                }
            }))
        });
        let gave_up = match rung {
            // An isolate that is ending unwinds out of the wait, unless it is unwinding already.
            Some(Err(_)) => INSULA_ERROR_ENDING,
            // The bell is closed when the call is over; the stage holds the status.
            Some(Ok(Err(error))) if error != MailboxError::Closed => {
                Failure::from(error).status().code()
            }
            _ => INSULA_ERROR_TIMED_OUT,
        };
        let mut calls = lock(&self.calls);
        loop {
            match calls.pending.get(&number).map(|call| &call.stage) {
                Some(Stage::Over(status)) => {
                    let status = *status;
                    calls.pending.remove(&number);
                    return status;
                }
                Some(Stage::Queued(_)) | None => {
                    calls.pending.remove(&number);
                    return gave_up;
                }
                // An answer that has begun cannot be taken back.
                Some(Stage::Answering) => {
                    let woken = self.over.wait(calls);
                    calls = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}
