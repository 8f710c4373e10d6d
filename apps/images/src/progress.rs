//! The progress bar on standard error.

use std::fmt;
use std::io::{self, Write};

use images::{BatchUpdate, Failure};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Shows how far a run is, its rate and the time left. Draws nothing where standard error is not
/// a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar for `total` pictures; `title` stands in front of it.
    pub(crate) fn new(total: usize, quiet: bool, title: &'static str) -> Self {
        if quiet {
            return Self::hidden();
        }
        let bar = ProgressBar::new(total as u64);
        let template = "{prefix}{wide_bar} {pos}/{len} pictures, {rate}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let style = style.with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
                // A string takes everything.
                let _ = write!(to, "{:.1}/s", state.per_sec());
            });
            bar.set_style(style);
        }
        bar.set_prefix(title);
        // Drawn from the start: the first update may be long in coming.
        bar.tick();
        Self(bar)
    }

    /// One that shows nothing.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    pub(crate) fn update(&self, update: &BatchUpdate) {
        self.0.set_position(update.processed as u64);
    }

    /// Names a file that failed, above the bar.
    pub(crate) fn report(&self, failure: &Failure) {
        self.0.suspend(|| {
            // Nobody is left to tell if standard error is gone.
            let _ = writeln!(io::stderr().lock(), "images: {failure}");
        });
    }

    pub(crate) fn end(self) {
        self.0.finish_and_clear();
    }
}
