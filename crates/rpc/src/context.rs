//! The context of a call: a handler's view of the call that it runs.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use insula_core::{Instant, yield_now};

use crate::cell::Signal;
use crate::contract::Ended;
use crate::error::{Cancelled, CancelledBy};

/// Names a worker among those of its pool; stays the same when its state is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(u32);

impl WorkerId {
    /// The worker at this place of its pool, counted from 0.
    pub fn new(index: u32) -> Self {
        Self(index)
    }

    /// Its place in the pool, counted from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The part that the calls which run one after the other at one place have in common.
#[derive(Clone)]
pub struct Scope {
    /// The worker that runs them.
    pub worker: WorkerId,
    /// The number of times that its state was rebuilt.
    pub incarnation: u32,
    /// The time that a cancelled handler may go on before its future is dropped.
    pub grace: Duration,
    /// Is told of every call that ends here.
    pub ledger: Option<Arc<dyn Ledger>>,
}

/// Counts calls as they end.
pub trait Ledger: Send + Sync + 'static {
    /// Counts a call that has ended. Called before the caller can see the answer (or the end of
    /// a stream), so a caller that has its answer finds it counted; and under the lock of the
    /// call, so it has to be short.
    fn record(&self, ended: &Ended);
}

impl Scope {
    pub(crate) fn record(&self, ended: Ended) -> Ended {
        if let Some(ledger) = &self.ledger {
            ledger.record(&ended);
        }
        ended
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("worker", &self.worker)
            .field("incarnation", &self.incarnation)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

/// A running call as its handler sees it.
///
/// # Cancellation
/// A call is cancelled when its caller drops its future or its stream, when its deadline is
/// enforced, and when its worker shuts down. The handler is told through this context and may
/// go on for the worker's grace period; then its future is dropped at the point where it waits.
/// A handler that computes without waiting should ask [`check`](Self::check) or await
/// [`checkpoint`](Self::checkpoint) now and then: nothing can stop it from outside.
pub struct Context {
    signal: Arc<dyn Signal>,
    deadline: Option<Instant>,
    worker: WorkerId,
    incarnation: u32,
    grace: Duration,
}

/// The part of a [`Context`] that may be kept: it tells whether the call was cancelled.
#[derive(Clone)]
pub struct CancelToken(Arc<dyn Signal>);

impl Context {
    pub(crate) fn new(signal: Arc<dyn Signal>, scope: &Scope, deadline: Option<Instant>) -> Self {
        let Scope {
            worker,
            incarnation,
            grace,
            ..
        } = *scope;
        Self {
            signal,
            deadline,
            worker,
            incarnation,
            grace,
        }
    }

    /// Returns the time by which the caller must have its answer (for a stream: the stream itself),
    /// if it has set a deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The time until the deadline; zero once it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Returns whether the answer is no longer needed. One or two atomic loads.
    pub fn is_cancelled(&self) -> bool {
        self.signal.is_cancelled()
    }

    /// Waits until the call is cancelled.
    ///
    /// # Cancellation
    /// Dropping the future has no effect.
    pub async fn cancelled(&self) -> Cancelled {
        cancelled(&*self.signal).await
    }

    /// Ends a handler early with `?`: gives an error once the call is cancelled or its
    /// deadline has passed.
    ///
    /// # Errors
    /// [`Cancelled`] says what cancelled the call.
    pub fn check(&self) -> Result<(), Cancelled> {
        if let Some(by) = self.signal.cancelled_by() {
            return Err(Cancelled { by });
        }
        if self.remaining().is_some_and(|left| left.is_zero()) {
            return Err(Cancelled {
                by: CancelledBy::Deadline,
            });
        }
        Ok(())
    }

    /// For long computations: lets other work of the isolate run, then does a
    /// [`check`](Self::check).
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn checkpoint(&self) -> Result<(), Cancelled> {
        self.check()?;
        yield_now().await;
        self.check()
    }

    /// The worker that runs this call.
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Returns the number of times that the worker's state was rebuilt; 0 for its first.
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// A token that may outlive the handler, such as in the stream that it returns.
    pub fn token(&self) -> CancelToken {
        CancelToken(Arc::clone(&self.signal))
    }

    pub(crate) fn signal(&self) -> &Arc<dyn Signal> {
        &self.signal
    }

    pub(crate) fn grace(&self) -> Duration {
        self.grace
    }

    /// Watches for the cancellation.
    pub(crate) fn watch(&self) -> Watch<'_> {
        Watch::new(&*self.signal)
    }
}

impl CancelToken {
    /// Returns whether the call was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the call is cancelled.
    ///
    /// # Cancellation
    /// Dropping the future has no effect.
    pub async fn cancelled(&self) -> Cancelled {
        cancelled(&*self.0).await
    }
}

async fn cancelled(signal: &dyn Signal) -> Cancelled {
    let mut watch = Watch::new(signal);
    let by = poll_fn(|cx| watch.look(cx.waker()).map_or(Poll::Pending, Poll::Ready)).await;
    Cancelled { by }
}

/// Waits for a cancellation, and is forgotten when it is dropped.
pub(crate) struct Watch<'a> {
    signal: &'a dyn Signal,
    place: Option<u64>,
}

impl<'a> Watch<'a> {
    fn new(signal: &'a dyn Signal) -> Self {
        Self {
            signal,
            place: None,
        }
    }

    /// Has `waker` woken at the cancellation; returns the cause if it has happened.
    pub(crate) fn look(&mut self, waker: &Waker) -> Option<CancelledBy> {
        // A cancellation is never taken back, so that there is a cause once there is a flag.
        self.signal
            .watch(&mut self.place, waker)
            .then(|| self.signal.cancelled_by().unwrap_or(CancelledBy::Caller))
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.signal.forget(place);
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("worker", &self.worker)
            .field("incarnation", &self.incarnation)
            .field("deadline", &self.deadline)
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken")
            .field(&self.is_cancelled())
            .finish()
    }
}
