//! The particles in the terminal, while they move.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use science::fluid::{Particles, Sample, Simulate, picture};
use terminal_size::{Height, Width, terminal_size_of};

/// The time between two pictures. More of them only flicker.
const BETWEEN_PICTURES: Duration = Duration::from_millis(40);

/// The rows of a picture in a terminal that is lower or narrower. It scrolls there.
const LEAST_ROWS: usize = 4;

/// The size of a terminal that does not tell it.
const USUAL: (Width, Height) = (Width(80), Height(24));

/// A picture that replaces the one before it.
pub(super) struct Screen {
    request: Simulate,
    start: Instant,
    last: Option<Shown>,
}

/// The picture that is in the terminal.
struct Shown {
    at: Instant,
    rows: usize,
}

impl Screen {
    pub(super) fn new(request: &Simulate) -> Self {
        Self {
            request: request.clone(),
            start: Instant::now(),
            last: None,
        }
    }

    /// Draws a state, unless it comes too soon after the last one.
    pub(super) fn show(&mut self, sample: &Sample, frame: &Particles) {
        let now = Instant::now();
        let is_last = sample.step == self.request.steps();
        let is_soon = |shown: &Shown| now - shown.at < BETWEEN_PICTURES;
        if !is_last && self.last.as_ref().is_some_and(is_soon) {
            return;
        }
        // Each time, since a terminal may change its size.
        let (Width(width), Height(height)) = terminal_size_of(io::stdout()).unwrap_or(USUAL);
        let rows = rows(width.into(), height.into());
        // Back to the first line of the picture before; the first one begins where the cursor is. Only
        // a picture of another size is removed: between two of one size that would flicker.
        let back = match self.last.replace(Shown { at: now, rows }) {
            Some(shown) if shown.rows == rows => format!("\x1b[{}A", rows + 1),
            Some(shown) => format!("\x1b[{}A\x1b[J", shown.rows + 1),
            None => String::new(),
        };
        // A character is twice as high as wide, so this is a square.
        let picture = picture(frame, self.request.length(), 2 * rows, rows);
        // A line that is as long as the terminal is wide could go on in the next one.
        let width = usize::from(width).saturating_sub(1);
        let status: String = self.status(sample, now).chars().take(width).collect();
        // The rest of the line is cleared: a longer one before it would stick out.
        let text = format!("{back}{picture}{status}\x1b[K\n");
        let mut out = io::stdout().lock();
        // A picture that cannot be shown does not stop the simulation.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    fn status(&self, sample: &Sample, now: Instant) -> String {
        let (particles, steps) = (self.request.particles, self.request.steps());
        let per_second = sample.step as f64 / (now - self.start).as_secs_f64().max(1e-9);
        let left = (steps - sample.step) as f64 / per_second.max(1e-9);
        let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
        format!(
            "step {}/{steps}, temperature {:.3}, energy {:.5} each, {per_second:.0} steps/s, \
             {} s left",
            sample.step,
            sample.energies.temperature(particles),
            sample.energies.total() / f64::from(particles),
            left.as_secs(),
        )
    }
}

/// Returns the rows of the largest picture that fits into a terminal, with the line below it and the
/// one where the cursor stays.
fn rows(width: usize, height: usize) -> usize {
    height.saturating_sub(2).min(width / 2).max(LEAST_ROWS)
}
