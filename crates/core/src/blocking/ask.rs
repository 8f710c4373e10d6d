//! Blocking questions.

use std::fmt;
use std::time::Duration;

use super::{WaitError, block_on_by, check_seeded};
use crate::memory::Current;
use crate::port::SendPort;
use crate::port::reply::{AskError, ReplyTo};

/// The error of a blocking question without an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AskBlockingError {
    /// The question was not delivered, or dropped without an answer.
    Ask(AskError),
    /// The wait ended without an answer, for example since the time-out has passed, or since the
    /// isolate that was asked waits for this one. The question is not taken back. It was not asked
    /// if the wait is refused with [`WaitError::Seeded`].
    Wait(WaitError),
}

impl From<WaitError> for AskBlockingError {
    fn from(error: WaitError) -> Self {
        Self::Wait(error)
    }
}

impl fmt::Display for AskBlockingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ask(error) => error.fmt(f),
            Self::Wait(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AskBlockingError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ask(error) => Some(error),
            Self::Wait(error) => Some(error),
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
        // First, since a refusal must not leave a question behind. A closed port needs no wait.
        if let Err(refused) = check_seeded()
            && !self.is_closed()
        {
            return Err(refused.into());
        }
        // Asked from outside of the isolate, so that the answer comes to a cell: the isolate's
        // queue is not served during the wait.
        let ask = Current::leave(|| self.ask(question));
        block_on_by(ask, self.isolate_id(), timeout)?.map_err(AskBlockingError::Ask)
    }
}
