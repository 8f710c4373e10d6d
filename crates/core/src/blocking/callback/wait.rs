//! The cell in which one blocking call waits for its answer.
//!
//! The cell is *queued*, then *begun* when the turn of the call comes, then *settled* with an
//! answer or with the reason for which there is none. A caller abandons the cell if its time-out
//! expires, if it would wait forever, or if it is killed. A queued call that is *abandoned* does
//! not begin any more, and a settlement that comes later is dropped, by the thread that brought it
//! and without the lock. If both happen at once, the first one to take the cell's lock decides.
//!
//! The settling thread publishes the settlement and then settles the caller's seat. The caller
//! waits as `blocking.rs` describes: it watches the seat for a moment, then enters the graph of
//! waits, and then sleeps.

use std::sync::Arc;

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

use crate::blocking::{Awaited, Deadline, PartyId, Seat, Side, Spin, WaitError, wait};

/// A cell for one settlement of type `S`, and the thread that waits for it.
pub(crate) struct Wait<S> {
    state: Mutex<State<S>>,
    /// Set when the called isolate's handler has taken the right to answer and may have passed it
    /// on. Then any thread could answer.
    handed_on: AtomicBool,
    called: PartyId,
    seat: Arc<Seat>,
}

enum State<S> {
    Queued,
    Begun,
    Settled(S),
    /// The caller no longer waits.
    Abandoned,
}

impl<S: Send + 'static> Wait<S> {
    /// Creates a cell for a call to the isolate with this number.
    pub(crate) fn new(isolate: u64) -> Self {
        Self {
            state: Mutex::new(State::Queued),
            handed_on: AtomicBool::new(false),
            called: PartyId::isolate(isolate),
            seat: Seat::new(),
        }
    }

    /// Marks the call as begun, in its turn. Returns `false` if no caller waits for it any more.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let begins = matches!(*state, State::Queued);
        if begins {
            *state = State::Begun;
        }
        begins
    }

    /// Returns whether the turn of the call has begun and the call is not yet settled.
    pub(super) fn has_begun(&self) -> bool {
        matches!(*self.state.lock(), State::Begun)
    }

    /// Records that from now on any isolate or thread may answer.
    pub(super) fn hand_on(&self) {
        // Relaxed: `each_holder` runs under the graph's lock. A cycle through the called isolate
        // needs an edge of that isolate, which it enters after this store and under the same lock.
        // So a reader that misses the store finds no cycle either.
        self.handed_on.store(true, Ordering::Relaxed);
    }

    /// Settles the call if its caller still waits; otherwise drops the settlement.
    pub(crate) fn settle(&self, settlement: S) {
        let mut state = self.state.lock();
        if let State::Queued | State::Begun = *state {
            *state = State::Settled(settlement);
            drop(state);
            self.seat.settle();
            return;
        }
        drop(state);
        drop(settlement);
    }

    /// Waits for the settlement. Called once.
    pub(crate) fn wait(self: &Arc<Self>, spin: &Spin, deadline: Deadline) -> Result<S, WaitError> {
        /// Abandons the cell even when a kill unwinds out of the wait.
        struct Abandon<'a, S: Send + 'static>(&'a Wait<S>);
        impl<S: Send + 'static> Drop for Abandon<'_, S> {
            fn drop(&mut self) {
                drop(self.0.abandon());
            }
        }
        let abandon = Abandon(self);
        let end = wait(
            &self.seat,
            spin,
            deadline,
            || (self.clone(), Side::Requester),
            // The seat first, so that a look before the settlement does not lock the cell.
            || self.seat.is_settled().then(|| self.abandon()).flatten(),
        );
        // The settlement may have come just before the cell was abandoned.
        end.or_else(|error| abandon.0.abandon().ok_or(error))
    }

    /// Abandons the cell. Returns the settlement if there is one.
    pub(crate) fn abandon(&self) -> Option<S> {
        match std::mem::replace(&mut *self.state.lock(), State::Abandoned) {
            State::Settled(settlement) => Some(settlement),
            State::Queued | State::Begun | State::Abandoned => None,
        }
    }
}

impl<S: Send + 'static> Awaited for Wait<S> {
    fn each_holder(&self, _: Side, found: &mut dyn FnMut(PartyId)) {
        // Relaxed: see `hand_on`.
        if !self.seat.is_settled() && !self.handed_on.load(Ordering::Relaxed) {
            found(self.called);
        }
    }
}
