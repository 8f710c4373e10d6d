//! Exit and error listeners: ports in the order in which they were added, each listed once.
//!
//! # Ports that were closed
//! A port that is closed gets no message, but its isolate does not know where it is a listener. So
//! the lists are swept: whenever a list has twice as many listeners as were left after its last
//! sweep, the addition removes those whose ports are closed. A list with n open ports thus has
//! about 2n entries at most, and an addition pays for a constant number of looks. A look needs the
//! lock of the port's isolate, so it is made without the lock that guards the list.

use std::collections::BTreeMap;

use crate::memory::{Details, IsolateCore};
use crate::panic::drop_each;
use crate::port::PortId;

/// The fewest listeners of a list that is swept.
const FEWEST: usize = 2;

/// An entry of a list of listeners.
pub(crate) trait Listens: Clone {
    /// Returns whether the listener's port is closed, and stays so.
    fn is_closed(&self) -> bool;
}

/// Listeners, keyed by their port. Each operation takes O(log n) steps.
pub(crate) struct Listeners<L> {
    /// Bounded by the ports that were added, not removed and not closed, by the sweeps.
    in_order: BTreeMap<u64, L>,
    places: BTreeMap<PortId, u64>,
    next: u64,
    /// The number of listeners at which the list is swept.
    sweep_at: usize,
}

impl<L> Default for Listeners<L> {
    fn default() -> Self {
        Self {
            in_order: BTreeMap::new(),
            places: BTreeMap::new(),
            next: 0,
            sweep_at: FEWEST,
        }
    }
}

impl<L> Listeners<L> {
    /// Adds a listener after all others. If the port has a listener already, replaces it in its
    /// place and returns the old one.
    pub(crate) fn set(&mut self, port: PortId, listener: L) -> Option<L> {
        let place = *self.places.entry(port).or_insert(self.next);
        if place == self.next {
            self.next += 1;
        }
        self.in_order.insert(place, listener)
    }

    pub(crate) fn remove(&mut self, port: PortId) -> Option<L> {
        let place = self.places.remove(&port)?;
        self.in_order.remove(&place)
    }

    /// Returns the listeners with their ports if the list is to be swept now.
    fn due(&mut self) -> Vec<(PortId, L)>
    where
        L: Clone,
    {
        if self.in_order.len() < self.sweep_at {
            return Vec::new();
        }
        // Now already, so that additions during the sweep, which holds no lock, do not begin
        // another one.
        self.wait_with_sweep();
        let places = self.places.iter();
        places
            .filter_map(|(port, place)| Some((*port, self.in_order.get(place)?.clone())))
            .collect()
    }

    /// Removes and returns listeners whose ports are closed.
    fn sweep(&mut self, closed: &[PortId]) -> Vec<L> {
        let removed = closed.iter().filter_map(|port| self.remove(*port));
        let removed = removed.collect();
        self.wait_with_sweep();
        removed
    }

    /// Sets the next sweep to when the list is twice as long.
    fn wait_with_sweep(&mut self) {
        self.sweep_at = FEWEST.max(2 * self.in_order.len());
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &L> {
        self.in_order.values()
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = L> {
        self.in_order.into_values()
    }
}

/// Removes the listeners of `isolate` whose ports are closed from one of its lists, if that is to
/// be swept.
pub(crate) fn sweep<L: Listens>(
    isolate: &IsolateCore,
    list: impl Fn(&mut Details) -> &mut Listeners<L>,
) {
    let mut lane = isolate.lane.lock();
    let due = isolate.peek_details(&mut lane, |details| list(details).due());
    drop(lane);
    let due = due.unwrap_or_default();
    if due.is_empty() {
        return;
    }
    let closed = due.iter().filter(|(_, listener)| listener.is_closed());
    let closed: Vec<PortId> = closed.map(|(port, _)| *port).collect();
    let mut lane = isolate.lane.lock();
    let removed = isolate.peek_details(&mut lane, |details| list(details).sweep(&closed));
    drop(lane);
    // A listener may have a destructor of its user, which is no concern of the caller's.
    drop_each(removed.unwrap_or_default());
    drop_each(due);
}
