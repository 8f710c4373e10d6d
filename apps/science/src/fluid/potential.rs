//! The Lennard-Jones potential with a smooth end.

use std::f64::consts::PI;

use pulp::{Scalar, Simd};

use super::SimulationError;

/// The potential `4 (r⁻¹² - r⁻⁶)`, multiplied by a switch that falls from one to zero between two
/// distances.
///
/// The switch is `1 - 10x³ + 15x⁴ - 6x⁵`, where `x` goes from zero to one with the square of the
/// distance. Its first and second derivatives are zero at both ends, so the force and its
/// derivative are continuous, which an integrator needs to conserve energy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Potential {
    pub(super) switch_squared: f64,
    pub(super) cutoff_squared: f64,
    /// One over the difference of the two squares; zero without a switch.
    pub(super) slope: f64,
}

/// The contribution of what the cut-off leaves out, if the fluid has no structure beyond it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    /// Potential energy per particle.
    pub energy: f64,
    /// Pressure.
    pub pressure: f64,
}

/// The potential of one pair in each lane.
#[derive(Clone, Copy)]
pub(super) struct Pair<V> {
    /// The energy.
    pub(super) energy: V,
    /// The force along the distance, divided by the distance.
    pub(super) force: V,
}

impl Potential {
    /// Returns the potential that is switched off between the two distances.
    ///
    /// # Errors
    /// `switch` has to be less than `cutoff`, and both positive.
    pub fn smooth(switch: f64, cutoff: f64) -> Result<Self, SimulationError> {
        if !(switch > 0.0 && switch < cutoff && cutoff.is_finite()) {
            let field = "cut-off".into();
            return Err(SimulationError::Invalid { field });
        }
        let (switch_squared, cutoff_squared) = (switch * switch, cutoff * cutoff);
        Ok(Self {
            switch_squared,
            cutoff_squared,
            slope: 1.0 / (cutoff_squared - switch_squared),
        })
    }

    /// Returns the potential that ends with a jump, for comparisons with published values: the
    /// energy drifts with it.
    ///
    /// # Errors
    /// `cutoff` has to be positive.
    pub fn truncated(cutoff: f64) -> Result<Self, SimulationError> {
        if !(cutoff > 0.0 && cutoff.is_finite()) {
            let field = "cut-off".into();
            return Err(SimulationError::Invalid { field });
        }
        Ok(Self {
            switch_squared: cutoff * cutoff,
            cutoff_squared: cutoff * cutoff,
            slope: 0.0,
        })
    }

    /// Returns the distance beyond which there is no force.
    pub fn cutoff(&self) -> f64 {
        self.cutoff_squared.sqrt()
    }

    /// Computes pairs whose distances are less than the cut-off.
    #[inline(always)]
    pub(super) fn pair<S: Simd>(&self, simd: S, squared: S::f64s) -> Pair<S::f64s> {
        let number = |value| simd.splat_f64s(value);
        let times = |a, b| simd.mul_f64s(a, b);
        let one = number(1.0);
        let inverse = simd.div_f64s(one, squared);
        let sixth = times(times(inverse, inverse), inverse);
        let energy = times(times(number(4.0), sixth), simd.sub_f64s(sixth, one));
        // Both derivatives are those by the square of the distance.
        let double = simd.sub_f64s(simd.add_f64s(sixth, sixth), one);
        let derivative = times(times(times(number(-12.0), sixth), double), inverse);
        let beyond = simd.sub_f64s(squared, number(self.switch_squared));
        let x = simd.max_f64s(times(beyond, number(self.slope)), number(0.0));
        let (squared_x, rest) = (times(x, x), simd.sub_f64s(one, x));
        // 10 + x (6x - 15)
        let inner = simd.sub_f64s(times(number(6.0), x), number(15.0));
        let inner = simd.add_f64s(number(10.0), times(x, inner));
        let switch = simd.sub_f64s(one, times(times(squared_x, x), inner));
        let fall = times(
            times(squared_x, times(rest, rest)),
            number(-30.0 * self.slope),
        );
        let derivative = simd.add_f64s(times(derivative, switch), times(energy, fall));
        Pair {
            energy: times(energy, switch),
            force: times(number(-2.0), derivative),
        }
    }

    fn energy_at(&self, squared: f64) -> f64 {
        self.pair(Scalar, squared).energy
    }

    /// Returns the energy of two particles at a distance.
    pub fn energy(&self, distance: f64) -> f64 {
        let squared = distance * distance;
        if squared < self.cutoff_squared {
            self.energy_at(squared)
        } else {
            0.0
        }
    }

    /// Returns the contribution of what the cut-off leaves out, at a density.
    pub fn tail(&self, density: f64) -> Tail {
        let cutoff = self.cutoff();
        let (third, ninth) = (cutoff.powi(-3), cutoff.powi(-9));
        // The integral of 4 (r⁻¹² - r⁻⁶) r² beyond the cut-off.
        let beyond = 4.0 * (ninth / 9.0 - third / 3.0);
        let energy = 2.0 * PI * density * (beyond + self.lost_by_the_switch());
        let pressure = if self.slope == 0.0 {
            16.0 / 3.0 * PI * density * density * (2.0 / 3.0 * ninth - third)
        } else {
            // What is lost is continuous, so integration by parts gives the virial.
            density * energy
        };
        Tail { energy, pressure }
    }

    /// The integral of the part of `4 (r⁻¹² - r⁻⁶) r²` that the switch takes away, by Simpson's
    /// rule.
    fn lost_by_the_switch(&self) -> f64 {
        const STEPS: u32 = 1000;
        if self.slope == 0.0 {
            return 0.0;
        }
        let (from, to) = (self.switch_squared.sqrt(), self.cutoff());
        let step = (to - from) / f64::from(STEPS);
        let lost = |index: u32| {
            let distance = from + step * f64::from(index);
            let squared = distance * distance;
            let sixth = squared.powi(-3);
            let whole = 4.0 * sixth * (sixth - 1.0);
            (whole - self.energy_at(squared)) * squared
        };
        let inner: f64 = (1..STEPS)
            .map(|index| lost(index) * if index % 2 == 1 { 4.0 } else { 2.0 })
            .sum();
        (lost(0) + inner + lost(STEPS)) * step / 3.0
    }
}
