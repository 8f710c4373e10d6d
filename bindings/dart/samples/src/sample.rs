//! Native threads and services for the tests and examples of the package. They use nothing of Dart
//! but callbacks and ports.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use insula_dart::abi::{
    DartPort, insula_dart_callback_call, insula_dart_callback_notify, insula_dart_post,
    insula_dart_stream_send,
};
use insula_ffi::abi::port::{insula_native_port_open, insula_port_close, insula_post};
use insula_ffi::abi::service::{insula_reply, insula_service_open};
use insula_ffi::abi::status::{INSULA_OK, StatusCode};
use insula_ffi::abi::timer::insula_checkpoint;
use insula_ffi::abi::types::{self as c, INSULA_FOREVER, PortHandle, RawValue, ServiceHandle};

use crate::pictures::{array, bytes_of, external, fail, integer, items, options};

/// The number of items that streams have sent.
static SENT: AtomicU64 = AtomicU64::new(0);

/// The number of requests that are being answered.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// The status of the last `['callback', ..]`.
static CALLED: AtomicI32 = AtomicI32::new(-1);

/// Returns the status of the last callback that a sample service called; -1 before the first.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_called() -> StatusCode {
    CALLED.load(Ordering::Relaxed)
}

/// Returns the number of items that the streams of this process have sent so far.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_sent() -> u64 {
    SENT.load(Ordering::Relaxed)
}

/// Returns the number of requests that the sample services of this process are answering.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_running() -> u64 {
    RUNNING.load(Ordering::Relaxed)
}

/// Opens a service that answers every request according to its first part:
/// - `['echo', value]` with the value (external data moves back);
/// - `['sleep', ms]` after that time;
/// - `['work', ms]` after that time, or as soon as it is cancelled;
/// - `['fail', text]` with a failure;
/// - `['zeros', n]` with `n` zero bytes;
/// - `['nested', n]` with `n` bytes twice, as `[ones, [7, twos]]`;
/// - `['callback', address]` when the callback has answered;
/// - as a stream, `['count', n]` with the numbers from 0 to `n` - 1;
/// - as a stream, `['forever']` with numbers until it is cancelled.
///
/// # Safety
/// The pointers are valid as `insula.h` requires.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_sample_open(
    name: *const c_char,
    workers: u32,
    service: *mut ServiceHandle,
) -> StatusCode {
    let options = options(name, workers);
    let null = std::ptr::null_mut();
    // SAFETY: promised by the caller; `serve` needs nothing of its own.
    unsafe { insula_service_open(&raw const options, Some(serve), null, None, service) }
}

extern "C" fn serve(_user: *mut c_void, request: *const RawValue) {
    RUNNING.fetch_add(1, Ordering::Relaxed);
    // SAFETY: valid during this call.
    unsafe { serve_one(request) };
    RUNNING.fetch_sub(1, Ordering::Relaxed);
}

/// # Safety
/// `request` is the request that this thread handles.
unsafe fn serve_one(request: *const RawValue) {
    // SAFETY: promised by the caller.
    let parts = unsafe { items(request) };
    match parts {
        // A stream: its number, and the request.
        [port, inner] if port.kind == c::INSULA_KIND_SEND_PORT => {
            // SAFETY: as above.
            serve_stream(port.integer.cast_unsigned(), unsafe { items(inner) });
        }
        [what, value] => {
            // SAFETY: as above.
            let what = unsafe { bytes_of(what) };
            // SAFETY: as above.
            unsafe { answer(what, value) };
        }
        _ => fail("a request has two parts".to_owned()),
    }
}

