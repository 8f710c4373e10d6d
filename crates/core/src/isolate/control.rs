//! Control: what one isolate may do to another, past its queue.
//!
//! # Protocol
//! A control message goes to the isolate's out-of-band lane, and is handled at the next
//! *interrupt check*: between turns, between microtasks, wherever a future of this crate is
//! polled, in a wait, and in [`checkpoint`]. Those of one sender are handled in the order in which they
//! were sent, all that have arrived at once, also behind a kill among them (rules 11 and 22).
//!
//! A ping or a kill has a [`Priority`]. `Immediate` acts at the check itself. The other two
//! take their place in the normal queue when the check sees them (rule 12), and so wait while
//! the isolate is paused: `BeforeNextEvent` before everything that is queued, in their order;
//! `AsEvent` behind it. (The VM puts a `BeforeNextEvent` behind an `AsEvent` if nothing but
//! control messages is queued; `Compat::Dart` does as well.)
//!
//! An isolate is paused as long as its set of resume capabilities is not empty. It finishes
//! the event that it handles, microtasks included; from then on only control messages are
//! handled, and all others wait in the lane. A paused isolate is in no run queue: its lane
//! says `PAUSED`, and only the out-of-band lane schedules it.
//!
//! # The end
//! An isolate that is killed, or has called `exit`, *is to end*: a flag says so from then on until
//! it has ended. Every check looks at the flag, so code that catches the unwinding of one check
//! is unwound by the next. What a check does depends on where it is:
//!
//! | the check is | it |
//! |---|---|
//! | in ordinary code | unwinds to the event loop |
//! | in a destructor, while the thread unwinds | returns: a second unwinding would abort. A wait returns an error |
//! | in the teardown | returns, and a wait returns an error; [`block_on`](crate::block_on), which has none, unwinds out of the destructor |
//!
//! A function that a control message runs while the thread unwinds may panic: that is an uncaught
//! error of the isolate, and does not leave the check.
//!
//! # Rights
//! A handle has the right to pause, and the right to terminate, if it was made by the spawner
//! or with the isolate's own two capabilities. Without it `pause`, `resume`, `kill` and
//! `set_errors_fatal` do nothing (rule 18); pings and listeners need none. After its end an
//! isolate ignores all of them.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use insula_sync::Serial;

use super::Isolate;
use crate::memory::Current;
use crate::memory::IsolateRef;
use crate::memory::lane::Lane;
use crate::port::SendPort;
use crate::port::reply::{self, Ask, Reply, ReplyTo, one_shot};

/// A token that nobody can make anew or guess: whoever has it got it from somebody. Equality
/// survives sending.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Capability {
    serial: u64,
    secret: u64,
}

impl Capability {
    /// A capability that is equal to no other one.
    #[expect(clippy::new_without_default, reason = "each one is another")]
    pub fn new() -> Self {
        static SERIALS: Serial = Serial::new();
        static SECRETS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        let serial = SERIALS.next();
        let secret = SECRETS.hash_one(serial);
        Self { serial, secret }
    }
}

impl std::fmt::Debug for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The secret stays one.
        f.debug_tuple("Capability").field(&self.serial).finish()
    }
}

/// When a ping is answered, or a kill done.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Priority {
    /// At the next interrupt check, also in the middle of an event, and also while paused.
    Immediate,
    /// When the current event and its microtasks are done, before all that is queued.
    BeforeNextEvent,
    /// Behind everything that is queued when the isolate sees it.
    AsEvent,
}

/// What a handle may do.
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

/// The two capabilities of an isolate, made when somebody asks for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Capabilities {
    pause: Capability,
    terminate: Capability,
}

/// Messages of the out-of-band lane.
pub(crate) enum Oob {
    Kill(Priority),
    /// Until the capability comes back.
    Pause(Capability),
    Resume(Capability),
    /// Answer: as `Call`, without a box.
    Ping(Priority, ReplyTo<()>),
    /// Call a function in the isolate.
    Call(Priority, Box<dyn FnOnce() + Send>),
}

/// Where an isolate takes control messages: a handle without any right. It is no open port and
/// keeps nothing alive.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct ControlPort(Isolate);

impl Isolate {
    /// A handle made of a control port and what capabilities there are. One that is not the
    /// isolate's gives no right.
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

    /// Where the isolate takes control messages.
    pub fn control_port(&self) -> ControlPort {
        let none = Rights {
            pause: false,
            terminate: false,
        };
        ControlPort(Self(self.0.clone(), none))
    }

    /// The right to pause and resume, if this handle has it.
    pub fn pause_capability(&self) -> Option<Capability> {
        self.1.pause.then(|| self.capabilities().pause)
    }

    /// The right to kill and to say which errors are fatal, if this handle has it.
    pub fn terminate_capability(&self) -> Option<Capability> {
        self.1.terminate.then(|| self.capabilities().terminate)
    }

    fn capabilities(&self) -> Capabilities {
        let new = Capabilities {
            pause: Capability::new(),
            terminate: Capability::new(),
        };
        let mut lane = self.0.lane.lock();
        self.0.with_details(&mut lane, |details| {
            *details.capabilities.get_or_insert(new)
        })
    }

