//! The context of a call: a handler's view of the call that it runs.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, OnceLock};
use std::task::{self, Poll, Waker};
use std::time::Duration;

use insula_core::{Instant, yield_now};
use insula_sync::Mutex;

use crate::cell::Signal;
use crate::contract::Ended;
use crate::envelope::{Envelope, Metadata, Progress, TraceContext};
use crate::error::{Cancelled, CancelledBy};
use crate::scoped::ScopedTask;
use crate::span::CallSpan;

/// Names a worker among those of its pool; stays the same when its state is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(u32);

impl WorkerId {
    /// Names the worker at this place of its pool, counted from 0.
    pub fn new(index: u32) -> Self {
        Self(index)
    }

    /// Returns its place in the pool, counted from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The part that calls which run one after the other at one place have in common: the worker, its
/// incarnation, its grace period, its place and its books. Cheap to clone.
#[derive(Clone)]
pub struct Scope(Arc<Common>);

struct Common {
    name: Arc<str>,
    worker: WorkerId,
    incarnation: u32,
    grace: Duration,
    ledger: Option<Arc<dyn Ledger>>,
    place: Option<Arc<dyn Place>>,
}

/// Counts calls as they end.
pub trait Ledger: Send + Sync + 'static {
    /// Counts a call that has ended. Called before the caller can see the answer (or the end of
    /// a stream), so a caller that has its answer finds it counted; and under the lock of the
    /// call, so it has to be short.
    fn record(&self, ended: &Ended);
}

/// A place among the calls that a worker runs at once. The call that has it gives it back while it
/// only waits for the reader of its stream.
pub trait Place: Send + Sync + 'static {
    /// Another call may run meanwhile.
    fn give_back(&self);
    /// Ready once the call has a place again.
    fn poll_return(&self, task: &mut task::Context<'_>) -> Poll<()>;
}

impl Scope {
    /// Makes the scope of a worker's calls: its name, its place in the pool, the number of
    /// times that its state was rebuilt, and the time that a cancelled handler may go on.
    pub fn new(name: Arc<str>, worker: WorkerId, incarnation: u32, grace: Duration) -> Self {
        Self(Arc::new(Common {
            name,
            worker,
            incarnation,
            grace,
            ledger: None,
            place: None,
        }))
    }

    /// Returns the same scope, whose calls run at `place` and are counted by `ledger`. Without a
    /// place, a call whose stream waits for its reader goes on being a running call.
    #[must_use]
    pub fn at(&self, place: Option<Arc<dyn Place>>, ledger: Option<Arc<dyn Ledger>>) -> Self {
        let common = &*self.0;
        Self(Arc::new(Common {
            name: Arc::clone(&common.name),
            ledger,
            place,
            ..*common
        }))
    }

    /// Returns the worker that runs the calls.
    pub fn worker(&self) -> WorkerId {
        self.0.worker
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn name(&self) -> &str {
        &self.0.name
    }

    #[cfg(feature = "tracing")]
    pub(crate) fn incarnation(&self) -> u32 {
        self.0.incarnation
    }

    pub(crate) fn place(&self) -> Option<&dyn Place> {
        self.0.place.as_deref()
    }

    pub(crate) fn record(&self, ended: Ended) {
        if let Some(ledger) = &self.0.ledger {
            ledger.record(&ended);
        }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", &self.0.name)
            .field("worker", &self.0.worker)
            .field("incarnation", &self.0.incarnation)
            .field("grace", &self.0.grace)
            .finish_non_exhaustive()
    }
}

/// A running call as its handler sees it.
///
/// # Cancellation
/// A call is cancelled when its caller drops its future or its stream or asks it to stop, when its
/// deadline has passed, whether or not the caller looks, when the call that it was made
/// [within](crate::Call::within) is cancelled, and when its worker shuts down. The handler is told
/// through this context and may go on for the worker's grace period; then its future is dropped at
/// the point where it waits. A handler that computes without waiting should ask
/// [`check`](Self::check) or await [`checkpoint`](Self::checkpoint) now and then: nothing can stop
/// it from outside.
///
/// A stream that the handler has given is dropped at once when its reader has gone: there is
/// nothing left to finish.
///
/// Once the deadline has passed, the caller gets
/// [`CallError::Deadline`](crate::CallError::Deadline) whatever the handler still does. After any
/// other request to stop, an answer that comes in time is delivered.
pub struct Context {
    signal: Arc<dyn Signal>,
    deadline: Option<Instant>,
    scope: Scope,
    envelope: Option<Box<Envelope>>,
    /// Tasks that the handler has spawned and that its guard has not taken over. Made with the
    /// first one, so that a call without any takes no lock. An `Arc`, since its drop is out of line:
    /// that of a `Box` is a call for every context.
    spawned: OnceLock<Arc<Mutex<Vec<ScopedTask>>>>,
    span: CallSpan,
}

/// The part of a [`Context`] that may be kept: it tells whether the call was cancelled.
#[derive(Clone)]
pub struct CancelToken {
    signal: Arc<dyn Signal>,
    deadline: Option<Instant>,
}

impl Context {
    pub(crate) fn new(
        signal: Arc<dyn Signal>,
        scope: &Scope,
        deadline: Option<Instant>,
        envelope: Option<Box<Envelope>>,
        span: CallSpan,
    ) -> Self {
        Self {
            signal,
            deadline,
            scope: scope.clone(),
            envelope,
            spawned: OnceLock::new(),
            span,
        }
    }

    /// Returns the time by which the caller must have its answer (for a stream: the stream itself),
    /// if it has set a deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns the time until the deadline; zero once it has passed.
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline
            .map(|deadline| deadline.saturating_duration_since(Instant::now()))
    }

