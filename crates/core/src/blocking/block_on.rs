//! Waiting for a future on a plain thread.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::blocking::{Deadline, Seat, Seated, WaitError, check_seeded, deadline_in};
use crate::isolate::{check_wait, check_wait_without_error};
use crate::memory::Current;
use crate::runtime::BegunWait;

insula_sync::thread_cell! {
    /// The future that is polled under `block_on` waits for an event: see [`awaits_event`].
    static AWAITS_EVENT: bool = false;
}

/// To be called by a future that waits for the thread of timers and sockets, or for an operation
/// of the operating system on a thread of its own: no thread of a pool is needed to wake it. So
/// `block_on` knows that its wait comes back even if none is left to run isolates.
///
/// For the crates of this project only.
#[doc(hidden)]
pub fn awaits_event() {
    AWAITS_EVENT.with(|awaits| awaits.set(true));
}

/// Polls a future. Returns whether it waits for an event, too.
fn poll_for_events<T>(poll: impl FnOnce() -> Poll<T>) -> (Poll<T>, bool) {
    /// The poll may be part of another one, which has its own.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            AWAITS_EVENT.with(|awaits| awaits.set(self.0));
        }
    }
    let _restore = Restore(AWAITS_EVENT.with(|awaits| awaits.replace(false)));
    let poll = poll();
    (poll, AWAITS_EVENT.with(Cell::get))
}

/// Runs a future to its end on this thread, which sleeps whenever the future waits.
///
/// # Blocking
/// Blocks the thread. An isolate that calls it hands its thread's place in the pool over, so
/// that others go on; awaiting is better still. The future runs outside of the isolate: it may
/// ask and spawn, but not use the isolate's own ports, which nobody serves meanwhile.
///
/// # Cancellation
/// A kill of the isolate, or the shutdown of its runtime, unwinds out of the wait and drops the
/// future. It does so also in a destructor that runs because the isolate has ended, if the future
/// is not ready at once. In a destructor that runs while the stack unwinds it cannot, since that
/// would abort the process: there the wait lasts until the future is ready.
///
/// # Virtual time
/// A seeded runtime stands still while its thread waits, so a future that is not ready at once is
/// refused by a panic. What counts is the runtime of the isolate; outside of isolates, also in a
/// future that a seeded runtime runs, it is the runtime that the thread has entered last. Await
/// the future instead. For a future that does not depend on the seeded runtime,
/// [`Runtime::block_on`](crate::Runtime::block_on) of a runtime with threads waits, outside of
/// isolates.
///
/// # Panics
/// In an isolate, if no thread of the runtime is left to run isolates, as
/// [`WaitError::NoThreads`] tells, unless the future waits for time, a socket or an operation on
/// files. On a seeded runtime, if the future is not ready at once, as [`WaitError::Seeded`] tells.
/// Neither happens in a destructor that runs while the stack unwinds,
/// since that would abort the process.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let check = || {
        check_wait_without_error();
        Ok::<_, Infallible>(())
    };
    let may_sleep = || {
        if let Err(error) = check_seeded()
            && !std::thread::panicking()
        {
            panic!("{error}");
        }
        Ok(())
    };
    match drive(future, None, check, may_sleep) {
        Ok(Some(output)) => output,
        Ok(None) => unreachable!("without a deadline it is never over"),
        Err(never) => match never {},
    }
}

/// As [`block_on`], for callers that have an error to return.
///
/// # Errors
/// If the isolate is to end, and cannot unwind out of the wait; and on a seeded runtime, if the
/// future is not ready at once.
pub(crate) fn block_on_or_end<F: Future>(future: F) -> Result<F::Output, WaitError> {
    let check = || check_wait().map_err(WaitError::from);
    drive(future, None, check, check_seeded).map(|output| match output {
        Some(output) => output,
        None => unreachable!("without a deadline it is never over"),
    })
}

/// As [`block_on_or_end`], for at most `timeout`, and for a future that other threads complete in
/// any case: so it waits on a seeded runtime as well.
///
/// # Errors
/// If the isolate is to end, and cannot unwind out of the wait, or the time is over first.
pub(crate) fn block_on_until<F: Future>(
    future: F,
    timeout: Option<Duration>,
) -> Result<F::Output, WaitError> {
    let check = || check_wait().map_err(WaitError::from);
    let output = drive(future, timeout.and_then(deadline_in), check, || Ok(()))?;
    output.ok_or(WaitError::TimedOut)
}

/// Polls and waits in turn. `check` is an interrupt check, which ends the wait by an error or by
/// unwinding; it comes after each poll, so that it also ends a future that never lets the thread
/// sleep. `may_sleep` is asked before the thread sleeps for the first time.
///
/// `None` if the deadline has passed first.
fn drive<F: Future, E>(
    future: F,
    deadline: Deadline,
    check: impl Fn() -> Result<(), E>,
    may_sleep: impl Fn() -> Result<(), E>,
) -> Result<Option<F::Output>, E> {
    let runtime = crate::Runtime::of_isolate();
    let _entered = runtime.as_ref().map(crate::Runtime::enter);
    Current::leave(|| {
        let mut future = pin!(future);
        let seat = Seat::new();
        let waker = Waker::from(seat.clone());
        let mut cx = Context::from_waker(&waker);
        let mut seated = None;
        loop {
            seat.unsettle();
            let (poll, awaits_event) = poll_for_events(|| future.as_mut().poll(&mut cx));
            if let Poll::Ready(output) = poll {
                return Ok(Some(output));
            }
            check()?;
            let mut begun = None;
            if !seat.is_settled() {
                if seated.is_none() {
                    may_sleep()?;
                    seated = Some(sit_down(&seat));
                }
                if deadline.is_none() && !awaits_event && !std::thread::panicking() {
                    begun = crate::runtime::begin_wait(&seat);
                }
            }
            while !seat.is_settled() {
                // Once more: a message before the seat was known did not wake it.
                check()?;
                if begun.as_ref().is_some_and(BegunWait::is_refused) {
                    panic!("{}", WaitError::NoThreads);
                }
                if !seat.park_until(deadline) {
                    return Ok(None);
                }
            }
        }
    })
}

/// The isolate learns where it waits, so that control messages wake it, and its pool thread that
/// another one may take its place.
fn sit_down(seat: &Arc<Seat>) -> Seated {
    let seated = Seated::sit(seat);
    crate::runtime::about_to_block();
    seated
}
