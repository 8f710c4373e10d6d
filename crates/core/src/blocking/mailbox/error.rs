//! Why a mailbox did not do what was asked.

use std::error::Error;
use std::fmt;

use crate::blocking::{Deadlock, WaitError};

/// Why there is no message, or no response.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailboxError {
    /// It was closed.
    Closed,
    /// The other end is gone, and nobody is left to wait for.
    PeerDied,
    /// The time was over first.
    TimedOut,
    /// There is no room for the message.
    Full,
    /// There is no message.
    Empty,
    /// Not in this state: a second request beside one that is under way, a response without a
    /// request, a `receive` beside another or with a response owed.
    IllegalState,
    /// The responder declined to respond.
    Unanswered,
    /// Whoever made the request does not wait for the response any more.
    Abandoned,
    /// The wait would never have ended.
    Deadlock(Deadlock),
    /// On a seeded runtime nobody else runs while one waits.
    Seeded,
    /// As [`WaitError::Ending`].
    Ending,
    /// As [`WaitError::NoThreads`].
    NoThreads,
}

impl From<WaitError> for MailboxError {
    fn from(error: WaitError) -> Self {
        match error {
            WaitError::TimedOut => Self::TimedOut,
            WaitError::Deadlock(deadlock) => Self::Deadlock(deadlock),
            WaitError::Seeded => Self::Seeded,
            WaitError::Ending => Self::Ending,
            WaitError::NoThreads => Self::NoThreads,
        }
    }
}

impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the mailbox is closed",
            Self::PeerDied => "the other side of the mailbox is gone",
            Self::TimedOut => return WaitError::TimedOut.fmt(f),
            Self::Full => "the mailbox is full",
            Self::Empty => "the mailbox is empty",
            Self::IllegalState => "the mailbox is in another state than this needs",
            Self::Unanswered => "the responder declined to respond",
            Self::Abandoned => "nobody waits for the response any more",
            Self::Deadlock(deadlock) => return deadlock.fmt(f),
            Self::Seeded => return WaitError::Seeded.fmt(f),
            Self::Ending => return WaitError::Ending.fmt(f),
            Self::NoThreads => return WaitError::NoThreads.fmt(f),
        })
    }
}

impl Error for MailboxError {}

/// A message that was not handed over, given back.
#[derive(Clone, PartialEq, Eq)]
pub struct Undelivered<T> {
    /// The message.
    pub message: T,
    /// Why.
    pub error: MailboxError,
}

impl<T> fmt::Debug for Undelivered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Undelivered")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for Undelivered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> Error for Undelivered<T> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// A request without a response.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestError<Q> {
    /// Why.
    pub error: MailboxError,
    /// The request, if the responder had not received it. `None` says that it may have been
    /// carried out.
    pub request: Option<Q>,
}

impl<Q> fmt::Debug for RequestError<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestError")
            .field("error", &self.error)
            .field("is_returned", &self.request.is_some())
            .finish_non_exhaustive()
    }
}

impl<Q> fmt::Display for RequestError<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<Q> Error for RequestError<Q> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Why a lock was not acquired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockError {
    /// The wait ended without the lock: its time is over, or it would never have ended.
    NotWaited(WaitError),
    /// The lock or the condition variable was closed.
    Closed,
    /// The holder's isolate, or thread, ended without releasing the lock. What the lock protects
    /// may be half changed; [`RawMutex::recover`](crate::RawMutex::recover) makes the lock free.
    OwnerEnded,
}

impl From<WaitError> for LockError {
    fn from(error: WaitError) -> Self {
        Self::NotWaited(error)
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotWaited(error) => error.fmt(f),
            Self::Closed => f.write_str("the lock is closed"),
            Self::OwnerEnded => f.write_str("the holder of the lock ended without releasing it"),
        }
    }
}

impl Error for LockError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotWaited(error) => Some(error),
            Self::Closed | Self::OwnerEnded => None,
        }
    }
}

/// Somebody unlocked what he had not locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHeld;

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is not held by this isolate or thread")
    }
}

impl Error for NotHeld {}