/// # Safety
/// `value` is a part of the request that this thread handles.
unsafe fn answer(what: &[u8], value: &RawValue) {
    match what {
        b"echo" => {
            // SAFETY: promised by the caller; external data is taken first, and then passed on.
            unsafe { echo(value) };
        }
        b"sleep" => {
            thread::sleep(Duration::from_millis(value.integer.unsigned_abs()));
            // SAFETY: a valid value.
            let _ = unsafe { insula_reply(value) };
        }
        b"work" => {
            let end = Instant::now() + Duration::from_millis(value.integer.unsigned_abs());
            while Instant::now() < end && insula_checkpoint() == INSULA_OK {
                thread::sleep(Duration::from_millis(1));
            }
            // SAFETY: a valid value.
            let _ = unsafe { insula_reply(value) };
        }
        b"callback" => {
            let status = call(value.integer.unsigned_abs() as usize, 0, INSULA_FOREVER).err();
            CALLED.store(status.unwrap_or(INSULA_OK), Ordering::Relaxed);
        }
        b"zeros" => {
            let bytes = external(vec![0; value.integer.unsigned_abs() as usize]);
            // SAFETY: a valid value, which moves.
            let _ = unsafe { insula_reply(&raw const bytes) };
        }
        b"nested" => {
            let bytes = |fill| external(vec![fill; value.integer.unsigned_abs() as usize]);
            let inner = [integer(7), bytes(2)];
            let outer = [bytes(1), array(&inner)];
            let answer = array(&outer);
            // SAFETY: a valid value, whose bytes move.
            let _ = unsafe { insula_reply(&raw const answer) };
        }
        // SAFETY: promised by the caller.
        b"fail" => fail(String::from_utf8_lossy(unsafe { bytes_of(value) }).into_owned()),
        _ => fail("unknown request".to_owned()),
    }
}

/// # Safety
/// As for [`answer`].
unsafe fn echo(value: &RawValue) {
    if matches!(
        value.kind,
        c::INSULA_KIND_EXTERNAL_TYPED_DATA | c::INSULA_KIND_UNMODIFIABLE_EXTERNAL_TYPED_DATA
    ) {
        // SAFETY: a part of the request. After this it is ours, and moves on with the reply.
        if unsafe { insula_ffi::abi::port::insula_value_take(value) } != INSULA_OK {
            return fail("the data is not to be had".to_owned());
        }
    }
    // SAFETY: a valid value.
    let _ = unsafe { insula_reply(value) };
}

fn serve_stream(stream: u64, request: &[RawValue]) {
    let (what, count) = match request {
        [what] => (what, i64::MAX),
        [what, count] => (what, count.integer),
        _ => return fail("a request has one or two parts".to_owned()),
    };
    // SAFETY: a part of the request that this thread handles.
    let what = unsafe { bytes_of(what) };
    if what != b"count" && what != b"forever" {
        return fail("unknown stream".to_owned());
    }
    for number in 0..count {
        let item = integer(number);
        // SAFETY: a valid value.
        let sent = unsafe { insula_dart_stream_send(stream, &raw const item, INSULA_FOREVER) };
        if sent != INSULA_OK {
            return;
        }
        SENT.fetch_add(1, Ordering::Relaxed);
    }
}

/// Starts two threads. Each calls the blocking callback with its number (3 or 5), and notifies the
/// listener with the answer minus 1.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_callbacks(blocking: usize, listener: usize) {
    for (thread, argument) in [(1, 3), (2, 5)] {
        thread::spawn(move || work(thread, argument, blocking, listener));
    }
}

#[expect(clippy::print_stdout, reason = "a sample shows what it does")]
fn work(thread: u32, argument: i64, blocking: usize, listener: usize) {
    println!("thread {thread}: calls blocking({argument})");
    match call(blocking, argument, INSULA_FOREVER) {
        Ok(answer) => {
            println!("thread {thread}: blocking({argument}) returned {answer}");
            println!("thread {thread}: calls nonBlocking({})", answer - 1);
            let argument = integer(answer - 1);
            // SAFETY: a valid value.
            let status = unsafe { insula_dart_callback_notify(listener, &raw const argument) };
            if status != INSULA_OK {
                println!("thread {thread}: status {status}");
            }
        }
        Err(status) => println!("thread {thread}: status {status}"),
    }
}

/// Calls a callback with a number, and returns the number that it answers.
fn call(callback: usize, argument: i64, timeout_ns: u64) -> Result<i64, StatusCode> {
    let argument = integer(argument);
    let mut answer = 0_i64;
    let user = (&raw mut answer).cast();
    // SAFETY: a valid value; the answer's place outlives the call.
    let status = unsafe {
        insula_dart_callback_call(callback, &raw const argument, timeout_ns, Some(store), user)
    };
    if status == INSULA_OK {
        Ok(answer)
    } else {
        Err(status)
    }
}

extern "C" fn store(user: *mut c_void, _: StatusCode, _: u32, reply: *const RawValue) {
    if reply.is_null() {
        return;
    }
    // SAFETY: the answer's place, whose thread waits.
    let place = unsafe { &mut *user.cast::<i64>() };
    // SAFETY: valid during this call.
    *place = unsafe { (*reply).integer };
}

