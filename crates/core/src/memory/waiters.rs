//! Wakers of those who wait for one thing, in the order in which they began to wait.
//!
//! Each waiter keeps a [`Ticket`]: it finds its waker again by it, to exchange it when it is
//! polled once more, and takes it back when it gives up. Both take O(log n) steps however many
//! wait, and nothing of a waiter that gave up stays.
//!
//! Wakers are foreign code. The methods here only move them, so that they can be called under a
//! lock; what they return is dropped, or woken, after the lock is released.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::panic;

/// A waiter's place in the row. A new one has none yet.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

#[derive(Default)]
pub(crate) struct Waiters {
    /// Bounded by the number of waiters, each of which is a live future.
    wakers: BTreeMap<u64, Waker>,
    /// 64 bits do not run out.
    next: u64,
}

impl Waiters {
    /// Puts a waiter at the end of the row, and one that has a ticket to where it stood.
    /// Returns the waker that it had there, unless that was woken.
    pub(crate) fn wait(&mut self, ticket: &mut Ticket, waker: Waker) -> Option<Waker> {
        let place = *ticket.0.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.wakers.insert(place, waker)
    }

    /// Takes a waiter out of the row. `None` if it is not in there: it has been woken.
    pub(crate) fn forget(&mut self, ticket: &mut Ticket) -> Option<Waker> {
        self.wakers.remove(&ticket.0.take()?)
    }

    /// Takes the first one out of the row.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        self.wakers.pop_first().map(|(_, waker)| waker)
    }

    /// Takes the first `count` out of the row, or as many as there are.
    pub(crate) fn take(&mut self, count: usize) -> Woken {
        if count >= self.wakers.len() {
            return self.take_all();
        }
        Woken((0..count).map_while(|_| self.wakers.pop_first()).collect())
    }

    /// Takes all out of the row.
    pub(crate) fn take_all(&mut self) -> Woken {
        Woken(std::mem::take(&mut self.wakers))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }
}

impl Ticket {
    /// Whether it was ever in a row and has not been forgotten.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// Waiters that are to be woken, outside of every lock.
#[derive(Default)]
#[must_use = "they wait until they are woken"]
pub(crate) struct Woken(BTreeMap<u64, Waker>);

impl Woken {
    /// Wakes them in order. One that panics keeps none of the others from being woken.
    pub(crate) fn wake(self) {
        for waker in self.0.into_values() {
            panic::contain(|| waker.wake());
        }
    }
}
