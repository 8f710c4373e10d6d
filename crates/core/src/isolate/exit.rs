//! The end of an isolate: its reason, exit listeners, and the wait for it.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use insula_sync::Mutex;

use super::Isolate;
use super::listeners::{Listens, sweep};
use crate::memory::waiters::Ticket;
use crate::memory::{Current, IsolateCore, IsolateRef};
use crate::panic::{PanicReport, contain};
use crate::port::SendPort;

/// The reason for which an isolate ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// Nothing was left that could wake it.
    Finished,
    /// Its code panicked.
    Panicked(PanicReport),
    /// Its entry returned an error; this is the error's text.
    Failed(Arc<str>),
    /// It was killed, or its runtime was shut down.
    Killed,
    /// It called [`Isolate::exit`].
    Exited,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Panicked(report) => write!(f, "panicked at {report}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Killed => f.write_str("killed"),
            Self::Exited => f.write_str("exited"),
        }
    }
}

/// A port that gets a message when the isolate has ended. Its clones share one response.
#[derive(Clone)]
pub(crate) struct ExitListener(Arc<dyn Respond + Send + Sync>);

impl ExitListener {
    /// Creates a listener that sends `response(reason)` to `port`.
    pub(crate) fn new<T: Send + 'static>(
        port: &SendPort<T>,
        response: impl FnOnce(&ExitReason) -> T + Send + 'static,
    ) -> Self {
        Self(Arc::new(Responder {
            port: port.clone(),
            response: Mutex::new(Some(response)),
        }))
    }

    pub(crate) fn tell(self, reason: &ExitReason) {
        self.0.respond(reason);
    }
}

impl Listens for ExitListener {
    fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

/// A [`Responder`] whose types are not named.
trait Respond {
    fn respond(&self, reason: &ExitReason);
    fn is_closed(&self) -> bool;
}

struct Responder<T, F> {
    port: SendPort<T>,
    /// Taken when it is called.
    response: Mutex<Option<F>>,
}

impl<T: Send + 'static, F: FnOnce(&ExitReason) -> T> Respond for Responder<T, F> {
    fn respond(&self, reason: &ExitReason) {
        // Without this look it would depend on the last sweep whether a closed port's response is
        // called.
        if self.port.is_closed() {
            return;
        }
        // Two statements: the response is code of a user, and must not run under the lock.
        let response = self.response.lock().take();
        if let Some(response) = response {
            // The port may be closed by now; then it gets no message.
            drop(self.port.send(response(reason)));
        }
    }

    fn is_closed(&self) -> bool {
        self.port.is_closed()
    }
}

/// The runtime's own functions that are called when the isolate ends, in the order in which they
/// were added. Each can be removed again.
#[derive(Default)]
pub(crate) struct ExitCalls {
    calls: BTreeMap<u64, Box<dyn FnOnce() + Send>>,
    next: u64,
}

impl ExitCalls {
    fn add(&mut self, function: Box<dyn FnOnce() + Send>) -> u64 {
        let ticket = self.next;
        self.next += 1;
        self.calls.insert(ticket, function);
        ticket
    }

    pub(crate) fn into_functions(self) -> impl Iterator<Item = Box<dyn FnOnce() + Send>> {
        self.calls.into_values()
    }
}

/// A function that is called when an isolate ends, unless it is [cancelled](Self::cancel) before.
/// Dropping this does not cancel it.
pub(crate) struct ExitCall {
    isolate: IsolateRef,
    ticket: u64,
}

impl ExitCall {
    /// Calls `function` when `isolate` ends, on the isolate's thread, after all exit listeners.
    /// Returns `None`, and never calls it, if the isolate has ended already.
    pub(crate) fn new(
        isolate: &IsolateCore,
        function: impl FnOnce() + Send + 'static,
    ) -> Option<Self> {
        let function: Box<dyn FnOnce() + Send> = Box::new(function);
        let mut lane = isolate.lane.lock();
        let added = isolate.with_details(&mut lane, |details| match details.exit {
            Some(_) => Err(function),
            None => Ok(details.exit_calls.add(function)),
        });
        // Released before a function that is refused is dropped.
        drop(lane);
        let ticket = added.ok()?;
        Some(Self {
            isolate: IsolateRef::new(isolate),
            ticket,
        })
    }

