//! Callbacks, with which code outside of an isolate, on any thread, calls into it.
//!
//! | kind | runs | the caller | refuses |
//! |---|---|---|---|
//! | [`ListenerCallback`] | in the isolate, as an event of its own | continues at once | no caller |
//! | [`BlockingCallback`] | in the isolate, as an event of its own | waits for the answer | the isolate itself: that would be a deadlock |
//! | [`IsolateLocalCallback`] | in the isolate, inside the caller's turn | gets the result | every caller but the isolate |
//! | [`GroupBoundCallback`] | outside of isolates, on the caller's thread | gets the result | no caller |
//!
//! # The protocol
//! Each callback has a *line* to the isolate that made it (`line.rs`): a port whose messages are
//! calls, and a mark that is set when the callback is closed. A call checks the mark and posts to
//! the port, so it is one of the isolate's events: first in, first out with messages and zero
//! timers, with its own microtasks (rule 37 of `docs/conformance.md`). A panic in it is an error
//! of the isolate.
//!
//! A blocking call carries the right to answer, and its thread waits at a cell of its own
//! (`wait.rs`), which is part of the process-wide graph of waits (`blocking.rs`). Every call ends:
//! the right is used, or it is dropped, which reports why there is no answer: the callback was
//! closed, the isolate ended, or the handler did not answer.
//!
//! # Close
//! Any handle can close its callback, on any thread, in two steps: it sets the mark, and then posts
//! a last message, at which the isolate closes the port. So
//! - a call that begins after `close` has returned is refused and gets its argument back;
//! - a call whose turn has not begun is dropped in its turn, and its caller, if it waits, is told
//!   so, at the latest when the last message is handled;
//! - a call whose turn has begun runs to its end and is answered. `close` does not wait for it,
//!   so the callback may close itself.
//!
//! The end of the isolate closes its callbacks too. Dropping the last handle only posts the last
//! message, so earlier calls still run.
//!
//! # Keeping the isolate alive
//! An open callback with a handle keeps its isolate alive, whatever its kind, unless the isolate
//! has called `let_isolate_end` on it.

/// Defines what all kinds of callback have in common, once: `$line` is the field with the line.
macro_rules! impl_line {
    ($line:tt) => {
        /// Returns whether the callback is closed, so that calls are refused.
        pub fn is_closed(&self) -> bool {
            self.$line.is_closed()
        }

        /// Makes the open callback keep its isolate alive, as it does from the start.
        ///
        /// # Errors
        /// If the current isolate did not make the callback.
        pub fn keep_isolate_alive(&self) -> Result<(), $crate::NotOnIsolateThread> {
            self.$line
                .with_listener($crate::Listener::keep_isolate_alive)
        }

        /// Lets the isolate end although the callback is open.
        ///
        /// # Errors
        /// If the current isolate did not make the callback.
        pub fn let_isolate_end(&self) -> Result<(), $crate::NotOnIsolateThread> {
            self.$line.with_listener($crate::Listener::let_isolate_end)
        }

        /// Returns the ID of the callback's port, as
        /// [`Isolate::why_alive`](crate::Isolate::why_alive) reports it.
        pub fn id(&self) -> $crate::PortId {
            self.$line.id()
        }
    };
}

mod blocking;
mod group_bound;
mod line;
mod listener;
mod local;
mod wait;

use std::fmt;

use crate::blocking::WaitError;
use crate::panic::PanicReport;

pub use blocking::{BlockingCallback, CallbackReply};
pub use group_bound::{GroupBoundCallback, GroupShared};
pub use listener::ListenerCallback;
pub use local::IsolateLocalCallback;
#[cfg(all(test, loom))]
pub(crate) use wait::Wait;

/// An error for a call without a result.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallbackError<T> {
    /// The callback is closed, or its isolate has ended; the call did not run. Contains the
    /// argument, unless the call had been posted already.
    Closed(Option<T>),
    /// The isolate ended before it answered: by a kill, by `exit`, or by a fatal error.
    PeerDied,
    /// The right to answer was dropped, by the handler or by an error that its isolate survived.
    NoReply,
    /// The wait ended without an answer, for example since the time-out has passed, or since the
    /// called isolate waits for the calling one. If the turn of the call has begun, it runs to its
    /// end and its answer is dropped; otherwise it never begins. A call that is refused with
    /// [`WaitError::Seeded`] was not posted.
    Wait(WaitError),
    /// The calling thread does not run the callback's isolate at the moment. Contains the
    /// argument.
    NotOnIsolateThread(T),
    /// The callback panicked on the calling thread.
    Panicked(PanicReport),
}

impl<T> fmt::Display for CallbackError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("the callback is closed"),
            Self::PeerDied => f.write_str("the callback's isolate ended before it answered"),
            Self::NoReply => f.write_str("the call was dropped without an answer"),
            Self::Wait(WaitError::TimedOut) => f.write_str("the callback did not answer in time"),
            Self::Wait(error) => error.fmt(f),
            Self::NotOnIsolateThread(_) => NotOnIsolateThread.fmt(f),
            Self::Panicked(report) => write!(f, "the callback panicked at {report}"),
        }
    }
}

impl<T> fmt::Debug for CallbackError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(Some(_)) => f.write_str("Closed(Some(..))"),
            Self::Closed(None) => f.write_str("Closed(None)"),
            Self::PeerDied => f.write_str("PeerDied"),
            Self::NoReply => f.write_str("NoReply"),
            Self::Wait(error) => f.debug_tuple("Wait").field(error).finish(),
            Self::NotOnIsolateThread(_) => f.write_str("NotOnIsolateThread(..)"),
            Self::Panicked(report) => f.debug_tuple("Panicked").field(report).finish(),
        }
    }
}

impl<T> std::error::Error for CallbackError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wait(error) => Some(error),
            _ => None,
        }
    }
}

/// An error for an operation that is only allowed in a turn of the isolate itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotOnIsolateThread;

impl fmt::Display for NotOnIsolateThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only the isolate that made the callback may do this, in a turn of its own")
    }
}

impl std::error::Error for NotOnIsolateThread {}
