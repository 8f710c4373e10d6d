//! Streams of items from a service to a Dart isolate, with backpressure.
//!
//! A stream is a call whose request is `[stream, request]`. `stream` is a number of the kind of a
//! send port, and never that of a port. The service sends items to it, and the answer to the call
//! is the end. The thread that sends an item posts it directly to Dart.
//!
//! # Credits
//! Each item takes a credit. The package grants some with the call, the window, and more as its
//! listener consumes items: none while the subscription is paused. So there are never more items in
//! transit than the window. Without a credit the sender waits.
//!
//! Credits are protected by the stream's lock. A sender that waits for one takes a token out of a
//! mailbox of one slot, the *bell*, and checks again. A grant rings the bell: it puts a token in
//! unless there is one. A sender that has found more than one credit rings the bell for the next
//! sender. So while there are credits and a sender waits, a token is in the bell, or a sender is
//! checking.
//!
//! # Ends
//! A stream is over when its call has ended (with an answer, a deadline, or a cancellation), when
//! its subscription was cancelled, or when its isolate has ended. Then the bell is closed, which
//! ends all waits, and the number is invalid.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use insula::sync::MailboxError;
use insula::{Isolate, Mailbox};
use insula_ffi::abi::status::{
    INSULA_ERROR_BAD_LENGTH, INSULA_ERROR_CLOSED, INSULA_ERROR_ENDING, INSULA_ERROR_FULL,
    INSULA_ERROR_INTERNAL, INSULA_ERROR_TOO_DEEP, INSULA_ERROR_UNSUPPORTED, INSULA_OK, StatusCode,
};
use insula_ffi::abi::types::{INSULA_FOREVER, RawValue};
use insula_ffi::{Failure, Value, show};

use crate::call::Address;
use crate::lease::lock;
use crate::letter::Owner;

/// The type bits of a stream's number. No kind of handle has them, so no handle is a stream.
const MARK: u64 = 0x7f << 56;

type Streams = HashMap<u64, Arc<Stream>>;

/// All streams that are not over, by number, and the last number. Bounded by the calls that are
/// under way.
static STREAMS: LazyLock<Mutex<(u64, Streams)>> = LazyLock::new(Mutex::default);

/// A stream that is under way.
#[derive(Debug)]
pub(crate) struct Stream {
    number: u64,
    address: Address,
    state: Mutex<State>,
    bell: Mailbox<()>,
}

#[derive(Debug)]
struct State {
    credits: u64,
    is_over: bool,
}

impl Stream {
    /// Opens a stream whose items are posted to `address`, with `credits` credits.
    pub(crate) fn open(address: Address, credits: u32) -> Arc<Self> {
        let mut streams = lock(&STREAMS);
        streams.0 += 1;
        let number = MARK | streams.0;
        let stream = Arc::new(Self {
            number,
            address,
            state: Mutex::new(State {
                credits: credits.into(),
                is_over: false,
            }),
            bell: Mailbox::new(),
        });
        streams.1.insert(number, stream.clone());
        stream
    }

    /// Returns the number by which the service sends.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Grants credits for more items.
    pub(crate) fn grant(&self, credits: u32) {
        lock(&self.state).credits += u64::from(credits);
        self.ring();
    }

    /// Refuses all later items, and ends the waits of senders for credits.
    pub(crate) fn end(&self) {
        let removed = lock(&STREAMS).1.remove(&self.number);
        lock(&self.state).is_over = true;
        self.bell.close();
        drop(removed);
    }

    fn ring(&self) {
        // One token is enough, and a closed bell wakes all senders.
        let _ = self.bell.try_put(());
    }

    /// Takes a credit, and waits for one for at most `timeout`; a zero time-out only tries.
    fn take_credit(&self, timeout: Option<Duration>) -> Result<(), StatusCode> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let mut state = lock(&self.state);
            if state.is_over {
                return Err(INSULA_ERROR_CLOSED);
            }
            if let Some(left) = state.credits.checked_sub(1) {
                state.credits = left;
                drop(state);
                if left > 0 {
                    self.ring();
                }
                return Ok(());
            }
            drop(state);
            let woken = match deadline {
                _ if timeout == Some(Duration::ZERO) => return Err(INSULA_ERROR_FULL),
                None => self.bell.take(),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.bell.take_timeout(left)
                }
            };
            match woken {
                // If the bell is closed, the state says why.
                Ok(()) | Err(MailboxError::Closed) => {}
                Err(error) => return Err(Failure::from(error).status().code()),
            }
        }
    }

    /// Sends an item. External data in it moves if the item was sent.
    ///
    /// # Safety
    /// `item` is null, or a value of `owner` as `insula.h` requires.
    unsafe fn send(
        &self,
        item: *const RawValue,
        owner: Owner,
        timeout: Option<Duration>,
    ) -> StatusCode {
        if let Err(status) = self.take_credit(timeout) {
            return status;
        }
        // SAFETY: promised by the caller.
        let sent = unsafe { self.address.tell_item(item, owner) };
        match sent {
            INSULA_OK => {}
            // The isolate has ended.
            INSULA_ERROR_CLOSED => self.end(),
            // Not sent, so it has used no room: the credit goes back.
            _ => self.grant(1),
        }
        sent
    }
}

