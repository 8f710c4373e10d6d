//! A mutex and a condition variable that ignore poisoning.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use crate::rank::{Held, Rank};

/// Locks that know no poisoning: there is no look at the thread's panics in each lock and unlock.
#[cfg(not(any(loom, miri)))]
mod imp {
    use std::time::Duration;

    pub(super) use parking_lot::{Condvar, Mutex, MutexGuard};

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock()
    }

    pub(super) fn wait<'a, T>(
        condvar: &Condvar,
        mut guard: MutexGuard<'a, T>,
    ) -> MutexGuard<'a, T> {
        condvar.wait(&mut guard);
        guard
    }

    pub(super) fn wait_timeout<'a, T>(
        condvar: &Condvar,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        condvar.wait_for(&mut guard, timeout);
        guard
    }

    pub(super) fn get_mut<T>(mutex: &mut Mutex<T>) -> &mut T {
        mutex.get_mut()
    }

    pub(super) fn into_inner<T>(mutex: Mutex<T>) -> T {
        mutex.into_inner()
    }
}

/// The locks of loom, and for Miri those of std, whose poisoning is ignored. Miri refuses the system
/// call by which `parking_lot` waits.
#[cfg(any(loom, miri))]
mod imp {
    use std::sync::PoisonError;
    #[cfg(not(loom))]
    pub(super) use std::sync::{Condvar, Mutex, MutexGuard};
    use std::time::Duration;

    #[cfg(loom)]
    pub(super) use loom::sync::{Condvar, Mutex, MutexGuard};

    pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'a, T>(condvar: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        condvar.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait_timeout<'a, T>(
        condvar: &Condvar,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        let waited = condvar.wait_timeout(guard, timeout);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn get_mut<T>(mutex: &mut Mutex<T>) -> &mut T {
        mutex.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn into_inner<T>(mutex: Mutex<T>) -> T {
        mutex.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guard of a [`Mutex`]. Dropping it releases the lock.
pub struct MutexGuard<'a, T> {
    inner: imp::MutexGuard<'a, T>,
    /// After `inner`, so that the lock is released first.
    held: Held,
}

/// A mutex around a value.
///
/// # Blocking
/// [`lock`](Self::lock) blocks in the kernel while another thread holds the lock.
pub struct Mutex<T> {
    #[cfg(all(debug_assertions, not(loom)))]
    rank: Rank,
    inner: imp::Mutex<T>,
}

impl<T> Mutex<T> {
    /// Creates an unlocked mutex under which no other lock is taken.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self::ranked(value, Rank::LEAF)
    }

    /// Creates an unlocked mutex. Not `const`, because loom's is not.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self::ranked(value, Rank::LEAF)
    }

    /// Creates an unlocked mutex with a place in the order of locks.
    #[cfg(not(loom))]
    pub const fn ranked(value: T, rank: Rank) -> Self {
        #[cfg(not(debug_assertions))]
        let _ = rank;
        Self {
            #[cfg(debug_assertions)]
            rank,
            inner: imp::Mutex::new(value),
        }
    }

    /// Creates an unlocked mutex. Loom finds deadlocks itself, and needs no rank.
    #[cfg(loom)]
    pub fn ranked(value: T, _rank: Rank) -> Self {
        Self {
            inner: imp::Mutex::new(value),
        }
    }

    /// Acquires the lock, and blocks until it is free.
    ///
    /// # Panics
    /// In debug builds, if the thread holds a lock under which this one may not be taken.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.lock_after(Held::enter(self.rank()))
    }

    /// Acquires the lock, where the thread may hold another lock of the same rank. The caller
    /// must take such locks in one order.
    ///
    /// # Panics
    /// In debug builds, if the thread holds a lock under which this one may not be taken.
    #[inline]
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn lock_beside(&self) -> MutexGuard<'_, T> {
        self.lock_after(Held::enter_beside(self.rank()))
    }

    #[inline]
    fn lock_after(&self, held: Held) -> MutexGuard<'_, T> {
        let inner = imp::lock(&self.inner);
        MutexGuard { inner, held }
    }

    #[cfg(all(debug_assertions, not(loom)))]
    fn rank(&self) -> Rank {
        self.rank
    }

    #[cfg(not(all(debug_assertions, not(loom))))]
    #[expect(
        clippy::unused_self,
        reason = "the rank is that of the lock in debug builds"
    )]
    fn rank(&self) -> Rank {
        Rank::LEAF
    }

    /// Returns the value without locking, since no other reference to the mutex exists.
    pub fn get_mut(&mut self) -> &mut T {
        imp::get_mut(&mut self.inner)
    }

    /// Consumes the mutex and returns its value.
    pub fn into_inner(self) -> T {
        imp::into_inner(self.inner)
    }
}

impl<T: fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

/// A condition variable for a [`Mutex`].
#[derive(Debug, Default)]
pub struct Condvar(imp::Condvar);

impl Condvar {
    /// Creates a condition variable.
    pub fn new() -> Self {
        Self(imp::Condvar::new())
    }

    /// Releases the lock, blocks until a notification and acquires the lock again. May wake
    /// without a notification, so the caller checks its condition in a loop.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        // The rank stays held: the thread takes no other lock while it waits, and holds this one
        // again when it returns.
        let MutexGuard { inner, held } = guard;
        let inner = imp::wait(&self.0, inner);
        MutexGuard { inner, held }
    }

    /// Like [`wait`](Self::wait), but blocks for at most `timeout`.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        let MutexGuard { inner, held } = guard;
        let inner = imp::wait_timeout(&self.0, inner, timeout);
        MutexGuard { inner, held }
    }

    /// Wakes one waiter.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}
