//! The errors of mailboxes and locks.

use std::error::Error;
use std::fmt;

use crate::blocking::WaitError;

/// The error of an operation on a mailbox or a rendezvous.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MailboxError {
    /// The mailbox or the rendezvous was closed.
    Closed,
    /// The other end of the rendezvous is gone, or all other handles of the mailbox are.
    PeerDied,
    /// There is no room for the message.
    Full,
    /// There is no message.
    Empty,
    /// Not possible in this state: a second request while one is under way, a response without a
    /// request, a `receive` beside another one or while a response is owed.
    IllegalState,
    /// The responder declined to respond.
    Unanswered,
    /// The requester does not wait for the response any more.
    Abandoned,
    /// The wait ended without a result, for example since the time-out has passed or since the
    /// wait would never have ended.
    Wait(WaitError),
}

impl From<WaitError> for MailboxError {
    fn from(error: WaitError) -> Self {
        Self::Wait(error)
    }
}

impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the mailbox is closed",
            Self::PeerDied => "the other side of the mailbox is gone",
            Self::Full => "the mailbox is full",
            Self::Empty => "the mailbox is empty",
            Self::IllegalState => "the mailbox is in another state than this needs",
            Self::Unanswered => "the responder declined to respond",
            Self::Abandoned => "nobody waits for the response any more",
            Self::Wait(error) => return error.fmt(f),
        })
    }
}

impl Error for MailboxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Wait(error) => Some(error),
            _ => None,
        }
    }
}

/// The error of a hand-over that failed, with the message.
#[derive(Clone, PartialEq, Eq)]
pub struct Undelivered<T> {
    /// The message, given back.
    pub message: T,
    /// The reason.
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

/// The error of a request without a response.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestError<Q> {
    /// The reason.
    pub error: MailboxError,
    /// The request, given back if the responder did not receive it. If `None`, the request may
    /// have been carried out.
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

/// The error of a lock that was not acquired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockError {
    /// The wait ended without the lock, for example since the time-out has passed or since the
    /// wait would never have ended.
    Wait(WaitError),
    /// The lock or the condition variable was closed.
    Closed,
    /// The holder's isolate or thread ended without releasing the lock. What the lock protects may
    /// be half changed; [`RawMutex::recover`](crate::RawMutex::recover) frees the lock.
    HolderEnded,
}

impl From<WaitError> for LockError {
    fn from(error: WaitError) -> Self {
        Self::Wait(error)
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(error) => error.fmt(f),
            Self::Closed => f.write_str("the lock is closed"),
            Self::HolderEnded => f.write_str("the holder of the lock ended without releasing it"),
        }
    }
}

impl Error for LockError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Wait(error) => Some(error),
            Self::Closed | Self::HolderEnded => None,
        }
    }
}

/// The error of releasing a lock that the current isolate or thread does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotHeld;

impl fmt::Display for NotHeld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lock is not held by this isolate or thread")
    }
}

impl Error for NotHeld {}
