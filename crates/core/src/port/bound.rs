//! Backpressure: how many messages of a port are on their way, and who waits for room.
//!
//! A message takes a place when it is sent and gives it back when the handler (or `recv`)
//! takes it. Places are given back in batches of half the bound, and whenever the isolate has
//! run out of records, so that a steady stream touches the lane's lock rarely. Until then the
//! port *owes* them. The isolate keeps a list of the ports that owe some, so that giving back
//! costs nothing for all its other ports.
//!
//! # Who gets a place that is given back
//! Waiters stand in a row, and each place that is given back calls the first one in it. A called
//! waiter leaves the row. Its place is not kept for it: whichever send comes first takes the
//! place. A called waiter that comes too late goes back to where it stood in the row. One that
//! is dropped calls the next in its stead.
//!
//! A called waiter may also be kept and never polled again, which nothing tells. So that those
//! behind it get the place that it does not use, the isolate looks again [`PATIENCE`] after it
//! gave places back: if there is room then, and a row, it calls as many more as there is room
//! for. It goes on until the row is empty, or the port full, where the next place that is given
//! back calls the next waiter anyway. Calling all waiters at once would do without a timer, but
//! then each message of a crowded port would cost a poll of each waiter.

use std::cell::{Cell, UnsafeCell};
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Duration;

use super::PortSlot;
use crate::event_loop::timer;
use crate::memory::Current;
use crate::memory::lane::LaneGuard;
use crate::memory::slab::Key;
use crate::memory::waiters::{Ticket, Waiters, Woken};

/// How long the first waiters of a row may leave a place unused before others are called.
const PATIENCE: Duration = Duration::from_millis(1);

pub(super) struct Bound {
    limit: usize,
    /// Guarded by the lane.
    shared: UnsafeCell<Shared>,
    /// Messages taken whose places have not been given back; the isolate's own.
    taken: Cell<usize>,
    /// It is in the isolate's list of those that owe places; the isolate's own.
    owes: Cell<bool>,
    /// The timer after which it looks for unused places; the isolate's own.
    check: Cell<Option<Key>>,
}

#[derive(Default)]
struct Shared {
    used: usize,
    waiting: Waiters,
}

impl Bound {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            shared: UnsafeCell::default(),
            taken: Cell::new(0),
            owes: Cell::new(false),
            check: Cell::new(None),
        }
    }

    fn shared<'a>(&'a self, _held: &'a mut LaneGuard<'_>) -> &'a mut Shared {
        // SAFETY: guarded by the lane, which is held, for as long as the result lives.
        unsafe { &mut *self.shared.get() }
    }

    /// Takes a place for a message.
    #[inline(always)]
    pub(super) fn try_take(&self, lane: &mut LaneGuard<'_>) -> bool {
        let shared = self.shared(lane);
        let room = shared.used < self.limit;
        shared.used += usize::from(room);
        room
    }

    /// Joins the row, or goes back to its place in it. Returns the waker that it had there.
    pub(super) fn wait(
        &self,
        lane: &mut LaneGuard<'_>,
        ticket: &mut Ticket,
        waker: Waker,
    ) -> Option<Waker> {
        self.shared(lane).waiting.wait(ticket, waker)
    }

    /// Leaves the row for good. Returns a waker to drop, which is that of a waiter that was not
    /// called, and otherwise one to wake, which is that of the waiter called in its stead.
    pub(super) fn leave(&self, lane: &mut LaneGuard<'_>, ticket: &mut Ticket) -> Left {
        let shared = self.shared(lane);
        if let Some(own) = shared.waiting.forget(ticket) {
            return Left::Row(own);
        }
        if shared.used < self.limit {
            Left::Called(shared.waiting.pop())
        } else {
            Left::Called(None)
        }
    }

    pub(super) fn take_waiters(&self, lane: &mut LaneGuard<'_>) -> Woken {
        self.shared(lane).waiting.take_all()
    }

    /// The isolate forgets the port.
    pub(super) fn close(&self, isolate: Current<'_>) {
        if self.owes.get() {
            // The list must not point to a slot that is gone.
            return_credits(isolate);
        }
        if let Some(timer) = self.check.take() {
            timer::cancel(isolate, timer);
        }
    }

    fn give_back(&self, slot: &PortSlot, isolate: Current<'_>) {
        let taken = self.taken.replace(0);
        if taken != 0 {
            self.call_waiters(slot, isolate, taken);
        }
    }

    /// Calls as many waiters as there is room for, once `taken` places are given back.
    fn call_waiters(&self, slot: &PortSlot, isolate: Current<'_>, taken: usize) {
        let (called, more) = {
            let mut lane = isolate.lane.lock();
            let shared = self.shared(&mut lane);
            shared.used -= taken;
            let called = shared.waiting.take(self.limit - shared.used);
            (called, !shared.waiting.is_empty())
        };
        self.check_later(slot, isolate, more);
        called.wake();
    }

    /// Starts the timer if there is a row, and stops it if there is none.
    fn check_later(&self, slot: &PortSlot, isolate: Current<'_>, is_needed: bool) {
        if is_needed == self.check.get().is_some() || isolate.local().flags.dying.get() {
            return;
        }
        if let Some(timer) = self.check.take() {
            timer::cancel(isolate, timer);
            return;
        }
        let serial = slot.serial.get();
        let check = move || {
            Current::with(|isolate| {
                if let Some(isolate) = isolate
                    && let Some(slot) = PortSlot::find(isolate, serial)
                {
                    // SAFETY: an open port of the current isolate is alive.
                    let slot = unsafe { slot.as_ref() };
                    if let Some(bound) = slot.bound() {
                        bound.check.set(None);
                        bound.call_waiters(slot, isolate, 0);
                    }
                }
            });
        };
        let due = isolate.runtime.clock().now() + PATIENCE;
        self.check.set(Some(timer::call_at(isolate, due, check)));
    }
}

/// Before anything is made that a panic would leave half done.
///
/// # Panics
/// If there is no room at all.
pub(crate) fn check_limit(limit: Option<usize>) {
    assert_ne!(limit, Some(0), "a bounded port needs room for one message");
}

/// What a waiter left behind.
pub(super) enum Left {
    /// Its waker, to be dropped outside of the lock.
    Row(Waker),
    /// The next waiter, to be woken outside of the lock.
    Called(Option<Waker>),
}

impl PortSlot {
    /// A message has been taken by its handler.
    #[inline(always)]
    pub(super) fn message_taken(&self, isolate: Current<'_>) {
        if let Some(bound) = self.bound() {
            let taken = bound.taken.get() + 1;
            bound.taken.set(taken);
            // Half of the limit. No more can be taken than were sent, which is at most the limit.
            if taken >= bound.limit - taken {
                bound.give_back(self, isolate);
            } else if !bound.owes.get() {
                self.owe(isolate);
            }
        }
    }

    fn owe(&self, isolate: Current<'_>) {
        if let Some(bound) = self.bound() {
            bound.owes.set(true);
            isolate.with_events(|events| events.owing.push(NonNull::from(self)));
            isolate.local().flags.credits.set(true);
        }
    }
}

/// Gives all places back that the current isolate's ports owe.
#[cold]
pub(crate) fn return_credits(isolate: Current<'_>) {
    isolate.local().flags.credits.set(false);
    while let Some(slot) = isolate.with_events(|events| events.owing.pop()) {
        // SAFETY: a slot that is in the list is alive: `Close` empties the list before it lets
        // go of one.
        let slot = unsafe { slot.as_ref() };
        if let Some(bound) = slot.bound() {
            bound.owes.set(false);
            bound.give_back(slot, isolate);
        }
    }
}
