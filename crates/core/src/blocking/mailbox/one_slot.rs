//! The one-slot mailbox.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::error::{MailboxError, Undelivered};
use super::row::{self, Settled, Ticket};
use super::slot::{Putting, Slot, Taking};
use crate::blocking::{
    Awaited, Deadline, EndCall, Ended, Holder, Party, PartyId, Seat, Side, Spin, WaitError,
    deadline_in, wait,
};
use crate::inspect::{ListedMailbox, Listing, MAILBOXES, MailboxKind, MailboxSnapshot};

/// A mailbox with one slot, for any number of parties that put messages in and take them out.
///
/// Each party has a handle of its own, a clone, and the mailbox knows its parties by their handles.
/// When all handles but one are gone, the waits of the last party end with `PeerDied`; a message
/// that is left in the slot can be taken first. (A mailbox that was never cloned is shared by
/// reference, so it is not known how many parties are left.)
///
/// # Ordering
/// Messages are taken in the order in which they were put, and putters and takers are served in
/// the order in which they began to wait.
///
/// ```
/// use insula_core::{Mailbox, MailboxError};
///
/// let mailbox = Mailbox::new();
/// let other = mailbox.clone();
/// let thread = std::thread::spawn(move || other.put(vec![1, 2, 3]));
/// assert_eq!(mailbox.take()?, [1, 2, 3]);
/// assert!(thread.join().is_ok_and(|put| put.is_ok()));
/// assert_eq!(mailbox.take(), Err(MailboxError::PeerDied));
/// # Ok::<(), MailboxError>(())
/// ```
pub struct Mailbox<T: Send + 'static> {
    shared: Arc<Shared<T>>,
    /// The number of this handle.
    handle: u64,
    /// The holder of this handle.
    holder: Arc<Holder>,
    /// The call that gives this handle up when its holder ends.
    end_call: insula_sync::Mutex<Option<EndCall>>,
}

struct Shared<T> {
    state: insula_sync::Mutex<State<T>>,
    taking: Spin,
    putting: Spin,
    opened_at: &'static Location<'static>,
    listing: Listing<dyn ListedMailbox>,
}

struct State<T> {
    slot: Slot<T>,
    /// The holder of each handle, by the handle's number. Bounded by the handles.
    holders: BTreeMap<u64, Arc<Holder>>,
    /// The number of the last handle. 64 bits do not run out.
    last: u64,
}

impl<T> State<T> {
    fn add(&mut self) -> (u64, Arc<Holder>) {
        let holder = Arc::new(Holder::unknown());
        self.last += 1;
        self.holders.insert(self.last, holder.clone());
        (self.last, holder)
    }

    /// Removes a handle. If one handle is left, its waits end.
    fn remove(&mut self, handle: u64) -> Settled {
        if self.holders.remove(&handle).is_some() && self.holders.len() == 1 {
            self.slot.peer_died()
        } else {
            Settled::new()
        }
    }
}

