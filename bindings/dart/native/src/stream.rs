//! Streams of items from a service to a Dart isolate, with backpressure.
//!
//! A stream is a call whose request is `[stream, request]`. `stream` is a number of the kind of a
//! send port, and never that of a port; the service sends items to it, and the answer to the call
//! is the end. Items go to Dart right from the thread that sends them.
//!
//! # Credits
//! Each item takes a credit. The package grants some with the call, the window, and more as its
//! listener consumes items: none while the subscription is paused. So there are never more items
//! on their way than the window says. Without a credit the sender waits.
//!
//! Credits are under the stream's lock. A sender that waits for one takes a token out of a mailbox
//! of one slot, the *bell*, and looks again. A grant rings the bell: it puts a token in unless there
//! is one. A sender that has found more than one credit rings the bell for the next sender. So
//! while there are credits and a sender waits, a token is in the bell, or a sender looks.
//!
//! # Ends
//! A stream is over when its call has ended (with an answer, a deadline, or a cancellation), when
//! its subscription was cancelled, or when its isolate has ended. Then the bell is closed, which
//! ends all waits, and the number stands for nothing any more.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use insula::{Isolate, Mailbox, MailboxError};
use insula_ffi::abi::status::{
    INSULA_ERROR_BAD_LENGTH, INSULA_ERROR_CLOSED, INSULA_ERROR_ENDING, INSULA_ERROR_FULL,
    INSULA_ERROR_INTERNAL, INSULA_ERROR_TOO_DEEP, INSULA_ERROR_UNSUPPORTED, INSULA_OK, StatusCode,
};
use insula_ffi::abi::types::{INSULA_FOREVER, RawValue};
use insula_ffi::{Failure, Value, show};

use crate::call::Address;
use crate::lease::lock;
use crate::letter::Owner;

/// No kind of handle has this number, so none is a stream.
const MARK: u64 = 0x7f << 56;

type Streams = HashMap<u64, Arc<Stream>>;

/// All streams that are not over, by number, and the last number. Bounded by the calls that are
/// under way.
static STREAMS: LazyLock<Mutex<(u64, Streams)>> = LazyLock::new(Mutex::default);

/// A stream on its way.
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
    /// Opens a stream whose items go to an address, with so many credits.
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

    /// What the service calls it by.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Makes room for more items.
    pub(crate) fn grant(&self, credits: u32) {
        lock(&self.state).credits += u64::from(credits);
        self.ring();
    }

    /// Refuses all later items, and ends the wait of a producer for credits.
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

    /// Takes a credit, and waits for one for at most `timeout`; no time at all is a try.
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
                // What it means to be closed is told by the state.
                Ok(()) | Err(MailboxError::Closed) => {}
                Err(error) => return Err(Failure::from(error).status().code()),
            }
        }
    }

    /// Sends an item. What is external in it moves if the item was sent.
    ///
    /// # Safety
    /// `item` is null or a value as `insula.h` tells, of `owner`.
    unsafe fn send(
        &self,
        item: *const RawValue,
        owner: Owner,
        timeout: Option<Duration>,
    ) -> StatusCode {
        if let Err(status) = self.take_credit(timeout) {
            return status;
        }
        // SAFETY: by the caller's word.
        let sent = unsafe { self.address.tell_item(item, owner) };
        match sent {
            INSULA_OK => {}
            // The isolate has ended.
            INSULA_ERROR_CLOSED => self.end(),
            _ => self.grant(1),
        }
        sent
    }
}

fn find(number: u64) -> Option<Arc<Stream>> {
    lock(&STREAMS).1.get(&number).cloned()
}

/// Sends an item of a stream to Dart, from any thread, and waits for room for at most
/// `timeout_ns` (`INSULA_FOREVER` is a time, too; 0 is a try). Copies the item, but for external
/// data, which moves if the item was sent.
///
/// Errors: `CLOSED` if the stream is over, because its reader has had enough or its call has
/// ended; `FULL` (a try), `TIMED_OUT`, `ENDING`; `UNSUPPORTED`, `TOO_DEEP`, `BAD_LENGTH`.
///
/// # Safety
/// `item` is null or a value as `insula.h` tells.
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
        // An isolate that is to end unwinds out of the wait.
        Err(_) if Isolate::current().is_some() => INSULA_ERROR_ENDING,
        Err(_) => INSULA_ERROR_INTERNAL,
    }
}

/// The items of a stream, for services in Rust: what a service sends to a Dart program that
/// called it with `WorkerPool.stream`. A cheap handle.
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

/// Why no item of a stream was sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NotSent {
    /// The stream is over: its reader has had enough, or its call has ended.
    Over,
    /// The item has parts that Dart cannot have.
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
    /// Takes a request apart into the stream and what was asked.
    ///
    /// # Errors
    /// The request, if it was not made with `WorkerPool.stream`, or its stream is over.
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

    /// Sends an item, as soon as there is room for it. An item that is not sent is dropped.
    ///
    /// # Blocking
    /// While the program is not ready for more: its subscription is paused, or it has not come to
    /// the items sent before. An isolate gives its place in the pool away.
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

    /// Whether the stream is over. A service that computes for long between two items looks here.
    pub fn is_over(&self) -> bool {
        lock(&self.0.state).is_over
    }
}
