//! Root isolates: driven by a foreign event loop, on the thread that made them.
//!
//! # Protocol
//! A root isolate has no thread. When it changes from idle to scheduled, the sender calls its
//! *notify* callback, once. The host then calls [`RootIsolate::handle_message`] on the isolate's
//! thread, repeatedly as long as that returns [`Handled::More`]. Only that thread ever runs the
//! isolate, so it may also [enter](RootIsolate::enter) it at any time between two events.
//!
//! To enter an idle isolate is sound: other threads touch only its lane, and a sender to an idle
//! isolate writes there under the lane's lock. The thread that has entered the isolate reads the
//! lane without the lock only if the isolate is scheduled or dead; then no sender writes to that
//! part.
//!
//! A root isolate does not end by itself. It ends when its owner drops it, by a kill, by an error,
//! or when [`run_event_loop`](RootIsolate::run_event_loop) has nothing left to wait for. Its group
//! ends with it. On a runtime that is shut down it is dead from the start, like any isolate.
//!
//! Entering it counts as an event: control messages that have arrived are handled first. So after
//! a kill no code of the host runs.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use insula_sync::wait;

use crate::event_loop;
use crate::event_loop::task::Recheck;
use crate::isolate::pinned::Pinned;
use crate::isolate::{
    Builder, EntryOutput, ExitReason, Home, Isolate, IsolateGroup, New, Settings,
};
use crate::memory::{Current, Runnable};
use crate::panic::contain;
use crate::panic::install_hook;
use crate::runtime::{Hosted, Runtime};

/// An isolate that its host runs, on the thread that made it.
///
/// Dropping it ends the isolate and runs its teardown. [`shut_down`](Self::shut_down) does the
/// same, and returns the reason for the end.
///
/// ```
/// use std::sync::mpsc;
/// use insula_core::{Handled, ReceivePort, RootIsolate};
///
/// let (wake, work) = mpsc::channel();
/// let mut root = RootIsolate::builder("ui")
///     .notify(move || drop(wake.send(())))
///     .create();
/// let inbox = root.enter(|_| {
///     let port = ReceivePort::new();
///     let inbox = port.send_port();
///     port.listen(|text: &str| assert_eq!(text, "hello"));
///     inbox
/// });
/// let inbox = inbox.ok_or("the isolate has ended")?;
/// std::thread::spawn(move || inbox.send("hello"));
/// work.recv()?;
/// while root.handle_message() == Handled::More {}
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RootIsolate {
    isolate: Isolate,
    home: Arc<Home>,
    phase: RootPhase,
    /// Makes the type `!Send`: only the thread that made it may use it.
    not_send: PhantomData<*const ()>,
}

/// The phase of a root isolate's life. Phases only advance.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RootPhase {
    /// It has no entry, and none of its code has run.
    Initialized,
    /// Its entry is queued.
    Ready,
    /// Some of its code has run.
    Running,
    /// It has ended.
    ShutDown,
}

/// The state in which [`RootIsolate::handle_message`] leaves the isolate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Handled {
    /// Nothing is queued. The notify callback is called when that changes.
    Idle,
    /// There may be more to do: call `handle_message` again.
    More,
    /// It is paused, and handles only control messages. The notify callback is called when one
    /// arrives.
    Paused,
    /// It has ended.
    Exited(ExitReason),
}

/// The settings of a new root isolate. Made by [`RootIsolate::builder`].
#[must_use = "a builder does nothing until it creates"]
pub struct RootBuilder {
    isolate: Builder,
    name: Arc<str>,
    group: Option<IsolateGroup>,
    notify: Box<dyn Fn() + Send + Sync>,
    pauses_on_exit: bool,
}

impl RootBuilder {
    /// Sets the notify callback, which is called, on any thread, when there is something to do. It
    /// must not block, and must not handle the message itself. A panic in it is contained: the
    /// sender does not see it.
    pub fn notify(mut self, notify: impl Fn() + Send + Sync + 'static) -> Self {
        self.notify = Box::new(notify);
        self
    }

    /// Sets the runtime whose clock the isolate uses and on which it spawns, in place of the
    /// current one.
    pub fn runtime(mut self, runtime: &Runtime) -> Self {
        self.isolate = self.isolate.runtime(runtime);
        self
    }

