//! Calls of services by Dart isolates, with a Future or a Stream at the other end.
//!
//! Each isolate has one table of the calls that are under way, by the numbers that the package
//! gives them, and one Dart port. The port gets `[id, 0, item, light]` for each item of a stream,
//! and at the end of each call `[id, 1, status, may have run, answer, light]`, where the answer to
//! a failed call is a text, and `light` tells of the light data in the answer, as `letter` does.
//!
//! # Ends
//! A call is in the table from before it begins until its end is told, which happens once: with
//! an answer, an error, or a cancellation, whichever the call decides for. To cancel a call that
//! has ended does nothing. The end of the isolate cancels all of its calls, through the
//! finalizer of the table (`insula_dart_calls_gone`): no reader of the answers is left.

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

/// Where the messages of one call go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Address {
    port: DartPort,
    id: i64,
}

impl Address {
    /// # Safety
    /// `value` is null, or a value as `insula.h` tells, of `owner`.
    pub(crate) unsafe fn tell_item(self, value: *const RawValue, owner: Owner) -> StatusCode {
        let mut letter = Letter::to_package(owner);
        let (id, kind) = (letter.integer(self.id), letter.integer(ITEM));
        // SAFETY: by the caller's word.
        match unsafe { letter.value(value) } {
            Ok(item) => {
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
        // SAFETY: by the caller's word.
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
        // An answer that Dart cannot have is a failed call.
        // SAFETY: null is the value null.
        unsafe { self.tell_end(status, 1, std::ptr::null()) };
    }
}

/// The calls of one isolate that are under way.
struct Calls {
    port: DartPort,
    /// Bounded by what the isolate has called and was not told the end of. No call begins or ends,
    /// and no stream is granted to, under this lock.
    open: Mutex<HashMap<i64, Open>>,
}

/// A call that has not ended.
struct Open {
    /// 0 until the call has begun, and if there was no room for a handle.
    handle: CallHandle,
    stream: Option<Arc<Stream>>,
}

/// What a call keeps until its end is told.
struct Ticket {
    calls: Arc<Calls>,
    address: Address,
}

/// Makes the table of the current isolate's calls, whose messages go to `port`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_calls_new(port: DartPort) -> *mut c_void {
    let calls = Arc::new(Calls {
        port,
        open: Mutex::default(),
    });
    Arc::into_raw(calls).cast_mut().cast()
}

/// A finalizer: the isolate has ended. Cancels its calls.
///
/// # Safety
/// `calls` is of `insula_dart_calls_new`, and is not used afterwards.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_calls_gone(calls: *mut c_void) {
    // SAFETY: made by `insula_dart_calls_new`; the VM calls the finalizer once.
    let calls = unsafe { Arc::from_raw(calls.cast::<Calls>()) };
    do_later(move || calls.cancel_all());
}

/// Calls a service. Its end goes to the table's port, in a message with `id`: right from the
/// thread of the worker that answers, unless there is a deadline to be watched.
///
/// With a `window` that is not 0 it is the call of a stream, for whose items there is that much
/// room at first: the service gets `[stream, request]`, and sends items with
/// `insula_dart_stream_send`.
///
/// # Safety
/// `calls` is of `insula_dart_calls_new`; `request` is as for `insula_service_call`.
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
    // SAFETY: the parts are there during the call; what they point to, by the caller's word.
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

/// Cancels a call, whose end then tells so, unless it has another one already.
///
/// Errors: `NOT_FOUND` if its end has been told.
///
/// # Safety
/// `calls` is of `insula_dart_calls_new`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_call_cancel(calls: *mut c_void, id: i64) -> StatusCode {
    // SAFETY: promised by the caller.
    unsafe { shared(calls) }.cancel(id)
}

/// Makes room for so many more items of a stream.
///
/// Errors: `NOT_FOUND` if its end has been told.
///
/// # Safety
/// `calls` is of `insula_dart_calls_new`.
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
/// `calls` is of `insula_dart_calls_new`, and its finalizer has not run.
unsafe fn shared(calls: *mut c_void) -> Arc<Calls> {
    let calls = calls.cast_const().cast::<Calls>();
    // SAFETY: alive by the caller's word.
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
            // It has ended meanwhile.
            let _ = insula_call_release(handle);
        }
        INSULA_OK
    }

    /// A call that has ended, or has not begun, is no longer in the table.
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
        // Its end comes back to this table, so no lock may be held. A call that ends meanwhile is
        // stale.
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
    // SAFETY: what `begin` made, until `free_ticket`.
    let ticket = unsafe { &*user.cast::<Ticket>() };
    let open = ticket.calls.remove(ticket.address.id);
    let is_stream = open.as_ref().is_some_and(|open| open.stream.is_some());
    // The answer of a stream that ended well is of no interest.
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
