//! The condition variable of isolates and other threads.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::error::LockError;
use super::mutex::{MutexGuard, RawMutex};
use super::row::{self, Left, Row, Ticket};
use crate::blocking::{Awaited, Deadline, PartyId, Seat, Side, Spin, WaitError, deadline_in, wait};

/// A condition variable, on which isolates and other threads wait for a notification.
///
/// There are no spurious wake-ups. Still, a waiter that was notified acquires the lock after those
/// that waited for the lock before, so it should check whether its condition still holds.
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
///         changed.notify_one();
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

/// The kind of a notification.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Notified {
    /// For one waiter. If that cannot use the notification, it is passed on to the next waiter.
    Alone,
    /// For all that waited then, so there is no other waiter to which it could be passed on.
    WithAll,
}

/// A wait for a notification, as the graph of waits sees it: any party may notify, so no holder is
/// known.
struct Notification;

impl Awaited for Notification {
    fn each_holder(&self, _: Side, _: &mut dyn FnMut(PartyId)) {}
}

impl ConditionVariable {
    /// Creates a condition variable without waiters.
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
    /// between the release and the wait is not lost.
    ///
    /// # Blocking
    /// Blocks like [`RawMutex::lock`], twice.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait. If the waiter was notified at that
    /// moment, the notification is passed on to the next waiter.
    ///
    /// # Errors
    /// A [`LockError`]; the lock is not held then. It is `Closed` if this or the lock was closed.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>, LockError> {
        // Before the release, so that no notification is lost in between.
        let place = self.enqueue();
        // Released even if the condition variable is closed: after an error the caller does not
        // hold the lock.
        let mutex = guard.leave();
        let notified = place?.wait(None)?;
        self.relock(notified, || mutex.lock())
    }

    /// Like [`wait`](Self::wait), but waits for at most `timeout`, and also returns whether there
    /// was a notification.
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

    /// Like [`wait`](Self::wait) and [`wait_timeout`](Self::wait_timeout), for a lock without a
    /// guard. Returns whether there was a notification. If the caller does not hold the lock, this
    /// waits all the same, and the caller holds the lock afterwards.
    ///
    /// # Errors
    /// As for `wait`.
    pub fn wait_raw(&self, mutex: &RawMutex, timeout: Option<Duration>) -> Result<bool, LockError> {
        let place = self.enqueue();
        // An error says that the caller does not hold the lock: then there is nothing to release.
        let _ = mutex.unlock();
        let notified = place?.wait(timeout.and_then(deadline_in))?;
        self.relock(notified, || mutex.lock())?;
        Ok(notified.is_some())
    }

    /// Acquires the lock after a wait. If that fails, a notification for one waiter is passed on to
    /// the next.
    fn relock<R>(
        &self,
        notified: Option<Notified>,
        lock: impl FnOnce() -> Result<R, LockError>,
    ) -> Result<R, LockError> {
        // Constructed only if there is a notification to pass on, since its drop notifies.
        let waking = matches!(notified, Some(Notified::Alone)).then(|| Waking(self));
        let locked = lock()?;
        if let Some(waking) = waking {
            waking.over();
        }
        Ok(locked)
    }

    /// Adds the current party at the end of the row.
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
    pub fn notify_one(&self) {
        let first = self.state.lock().row.settle_first(|()| Ok(Notified::Alone));
        row::wake(first);
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        let all = self.state.lock().row.settle_all(|()| Ok(Notified::WithAll));
        row::wake(all);
    }

    /// Closes the condition variable: each waiter and each later wait gets [`LockError::Closed`],
    /// and does not hold the lock then.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        let all = state.row.settle_all(|()| Err(LockError::Closed));
        drop(state);
        row::wake(all);
    }

    /// Returns whether the condition variable was closed.
    pub fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }
}

/// A place in the row. If the wait is left by unwinding, a notification that came at that moment is
/// passed on to the next waiter.
pub(crate) struct InRow<'a> {
    condition: &'a ConditionVariable,
    /// `None` once it was handed in.
    ticket: Option<Ticket>,
    seat: Arc<Seat>,
}

impl InRow<'_> {
    /// Waits in the row. Returns `None` if the deadline passed before a notification came.
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
            // The outcome wins over a time-out that has passed as well.
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
            self.condition.notify_one();
        }
    }
}

/// A notification for one waiter that has yet to acquire the lock. Unless [`over`](Self::over) is
/// called, the drop passes the notification on to the next waiter.
struct Waking<'a>(&'a ConditionVariable);

impl Waking<'_> {
    fn over(self) {
        let _ = std::mem::ManuallyDrop::new(self);
    }
}

impl Drop for Waking<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
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
