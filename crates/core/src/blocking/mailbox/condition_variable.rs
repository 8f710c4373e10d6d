//! Waiting, with a lock open meanwhile, for somebody to say that something has changed.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::LockError;
use super::mutex::{MutexGuard, RawMutex};
use super::row::{self, Left, Row, Ticket};
use crate::blocking::{Awaited, Deadline, PartyId, Seat, Side, Spin, WaitError, deadline_in, wait};

/// Lets isolates and other threads wait until somebody notifies them.
///
/// There are no spurious wake-ups. Still, a waiter that was notified acquires the lock behind those
/// that waited for it before, and should check whether what it waits for still holds.
///
/// # Ordering
/// Waiters are notified in the order in which they began to wait.
///
/// ```
/// use std::sync::Arc;
/// use insula_core::{ConditionVariable, Isolate, Mutex};
///
/// let shared = Arc::new((Mutex::new(false), ConditionVariable::new()));
/// let other = shared.clone();
/// Isolate::spawn(
///     move |()| {
///         let (ready, changed) = &*other;
///         ready.run_locked(|ready| *ready = true)?;
///         changed.notify();
///         Ok::<(), insula_core::LockError>(())
///     },
///     (),
/// );
/// let (ready, changed) = &*shared;
/// let mut guard = ready.lock()?;
/// while !*guard {
///     guard = changed.wait(guard)?;
/// }
/// # Ok::<(), insula_core::LockError>(())
/// ```
pub struct ConditionVariable {
    state: insula_sync::Mutex<State>,
    spin: Spin,
}

struct State {
    is_closed: bool,
    row: Row<(), Outcome>,
}

pub(crate) type Outcome = Result<Notified, LockError>;

/// How a waiter was notified.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notified {
    /// The notification was for one waiter. If this one cannot use it, it goes to the next.
    Alone,
    /// All that waited then were notified, so there is no other waiter that could be meant.
    WithAll,
}

/// Any isolate or thread may notify, so the wait is for none in particular.
struct Notification;

impl Awaited for Notification {
    fn each_holder(&self, _: Side, _: &mut dyn FnMut(PartyId)) {}
}

impl ConditionVariable {
    /// A condition variable without waiters.
    pub fn new() -> Self {
        let state = State {
            is_closed: false,
            row: Row::new(),
        };
        Self {
            state: insula_sync::Mutex::new(state),
            spin: Spin::default(),
        }
    }

