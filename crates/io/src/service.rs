//! The I/O service, which runs blocking operations on threads of its own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use insula_core::{Ask, NativePort, ReplyTo};

use crate::{IoError, IoOp};

/// The number of operations that run at once, as in the Dart VM.
const DEFAULT_CONCURRENCY: usize = 32;

/// An operation of the service: a typed request with a typed result. The module
/// [`request`](crate::request) has all of them.
pub trait Operation: Send + 'static {
    /// The operation, one of the 44.
    const OP: IoOp;

    /// The result.
    type Output: Send + 'static;

    /// Runs the operation, on a thread of the service. It may block.
    ///
    /// # Errors
    /// Returns the operation's error.
    fn run(self) -> Result<Self::Output, IoError>;
}

/// A request with the right to answer it, with its type erased for the port.
trait Job: Send {
    fn run(self: Box<Self>);
}

struct Envelope<O: Operation> {
    operation: O,
    reply_to: ReplyTo<Result<O::Output, IoError>>,
}

impl<O: Operation> Job for Envelope<O> {
    fn run(self: Box<Self>) {
        let Self {
            operation,
            reply_to,
        } = *self;
        // A panic drops the right to answer, and the caller gets `Unavailable`.
        reply_to.send(operation.run());
    }
}

/// A service that runs blocking operations on its own threads, not on those of the isolates. The
/// value is a cheap handle.
///
/// Most programs need no service of their own: files and look-ups use [`IoService::global`].
///
/// # Ordering
/// Requests start in the order in which they are made, and end in any order. In an isolate a
/// result is an ordinary event: microtasks run before it. A pending request keeps its isolate
/// alive.
///
/// # Blocking
/// At most [`concurrency`](Self::concurrency) operations run at once. While all of them are
/// blocked, further requests wait; [`waiting`](Self::waiting) returns their number. Isolates,
/// timers and sockets go on.
///
/// # Virtual time
/// On a seeded runtime an operation runs at once, on the thread that drives the runtime, so that
/// the order of events follows from the seed. If it blocks, it blocks the whole runtime.
#[derive(Clone)]
pub struct IoService {
    port: NativePort<Box<dyn Job>>,
}

impl IoService {
    /// Creates a service that runs up to `concurrency` operations at once, at least one. It ends
    /// when the last handle, and the last file that was opened through it, is dropped.
    pub fn new(concurrency: usize) -> Self {
        let port = NativePort::new("insula-io", |job: Box<dyn Job>| job.run(), concurrency);
        Self { port }
    }

    /// Returns the service that the whole process shares. It runs 32 operations at once, unless
    /// another service was [made global](Self::make_global) before.
    pub fn global() -> &'static Self {
        GLOBAL.get_or_init(|| Self::new(DEFAULT_CONCURRENCY))
    }

    /// Makes this the service that the whole process shares.
    ///
    /// # Errors
    /// Returns this service if there is a global one already.
    pub fn make_global(self) -> Result<(), Self> {
        GLOBAL.set(self)
    }

    /// Requests an operation. It starts even if the returned future is never polled.
    ///
    /// # Cancellation
    /// Dropping the future does not cancel the operation.
    ///
    /// # Errors
    /// The future returns the operation's error, or [`IoError::Unavailable`] if the service is
    /// closed.
    pub fn request<O: Operation>(&self, operation: O) -> Request<O::Output> {
        let ask = self.port.ask(|reply_to| -> Box<dyn Job> {
            // Boxed, since one port carries requests of all types.
            Box::new(Envelope {
                operation,
                reply_to,
            })
        });
        Request { ask }
    }

    /// Returns the number of operations that may run at once.
    pub fn concurrency(&self) -> usize {
        self.port.max_concurrent()
    }

    /// Returns the number of requests that wait for running operations to end.
    pub fn waiting(&self) -> usize {
        self.port.waiting()
    }

    /// Returns the number of running operations. An operation counts until after its result was
    /// sent, so a caller that has just received the last result may still see 1.
    pub fn running(&self) -> usize {
        self.port.running()
    }

    /// Returns the number of threads that the service has at the moment.
    pub fn threads(&self) -> usize {
        self.port.threads()
    }

    /// Closes the service: it refuses further requests, and carries out those that were made.
    /// Returns whether it was open.
    pub fn close(&self) -> bool {
        self.port.close()
    }
}

static GLOBAL: OnceLock<IoService> = OnceLock::new();

impl fmt::Debug for IoService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoService")
            .field("concurrency", &self.concurrency())
            .field("running", &self.running())
            .field("waiting", &self.waiting())
            .finish()
    }
}

/// A future of the result of an operation. Made by [`IoService::request`].
#[must_use = "futures do nothing unless awaited"]
pub struct Request<T: Send + 'static> {
    ask: Ask<Result<T, IoError>>,
}

impl<T: Send + 'static> Future for Request<T> {
    type Output = Result<T, IoError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let poll = Pin::new(&mut self.ask).poll(cx);
        if poll.is_pending() {
            // A thread of the service wakes this future, so `block_on` may wait for it even if no
            // thread is left to run isolates.
            insula_core::awaits_event();
        }
        // No answer: the service is closed, or the operation panicked.
        poll.map(|answer| answer.unwrap_or(Err(IoError::Unavailable)))
    }
}

impl<T: Send + 'static> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(..)")
    }
}
