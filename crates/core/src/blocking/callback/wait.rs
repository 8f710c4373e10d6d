//! Where one blocking call waits.
//!
//! The cell is *queued*, then *begun* when the turn of the call comes, then *settled* with an
//! answer or with the reason why there is none. A caller whose time is up, who would wait for
//! ever, or who is killed, makes it *abandoned* instead: a queued call is then not begun any
//! more, and what a begun one settles is dropped, by whoever brought it and without the lock.
//! Who comes first decides, under the cell's lock.
//!
//! Who settles publishes the settlement and then settles the caller's seat. The caller waits as
//! `blocking` says: he watches the seat for a moment, then he is in the graph of waits, and then
//! he sleeps.

use std::sync::Arc;

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, Ordering};

use crate::blocking::{Awaited, Deadline, PartyId, Seat, Side, Spin, WaitError, wait};

/// A cell for one settlement of type `S`, and the thread that waits for it.
pub(crate) struct Wait<S> {
    state: Mutex<State<S>>,
    /// The called isolate has handed the duty to answer on, nobody knows to whom.
    handed_on: AtomicBool,
    called: PartyId,
    seat: Arc<Seat>,
}

enum State<S> {
    Queued,
    Begun,
    Settled(S),
    /// Nobody waits any more.
    Abandoned,
}

impl<S: Send + 'static> Wait<S> {
    /// A cell for a call to the isolate with this number.
    pub(crate) fn new(isolate: u64) -> Self {
        Self {
            state: Mutex::new(State::Queued),
            handed_on: AtomicBool::new(false),
            called: PartyId::isolate(isolate),
            seat: Seat::new(),
        }
    }

    /// The turn of the call has come. `false` if nobody waits for it any more.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.state.lock();
        let begins = matches!(*state, State::Queued);
        if begins {
            *state = State::Begun;
        }
        begins
    }

    /// Whether the turn of the call has come.
    pub(super) fn has_begun(&self) -> bool {
        matches!(*self.state.lock(), State::Begun)
    }

    /// From here on the answer may come from anybody.
    pub(super) fn hand_on(&self) {
        // Relaxed: who looks may be late, and then takes a wait for part of a cycle that the
        // called isolate is about to close by waiting itself; it does so after this.
        self.handed_on.store(true, Ordering::Relaxed);
    }

    /// Settles the call, if somebody waits for it.
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
        /// Also when a kill unwinds out of the wait.
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
            || self.seat.is_settled().then(|| self.abandon()).flatten(),
        );
        // The settlement may have come at the last moment.
        end.or_else(|error| abandon.0.abandon().ok_or(error))
    }

    /// Waits no more. Takes the settlement, if it has come.
    pub(crate) fn abandon(&self) -> Option<S> {
        match std::mem::replace(&mut *self.state.lock(), State::Abandoned) {
            State::Settled(settlement) => Some(settlement),
            State::Queued | State::Begun | State::Abandoned => None,
        }
    }
}

impl<S: Send + 'static> Awaited for Wait<S> {
    fn each_holder(&self, _: Side, found: &mut dyn FnMut(PartyId)) {
        if !self.seat.is_settled() && !self.handed_on.load(Ordering::Relaxed) {
            found(self.called);
        }
    }
}
