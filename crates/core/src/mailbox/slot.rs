//! The slot of a mailbox and those who wait for it, as a pure state machine.
//!
//! It is always true that
//! - takers wait only while the slot is empty, putters only while it is full;
//! - whoever waits stands in a row, and is settled in that order: a message goes to the first
//!   taker without touching the slot, and room to the first putter, whose message moves up;
//! - who was settled finds his result under his ticket, and nobody else can take it from him.
//!
//! Every step returns the seats that it has settled, for the caller to unpark when the lock is
//! open again.

use std::collections::VecDeque;
use std::sync::Arc;

use super::error::{MailboxError, Undelivered};
use crate::blocking::Seat;

/// Of one wait in one mailbox.
pub(crate) type Ticket = u64;

/// Whose waits a step has ended.
pub(crate) type Settled = Vec<Arc<Seat>>;

pub(crate) struct Slot<T> {
    message: Option<T>,
    /// Over for good, and why.
    over: Option<MailboxError>,
    /// Bounded by the number of threads, as is the next one: each waits once.
    takers: VecDeque<(Ticket, Arc<Seat>)>,
    putters: VecDeque<(Ticket, Arc<Seat>, T)>,
    /// Of takers that have not fetched it yet.
    taken: Vec<(Ticket, Result<T, MailboxError>)>,
    /// Of putters that have not seen it yet.
    put: Vec<(Ticket, Result<(), Undelivered<T>>)>,
    next: Ticket,
}

/// What became of an attempt to put.
pub(crate) enum Putting<T> {
    Done(Settled),
    /// No room. The message comes back.
    Full(T),
    Refused(Undelivered<T>),
}

/// What became of an attempt to take.
pub(crate) enum Taking<T> {
    Done(T, Settled),
    Empty,
    Refused(MailboxError),
}

/// What was in it when it ended, to be dropped outside of the lock.
pub(crate) struct Remains<T> {
    pub(crate) settled: Settled,
    pub(super) _message: Option<T>,
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self {
            message: None,
            over: None,
            takers: VecDeque::new(),
            putters: VecDeque::new(),
            taken: Vec::new(),
            put: Vec::new(),
            next: 0,
        }
    }

    pub(crate) fn over(&self) -> Option<&MailboxError> {
        self.over.as_ref()
    }

    /// How many wait to take, and to put.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.takers.len(), self.putters.len())
    }

    /// Hands a message over, without waiting.
    pub(crate) fn put(&mut self, message: T) -> Putting<T> {
        if let Some(error) = self.over.clone() {
            return Putting::Refused(Undelivered { message, error });
        }
        if let Some((ticket, seat)) = self.takers.pop_front() {
            self.taken.push((ticket, Ok(message)));
            return Putting::Done(vec![seat]);
        }
        if self.message.is_some() {
            return Putting::Full(message);
        }
        self.message = Some(message);
        Putting::Done(Settled::new())
    }

    /// Takes the message, without waiting.
    pub(crate) fn take(&mut self) -> Taking<T> {
        let Some(message) = self.message.take() else {
            return match self.over.clone() {
                Some(error) => Taking::Refused(error),
                None => Taking::Empty,
            };
        };
        let mut settled = Settled::new();
        if let Some((ticket, seat, next)) = self.putters.pop_front() {
            self.message = Some(next);
            self.put.push((ticket, Ok(())));
            settled.push(seat);
        }
        Taking::Done(message, settled)
    }

    /// After [`put`](Self::put) found it full.
    pub(crate) fn wait_to_put(&mut self, message: T, seat: &Arc<Seat>) -> Ticket {
        let ticket = self.ticket();
        self.putters.push_back((ticket, seat.clone(), message));
        ticket
    }

    /// After [`take`](Self::take) found it empty.
    pub(crate) fn wait_to_take(&mut self, seat: &Arc<Seat>) -> Ticket {
        let ticket = self.ticket();
        self.takers.push_back((ticket, seat.clone()));
        ticket
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        self.next
    }

    /// Ends a wait to put. If it was not settled yet, the message comes back with `error`.
    pub(crate) fn stop_putting(
        &mut self,
        ticket: Ticket,
        error: MailboxError,
    ) -> Result<(), Undelivered<T>> {
        if let Some(at) = self.put.iter().position(|it| it.0 == ticket) {
            return self.put.swap_remove(at).1;
        }
        let at = self.putters.iter().position(|it| it.0 == ticket);
        match at.and_then(|at| self.putters.remove(at)) {
            Some((_, _, message)) => Err(Undelivered { message, error }),
            None => unreachable!("a ticket is used once"),
        }
    }

    /// Ends a wait to take, with `error` if it was not settled yet.
    pub(crate) fn stop_taking(
        &mut self,
        ticket: Ticket,
        error: MailboxError,
    ) -> Result<T, MailboxError> {
        if let Some(at) = self.taken.iter().position(|it| it.0 == ticket) {
            return self.taken.swap_remove(at).1;
        }
        self.takers.retain(|it| it.0 != ticket);
        Err(error)
    }

    /// It was closed: what is in it goes, whoever waits is told, and so are all who come.
    #[must_use = "what was in it is dropped outside of the lock"]
    pub(crate) fn close(&mut self) -> Remains<T> {
        let message = self.message.take();
        Remains {
            settled: self.end(&MailboxError::Closed),
            _message: message,
        }
    }

    /// Nobody else is left: whoever waits is told. What is in the slot may still be taken.
    #[must_use = "they sleep"]
    pub(crate) fn peer_died(&mut self) -> Settled {
        self.end(&MailboxError::PeerDied)
    }

    /// Somebody else is there again.
    pub(crate) fn peer_came(&mut self) {
        if self.over == Some(MailboxError::PeerDied) {
            self.over = None;
        }
    }

    fn end(&mut self, error: &MailboxError) -> Settled {
        if self.over != Some(MailboxError::Closed) {
            self.over = Some(error.clone());
        }
        let mut settled = Settled::new();
        for (ticket, seat) in self.takers.drain(..) {
            self.taken.push((ticket, Err(error.clone())));
            settled.push(seat);
        }
        for (ticket, seat, message) in self.putters.drain(..) {
            let error = error.clone();
            let refused = Undelivered { message, error };
            self.put.push((ticket, Err(refused)));
            settled.push(seat);
        }
        settled
    }
}