    /// Removes and drops the function. Does nothing if it has been called.
    pub(crate) fn cancel(self) {
        let mut lane = self.isolate.lane.lock();
        let function = self.isolate.peek_details(&mut lane, |details| {
            details.exit_calls.calls.remove(&self.ticket)
        });
        drop(lane);
        drop(function);
    }
}

impl Isolate {
    /// Sends `response(reason)` to `port` when the isolate has ended, after everything that the
    /// isolate sent and after its errors. If it has ended already, sends it at once. Sends
    /// nothing if `response` panics, and does not call it if `port` is closed.
    ///
    /// Each port gets one message. Adding a port again replaces its response, but keeps its place:
    /// the listeners get their messages in the order in which they were added.
    pub fn add_exit_listener<T: Send + 'static>(
        &self,
        port: &SendPort<T>,
        response: impl FnOnce(&ExitReason) -> T + Send + 'static,
    ) {
        let listener = ExitListener::new(port, response);
        let mut lane = self.0.lane.lock();
        let outcome = self.0.with_details(&mut lane, |details| {
            if let Some(reason) = &details.exit {
                return Some((listener, Some(reason.clone())));
            }
            let before = details.exit_listeners.set(port.id(), listener);
            before.map(|before| (before, None))
        });
        drop(lane);
        if let Some((listener, Some(reason))) = outcome {
            // Contained, as in the teardown: otherwise a race with the isolate's end would decide
            // whether the caller gets the panic.
            contain(|| listener.tell(&reason));
        }
        sweep(&self.0, |details| &mut details.exit_listeners);
    }

    /// Removes an exit listener.
    pub fn remove_exit_listener<T: Send + 'static>(&self, port: &SendPort<T>) {
        let mut lane = self.0.lane.lock();
        let removed = self.0.peek_details(&mut lane, |details| {
            details.exit_listeners.remove(port.id())
        });
        drop(lane);
        drop(removed);
    }

    /// Returns a future that waits for the end of the isolate and yields its reason. Ready at once
    /// if the isolate has ended already.
    pub fn exited(&self) -> Exited {
        Exited {
            isolate: self.clone(),
            ticket: Ticket::default(),
        }
    }

    /// Sends `message` to `port` and ends the current isolate. Nothing else of it runs, except
    /// destructors. The message arrives before those of the exit listeners.
    ///
    /// Unwinds the stack; a `catch_unwind` further up delays the end until the next interrupt
    /// check.
    ///
    /// # Panics
    /// If there is no current isolate. In a destructor that runs while the stack unwinds, the call
    /// aborts the process, as any panic does there.
    pub fn exit<T: Send + 'static>(port: &SendPort<T>, message: T) -> ! {
        // If the port is closed the message is lost, and the isolate ends all the same.
        let _ = port.send(message);
        Self::exit_silently()
    }

    /// Like [`exit`](Self::exit), without a last message.
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn exit_silently() -> ! {
        Current::with(|isolate| {
            let isolate = isolate.expect("only an isolate can exit");
            isolate.end_with(ExitReason::Exited);
        });
        crate::panic::unwind_to_loop()
    }
}

/// A future that waits for the end of an isolate. Made by [`Isolate::exited`].
///
/// # Cancellation
/// Dropping it only ends the wait.
#[must_use = "futures do nothing unless awaited"]
pub struct Exited {
    isolate: Isolate,
    ticket: Ticket,
}

impl Future for Exited {
    type Output = ExitReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let Self { isolate, ticket } = self.get_mut();
        let core = &isolate.0;
        // Cloning and dropping a waker runs foreign code, so both happen without the lane's lock.
        let mut waker = Some(cx.waker().clone());
        let mut lane = core.lane.lock();
        let (poll, before) = core.with_details(&mut lane, |details| {
            if let Some(reason) = &details.exit {
                return (Poll::Ready(reason.clone()), None);
            }
            let before = waker
                .take()
                .and_then(|waker| details.exit_waiters.wait(ticket, waker));
            (Poll::Pending, before)
        });
        drop(lane);
        drop(before);
        poll
    }
}

impl Drop for Exited {
    fn drop(&mut self) {
        if !self.ticket.is_some() {
            return;
        }
        let core = &self.isolate.0;
        let mut lane = core.lane.lock();
        let waker = core.peek_details(&mut lane, |details| {
            details.exit_waiters.forget(&mut self.ticket)
        });
        drop(lane);
        drop(waker);
    }
}

impl fmt::Debug for Exited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Exited").field(&self.isolate).finish()
    }
}
