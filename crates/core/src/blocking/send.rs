//! Blocking sends.

use std::fmt;

use super::{WaitError, block_on_by};
use crate::port::{SendError, SendPort};

/// The error of a blocking send, with the message that was not delivered.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendBlockingError<T> {
    /// The port has been closed, or its isolate is dead.
    Closed(T),
    /// The port is full, and the wait for room was refused or has failed.
    Wait(T, WaitError),
}

impl<T> SendBlockingError<T> {
    /// Returns the message.
    pub fn into_inner(self) -> T {
        match self {
            Self::Closed(message) | Self::Wait(message, _) => message,
        }
    }
}

impl<T> fmt::Debug for SendBlockingError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("Closed(..)"),
            Self::Wait(_, why) => write!(f, "Wait(.., {why:?})"),
        }
    }
}

impl<T> fmt::Display for SendBlockingError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(_) => f.write_str("the port is closed"),
            Self::Wait(_, why) => write!(f, "the port is full: {why}"),
        }
    }
}

impl<T> std::error::Error for SendBlockingError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Closed(_) => None,
            Self::Wait(_, why) => Some(why),
        }
    }
}

impl<T: Send + 'static> SendPort<T> {
    /// Sends like [`send_wait`](Self::send_wait) and blocks while the port is full, for code that
    /// cannot await.
    ///
    /// # Blocking
    /// Parks the thread while the port is full. An isolate gives up its place in the pool for the
    /// wait; its own ports are not served meanwhile.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait, and drops the message.
    ///
    /// # Errors
    /// Gives the message back if the port is or becomes closed, if the isolate of the port waits
    /// for this one in another blocking wait of this crate, directly or through others, or for
    /// another reason that a [`WaitError`] names.
    pub fn send_blocking(&self, message: T) -> Result<(), SendBlockingError<T>> {
        let message = match self.send(message) {
            Ok(()) => return Ok(()),
            Err(SendError::Closed(message)) => return Err(SendBlockingError::Closed(message)),
            Err(SendError::Full(message)) => message,
        };
        let mut sending = self.send_wait(message);
        match block_on_by(&mut sending, self.isolate_id(), None) {
            Ok(sent) => sent.map_err(|error| SendBlockingError::Closed(error.into_inner())),
            Err(why) => {
                let Some(message) = sending.take() else {
                    unreachable!("it is there until the future is ready");
                };
                Err(SendBlockingError::Wait(message, why))
            }
        }
    }
}
