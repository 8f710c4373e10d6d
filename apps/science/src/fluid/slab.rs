//! The particles of one domain, without isolates or messages.

use std::ops::Range;

use pulp::Arch;

use super::force::{Positions, Run, push_all};
use super::radial::Bins;
use super::sample::Energies;
use super::{Grid, Particles, Potential, SimulationError};

/// A direction along x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Toward smaller x.
    Left,
    /// Toward larger x.
    Right,
}

/// The positions along one border of a slab: all particles of its [`Grid::REACH`] layers there, cell
/// by cell.
#[derive(Debug, Default)]
pub struct Halo {
    /// The number of particles of each cell.
    counts: Vec<u32>,
    axes: [Vec<f64>; 3],
}

impl Halo {
    /// Returns the bytes of the arrays.
    pub(super) fn bytes(&self) -> u64 {
        let floats = 3 * self.axes[0].len() * size_of::<f64>();
        (floats + size_of_val(self.counts.as_slice())) as u64
    }
}

/// The particles in consecutive layers of the box, and copies of the positions around them.
///
/// A step is [`drift`](Self::drift), [`admit`](Self::admit), [`border`](Self::border) on both
/// sides, [`surround`](Self::surround) and [`kick`](Self::kick).
#[derive(Debug)]
pub struct Slab {
    grid: Grid,
    potential: Potential,
    layers: Range<usize>,
    /// By cell, and within a cell by number. So the order depends on the positions alone.
    own: Particles,
    /// The force on each of `own`.
    force: [Vec<f64>; 3],
    /// The positions of the left halo, of `own`, and of the right halo.
    around: Positions,
    /// For each cell of `around` its first place there, and the end of the last one.
    starts: Vec<usize>,
    /// Potential energy and virial of each layer.
    potentials: Vec<[f64; 2]>,
    arch: Arch,
    scratch: Scratch,
}

/// Memory that is used again in each step.
#[derive(Debug, Default)]
struct Scratch {
    keys: Vec<(u32, u32, u32)>,
    order: Vec<u32>,
    particles: Particles,
    runs: Vec<Run>,
}

impl Slab {
    /// Takes those of `particles` whose positions, wrapped into the box, are in `layers`.
    pub fn new(
        grid: Grid,
        potential: Potential,
        layers: Range<usize>,
        particles: &Particles,
    ) -> Self {
        let mut own = Particles::default();
        for index in 0..particles.len() {
            if layers.contains(&grid.index(grid.wrap(particles.position[0][index]))) {
                own.push_from(particles, index);
            }
        }
        for coordinate in own.position.iter_mut().flatten() {
            *coordinate = grid.wrap(*coordinate);
        }
        let mut slab = Self {
            grid,
            potential,
            layers,
            own,
            force: Default::default(),
            around: Positions::default(),
            starts: Vec::new(),
            potentials: Vec::new(),
            arch: Arch::new(),
            scratch: Scratch::default(),
        };
        slab.sort();
        slab
    }

    /// Returns the particles of the slab.
    pub fn particles(&self) -> &Particles {
        &self.own
    }

    /// Returns the force on each particle, one array per axis, in the order of
    /// [`particles`](Self::particles).
    pub fn forces(&self) -> &[Vec<f64>; 3] {
        &self.force
    }

    /// Returns the distance up to which the slab knows all neighbors of its particles.
    pub(super) fn range(&self) -> f64 {
        self.potential.cutoff()
    }

    /// Multiplies all velocities.
    pub(super) fn scale(&mut self, factor: f64) {
        let velocities = self.own.velocity.iter_mut().flatten();
        velocities.for_each(|velocity| *velocity *= factor);
    }

    /// Changes the velocities by the forces, for a time.
    pub fn kick(&mut self, time: f64) {
        for (velocities, forces) in self.own.velocity.iter_mut().zip(&self.force) {
            for (velocity, force) in velocities.iter_mut().zip(forces) {
                *velocity += force * time;
            }
        }
    }

    /// Moves the particles by their velocities, for a time. Those that have left the slab are moved
    /// to `left` and `right`.
    ///
    /// # Errors
    /// A particle may move by less than the width of a cell.
    pub fn drift(
        &mut self,
        time: f64,
        left: &mut Particles,
        right: &mut Particles,
    ) -> Result<(), SimulationError> {
        let (width, length) = (self.grid.width(), self.grid.length());
        for (positions, velocities) in self.own.position.iter_mut().zip(&self.own.velocity) {
            let number = &self.own.number;
            for (index, (position, velocity)) in positions.iter_mut().zip(velocities).enumerate() {
                let distance = velocity * time;
                if distance.abs() >= width || distance.is_nan() {
                    let particle = number[index];
                    return Err(SimulationError::Unstable { particle });
                }
                *position += distance;
                // A division for each coordinate would cost more than all the rest.
                if *position < 0.0 || *position >= length {
                    *position = self.grid.wrap(*position);
                }
            }
        }
        self.release(left, right);
        Ok(())
    }