impl<T: Send + 'static> Mailbox<T> {
    /// Creates an empty mailbox.
    #[track_caller]
    pub fn new() -> Self {
        let mut state = State {
            slot: Slot::new(),
            holders: BTreeMap::new(),
            last: 0,
        };
        let (handle, holder) = state.add();
        let shared = Arc::new(Shared {
            state: insula_sync::Mutex::new(state),
            taking: Spin::default(),
            putting: Spin::default(),
            opened_at: Location::caller(),
            listing: Listing::new(&MAILBOXES),
        });
        let listed: Weak<Shared<T>> = Arc::downgrade(&shared);
        shared.listing.enter(listed);
        Self {
            shared,
            handle,
            holder,
            end_call: insula_sync::Mutex::new(None),
        }
    }

    /// Puts a message in. Waits for room if the slot is full.
    ///
    /// # Blocking
    /// Blocks until there is room. Spins for a moment, then parks the thread; an isolate gives up
    /// its place in the pool for the wait.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait, and the message is not put.
    ///
    /// # Errors
    /// `Closed`, `PeerDied` and the errors of every wait, with the message.
    pub fn put(&self, message: T) -> Result<(), Undelivered<T>> {
        self.put_until(message, None)
    }

    /// Like [`put`](Self::put), but waits for at most `timeout`.
    ///
    /// # Errors
    /// As for `put`, and `TimedOut`.
    pub fn put_timeout(&self, message: T, timeout: Duration) -> Result<(), Undelivered<T>> {
        self.put_until(message, deadline_in(timeout))
    }

    /// Puts a message in if there is room.
    ///
    /// # Errors
    /// `Full`, `Closed` and `PeerDied`, with the message.
    pub fn try_put(&self, message: T) -> Result<(), Undelivered<T>> {
        self.holder.used();
        // Two statements: waiters are woken after the lock is released.
        let putting = self.shared.state.lock().slot.put(message);
        match putting {
            Putting::Done(settled) => {
                row::wake(settled);
                Ok(())
            }
            Putting::Full(message) => Err(Undelivered {
                message,
                error: MailboxError::Full,
            }),
            Putting::Refused(refused) => Err(refused),
        }
    }

    fn put_until(&self, message: T, deadline: Deadline) -> Result<(), Undelivered<T>> {
        self.holder.used();
        let mut state = self.shared.state.lock();
        let message = match state.slot.put(message) {
            Putting::Done(settled) => {
                drop(state);
                row::wake(settled);
                return Ok(());
            }
            Putting::Refused(refused) => return Err(refused),
            Putting::Full(message) => message,
        };
        let seat = Seat::new();
        let ticket = state.slot.wait_to_put(message, &seat);
        drop(state);
        // From here on an unwinding leaves the row.
        let waiting = Waiting {
            shared: &self.shared,
            ticket,
            stop: |slot, ticket| {
                // The error is not seen: a wait that unwinds returns nothing.
                Stopped::Put(slot.stop_putting(ticket, MailboxError::Wait(WaitError::TimedOut)))
            },
        };
        let waited = self.wait(&seat, &self.shared.putting, deadline);
        waiting.over();
        // The error counts only if the wait was not settled; otherwise the ticket has the result.
        let error = waited.err().unwrap_or(WaitError::TimedOut).into();
        self.shared.state.lock().slot.stop_putting(ticket, error)
    }

    /// Takes the message out. Waits for one if the slot is empty.
    ///
    /// # Blocking
    /// Blocks like [`put`](Self::put), until there is a message.
    ///
    /// # Cancellation
    /// A kill of the waiting isolate unwinds out of the wait. A message that was handed to it at
    /// that moment is passed on to the next taker, or stays in the mailbox.
    ///
    /// # Errors
    /// `Closed`, `PeerDied` and the errors of every wait.
    pub fn take(&self) -> Result<T, MailboxError> {
        self.take_until(None)
    }

    /// Like [`take`](Self::take), but waits for at most `timeout`.
    ///
    /// # Errors
    /// As for `take`, and `TimedOut`.
    pub fn take_timeout(&self, timeout: Duration) -> Result<T, MailboxError> {
        self.take_until(deadline_in(timeout))
    }

    /// Takes the message out if there is one.
    ///
    /// # Errors
    /// `Empty`, `Closed` and `PeerDied`.
    pub fn try_take(&self) -> Result<T, MailboxError> {
        self.holder.used();
        let taking = self.shared.state.lock().slot.take();
        match taking {
            Taking::Done(message, settled) => {
                row::wake(settled);
                Ok(message)
            }
            Taking::Empty => Err(MailboxError::Empty),
            Taking::Refused(error) => Err(error),
        }
    }

    fn take_until(&self, deadline: Deadline) -> Result<T, MailboxError> {
        self.holder.used();
        let mut state = self.shared.state.lock();
        match state.slot.take() {
            Taking::Done(message, settled) => {
                drop(state);
                row::wake(settled);
                return Ok(message);
            }
            Taking::Refused(error) => return Err(error),
            Taking::Empty => {}
        }
        let seat = Seat::new();
        let ticket = state.slot.wait_to_take(&seat);
        drop(state);
        // As in `put_until`.
        let waiting = Waiting {
            shared: &self.shared,
            ticket,
            stop: |slot, ticket| Stopped::Take(slot.abandon_taking(ticket)),
        };
        let waited = self.wait(&seat, &self.shared.taking, deadline);
        waiting.over();
        let error = waited.err().unwrap_or(WaitError::TimedOut).into();
        self.shared.state.lock().slot.stop_taking(ticket, error)
    }

    fn wait(&self, seat: &Arc<Seat>, spin: &Spin, deadline: Deadline) -> Result<(), WaitError> {
        let awaited = || {
            let turn = OneTurn {
                shared: self.shared.clone(),
                seat: seat.clone(),
                own: self.holder.clone(),
            };
            (Arc::new(turn) as Arc<dyn Awaited>, Side::Requester)
        };
        let is_settled = || seat.is_settled().then_some(());
        wait(seat, spin, deadline, awaited, is_settled)
    }

    /// Closes the mailbox for all parties: drops the messages in it, and makes each wait and each
    /// later use return `Closed`.
    pub fn close(&self) {
        let remains = self.shared.state.lock().slot.close();
        // Before the messages are dropped, since a destructor may panic.
        row::wake(remains.settled.iter().cloned());
    }

    /// Returns whether the mailbox was closed.
    pub fn is_closed(&self) -> bool {
        let state = self.shared.state.lock();
        state.slot.over() == Some(&MailboxError::Closed)
    }

    /// Makes the current isolate or thread the holder of this handle: the handle is gone when its
    /// holder has ended, even if no drop reaches it, and waits for it are part of the search for
    /// deadlocks. A use by another party, before that end, undoes both.
    pub fn attach(&self) {
        let party = Party::current();
        // Before `when_ended`, since the call may come at once, and compares the holder.
        self.holder.set(party.id);
        // Weak, so that the call does not keep the mailbox alive.
        let shared = Arc::downgrade(&self.shared);
        let (handle, holder, id) = (self.handle, self.holder.clone(), party.id);
        let holder_ended = move |shared: &Shared<T>| {
            if holder.party() == Some(id) {
                shared.remove(handle);
            }
        };
        let at_the_end = holder_ended.clone();
        let call = party.when_ended(move || {
            if let Some(shared) = shared.upgrade() {
                at_the_end(&shared);
            }
        });
        match call {
            Ok(call) => self.set_end_call(Some(call)),
            Err(Ended) => holder_ended(&self.shared),
        }
    }

    /// Replaces the call at the end of the holder, and cancels the one before.
    fn set_end_call(&self, call: Option<EndCall>) {
        let before = std::mem::replace(&mut *self.end_call.lock(), call);
        if let Some(before) = before {
            before.cancel();
        }
    }
}

