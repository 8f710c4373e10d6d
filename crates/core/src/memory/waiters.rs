//! The wakers of all waiters for one thing, in the order in which they began to wait.
//!
//! Each waiter keeps a [`Ticket`]. With it the waiter replaces its waker when it is polled again,
//! and removes the waker when it gives up. Both take O(log n) steps, and a waiter that gave up
//! leaves nothing behind.
//!
//! Wakers are foreign code. The methods here only move them, so they can be called under a lock;
//! the caller drops or wakes what they return after it has released the lock.

use std::collections::BTreeMap;
use std::task::Waker;

use crate::panic;

/// A waiter's place in the queue; none before its first wait.
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
    /// Queues a waiter at the end, or at its previous place if it has a ticket. Returns the waker
    /// that it had there, unless that was woken.
    pub(crate) fn wait(&mut self, ticket: &mut Ticket, waker: Waker) -> Option<Waker> {
        let place = *ticket.0.get_or_insert_with(|| {
            self.next += 1;
            self.next
        });
        self.wakers.insert(place, waker)
    }

    /// Returns the number of waiters.
    pub(crate) fn len(&self) -> usize {
        self.wakers.len()
    }

    /// Removes a waiter from the queue. Returns `None` if it is not queued, because it was woken.
    pub(crate) fn forget(&mut self, ticket: &mut Ticket) -> Option<Waker> {
        self.wakers.remove(&ticket.0.take()?)
    }

    /// Removes the first waiter.
    pub(crate) fn pop(&mut self) -> Option<Waker> {
        self.wakers.pop_first().map(|(_, waker)| waker)
    }

    /// Removes the first `count` waiters, or as many as there are.
    pub(crate) fn take(&mut self, count: usize) -> Woken {
        if count >= self.wakers.len() {
            return self.take_all();
        }
        Woken((0..count).map_while(|_| self.wakers.pop_first()).collect())
    }

    /// Removes all waiters.
    pub(crate) fn take_all(&mut self) -> Woken {
        Woken(std::mem::take(&mut self.wakers))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.is_empty()
    }
}

impl Ticket {
    /// Returns whether the waiter has been queued, and not forgotten since.
    pub(crate) fn is_some(&self) -> bool {
        self.0.is_some()
    }
}

/// Wakers to wake once every lock is released.
#[derive(Default)]
#[must_use = "they wait until they are woken"]
pub(crate) struct Woken(BTreeMap<u64, Waker>);

impl Woken {
    /// Wakes them in order. A waker that panics does not keep the others from being woken.
    pub(crate) fn wake(self) {
        for waker in self.0.into_values() {
            panic::contain(|| waker.wake());
        }
    }
}
