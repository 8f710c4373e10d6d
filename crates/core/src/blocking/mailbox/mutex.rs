//! Locks that isolates and other threads share.
//!
//! # A holder that ends
//! A lock whose holder ends without releasing it is *abandoned*: what it protects may be half
//! changed, so its waiters and all that come get [`LockError::OwnerEnded`], until
//! [`RawMutex::recover`] makes it free again. An isolate that ends drops its guards first, so this
//! happens to guards that leak, and to locks without guards.
//!
//! Only a lock that has waiters asks to be told of its holder's end: a party that joins the row
//! registers a call with the holder ([`Lock::watch`]), and so does a release that hands the lock
//! over while others wait. The call names the acquisition by its number, so a call that comes late
//! does nothing. The release cancels it. Calls are registered and cancelled while the lock's state
//! is not locked; whether the holder has changed meanwhile is seen by the number. A lock without
//! waiters costs nothing: whether its holder has ended is found by the first waiter, whose call is
//! refused then. [`RawMutex::is_abandoned`] and [`RawMutex::recover`] look in the same way, for
//! those that never wait.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::error::{LockError, NotHeld};
use super::row::{self, Left, Row, Settled, Ticket};
use crate::blocking::{
    Awaited, Deadline, EndCall, Ended, Party, PartyId, Seat, Side, Spin, deadline_in, wait,
};

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
    holder: Option<Holder>,
    /// The number of the last acquisition. 64 bits do not run out.
    acquisition: u64,
    /// Why it cannot be acquired any more. While this is set, no waiter is in the row.
    over: Option<LockError>,
    row: Row<Party, Result<(), LockError>>,
}

struct Holder {
    party: Party,
    acquisition: u64,
    /// Set while there are waiters, or a little later.
    end_call: Option<EndCall>,
}

/// What a release leaves to do when the state is not locked any more.
#[must_use = "the next holder sleeps"]
struct Released {
    before: Option<Holder>,
    next: Option<Arc<Seat>>,
}

impl State {
    fn acquire(&mut self, party: Party) {
        self.acquisition += 1;
        self.holder = Some(Holder {
            party,
            acquisition: self.acquisition,
            end_call: None,
        });
    }

