//! A callback's connection to its isolate: a port for the calls, and a mark that is set when the
//! line is closed.
//!
//! A handle that closes the line sets the mark and then posts the last message (`None`). If the
//! isolate ends or the port closes first, dropping the port's handler sets the mark. The isolate
//! checks the mark in the turn of each call. So calls in front of the last message are dropped in
//! their turn, and calls that slip in behind it find the port closed.

use std::fmt;
use std::sync::Arc;

use insula_sync::atomic::{AtomicBool, Ordering};

use super::NotOnIsolateThread;
use crate::memory::Current;
use crate::port::{Listener, PortId, ReceivePort, SendError, SendPort};

/// The line of a callback whose calls are messages of type `M`. Cheap to clone.
pub(super) struct Line<M: Send + 'static>(Arc<Handles<M>>);

/// The part that the handles share. Dropping it, with the last handle, ends the line.
struct Handles<M: Send + 'static> {
    port: SendPort<Option<M>>,
    end: Arc<EndFlag>,
    listener: Listener<Option<M>>,
}

/// The state that the handles, the isolate and the calls on their way share.
pub(super) struct EndFlag {
    isolate: u64,
    closed: AtomicBool,
}

impl EndFlag {
    pub(super) fn is_closed(&self) -> bool {
        // Acquire; pairs with the Release in `mark`, so that a thread that sees the mark also sees
        // everything that happened before it.
        self.closed.load(Ordering::Acquire)
    }

    /// Sets the mark. Returns whether it was set already.
    fn mark(&self) -> bool {
        // Release; pairs with the Acquire load in `is_closed`. Acquire; pairs with the Release of
        // an earlier `mark`, which the result reports.
        self.closed.swap(true, Ordering::AcqRel)
    }

    /// Returns the number of the line's isolate.
    pub(super) fn isolate(&self) -> u64 {
        self.isolate
    }

    /// Runs `f` with the current isolate if that is the line's isolate. Otherwise returns `None`.
    pub(super) fn in_isolate<R>(&self, f: impl FnOnce(Current<'_>) -> R) -> Option<R> {
        Current::with(|current| current.filter(|isolate| isolate.id == self.isolate).map(f))
    }
}

/// Sets the mark when dropped. The port's handler owns it, and is dropped when the port closes or
/// the isolate ends.
struct MarkAtEnd(Arc<EndFlag>);

impl Drop for MarkAtEnd {
    fn drop(&mut self) {
        self.0.mark();
    }
}

impl<M: Send + 'static> Line<M> {
    /// Opens a line to the current isolate, which runs `call` once for each call.
    ///
    /// The calls are queued in the isolate's lane. As in the VM, only the callers bound it.
    ///
    /// # Panics
    /// If there is no current isolate.
    #[track_caller]
    pub(super) fn open(mut call: impl FnMut(M) + Send + 'static) -> Self {
        let receiver = ReceivePort::<Option<M>>::new();
        let port = receiver.send_port();
        let end = Arc::new(Current::with(|isolate| {
            let isolate = isolate.expect("a callback needs a current isolate");
            EndFlag {
                isolate: isolate.id,
                closed: AtomicBool::new(false),
            }
        }));
        let listener = receiver.listener();
        let mark = MarkAtEnd(end.clone());
        receiver.listen(move |message| match message {
            Some(message) if !mark.0.is_closed() => call(message),
            Some(dropped) => drop(dropped),
            None => listener.close(),
        });
        Self(Arc::new(Handles {
            port,
            end,
            listener,
        }))
    }

    pub(super) fn end(&self) -> &Arc<EndFlag> {
        &self.0.end
    }

    pub(super) fn id(&self) -> PortId {
        self.0.port.id()
    }

    /// Posts a call. Returns it as the error if the line is closed.
    pub(super) fn post(&self, message: M) -> Result<(), M> {
        if self.is_closed() {
            return Err(message);
        }
        match self.0.port.send(Some(message)) {
            Ok(()) => Ok(()),
            // `Full` does not happen: the port is unbounded.
            Err(SendError::Closed(message) | SendError::Full(message)) => match message {
                Some(message) => Err(message),
                None => unreachable!("this was a call"),
            },
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.end.is_closed()
    }

    /// Closes the line. Returns whether it was open.
    pub(super) fn close(&self) -> bool {
        let first = !self.0.end.mark();
        if first {
            self.0.post_last();
        }
        first
    }

    /// Passes the port's listener to `f`, in a turn of the isolate.
    pub(super) fn with_listener(
        &self,
        f: impl FnOnce(&Listener<Option<M>>),
    ) -> Result<(), NotOnIsolateThread> {
        let listener = &self.0.listener;
        self.0
            .end
            .in_isolate(|_| f(listener))
            .ok_or(NotOnIsolateThread)
    }
}

impl<M: Send + 'static> Handles<M> {
    fn post_last(&self) {
        // Fails only if the port is closed already, which is all that the message is for.
        let _ = self.port.send(None);
    }
}

impl<M: Send + 'static> Drop for Handles<M> {
    fn drop(&mut self) {
        if !self.end.is_closed() {
            self.post_last();
        }
    }
}

impl<M: Send + 'static> Clone for Line<M> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<M: Send + 'static> fmt::Debug for Line<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line")
            .field("port", &self.id())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
