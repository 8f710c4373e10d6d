//! Blocking questions.

use std::fmt;
use std::time::Duration;

use super::{Deadlock, WaitError, block_on_by};
use crate::memory::Current;
use crate::port::SendPort;
use crate::port::reply::{AskError, ReplyTo};

/// The error of a blocking question without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskBlockingError {
    /// The question was not delivered, or dropped without an answer.
    Ask(AskError),
    /// The time-out passed first. The question is not taken back.
    TimedOut,
    /// The isolate that was asked waits for this one, directly or through others. The question is
    /// not taken back.
    Deadlock(Deadlock),
    /// The wait was on a seeded runtime, where nothing else runs meanwhile. The question is not
    /// taken back.
    Seeded,
    /// See [`WaitError::Ending`]. The question is not taken back.
    Ending,
    /// See [`WaitError::NoThreads`]. The question is not taken back.
    NoThreads,
}

impl From<WaitError> for AskBlockingError {
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

impl fmt::Display for AskBlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(error) => error.fmt(f),
            Self::TimedOut => WaitError::TimedOut.fmt(f),
            Self::Deadlock(deadlock) => deadlock.fmt(f),
            Self::Seeded => WaitError::Seeded.fmt(f),
            Self::Ending => WaitError::Ending.fmt(f),
            Self::NoThreads => WaitError::NoThreads.fmt(f),
        }
    }
}

impl std::error::Error for AskBlockingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ask(error) => Some(error),
            Self::Deadlock(deadlock) => Some(deadlock),
            Self::TimedOut | Self::Seeded | Self::Ending | Self::NoThreads => None,
        }
    }
}

impl<T: Send + 'static> SendPort<T> {
    /// Asks like [`ask`](Self::ask) and blocks until there is an answer, for code that cannot
    /// await.
    ///
    /// # Blocking
    /// Parks the thread, for at most `timeout` if there is one. An isolate gives up its place in
    /// the pool for the wait; its own ports are not served meanwhile.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait.
    ///
    /// # Errors
    /// An [`AskBlockingError`]; among them a deadlock, if the isolate that is asked waits for
    /// this one in another blocking wait of this crate.
    pub fn ask_blocking<R: Send + 'static>(
        &self,
        question: impl FnOnce(ReplyTo<R>) -> T,
        timeout: Option<Duration>,
    ) -> Result<R, AskBlockingError> {
        // Asked from outside of the isolate, so that the answer comes to a cell: the isolate's
        // queue is not served during the wait.
        let ask = Current::leave(|| self.ask(question));
        block_on_by(ask, self.isolate_id(), timeout)?.map_err(AskBlockingError::Ask)
    }
}
