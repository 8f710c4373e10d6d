//! How isolates end, and who is told.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Current, Isolate};
use crate::panic::PanicReport;
use crate::port::{PortId, SendPort};

/// Why an isolate ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// Nothing was left that could have woken it.
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

/// Who wants a message when the isolate has ended.
pub(crate) struct ExitListener {
    port: PortId,
    tell: Box<dyn FnOnce(&ExitReason) + Send>,
}

impl ExitListener {
    /// Sends what `response` makes of the reason.
    pub(crate) fn new<T: Send + 'static>(
        port: &SendPort<T>,
        response: impl FnOnce(&ExitReason) -> T + Send + 'static,
    ) -> Self {
        let to = port.clone();
        Self {
            port: port.id(),
            // Nobody is there to learn that the port was closed.
            tell: Box::new(move |reason| drop(to.send(response(reason)))),
        }
    }

    /// Calls `function` on the isolate's thread, after everybody who came before.
    pub(crate) fn call(port: PortId, function: impl FnOnce() + Send + 'static) -> Self {
        Self {
            port,
            tell: Box::new(move |_| function()),
        }
    }

    pub(crate) fn tell(self, reason: &ExitReason) {
        (self.tell)(reason);
    }
}

impl Isolate {
    /// Sends what `response` makes of the reason to `port` when the isolate has ended: behind
    /// everything that the isolate sent, and after its errors. If it has ended already, at
    /// once.
    ///
    /// A port is told once. Adding it again changes the response, not its place among the
    /// listeners, who are told in the order in which they were added.
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
            let listeners = &mut details.exit_listeners;
            match listeners.iter_mut().find(|it| it.port == listener.port) {
                Some(place) => Some((std::mem::replace(place, listener), None)),
                None => {
                    listeners.push(listener);
                    None
                }
            }
        });
        drop(lane);
        if let Some((listener, Some(reason))) = outcome {
            listener.tell(&reason);
        }
    }

    /// Takes an exit listener back.
    pub fn remove_exit_listener<T: Send + 'static>(&self, port: &SendPort<T>) {
        let mut lane = self.0.lane.lock();
        let removed = self.0.peek_details(&mut lane, |details| {
            let listeners = &mut details.exit_listeners;
            let index = listeners.iter().position(|it| it.port == port.id())?;
            Some(listeners.remove(index))
        });
        drop(lane);
        drop(removed);
    }

    /// Waits for the end of the isolate and tells why; at once if it has ended already.
    pub fn exited(&self) -> Exited {
        Exited(self.clone())
    }

    /// Sends `message` to `port` and ends the current isolate: nothing else of it runs, but for
    /// destructors. The message comes before the exit listeners'.
    ///
    /// Unwinds the stack; `catch_unwind` further up delays the end until the next interrupt
    /// check.
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn exit<T: Send + 'static>(port: &SendPort<T>, message: T) -> ! {
        // To a closed port nobody listens, and the isolate ends all the same.
        let _ = port.send(message);
        Self::exit_silently()
    }

    /// As [`exit`](Self::exit), without a last message.
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

impl Current<'_> {
    /// Calls `function` when the current isolate ends, behind all listeners; without one, never.
    pub(crate) fn at_exit(function: impl FnOnce() + Send + 'static) {
        Current::with(|isolate| {
            let Some(isolate) = isolate else {
                return;
            };
            let call = ExitListener::call(isolate.port0.id(), function);
            let mut lane = isolate.lane.lock();
            isolate.with_details(&mut lane, |details| details.exit_calls.push(call));
        });
    }
}

/// Waits for the end of an isolate. Made by [`Isolate::exited`].
///
/// # Cancellation
/// Dropping it only stops the waiting.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Exited(Isolate);

impl Future for Exited {
    type Output = ExitReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let core = &self.0.0;
        // A waker is foreign code: it is cloned before the lane is held, and dropped after.
        let mut waker = Some(cx.waker().clone());
        let mut lane = core.lane.lock();
        core.with_details(&mut lane, |details| {
            if let Some(reason) = &details.exit {
                return Poll::Ready(reason.clone());
            }
            let waiters = &mut details.exit_waiters;
            if !waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
                waiters.extend(waker.take());
            }
            Poll::Pending
        })
    }
}