    fn release(&mut self, left: &mut Particles, right: &mut Particles) {
        left.clear();
        right.clear();
        if self.layers.len() == self.grid.cells() {
            return;
        }
        let kept = &mut self.scratch.particles;
        kept.clear();
        for index in 0..self.own.len() {
            let layer = self.grid.index(self.own.position[0][index]);
            let to = if self.layers.contains(&layer) {
                &mut *kept
            } else if (self.layers.start + self.grid.cells() - layer) % self.grid.cells() == 1 {
                &mut *left
            } else {
                &mut *right
            };
            to.push_from(&self.own, index);
        }
        std::mem::swap(&mut self.own, kept);
    }

    /// Takes the particles that have come from the neighbors.
    pub fn admit(&mut self, from_left: &Particles, from_right: &Particles) {
        self.own.append(from_left);
        self.own.append(from_right);
        self.sort();
    }

    /// Puts the particles into the order of their cells and numbers, and counts those of each cell.
    fn sort(&mut self) {
        let (cells, first) = (self.grid.cells(), self.layers.start);
        let Scratch {
            keys,
            order,
            particles,
            ..
        } = &mut self.scratch;
        let [xs, ys, zs] = &self.own.position;
        keys.clear();
        keys.extend(self.own.number.iter().enumerate().map(|(index, &number)| {
            let layer = self.grid.index(xs[index]) - first;
            let row = layer * cells + self.grid.index(ys[index]);
            let cell = row * cells + self.grid.index(zs[index]);
            (cell as u32, number, index as u32)
        }));
        // They are almost sorted, which this algorithm uses.
        keys.sort();
        order.clear();
        order.extend(keys.iter().map(|&(_, _, index)| index));
        particles.copy_in_order(&self.own, order);
        std::mem::swap(&mut self.own, particles);
    }

    /// Copies the positions along one border into `halo`.
    pub fn border(&self, side: Side, halo: &mut Halo) {
        let size = self.grid.layer_size();
        let (layers, reach) = (self.layers.len(), Grid::REACH);
        let cells = match side {
            Side::Left => 0..reach * size,
            Side::Right => (layers - reach) * size..layers * size,
        };
        let keys = &self.scratch.keys;
        let at = |cell: usize| keys.partition_point(|key| (key.0 as usize) < cell);
        let range = at(cells.start)..at(cells.end);
        halo.counts.clear();
        halo.counts.resize(cells.len(), 0);
        for key in &keys[range.clone()] {
            halo.counts[key.0 as usize - cells.start] += 1;
        }
        for (to, from) in halo.axes.iter_mut().zip(&self.own.position) {
            to.clear();
            to.extend_from_slice(&from[range.clone()]);
        }
    }

    /// Puts the halos of the neighbors around the slab, and computes the forces.
    pub fn surround(&mut self, left: &Halo, right: &Halo) {
        let cells = self.layers.len() * self.grid.layer_size();
        self.around.clear();
        self.starts.clear();
        let is_first = self.layers.start == 0;
        self.add_halo(left, if is_first { -self.grid.length() } else { 0.0 });
        let mut place = self.around.axes[0].len();
        let mut keys = self.scratch.keys.iter().peekable();
        for cell in 0..cells as u32 {
            self.starts.push(place);
            while keys.next_if(|key| key.0 == cell).is_some() {
                place += 1;
            }
        }
        for (to, from) in self.around.axes.iter_mut().zip(&self.own.position) {
            to.extend_from_slice(from);
        }
        let is_last = self.layers.end == self.grid.cells();
        self.add_halo(right, if is_last { self.grid.length() } else { 0.0 });
        self.starts.push(self.around.axes[0].len());
        self.around.pad();
        self.push();
    }

    fn add_halo(&mut self, halo: &Halo, shift: f64) {
        let mut place = self.around.axes[0].len();
        for count in &halo.counts {
            self.starts.push(place);
            place += *count as usize;
        }
        let [x, y, z] = &mut self.around.axes;
        x.extend(halo.axes[0].iter().map(|x| x + shift));
        y.extend_from_slice(&halo.axes[1]);
        z.extend_from_slice(&halo.axes[2]);
    }