impl<T> Shared<T> {
    fn remove(&self, handle: u64) {
        let settled = self.state.lock().remove(handle);
        row::wake(settled);
    }
}

enum Stopped<T> {
    Put(Result<(), Undelivered<T>>),
    Take((Option<T>, Settled)),
}

/// Ends a wait that is left by unwinding.
struct Waiting<'a, T> {
    shared: &'a Shared<T>,
    ticket: Ticket,
    stop: fn(&mut Slot<T>, Ticket) -> Stopped<T>,
}

impl<T> Waiting<'_, T> {
    fn over(self) {
        // The drop must not run: the caller ends the wait itself, and keeps the result.
        let _ = std::mem::ManuallyDrop::new(self);
    }
}

impl<T> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        let stopped = (self.stop)(&mut self.shared.state.lock().slot, self.ticket);
        // A message is dropped after the lock is released and the next waiter was woken, since its
        // destructor may panic.
        match stopped {
            Stopped::Put(result) => drop(result),
            Stopped::Take((message, settled)) => {
                row::wake(settled);
                drop(message);
            }
        }
    }
}

/// One party's wait, as the graph of waits sees it.
struct OneTurn<T> {
    shared: Arc<Shared<T>>,
    seat: Arc<Seat>,
    own: Arc<Holder>,
}

impl<T: Send> Awaited for OneTurn<T> {
    /// Finds the holders of the other handles, if each of them is certain. If several parties share
    /// the waiter's own handle by reference, one of them could end the wait, so there is no holder.
    fn each_holder(&self, _: Side, found: &mut dyn FnMut(PartyId)) {
        if self.seat.is_settled() || self.own.is_shared() {
            return;
        }
        let state = self.shared.state.lock();
        let others = state.holders.values();
        let others = others.filter(|it| !Arc::ptr_eq(it, &self.own));
        let others: Option<Vec<_>> = others.map(|it| it.party()).collect();
        others.into_iter().flatten().for_each(found);
    }
}

impl<T: Send + 'static> Clone for Mailbox<T> {
    /// Returns a handle for another party.
    fn clone(&self) -> Self {
        let mut state = self.shared.state.lock();
        let (handle, holder) = state.add();
        state.slot.peer_came();
        drop(state);
        Self {
            shared: self.shared.clone(),
            handle,
            holder,
            end_call: insula_sync::Mutex::new(None),
        }
    }
}

impl<T: Send + 'static> Drop for Mailbox<T> {
    fn drop(&mut self) {
        self.set_end_call(None);
        self.shared.remove(self.handle);
    }
}

impl<T: Send + 'static> ListedMailbox for Shared<T> {
    fn snapshot(&self) -> MailboxSnapshot {
        let state = self.state.lock();
        let (takers, putters) = state.slot.waiting();
        MailboxSnapshot {
            number: self.listing.number(),
            kind: MailboxKind::OneSlot,
            message: std::any::type_name::<T>(),
            opened_at: self.opened_at,
            is_closed: state.slot.over() == Some(&MailboxError::Closed),
            is_full: state.slot.is_full(),
            putters,
            takers,
        }
    }
}

impl<T: Send + 'static> Default for Mailbox<T> {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Send + 'static> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        let (takers, putters) = state.slot.waiting();
        let over = state.slot.over().cloned();
        drop(state);
        f.debug_struct("Mailbox")
            .field("takers", &takers)
            .field("putters", &putters)
            .field("over", &over)
            .finish_non_exhaustive()
    }
}
