//! Progress on standard error.

use std::cell::Cell;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressState, ProgressStyle};

/// The time between two lines of progress where there is no terminal.
const BETWEEN_LINES: Duration = Duration::from_secs(10);

/// Shows the progress of a run, its rate and the remaining time: a bar on a terminal, and a line
/// every ten seconds where standard error is a file or a pipe. A short run prints no line.
#[derive(Debug)]
pub struct Progress {
    program: &'static str,
    bar: ProgressBar,
    /// `None` where nothing but a bar is shown.
    lines: Option<Lines>,
}

/// Progress without a terminal.
#[derive(Debug)]
struct Lines {
    title: &'static str,
    unit: &'static str,
    start: Instant,
    last: Cell<Instant>,
}

impl Progress {
    /// Creates the progress of `program`: of `total` things that are called `unit` in the plural,
    /// with `title` in front.
    pub fn new(program: &'static str, total: u64, unit: &'static str, title: &'static str) -> Self {
        let template =
            format!("{{prefix}}{{wide_bar}} {{pos}}/{{len}} {unit}, {{rate}}, {{eta}} left");
        Self::of(program, ProgressBar::new(total), &template, unit, title)
    }

    /// Like [`new`](Self::new), for a number of things that is not known, such as the bytes that
    /// standard input has.
    pub fn endless(program: &'static str, unit: &'static str, title: &'static str) -> Self {
        let template = format!("{{prefix}}{{spinner}} {{pos}} {unit}, {{rate}}");
        Self::of(program, ProgressBar::no_length(), &template, unit, title)
    }

    fn of(
        program: &'static str,
        bar: ProgressBar,
        template: &str,
        unit: &'static str,
        title: &'static str,
    ) -> Self {
        if let Ok(style) = ProgressStyle::with_template(template) {
            let style = style.with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
                // Writing to a string does not fail.
                let _ = write!(to, "{}", rate(state.per_sec()));
            });
            bar.set_style(style);
        }
        bar.set_prefix(title);
        // Drawn at the start, since the first update may take long.
        bar.tick();
        let now = Instant::now();
        let lines = (!io::stderr().is_terminal()).then(|| Lines {
            title,
            unit,
            start: now,
            last: Cell::new(now),
        });
        Self {
            program,
            bar,
            lines,
        }
    }

    /// Creates a progress that shows nothing but what is [reported](Self::report).
    pub fn hidden(program: &'static str) -> Self {
        Self {
            program,
            bar: ProgressBar::hidden(),
            lines: None,
        }
    }

    /// Says how many things are done.
    pub fn set(&self, done: u64) {
        self.bar.set_position(done);
        let Some(lines) = &self.lines else {
            return;
        };
        let now = Instant::now();
        if now.duration_since(lines.last.get()) < BETWEEN_LINES {
            return;
        }
        lines.last.set(now);
        self.print(&lines.at(done, self.bar.length(), now));
    }

    /// Says that `more` things are done.
    pub fn add(&self, more: u64) {
        self.set(self.bar.position() + more);
    }

    /// Prints a line above the bar, with the program's name in front.
    pub fn report(&self, message: &impl Display) {
        self.bar
            .suspend(|| self.print(&format_args!("{}: {message}", self.program)));
    }

    /// Removes the bar.
    pub fn end(self) {
        self.bar.finish_and_clear();
    }

    fn print(&self, line: &dyn Display) {
        // An error cannot be reported anywhere if standard error is closed.
        let _ = writeln!(io::stderr().lock(), "{line}");
    }
}

impl Lines {
    fn at(&self, done: u64, total: Option<u64>, now: Instant) -> String {
        let Self { title, unit, .. } = self;
        let elapsed = now.duration_since(self.start);
        let rate = rate(done as f64 / elapsed.as_secs_f64().max(1e-9));
        let Some(total) = total else {
            return format!("{title}{done} {unit}, {rate}");
        };
        let left = match done {
            0 => String::new(),
            _ => {
                let left = elapsed.mul_f64(total.saturating_sub(done) as f64 / done as f64);
                format!(", {} left", HumanDuration(left))
            }
        };
        format!("{title}{done}/{total} {unit}, {rate}{left}")
    }
}

/// Returns a number of things per second, with a digit behind the point if there are few.
fn rate(per_second: f64) -> String {
    if per_second < 100.0 {
        format!("{per_second:.1}/s")
    } else {
        format!("{per_second:.0}/s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_rate_and_the_time_left() {
        let start = Instant::now();
        let lines = Lines {
            title: "one worker: ",
            unit: "pictures",
            start,
            last: Cell::new(start),
        };
        let now = start + Duration::from_secs(10);
        assert_eq!(
            lines.at(20, Some(80), now),
            "one worker: 20/80 pictures, 2.0/s, 30 seconds left"
        );
        assert_eq!(
            lines.at(0, Some(80), now),
            "one worker: 0/80 pictures, 0.0/s"
        );
        // More than was announced.
        assert!(
            lines
                .at(90, Some(80), now)
                .ends_with("9.0/s, 0 seconds left")
        );
        // Of what has no known end there is only the rate.
        assert_eq!(lines.at(20, None, now), "one worker: 20 pictures, 2.0/s");
    }
}
