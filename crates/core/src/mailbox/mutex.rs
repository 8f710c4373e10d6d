//! Locks that isolates and other threads share.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use super::error::NotHeld;
use crate::blocking::{
    Awaited, Deadline, Held, PartyId, Seat, Side, Spin, WaitError, deadline_in, wait,
};

/// A lock without a value, taken and given back by two calls, for those who cannot hold a
/// guard. A handle: its clones are the same lock.
///
/// Not recursive: to take a lock that one holds is a deadlock, and refused as one.
///
/// # Ordering
/// It is handed to whoever has waited longest.
#[derive(Clone)]
pub struct RawMutex(Arc<Lock>);

struct Lock {
    state: insula_sync::Mutex<State>,
    spin: Spin,
}

#[derive(Default)]
struct State {
    held_by: Option<PartyId>,
    /// Bounded by the number of threads: each waits once.
    waiting: VecDeque<(PartyId, Arc<Seat>)>,
}

impl State {
    /// Takes somebody out of the row, who does not wait any more. `false` if he has the lock.
    fn stop(&mut self, seat: &Arc<Seat>) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|it| !Arc::ptr_eq(&it.1, seat));
        self.waiting.len() != before
    }

    /// Hands the lock to the next one.
    fn pass_on(&mut self) -> Option<Arc<Seat>> {
        let next = self.waiting.pop_front();
        self.held_by = next.as_ref().map(|it| it.0);
        next.map(|it| it.1)
    }
}

impl RawMutex {
    /// A lock that nobody holds.
    pub fn new() -> Self {
        Self(Arc::new(Lock {
            state: insula_sync::Mutex::default(),
            spin: Spin::default(),
        }))
    }

    /// Takes the lock.
    ///
    /// # Blocking
    /// Until it is free. Spins for a moment, then parks the thread; an isolate gives its place
    /// in the pool away.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait.
    ///
    /// # Errors
    /// A [`WaitError`]; the lock is not held then.
    pub fn lock(&self) -> Result<(), WaitError> {
        self.lock_until(None)
    }

    /// As [`lock`](Self::lock), waiting for at most `timeout`.
    ///
    /// # Errors
    /// A [`WaitError`]; the lock is not held then.
    pub fn lock_timeout(&self, timeout: Duration) -> Result<(), WaitError> {
        self.lock_until(deadline_in(timeout))
    }

    /// Takes the lock if it is free, and tells whether it was.
    pub fn try_lock(&self) -> bool {
        let mut state = self.0.state.lock();
        let is_free = state.held_by.is_none();
        if is_free {
            state.held_by = Some(PartyId::current());
        }
        is_free
    }

    fn lock_until(&self, deadline: Deadline) -> Result<(), WaitError> {
        let party = PartyId::current();
        let mut state = self.0.state.lock();
        if state.held_by.is_none() {
            state.held_by = Some(party);
            return Ok(());
        }
        let seat = Seat::new();
        state.waiting.push_back((party, seat.clone()));
        drop(state);
        let waiting = Waiting(self, &seat);
        let awaited = || {
            let turn = OneTurn(self.0.clone(), seat.clone());
            (Arc::new(turn) as Arc<dyn Awaited>, Side::Requester)
        };
        let is_settled = || seat.is_settled().then_some(());
        let waited = wait(&seat, &self.0.spin, deadline, awaited, is_settled);
        let _ = std::mem::ManuallyDrop::new(waiting);
        match waited {
            // It came at the last moment.
            Err(_) if !self.0.state.lock().stop(&seat) => Ok(()),
            waited => waited,
        }
    }

    /// Gives the lock back.
    ///
    /// # Errors
    /// If it is not this isolate, or thread, that holds it.
    pub fn unlock(&self) -> Result<(), NotHeld> {
        let party = PartyId::current();
        let mut state = self.0.state.lock();
        if state.held_by != Some(party) {
            return Err(NotHeld);
        }
        let next = state.pass_on();
        drop(state);
        if let Some(next) = next {
            next.settle();
        }
        Ok(())
    }

    /// Gives it back for a guard, which may be dropped outside of the isolate that took it.
    fn release(&self) {
        let next = self.0.state.lock().pass_on();
        if let Some(next) = next {
            next.settle();
        }
    }
}

/// Takes a wait back when it is left by unwinding.
struct Waiting<'a>(&'a RawMutex, &'a Arc<Seat>);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let has_it = !self.0.0.state.lock().stop(self.1);
        if has_it {
            self.0.release();
        }
    }
}

/// One wait for a lock, as the graph sees it.
struct OneTurn(Arc<Lock>, Arc<Seat>);

impl Awaited for OneTurn {
    fn each_holder(&self, _: Side, found: &mut dyn FnMut(Held)) {
        if !self.1.is_settled() {
            let held_by = self.0.state.lock().held_by;
            held_by.map(Held::certain).into_iter().for_each(found);
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
        let (is_held, waiting) = (state.held_by.is_some(), state.waiting.len());
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
    /// A [`WaitError`].
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, WaitError> {
        self.raw.lock()?;
        Ok(self.guard())
    }

    /// As [`lock`](Self::lock), waiting for at most `timeout`.
    ///
    /// # Errors
    /// A [`WaitError`].
    pub fn lock_timeout(&self, timeout: Duration) -> Result<MutexGuard<'_, T>, WaitError> {
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
    /// A [`WaitError`].
    pub fn run_locked<R>(&self, action: impl FnOnce(&mut T) -> R) -> Result<R, WaitError> {
        Ok(action(&mut *self.lock()?))
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
