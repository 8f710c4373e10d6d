//! Isolates: spawning them, and the handle to one.

pub(crate) mod core;
mod entry;
mod exit;
mod run;

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

pub(crate) use self::core::{Current, IsolateCore, IsolateRef, Oob, Runnable};
pub use entry::{Async, EntryOutput, EntryResult, Plain, spawn_local};
pub use exit::{ExitReason, Exited};
pub use run::{Run, RunError};

use crate::event_loop;
use crate::pinned::{self, Pinned};
use crate::port::{ReceivePort, SendPort};
use crate::record::{SystemRecord, is_inline};
use crate::runtime::Runtime;

/// A handle to an isolate: state that nobody else can reach, one event loop, and ports.
///
/// The isolate does not need the handle: it lives until nothing is left that could wake it
/// (no port with a sender, no timer, no unanswered call, no task with a waker outside), until
/// it panics or its entry returns an error, or until it is killed.
#[derive(Clone)]
pub struct Isolate(pub(crate) IsolateRef);

/// Identifies an isolate in this process. Never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IsolateId(u64);

impl Isolate {
    /// Starts a pooled isolate on the current runtime: `entry` runs as its first event.
    ///
    /// Entry and message move there. Never waits; the isolate starts as soon as a thread of
    /// the pool is free, and immediately after the current isolate's slice if that spawned it.
    pub fn spawn<M, O, K>(entry: impl FnOnce(M) -> O + Send + 'static, message: M) -> Self
    where
        M: Send + 'static,
        O: EntryOutput<K>,
    {
        Builder::new().spawn(entry, message)
    }

    /// Starts a pooled isolate with one open port, and returns the address of that port: it
    /// can be sent to at once.
    ///
    /// ```
    /// # insula_core::block_on(async {
    /// use insula_core::{Isolate, one_shot};
    /// let (done, finished) = one_shot();
    /// let mut done = Some(done);
    /// let counter = Isolate::spawn_with_port(move |port| {
    ///     let mut count = 0;
    ///     port.listen(move |n: u64| {
    ///         count += n;
    ///         if count == 3 && let Some(done) = done.take() {
    ///             done.send(count);
    ///         }
    ///     });
    /// });
    /// counter.send(1).unwrap();
    /// counter.send(2).unwrap();
    /// assert_eq!(finished.await, Ok(3));
    /// # });
    /// ```
    pub fn spawn_with_port<T, O, K>(
        entry: impl FnOnce(ReceivePort<T>) -> O + Send + 'static,
    ) -> SendPort<T>
    where
        T: Send + 'static,
        O: EntryOutput<K>,
    {
        Builder::new().spawn_with_port(entry)
    }

    /// A builder, for a name and more.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// The isolate whose code runs on this thread.
    pub fn current() -> Option<Self> {
        Current::with(|isolate| isolate.map(|isolate| Self(IsolateRef::new(isolate.core()))))
    }

    /// What identifies the isolate.
    pub fn id(&self) -> IsolateId {
        IsolateId(self.0.id)
    }

    /// Its name, or `isolate-` and its number.
    pub fn name(&self) -> Arc<str> {
        self.0.name()
    }

    /// Ends the isolate at its next interrupt check: between two turns, or two microtasks.
    /// Nothing that is queued runs any more; its values are dropped. Code that never returns
    /// to the loop cannot be stopped: a thread cannot be killed.
    ///
    /// Does nothing to an isolate that has ended.
    pub fn kill(&self) {
        self.0.post_oob(Oob::Kill);
    }

    /// Waits for the end of the isolate and tells why; at once if it has ended already.
    pub fn exited(&self) -> Exited {
        Exited(self.clone())
    }
}

impl PartialEq for Isolate {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Isolate {}

impl Hash for Isolate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Isolate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// How an isolate is to be started. Made by [`Isolate::builder`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    name: Option<Arc<str>>,
    runtime: Option<Runtime>,
    bound: Option<usize>,
}

impl Builder {
    fn new() -> Self {
        Self::default()
    }

    /// A name for reports.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The runtime to run on, in place of the current one.
    pub fn runtime(mut self, runtime: &Runtime) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// Gives the port of [`spawn_with_port`](Self::spawn_with_port) room for at most `limit`
    /// messages that are sent and not yet taken.
    ///
    /// # Panics
    /// When spawning, if `limit` is 0.
    pub fn bounded(mut self, limit: usize) -> Self {
        self.bound = Some(limit);
        self
    }

