//! Isolates: spawning, and the handle.

mod alive;
pub(crate) mod cell;
mod control;
mod entry;
mod errors;
mod exit;
mod group;
mod home;
mod listeners;
pub(crate) mod pinned;
pub(crate) mod root;
mod run;

#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::Location;
use std::sync::Arc;

pub use alive::KeepsAlive;
pub(crate) use alive::slots;
pub(crate) use control::{Capabilities, Oob, Rights, check_wait, check_wait_without_error};
pub use control::{Capability, ControlPort, Ending, Priority, checkpoint, try_checkpoint};
pub use entry::{Async, EntryOutput, EntryResult, Plain, spawn_local};
#[doc(hidden)]
pub use errors::report_panic;
pub(crate) use errors::uncaught;
pub use errors::{ErrorCause, ErrorPolicy, UncaughtError, set_error_hook};
pub(crate) use exit::{ExitCall, ExitCalls, ExitListener};
pub use exit::{ExitReason, Exited};
pub use group::IsolateGroup;
pub(crate) use home::Home;
pub(crate) use listeners::Listeners;
pub use run::{Run, RunError};

use crate::event_loop;
use crate::memory::record::{SystemRecord, is_inline};
use crate::memory::{Current, Details, IsolateCore, IsolateRef, Runnable};
use crate::panic::contain;
use crate::port::{ReceivePort, SendPort, check_limit};
use crate::runtime::Runtime;
use pinned::Pinned;

/// A handle to an isolate, which consists of private state, one event loop, and ports.
///
/// The handle does not keep the isolate alive. An isolate lives until nothing is left that could
/// wake it (no port with a sender, no timer, no unanswered question, no task with a waker
/// outside), until it panics or its entry returns an error, or until it is killed.
#[derive(Clone)]
pub struct Isolate(pub(crate) IsolateRef, Rights);

/// The ID of an isolate, unique in this process and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct IsolateId(pub(crate) u64);

impl fmt::Display for IsolateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "isolate-{}", self.0)
    }
}

