//! Particles, one array per coordinate.

use serde::{Deserialize, Serialize};

/// The positions, velocities and numbers of particles.
///
/// The arrays have equal lengths. An index is a place, which changes when particles are sorted; a
/// particle is known by its number.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Particles {
    /// Positions, one array per axis.
    pub position: [Vec<f64>; 3],
    /// Velocities, one array per axis.
    pub velocity: [Vec<f64>; 3],
    /// The numbers of the particles.
    pub number: Vec<u32>,
}

impl Particles {
    /// Returns how many there are.
    pub fn len(&self) -> usize {
        self.number.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.number.is_empty()
    }

    /// Returns whether the arrays have equal lengths, which what comes from another process may not have.
    pub(super) fn is_whole(&self) -> bool {
        self.arrays().iter().all(|array| array.len() == self.len())
    }

    /// Appends one of `other`.
    pub(super) fn push_from(&mut self, other: &Self, index: usize) {
        for (own, others) in self.arrays_mut().into_iter().zip(other.arrays()) {
            own.push(others[index]);
        }
        self.number.push(other.number[index]);
    }

    /// Appends all of `other`.
    pub(super) fn append(&mut self, other: &Self) {
        for (own, others) in self.arrays_mut().into_iter().zip(other.arrays()) {
            own.extend_from_slice(others);
        }
        self.number.extend_from_slice(&other.number);
    }

    /// Removes all, and keeps the memory.
    pub(super) fn clear(&mut self) {
        for array in self.arrays_mut() {
            array.clear();
        }
        self.number.clear();
    }

    /// Replaces the content by that of `other`, in another order.
    pub(super) fn copy_in_order(&mut self, other: &Self, order: &[u32]) {
        for (own, others) in self.arrays_mut().into_iter().zip(other.arrays()) {
            own.clear();
            own.extend(order.iter().map(|&index| others[index as usize]));
        }
        self.number.clear();
        let numbers = order.iter().map(|&index| other.number[index as usize]);
        self.number.extend(numbers);
    }

    /// Returns the particles in the order of their numbers.
    #[must_use]
    pub fn sorted(&self) -> Self {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        order.sort_unstable_by_key(|&index| self.number[index as usize]);
        let mut sorted = Self::default();
        sorted.copy_in_order(self, &order);
        sorted
    }

    /// Returns the bytes of the arrays.
    pub(super) fn bytes(&self) -> u64 {
        (self.len() * (6 * size_of::<f64>() + size_of::<u32>())) as u64
    }

    fn arrays(&self) -> [&Vec<f64>; 6] {
        let ([x, y, z], [u, v, w]) = (&self.position, &self.velocity);
        [x, y, z, u, v, w]
    }

    fn arrays_mut(&mut self) -> [&mut Vec<f64>; 6] {
        let ([x, y, z], [u, v, w]) = (&mut self.position, &mut self.velocity);
        [x, y, z, u, v, w]
    }
}
