//! Locks that isolates and other threads share.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::error::{LockError, NotHeld};
use super::row::{self, Left, Row, Settled, Ticket};
use crate::blocking::{Awaited, Deadline, Held, PartyId, Seat, Side, Spin, deadline_in, wait};

/// A lock without a value, taken and given back by two calls, for code that cannot hold a
/// guard. A handle: its clones are the same lock.
///
/// Not recursive: to take a lock that the caller holds is a deadlock, and refused as one.
///
/// # Ordering
/// The lock is handed to the waiter that has waited longest.
///
/// # Cancellation
/// A waiter that gives up leaves no trace. One that was handed the lock at that moment, and
/// cannot return it to its caller since a kill or a panic unwinds its stack, hands it to the next
/// waiter.
#[derive(Clone)]
pub struct RawMutex(Arc<Lock>);

struct Lock {
    state: insula_sync::Mutex<State>,
    spin: Spin,
}

struct State {
    holder: Option<PartyId>,
    /// Why it cannot be acquired any more. While this is set, no waiter is in the row.
    over: Option<LockError>,
    row: Row<PartyId, Result<(), LockError>>,
}

impl State {
    /// Hands the lock to the first waiter.
    #[must_use = "it sleeps"]
    fn pass_on(&mut self) -> Option<Arc<Seat>> {
        let mut next = None;
        let seat = self.row.settle_first(|party| {
            next = Some(party);
            Ok(())
        });
        self.holder = next;
        seat
    }

    /// Refuses all waiters, and all that come.
    #[must_use = "they sleep"]
    fn end(&mut self, error: &LockError) -> Settled {
        self.over = Some(error.clone());
        self.row.settle_all(|_| Err(error.clone()))
    }
}

impl RawMutex {
    /// A lock without a holder.
    pub fn new() -> Self {
        let state = State {
            holder: None,
            over: None,
            row: Row::new(),
        };
        Self(Arc::new(Lock {
            state: insula_sync::Mutex::new(state),
            spin: Spin::default(),
        }))
    }

    /// Acquires the lock.
    ///
    /// # Blocking
    /// Until it is free. Spins for a moment, then parks the thread; an isolate gives its place
    /// in the pool away.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait.
    ///
    /// # Errors
    /// A [`LockError`]; the lock is not held then.
    pub fn lock(&self) -> Result<(), LockError> {
        self.lock_until(None)
    }

    /// As [`lock`](Self::lock), waiting for at most `timeout`. If the lock is handed over at the
    /// moment at which the time is over, it is held.
    ///
    /// # Errors
    /// A [`LockError`]; the lock is not held then.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<(), LockError> {
        self.lock_until(deadline_in(timeout))
    }

    /// Acquires the lock if it is free, and tells whether it was. A closed lock is not free.
    pub fn try_lock(&self) -> bool {
        let mut state = self.0.state.lock();
        let is_free = state.holder.is_none() && state.over.is_none();
        if is_free {
            state.holder = Some(PartyId::current());
        }
        is_free
    }

    fn lock_until(&self, deadline: Deadline) -> Result<(), LockError> {
        let Some(waiting) = self.acquire_or_join()? else {
            return Ok(());
        };
        let seat = waiting.seat.clone();
        let awaited = || {
            let turn = OneTurn(self.0.clone(), seat.clone());
            (Arc::new(turn) as Arc<dyn Awaited>, Side::Requester)
        };
        let is_settled = || seat.is_settled().then_some(());
        let waited = wait(&seat, &self.0.spin, deadline, awaited, is_settled);
        match (waiting.leave(), waited) {
            // Also if the time was over as well.
            (Left::Settled(outcome), _) => outcome,
            (Left::Unsettled(_), Err(error)) => Err(error.into()),
            (Left::Unsettled(_), Ok(())) => unreachable!("the seat is settled after the outcome"),
        }
    }

    /// Acquires the lock if it is free. Otherwise the current party joins the row.
    pub(crate) fn acquire_or_join(&self) -> Result<Option<Waiting<'_>>, LockError> {
        let party = PartyId::current();
        let mut state = self.0.state.lock();
        if let Some(error) = &state.over {
            return Err(error.clone());
        }
        if state.holder.is_none() {
            state.holder = Some(party);
            return Ok(None);
        }
        let seat = Seat::new();
        let ticket = state.row.join(&seat, party);
        Ok(Some(Waiting {
            mutex: self,
            ticket: Some(ticket),
            seat,
        }))
    }

    /// Releases the lock, also after it was closed.
    ///
    /// # Errors
    /// If this isolate, or thread, does not hold it.
    pub fn unlock(&self) -> Result<(), NotHeld> {
        let party = PartyId::current();
        let mut state = self.0.state.lock();
        if state.holder != Some(party) {
            return Err(NotHeld);
        }
        let next = state.pass_on();
        drop(state);
        row::wake(next);
        Ok(())
    }

    /// Closes the lock for good: each waiter gets [`LockError::Closed`], and so does each later
    /// attempt to acquire it. The holder keeps the lock until it releases it.
    pub fn close(&self) {
        let settled = self.0.state.lock().end(&LockError::Closed);
        row::wake(settled);
    }

    /// Whether the lock was closed.
    pub fn is_closed(&self) -> bool {
        self.0.state.lock().over == Some(LockError::Closed)
    }

    /// Releases the lock for a guard, which may be dropped outside of the isolate that acquired
    /// it, and for a waiter that cannot use it.
    fn release(&self) {
        let next = self.0.state.lock().pass_on();
        row::wake(next);
    }
}