    /// Sets the group to join, in place of a group of its own.
    pub fn group(mut self, group: &IsolateGroup) -> Self {
        self.group = Some(group.clone());
        self
    }

    /// Makes it start paused, until [`RootIsolate::resume`].
    pub fn pause_on_start(mut self) -> Self {
        self.isolate = self.isolate.paused();
        self
    }

    /// Makes it pause when it is about to end by an error, a kill or an exit, until
    /// [`RootIsolate::resume`]. Meanwhile it handles only control messages.
    pub fn pause_on_exit(mut self) -> Self {
        self.pauses_on_exit = true;
        self
    }

    /// Creates the isolate on this thread, without an entry: the host starts its work in
    /// [`RootIsolate::enter`].
    pub fn create(self) -> RootIsolate {
        let (mut root, new) = self.make();
        new.start(|_: Current<'_>| {});
        root.forward_if_dead();
        root
    }

    /// Like [`create`](Self::create), with an entry, which runs as the first event.
    pub fn spawn<M, O, K>(
        self,
        entry: impl FnOnce(M) -> O + Send + 'static,
        message: M,
    ) -> RootIsolate
    where
        M: Send + 'static,
        O: EntryOutput<K>,
    {
        let (mut root, new) = self.make();
        new.start(move |_: Current<'_>| entry(message).settle());
        root.phase = RootPhase::Ready;
        root.forward_if_dead();
        root
    }

    fn make(self) -> (RootIsolate, New) {
        let group = self
            .group
            .unwrap_or_else(|| IsolateGroup::new(self.name.clone()));
        let home = Arc::new(Home::embedder(self.notify));
        let (runtime, settings): (Runtime, Settings) =
            self.isolate.name(self.name).group(&group).settings();
        let new = New::create(&runtime, Some(home.clone()), settings);
        new.enter(|isolate| {
            let flags = &isolate.local().flags;
            flags.is_root.set(true);
            flags.pauses_on_exit.set(self.pauses_on_exit);
        });
        let root = RootIsolate {
            isolate: new.handle(),
            home,
            phase: RootPhase::Initialized,
            not_send: PhantomData,
        };
        (root, new)
    }
}

impl RootIsolate {
    /// Returns a builder.
    pub fn builder(name: impl Into<Arc<str>>) -> RootBuilder {
        RootBuilder {
            isolate: Isolate::builder(),
            name: name.into(),
            group: None,
            notify: Box::new(|| {}),
            pauses_on_exit: false,
        }
    }

    /// Returns the isolate's handle.
    pub fn isolate(&self) -> &Isolate {
        &self.isolate
    }

    /// Returns the isolate's phase.
    pub fn phase(&self) -> RootPhase {
        self.phase
    }

    /// Handles all control messages, then one message and its microtasks.
    pub fn handle_message(&mut self) -> Handled {
        if !self.is_scheduled() {
            return self.at_rest();
        }
        self.forward(RootPhase::Running);
        install_hook();
        let runnable = self.runnable();
        let hosted = Hosted::begin(&self.isolate.0.runtime);
        // One turn, so that the host can do other work between two messages.
        let again = event_loop::run_slice(runnable, &self.home.meter, 1);
        drop(hosted);
        if again.is_some() {
            return Handled::More;
        }
        self.at_rest()
    }

    /// Runs `f` as the isolate's code, between two events, and then the microtasks. With the
    /// [`Pinned`] that it gets, `f` may start work that is not `Send`.
    ///
    /// Returns `None` if the isolate has ended, or if `f` panicked, which is an uncaught error of
    /// the isolate. Control messages that have arrived are handled before `f`: after a
    /// [kill](Isolate::kill), and after the shutdown of its runtime, `f` does not run.
    ///
    /// # Panics
    /// If called by the isolate's own code.
    pub fn enter<R>(&mut self, f: impl FnOnce(Pinned) -> R) -> Option<R> {
        let inside = Current::with(|current| {
            current.is_some_and(|current| current.is(self.isolate.0.as_ptr().as_ptr()))
        });
        assert!(!inside, "the root isolate is entered already");
        if self.isolate.0.lane.is_dead() {
            return None;
        }
        self.forward(RootPhase::Running);
        let result = event_loop::enter(&self.runnable(), || f(Pinned::here()));
        // For the phase only: `f` may have ended the isolate.
        self.at_rest();
        result
    }

    /// Ends a pause on start or on exit.
    pub fn resume(&self) {
        if let Some(capability) = self.isolate.pause_capability() {
            self.isolate.resume(capability);
        }
    }

    /// Runs the isolate's event loop on this thread until nothing is left that could wake the
    /// isolate, or until it ends in another way. Returns the reason.
    ///
    /// # Blocking
    /// Parks the thread while there is nothing to do.
    ///
    /// # Panics
    /// If called inside of an isolate: that isolate's own loop would stop meanwhile, so nothing
    /// could end it.
    pub fn run_event_loop(mut self) -> ExitReason {
        let inside = Current::or_left(|isolate| isolate.is_some());
        assert!(
            !inside,
            "an isolate cannot run the loop of a root isolate: call `run_event_loop` on a thread \
             outside of isolates, or `handle_message` for one message at a time"
        );
        self.enter(|_| {
            Current::with(|isolate| {
                if let Some(isolate) = isolate {
                    isolate.local().flags.is_root.set(false);
                    // Without `is_root` the isolate may end when nothing can wake it. This event
                    // makes its loop check that even if nothing else arrives.
                    let _ = isolate.post(Recheck);
                }
            });
        });
        loop {
            match self.handle_message() {
                Handled::Exited(reason) => return reason,
                Handled::More => {}
                Handled::Idle | Handled::Paused => self.home.park(),
            }
        }
    }

    /// Ends the isolate and all of its group. Dropping it does the same.
    pub fn shut_down(mut self) -> ExitReason {
        self.end();
        self.exit_reason().unwrap_or(ExitReason::Killed)
    }

    fn end(&mut self) {
        // Cleared outside of the `enter` below, whose code does not run if a kill has arrived.
        if !self.isolate.0.lane.is_dead() {
            self.runnable()
                .enter(|isolate| isolate.local().flags.pauses_on_exit.set(false));
        }
        self.enter(|_| {
            Current::with(|isolate| {
                if let Some(isolate) = isolate {
                    isolate.end_with(ExitReason::Killed);
                }
            });
        });
    }

    fn forward(&mut self, phase: RootPhase) {
        self.phase = self.phase.max(phase);
    }

    /// Advances the phase of an isolate that has ended before the host got it, because its runtime
    /// is shut down.
    fn forward_if_dead(&mut self) {
        if self.isolate.0.lane.is_dead() {
            self.forward(RootPhase::ShutDown);
        }
    }

    /// Returns whether the isolate is scheduled and has not ended. Spins while another thread holds
    /// the lane, whose state is unknown meanwhile.
    fn is_scheduled(&self) -> bool {
        let lane = &self.isolate.0.lane;
        loop {
            match lane.peek_scheduled() {
                Some(scheduled) => return scheduled && !lane.is_dead(),
                None => wait::spin(),
            }
        }
    }

    fn runnable(&self) -> Runnable {
        // SAFETY: only this thread runs the isolate, and it makes no other use of it meanwhile.
        // The docs of this module say why the isolate may be idle.
        unsafe { Runnable::from_raw(self.isolate.0.as_ptr()) }
    }

    fn at_rest(&mut self) -> Handled {
        if let Some(reason) = self.exit_reason() {
            self.forward(RootPhase::ShutDown);
            return Handled::Exited(reason);
        }
        let paused = self.runnable().enter(|isolate| isolate.is_paused());
        if paused {
            Handled::Paused
        } else if self.is_scheduled() {
            Handled::More
        } else {
            Handled::Idle
        }
    }

    fn exit_reason(&self) -> Option<ExitReason> {
        let core = &self.isolate.0;
        core.peek_details(&mut core.lane.lock(), |details| details.exit.clone())
            .flatten()
    }
}

impl Drop for RootIsolate {
    fn drop(&mut self) {
        if !self.isolate.0.lane.is_dead() {
            // `enter` panics if the isolate's own code drops its root.
            contain(|| self.end());
        }
    }
}

impl fmt::Debug for RootIsolate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootIsolate")
            .field("isolate", &self.isolate)
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RootBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootBuilder")
            .field("isolate", &self.isolate)
            .finish_non_exhaustive()
    }
}
