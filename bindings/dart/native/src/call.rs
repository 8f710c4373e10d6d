//! Calls of services by Dart, with a Future or a Stream at the other end.
//!
//! The Dart port gets `[id, 0, item, light]` for each item of a stream, and at the end of each
//! call `[id, 1, status, may have run, answer, light]`, where the answer to a failed call is a text,
//! and `light` tells of the light data in the answer, as `letter` does.
//!
//! A stream is a call whose request is `[port, request]`: the service posts items to that port,
//! and its answer is the end. The port is a native one, which passes the items on; the end goes
//! through it as well, so it arrives behind them.

use std::ffi::{CStr, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use insula_ffi::abi::port::{insula_native_port_open, insula_port_close, insula_post};
use insula_ffi::abi::service::{insula_service_call, service_call_in_place};
use insula_ffi::abi::status::{INSULA_OK, StatusCode};
use insula_ffi::abi::types::{
    CallHandle, DoneFn, FreeFn, INSULA_FOREVER, INSULA_KIND_ARRAY, INSULA_KIND_NATIVE_POINTER,
    INSULA_KIND_SEND_PORT, INSULA_KIND_STRING, PortHandle, RawValue, ServiceHandle,
};

use crate::api::DartPort;
use crate::letter::Letter;

const ITEM: i64 = 0;
const END: i64 = 1;

/// Where the messages of one call go.
#[derive(Clone, Copy)]
struct Address {
    port: DartPort,
    id: i64,
}

impl Address {
    /// # Safety
    /// `value` is null or a value of the message that this thread is handling.
    unsafe fn tell_item(self, value: *const RawValue) {
        let mut letter = Letter::to_package();
        let (id, kind) = (letter.integer(self.id), letter.integer(ITEM));
        // SAFETY: by the caller's word.
        if let Ok(item) = unsafe { letter.value(value) } {
            let light = letter.light();
            let message = letter.array([id, kind, item, light]);
            // SAFETY: as above. Nobody listens any more if it fails.
            let _ = unsafe { letter.post(self.port, message) };
        }
    }

    /// # Safety
    /// As for [`tell_item`](Self::tell_item).
    unsafe fn tell_end(self, status: StatusCode, may_have_run: u32, value: *const RawValue) {
        let mut letter = Letter::to_package();
        let head = [self.id, END, i64::from(status), i64::from(may_have_run)]
            .map(|number| letter.integer(number));
        // SAFETY: by the caller's word.
        let answer = unsafe { letter.value(value) };
        let status = match answer {
            Ok(answer) => {
                let [id, kind, status, ran] = head;
                let light = letter.light();
                let message = letter.array([id, kind, status, ran, answer, light]);
                // SAFETY: as above. Nobody listens any more if it fails.
                let _ = unsafe { letter.post(self.port, message) };
                return;
            }
            Err(status) => status,
        };
        // An answer that Dart cannot have is a failed call.
        // SAFETY: null is the value null.
        unsafe { self.tell_end(status, 1, std::ptr::null()) };
    }
}

/// Calls a service. Its end goes to `port`, in a message with `id`: right from the thread of the
/// worker that answers, unless there is a deadline to be watched.
///
/// # Safety
/// The pointers are as for `insula_service_call`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_service_call(
    service: ServiceHandle,
    request: *const RawValue,
    deadline_ns: u64,
    port: DartPort,
    id: i64,
    call: *mut CallHandle,
) -> StatusCode {
    let user = Box::into_raw(Box::new(Address { port, id })).cast::<c_void>();
    let (done, free): (DoneFn, FreeFn) = (Some(call_done), Some(free_call));
    let status = if deadline_ns == INSULA_FOREVER {
        // SAFETY: promised by the caller; `user` may be used on any thread, and posting to a Dart
        // port waits for nobody.
        unsafe { service_call_in_place(service, request, done, user, free, call) }
    } else {
        // SAFETY: as above.
        unsafe { insula_service_call(service, request, deadline_ns, done, user, free, call) }
    };
    if status != INSULA_OK {
        free_call(user);
    }
    status
}

extern "C" fn call_done(
    user: *mut c_void,
    status: StatusCode,
    may_have_run: u32,
    reply: *const RawValue,
) {
    // SAFETY: what `insula_dart_service_call` made, until `free_call`.
    let address = unsafe { *user.cast::<Address>() };
    // SAFETY: valid during this call.
    unsafe { address.tell_end(status, may_have_run, reply) };
}

extern "C" fn free_call(user: *mut c_void) {
    // SAFETY: made by `insula_dart_service_call`, and freed once.
    drop(unsafe { Box::from_raw(user.cast::<Address>()) });
}

