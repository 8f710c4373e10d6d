//! Exit and error listeners: ports in the order in which they were added, each listed once.

use std::collections::BTreeMap;

use crate::port::PortId;

/// Listeners, keyed by their port. Each operation takes O(log n) steps.
pub(crate) struct Listeners<L> {
    /// Bounded by the ports that were added and not removed.
    in_order: BTreeMap<u64, L>,
    places: BTreeMap<PortId, u64>,
    next: u64,
}

impl<L> Default for Listeners<L> {
    fn default() -> Self {
        Self {
            in_order: BTreeMap::new(),
            places: BTreeMap::new(),
            next: 0,
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

    pub(crate) fn values(&self) -> impl Iterator<Item = &L> {
        self.in_order.values()
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = L> {
        self.in_order.into_values()
    }
}
