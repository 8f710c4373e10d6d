//! Locks that isolates and other threads share.
//!
//! # A holder that ends
//! A lock whose holder ends without releasing it is *abandoned*: what it protects may be half
//! changed, so its waiters and all later callers get [`LockError::HolderEnded`], until
//! [`RawMutex::recover`] frees it. An isolate that ends drops its guards first, so this happens
//! only to leaked guards and to locks without guards.
//!
//! Only a lock with waiters registers a call at its holder's end ([`Lock::watch`]): a party does so
//! when it joins the row, and a release when it hands the lock over while others wait. The call
//! carries the number of the acquisition, so a late call does nothing. The release cancels it.
//! Calls are registered and cancelled while the lock's state is not locked; the number shows
//! whether the holder has changed meanwhile. A lock without waiters needs no call: if its holder
//! has ended, the first waiter finds that out, since its call is refused. In the same way,
//! [`RawMutex::is_abandoned`] and [`RawMutex::recover`] find it out without a wait.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::error::{LockError, NotHeld};
use super::row::{self, Left, Row, Settled, Ticket};
use crate::blocking::{
    Awaited, Deadline, EndCall, Ended, Party, PartyId, Seat, Side, Spin, deadline_in, wait,
};

/// A lock without a value, acquired and released by two calls, for code that cannot hold a guard.
///
/// This is a handle: its clones refer to the same lock. The lock is not recursive: acquiring it
/// while the caller holds it is a deadlock, and is refused as one.
///
/// # Ordering
/// The lock is handed to the waiter that has waited longest.
///
/// # Cancellation
/// A waiter that gives up leaves no trace. If it was handed the lock at that moment, but a kill or
/// a panic unwinds its stack, the lock is passed on to the next waiter.
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
    /// Set while the lock cannot be acquired: closed or abandoned. The row is empty then.
    over: Option<LockError>,
    row: Row<Party, Result<(), LockError>>,
}

struct Holder {
    party: Party,
    acquisition: u64,
    /// Set soon after the first waiter has joined, until the release.
    end_call: Option<EndCall>,
}

/// The rest of a release, to be done after the state is unlocked.
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

    /// Releases the lock and hands it to the first waiter, if there is one.
    fn pass_on(&mut self) -> Released {
        let before = self.holder.take();
        if self.over == Some(LockError::HolderEnded) {
            // Either `recover` frees it, or the holder was only late: it releases the lock in a
            // destructor of its thread's storage that runs after the call at the end.
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

    /// Refuses all waiters and all later attempts.
    #[must_use = "they sleep"]
    fn end(&mut self, error: &LockError) -> Settled {
        self.over = Some(error.clone());
        self.row.settle_all(|_| Err(error.clone()))
    }
}

impl RawMutex {
    /// Creates a lock that is free.
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
    /// Blocks until the lock is free. Spins for a moment, then parks the thread; an isolate gives
    /// up its place in the pool for the wait.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait.
    ///
    /// # Errors
    /// A [`LockError`]; the lock is not held then.
    pub fn lock(&self) -> Result<(), LockError> {
        self.lock_until(None)
    }

    /// Like [`lock`](Self::lock), but waits for at most `timeout`. If the lock is handed over just
    /// as the time-out passes, it is held.
    ///
    /// # Errors
    /// A [`LockError`]; the lock is not held then.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<(), LockError> {
        self.lock_until(deadline_in(timeout))
    }

    /// Acquires the lock if it is free. Returns whether it was. A lock that is closed, or whose
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
            // The outcome wins over a time-out that has passed as well.
            (Left::Settled(outcome), _) => outcome,
            (Left::Unsettled(_), Err(error)) => Err(error.into()),
            (Left::Unsettled(_), Ok(())) => unreachable!("the seat is settled after the outcome"),
        }
    }

    /// Acquires the lock if it is free. Otherwise adds the current party to the row.
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
        // Made before `watch` is called: from here on an unwinding leaves the row.
        let waiting = Waiting {
            mutex: self,
            ticket: Some(ticket),
            seat,
        };
        self.0.watch();
        Ok(Some(waiting))
    }

    /// Releases the lock, even if it was closed.
    ///
    /// # Errors
    /// If the current isolate or thread does not hold it.
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

    /// Frees the lock if its holder ended without releasing it. Returns whether it did. What the
    /// lock protects may be in any state.
    pub fn recover(&self) -> bool {
        self.0.look_for_end();
        let mut state = self.0.state.lock();
        let is_abandoned = state.over == Some(LockError::HolderEnded);
        if is_abandoned {
            let released = state.pass_on();
            drop(state);
            self.0.after(released);
        }
        is_abandoned
    }

    /// Closes the lock: each waiter and each later attempt to acquire it gets
    /// [`LockError::Closed`]. The holder keeps the lock until it releases it.
    pub fn close(&self) {
        let settled = self.0.state.lock().end(&LockError::Closed);
        row::wake(settled);
    }

    /// Returns whether the lock was closed.
    pub fn is_closed(&self) -> bool {
        self.0.state.lock().over == Some(LockError::Closed)
    }

    /// Returns whether the holder has ended without releasing the lock. See
    /// [`LockError::HolderEnded`].
    pub fn is_abandoned(&self) -> bool {
        self.0.look_for_end();
        self.0.state.lock().over == Some(LockError::HolderEnded)
    }

    /// Releases the lock without a look at the holder: for a guard, which may be dropped outside of
    /// the isolate that acquired the lock, and for a waiter that cannot use the lock.
    fn release(&self) {
        let released = self.0.state.lock().pass_on();
        self.0.after(released);
    }
}

