//! A flight without user input.

use std::time::Duration;

use crate::view::View;

/// The highest speed in levels per second, which a viewer can still follow.
const SPEED: f64 = 4.0;

/// A flight from the whole set to a place, and back unless it ends there.
#[derive(Clone, Debug)]
pub struct Demo {
    /// The duration of the flight.
    pub length: Duration,
    /// The destination.
    pub place: View,
    /// The view at the end.
    pub end: End,
}

/// The view at the end of a flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum End {
    /// The start of the flight: the whole set.
    Home,
    /// The destination.
    Place,
}

impl Demo {
    /// Returns the view after the time `elapsed`.
    pub fn view(&self, home: &View, elapsed: Duration) -> View {
        // With a length of zero the first frame would divide 0 by 0.
        let part = elapsed.as_secs_f64() / self.length.as_secs_f64().max(1e-3);
        // Parts of the flight: there, a rest, back, a rest.
        let (way, seconds) = match self.end {
            End::Home if part < 0.55 => (ramp(part, 0.0, 0.5), 0.5),
            End::Home => (1.0 - ramp(part, 0.55, 0.85), 0.5),
            End::Place => (ramp(part, 0.0, 0.8), 0.8),
        };
        let deepest = SPEED * seconds * self.length.as_secs_f64();
        let whole = self.place.zoom - home.zoom;
        let reach = match self.end {
            End::Home if whole > 0.0 => (deepest / whole).min(1.0),
            // A flight that ends at the place has to reach it.
            _ => 1.0,
        };
        home.towards(&self.place, way * reach)
    }

    /// Returns whether the flight is over.
    pub fn is_over(&self, elapsed: Duration) -> bool {
        elapsed >= self.length
    }
}

/// Rises smoothly from 0 at `from` to 1 at `to`.
fn ramp(at: f64, from: f64, to: f64) -> f64 {
    let part = ((at - from) / (to - from)).clamp(0.0, 1.0);
    part * part * (3.0 - 2.0 * part)
}

#[cfg(test)]
mod tests;
