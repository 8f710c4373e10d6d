//! Control messages: pause, resume, kill and ping, which bypass the isolate's queue.
//!
//! # Protocol
//! A control message is posted to the isolate's out-of-band lane and is handled at the next
//! *interrupt check*: between turns, between microtasks, wherever a future of this crate is
//! polled, in a wait, and in [`checkpoint`]. A check handles all messages that have arrived, those
//! of one sender in the order in which they were sent, including those queued behind a kill
//! (rules 11 and 22 of `docs/conformance.md`).
//!
//! A ping or a kill has a [`Priority`]. `Immediate` acts at the check itself. The other two enter
//! the normal queue when the check handles them (rule 12), so they wait while the isolate is
//! paused: `BeforeNextEvent` in front of everything that is queued, in their own order; `AsEvent`
//! at the back. (The VM queues a `BeforeNextEvent` behind an `AsEvent` if only control messages
//! are queued; so does `Compat::Dart`.)
//!
//! An isolate is paused while its set of resume capabilities is not empty. It finishes the current
//! event and its microtasks; from then on it handles only control messages, and all other
//! messages wait in the lane. A paused isolate is in no run queue: its lane is in the state
//! `PAUSED`, and only the out-of-band lane schedules it.
//!
//! # The end
//! An isolate that was killed, or has called `exit`, is *ending*: a flag is set until it has
//! ended. Every check reads the flag, so code that catches the unwinding of one check is unwound
//! by the next. The effect of a check depends on where it runs:
//!
//! | the check runs | effect |
//! |---|---|
//! | in ordinary code | unwinds to the event loop |
//! | in a destructor, while the thread unwinds | returns, because a second unwinding would abort; a wait returns an error |
//! | in the teardown | returns, and a wait returns an error; [`block_on`](crate::block_on) has no error to return and unwinds out of the destructor |
//!
//! If a function that a control message runs while the thread unwinds panics, that is an uncaught
//! error of the isolate; the panic does not leave the check.
//!
//! # Rights
//! A handle has the rights to pause and to terminate if the spawner made it, or if it was made with
//! the isolate's own two capabilities. Without them `pause`, `resume`, `kill` and
//! `set_errors_fatal` do nothing (rule 18); pings and listeners need no right. An isolate that has
//! ended ignores all of them.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use insula_sync::Serial;

use super::Isolate;
use crate::memory::Current;
use crate::memory::IsolateRef;
use crate::memory::lane::Lane;
use crate::port::SendPort;
use crate::port::reply::{self, Ask, Reply, ReplyTo, one_shot};

/// A token that cannot be forged or guessed, only copied. Equality survives sending.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capability {
    serial: u64,
    secret: u64,
}

impl Capability {
    /// Creates a capability that differs from every other.
    #[expect(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        static SERIALS: Serial = Serial::new();
        static SECRETS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let serial = SERIALS.next();
        // A hash with a secret key, which no holder of other capabilities can compute.
        let secret = SECRETS.hash_one(serial);
        Self { serial, secret }
    }
}

impl std::fmt::Debug for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Not derived, since that would print the secret.
        f.debug_tuple("Capability").field(&self.serial).finish()
    }
}

/// The moment at which an isolate answers a ping or carries out a kill.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Priority {
    /// At the next interrupt check, even in the middle of an event or while paused.
    Immediate,
    /// After the current event and its microtasks, before everything that is queued.
    BeforeNextEvent,
    /// After everything that is queued when the isolate handles the control message.
    AsEvent,
}

/// The rights of a handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rights {
    pub(crate) pause: bool,
    pub(crate) terminate: bool,
}

impl Rights {
    pub(crate) const ALL: Self = Self {
        pause: true,
        terminate: true,
    };
}

/// The two capabilities of an isolate, made on first request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capabilities {
    pause: Capability,
    terminate: Capability,
}

/// Messages of the out-of-band lane.
pub(crate) enum Oob {
    Kill(Priority),
    /// Pause, until the same capability arrives in a `Resume`.
    Pause(Capability),
    Resume(Capability),
    /// Answer. Does what a `Call` could do, but needs no box.
    Ping(Priority, ReplyTo<()>),
    /// Call a function in the isolate.
    Call(Priority, Box<dyn FnOnce() + Send>),
}