impl Isolate {
    /// Spawns a pooled isolate on the current runtime, with `entry` as its first event.
    ///
    /// The entry and the message move to the new isolate. Never waits. The isolate starts as soon
    /// as a thread of the pool is free, or, if the current isolate spawned it, directly after the
    /// current isolate's slice.
    ///
    /// # Panics
    /// If the operating system cannot start a thread for the first isolate of a runtime. A
    /// failure to start further threads only costs speed: the first one then runs everything.
    pub fn spawn<M, O, K>(entry: impl FnOnce(M) -> O + Send + 'static, message: M) -> Self
    where
        M: Send + 'static,
        O: EntryOutput<K>,
    {
        Builder::new().spawn(entry, message)
    }

    /// Spawns a pooled isolate with one open port, and returns the port's `SendPort`, which may be
    /// used at once.
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
    /// counter.send(1)?;
    /// counter.send(2)?;
    /// assert_eq!(finished.await, Ok(3));
    /// # Ok::<(), insula_core::SendError<u64>>(())
    /// # }).expect("the isolate lives");
    /// ```
    #[track_caller]
    pub fn spawn_with_port<T, O, K>(
        entry: impl FnOnce(ReceivePort<T>) -> O + Send + 'static,
    ) -> SendPort<T>
    where
        T: Send + 'static,
        O: EntryOutput<K>,
    {
        Builder::new().spawn_with_port(entry)
    }

    /// Returns a builder, to spawn an isolate with a name or other settings.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Returns the isolate whose code runs on this thread.
    pub fn current() -> Option<Self> {
        Current::with(|isolate| {
            isolate.map(|isolate| Self::with_all_rights(IsolateRef::new(isolate.core())))
        })
    }

    /// Returns the isolate's ID.
    pub fn id(&self) -> IsolateId {
        IsolateId(self.0.id)
    }

    /// Returns the isolate's name; without one, `isolate-` followed by its number.
    pub fn name(&self) -> Arc<str> {
        self.0.name()
    }

    /// Returns the isolate's group, also after the isolate has ended.
    pub fn group(&self) -> Option<IsolateGroup> {
        let mut lane = self.0.lane.lock();
        let group = self
            .0
            .peek_details(&mut lane, |details| details.group.clone());
        group.flatten()
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

/// The settings of a new isolate. Made by [`Isolate::builder`].
#[derive(Default)]
#[must_use = "a builder does nothing until it spawns"]
pub struct Builder {
    runtime: Option<Runtime>,
    bound: Option<usize>,
    is_paused: bool,
    /// Settings that few isolates need, already in the box in which the isolate keeps them.
    details: Option<Box<Details>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self
            .details
            .as_ref()
            .and_then(|details| details.name.as_ref());
        f.debug_struct("Builder")
            .field("name", &name)
            .field("runtime", &self.runtime)
            .field("bound", &self.bound)
            .field("is_paused", &self.is_paused)
            .finish_non_exhaustive()
    }
}

impl Builder {
    fn new() -> Self {
        Self::default()
    }

    fn details(&mut self) -> &mut Details {
        self.details.get_or_insert_default()
    }

    /// Sets the name that reports show.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.details().name = Some(name.into());
        self
    }

    /// Sets the runtime, in place of the current one.
    pub fn runtime(mut self, runtime: &Runtime) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// Sets the group to join, in place of the spawning isolate's group.
    pub fn group(mut self, group: &IsolateGroup) -> Self {
        self.details().group = Some(group.clone());
        self
    }

    /// Bounds the port of [`spawn_with_port`](Self::spawn_with_port): it holds at most `limit`
    /// messages that are sent and not yet taken.
    ///
    /// # Panics
    /// If `limit` is 0.
    pub fn bounded(mut self, limit: usize) -> Self {
        check_limit(Some(limit));
        self.bound = Some(limit);
        self
    }

    /// Makes the isolate start paused, with its [pause capability](Isolate::pause_capability). A
    /// paused isolate does not run its entry before it is resumed, which leaves time to add
    /// listeners.
    pub fn paused(mut self) -> Self {
        self.is_paused = true;
        self
    }

    /// Like [`Isolate::set_error_policy`], from the start.
    pub fn error_policy(mut self, policy: ErrorPolicy) -> Self {
        self.details().error_policy = policy;
        self
    }

    /// Like [`Isolate::add_exit_listener`], from the start.
    pub fn on_exit<T: Send + 'static>(
        mut self,
        port: &SendPort<T>,
        response: impl FnOnce(&ExitReason) -> T + Send + 'static,
    ) -> Self {
        let listener = ExitListener::new(port, response);
        self.details().exit_listeners.set(port.id(), listener);
        self
    }

    /// Like [`Isolate::add_error_listener`], from the start.
    pub fn on_error(mut self, port: &SendPort<UncaughtError>) -> Self {
        self.details().error_listeners.set(port.id(), port.clone());
        self
    }

