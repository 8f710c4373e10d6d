//! `block_on`: runs a future on a thread that cannot await.

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
    /// Set when the future under `block_on` waits for an event: see [`awaits_event`].
    static AWAITS_EVENT: bool = false;
}

/// Marks the current poll under `block_on` as one that waits for an event. Called by a future that
/// waits for the event handler, or for an operation of the operating system on a thread of its own.
/// Neither needs a pool thread for the wake-up, so `block_on` knows that the wait ends even if no
/// thread is left to run isolates.
///
/// Only for the crates of this project.
#[doc(hidden)]
pub fn awaits_event() {
    AWAITS_EVENT.with(|awaits| awaits.set(true));
}

/// Calls `poll`. Also returns whether the polled future waits for an event.
fn poll_for_events<T>(poll: impl FnOnce() -> Poll<T>) -> (Poll<T>, bool) {
    /// Restores the flag of the outer poll, if this one is nested.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            AWAITS_EVENT.with(|awaits| awaits.set(self.0));
        }
    }
    // Cleared first: the mark counts only if this poll sets it.
    let _restore = Restore(AWAITS_EVENT.with(|awaits| awaits.replace(false)));
    let poll = poll();
    (poll, AWAITS_EVENT.with(Cell::get))
}

/// Runs a future to completion on this thread, which sleeps whenever the future waits.
///
/// # Blocking
/// Blocks the thread. An isolate that calls it gives up its thread's place in the pool, so that
/// other isolates go on; awaiting is better still. The future runs outside of the isolate: it may
/// ask and spawn, but cannot use the isolate's own ports, which are not served meanwhile.
///
/// # Cancellation
/// A kill of the isolate, or the shutdown of its runtime, unwinds out of the wait and drops the
/// future. This also happens in a destructor that runs because the isolate has ended, if the
/// future is not ready at once. In a destructor that runs while the stack unwinds, a second
/// unwinding would abort the process, so there the wait lasts until the future is ready.
///
/// # Virtual time
/// A seeded runtime stands still while its thread waits, so `block_on` panics if the future is not
/// ready at once. This concerns the isolate's runtime, or, outside of isolates (also in a future
/// that a seeded runtime runs), the runtime that the thread has entered last. Await the future
/// instead. If the future does not depend on the seeded runtime, a thread outside of isolates may
/// use [`Runtime::block_on`](crate::Runtime::block_on) of a runtime with threads.
///
/// # Panics
/// In an isolate, if no thread of the runtime is left to run isolates (see
/// [`WaitError::NoThreads`]), unless the future waits for time, a socket or an operation on files.
/// On a seeded runtime, if the future is not ready at once (see [`WaitError::Seeded`]). Neither
/// happens in a destructor that runs while the stack unwinds, since that would abort the process.
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

/// Like [`block_on`], for callers that have an error to return.
///
/// # Errors
/// If the isolate is ending and cannot unwind out of the wait; on a seeded runtime, if the future
/// is not ready at once.
pub(crate) fn block_on_or_end<F: Future>(future: F) -> Result<F::Output, WaitError> {
    let check = || check_wait().map_err(WaitError::from);
    drive(future, None, check, check_seeded).map(|output| match output {
        Some(output) => output,
        None => unreachable!("without a deadline it is never over"),
    })
}

/// Like [`block_on_or_end`], with a time-out. Also waits on a seeded runtime, so the future must be
/// one that other threads complete in any case.
///
/// # Errors
/// If the isolate is ending and cannot unwind out of the wait, or if the time-out expires.
pub(crate) fn block_on_until<F: Future>(
    future: F,
    timeout: Option<Duration>,
) -> Result<F::Output, WaitError> {
    let check = || check_wait().map_err(WaitError::from);
    let output = drive(future, timeout.and_then(deadline_in), check, || Ok(()))?;
    output.ok_or(WaitError::TimedOut)
}

/// Polls and sleeps in turn. `check` is an interrupt check, which ends the wait by an error or by
/// unwinding; it runs after each poll, so that it also ends a future that never lets the thread
/// sleep. `may_sleep` is called once, before the thread first sleeps.
///
/// Returns `None` if the deadline passes first.
fn drive<F: Future, E>(
    future: F,
    deadline: Deadline,
    check: impl Fn() -> Result<(), E>,
    may_sleep: impl Fn() -> Result<(), E>,
) -> Result<Option<F::Output>, E> {
    let runtime = crate::Runtime::of_isolate();
    // The future runs outside of the isolate, and still finds its runtime as the current one.
    let _entered = runtime.as_ref().map(crate::Runtime::enter);
    Current::leave(|| {
        let mut future = pin!(future);
        let seat = Seat::new();
        let waker = Waker::from(seat.clone());
        let mut cx = Context::from_waker(&waker);
        let mut seated = None;
        loop {
            // Before the poll: a wake-up that comes during it must stay.
            seat.unsettle();
            let (poll, awaits_event) = poll_for_events(|| future.as_mut().poll(&mut cx));
            if let Poll::Ready(output) = poll {
                return Ok(Some(output));
            }
            check()?;
            // Decided for each sleep, since each poll may wait for something else.
            let mut begun = None;
            if !seat.is_settled() {
                if seated.is_none() {
                    may_sleep()?;
                    seated = Some(sit_down(&seat));
                }
                // A refusal panics, and in a destructor during unwinding that would abort.
                if deadline.is_none() && !awaits_event && !std::thread::panicking() {
                    begun = crate::runtime::begin_wait(&seat);
                }
            }
            while !seat.is_settled() {
                // Again, since a control message that arrived before `sit_down` did not unpark
                // the seat.
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

/// Registers the seat with the isolate, so that control messages wake it, and reports to the pool
/// that another thread may take this one's place.
fn sit_down(seat: &Arc<Seat>) -> Seated {
    let seated = Seated::sit(seat);
    crate::runtime::about_to_block();
    seated
}
