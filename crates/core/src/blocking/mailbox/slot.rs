//! The slot of a mailbox and its waiters, as a pure state machine.
//!
//! Invariants:
//! - takers wait only while there is no message, putters only while there is no room;
//! - waiters are settled in the order of their [`Row`]: a message is handed to the first taker
//!   without touching the slot, and the message of the first putter moves into a slot with room;
//! - a waiter that was settled finds its result under its ticket, and no other can take it;
//! - a message that was handed to a taker that cannot use it (a kill unwinds its wait) is passed
//!   on to the next taker. If there is none it is *returned*: it is taken before the message in
//!   the slot, since it was put before.
//!
//! Each step returns the seats of the waiters that it has settled. The caller wakes them after it
//! has released the lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::error::{MailboxError, Undelivered};
use super::row::{Left, Row, Settled, Ticket};
use crate::blocking::Seat;

pub(crate) struct Slot<T> {
    message: Option<T>,
    /// Messages of takers that could not use them, by ticket. Bounded by the number of takers:
    /// while there is one, nothing is put and no taker waits.
    returned: BTreeMap<Ticket, T>,
    /// `Closed` once the mailbox was closed; otherwise `PeerDied` while no other party is left.
    over: Option<MailboxError>,
    takers: Row<(), Result<T, MailboxError>>,
    putters: Row<T, Result<(), Undelivered<T>>>,
}

/// The result of an attempt to put.
pub(crate) enum Putting<T> {
    Done(Settled),
    /// There is no room. Gives the message back.
    Full(T),
    Refused(Undelivered<T>),
}

/// The result of an attempt to take.
pub(crate) enum Taking<T> {
    Done(T, Settled),
    Empty,
    Refused(MailboxError),
}

/// The waiters and the messages of a slot that was closed. To be dropped after the lock is
/// released, since the destructor of a message is foreign code.
pub(crate) struct Remains<T> {
    pub(crate) settled: Settled,
    pub(super) _messages: (Option<T>, BTreeMap<Ticket, T>),
}

impl<T> Slot<T> {
    pub(crate) fn new() -> Self {
        Self {
            message: None,
            returned: BTreeMap::new(),
            over: None,
            takers: Row::new(),
            putters: Row::new(),
        }
    }

    pub(crate) fn over(&self) -> Option<&MailboxError> {
        self.over.as_ref()
    }

    /// Returns the numbers of waiting takers and putters.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        (self.takers.len(), self.putters.len())
    }

    /// Returns whether there is no room.
    pub(crate) fn is_full(&self) -> bool {
        self.message.is_some() || !self.returned.is_empty()
    }

    /// Puts a message without waiting.
    pub(crate) fn put(&mut self, message: T) -> Putting<T> {
        if let Some(error) = self.over.clone() {
            return Putting::Refused(Undelivered { message, error });
        }
        match self.hand_over(message) {
            Ok(seat) => Putting::Done(vec![seat]),
            Err(message) if self.is_full() => Putting::Full(message),
            Err(message) => {
                self.message = Some(message);
                Putting::Done(Settled::new())
            }
        }
    }

    /// Hands a message to the first taker. Gives it back if no taker waits.
    fn hand_over(&mut self, message: T) -> Result<Arc<Seat>, T> {
        if self.takers.is_empty() {
            return Err(message);
        }
        match self.takers.settle_first(|()| Ok(message)) {
            Some(seat) => Ok(seat),
            None => unreachable!("there is a taker"),
        }
    }

    /// Takes the message without waiting.
    pub(crate) fn take(&mut self) -> Taking<T> {
        let returned = self.returned.pop_first().map(|(_, message)| message);
        let Some(message) = returned.or_else(|| self.message.take()) else {
            return match self.over.clone() {
                Some(error) => Taking::Refused(error),
                None => Taking::Empty,
            };
        };
        let mut settled = Settled::new();
        // Another returned message may still take up the room.
        if !self.is_full() {
            let Self {
                putters, message, ..
            } = self;
            settled.extend(putters.settle_first(|next| {
                *message = Some(next);
                Ok(())
            }));
        }
        Taking::Done(message, settled)
    }

    /// Queues a putter, after [`put`](Self::put) has returned `Full`.
    pub(crate) fn wait_to_put(&mut self, message: T, seat: &Arc<Seat>) -> Ticket {
        self.putters.join(seat, message)
    }

    /// Queues a taker, after [`take`](Self::take) has returned `Empty`.
    pub(crate) fn wait_to_take(&mut self, seat: &Arc<Seat>) -> Ticket {
        self.takers.join(seat, ())
    }

    /// Ends a wait to put. If it was not settled yet, gives the message back with `error`.
    pub(crate) fn stop_putting(
        &mut self,
        ticket: Ticket,
        error: MailboxError,
    ) -> Result<(), Undelivered<T>> {
        match self.putters.leave(ticket) {
            Left::Settled(result) => result,
            Left::Unsettled(message) => Err(Undelivered { message, error }),
        }
    }

    /// Ends a wait to take, with `error` if it was not settled yet.
    pub(crate) fn stop_taking(
        &mut self,
        ticket: Ticket,
        error: MailboxError,
    ) -> Result<T, MailboxError> {
        match self.takers.leave(ticket) {
            Left::Settled(result) => result,
            Left::Unsettled(()) => Err(error),
        }
    }

    /// Ends the wait of a taker that cannot use a message. If it was handed one, the message is
    /// passed on to the next taker, or given back to be dropped if the mailbox was closed.
    pub(crate) fn abandon_taking(&mut self, ticket: Ticket) -> (Option<T>, Settled) {
        let Left::Settled(Ok(message)) = self.takers.leave(ticket) else {
            return (None, Settled::new());
        };
        // A closed mailbox keeps no messages.
        if self.over == Some(MailboxError::Closed) {
            return (Some(message), Settled::new());
        }
        match self.hand_over(message) {
            Ok(seat) => (None, vec![seat]),
            Err(message) => {
                self.returned.insert(ticket, message);
                (None, Settled::new())
            }
        }
    }

    /// Closes the slot: takes its messages out, and refuses all waiters and all later uses.
    #[must_use = "what was in it is dropped outside of the lock"]
    pub(crate) fn close(&mut self) -> Remains<T> {
        let messages = (self.message.take(), std::mem::take(&mut self.returned));
        Remains {
            settled: self.end(&MailboxError::Closed),
            _messages: messages,
        }
    }

    /// Notes that no other party is left, and refuses the waiters. The messages can still be taken.
    #[must_use = "they sleep"]
    pub(crate) fn peer_died(&mut self) -> Settled {
        self.end(&MailboxError::PeerDied)
    }

    /// Notes that there is another party again.
    pub(crate) fn peer_came(&mut self) {
        if self.over == Some(MailboxError::PeerDied) {
            self.over = None;
        }
    }

    fn end(&mut self, error: &MailboxError) -> Settled {
        // `Closed` is final, also if the last other party goes afterwards.
        if self.over != Some(MailboxError::Closed) {
            self.over = Some(error.clone());
        }
        let mut settled = self.takers.settle_all(|()| Err(error.clone()));
        settled.extend(self.putters.settle_all(|message| {
            let error = error.clone();
            Err(Undelivered { message, error })
        }));
        settled
    }
}