/// The address for an isolate's control messages: a handle without rights. It is not an open port
/// and keeps nothing alive.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ControlPort(Isolate);

impl Isolate {
    /// Returns a handle made of a control port and the given capabilities. A capability that is not
    /// the isolate's own gives no right.
    pub fn from_control_port(
        port: &ControlPort,
        pause: Option<Capability>,
        terminate: Option<Capability>,
    ) -> Self {
        let own = port.0.capabilities();
        let rights = Rights {
            pause: pause == Some(own.pause),
            terminate: terminate == Some(own.terminate),
        };
        Self(port.0.0.clone(), rights)
    }

    /// Returns the isolate's control port.
    pub fn control_port(&self) -> ControlPort {
        let none = Rights {
            pause: false,
            terminate: false,
        };
        ControlPort(Self(self.0.clone(), none))
    }

    /// Returns the capability to pause and resume, if this handle has that right.
    pub fn pause_capability(&self) -> Option<Capability> {
        self.1.pause.then(|| self.capabilities().pause)
    }

    /// Returns the capability to kill and to set which errors are fatal, if this handle has that
    /// right.
    pub fn terminate_capability(&self) -> Option<Capability> {
        self.1.terminate.then(|| self.capabilities().terminate)
    }

    fn capabilities(&self) -> Capabilities {
        // Made before the lane is locked, though mostly in vain, so that the hold stays short.
        let new = Capabilities {
            pause: Capability::new(),
            terminate: Capability::new(),
        };
        let mut lane = self.0.lane.lock();
        self.0.with_details(&mut lane, |details| {
            *details.capabilities.get_or_insert(new)
        })
    }

    /// Pauses the isolate after its current event, until the returned capability is passed to
    /// [`resume`](Self::resume). Messages and timers wait meanwhile; the timers' time goes on.
    ///
    /// Several pauses nest: each needs its own resume.
    pub fn pause(&self) -> Capability {
        let capability = Capability::new();
        self.pause_with(capability);
        capability
    }

    /// Like [`pause`](Self::pause), with a capability of the caller's. Pausing twice with the same
    /// capability counts once.
    pub fn pause_with(&self, capability: Capability) {
        if self.1.pause {
            self.0.post_oob(Oob::Pause(capability));
        }
    }

    /// Ends the pause that was made with `capability`. If there is none when the isolate handles
    /// this, the call has no effect, not even on a later pause.
    pub fn resume(&self, capability: Capability) {
        if self.1.pause {
            self.0.post_oob(Oob::Resume(capability));
        }
    }

    /// Ends the isolate at its next interrupt check: between two turns or microtasks, in a wait, or
    /// in a [`checkpoint`]. Nothing that is queued runs any more; its values are dropped. A kill
    /// stays in force until the isolate has ended: code that catches the unwinding is unwound again
    /// at its next check. Code that never reaches a check cannot be stopped, because a thread
    /// cannot be killed: [`Runtime::stuck`](crate::Runtime::stuck) names it, and other isolates go
    /// on.
    ///
    /// Has no effect on an isolate that has ended.
    pub fn kill(&self) {
        self.kill_at(Priority::Immediate);
    }

    /// Like [`kill`](Self::kill), with a priority.
    pub fn kill_at(&self, priority: Priority) {
        if self.1.terminate {
            self.0.post_oob(Oob::Kill(priority));
        }
    }

    /// Pings the isolate: the returned future is ready when the isolate has answered.
    ///
    /// # Errors
    /// [`AskError::NoReply`](crate::AskError::NoReply), when awaited, if the isolate has ended or
    /// ends before it answers.
    pub fn ping(&self, priority: Priority) -> Ask<()> {
        let post = |ping| {
            self.0.post_oob(ping);
            Ok(())
        };
        reply::ask_by(|answer| Oob::Ping(priority, answer), self.0.id, post)
    }

