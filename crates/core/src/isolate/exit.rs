//! How isolates end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Isolate;
use crate::panic::PanicReport;

/// Why an isolate ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitReason {
    /// Nothing was left that could have woken it.
    Finished,
    /// Its code panicked.
    Panicked(PanicReport),
    /// Its entry returned an error; this is the error's text.
    Failed(Arc<str>),
    /// It was killed, or its runtime was shut down.
    Killed,
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Panicked(report) => write!(f, "panicked at {report}"),
            Self::Failed(error) => write!(f, "failed: {error}"),
            Self::Killed => f.write_str("killed"),
        }
    }
}

/// Waits for the end of an isolate. Made by [`Isolate::exited`].
///
/// # Cancellation
/// Dropping it only stops the waiting.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Exited(pub(super) Isolate);

impl Future for Exited {
    type Output = ExitReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitReason> {
        let core = &self.0.0;
        // A waker is foreign code: it is cloned before the lane is held, and dropped after.
        let mut waker = Some(cx.waker().clone());
        let mut lane = core.lane.lock();
        core.with_details(&mut lane, |details| {
            if let Some(reason) = &details.exit {
                return Poll::Ready(reason.clone());
            }
            let waiters = &mut details.exit_waiters;
            if !waiters.iter().any(|waiter| waiter.will_wake(cx.waker())) {
                waiters.extend(waker.take());
            }
            Poll::Pending
        })
    }
}