/// A place in the row. When the wait is left by unwinding, a lock that was handed over at that
/// moment goes to the next waiter.
pub(crate) struct Waiting<'a> {
    mutex: &'a RawMutex,
    /// `None` once it was taken back.
    ticket: Option<Ticket>,
    seat: Arc<Seat>,
}

impl Waiting<'_> {
    pub(crate) fn leave(mut self) -> Left<PartyId, Result<(), LockError>> {
        match self.left() {
            Some(left) => left,
            None => unreachable!("only this takes the ticket back, and the drop"),
        }
    }

    fn left(&mut self) -> Option<Left<PartyId, Result<(), LockError>>> {
        let ticket = self.ticket.take()?;
        Some(self.mutex.0.state.lock().row.leave(ticket))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(Left::Settled(Ok(()))) = self.left() {
            self.mutex.release();
        }
    }
}

/// One wait for a lock, as the graph sees it.
struct OneTurn(Arc<Lock>, Arc<Seat>);

impl Awaited for OneTurn {
    fn each_holder(&self, _: Side, found: &mut dyn FnMut(Held)) {
        if !self.1.is_settled() {
            let holder = self.0.state.lock().holder;
            holder.map(Held::certain).into_iter().for_each(found);
        }
    }
}

impl Default for RawMutex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RawMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        let (is_held, waiting) = (state.holder.is_some(), state.row.len());
        drop(state);
        f.debug_struct("RawMutex")
            .field("is_held", &is_held)
            .field("waiting", &waiting)
            .finish()
    }
}

/// A value that isolates and other threads use one at a time, put in an `Arc` for all of them.
///
/// Whoever waits for it does so as for a mailbox: with time-outs, without a pool thread's place,
/// and not in a circle. A panic while it is held leaves no trace but the value as it was.
///
/// ```
/// use std::sync::Arc;
/// use insula_core::{Isolate, Mutex};
///
/// let sum = Arc::new(Mutex::new(0));
/// let runs: Vec<_> = (1..=4)
///     .map(|n| {
///         let sum = sum.clone();
///         Isolate::run(move || sum.run_locked(|sum| *sum += n))
///     })
///     .collect();
/// for run in runs {
///     run.wait()??;
/// }
/// assert_eq!(*sum.lock()?, 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Mutex<T> {
    raw: RawMutex,
    /// Never contended: only who holds `raw` comes here.
    value: insula_sync::Mutex<T>,
}

impl<T> Mutex<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self {
            raw: RawMutex::new(),
            value: insula_sync::Mutex::new(value),
        }
    }

    /// Takes the lock, until the guard is dropped.
    ///
    /// # Blocking
    /// As [`RawMutex::lock`].
    ///
    /// # Errors
    /// A [`LockError`].
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError> {
        self.raw.lock()?;
        Ok(self.guard())
    }

    /// As [`lock`](Self::lock), waiting for at most `timeout`.
    ///
    /// # Errors
    /// A [`LockError`].
    pub fn lock_timeout(&self, timeout: Duration) -> Result<MutexGuard<'_, T>, LockError> {
        self.raw.lock_timeout(timeout)?;
        Ok(self.guard())
    }

    /// Takes the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_lock().then(|| self.guard())
    }

    /// Runs `action` with the value, and unlocks also if it panics.
    ///
    /// # Blocking
    /// As [`RawMutex::lock`].
    ///
    /// # Errors
    /// A [`LockError`].
    pub fn run_locked<R>(&self, action: impl FnOnce(&mut T) -> R) -> Result<R, LockError> {
        Ok(action(&mut *self.lock()?))
    }

    /// As [`RawMutex::close`]. The value stays, for [`into_inner`](Self::into_inner).
    pub fn close(&self) {
        self.raw.close();
    }

    /// Whether the lock was closed.
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }

    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard {
            value: Some(self.value.lock()),
            mutex: self,
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Mutex").field(&self.raw).finish()
    }
}

/// Holds a [`Mutex`]; dropping it gives the lock back.
#[must_use = "dropping it gives the lock back"]
pub struct MutexGuard<'a, T> {
    /// `None` only inside of its own drop.
    value: Option<insula_sync::MutexGuard<'a, T>>,
    mutex: &'a Mutex<T>,
}

impl<'a, T> MutexGuard<'a, T> {
    /// Gives the lock back, and tells which one it was.
    pub(super) fn leave(self) -> &'a Mutex<T> {
        self.mutex
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("there until the drop")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("there until the drop")
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // The inner lock first, so that the next holder finds it open.
        drop(self.value.take());
        self.mutex.raw.release();
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
