//! The orbit from which deep pixels are told apart.

use std::sync::OnceLock;

use crate::fixed::Fixed;

/// A point whose orbit is known to all digits. Computed by whoever asks first.
#[derive(Debug)]
pub struct Reference {
    center: (Fixed, Fixed),
    steps: u32,
    orbit: OnceLock<Box<[(f64, f64)]>>,
}

impl Reference {
    /// For at most `steps` steps from the point `center`.
    pub fn new(center: (Fixed, Fixed), steps: u32) -> Self {
        Self {
            center,
            steps,
            orbit: OnceLock::new(),
        }
    }

    /// The point.
    pub fn center(&self) -> (Fixed, Fixed) {
        self.center
    }

    /// How far its orbit is followed at most.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Its orbit, from zero until it escapes or there are enough steps; at least two places.
    ///
    /// # Blocking
    /// While another thread computes it.
    pub fn orbit(&self) -> &[(f64, f64)] {
        self.orbit.get_or_init(|| {
            let (re, im) = self.center;
            let mut orbit = vec![(0.0, 0.0)];
            let (mut x, mut y) = (re, im);
            for _ in 0..self.steps.max(1) {
                let place = (x.to_f64(), y.to_f64());
                orbit.push(place);
                // Far from what a fixed number can hold, and past any use as a reference.
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
