//! Futures that block, where it is known who completes them.
//!
//! The future has a seat of its own, which is its waker. It is polled outside of the isolate, as
//! [`block_on`](crate::block_on) does it; the wait between two polls is an ordinary blocking
//! wait of the isolate. A wake-up that completes nothing therefore enters the graph of waits
//! anew, so that whoever looked while the edge was stale, is found now.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::{Awaited, PartyId, Seat, Side, Spin, WaitError, deadline_in, wait};
use crate::isolate::{IsolateId, check_wait};
use crate::memory::Current;

/// Tells which isolates could complete what a thread waits for.
///
/// For the crates of this project only: it is asked under a lock of the runtime, so it takes its
/// own lock at most, and runs nobody else's code.
#[doc(hidden)]
pub trait Completer: Send + Sync + 'static {
    /// Calls `found` with each isolate that could complete it as things stand, when nobody else
    /// could; not at all if that is not known, or it is completed.
    fn each_isolate(&self, found: &mut dyn FnMut(IsolateId));

    /// Whether it will be completed in any case, be it with an error: as with a time-out, the
    /// wait is refused if it would close a circle, and closes none for others.
    fn is_limited(&self) -> bool {
        false
    }
}

/// The one isolate that completes it, from the beginning to the end.
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

/// A future that is used, and dropped, outside of the isolate.
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

/// As [`block_on`](crate::block_on), for a future that `isolate` completes and nobody else. So
/// the wait is one of those that are never part of a circle, and a kill ends it.
///
/// # Blocking
/// Parks the thread, for at most `timeout` if there is one. An isolate gives its place in the pool
/// away; its own ports are not served meanwhile.
///
/// # Cancellation
/// A kill of the waiting isolate unwinds out of the wait. The future is dropped.
///
/// # Errors
/// A [`WaitError`]: the time is over, the wait would never end, or nobody else can run
/// meanwhile.
pub fn block_on_by<F: Future + Unpin>(
    future: F,
    isolate: IsolateId,
    timeout: Option<Duration>,
) -> Result<F::Output, WaitError> {
    let completer = Arc::new(isolate);
    block_on_completer(future, |_| completer.clone(), timeout)
}

/// As [`block_on_by`]; `completer` is asked after each poll that completed nothing.
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
        // A future that is woken each time it is polled comes to no check of `wait`.
        check_wait()?;
        let awaited = || {
            let completer = completer(future.get());
            let seat = seat.clone();
            let question: Arc<dyn Awaited> = Arc::new(Question { completer, seat });
            (question, Side::Requester)
        };
        let settled = || seat.is_settled().then_some(());
        if let Err(error) = wait(&seat, &spin, deadline, awaited, settled) {
            // Looked at once more: what came when the time was over is not lost.
            return match future.poll(&mut Context::from_waker(&waker)) {
                Poll::Ready(output) => Ok(output),
                Poll::Pending => Err(error),
            };
        }
    }
}
