//! Blocking on a future that is completed by known isolates.
//!
//! The future has a seat of its own, which is its waker. It is polled outside of the isolate, as
//! under [`block_on`](crate::block_on); the wait between two polls is an ordinary blocking wait of
//! the isolate. After a wake-up that completes nothing, the wait therefore enters the graph again,
//! and finds a cycle that another party could close while the edge was stale.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Awaited, PartyId, Seat, Side, Spin, WaitError, deadline_in, wait};
use crate::isolate::{IsolateId, check_wait};
use crate::memory::Current;

/// The isolates that could complete what a thread waits for.
///
/// For the crates of this project only: its methods are called under a lock of the runtime, so
/// they take their own lock at most, and run no foreign code.
#[doc(hidden)]
pub trait Completer: Send + Sync + 'static {
    /// Calls `found` with each isolate that could complete it at present, if nothing else could.
    /// Makes no call if the isolates are not known, or if it is complete.
    fn each_isolate(&self, found: &mut dyn FnMut(IsolateId));

    /// Returns whether it will be completed in any case, if only with an error. As with a
    /// time-out, the wait is then refused if it would close a cycle, but adds no edge.
    fn is_limited(&self) -> bool {
        false
    }
}

/// One isolate that is the only completer throughout.
impl Completer for IsolateId {
    fn each_isolate(&self, found: &mut dyn FnMut(IsolateId)) {
        found(*self);
    }
}

struct Question {
    completer: Arc<dyn Completer>,
    seat: Arc<Seat>,
}

impl Awaited for Question {
    fn each_holder(&self, _: Side, found: &mut dyn FnMut(PartyId)) {
        if !self.seat.is_settled() {
            self.completer.each_isolate(&mut |isolate| {
                found(PartyId::isolate(isolate.0));
            });
        }
    }

    fn is_limited(&self) -> bool {
        self.completer.is_limited()
    }
}

/// A future that is polled and dropped outside of the isolate.
struct Outside<F>(Option<F>);

impl<F: Future + Unpin> Outside<F> {
    fn get(&mut self) -> &mut F {
        self.0.as_mut().expect("it is there until it is dropped")
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        Current::leave(|| Pin::new(self.get()).poll(cx))
    }
}

impl<F> Drop for Outside<F> {
    fn drop(&mut self) {
        Current::leave(|| self.0 = None);
    }
}

/// Runs a future to its end like [`block_on`](crate::block_on), if only `isolate` can complete it.
/// The wait is therefore in the graph of waits: it is refused if it would close a cycle, and a kill
/// ends it.
///
/// # Blocking
/// Parks the thread, for at most `timeout` if there is one. An isolate gives up its place in the
/// pool for the wait; its own ports are not served meanwhile.
///
/// # Cancellation
/// A kill of the waiting isolate unwinds out of the wait. The future is dropped.
///
/// # Errors
/// A [`WaitError`]: the time-out has passed, the wait would never end, or nothing else can run
/// meanwhile.
pub fn block_on_by<F: Future + Unpin>(
    future: F,
    isolate: IsolateId,
    timeout: Option<Duration>,
) -> Result<F::Output, WaitError> {
    let completer = Arc::new(isolate);
    block_on_completer(future, |_| completer.clone(), timeout)
}

/// Like [`block_on_by`], for a future whose completers change: `completer` is called each time
/// before the wait enters the graph.
#[doc(hidden)]
pub fn block_on_completer<F: Future + Unpin>(
    future: F,
    completer: impl Fn(&F) -> Arc<dyn Completer>,
    timeout: Option<Duration>,
) -> Result<F::Output, WaitError> {
    let deadline = timeout.and_then(deadline_in);
    let runtime = crate::Runtime::of_isolate();
    let _entered = runtime.as_ref().map(crate::Runtime::enter);
    let mut future = Outside(Some(future));
    let (seat, spin) = (Seat::new(), Spin::default());
    let waker = Waker::from(seat.clone());
    loop {
        seat.unsettle();
        if let Poll::Ready(output) = future.poll(&mut Context::from_waker(&waker)) {
            return Ok(output);
        }
        // `wait` returns before its own check if the poll itself has woken the future.
        check_wait()?;
        let awaited = || {
            let completer = completer(future.get());
            let seat = seat.clone();
            let question: Arc<dyn Awaited> = Arc::new(Question { completer, seat });
            (question, Side::Requester)
        };
        let settled = || seat.is_settled().then_some(());
        if let Err(error) = wait(&seat, &spin, deadline, awaited, settled) {
            // A last poll, so that a result that came together with the time-out is not lost.
            return match future.poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => Ok(output),
                Poll::Pending => Err(error),
            };
        }
    }
}
