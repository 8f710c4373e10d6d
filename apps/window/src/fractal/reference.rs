//! The orbit from which the differences of deep pixels are computed.

use std::sync::OnceLock;

use crate::fixed::Fixed;

/// A point whose orbit is known to all digits. The first thread that needs the orbit computes it.
#[derive(Debug)]
pub struct Reference {
    center: (Fixed, Fixed),
    steps: u32,
    orbit: OnceLock<Box<[(f64, f64)]>>,
}

impl Reference {
    /// Creates a reference at the point `center`, with an orbit of at most `steps` steps.
    pub fn new(center: (Fixed, Fixed), steps: u32) -> Self {
        Self {
            center,
            steps,
            orbit: OnceLock::new(),
        }
    }

    /// Returns the point.
    pub fn center(&self) -> (Fixed, Fixed) {
        self.center
    }

    /// Returns the limit on the steps of its orbit.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Returns the orbit, from zero until it escapes or reaches the limit; at least two points.
    ///
    /// # Blocking
    /// Waits while another thread computes it.
    pub fn orbit(&self) -> &[(f64, f64)] {
        self.orbit.get_or_init(|| {
            let (re, im) = self.center;
            let mut orbit = vec![(0.0, 0.0)];
            let (mut x, mut y) = (re, im);
            // At least one step, since `escape_beside` always reads the point after zero.
            for _ in 0..self.steps.max(1) {
                let place = (x.to_f64(), y.to_f64());
                orbit.push(place);
                // Still far inside the range of a fixed number, but useless as a reference beyond
                // this point.
                if place.0.abs() > 2.0 || place.1.abs() > 2.0 {
                    break;
                }
                let both = x.times(y);
                (x, y) = (x.times(x) - y.times(y) + re, both.doubled() + im);
            }
            orbit.into()
        })
    }
}
