//! The Mandelbrot set: for each pixel of a tile, the number of steps after which its orbit escapes.
//!
//! Down to pixels of 2^-40 an orbit is followed directly, in `f64`. Deeper, neighboring pixels are
//! the same `f64`. There one orbit, the reference's, is computed in [`Fixed`], and each pixel
//! follows only its small difference from that orbit, which an `f64` holds with all digits: with z
//! = Z + d, the step z² + c becomes d' = (2 Z + d) d + e, where e is the difference of the two c.
//! When z comes closer to zero than d, the difference has outgrown the orbit. Then z itself is a
//! difference from the reference's start, zero, and the pixel continues from there.

mod reference;

pub use reference::Reference;

use crate::fixed::Fixed;

/// The squared radius at which an orbit counts as escaped. Large, for smooth colors.
const ESCAPE: f64 = 256.0;

/// From this level on, pixels are computed by their difference from a reference.
const DEEP: i32 = 40;

/// The pixels of a tile, and the limit on their steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid<'a> {
    /// The middle of the pixel in the upper left corner: real and imaginary part. The imaginary
    /// part decreases downwards.
    pub(crate) corner: (Fixed, Fixed),
    /// Pixels are 2^-level apart.
    pub(crate) level: i32,
    /// The reference for deep pixels.
    pub(crate) reference: &'a Reference,
}

impl Grid<'_> {
    /// Returns the limit on the steps of an orbit.
    pub(crate) fn steps(&self) -> u32 {
        steps_at(self.level)
    }

    /// Writes one row of smooth escape times. A pixel that does not escape is infinite.
    pub(crate) fn row(&self, y: usize, times: &mut [f32]) {
        let step = 2f64.powi(-self.level);
        let steps = self.steps();
        if self.level >= DEEP {
            let (re, im) = self.reference.center();
            let re = (self.corner.0 - re).to_f64();
            let im = (self.corner.1 - im).to_f64() - y as f64 * step;
            let orbit = self.reference.orbit();
            for (x, time) in times.iter_mut().enumerate() {
                *time = escape_beside(orbit, (re + x as f64 * step, im), steps);
            }
        } else {
            let re = self.corner.0.to_f64();
            let im = self.corner.1.to_f64() - y as f64 * step;
            for (x, time) in times.iter_mut().enumerate() {
                *time = escape((re + x as f64 * step, im), steps);
            }
        }
    }
}

/// Deeper pictures need more steps before they show anything. The numbers fit the program's default
/// place, where points that escape take 3,000 steps at level 50 and 16,000 at 90.
pub(crate) fn steps_at(level: i32) -> u32 {
    let depth = (level - 8).max(0).unsigned_abs();
    300 + 80 * depth + 2 * depth * depth
}

/// Returns the smooth escape time of a point, followed directly.
fn escape((re, im): (f64, f64), steps: u32) -> f32 {
    // A point of the set takes all steps, so this is most of the work on a view of the whole set.
    if is_in_a_large_bulb(re, im) {
        return f32::INFINITY;
    }
    let (mut x, mut y) = (0.0, 0.0);
    // An orbit that returns to an earlier point repeats for ever.
    let mut before = (0.0, 0.0);
    let mut next_mark = 16;
    for step in 0..steps {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > ESCAPE {
            return smooth(step, xx + yy);
        }
        (x, y) = (xx - yy + re, 2.0 * x * y + im);
        if (x, y) == before {
            return f32::INFINITY;
        }
        // The distance of the marks doubles, so a period of any length is found, with one
        // comparison per step.
        if step == next_mark {
            before = (x, y);
            next_mark *= 2;
        }
    }
    f32::INFINITY
}

/// Returns the smooth escape time of the point that differs from the reference's by `(re, im)`.
fn escape_beside(orbit: &[(f64, f64)], (re, im): (f64, f64), steps: u32) -> f32 {
    let (mut dx, mut dy) = (0.0, 0.0);
    let mut at = 0;
    for step in 0..steps {
        let (zx, zy) = orbit[at];
        let (x, y) = (zx + dx, zy + dy);
        let size = x * x + y * y;
        if size > ESCAPE {
            return smooth(step, size);
        }
        // Also where the reference has no further point, because it escaped before this pixel does.
        if size < dx * dx + dy * dy || at + 1 == orbit.len() {
            (dx, dy) = (x, y);
            at = 0;
        }
        let (zx, zy) = orbit[at];
        let (ax, ay) = (2.0 * zx + dx, 2.0 * zy + dy);
        (dx, dy) = (ax * dx - ay * dy + re, ax * dy + ay * dx + im);
        at += 1;
    }
    f32::INFINITY
}

/// Returns whether a point is in the heart-shaped body or in the disk to its left: nearly all of
/// the set's area, and known exactly.
fn is_in_a_large_bulb(re: f64, im: f64) -> bool {
    let im2 = im * im;
    let q = (re - 0.25) * (re - 0.25) + im2;
    q * (q + (re - 0.25)) <= 0.25 * im2 || (re + 1.0) * (re + 1.0) + im2 <= 0.0625
}

/// Returns the steps as a real number without jumps between neighbors, from how far the orbit is
/// past the escape radius.
fn smooth(step: u32, size: f64) -> f32 {
    let past = (size.log2() / ESCAPE.log2()).log2();
    (f64::from(step) - past).max(0.0) as f32
}

#[cfg(test)]
mod tests;
