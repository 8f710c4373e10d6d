//! Slots, which allow one operation at a time on an open file, listing or filter.
//!
//! The slot holds the open value. An operation takes it out as a [`Lease`], and the lease puts it
//! back when the operation is over, even if its future was dropped. So an abandoned operation
//! keeps the file busy until it has ended, and a second one cannot start.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use insula_sync::Mutex;

use crate::IoError;

pub(crate) struct Slot<T>(Mutex<State<T>>);

enum State<T> {
    Here(T),
    Away,
    Closed,
}

impl<T> Slot<T> {
    pub(crate) fn new(value: T) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::Here(value))))
    }

    /// Takes the open value out, for one operation.
    pub(crate) fn lease(self: &Arc<Self>) -> Result<Lease<T>, IoError> {
        let mut state = self.0.lock();
        // Replaced in any state, since only this moves the value out; `Closed` is put back below.
        match std::mem::replace(&mut *state, State::Away) {
            State::Here(value) => Ok(Lease {
                value: Some(value),
                slot: self.clone(),
            }),
            State::Away => Err(IoError::Pending),
            State::Closed => {
                *state = State::Closed;
                Err(IoError::Closed)
            }
        }
    }

    fn put(&self, next: State<T>) {
        // The old state is dropped after the lock is released.
        let before = std::mem::replace(&mut *self.0.lock(), next);
        drop(before);
    }
}

/// The right to the one operation that an open file, listing or filter may have at a time.
/// Dropping it gives the right back.
pub struct Lease<T> {
    /// `None` only while the lease is being dropped or closed.
    value: Option<T>,
    slot: Arc<Slot<T>>,
}

impl<T> Lease<T> {
    /// Closes the slot and returns the open value.
    pub(crate) fn close(mut self) -> Option<T> {
        // The drop then finds no value, and closes the slot.
        self.value.take()
    }
}

impl<T> Drop for Lease<T> {
    fn drop(&mut self) {
        let next = self.value.take().map_or(State::Closed, State::Here);
        self.slot.put(next);
    }
}

#[expect(
    clippy::expect_used,
    reason = "the value is there until the lease is consumed"
)]
impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a lease holds its value")
    }
}

#[expect(
    clippy::expect_used,
    reason = "the value is there until the lease is consumed"
)]
impl<T> DerefMut for Lease<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a lease holds its value")
    }
}

impl<T> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease(..)")
    }
}
