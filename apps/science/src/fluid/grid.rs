//! The cells of the box.

use std::ops::Range;

use super::SimulationError;

/// A periodic cube, cut into cells of at least half a cut-off. All particles within the cut-off of
/// a particle are in the [`Grid::REACH`] cells around its own in each direction.
///
/// The cells of equal x are a *layer*.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    length: f64,
    cells: usize,
}

impl Grid {
    /// The cells in each direction that can hold neighbors. With two, the cells around a particle
    /// hold 3.7 times the volume of the cut-off; with one, they hold 6.4 times.
    pub const REACH: usize = 2;

    /// With fewer cells along an edge, a cell would be its own neighbor's neighbor twice.
    pub const LEAST_CELLS: usize = 2 * Self::REACH + 1;

    /// Cuts a cube of edge `length` into cells.
    ///
    /// # Errors
    /// The cube has to be at least 2.5 cut-offs long.
    pub fn new(length: f64, cutoff: f64) -> Result<Self, SimulationError> {
        let is_sensible = length.is_finite() && length > 0.0 && cutoff.is_finite() && cutoff > 0.0;
        if !is_sensible {
            let field = "cut-off".into();
            return Err(SimulationError::Invalid { field });
        }
        // In a box that is almost empty, more cells would only take memory.
        let cells = (length * Self::REACH as f64 / cutoff).floor().min(256.0) as usize;
        if cells < Self::LEAST_CELLS {
            return Err(SimulationError::BoxTooSmall { cells });
        }
        Ok(Self { length, cells })
    }

    /// Returns the edge of the box.
    pub fn length(&self) -> f64 {
        self.length
    }

    /// Returns the number of cells along each edge, which is that of the layers.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Returns the width of a cell.
    pub fn width(&self) -> f64 {
        self.length / self.cells as f64
    }

    /// Returns the number of cells in a layer.
    pub(super) fn layer_size(&self) -> usize {
        self.cells * self.cells
    }

    /// Returns a coordinate's image in the box: at least zero, and less than the length.
    pub(super) fn wrap(&self, coordinate: f64) -> f64 {
        let wrapped = coordinate - self.length * (coordinate / self.length).floor();
        // A tiny negative coordinate rounds to the length itself.
        if wrapped < self.length { wrapped } else { 0.0 }
    }

    /// Returns the index of the cell that holds a wrapped coordinate, along one axis.
    pub(super) fn index(&self, coordinate: f64) -> usize {
        let index = (coordinate / self.length * self.cells as f64) as usize;
        index.min(self.cells - 1)
    }

    /// Returns the largest number of domains: each has as many layers as a halo.
    pub fn most_domains(&self) -> usize {
        self.cells / Self::REACH
    }

    /// Returns the layers of each of so many domains, as equal as whole layers allow.
    ///
    /// # Errors
    /// There has to be at least one, and at most [`most_domains`](Self::most_domains).
    pub fn domains(&self, domains: usize) -> Result<Vec<Range<usize>>, SimulationError> {
        let most = self.most_domains();
        if domains == 0 || domains > most {
            return Err(SimulationError::TooManyDomains { domains, most });
        }
        let border = |domain: usize| domain * self.cells / domains;
        Ok((0..domains)
            .map(|domain| border(domain)..border(domain + 1))
            .collect())
    }
}
