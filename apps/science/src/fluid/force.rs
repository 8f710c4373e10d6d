//! The kernel: the forces on the particles of one cell.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::potential::Potential;

/// The pairs that are computed side by side, whatever the width of the machine's vectors is: so the
/// order of the additions, and with it each bit, is the same on all machines.
const LANES: usize = 4;

/// The numbers of the lanes.
const NUMBERS: [f64; LANES] = [0.0, 1.0, 2.0, 3.0];

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
            axis.resize(axis.len() + LANES, 0.0);
        }
    }
}

/// Neighbors that are stored one after the other, and where their images are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) start: usize,
    pub(super) end: usize,
    /// What has to be added to their y and z. The shift of x is in the positions already.
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
    own: Range<usize>,
    runs: &[Run],
    potential: &Potential,
    each: impl FnMut(usize, Push),
) {
    arch.dispatch(Kernel {
        positions,
        own,
        runs,
        potential,
        each,
    });
}

struct Kernel<'a, F> {
    positions: &'a Positions,
    own: Range<usize>,
    runs: &'a [Run],
    potential: &'a Potential,
    each: F,
}

impl<F: FnMut(usize, Push)> WithSimd for Kernel<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for index in self.own {
            let push = push(simd, self.positions, index, self.runs, self.potential);
            (self.each)(index, push);
        }
    }
}

/// The sums of one particle, lane by lane. A machine with narrower vectors has several of each.
struct Sums<S: Simd>([[S::f64s; 5]; LANES]);

#[inline(always)]
fn push<S: Simd>(
    simd: S,
    positions: &Positions,
    own: usize,
    runs: &[Run],
    potential: &Potential,
) -> Push {
    let [xs, ys, zs] = &positions.axes;
    let x = simd.splat_f64s(xs[own]);
    let mut sums = Sums::<S>([[simd.splat_f64s(0.0); 5]; LANES]);
    for run in runs {
        let y = simd.splat_f64s(ys[own] - run.shift[0]);
        let z = simd.splat_f64s(zs[own] - run.shift[1]);
        let mut start = run.start;
        while start < run.end {
            let count = simd.splat_f64s((run.end - start) as f64);
            let [others_x, others_y, others_z] =
                [xs, ys, zs].map(|axis| S::as_simd_f64s(&axis[start..start + LANES]).0);
            let numbers = S::as_simd_f64s(&NUMBERS).0;
            for part in 0..LANES / S::F64_LANES {
                let distance = [
                    simd.sub_f64s(x, others_x[part]),
                    simd.sub_f64s(y, others_y[part]),
                    simd.sub_f64s(z, others_z[part]),
                ];
                let is_there = simd.less_than_f64s(numbers[part], count);
                add(simd, &mut sums.0[part], distance, is_there, potential);
            }
            start += LANES;
        }
    }
    sums.total(simd)
}

/// Adds pairs: those that are there, and within the cut-off.
#[inline(always)]
fn add<S: Simd>(
    simd: S,
    sums: &mut [S::f64s; 5],
    [dx, dy, dz]: [S::f64s; 3],
    is_there: S::m64s,
    potential: &Potential,
) {
    let squared = simd.add_f64s(
        simd.add_f64s(simd.mul_f64s(dx, dx), simd.mul_f64s(dy, dy)),
        simd.mul_f64s(dz, dz),
    );
    let zero = simd.splat_f64s(0.0);
    let is_near = simd.less_than_f64s(squared, simd.splat_f64s(potential.cutoff_squared));
    // A particle is no neighbor of itself.
    let is_other = simd.less_than_f64s(zero, squared);
    let is_pair = simd.and_m64s(simd.and_m64s(is_near, is_other), is_there);
    // Most vectors of the cells in the corners have no pair.
    if simd.first_true_m64s(is_pair) >= S::F64_LANES {
        return;
    }
    // Each lane computes a pair, and those that have none add zero.
    let squared = simd.select_f64s(is_pair, squared, simd.splat_f64s(1.0));
    let pair = potential.pair(simd, squared);
    let force = simd.select_f64s(is_pair, pair.force, zero);
    let energy = simd.select_f64s(is_pair, pair.energy, zero);
    let terms = [
        simd.mul_f64s(force, dx),
        simd.mul_f64s(force, dy),
        simd.mul_f64s(force, dz),
        energy,
        simd.mul_f64s(force, squared),
    ];
    for (sum, term) in sums.iter_mut().zip(terms) {
        *sum = simd.add_f64s(*sum, term);
    }
}

impl<S: Simd> Sums<S> {
    #[inline(always)]
    fn total(&self, simd: S) -> Push {
        let mut lanes = [[0.0; LANES]; 5];
        for (part, sums) in self.0[..LANES / S::F64_LANES].iter().enumerate() {
            for (lanes, sum) in lanes.iter_mut().zip(sums) {
                let to = &mut lanes[part * S::F64_LANES..(part + 1) * S::F64_LANES];
                simd.partial_store_f64s(to, *sum);
            }
        }
        let [fx, fy, fz, energy, virial] = lanes.map(|[a, b, c, d]| (a + b) + (c + d));
        Push {
            force: [fx, fy, fz],
            energy: 0.5 * energy,
            virial: 0.5 * virial,
        }
    }
}