fn find(number: u64) -> Option<Arc<Stream>> {
    lock(&STREAMS).1.get(&number).cloned()
}

/// Sends an item of a stream to Dart, from any thread, and waits for room for at most `timeout_ns`
/// (without a limit if it is `INSULA_FOREVER`; 0 only tries). Copies the item, except for external
/// data, which moves if the item was sent.
///
/// Errors: `CLOSED` if the stream is over, because its reader has cancelled it or its call has
/// ended; `FULL` (of a try), `TIMED_OUT`, `ENDING`; `UNSUPPORTED`, `TOO_DEEP`, `BAD_LENGTH`.
///
/// # Safety
/// `item` is null or a value as `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_dart_stream_send(
    stream: u64,
    item: *const RawValue,
    timeout_ns: u64,
) -> StatusCode {
    let Some(stream) = find(stream) else {
        return INSULA_ERROR_CLOSED;
    };
    let timeout = (timeout_ns != INSULA_FOREVER).then(|| Duration::from_nanos(timeout_ns));
    let sent = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: promised by the caller.
        unsafe { stream.send(item, Owner::Caller, timeout) }
    }));
    match sent {
        Ok(status) => status,
        // An isolate that is ending unwinds out of the wait.
        Err(_) if Isolate::current().is_some() => INSULA_ERROR_ENDING,
        Err(_) => INSULA_ERROR_INTERNAL,
    }
}

/// The items of a stream, for services in Rust that a Dart program calls with `WorkerPool.stream`.
/// A cheap handle.
///
/// ```no_run
/// use insula_dart::{Items, Value};
///
/// /// Answers a number with the numbers below it.
/// fn count(request: Value) -> Result<Value, String> {
///     let Ok((items, Value::Int64(count))) = Items::of(request) else {
///         return Err("a number is counted to, as a stream".to_owned());
///     };
///     for number in 0..count {
///         // Waits while the program is not ready for more.
///         if items.send(Value::Int64(number)).is_err() {
///             break;
///         }
///     }
///     Ok(Value::Null)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Items(Arc<Stream>);

/// The reason why an item of a stream was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NotSent {
    /// The stream is over: its reader has cancelled it, or its call has ended.
    Over,
    /// The item has parts that Dart cannot represent.
    Unsupported,
}

impl std::fmt::Display for NotSent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Over => "the stream is over",
            Self::Unsupported => "the item has parts that Dart cannot have",
        })
    }
}

impl std::error::Error for NotSent {}

impl Items {
    /// Splits a request into the stream and the program's request.
    ///
    /// # Errors
    /// Returns the request if it was not made with `WorkerPool.stream`, or its stream is over.
    pub fn of(request: Value) -> Result<(Self, Value), Value> {
        let stream = match &request {
            Value::Array(parts) => match parts[..] {
                [Value::SendPort(number), _] => find(number),
                _ => None,
            },
            _ => None,
        };
        match (stream, request) {
            (Some(stream), Value::Array(mut parts)) => {
                let asked = parts.pop().unwrap_or(Value::Null);
                Ok((Self(stream), asked))
            }
            (_, request) => Err(request),
        }
    }

    /// Sends an item as soon as there is room for it. An item that is not sent is dropped.
    ///
    /// # Blocking
    /// Blocks while the program is not ready for more: its subscription is paused, or it has not
    /// consumed the items that were sent before. An isolate gives up its place in the pool
    /// meanwhile.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait.
    ///
    /// # Errors
    /// [`NotSent::Over`], after which the service should return; [`NotSent::Unsupported`].
    pub fn send(&self, item: Value) -> Result<(), NotSent> {
        let sent = show(item, |item| {
            // SAFETY: valid during this call, in which this thread handles it.
            unsafe { self.0.send(item, Owner::Message, None) }
        });
        match sent {
            INSULA_OK => Ok(()),
            INSULA_ERROR_UNSUPPORTED | INSULA_ERROR_TOO_DEEP | INSULA_ERROR_BAD_LENGTH => {
                Err(NotSent::Unsupported)
            }
            _ => Err(NotSent::Over),
        }
    }

    /// Returns whether the stream is over. A service that computes for a long time between two
    /// items should check this.
    pub fn is_over(&self) -> bool {
        lock(&self.0.state).is_over
    }
}
