//! The particles in the terminal, while they move.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use science::fluid::{Particles, Sample, Simulate, picture};

/// The time between two pictures. More of them only flicker.
const BETWEEN_PICTURES: Duration = Duration::from_millis(40);

/// The characters of a picture. A character is twice as high as wide, so this is a square.
const COLUMNS: usize = 72;
const ROWS: usize = 36;

/// A picture that replaces the one before it.
pub(super) struct Screen {
    request: Simulate,
    start: Instant,
    last: Option<Instant>,
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
        if !is_last && self.last.is_some_and(|last| now - last < BETWEEN_PICTURES) {
            return;
        }
        // Back to the first line of the picture before; the first one begins where the cursor is.
        let back = match self.last {
            Some(_) => format!("\x1b[{}A", ROWS + 1),
            None => String::new(),
        };
        self.last = Some(now);
        let picture = picture(frame, self.request.length(), COLUMNS, ROWS);
        let (particles, steps) = (self.request.particles, self.request.steps());
        let per_second = sample.step as f64 / (now - self.start).as_secs_f64().max(1e-9);
        let left = (steps - sample.step) as f64 / per_second.max(1e-9);
        let left = Duration::try_from_secs_f64(left).unwrap_or(Duration::MAX);
        // The rest of each line is cleared: a line that was longer would stick out.
        let text = format!(
            "{back}{picture}step {}/{steps}, temperature {:.3}, energy {:.5} each, \
             {per_second:.0} steps/s, {} s left\x1b[K\n",
            sample.step,
            sample.energies.temperature(particles),
            sample.energies.total() / f64::from(particles),
            left.as_secs(),
        );
        let mut out = io::stdout().lock();
        // A picture that cannot be shown does not stop the simulation.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
