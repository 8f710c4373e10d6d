//! Control: what one isolate may do to another, past its queue.
//!
//! # Protocol
//! A control message goes to the isolate's out-of-band lane, and is handled at the next
//! *interrupt check*: between turns, between microtasks, wherever a future of this crate is
//! polled, and in [`checkpoint`]. Those of one sender are handled in the order in which they
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
//! # Rights
//! A handle has the right to pause, and the right to terminate, if it was made by the spawner
//! or with the isolate's own two capabilities. Without it `pause`, `resume`, `kill` and
//! `set_errors_fatal` do nothing (rule 18); pings and listeners need none. After its end an
//! isolate ignores all of them.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use insula_sync::Serial;

use super::{Isolate, IsolateRef};
use crate::isolate::Current;
use crate::lane::Lane;
use crate::port::SendPort;
use crate::reply::{self, Ask, Reply, ReplyTo, one_shot};

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
    /// in [`checkpoint`]. Nothing that is queued runs any more; its values are dropped. Code
    /// that never comes to a check cannot be stopped, because a thread cannot be killed:
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
/// does not return. (`catch_unwind` around it delays the end until the next check.) Outside
/// of isolates it does nothing.
#[inline]
pub fn checkpoint() {
    check_if(Lane::peek_oob);
}

/// As [`checkpoint`], for who sleeps afterwards until the next control message: misses none that
/// came before.
pub(crate) fn checkpoint_before_sleep() {
    check_if(Lane::has_oob);
}

#[inline]
fn check_if(is_interrupted: impl Fn(&Lane) -> bool) {
    Current::with(|isolate| {
        if let Some(isolate) = isolate
            && is_interrupted(&isolate.lane)
        {
            crate::event_loop::check(isolate);
        }
    });
}