/// Calls a callback on this thread. In the callback's own isolate that would be a deadlock.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_call_here(
    callback: usize,
    argument: i64,
) -> StatusCode {
    call(callback, argument, INSULA_FOREVER)
        .err()
        .unwrap_or(INSULA_OK)
}

/// Calls a callback `count` times in a row, on a new thread, and posts the mean time of a round
/// trip in nanoseconds, or the negated status of the call that failed.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_round_trips(
    callback: usize,
    count: u32,
    timeout_ns: u64,
    port: PortHandle,
) {
    thread::spawn(move || {
        let start = std::time::Instant::now();
        let failed = (0..count).find_map(|n| call(callback, i64::from(n), timeout_ns).err());
        let each = start.elapsed().as_nanos() / u128::from(count.max(1));
        let result = failed.map_or(each as i64, |status| -i64::from(status));
        let message = integer(result);
        // SAFETY: a valid value. A failure cannot be reported.
        let _ = unsafe { insula_post(port, &raw const message) };
    });
}

/// Starts two threads that call methods of a Dart isolate by posting
/// `[thread, reply port, method, argument]` to `port`: `addThree`, for whose answer they wait, and
/// `note`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_requests(port: PortHandle) {
    for (thread, argument) in [(1, 3), (2, 5)] {
        thread::spawn(move || request(port, thread, argument));
    }
}

#[expect(clippy::print_stdout, reason = "a sample shows what it does")]
fn request(port: PortHandle, thread: i64, argument: i64) {
    let (send, answers) = mpsc::channel::<i64>();
    let user = Box::into_raw(Box::new(send)).cast();
    let mut replies: PortHandle = 0;
    let name = c"replies".as_ptr();
    // SAFETY: the pointers are valid; a sender may be used on any thread.
    let opened = unsafe {
        insula_native_port_open(name, 1, Some(on_reply), user, Some(free), &raw mut replies)
    };
    if opened != INSULA_OK {
        free(user);
        return println!("thread {thread}: status {opened}");
    }
    println!("thread {thread}: calls addThree({argument})");
    post_request(port, thread, replies, "addThree", argument);
    if let Ok(answer) = answers.recv() {
        println!("thread {thread}: addThree({argument}) returned {answer}");
        println!("thread {thread}: calls note({})", answer - 1);
        post_request(port, thread, 0, "note", answer - 1);
    }
    insula_port_close(replies);
}

fn post_request(port: PortHandle, thread: i64, replies: PortHandle, method: &str, argument: i64) {
    let text = format!("{method}\0");
    let method = RawValue {
        kind: c::INSULA_KIND_STRING,
        length: method.len() as u64,
        data: text.as_ptr().cast(),
        ..RawValue::default()
    };
    let parts = [
        integer(thread),
        integer(replies.cast_signed()),
        method,
        integer(argument),
    ];
    let message = array(&parts);
    // SAFETY: a valid value, copied during the call. A closed port needs no message.
    let _ = unsafe { insula_post(port, &raw const message) };
}

extern "C" fn on_reply(user: *mut c_void, _port: PortHandle, reply: *const RawValue) {
    // SAFETY: the sender that `request` made, valid until `free`.
    let send = unsafe { &*user.cast::<mpsc::Sender<i64>>() };
    // SAFETY: valid during this call.
    let answer = unsafe { (*reply).integer };
    // The thread may have given up.
    let _ = send.send(answer);
}

extern "C" fn free(user: *mut c_void) {
    // SAFETY: made by `request`, and freed once.
    drop(unsafe { Box::from_raw(user.cast::<mpsc::Sender<i64>>()) });
}

/// Posts the numbers from 0 to `count` - 1 to a Dart port, on a new thread.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_posts(port: DartPort, count: u32) {
    thread::spawn(move || {
        for number in 0..count {
            let number = integer(number.into());
            // SAFETY: a valid value. A closed port needs no message.
            let _ = unsafe { insula_dart_post(port, &raw const number) };
        }
    });
}

/// Calls a function with the numbers from 0 to `count` - 1, on a new thread: for a
/// `NativeCallable.listener`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_sample_listener(function: extern "C" fn(i64), count: u32) {
    thread::spawn(move || (0..count).for_each(|number| function(number.into())));
}
