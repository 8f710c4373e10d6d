//! Waiting, with a lock open meanwhile, for somebody to say that something has changed.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::mutex::{MutexGuard, RawMutex};
use crate::blocking::{Awaited, Deadline, Held, Seat, Side, Spin, WaitError, deadline_in, wait};

/// Lets isolates and other threads wait until somebody notifies them.
///
/// There are no spurious wake-ups. Still, whoever was notified gets the lock behind those who
/// waited for it before, and should look whether what he waits for still holds.
///
/// # Ordering
/// Those who wait are notified in the order in which they began to.
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
///         Ok::<(), insula_core::WaitError>(())
///     },
///     (),
/// );
/// let (ready, changed) = &*shared;
/// let mut guard = ready.lock()?;
/// while !*guard {
///     guard = changed.wait(guard)?;
/// }
/// # Ok::<(), insula_core::WaitError>(())
/// ```
pub struct ConditionVariable {
    /// Bounded by the number of threads: each waits once.
    waiting: insula_sync::Mutex<VecDeque<Arc<Seat>>>,
    spin: Spin,
}

/// Anybody may notify, so that nobody in particular is waited for.
struct Notification;

impl Awaited for Notification {
    fn each_holder(&self, _: Side, _: &mut dyn FnMut(Held)) {}
}

impl ConditionVariable {
    /// One that nobody waits for.
    pub fn new() -> Self {
        Self {
            waiting: insula_sync::Mutex::default(),
            spin: Spin::default(),
        }
    }

    /// Gives the lock back, waits for a notification, and takes the lock again. A notification
    /// between the first two is not lost.
    ///
    /// # Blocking
    /// As [`RawMutex::lock`], twice.
    ///
    /// # Errors
    /// A [`WaitError`]; the lock is not held then.
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> Result<MutexGuard<'a, T>, WaitError> {
        let seat = self.enqueue();
        let mutex = guard.leave();
        self.notified(&seat, None)?;
        self.relock(true, || mutex.lock())
    }

    /// As [`wait`](Self::wait), for at most `timeout`, and tells whether there was a
    /// notification.
    ///
    /// # Errors
    /// As for `wait`. Without a notification the lock is taken again.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> Result<(MutexGuard<'a, T>, bool), WaitError> {
        let seat = self.enqueue();
        let mutex = guard.leave();
        let notified = self.notified(&seat, deadline_in(timeout))?;
        let guard = self.relock(notified, || mutex.lock())?;
        Ok((guard, notified))
    }

    /// As [`wait`](Self::wait) and [`wait_timeout`](Self::wait_timeout), for a lock without a
    /// guard. If the lock is not held, this waits all the same, and holds it afterwards.
    ///
    /// # Errors
    /// As for `wait`.
    pub fn wait_raw(&self, mutex: &RawMutex, timeout: Option<Duration>) -> Result<bool, WaitError> {
        let seat = self.enqueue();
        // That of somebody else is left alone.
        let _ = mutex.unlock();
        let notified = self.notified(&seat, timeout.and_then(deadline_in))?;
        self.relock(notified, || mutex.lock())?;
        Ok(notified)
    }

    fn relock<R>(
        &self,
        notified: bool,
        lock: impl FnOnce() -> Result<R, WaitError>,
    ) -> Result<R, WaitError> {
        // Made only if there is a notification to pass on: dropping it notifies.
        let waking = notified.then(|| Waking(self));
        let locked = lock()?;
        if let Some(waking) = waking {
            waking.over();
        }
        Ok(locked)
    }

    fn enqueue(&self) -> Arc<Seat> {
        let seat = Seat::new();
        self.waiting.lock().push_back(seat.clone());
        seat
    }

    /// Waits in the row. `false` if the time was over first.
    fn notified(&self, seat: &Arc<Seat>, deadline: Deadline) -> Result<bool, WaitError> {
        let in_row = InRow(self, seat);
        let awaited = || (Arc::new(Notification) as Arc<dyn Awaited>, Side::Requester);
        let is_settled = || seat.is_settled().then_some(());
        let waited = wait(seat, &self.spin, deadline, awaited, is_settled);
        match (in_row.leave(), waited) {
            (false, _) => Ok(true),
            (true, Err(error)) if error != WaitError::TimedOut => Err(error),
            (true, _) => Ok(false),
        }
    }

    /// Wakes the one who has waited longest, if anybody waits.
    pub fn notify(&self) {
        let first = self.waiting.lock().pop_front();
        if let Some(seat) = first {
            seat.settle();
        }
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        let all = std::mem::take(&mut *self.waiting.lock());
        for seat in all {
            seat.settle();
        }
    }
}

/// A place in the row.
struct InRow<'a>(&'a ConditionVariable, &'a Arc<Seat>);

impl InRow<'_> {
    /// `false` if it was notified, and so is not in the row any more.
    fn leave(self) -> bool {
        std::mem::ManuallyDrop::new(self).remove()
    }

    fn remove(&self) -> bool {
        let mut waiting = self.0.waiting.lock();
        let before = waiting.len();
        waiting.retain(|seat| !Arc::ptr_eq(seat, self.1));
        waiting.len() != before
    }
}

/// The wait is left by unwinding: a notification that it got goes to the next one.
impl Drop for InRow<'_> {
    fn drop(&mut self) {
        if !self.remove() {
            self.0.notify();
        }
    }
}

/// A notification on its way to somebody who has yet to get the lock. If he does not, it goes to
/// the next one.
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
        let waiting = self.waiting.lock().len();
        f.debug_struct("ConditionVariable")
            .field("waiting", &waiting)
            .finish_non_exhaustive()
    }
}
