//! Backpressure: the number of a port's messages that are on their way, and the senders that wait
//! for room.
//!
//! A message takes a place when it is sent, and its place is free again when the handler (or
//! `recv`) has taken the message. Places are returned in batches of half the bound, and whenever
//! the isolate runs out of records, so that a steady stream rarely acquires the lane's lock. Until
//! then the port *owes* them. The isolate keeps a list of the ports that owe places, so that
//! returning them costs nothing for its other ports.
//!
//! # Waiters
//! Waiters queue, and each returned place wakes the first one. A woken waiter leaves the queue, and
//! its place is not reserved: the first send takes it. A woken waiter that finds no room returns
//! to its old position in the queue. A woken waiter that is dropped wakes the next one in its
//! stead.
//!
//! A woken waiter may also be kept and never polled again, which cannot be detected. So that the
//! waiters behind it get the place that it does not use, the isolate checks again [`PATIENCE`]
//! after it returned places, and wakes as many more waiters as there is room for. It repeats the
//! check until the queue is empty. Waking all waiters at once would need no timer, but then each
//! message of a crowded port would cost a poll of each waiter.

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

/// The time for which woken waiters may leave a place unused before more waiters are woken.
const PATIENCE: Duration = Duration::from_millis(1);

/// The places of a bounded port.
pub(super) struct Bound {
    limit: usize,
    /// Guarded by the lane's lock.
    shared: UnsafeCell<Shared>,
    /// Messages taken whose places have not been returned. Accessed only by the isolate.
    taken: Cell<usize>,
    /// `true` if the port is in the isolate's list of ports that owe places. Accessed only by the
    /// isolate.
    owes: Cell<bool>,
    /// The timer of the next check for unused places. Accessed only by the isolate.
    check: Cell<Option<Key>>,
}

#[derive(Default)]
struct Shared {
    /// Places in use, those that the port owes included.
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

    /// Returns what the lane's lock guards, for the holder of that lock.
    fn shared<'a>(&'a self, _held: &'a mut LaneGuard<'_>) -> &'a mut Shared {
        // SAFETY: guarded by the lane's lock, which is held for as long as the result lives.
        unsafe { &mut *self.shared.get() }
    }

    /// Returns the most messages, the places in use, and the number of waiters.
    pub(super) fn usage(&self, lane: &mut LaneGuard<'_>) -> (usize, usize, usize) {
        let shared = self.shared(lane);
        (self.limit, shared.used, shared.waiting.len())
    }

    /// Takes a place for a message. Returns `false` if there is none.
    #[inline]
    pub(super) fn try_take(&self, lane: &mut LaneGuard<'_>) -> bool {
        let shared = self.shared(lane);
        let room = shared.used < self.limit;
        shared.used += usize::from(room);
        room
    }

    /// Adds a waiter to the end of the queue, or at its old position. Returns its previous waker
    /// if that was still queued.
    pub(super) fn wait(
        &self,
        lane: &mut LaneGuard<'_>,
        ticket: &mut Ticket,
        waker: Waker,
    ) -> Option<Waker> {
        self.shared(lane).waiting.wait(ticket, waker)
    }

    /// Removes a waiter. Returns its waker if it was still queued. If it had been woken, returns
    /// the next waiter to wake in its stead, if there is one and room for it.
    pub(super) fn leave(&self, lane: &mut LaneGuard<'_>, ticket: &mut Ticket) -> Left {
        let shared = self.shared(lane);
        if let Some(own) = shared.waiting.forget(ticket) {
            return Left::Row(own);
        }
        // Without room there is nothing to pass on: the next place that is returned wakes the first
        // waiter.
        if shared.used < self.limit {
            Left::Called(shared.waiting.pop())
        } else {
            Left::Called(None)
        }
    }

    /// Removes and returns all waiters.
    pub(super) fn take_waiters(&self, lane: &mut LaneGuard<'_>) -> Woken {
        self.shared(lane).waiting.take_all()
    }

    /// Returns the places that the port owes, and cancels its timer.
    pub(super) fn close(&self, isolate: Current<'_>) {
        if self.owes.get() {
            // The list must not point to a freed slot.
            return_credits(isolate);
        }
        if let Some(timer) = self.check.take() {
            timer::cancel(isolate, timer);
        }
    }

    /// Returns the places that the port owes.
    fn give_back(&self, slot: &PortSlot, isolate: Current<'_>) {
        let taken = self.taken.replace(0);
        if taken != 0 {
            self.call_waiters(slot, isolate, taken);
        }
    }

    /// Returns `taken` places, and wakes as many waiters as there is room for.
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

    /// Starts the timer if it is needed, and cancels it otherwise.
    fn check_later(&self, slot: &PortSlot, isolate: Current<'_>, is_needed: bool) {
        // Nothing to change; or a teardown, in which no timer runs.
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

/// Checks a bound. Called before anything is made that a panic would leave half done.
///
/// # Panics
/// Panics if the limit is 0.
pub(crate) fn check_limit(limit: Option<usize>) {
    assert_ne!(limit, Some(0), "a bounded port needs room for one message");
}

/// The result of removing a waiter.
pub(super) enum Left {
    /// It was queued: its waker, to be dropped after the lock is released.
    Row(Waker),
    /// It had been woken: the next waiter, to be woken after the lock is released.
    Called(Option<Waker>),
}

impl PortSlot {
    /// Counts a message that was taken, and returns the owed places once they are half of the
    /// bound.
    #[inline]
    pub(super) fn message_taken(&self, isolate: Current<'_>) {
        if let Some(bound) = self.bound() {
            let taken = bound.taken.get() + 1;
            bound.taken.set(taken);
            // Half of the limit. Does not underflow: at most `limit` places are in use.
            if taken >= bound.limit - taken {
                bound.give_back(self, isolate);
            } else if !bound.owes.get() {
                self.owe(isolate);
            }
        }
    }

    /// Adds the port to the isolate's list of ports that owe places.
    fn owe(&self, isolate: Current<'_>) {
        if let Some(bound) = self.bound() {
            bound.owes.set(true);
            isolate.with_events(|events| events.owing.push(NonNull::from(self)));
            isolate.local().flags.credits.set(true);
        }
    }
}

/// Returns all places that the current isolate's ports owe.
#[cold]
pub(crate) fn return_credits(isolate: Current<'_>) {
    // Cleared first, and one port at a time: waking a waiter may run code that takes messages,
    // after which a port owes again.
    isolate.local().flags.credits.set(false);
    while let Some(slot) = isolate.with_events(|events| events.owing.pop()) {
        // SAFETY: a slot in the list is alive: `Close` and the teardown empty the list before they
        // release a receiver's unit.
        let slot = unsafe { slot.as_ref() };
        if let Some(bound) = slot.bound() {
            bound.owes.set(false);
            bound.give_back(slot, isolate);
        }
    }
}
