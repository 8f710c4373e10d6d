//! Calls of services by Dart isolates, with a Future or a Stream at the end.
//!
//! Each isolate has one table of the calls that are under way, by the numbers that the package
//! gives them, and one Dart port. The port receives `[id, 0, item, light]` for each item of a
//! stream, and `[id, 1, status, may have run, answer, light]` at the end of each call. The answer
//! to a failed call is a text; `light` describes the light data in the answer, as in `letter`.
//!
//! # Ends
//! A call is in the table from before it begins until its end is posted, which happens once: with
//! an answer, an error, or a cancellation, whichever comes first. Cancelling a call that has ended
//! does nothing. The end of the isolate cancels all of its calls, through the finalizer of the
//! table (`insula_dart_calls_gone`), because no reader of the answers is left.

use std::collections::HashMap;
use std::ffi::c_void;
use std::sync::{Arc, Mutex};

use insula_ffi::abi::service::{
    insula_call_cancel, insula_call_release, insula_service_call, service_call_in_place,
};
use insula_ffi::abi::status::{INSULA_ERROR_NOT_FOUND, INSULA_OK, StatusCode};
use insula_ffi::abi::types::{
    CallHandle, DoneFn, FreeFn, INSULA_FOREVER, INSULA_KIND_ARRAY, INSULA_KIND_SEND_PORT, RawValue,
    ServiceHandle,
};

use crate::api::DartPort;
use crate::lease::{do_later, lock};
use crate::letter::{Letter, Owner};
use crate::stream::Stream;

const ITEM: i64 = 0;
const END: i64 = 1;

/// The destination of the messages of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    port: DartPort,
    id: i64,
}

impl Address {
    /// # Safety
    /// `value` is null, or a value of `owner` as `insula.h` requires.
    pub(crate) unsafe fn tell_item(self, value: *const RawValue, owner: Owner) -> StatusCode {
        let mut letter = Letter::to_package(owner);
        let (id, kind) = (letter.integer(self.id), letter.integer(ITEM));
        // SAFETY: promised by the caller.
        match unsafe { letter.value(value) } {
            Ok(item) => {
                // After the value was written, since only then its light pieces are known.
                let light = letter.light();
                let message = letter.array([id, kind, item, light]);
                // SAFETY: as above.
                unsafe { letter.post(self.port, message) }
            }
            Err(status) => status,
        }
    }

    /// # Safety
    /// `value` is null, or a value of the message that this thread is handling.
    unsafe fn tell_end(self, status: StatusCode, may_have_run: u32, value: *const RawValue) {
        let mut letter = Letter::to_package(Owner::Message);
        let head = [self.id, END, i64::from(status), i64::from(may_have_run)]
            .map(|number| letter.integer(number));
        // SAFETY: promised by the caller.
        let answer = unsafe { letter.value(value) };
        let status = match answer {
            Ok(answer) => {
                let [id, kind, status, ran] = head;
                let light = letter.light();
                let message = letter.array([id, kind, status, ran, answer, light]);
                // SAFETY: as above. If it fails, the isolate has ended.
                let _ = unsafe { letter.post(self.port, message) };
                return;
            }
            Err(status) => status,
        };
        // An answer that Dart cannot represent makes the call a failed one.
        // Null can always be written, so the inner call does not come here again.
        // SAFETY: null is the value null.
        unsafe { self.tell_end(status, 1, std::ptr::null()) };
    }
}

/// The calls of one isolate that are under way.
struct Calls {
    port: DartPort,
    /// Bounded by the calls of the isolate whose end has not been posted. No call begins or ends,
    /// and no stream is granted credits, under this lock.
    open: Mutex<HashMap<i64, Open>>,
}

/// A call that has not ended.
struct Open {
    /// 0 until the call has begun.
    handle: CallHandle,
    stream: Option<Arc<Stream>>,
}

/// The table and the address of a call, which the call keeps until its end is posted.
struct Ticket {
    calls: Arc<Calls>,
    address: Address,
}

/// Creates the table of the current isolate's calls, whose messages are posted to `port`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_calls_new(port: DartPort) -> *mut c_void {
    let calls = Arc::new(Calls {
        port,
        open: Mutex::default(),
    });
    Arc::into_raw(calls).cast_mut().cast()
}

/// Cancels the calls of an isolate. The finalizer at the end of the isolate.
///
/// # Safety
/// `calls` is from `insula_dart_calls_new`, and is not used afterwards.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_calls_gone(calls: *mut c_void) {
    // SAFETY: made by `insula_dart_calls_new`; the VM calls the finalizer once.
    let calls = unsafe { Arc::from_raw(calls.cast::<Calls>()) };
    do_later(move || calls.cancel_all());
}

/// Calls a service. Its end is posted to the table's port, in a message with `id`: directly by the
/// thread of the worker that answers, unless there is a deadline.
///
/// With a `window` that is not 0 it is the call of a stream, which begins with that many credits
/// for items: the service receives `[stream, request]`, and sends items with
/// `insula_dart_stream_send`.
///
/// # Safety
/// `calls` is from `insula_dart_calls_new`; `request` is as for `insula_service_call`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_call_begin(
    calls: *mut c_void,
    id: i64,
    service: ServiceHandle,
    request: *const RawValue,
    deadline_ns: u64,
    window: u32,
) -> StatusCode {
    // SAFETY: promised by the caller.
    let calls = unsafe { shared(calls) };
    let address = Address {
        port: calls.port,
        id,
    };
    if window == 0 {
        // SAFETY: promised by the caller.
        return unsafe { calls.begin(address, service, request, deadline_ns, None) };
    }
    let stream = Stream::open(address, window);
    let payload = if request.is_null() {
        RawValue::default()
    } else {
        // SAFETY: promised by the caller.
        unsafe { request.read() }
    };
    let number = RawValue {
        kind: INSULA_KIND_SEND_PORT,
        integer: stream.number().cast_signed(),
        ..RawValue::default()
    };
    let parts = [number, payload];
    let request = RawValue {
        kind: INSULA_KIND_ARRAY,
        length: parts.len() as u64,
        data: parts.as_ptr().cast(),
        ..RawValue::default()
    };
    // SAFETY: the parts exist during the call; the caller promised what they point to.
    unsafe {
        calls.begin(
            address,
            service,
            &raw const request,
            deadline_ns,
            Some(stream),
        )
    }
}