    /// Computes the forces on all particles.
    fn push(&mut self) {
        let cells = self.grid.cells();
        let first = self.starts[Grid::REACH * self.grid.layer_size()];
        for axis in &mut self.force {
            axis.resize(self.own.len(), 0.0);
        }
        self.potentials.clear();
        let mut runs = std::mem::take(&mut self.scratch.runs);
        for layer in Grid::REACH..Grid::REACH + self.layers.len() {
            let mut sums = [0.0; 2];
            for cell in 0..cells * cells {
                let (row, column) = (cell / cells, cell % cells);
                let index = layer * cells * cells + cell;
                let own = self.starts[index]..self.starts[index + 1];
                self.collect_runs(layer, row, column, &mut runs);
                let force = &mut self.force;
                let (arch, around, potential) = (self.arch, &self.around, &self.potential);
                push_all(arch, around, own, &runs, potential, |place, push| {
                    for (axis, value) in force.iter_mut().zip(push.force) {
                        axis[place - first] = value;
                    }
                    sums[0] += push.energy;
                    sums[1] += push.virial;
                });
            }
            self.potentials.push(sums);
        }
        self.scratch.runs = runs;
    }

    /// Lists the neighbors of a cell: for each row of cells around it one run, or two where the
    /// row goes around the edge of the box.
    fn collect_runs(&self, layer: usize, row: usize, column: usize, runs: &mut Vec<Run>) {
        let (cells, reach, length) = (self.grid.cells(), Grid::REACH, self.grid.length());
        runs.clear();
        for layer in layer - reach..=layer + reach {
            for offset in 0..=2 * reach {
                let (row, y) = around(row + offset, cells, length);
                let cell = |column: usize| (layer * cells + row) * cells + column;
                let mut add = |columns: Range<usize>, z: f64| {
                    let start = self.starts[cell(columns.start)];
                    let end = self.starts[cell(columns.start) + columns.len()];
                    if start < end {
                        let shift = [y, z];
                        runs.push(Run { start, end, shift });
                    }
                };
                // The columns before the first, those in the box, those behind the last.
                if column < reach {
                    add(cells + column - reach..cells, -length);
                }
                add(
                    column.saturating_sub(reach)..(column + reach + 1).min(cells),
                    0.0,
                );
                if column + reach >= cells {
                    add(0..column + reach + 1 - cells, length);
                }
            }
        }
    }

    /// Returns the energies of each layer, in their order.
    pub fn energies(&self) -> Vec<Energies> {
        let size = self.grid.layer_size() as u32;
        let mut layers: Vec<Energies> = self
            .potentials
            .iter()
            .map(|&[potential, virial]| Energies {
                potential,
                virial,
                ..Energies::default()
            })
            .collect();
        let [us, vs, ws] = &self.own.velocity;
        for (index, key) in self.scratch.keys.iter().enumerate() {
            let (u, v, w) = (us[index], vs[index], ws[index]);
            if let Some(layer) = layers.get_mut((key.0 / size) as usize) {
                layer.kinetic += 0.5 * (u * u + v * v + w * w);
                for (sum, velocity) in layer.momentum.iter_mut().zip([u, v, w]) {
                    *sum += velocity;
                }
            }
        }
        layers
    }

    /// Counts the neighbors of each particle by their distances.
    pub(super) fn count_neighbors(&self, bins: &mut Bins) {
        let cells = self.grid.cells();
        let mut runs = Vec::new();
        let [xs, ys, zs] = &self.around.axes;
        for layer in Grid::REACH..Grid::REACH + self.layers.len() {
            for cell in 0..cells * cells {
                self.collect_runs(layer, cell / cells, cell % cells, &mut runs);
                let index = layer * cells * cells + cell;
                for own in self.starts[index]..self.starts[index + 1] {
                    for run in &runs {
                        let (y, z) = (ys[own] - run.shift[0], zs[own] - run.shift[1]);
                        for other in run.start..run.end {
                            let (dx, dy, dz) = (xs[own] - xs[other], y - ys[other], z - zs[other]);
                            bins.add(dx * dx + dy * dy + dz * dz);
                        }
                    }
                }
            }
        }
    }
}

/// Returns an index that is [`Grid::REACH`] too large as one in the box, and the shift of the
/// image that it means.
fn around(index: usize, cells: usize, length: f64) -> (usize, f64) {
    let reach = Grid::REACH;
    if index < reach {
        (index + cells - reach, -length)
    } else if index - reach < cells {
        (index - reach, 0.0)
    } else {
        (index - reach - cells, length)
    }
}