    /// Hands the lock to the first waiter.
    fn pass_on(&mut self) -> Released {
        let before = self.holder.take();
        if self.over == Some(LockError::OwnerEnded) {
            // It was only late: another destructor of the same thread's storage.
            self.over = None;
        }
        let mut party = None;
        let next = self.row.settle_first(|waiter| {
            party = Some(waiter);
            Ok(())
        });
        if let Some(party) = party {
            self.acquire(party);
        }
        Released { before, next }
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
            acquisition: 0,
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

    /// Acquires the lock if it is free, and tells whether it was. A lock that is closed, or whose
    /// holder ended, is not free.
    pub fn try_lock(&self) -> bool {
        let mut state = self.0.state.lock();
        let is_free = state.holder.is_none() && state.over.is_none();
        if is_free {
            state.acquire(Party::current());
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
        let party = Party::current();
        let mut state = self.0.state.lock();
        if let Some(error) = &state.over {
            return Err(error.clone());
        }
        if state.holder.is_none() {
            state.acquire(party);
            return Ok(None);
        }
        let seat = Seat::new();
        let ticket = state.row.join(&seat, party);
        drop(state);
        let waiting = Waiting {
            mutex: self,
            ticket: Some(ticket),
            seat,
        };
        self.0.watch();
        Ok(Some(waiting))
    }

    /// Releases the lock, also after it was closed.
    ///
    /// # Errors
    /// If this isolate, or thread, does not hold it.
    pub fn unlock(&self) -> Result<(), NotHeld> {
        let party = PartyId::current();
        let mut state = self.0.state.lock();
        if state.holder.as_ref().map(|holder| holder.party.id) != Some(party) {
            return Err(NotHeld);
        }
        let released = state.pass_on();
        drop(state);
        self.0.after(released);
        Ok(())
    }

    /// Makes a lock free again whose holder ended without releasing it. Returns whether it was
    /// such a lock. What it protects may be in any state.
    pub fn recover(&self) -> bool {
        self.0.look_for_end();
        let mut state = self.0.state.lock();
        let is_abandoned = state.over == Some(LockError::OwnerEnded);
        if is_abandoned {
            let released = state.pass_on();
            drop(state);
            self.0.after(released);
        }
        is_abandoned
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

    /// Whether the holder has ended without releasing the lock, as [`LockError::OwnerEnded`] tells.
    pub fn is_abandoned(&self) -> bool {
        self.0.look_for_end();
        self.0.state.lock().over == Some(LockError::OwnerEnded)
    }

    /// Releases the lock for a guard, which may be dropped outside of the isolate that acquired
    /// it, and for a waiter that cannot use it.
    fn release(&self) {
        let released = self.0.state.lock().pass_on();
        self.0.after(released);
    }
}

impl Lock {
    /// The rest of a release, which takes the locks of others.
    fn after(self: &Arc<Self>, released: Released) {
        let Released { before, next } = released;
        if let Some(next) = next {
            next.settle();
            self.watch();
        }
        if let Some(call) = before.and_then(|before| before.end_call) {
            call.cancel();
        }
    }

    /// Asks to be told of the holder's end, if there is a waiter and this was not asked yet.
    fn watch(self: &Arc<Self>) {
        let state = self.state.lock();
        let Some(holder) = &state.holder else {
            return;
        };
        if holder.end_call.is_some() || state.row.is_empty() {
            return;
        }
        let (party, acquisition) = (holder.party.clone(), holder.acquisition);
        drop(state);
        let lock = Arc::downgrade(self);
        let call = party.when_ended(move || {
            if let Some(lock) = lock.upgrade() {
                lock.holder_ended(acquisition);
            }
        });
        match call {
            Ok(call) => self.watched(acquisition, call),
            Err(Ended) => self.holder_ended(acquisition),
        }
    }

    /// Keeps the call for the release, unless that has come already.
    fn watched(&self, acquisition: u64, call: EndCall) {
        let mut state = self.state.lock();
        let unwanted = match &mut state.holder {
            // Another waiter may have asked as well.
            Some(holder) if holder.acquisition == acquisition => holder.end_call.replace(call),
            _ => Some(call),
        };
        drop(state);
        if let Some(call) = unwanted {
            call.cancel();
        }
    }

    /// Finds out whether the holder has ended, without waiting for the lock.
    fn look_for_end(&self) {
        let state = self.state.lock();
        let Some(holder) = &state.holder else {
            return;
        };
        // A holder that asks has not: its thread may be in the last destructors of its storage.
        if holder.party.id == PartyId::current() {
            return;
        }
        let (party, acquisition) = (holder.party.clone(), holder.acquisition);
        drop(state);
        match party.when_ended(|| {}) {
            Ok(call) => call.cancel(),
            Err(Ended) => self.holder_ended(acquisition),
        }
    }

    fn holder_ended(&self, acquisition: u64) {
        let mut state = self.state.lock();
        let holds = state
            .holder
            .as_ref()
            .is_some_and(|holder| holder.acquisition == acquisition);
        if !holds || state.over.is_some() {
            return;
        }
        let settled = state.end(&LockError::OwnerEnded);
        drop(state);
        row::wake(settled);
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
    pub(crate) fn leave(mut self) -> Left<Party, Result<(), LockError>> {
        match self.left() {
            Some(left) => left,
            None => unreachable!("only this takes the ticket back, and the drop"),
        }
    }

    fn left(&mut self) -> Option<Left<Party, Result<(), LockError>>> {
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
    fn each_holder(&self, _: Side, found: &mut dyn FnMut(PartyId)) {
        if !self.1.is_settled() {
            let state = self.0.state.lock();
            let holder = state.holder.as_ref().map(|holder| holder.party.id);
            drop(state);
            holder.into_iter().for_each(found);
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
/// A wait for it is like one for a mailbox: with time-outs, without a pool thread's place, and not
/// in a cycle. A panic while it is held leaves no trace but the value as it was. If the holder's
/// isolate or thread ends and its guard has leaked, the value cannot be reached any more: all
/// waiters get [`LockError::OwnerEnded`].
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