    /// As [`Isolate::spawn`].
    pub fn spawn<M, O, K>(self, entry: impl FnOnce(M) -> O + Send + 'static, message: M) -> Isolate
    where
        M: Send + 'static,
        O: EntryOutput<K>,
    {
        let new = self.create();
        let handle = Isolate(IsolateRef::new(new.core()));
        new.start(move |_: Current<'_>| entry(message).settle());
        handle
    }

    /// As [`Isolate::spawn_with_port`].
    pub fn spawn_with_port<T, O, K>(
        self,
        entry: impl FnOnce(ReceivePort<T>) -> O + Send + 'static,
    ) -> SendPort<T>
    where
        T: Send + 'static,
        O: EntryOutput<K>,
    {
        let bound = self.bound;
        let new = self.create();
        // Nobody runs the isolate yet, so its local part is ours until it is scheduled.
        let port = new.0.enter(|isolate| ReceivePort::open(isolate, bound));
        let sender = port.make_sender();
        new.start(move |_: Current<'_>| entry(port).settle());
        sender
    }

    /// Starts an isolate with its own thread, whose state need not be `Send`: `entry` runs on
    /// that thread and gets a [`Pinned`], through which it starts further `!Send` work.
    ///
    /// # Errors
    /// If the operating system cannot start a thread.
    pub fn spawn_pinned<M, E, F>(self, entry: E, message: M) -> std::io::Result<Isolate>
    where
        M: Send + 'static,
        E: FnOnce(Pinned, M) -> F + Send + 'static,
        F: Future + 'static,
        F::Output: EntryResult,
    {
        let runtime = self.runtime.unwrap_or_else(Runtime::current);
        pinned::spawn(&runtime, self.name, move |isolate: Current<'_>| {
            let future = entry(Pinned::here(), message);
            isolate.spawn_task(Box::pin(async { entry::finish(future.await) }));
        })
    }

    fn create(self) -> New {
        let runtime = self.runtime.unwrap_or_else(Runtime::current);
        New::create(&runtime, None, self.name)
    }
}

/// An isolate that nobody else knows of yet.
pub(crate) struct New(Runnable);

impl New {
    pub(crate) fn create(
        runtime: &Runtime,
        home: Option<Arc<pinned::PinnedHome>>,
        name: Option<Arc<str>>,
    ) -> Self {
        let core = IsolateCore::create(runtime.core().clone(), home, name);
        // SAFETY: just created, by nobody scheduled and by nobody else known: the right to
        // schedule it is ours, once, and is used up by `start`.
        Self(unsafe { Runnable::from_raw(core) })
    }

    pub(crate) fn core(&self) -> &IsolateCore {
        self.0.core()
    }

    /// The isolate does not start after all.
    pub(crate) fn abandon(self) {
        // SAFETY: nobody runs it and nobody will, so its own count is ours to give back.
        unsafe { IsolateCore::release_self(self.0.into_raw()) };
    }

    /// Makes `entry` the isolate's first event and lets it run.
    pub(crate) fn start<F>(self, entry: F)
    where
        F: FnOnce(Current<'_>) + Send + 'static,
    {
        let runtime = self.core().runtime.clone();
        if !runtime.register(self.core()) {
            return self.end_unstarted();
        }
        // A small entry lies in the lane itself; a large one goes by its box.
        if size_of::<F>() <= 24 && is_inline::<Start<F>>() {
            self.post(Start(entry));
        } else {
            let entry = Box::new(entry);
            self.post(Start(move |isolate: Current<'_>| entry(isolate)));
        }
    }

    /// The runtime has no threads any more. Ends the isolate right here, unless the shutdown
    /// itself has seen it and another thread does.
    #[cold]
    fn end_unstarted(self) {
        if self.core().is_pinned() {
            // Its own thread is there and does it.
            return self.core().post_oob(Oob::Kill);
        }
        let ours = self.core().lane.lock().mark_scheduled();
        if ours {
            event_loop::end_unstarted(&self.0);
        }
    }

    fn post<F: FnOnce(Current<'_>) + Send + 'static>(self, start: Start<F>) {
        // A new isolate is dead only if the runtime has shut down meanwhile and killed it.
        let _ = self.core().post(start);
    }
}

/// The first event of an isolate.
struct Start<F>(F);

impl<F: FnOnce(Current<'_>) + Send + 'static> SystemRecord for Start<F> {
    fn run(self, isolate: Current<'_>) {
        (self.0)(isolate);
    }
}