    /// Returns whether the answer is no longer needed. One or two atomic loads.
    pub fn is_cancelled(&self) -> bool {
        self.signal.is_cancelled()
    }

    /// Returns the cause of the cancellation, once the call was cancelled.
    pub fn cancelled_by(&self) -> Option<CancelledBy> {
        self.signal.cancelled_by()
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
        check(&*self.signal, self.deadline)
    }

    /// Lets other work of the isolate run, in a long computation, and then does a
    /// [`check`](Self::check).
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub async fn checkpoint(&self) -> Result<(), Cancelled> {
        self.check()?;
        // It lets others run, and the caller may be among them: what was found before is old then.
        yield_now().await;
        self.check()
    }

    /// Returns the worker that runs this call.
    pub fn worker(&self) -> WorkerId {
        self.scope.0.worker
    }

    /// Returns the name of the worker's pool; it is empty without a pool.
    pub fn pool(&self) -> &str {
        &self.scope.0.name
    }

    /// Returns the number of times that the worker's state was built before, failures included; 0 for its
    /// first.
    pub fn incarnation(&self) -> u32 {
        self.scope.0.incarnation
    }

    /// Returns what the caller has sent along.
    pub fn metadata(&self) -> &Metadata {
        const NONE: &Metadata = &Metadata::NONE;
        self.envelope.as_ref().map_or(NONE, |it| &it.metadata)
    }

    /// Sends metadata back along with the answer, with which a caller gets it that asks for
    /// [details](crate::Call::detailed). Replaces what was given before.
    pub fn set_trailing(&self, metadata: Metadata) {
        self.signal.trail(metadata);
    }

    /// Returns the trace that this call is part of.
    pub fn trace(&self) -> Option<TraceContext> {
        self.envelope.as_ref().and_then(|it| it.trace)
    }

    /// Returns the number of attempts before this one, as the caller says.
    pub fn attempt(&self) -> u32 {
        self.envelope.as_ref().map_or(0, |it| it.attempt)
    }

    /// Returns the key that all attempts of one piece of work have in common, if the caller gave
    /// one.
    pub fn idempotency_key(&self) -> Option<&str> {
        let envelope = self.envelope.as_ref()?;
        envelope.idempotency_key.as_deref()
    }

    /// Tells the caller how far the handler has come. Reports that come faster than the caller looks
    /// replace each other; it gets the last one in any case, before the answer. See
    /// [`Call::on_progress`](crate::Call::on_progress).
    pub fn progress(&self, progress: Progress) {
        self.signal.report(progress);
    }

    /// Runs a task as a part of the call, beside the handler and on the same worker. The call has
    /// its answer once the handler and all its tasks have ended; for a stream, it is opened then.
    /// Tasks that the stream itself spawns run while the stream does, stand still while it waits for
    /// its reader, and are dropped with it.
    ///
    /// # Cancellation
    /// A task is dropped where it waits when the handler is, after the worker's grace period.
    ///
    /// # Panics
    /// A panic of a task fails the call, as one of its handler does.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let task = ScopedTask::new(task);
        self.spawned.get_or_init(Arc::default).lock().push(task);
    }

    /// Returns whether the handler has ever spawned a task.
    pub(crate) fn has_spawned(&self) -> bool {
        self.spawned.get().is_some()
    }

    /// The tasks that were spawned since the last look.
    pub(crate) fn take_spawned(&self) -> Vec<ScopedTask> {
        let spawned = self.spawned.get();
        spawned.map_or_else(Vec::new, |tasks| std::mem::take(&mut *tasks.lock()))
    }

    /// Returns a token that may outlive the handler, such as in a task of its own.
    pub fn token(&self) -> CancelToken {
        CancelToken {
            signal: Arc::clone(&self.signal),
            deadline: self.deadline,
        }
    }

    pub(crate) fn signal(&self) -> &Arc<dyn Signal> {
        &self.signal
    }

    pub(crate) fn span(&self) -> &CallSpan {
        &self.span
    }

    pub(crate) fn grace(&self) -> Duration {
        self.scope.0.grace
    }
}

impl CancelToken {
    /// Returns whether the call was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.signal.is_cancelled()
    }

    /// As [`Context::check`].
    ///
    /// # Errors
    /// [`Cancelled`] says what cancelled the call.
    pub fn check(&self) -> Result<(), Cancelled> {
        check(&*self.signal, self.deadline)
    }

    /// Waits until the call is cancelled.
    ///
    /// # Cancellation
    /// Dropping the future has no effect.
    pub async fn cancelled(&self) -> Cancelled {
        cancelled(&*self.signal).await
    }

    pub(crate) fn signal(&self) -> &dyn Signal {
        &*self.signal
    }
}

fn check(signal: &dyn Signal, deadline: Option<Instant>) -> Result<(), Cancelled> {
    // Nothing else looks at the clock while the handler computes and its caller is not polled. The
    // cell is told, so that both sides see the same end.
    if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
        signal.expire();
    }
    match signal.cancelled_by() {
        Some(by) => Err(Cancelled { by }),
        None => Ok(()),
    }
}

async fn cancelled(signal: &dyn Signal) -> Cancelled {
    let mut watch = Watch::new(signal);
    let by = poll_fn(|cx| watch.look(cx.waker()).map_or(Poll::Pending, Poll::Ready)).await;
    Cancelled { by }
}

/// Waits for a cancellation, and is forgotten when it is dropped.
struct Watch<'a> {
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
    fn look(&mut self, waker: &Waker) -> Option<CancelledBy> {
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
            .field("worker", &self.worker())
            .field("incarnation", &self.incarnation())
            .field("deadline", &self.deadline)
            .field("cancelled_by", &self.cancelled_by())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CancelToken")
            .field(&self.is_cancelled())
            .finish()
    }
}
