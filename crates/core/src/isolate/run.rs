//! A computation in an isolate of its own.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use super::{Builder, Isolate};
use crate::blocking::{WaitError, block_on_by};
use crate::panic::{PanicReport, catch_panic};
use crate::port::reply::{Reply, one_shot};

/// An error for a computation without a result.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RunError {
    /// It panicked.
    Panicked(PanicReport),
    /// Its isolate ended without a result: it was killed, or waited for something that nothing
    /// could bring about.
    Ended,
    /// A blocking [`wait`](Run::wait) for it was refused, or ended without the result.
    Wait(WaitError),
}

impl From<WaitError> for RunError {
    fn from(error: WaitError) -> Self {
        Self::Wait(error)
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(report) => write!(f, "the computation panicked at {report}"),
            Self::Ended => f.write_str("the computation ended without a result"),
            Self::Wait(why) => why.fmt(f),
        }
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Wait(why) => Some(why),
            Self::Panicked(_) | Self::Ended => None,
        }
    }
}

/// A future that waits for the result of a computation. Made by [`Isolate::run`] and
/// [`Isolate::run_async`].
///
/// # Cancellation
/// Dropping it kills the computation's isolate, at its next interrupt check.
#[must_use = "dropping it kills the computation"]
pub struct Run<R> {
    reply: Option<Reply<Result<R, PanicReport>>>,
    isolate: Isolate,
}

impl Isolate {
    /// Runs `computation` in a new isolate of the current runtime. The result is moved to the
    /// caller, whatever its size.
    ///
    /// ```
    /// use insula_core::Isolate;
    /// let sum = Isolate::run(|| (1..=10).sum::<u64>()).wait()?;
    /// assert_eq!(sum, 55);
    /// # Ok::<(), insula_core::RunError>(())
    /// ```
    pub fn run<R, F>(computation: F) -> Run<R>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        Builder::new().run(computation)
    }

    /// Like [`run`](Self::run), for a computation that awaits. When its future is ready the
    /// result is moved to the caller and the isolate ends, whatever else it has started.
    pub fn run_async<R, F, Fut>(computation: F) -> Run<R>
    where
        R: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        Builder::new().run_async(computation)
    }
}

impl Builder {
    /// Like [`Isolate::run`], with these settings.
    ///
    /// ```
    /// use insula_core::Isolate;
    /// let sum = Isolate::builder().name("sum").run(|| (1..=10).sum::<u64>());
    /// assert_eq!(sum.wait()?, 55);
    /// # Ok::<(), insula_core::RunError>(())
    /// ```
    pub fn run<R, F>(self, computation: F) -> Run<R>
    where
        R: Send + 'static,
        F: FnOnce() -> R + Send + 'static,
    {
        let (answer, reply) = one_shot();
        // Caught, so that the caller gets the panic, and neither error listeners nor the hook do.
        let entry = move |()| answer.send(catch_panic(computation));
        Run {
            reply: Some(reply),
            isolate: self.spawn(entry, ()),
        }
    }

    /// Like [`Isolate::run_async`], with these settings.
    pub fn run_async<R, F, Fut>(self, computation: F) -> Run<R>
    where
        R: Send + 'static,
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future<Output = R> + Send + 'static,
    {
        let (answer, reply) = one_shot();
        let entry = async move |()| {
            let result = match catch_panic(computation) {
                Ok(future) => catch_panics(future).await,
                Err(report) => Err(report),
            };
            answer.send(result);
            if let Some(isolate) = Isolate::current() {
                // Nothing else that the computation has started may keep the isolate alive.
                isolate.kill();
            }
        };
        Run {
            reply: Some(reply),
            isolate: self.spawn(entry, ()),
        }
    }
}

async fn catch_panics<F: Future>(future: F) -> Result<F::Output, PanicReport> {
    let mut future = pin!(future);
    poll_fn(move |cx| match catch_panic(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(report) => Poll::Ready(Err(report)),
    })
    .await
}

impl<R> Run<R> {
    /// Blocks until the result is there, for code that cannot await.
    ///
    /// # Blocking
    /// Parks the thread. An isolate that waits gives up its thread's place in the pool; its ports
    /// are not served meanwhile.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait, and kills the computation too.
    ///
    /// # Errors
    /// A [`RunError`] if there is no result. This includes a deadlock, if the computation waits
    /// for this isolate in another blocking wait of this crate.
    pub fn wait(self) -> Result<R, RunError> {
        let isolate = self.isolate.id();
        let result = block_on_by(self, isolate, None);
        result.unwrap_or_else(|why| Err(RunError::Wait(why)))
    }

    /// Returns the isolate that runs the computation.
    pub fn isolate(&self) -> &Isolate {
        &self.isolate
    }
}

impl<R> Future for Run<R> {
    type Output = Result<R, RunError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = self
            .reply
            .as_mut()
            .expect("polled again after it was ready");
        let poll = Pin::new(reply).poll(cx);
        if poll.is_ready() {
            // So that the drop does not kill an isolate that has answered.
            self.reply = None;
        }
        poll.map(|result| match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(report)) => Err(RunError::Panicked(report)),
            Err(_) => Err(RunError::Ended),
        })
    }
}

impl<R> Drop for Run<R> {
    fn drop(&mut self) {
        if self.reply.is_some() {
            self.isolate.kill();
        }
    }
}

impl<R> fmt::Debug for Run<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("isolate", &self.isolate)
            .finish_non_exhaustive()
    }
}