    /// Like [`ping`](Self::ping), but the isolate answers by sending `response` to `port`. An
    /// isolate that has ended does not answer.
    pub fn ping_port<T: Send + 'static>(
        &self,
        port: &SendPort<T>,
        response: T,
        priority: Priority,
    ) {
        let port = port.clone();
        // If the port is closed, there is no caller left to report it to.
        self.call(priority, move || drop(port.send(response)));
    }

    /// Runs `function` in the isolate, on its current thread, and returns the result: between two
    /// of its turns, or, with `Immediate`, at an interrupt check in the middle of one. A panic of
    /// `function` is an uncaught error of the isolate.
    ///
    /// Needs the right to terminate. Without it, or if the isolate has ended, there is no reply.
    pub fn run_at<R: Send + 'static>(
        &self,
        priority: Priority,
        function: impl FnOnce() -> R + Send + 'static,
    ) -> Reply<R> {
        let (answer, reply) = one_shot();
        if self.1.terminate {
            self.call(priority, move || answer.send(function()));
        }
        reply
    }

    pub(crate) fn call(&self, priority: Priority, function: impl FnOnce() + Send + 'static) {
        self.0.post_oob(Oob::Call(priority, Box::new(function)));
    }

    pub(crate) fn with_all_rights(core: IsolateRef) -> Self {
        Self(core, Rights::ALL)
    }
}

/// Makes an interrupt check: handles the control messages that have arrived. For computations
/// that run for a long time without returning to the event loop.
///
/// If the isolate is ending, the call does not return: it unwinds the stack, which runs
/// destructors. (A `catch_unwind` around it delays the end until the next check.) In a destructor
/// that runs because the stack unwinds already, or because the isolate has ended, it returns.
/// Outside of isolates it does nothing.
#[inline]
pub fn checkpoint() {
    if check_if(Lane::peek_oob).is_err() && may_unwind() {
        crate::panic::unwind_to_loop();
    }
}

/// An error which says that the current isolate is ending: it was killed, its runtime shuts down,
/// or it has called [`Isolate::exit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending;

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the isolate is ending")
    }
}

impl std::error::Error for Ending {}

/// Like [`checkpoint`], but never unwinds. For code that cannot be unwound, or that returns by
/// itself. A control message may still run a function that panics.
///
/// # Errors
/// [`Ending`] if the isolate is ending, also in destructors that its teardown runs. The caller
/// should return to the event loop.
pub fn try_checkpoint() -> Result<(), Ending> {
    check_if(Lane::peek_oob)
}

/// Makes the interrupt check of a wait, before it sleeps until the next control message. Unlike
/// [`checkpoint`] it misses no message that came before. Unwinds if the isolate is ending.
///
/// # Errors
/// If the isolate is ending, and unwinding is impossible here.
pub(crate) fn check_wait() -> Result<(), Ending> {
    check_if(Lane::has_oob).inspect_err(|_| {
        if may_unwind() {
            crate::panic::unwind_to_loop();
        }
    })
}

/// Like [`check_wait`], for a wait that has no error to return. While the thread unwinds, the wait
/// goes on; in a teardown it unwinds out of the destructor that waits.
pub(crate) fn check_wait_without_error() {
    if check_if(Lane::has_oob).is_err() && !std::thread::panicking() {
        crate::panic::unwind_to_loop();
    }
}

/// Handles the control messages if the isolate is ending or `is_interrupted` returns `true`.
/// Returns an error if the isolate is ending.
#[inline]
fn check_if(is_interrupted: impl Fn(&Lane) -> bool) -> Result<(), Ending> {
    Current::with_or_left(|isolate| match isolate {
        Some(isolate) if isolate.is_ending() || is_interrupted(&isolate.lane) => {
            crate::event_loop::check(isolate)
        }
        _ => Ok(()),
    })
}

/// Returns whether a check may unwind. Not in a destructor: while the stack unwinds that could
/// abort the process, and in a teardown it would end the teardown's next step.
fn may_unwind() -> bool {
    let is_dying = Current::with_or_left(|isolate| isolate.is_some_and(|it| it.is_dying()));
    !is_dying && !std::thread::panicking()
}
