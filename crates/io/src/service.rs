//! The service: blocking operations on threads of their own.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use insula_core::{Ask, NativePort, ReplyTo};

use crate::{IoError, IoOp};

/// Operations at once, as in the Dart VM.
const DEFAULT_CONCURRENCY: usize = 32;

/// An operation of the service: a typed request with a typed result. The ones that there are
/// stand in [`request`](crate::request).
pub trait Operation: Send + 'static {
    /// Which of the 44 it is.
    const OP: IoOp;

    /// What it results in.
    type Output: Send + 'static;

    /// Does it. Runs on a thread of the service, and may block.
    ///
    /// # Errors
    /// Those of the operation.
    fn run(self) -> Result<Self::Output, IoError>;
}

/// A request and the right to answer it, of a type that the port need not know.
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
        reply_to.send(operation.run());
    }
}

/// Runs operations that block, on threads that are not those of the isolates. A cheap handle.
///
/// Most programs need none of their own: files and look-ups use [`IoService::global`].
///
/// # Ordering
/// Requests start in their order and end in any. In an isolate a result is an ordinary event:
/// microtasks run before it. A pending request keeps its isolate alive.
///
/// # Blocking
/// As many operations as the service is wide run at once; if all of them are blocked, others
/// wait, and [`waiting`](Self::waiting) tells how many. Isolates, timers and sockets go on.
///
/// # Virtual time
/// On a seeded runtime an operation runs at once, on the thread that drives the runtime, so that
/// the order of events follows from the seed. One that blocks there blocks everything.
#[derive(Clone)]
pub struct IoService {
    port: NativePort<Box<dyn Job>>,
}

impl IoService {
    /// A service of its own that runs `concurrency` operations at once, at least one. It ends
    /// when the last handle, and the last file that was opened through it, is dropped.
    pub fn new(concurrency: usize) -> Self {
        let port = NativePort::new("insula-io", |job: Box<dyn Job>| job.run(), concurrency);
        Self { port }
    }

    /// The one that the whole process shares: 32 operations at once, unless another one was
    /// [made global](Self::make_global) before.
    pub fn global() -> &'static Self {
        GLOBAL.get_or_init(|| Self::new(DEFAULT_CONCURRENCY))
    }

    /// Makes this the service that the whole process shares.
    ///
    /// # Errors
    /// Gives the service back if there is one in use already.
    pub fn make_global(self) -> Result<(), Self> {
        GLOBAL.set(self)
    }

    /// Starts an operation, also if the result is never awaited.
    ///
    /// # Cancellation
    /// Dropping the result does not take the operation back.
    ///
    /// # Errors
    /// Those of the operation, and [`IoError::Unavailable`] if the service is closed.
    pub fn request<O: Operation>(&self, operation: O) -> Request<O::Output> {
        let ask = self.port.ask(|reply_to| -> Box<dyn Job> {
            Box::new(Envelope {
                operation,
                reply_to,
            })
        });
        Request { ask }
    }

    /// Operations at once.
    pub fn concurrency(&self) -> usize {
        self.port.max_concurrent()
    }

    /// Requests that have not started, because as many as may are under way.
    pub fn waiting(&self) -> usize {
        self.port.waiting()
    }

    /// Operations that are under way. One is counted until after its result was sent, so that
    /// who has just received the last result may still see a 1 here.
    pub fn running(&self) -> usize {
        self.port.running()
    }

    /// Threads that the service has at the moment.
    pub fn threads(&self) -> usize {
        self.port.threads()
    }

    /// Refuses requests from now on. Those that were made are still carried out. Tells whether
    /// the service was open.
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

/// Waits for the result of an operation. Made by [`IoService::request`].
#[must_use = "futures do nothing unless awaited"]
pub struct Request<T: Send + 'static> {
    ask: Ask<Result<T, IoError>>,
}

impl<T: Send + 'static> Future for Request<T> {
    type Output = Result<T, IoError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let poll = Pin::new(&mut self.ask).poll(cx);
        if poll.is_pending() {
            insula_core::awaits_event();
        }
        poll.map(|answer| answer.unwrap_or(Err(IoError::Unavailable)))
    }
}

impl<T: Send + 'static> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request(..)")
    }
}