    /// Spawns the isolate, like [`Isolate::spawn`].
    pub fn spawn<M, O, K>(self, entry: impl FnOnce(M) -> O + Send + 'static, message: M) -> Isolate
    where
        M: Send + 'static,
        O: EntryOutput<K>,
    {
        let new = self.create();
        let handle = new.handle();
        new.start(move |_: Current<'_>| entry(message).settle());
        handle
    }

    /// Spawns the isolate with an open port, like [`Isolate::spawn_with_port`].
    #[track_caller]
    pub fn spawn_with_port<T, O, K>(
        self,
        entry: impl FnOnce(ReceivePort<T>) -> O + Send + 'static,
    ) -> SendPort<T>
    where
        T: Send + 'static,
        O: EntryOutput<K>,
    {
        self.spawn_open(entry, |_| ()).1
    }

    /// Like [`spawn_with_port`](Self::spawn_with_port), but also returns the isolate's handle.
    #[track_caller]
    pub fn spawn_pair<T, O, K>(
        self,
        entry: impl FnOnce(ReceivePort<T>) -> O + Send + 'static,
    ) -> (Isolate, SendPort<T>)
    where
        T: Send + 'static,
        O: EntryOutput<K>,
    {
        self.spawn_open(entry, New::handle)
    }

    #[track_caller]
    fn spawn_open<T, O, K, H>(
        self,
        entry: impl FnOnce(ReceivePort<T>) -> O + Send + 'static,
        handle: fn(&New) -> H,
    ) -> (H, SendPort<T>)
    where
        T: Send + 'static,
        O: EntryOutput<K>,
    {
        let bound = self.bound;
        let place = Location::caller();
        let new = self.create();
        let handle = handle(&new);
        // The isolate is not scheduled before `start`, so no other thread touches its local part.
        let (port, sender) = new.0.enter(|isolate| {
            let port = ReceivePort::open(isolate, bound, place);
            let sender = port.make_sender(isolate);
            (port, sender)
        });
        new.start(move |_: Current<'_>| entry(port).settle());
        (handle, sender)
    }

    /// Spawns an isolate with its own thread, whose state need not be `Send`. `entry` runs on that
    /// thread and gets a [`Pinned`], with which it starts further `!Send` work.
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
        let (runtime, settings) = self.settings();
        pinned::spawn(&runtime, settings, move |isolate: Current<'_>| {
            let future = entry(Pinned::here(), message);
            isolate.spawn_task(Box::pin(async { entry::finish(future.await) }));
        })
    }

    fn create(self) -> New {
        let (runtime, settings) = self.settings();
        New::create(&runtime, None, settings)
    }

    pub(crate) fn settings(self) -> (Runtime, Settings) {
        let settings = Settings {
            is_paused: self.is_paused,
            details: self.details,
        };
        (self.runtime.unwrap_or_else(Runtime::current), settings)
    }
}

/// The settings that [`New::create`] takes.
#[derive(Default)]
pub(crate) struct Settings {
    is_paused: bool,
    details: Option<Box<Details>>,
}

impl Settings {
    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.details.as_ref()?.name.clone()
    }
}

/// A new isolate that has not started. No other code has a handle of it yet.
pub(crate) struct New(Runnable);

impl New {
    pub(crate) fn create(runtime: &Runtime, home: Option<Arc<Home>>, settings: Settings) -> Self {
        // Here, because a later failure to start a thread would have no caller to be reported to.
        if home.is_none()
            && let Some(pool) = runtime.core().thread_pool()
            && !runtime.is_shut_down()
        {
            pool.require_thread();
        }
        let mut details = settings.details;
        if let Some(group) = Self::inherited_group() {
            details.get_or_insert_default().group.get_or_insert(group);
        }
        let in_group = details.as_ref().is_some_and(|it| it.group.is_some());
        let core = IsolateCore::create(runtime.core().clone(), home, details);
        // SAFETY: the isolate was just created: it is not scheduled, and no other code knows of it.
        // So the right to schedule it is ours, once, and `start` uses it up.
        let new = Self(unsafe { Runnable::from_raw(core) });
        if in_group {
            new.0
                .enter(|isolate| isolate.local().flags.in_group.set(true));
        }
        if settings.is_paused
            && let Some(capability) = new.handle().pause_capability()
        {
            new.0.enter(|isolate| isolate.pause(capability));
        }
        new
    }

    fn inherited_group() -> Option<IsolateGroup> {
        Current::with(|isolate| {
            let isolate = isolate?;
            if !isolate.local().flags.in_group.get() {
                return None;
            }
            let mut lane = isolate.lane.lock();
            isolate.with_details(&mut lane, |details| details.group.clone())
        })
    }