/// Cancels a call, whose end is a cancellation then, unless it has another end already.
///
/// Errors: `NOT_FOUND` if its end has been posted.
///
/// # Safety
/// `calls` is from `insula_dart_calls_new`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_call_cancel(calls: *mut c_void, id: i64) -> StatusCode {
    // SAFETY: promised by the caller.
    unsafe { shared(calls) }.cancel(id)
}

/// Grants credits for `items` more items of a stream.
///
/// Errors: `NOT_FOUND` if its end has been posted.
///
/// # Safety
/// `calls` is from `insula_dart_calls_new`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_stream_grant(
    calls: *mut c_void,
    id: i64,
    items: u32,
) -> StatusCode {
    // SAFETY: promised by the caller.
    let calls = unsafe { shared(calls) };
    let stream = lock(&calls.open).get(&id).and_then(|it| it.stream.clone());
    match stream {
        Some(stream) => {
            stream.grant(items);
            INSULA_OK
        }
        None => INSULA_ERROR_NOT_FOUND,
    }
}

/// # Safety
/// `calls` is from `insula_dart_calls_new`, and its finalizer has not run.
unsafe fn shared(calls: *mut c_void) -> Arc<Calls> {
    let calls = calls.cast_const().cast::<Calls>();
    // SAFETY: alive as the caller promised.
    unsafe { Arc::increment_strong_count(calls) };
    // SAFETY: the reference that was just made.
    unsafe { Arc::from_raw(calls) }
}

impl Calls {
    /// # Safety
    /// The pointers are as for `insula_service_call`.
    unsafe fn begin(
        self: &Arc<Self>,
        address: Address,
        service: ServiceHandle,
        request: *const RawValue,
        deadline_ns: u64,
        stream: Option<Arc<Stream>>,
    ) -> StatusCode {
        let id = address.id;
        lock(&self.open).insert(id, Open { handle: 0, stream });
        let calls = self.clone();
        let user = Box::into_raw(Box::new(Ticket { calls, address })).cast::<c_void>();
        let (done, free): (DoneFn, FreeFn) = (Some(call_done), Some(free_ticket));
        let mut handle: CallHandle = 0;
        let call = &raw mut handle;
        // A deadline needs an isolate that waits for it, at the price of a way through that
        // isolate.
        let status = if deadline_ns == INSULA_FOREVER {
            // SAFETY: promised by the caller; `user` may be used on any thread, and posting to a
            // Dart port does not block.
            unsafe { service_call_in_place(service, request, done, user, free, call) }
        } else {
            // SAFETY: as above.
            unsafe { insula_service_call(service, request, deadline_ns, done, user, free, call) }
        };
        if status != INSULA_OK {
            drop(self.remove(id));
            free_ticket(user);
            return status;
        }
        let is_open = match lock(&self.open).get_mut(&id) {
            Some(open) => {
                open.handle = handle;
                true
            }
            None => false,
        };
        if !is_open {
            // The call has ended meanwhile.
            let _ = insula_call_release(handle);
        }
        INSULA_OK
    }

    /// Removes a call that has ended, or could not begin, from the table.
    fn remove(&self, id: i64) -> Option<Open> {
        let open = lock(&self.open).remove(&id)?;
        if let Some(stream) = &open.stream {
            stream.end();
        }
        Some(open)
    }

    fn cancel(&self, id: i64) -> StatusCode {
        let call = lock(&self.open)
            .get(&id)
            .map(|open| (open.handle, open.stream.clone()));
        let Some((handle, stream)) = call else {
            return INSULA_ERROR_NOT_FOUND;
        };
        if let Some(stream) = stream {
            stream.end();
        }
        // The end of the call is removed from this table, so no lock may be held. The handle of a
        // call that has ended meanwhile is stale.
        let _ = insula_call_cancel(handle);
        INSULA_OK
    }

    fn cancel_all(&self) {
        let open: Vec<_> = lock(&self.open).keys().copied().collect();
        for id in open {
            self.cancel(id);
        }
    }
}

extern "C" fn call_done(
    user: *mut c_void,
    status: StatusCode,
    may_have_run: u32,
    reply: *const RawValue,
) {
    // SAFETY: made by `begin`, and valid until `free_ticket`.
    let ticket = unsafe { &*user.cast::<Ticket>() };
    let open = ticket.calls.remove(ticket.address.id);
    let is_stream = open.as_ref().is_some_and(|open| open.stream.is_some());
    // The answer of a stream that ended without an error is not used.
    let reply = if is_stream && status == INSULA_OK {
        std::ptr::null()
    } else {
        reply
    };
    // SAFETY: valid during this call.
    unsafe { ticket.address.tell_end(status, may_have_run, reply) };
    if let Some(Open { handle, .. }) = open
        && handle != 0
    {
        let _ = insula_call_release(handle);
    }
}

extern "C" fn free_ticket(user: *mut c_void) {
    // SAFETY: made by `begin`, and freed once.
    drop(unsafe { Box::from_raw(user.cast::<Ticket>()) });
}
