//! The progress bar on standard error.

use std::fmt;
use std::io::{self, Write};

use images::{BatchUpdate, Failure};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// Shows the progress of a run, its rate and the remaining time. Draws nothing if standard error is
/// not a terminal.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Creates a bar for `total` pictures, with `title` in front.
    pub(crate) fn new(total: usize, quiet: bool, title: &'static str) -> Self {
        if quiet {
            return Self::hidden();
        }
        let bar = ProgressBar::new(total as u64);
        let template = "{prefix}{wide_bar} {pos}/{len} pictures, {rate}, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            let style = style.with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
                // Writing to a string does not fail.
                let _ = write!(to, "{:.1}/s", state.per_sec());
            });
            bar.set_style(style);
        }
        bar.set_prefix(title);
        // Drawn at the start, since the first update may take long.
        bar.tick();
        Self(bar)
    }

    /// Creates a bar that shows nothing.
    pub(crate) fn hidden() -> Self {
        Self(ProgressBar::hidden())
    }

    pub(crate) fn update(&self, update: &BatchUpdate) {
        self.0.set_position(update.processed as u64);
    }

    /// Prints the name of a failed file above the bar.
    pub(crate) fn report(&self, failure: &Failure) {
        self.0.suspend(|| {
            // An error cannot be reported anywhere if standard error is closed.
            let _ = writeln!(io::stderr().lock(), "images: {failure}");
        });
    }

    pub(crate) fn end(self) {
        self.0.finish_and_clear();
    }
}
