//! Root isolates: driven by a foreign event loop, on the thread that made them.
//!
//! # Protocol
//! A root isolate has no thread. When it goes from idle to scheduled, its *notify* callback is
//! called, once, by whoever sent to it; the host then calls [`RootIsolate::handle_message`] on
//! the isolate's thread, again as long as that says [`Handled::More`]. Only that thread ever
//! runs the isolate, so it may also [enter](RootIsolate::enter) it at any time between two
//! events. While the isolate is scheduled and not run nobody else touches its queue's end that
//! belongs to the runner, which is what makes entering an idle isolate sound.
//!
//! A root isolate does not end by itself, but with its owner, by a kill, by an error, or when
//! [`run_event_loop`](RootIsolate::run_event_loop) has nothing left to wait for. Its group ends
//! with it. On a runtime that is shut down it is dead from the start, as any isolate is.
//!
//! Entering it is an event: control messages that have arrived are handled before. So a kill that
//! came first lets nothing of the host run.

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

/// An isolate that runs where and when its host says.
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
    /// Only the thread that made it may use it.
    not_send: PhantomData<*const ()>,
}

/// How far a root isolate has come. It only goes forward.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RootPhase {
    /// It exists, and has no entry.
    Initialized,
    /// Its entry waits to be run.
    Ready,
    /// Code of it has run.
    Running,
    /// It has ended.
    ShutDown,
}

/// What [`RootIsolate::handle_message`] leaves behind.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Handled {
    /// Nothing is queued; the notify callback will tell.
    Idle,
    /// There is, or may be, more to do: call it again.
    More,
    /// It is paused, and handles only control messages; the notify callback will tell.
    Paused,
    /// It has ended.
    Exited(ExitReason),
}

/// How a root isolate is to be made. Made by [`RootIsolate::builder`].
#[must_use = "a builder does nothing until it creates"]
pub struct RootBuilder {
    isolate: Builder,
    name: Arc<str>,
    group: Option<IsolateGroup>,
    notify: Box<dyn Fn() + Send + Sync>,
    pauses_on_exit: bool,
}

impl RootBuilder {
    /// Is called, on any thread, when there is something to do. It must not block, and not
    /// handle it there and then. A panic in it is contained: the sender does not see it.
    pub fn notify(mut self, notify: impl Fn() + Send + Sync + 'static) -> Self {
        self.notify = Box::new(notify);
        self
    }

    /// The runtime whose clock it uses, and on which it spawns, in place of the current one.
    pub fn runtime(mut self, runtime: &Runtime) -> Self {
        self.isolate = self.isolate.runtime(runtime);
        self
    }

    /// The group to which it belongs, in place of one of its own.
    pub fn group(mut self, group: &IsolateGroup) -> Self {
        self.group = Some(group.clone());
        self
    }

    /// Starts it paused, until [`RootIsolate::resume`].
    pub fn pause_on_start(mut self, pauses: bool) -> Self {
        self.isolate = self.isolate.paused(pauses);
        self
    }

    /// Pauses it when it is about to end of an error, a kill or an exit, until
    /// [`RootIsolate::resume`]; nothing but control messages is handled meanwhile.
    pub fn pause_on_exit(mut self, pauses: bool) -> Self {
        self.pauses_on_exit = pauses;
        self
    }

    /// Makes the isolate, of this thread, without an entry: what it does, the host starts in
    /// [`RootIsolate::enter`].
    pub fn create(self) -> RootIsolate {
        let (mut root, new) = self.make();
        new.start(|_: Current<'_>| {});
        root.forward_if_dead();
        root
    }

    /// As [`create`](Self::create), with an entry, which runs as the first event.
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
    /// A builder.
    pub fn builder(name: impl Into<Arc<str>>) -> RootBuilder {
        RootBuilder {
            isolate: Isolate::builder(),
            name: name.into(),
            group: None,
            notify: Box::new(|| {}),
            pauses_on_exit: false,
        }
    }

    /// Its handle, for others.
    pub fn isolate(&self) -> &Isolate {
        &self.isolate
    }

    /// How far it has come.
    pub fn phase(&self) -> RootPhase {
        self.phase
    }

    /// Handles the control messages, then one message, and its microtasks.
    pub fn handle_message(&mut self) -> Handled {
        if !self.is_scheduled() {
            return self.at_rest();
        }
        self.forward(RootPhase::Running);
        install_hook();
        let runnable = self.runnable();
        let hosted = Hosted::begin(&self.isolate.0.runtime);
        let again = event_loop::run_slice(runnable, &self.home.meter, 1);
        drop(hosted);
        if again.is_some() {
            return Handled::More;
        }
        self.at_rest()
    }

    /// Runs `f` as the isolate's code, between two events, and then the microtasks. What it
    /// makes there need not be `Send`, with the [`Pinned`] that it gets.
    ///
    /// `None` if the isolate has ended, or `f` panicked; that is an uncaught error of the
    /// isolate then. Control messages that have arrived are handled before `f`: after a
    /// [kill](Isolate::kill), and after the shutdown of its runtime, `f` does not run.
    ///
    /// # Panics
    /// In the isolate's own code.
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
        self.at_rest();
        result
    }

    /// Ends a pause on start or on exit.
    pub fn resume(&self) {
        if let Some(capability) = self.isolate.pause_capability() {
            self.isolate.resume(capability);
        }
    }

    /// Runs the isolate's loop on this thread until nothing is left that could wake it, or it
    /// ends in another way.
    ///
    /// # Blocking
    /// Parks the thread while there is nothing to do.
    ///
    /// # Panics
    /// Inside of another isolate, whose own loop would stand still, so that nothing could end it.
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
                    // With nothing to wait for it ends at once.
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

    /// Ends the isolate here and now, with all of its group. Dropping it does the same.
    pub fn shut_down(mut self) -> ExitReason {
        self.end();
        self.exit_reason().unwrap_or(ExitReason::Killed)
    }

    fn end(&mut self) {
        // A kill that has arrived ends it before the code below.
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

    /// On a runtime that is shut down it has ended before it is made.
    fn forward_if_dead(&mut self) {
        if self.isolate.0.lane.is_dead() {
            self.forward(RootPhase::ShutDown);
        }
    }

    /// Somebody may hold the lane at this moment, so it is asked until it answers.
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
        // SAFETY: this thread is the only one that runs the isolate, and it does nothing else
        // with it meanwhile. That it may be idle is told at the top of the module.
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
