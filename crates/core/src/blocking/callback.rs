//! Callbacks: the way into an isolate for code that stands outside of it, on any thread.
//!
//! | kind | runs | the caller | refuses |
//! |---|---|---|---|
//! | [`ListenerCallback`] | in the isolate, as an event of its own | goes on at once | nobody |
//! | [`BlockingCallback`] | in the isolate, as an event of its own | waits for the answer | the isolate itself: that would be a deadlock |
//! | [`IsolateLocalCallback`] | in the isolate, inside the caller's turn | has the result | everybody but the isolate |
//! | [`GroupBoundCallback`] | outside of isolates, on the caller's thread | has the result | nobody |
//!
//! # The protocol
//! Each callback has a *line* to the isolate that made it (`line.rs`): a port whose messages are
//! calls, and a mark that says whether the callback is closed. A call looks at the mark and posts
//! to the port, so it is an event among the isolate's others: first in, first out with messages
//! and zero timers, with its own microtasks (rule 37). A panic in it is an error of the isolate.
//!
//! A blocking call carries the right to answer, and its thread waits at a cell of its own
//! (`wait.rs`), as a part of the process-wide graph of waits (`blocking.rs`). Every call ends: the right is used, or dropped, and then says why: the callback
//! was closed, the isolate ended, or nobody answered.
//!
//! # Close
//! Any handle closes a callback, on any thread, in two steps: the mark is set, and then a last
//! message is posted, with which the isolate closes the port. So
//! - a call that begins after `close` has returned is refused and gets its argument back;
//! - a call whose turn had not begun is dropped in its turn, and if somebody waits for it he is
//!   told so, not later than the last message would have been handled;
//! - a call whose turn had begun runs to its end, and is answered. `close` does not wait for it,
//!   and so may be called inside of the callback itself.
//!
//! The end of the isolate closes its callbacks too. When the last handle is dropped, only the
//! last message is posted: what was called before still runs.
//!
//! # Keeping the isolate alive
//! An open callback with a handle keeps its isolate alive, whatever its kind, unless
//! `keep_isolate_alive(false)` was said in the isolate.

mod blocking;
mod group_bound;
mod line;
mod listener;
mod local;
mod wait;

use std::fmt;

use crate::blocking::{Deadlock, WaitError};
use crate::panic::PanicReport;

pub use blocking::{BlockingCallback, CallbackReply};
pub use group_bound::{GroupBoundCallback, GroupShared};
pub use listener::ListenerCallback;
pub use local::IsolateLocalCallback;
#[cfg(all(test, loom))]
pub(crate) use wait::Wait;

/// Why a call has no result.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CallbackError<T> {
    /// The callback is closed, or its isolate had ended: nothing was called. If the call had not
    /// been handed over yet, this is its argument.
    Closed(Option<T>),
    /// The isolate ended before it had answered: killed, or by an error that is fatal to it.
    PeerDied,
    /// The right to answer was dropped, by the callback or by an error that its isolate survived.
    NoReply,
    /// The time was up. If the turn of the call had begun it runs to its end, and its answer is
    /// dropped; otherwise it does not begin any more.
    TimedOut,
    /// Waiting would never end, because the called isolate waits for this one. Nothing was
    /// called.
    Deadlock(Deadlock),
    /// On a seeded runtime nobody else runs while one waits. Nothing was called.
    Seeded,
    /// As [`WaitError::Ending`]. Its turn does not begin any more; if it had begun it runs to its
    /// end, and its answer is dropped.
    Ending,
    /// As [`WaitError::NoThreads`], and as with `Ending`.
    NoThreads,
    /// This is not the thread that runs the isolate at the moment. The argument comes back.
    NotOnIsolateThread(T),
    /// The callback panicked, on this thread.
    Panicked(PanicReport),
}

impl<T> fmt::Display for CallbackError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("the callback is closed"),
            Self::PeerDied => f.write_str("the callback's isolate ended before it answered"),
            Self::NoReply => f.write_str("the call was dropped without an answer"),
            Self::TimedOut => f.write_str("the callback did not answer in time"),
            Self::Deadlock(deadlock) => deadlock.fmt(f),
            Self::Seeded => WaitError::Seeded.fmt(f),
            Self::Ending => WaitError::Ending.fmt(f),
            Self::NoThreads => WaitError::NoThreads.fmt(f),
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
            Self::TimedOut => f.write_str("TimedOut"),
            Self::Deadlock(deadlock) => f.debug_tuple("Deadlock").field(deadlock).finish(),
            Self::Seeded => f.write_str("Seeded"),
            Self::Ending => f.write_str("Ending"),
            Self::NoThreads => f.write_str("NoThreads"),
            Self::NotOnIsolateThread(_) => f.write_str("NotOnIsolateThread(..)"),
            Self::Panicked(report) => f.debug_tuple("Panicked").field(report).finish(),
        }
    }
}

impl<T> std::error::Error for CallbackError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Deadlock(deadlock) => Some(deadlock),
            _ => None,
        }
    }
}

/// Only the isolate itself, in one of its turns, may do this.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotOnIsolateThread;

impl fmt::Display for NotOnIsolateThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("only the isolate that made the callback may do this, in a turn of its own")
    }
}

impl std::error::Error for NotOnIsolateThread {}
