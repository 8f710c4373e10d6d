//! Backpressure: how many messages of a port are on their way, and who waits for room.
//!
//! A message takes a place when it is sent and gives it back when the handler (or `recv`)
//! takes it. Places are given back in batches of half the bound, and whenever the isolate has
//! run out of records, so that a steady stream touches the lane's lock rarely.

use std::cell::{Cell, UnsafeCell};
use std::collections::VecDeque;
use std::task::Waker;

use super::PortSlot;
use crate::isolate::Current;
use crate::lane::LaneGuard;

pub(super) struct Bound {
    limit: usize,
    /// Guarded by the lane.
    shared: UnsafeCell<Shared>,
    /// Messages taken whose places have not been given back; the isolate's own.
    taken: Cell<usize>,
}

#[derive(Default)]
struct Shared {
    used: usize,
    next_ticket: u64,
    /// Bounded by the number of senders that wait, each of which is a live future.
    waiting: VecDeque<(u64, Waker)>,
}

/// A place in the row of those who wait for room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ticket(u64);

impl Bound {
    pub(super) fn new(limit: usize) -> Self {
        assert!(limit > 0, "a bounded port needs room for one message");
        Self {
            limit,
            shared: UnsafeCell::default(),
            taken: Cell::new(0),
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

    /// Joins the row of those who wait.
    pub(super) fn wait(&self, lane: &mut LaneGuard<'_>, waker: Waker) -> Ticket {
        let shared = self.shared(lane);
        let ticket = shared.next_ticket;
        shared.next_ticket += 1;
        shared.waiting.push_back((ticket, waker));
        Ticket(ticket)
    }

    /// Leaves the row. `None` if this one has been woken; otherwise its waker.
    pub(super) fn leave(&self, lane: &mut LaneGuard<'_>, ticket: Ticket) -> Option<Waker> {
        let waiting = &mut self.shared(lane).waiting;
        let at = waiting.iter().position(|(other, _)| *other == ticket.0)?;
        waiting.remove(at).map(|(_, waker)| waker)
    }

    /// The next in the row, if there is room for it.
    pub(super) fn next_waiter(&self, lane: &mut LaneGuard<'_>) -> Option<Waker> {
        let shared = self.shared(lane);
        if shared.used < self.limit {
            shared.waiting.pop_front().map(|(_, waker)| waker)
        } else {
            None
        }
    }

    pub(super) fn take_waiters(&self, lane: &mut LaneGuard<'_>) -> Vec<Waker> {
        self.shared(lane)
            .waiting
            .drain(..)
            .map(|(_, waker)| waker)
            .collect()
    }

    /// A message has been taken by its handler.
    #[inline(always)]
    pub(super) fn message_taken(&self, isolate: Current<'_>) {
        let taken = self.taken.get() + 1;
        self.taken.set(taken);
        if taken * 2 >= self.limit {
            self.give_back(isolate);
        } else {
            isolate.local().flags.credits.set(true);
        }
    }

    fn give_back(&self, isolate: Current<'_>) {
        let taken = self.taken.replace(0);
        if taken == 0 {
            return;
        }
        let waiters: Vec<Waker> = {
            let mut lane = isolate.lane.lock();
            let shared = self.shared(&mut lane);
            shared.used -= taken;
            let room = (self.limit - shared.used).min(shared.waiting.len());
            shared
                .waiting
                .drain(..room)
                .map(|(_, waker)| waker)
                .collect()
        };
        for waiter in waiters {
            waiter.wake();
        }
    }
}

/// Gives all places back that the current isolate's ports have taken.
#[cold]
pub(crate) fn return_credits(isolate: Current<'_>) {
    isolate.local().flags.credits.set(false);
    let give_back = |slot: &PortSlot| {
        if let Some(bound) = slot.bound() {
            bound.give_back(isolate);
        }
    };
    if isolate.port0.has_receiver() {
        give_back(&isolate.port0);
    }
    let others = isolate.with_events(|events| events.ports.clone());
    for slot in others {
        // SAFETY: the slot of an open port is alive; waking a sender closes none of them.
        give_back(unsafe { slot.as_ref() });
    }
}
