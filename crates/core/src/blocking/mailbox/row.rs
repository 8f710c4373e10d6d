//! A row: a queue of waiters for one thing, in the order in which they began to wait.
//!
//! A waiter joins the row with its seat and a value, and gets a ticket. It is *settled* when its
//! outcome is decided: it is taken from the queue, the outcome is kept under its ticket, and its
//! seat is returned, for the caller to settle after it has released the lock. Each waiter hands
//! its ticket in once, even if a time-out, a kill or a panic ends its wait: it gets its outcome if
//! there is one, otherwise its value back. All of this is done under the lock, so a waiter that
//! gives up either leaves no trace, or knows what it was given and passes that on.
//!
//! Each step takes O(log n) for n waiters. Nothing stays of a waiter that has left.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::blocking::Seat;

/// The number of one wait. Never reused: 64 bits do not run out.
pub(crate) type Ticket = u64;

/// The seats of the waits that a step has ended.
pub(crate) type Settled = Vec<Arc<Seat>>;

/// Waiters that brought a `W` each, and get an outcome of type `R`.
pub(crate) struct Row<W, R> {
    next: Ticket,
    /// Bounded by the number of threads, as `outcomes` is: each thread waits once, apart from the
    /// nested waits of code that a control message runs inside of a wait.
    waiting: BTreeMap<Ticket, (Arc<Seat>, W)>,
    /// The outcomes of waiters that have been settled and have not left yet.
    outcomes: BTreeMap<Ticket, R>,
}

/// The result of handing in a ticket.
pub(crate) enum Left<W, R> {
    /// The outcome of the waiter.
    Settled(R),
    /// No outcome was decided yet. Gives back the value that the waiter brought.
    Unsettled(W),
}

impl<W, R> Row<W, R> {
    pub(crate) fn new() -> Self {
        Self {
            next: 0,
            waiting: BTreeMap::new(),
            outcomes: BTreeMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts a waiter at the end of the row.
    pub(crate) fn join(&mut self, seat: &Arc<Seat>, brought: W) -> Ticket {
        self.next += 1;
        self.waiting.insert(self.next, (seat.clone(), brought));
        self.next
    }

    /// Decides the outcome of the first waiter, if there is one.
    #[must_use = "it sleeps until its seat is settled"]
    pub(crate) fn settle_first(&mut self, outcome: impl FnOnce(W) -> R) -> Option<Arc<Seat>> {
        let (ticket, (seat, brought)) = self.waiting.pop_first()?;
        self.outcomes.insert(ticket, outcome(brought));
        Some(seat)
    }

    /// Decides the outcome of all waiters.
    #[must_use = "they sleep until their seats are settled"]
    pub(crate) fn settle_all(&mut self, mut outcome: impl FnMut(W) -> R) -> Settled {
        let mut settled = Settled::with_capacity(self.waiting.len());
        for (ticket, (seat, brought)) in std::mem::take(&mut self.waiting) {
            self.outcomes.insert(ticket, outcome(brought));
            settled.push(seat);
        }
        settled
    }

    /// Takes the ticket of a wait that has ended, for whatever reason. Called once per ticket.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Left<W, R> {
        if let Some(outcome) = self.outcomes.remove(&ticket) {
            return Left::Settled(outcome);
        }
        match self.waiting.remove(&ticket) {
            Some((_, brought)) => Left::Unsettled(brought),
            None => unreachable!("a ticket is taken back once"),
        }
    }
}

/// Wakes waiters that were settled. Called after the lock is released.
pub(super) fn wake(settled: impl IntoIterator<Item = Arc<Seat>>) {
    for seat in settled {
        seat.settle();
    }
}