impl Lock {
    /// Does the rest of a release, which takes the locks of seats and parties.
    fn after(self: &Arc<Self>, released: Released) {
        let Released { before, next } = released;
        // The next holder first: it sleeps, and the lock stays unused meanwhile.
        if let Some(next) = next {
            next.settle();
            self.watch();
        }
        if let Some(call) = before.and_then(|before| before.end_call) {
            call.cancel();
        }
    }

    /// Registers a call at the holder's end, if there is a waiter and no call yet.
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
        // Weak, so that the call does not keep the lock alive.
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

    /// Stores the call, or cancels it if the lock has been released meanwhile.
    fn watched(&self, acquisition: u64, call: EndCall) {
        let mut state = self.state.lock();
        let unwanted = match &mut state.holder {
            // Another waiter may have registered a call as well, which is cancelled then.
            Some(holder) if holder.acquisition == acquisition => holder.end_call.replace(call),
            _ => Some(call),
        };
        drop(state);
        if let Some(call) = unwanted {
            call.cancel();
        }
    }

    /// Marks the lock as abandoned if its holder has ended. Does not wait for the lock.
    fn look_for_end(&self) {
        let state = self.state.lock();
        let Some(holder) = &state.holder else {
            return;
        };
        // A holder that calls this still runs, maybe in the last destructors of its thread's
        // storage, after the calls at the thread's end.
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

    /// Marks the lock as abandoned, unless it was released since that acquisition, or closed.
    fn holder_ended(&self, acquisition: u64) {
        let mut state = self.state.lock();
        let holds = state
            .holder
            .as_ref()
            .is_some_and(|holder| holder.acquisition == acquisition);
        if !holds || state.over.is_some() {
            return;
        }
        let settled = state.end(&LockError::HolderEnded);
        drop(state);
        row::wake(settled);
    }
}

/// A place in the row. If the wait is left by unwinding, a lock that was handed over at that moment
/// is passed on to the next waiter.
pub(crate) struct Waiting<'a> {
    mutex: &'a RawMutex,
    /// `None` once it was handed in.
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

/// One wait for a lock, as the graph of waits sees it.
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

/// A mutual exclusion lock with a value, shared by isolates and other threads in an `Arc`.
///
/// A wait for it is like a wait for a mailbox: it may have a time-out, gives up its place in the
/// pool, and is refused if it would close a cycle. A panic while the lock is held releases the lock
/// and leaves the value as it is; there is no poisoning. If the holder's isolate or thread ends and
/// its guard has leaked, the value cannot be reached any more: all waiters get
/// [`LockError::HolderEnded`].
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
    /// Never contended: only the holder of `raw` acquires it.
    value: insula_sync::Mutex<T>,
}

impl<T> Mutex<T> {
    /// Creates a free lock with a value.
    pub fn new(value: T) -> Self {
        Self {
            raw: RawMutex::new(),
            // User code runs while it holds this lock, and may take any other.
            value: insula_sync::Mutex::ranked(value, insula_sync::Rank::UNCHECKED),
        }
    }

    /// Acquires the lock until the guard is dropped.
    ///
    /// # Blocking
    /// Blocks like [`RawMutex::lock`].
    ///
    /// # Errors
    /// A [`LockError`].
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, LockError> {
        self.raw.lock()?;
        Ok(self.guard())
    }

    /// Like [`lock`](Self::lock), but waits for at most `timeout`.
    ///
    /// # Errors
    /// A [`LockError`].
    pub fn lock_timeout(&self, timeout: Duration) -> Result<MutexGuard<'_, T>, LockError> {
        self.raw.lock_timeout(timeout)?;
        Ok(self.guard())
    }

    /// Acquires the lock if it is free.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        // Not `then_some`: that would make the guard in any case, and its drop would release the
        // lock of another holder.
        self.raw.try_lock().then(|| self.guard())
    }

    /// Runs `action` with the value while the lock is held. Releases the lock even if it panics.
    ///
    /// # Blocking
    /// Blocks like [`RawMutex::lock`].
    ///
    /// # Errors
    /// A [`LockError`].
    pub fn run_locked<R>(&self, action: impl FnOnce(&mut T) -> R) -> Result<R, LockError> {
        Ok(action(&mut *self.lock()?))
    }

    /// Closes the lock, like [`RawMutex::close`]. The value stays, for
    /// [`into_inner`](Self::into_inner).
    pub fn close(&self) {
        self.raw.close();
    }

    /// Returns whether the lock was closed.
    pub fn is_closed(&self) -> bool {
        self.raw.is_closed()
    }

    /// Consumes the lock and returns the value.
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

/// A guard of a held [`Mutex`]. Dropping it releases the lock.
#[must_use = "dropping it gives the lock back"]
pub struct MutexGuard<'a, T> {
    /// `None` only during the drop of the guard.
    value: Option<insula_sync::MutexGuard<'a, T>>,
    mutex: &'a Mutex<T>,
}

impl<'a, T> MutexGuard<'a, T> {
    /// Releases the lock and returns it, so that it can be acquired again.
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
        // The inner lock first, so that the next holder finds it free.
        drop(self.value.take());
        self.mutex.raw.release();
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