    /// Releases the lock, waits for a notification, and acquires the lock again. A notification
    /// between the first two is not lost.
    ///
    /// # Blocking
    /// As [`RawMutex::lock`], twice.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait. If the waiter was notified at that
    /// moment, the notification goes to the next one.
    ///
    /// # Errors
    /// A [`LockError`]; the lock is not held then. It is `Closed` if this or the lock was closed.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>, LockError> {
        let place = self.enqueue();
        let mutex = guard.leave();
        let notified = place?.wait(None)?;
        self.relock(notified, || mutex.lock())
    }

    /// As [`wait`](Self::wait), for at most `timeout`, and tells whether there was a
    /// notification.
    ///
    /// # Errors
    /// As for `wait`. Without a notification the lock is acquired again.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Result<(MutexGuard<'a, T>, bool), LockError> {
        let place = self.enqueue();
        let mutex = guard.leave();
        let notified = place?.wait(deadline_in(timeout))?;
        let guard = self.relock(notified, || mutex.lock())?;
        Ok((guard, notified.is_some()))
    }

    /// As [`wait`](Self::wait) and [`wait_timeout`](Self::wait_timeout), for a lock without a
    /// guard. If the caller does not hold the lock, this waits all the same, and the caller holds
    /// the lock afterwards.
    ///
    /// # Errors
    /// As for `wait`.
    pub fn wait_raw(&self, mutex: &RawMutex, timeout: Option<Duration>) -> Result<bool, LockError> {
        let place = self.enqueue();
        // The lock of another holder is left alone.
        let _ = mutex.unlock();
        let notified = place?.wait(timeout.and_then(deadline_in))?;
        self.relock(notified, || mutex.lock())?;
        Ok(notified.is_some())
    }

    /// Acquires the lock after a wait. A notification for one waiter goes on to the next if this
    /// one does not get the lock.
    fn relock<R>(
        &self,
        notified: Option<Notified>,
        lock: impl FnOnce() -> Result<R, LockError>,
    ) -> Result<R, LockError> {
        // Made only if there is a notification to pass on: dropping it notifies.
        let waking = matches!(notified, Some(Notified::Alone)).then(|| Waking(self));
        let locked = lock()?;
        if let Some(waking) = waking {
            waking.over();
        }
        Ok(locked)
    }

    /// Puts the current party at the end of the row.
    pub(crate) fn enqueue(&self) -> Result<InRow<'_>, LockError> {
        let seat = Seat::new();
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(LockError::Closed);
        }
        let ticket = state.row.join(&seat, ());
        drop(state);
        Ok(InRow {
            condition: self,
            ticket: Some(ticket),
            seat,
        })
    }

    /// Wakes the waiter that has waited longest, if there is one.
    pub fn notify(&self) {
        let first = self.state.lock().row.settle_first(|()| Ok(Notified::Alone));
        row::wake(first);
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        let all = self.state.lock().row.settle_all(|()| Ok(Notified::WithAll));
        row::wake(all);
    }

    /// Closes the condition variable for good: each waiter gets [`LockError::Closed`], and so
    /// does each later wait. None of them holds the lock then.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let all = state.row.settle_all(|()| Err(LockError::Closed));
        drop(state);
        row::wake(all);
    }

    /// Whether the condition variable was closed.
    pub fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }
}

/// A place in the row. When the wait is left by unwinding, a notification that came at that
/// moment goes to the next waiter.
pub(crate) struct InRow<'a> {
    condition: &'a ConditionVariable,
    /// `None` once it was taken back.
    ticket: Option<Ticket>,
    seat: Arc<Seat>,
}

impl InRow<'_> {
    /// Waits in the row. `None` if the time was over before a notification came.
    pub(crate) fn wait(self, deadline: Deadline) -> Result<Option<Notified>, LockError> {
        let awaited = || (Arc::new(Notification) as Arc<dyn Awaited>, Side::Requester);
        let is_settled = || self.seat.is_settled().then_some(());
        let waited = wait(
            &self.seat,
            &self.condition.spin,
            deadline,
            awaited,
            is_settled,
        );
        match (self.leave(), waited) {
            // Also if the time was over as well.
            (Left::Settled(outcome), _) => outcome.map(Some),
            (Left::Unsettled(()), Err(WaitError::TimedOut)) => Ok(None),
            (Left::Unsettled(()), Err(error)) => Err(error.into()),
            (Left::Unsettled(()), Ok(())) => unreachable!("the seat is settled after the outcome"),
        }
    }

    pub(crate) fn leave(mut self) -> Left<(), Outcome> {
        match self.left() {
            Some(left) => left,
            None => unreachable!("only this takes the ticket back, and the drop"),
        }
    }

    fn left(&mut self) -> Option<Left<(), Outcome>> {
        let ticket = self.ticket.take()?;
        Some(self.condition.state.lock().row.leave(ticket))
    }
}

impl Drop for InRow<'_> {
    fn drop(&mut self) {
        if let Some(Left::Settled(Ok(Notified::Alone))) = self.left() {
            self.condition.notify();
        }
    }
}

/// A notification on its way to a waiter that has yet to acquire the lock. If it does not, the
/// notification goes to the next one.
struct Waking<'a>(&'a ConditionVariable);

impl Waking<'_> {
    fn over(self) {
        let _ = std::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Waking<'_> {
    fn drop(&mut self) {
        self.0.notify();
    }
}

impl Default for ConditionVariable {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ConditionVariable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = self.state.lock().row.len();
        f.debug_struct("ConditionVariable")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}
