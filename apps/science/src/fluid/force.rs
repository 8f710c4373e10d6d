//! The kernel: the forces on the particles of one cell.

use pulp::Arch;

use super::potential::Potential;

/// The pairs that are computed side by side, whatever the width of the machine's vectors is: so the
/// order of the additions, and with it each bit, is the same on all machines.
pub(super) const LANES: usize = 8;

/// Positions of the particles of consecutive cells. Each array has [`LANES`] further entries, so
/// that a whole vector can be read at its end.
#[derive(Debug, Default)]
pub(super) struct Positions {
    pub(super) axes: [Vec<f64>; 3],
}

impl Positions {
    pub(super) fn clear(&mut self) {
        self.axes.iter_mut().for_each(Vec::clear);
    }

    pub(super) fn pad(&mut self) {
        for axis in &mut self.axes {
            axis.resize(axis.len() + LANES, f64::MAX);
        }
    }
}

/// Neighbors that are stored one after the other, and where their images are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What has to be added to their positions. That of x is in the positions already.
    pub(super) shift: [f64; 2],
}

/// The force on a particle, and its part of the energy and of the virial: half of each pair's.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Push {
    pub(super) force: [f64; 3],
    pub(super) energy: f64,
    pub(super) virial: f64,
}

/// Computes the forces on the particles at `own` by those in `runs`, in the order of the runs.
pub(super) fn push_all(
    arch: Arch,
    positions: &Positions,
    own: std::ops::Range<usize>,
    runs: &[Run],
    potential: &Potential,
    mut each: impl FnMut(usize, Push),
) {
    arch.dispatch(
        #[inline(always)]
        || {
            for index in own {
                each(index, push(positions, index, runs, potential));
            }
        },
    );
}

#[inline(always)]
fn push(positions: &Positions, own: usize, runs: &[Run], potential: &Potential) -> Push {
    let [xs, ys, zs] = &positions.axes;
    let (x, y, z) = (xs[own], ys[own], zs[own]);
    let mut sums = [[0.0; LANES]; 5];
    for run in runs {
        let (y, z) = (y - run.shift[0], z - run.shift[1]);
        let mut start = run.start;
        while start < run.end {
            let chunks = (
                xs[start..].first_chunk::<LANES>(),
                ys[start..].first_chunk::<LANES>(),
                zs[start..].first_chunk::<LANES>(),
            );
            // Always: the arrays are padded.
            if let (Some(xs), Some(ys), Some(zs)) = chunks {
                let distance = [
                    xs.map(|other| x - other),
                    ys.map(|other| y - other),
                    zs.map(|other| z - other),
                ];
                add(&mut sums, &distance, run.end - start, potential);
            }
            start += LANES;
        }
    }
    let [fx, fy, fz, energy, virial] = sums.map(|lanes| lanes.iter().sum::<f64>());
    Push {
        force: [fx, fy, fz],
        energy: 0.5 * energy,
        virial: 0.5 * virial,
    }
}

/// Adds the pairs of the first `count` lanes that are within the cut-off.
#[inline(always)]
fn add(
    sums: &mut [[f64; LANES]; 5],
    distance: &[[f64; LANES]; 3],
    count: usize,
    potential: &Potential,
) {
    let [dx, dy, dz] = distance;
    let mut squared = [0.0; LANES];
    for lane in 0..LANES {
        squared[lane] = dx[lane] * dx[lane] + dy[lane] * dy[lane] + dz[lane] * dz[lane];
    }
    let [fx, fy, fz, energy, virial] = sums;
    for lane in 0..LANES {
        // A particle is no neighbor of itself.
        let is_near = (squared[lane] < potential.cutoff_squared)
            & (squared[lane] > 0.0)
            & (lane < count);
        // Not a branch: each lane computes a pair, and those that are none add zero.
        let squared = if is_near { squared[lane] } else { 1.0 };
        let pair = potential.pair(squared);
        let force = if is_near { pair.force } else { 0.0 };
        fx[lane] += force * dx[lane];
        fy[lane] += force * dy[lane];
        fz[lane] += force * dz[lane];
        energy[lane] += if is_near { pair.energy } else { 0.0 };
        virial[lane] += force * squared;
    }
}