    pub(crate) fn handle(&self) -> Isolate {
        Isolate::with_all_rights(IsolateRef::new(self.core()))
    }

    pub(crate) fn core(&self) -> &IsolateCore {
        self.0.core()
    }

    /// Runs `f` with the isolate as the current one, before it starts.
    pub(crate) fn enter<R>(&self, f: impl FnOnce(Current<'_>) -> R) -> R {
        self.0.enter(f)
    }

    /// Frees an isolate that does not start. No other code knows of it, so none waits for its end.
    pub(crate) fn abandon(self) {
        // SAFETY: no thread runs the isolate, now or later, so its own count is ours to release.
        unsafe { IsolateCore::release_self(self.0.into_raw()) };
    }

    /// Makes `entry` the isolate's first event and lets it run.
    pub(crate) fn start<F>(self, entry: F)
    where
        F: FnOnce(Current<'_>) + Send + 'static,
    {
        let runtime = self.core().runtime.clone();
        // Asked before `register`, after which a shutdown may have another thread run the isolate.
        let in_group = self.enter(|isolate| isolate.local().flags.in_group.get());
        // Register before the isolate joins its group, where other code finds and kills it: its end
        // takes it out of the register.
        if !runtime.register(self.core()) {
            self.end_unstarted();
            // Contained, as in a teardown: a panic of its destructor is not the spawner's error.
            // Dropped after the end: the entry may hold the isolate's port, and closing that would
            // schedule the isolate.
            contain(|| drop(entry));
            return;
        }
        if in_group {
            self.join_group();
        }
        if !runtime.observers().is_empty() {
            self.announce();
        }
        // A small entry is stored in the lane itself; a large one is boxed.
        if size_of::<F>() <= 24 && is_inline::<Start<F>>() {
            self.post(Start(entry));
        } else {
            let entry = Box::new(entry);
            self.post(Start(move |isolate: Current<'_>| entry(isolate)));
        }
    }

    /// Tells the observers of the runtime about the isolate.
    #[cold]
    fn announce(&self) {
        let (id, name) = (IsolateId(self.core().id), self.core().own_name());
        let observers = self.core().runtime.observers();
        observers.each(|observer| observer.spawned(id, name.clone()));
    }

    /// Enters the isolate in its group. A shutdown may have ended it meanwhile, and the end may
    /// have come before or after the isolate was entered; in both cases it is not left there.
    fn join_group(&self) {
        let Some(group) = self.handle().group() else {
            return;
        };
        group.join(IsolateRef::new(self.core()));
        // A teardown marks the lane as dead first and leaves the group later.
        if self.core().lane.is_dead() {
            group.leave(self.core().id);
        }
    }

    /// Ends an isolate that cannot start because the runtime is shut down: on this thread, unless
    /// the isolate has a thread of its own.
    #[cold]
    fn end_unstarted(self) {
        let is_root = self.core().is_root_here();
        if self.core().has_home() && !is_root {
            // Its own thread runs already and ends it.
            return self.core().post_oob(Oob::Kill(Priority::Immediate));
        }
        let was_idle = self.core().lane.lock().mark_scheduled();
        debug_assert!(was_idle, "no other code knows of the isolate yet");
        if is_root {
            // The notify callback reports the end to the host, as it does any other event.
            IsolateCore::schedule(self.core().this());
        }
        event_loop::end_unstarted(&self.0);
    }

    fn post<F: FnOnce(Current<'_>) + Send + 'static>(self, start: Start<F>) {
        // The post is refused only if the runtime was shut down meanwhile and killed the isolate.
        let refused = self.core().post(start);
        contain(|| drop(refused));
    }
}

/// The first event of an isolate.
struct Start<F>(F);

impl<F: FnOnce(Current<'_>) + Send + 'static> SystemRecord for Start<F> {
    fn run(self, isolate: Current<'_>) {
        (self.0)(isolate);
    }
}