    /// Pauses the isolate after its current event, until the returned capability is given to
    /// [`resume`](Self::resume). Messages and timers wait; timers' time goes on.
    ///
    /// Several pauses nest: each needs its own resume.
    pub fn pause(&self) -> Capability {
        let capability = Capability::new();
        self.pause_with(capability);
        capability
    }

    /// As [`pause`](Self::pause), with a capability of the caller's. Pausing twice with the
    /// same one is pausing once.
    pub fn pause_with(&self, capability: Capability) {
        if self.1.pause {
            self.0.post_oob(Oob::Pause(capability));
        }
    }

    /// Takes one pause back. A capability that pauses nothing at that moment does nothing, and
    /// is not remembered.
    pub fn resume(&self, capability: Capability) {
        if self.1.pause {
            self.0.post_oob(Oob::Resume(capability));
        }
    }

    /// Ends the isolate at its next interrupt check: between two turns, or two microtasks, or
    /// in a wait or a [`checkpoint`]. Nothing that is queued runs any more; its values are
    /// dropped. A kill stays in force until the isolate has ended: code that catches the
    /// unwinding is unwound again at its next check. Code that never comes to a check cannot be stopped, because a thread cannot be killed:
    /// [`Runtime::stuck`](crate::Runtime::stuck) names it, and other isolates go on.
    ///
    /// Does nothing to an isolate that has ended.
    pub fn kill(&self) {
        self.kill_at(Priority::Immediate);
    }

    /// As [`kill`](Self::kill), with a priority.
    pub fn kill_at(&self, priority: Priority) {
        if self.1.terminate {
            self.0.post_oob(Oob::Kill(priority));
        }
    }

    /// Asks for a sign of life.
    ///
    /// # Errors
    /// [`AskError::NoReply`](crate::AskError::NoReply), when awaited, if the isolate ends before
    /// it comes to it, or has ended.
    pub fn ping(&self, priority: Priority) -> Ask<()> {
        let post = |ping| {
            self.0.post_oob(ping);
            Ok(())
        };
        reply::ask_by(|answer| Oob::Ping(priority, answer), post)
    }

    /// As [`ping`](Self::ping), answered with `response` to `port`; not at all by an isolate
    /// that has ended.
    pub fn ping_port<T: Send + 'static>(
        &self,
        port: &SendPort<T>,
        response: T,
        priority: Priority,
    ) {
        let port = port.clone();
        // Nobody is there to learn that the port was closed.
        self.call(priority, move || drop(port.send(response)));
    }

    /// Runs `function` in the isolate, on the thread that it has then, and gives the result
    /// back: between two of its turns, or with `Immediate` at an interrupt check in the middle
    /// of one. If it panics, that is an uncaught error of the isolate.
    ///
    /// Needs the right to terminate; without it, and from an isolate that has ended, there is
    /// no reply.
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

/// An interrupt check: handles the control messages that have arrived. For computations that
/// do not come back to the event loop for long.
///
/// If the isolate is to end, the stack is unwound from here, destructors run, and the call
/// does not return. (`catch_unwind` around it delays the end until the next check.) In a
/// destructor that runs because the stack unwinds already, or because the isolate has ended, it
/// returns. Outside of isolates it does nothing.
#[inline]
pub fn checkpoint() {
    if check_if(Lane::peek_oob).is_err() && may_unwind() {
        crate::panic::unwind_to_loop();
    }
}

/// The current isolate is to end: it was killed, its runtime shuts down, or it has called
/// [`Isolate::exit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ending;

impl std::fmt::Display for Ending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the isolate is to end")
    }
}

impl std::error::Error for Ending {}

/// As [`checkpoint`], for code that cannot be unwound, or wants to return by itself: never
/// unwinds. A control message may still run a function that panics.
///
/// # Errors
/// [`Ending`] from when the isolate is to end until it has ended, destructors in its teardown
/// included. The code should return to the event loop.
pub fn try_checkpoint() -> Result<(), Ending> {
    check_if(Lane::peek_oob)
}

/// The check of a wait, before it sleeps until the next control message: misses none that came
/// before. Unwinds if the isolate is to end.
///
/// # Errors
/// If the isolate is to end, and unwinding is impossible here.
pub(crate) fn check_wait() -> Result<(), Ending> {
    check_if(Lane::has_oob).inspect_err(|_| {
        if may_unwind() {
            crate::panic::unwind_to_loop();
        }
    })
}

/// As [`check_wait`], for a wait without an error to return. Where the thread unwinds already,
/// the wait goes on; in a teardown it unwinds out of the destructor that waits.
pub(crate) fn check_wait_without_error() {
    if check_if(Lane::has_oob).is_err() && !std::thread::panicking() {
        crate::panic::unwind_to_loop();
    }
}

/// Handles what `is_interrupted` sees. An error says that the isolate is to end.
#[inline]
fn check_if(is_interrupted: impl Fn(&Lane) -> bool) -> Result<(), Ending> {
    Current::with_or_left(|isolate| match isolate {
        Some(isolate) if isolate.is_ending() || is_interrupted(&isolate.lane) => {
            crate::event_loop::check(isolate)
        }
        _ => Ok(()),
    })
}

/// Whether a check may leave the code by unwinding: not from a destructor, where that could
/// abort the process, or would end the teardown's next step.
fn may_unwind() -> bool {
    let is_dying = Current::with_or_left(|isolate| isolate.is_some_and(|it| it.is_dying()));
    !is_dying && !std::thread::panicking()
}
