//! The radial distribution function.

use std::f64::consts::PI;

/// Counts of neighbors by distance, in bins of equal width.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bins {
    pub(super) counts: Vec<u64>,
    range: f64,
}

impl Bins {
    /// Creates bins up to a distance.
    pub(super) fn new(bins: usize, range: f64) -> Self {
        Self {
            counts: vec![0; bins],
            range,
        }
    }

    /// Counts a neighbor at the root of `squared`, unless it is the particle itself.
    #[inline]
    pub(super) fn add(&mut self, squared: f64) {
        let range = self.range;
        if squared < range * range && squared > 0.0 {
            let bin = (squared.sqrt() / range * self.counts.len() as f64) as usize;
            if let Some(count) = self.counts.get_mut(bin) {
                *count += 1;
            }
        }
    }
}

/// The radial distribution function g(r): the density at a distance from a particle, relative to
/// that of the whole fluid. Collected from counts of several states.
#[derive(Clone, Debug, PartialEq)]
pub struct Radial {
    counts: Vec<u64>,
    states: u64,
    range: f64,
}

/// One point of the radial distribution function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RadialPoint {
    /// The middle of the bin.
    pub distance: f64,
    /// The relative density there.
    pub density: f64,
}

impl Radial {
    /// The number of bins up to the cut-off.
    pub const BINS: usize = 150;

    /// Creates a function without states, up to a distance.
    pub fn new(range: f64) -> Self {
        Self {
            counts: vec![0; Self::BINS],
            states: 0,
            range,
        }
    }

    /// Adds the counts of one state.
    pub fn add(&mut self, counts: &[u64]) {
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum += count;
        }
        self.states += 1;
    }

    /// Returns the function of so many particles at a density. It is empty if there is no state.
    pub fn points(&self, particles: u32, density: f64) -> Vec<RadialPoint> {
        if self.states == 0 {
            return Vec::new();
        }
        let width = self.range / self.counts.len() as f64;
        let point = |(index, &count): (usize, &u64)| {
            let (inner, outer) = (index as f64 * width, (index + 1) as f64 * width);
            let shell = 4.0 / 3.0 * PI * (outer.powi(3) - inner.powi(3));
            let expected = f64::from(particles) * self.states as f64 * density * shell;
            RadialPoint {
                distance: 0.5 * (inner + outer),
                density: count as f64 / expected,
            }
        };
        self.counts.iter().enumerate().map(point).collect()
    }
}