/// A stream on its way.
struct Streaming {
    address: Address,
    items: Mutex<PortHandle>,
    /// How the call ended, until that is told.
    end: Mutex<Option<(StatusCode, u32, String)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // Nothing panics while it holds one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls a service that posts items. They and the end go to `port`, in messages with `id`.
///
/// # Safety
/// The pointers are as for `insula_service_call`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_service_stream(
    service: ServiceHandle,
    request: *const RawValue,
    deadline_ns: u64,
    port: DartPort,
    id: i64,
    call: *mut CallHandle,
) -> StatusCode {
    let streaming = Arc::new(Streaming {
        address: Address { port, id },
        items: Mutex::new(0),
        end: Mutex::new(None),
    });
    let mut items: PortHandle = 0;
    let user = into_user(streaming.clone());
    // SAFETY: the pointers are good, and `user` may be used on any thread.
    let opened = unsafe {
        insula_native_port_open(
            c"items".as_ptr(),
            1,
            Some(pass_on),
            user,
            Some(free_streaming),
            &raw mut items,
        )
    };
    if opened != INSULA_OK {
        free_streaming(user);
        return opened;
    }
    *lock(&streaming.items) = items;
    let payload = if request.is_null() {
        RawValue::default()
    } else {
        // SAFETY: promised by the caller.
        unsafe { request.read() }
    };
    let items_port = RawValue {
        kind: INSULA_KIND_SEND_PORT,
        integer: items.cast_signed(),
        ..RawValue::default()
    };
    let parts = [items_port, payload];
    let request = RawValue {
        kind: INSULA_KIND_ARRAY,
        length: parts.len() as u64,
        data: parts.as_ptr().cast(),
        ..RawValue::default()
    };
    let user = into_user(streaming);
    // SAFETY: the request is there during the call; the rest as above.
    let called = unsafe {
        insula_service_call(
            service,
            &raw const request,
            deadline_ns,
            Some(stream_done),
            user,
            Some(free_streaming),
            call,
        )
    };
    if called != INSULA_OK {
        free_streaming(user);
        insula_port_close(items);
    }
    called
}

fn into_user(streaming: Arc<Streaming>) -> *mut c_void {
    Arc::into_raw(streaming).cast_mut().cast()
}

extern "C" fn free_streaming(user: *mut c_void) {
    // SAFETY: made by `into_user`, and freed once.
    drop(unsafe { Arc::from_raw(user.cast::<Streaming>()) });
}

/// The call has ended: its end follows the items.
extern "C" fn stream_done(
    user: *mut c_void,
    status: StatusCode,
    may_have_run: u32,
    reply: *const RawValue,
) {
    // SAFETY: made by `into_user`, until `free_streaming`.
    let streaming = unsafe { &*user.cast::<Streaming>() };
    // SAFETY: null, or valid during this call.
    let text = unsafe { text_of(reply) };
    *lock(&streaming.end) = Some((status, may_have_run, text));
    let items = *lock(&streaming.items);
    let mark = RawValue {
        kind: INSULA_KIND_NATIVE_POINTER,
        data: user.cast_const(),
        ..RawValue::default()
    };
    // SAFETY: a good value. It fails only when the runtime ends, and with it this port.
    let posted = unsafe { insula_post(items, &raw const mark) };
    if posted != INSULA_OK {
        streaming.tell_end();
    }
    insula_port_close(items);
}

impl Streaming {
    fn tell_end(&self) {
        let Some((status, may_have_run, text)) = lock(&self.end).take() else {
            return;
        };
        let mut text = text.replace('\0', " ");
        let length = text.len() as u64;
        text.push('\0');
        let answer = RawValue {
            kind: INSULA_KIND_STRING,
            length,
            data: text.as_ptr().cast(),
            ..RawValue::default()
        };
        // SAFETY: the text is there during the call, and nothing in it is external.
        unsafe {
            self.address
                .tell_end(status, may_have_run, &raw const answer);
        };
    }
}

/// An item, or the mark behind the last one, which nobody else can make: it is the address of
/// this very stream.
extern "C" fn pass_on(user: *mut c_void, _port: PortHandle, item: *const RawValue) {
    // SAFETY: made by `into_user`, until `free_streaming`.
    let streaming = unsafe { &*user.cast::<Streaming>() };
    // SAFETY: valid during this call.
    let value = unsafe { &*item };
    if value.kind == INSULA_KIND_NATIVE_POINTER && value.data == user.cast_const() {
        streaming.tell_end();
    } else {
        // SAFETY: as above.
        unsafe { streaming.address.tell_item(item) };
    }
}

/// # Safety
/// `value` is null or a value as `insula.h` tells.
unsafe fn text_of(value: *const RawValue) -> String {
    if value.is_null() {
        return String::new();
    }
    // SAFETY: by the caller's word.
    let value = unsafe { &*value };
    if value.kind != INSULA_KIND_STRING {
        return String::new();
    }
    // SAFETY: a text of a message ends with a zero byte.
    let text = unsafe { CStr::from_ptr(value.data.cast()) };
    text.to_string_lossy().into_owned()
}
