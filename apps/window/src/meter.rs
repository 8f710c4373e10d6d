//! The times at which frames are due, and their lateness.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use insula::Instant;

/// The number of frames in the strip.
pub(crate) const SHOWN: usize = 240;

/// A beat: frames are due one period apart while the animation runs.
#[derive(Debug)]
pub struct Pace {
    period: Duration,
    due: Option<Instant>,
}

impl Pace {
    /// Creates a beat with one frame per `period`.
    pub fn new(period: Duration) -> Self {
        Self { period, due: None }
    }

    /// Returns the time between two frames.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// Returns when the next frame is due; `None` while nothing moves.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Starts the beat: a frame is due at `now`, unless the beat runs already.
    pub fn start(&mut self, now: Instant) {
        self.due.get_or_insert(now);
    }

    /// Stops the beat.
    pub fn stop(&mut self) {
        self.due = None;
    }

    /// Begins a frame at `now`: returns its lateness and schedules the next one. Frames that were
    /// due in the meantime are skipped.
    pub fn begin(&mut self, now: Instant) -> Duration {
        let due = self.due.unwrap_or(now);
        let mut next = due + self.period;
        if next <= now {
            // Skipped in whole periods, so that the beat stays where it was.
            let missed = (now - next).as_nanos() / self.period.as_nanos().max(1) + 1;
            next = next
                + self
                    .period
                    .saturating_mul(u32::try_from(missed).unwrap_or(u32::MAX));
        }
        self.due = Some(next);
        now - due
    }
}

/// The longest time that the histograms resolve: a minute, in microseconds.
const LONGEST: u64 = 60_000_000;

/// The times of one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameTimes {
    /// From when it was due to its start.
    pub late: Duration,
    /// From its start to the end of drawing.
    pub work: Duration,
}

/// The times of all frames.
#[derive(Debug)]
pub struct Meter {
    recent: VecDeque<FrameTimes>,
    /// In microseconds, like all histograms here.
    late: Histogram<u32>,
    work: Histogram<u32>,
    done: Histogram<u32>,
}

impl Default for Meter {
    fn default() -> Self {
        let histogram = || Histogram::new_with_max(LONGEST, 3).expect("the range is valid");
        Self {
            recent: VecDeque::with_capacity(SHOWN),
            late: histogram(),
            work: histogram(),
            done: histogram(),
        }
    }
}

impl Meter {
    /// Adds a frame.
    pub fn add(&mut self, times: FrameTimes) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.late.saturating_record(micros(times.late));
        self.work.saturating_record(micros(times.work));
        self.done.saturating_record(micros(times.late + times.work));
        // Before the push, so that the memory that was reserved is never exceeded.
        if self.recent.len() == SHOWN {
            self.recent.pop_front();
        }
        self.recent.push_back(times);
    }

    /// Returns the last frames, oldest first.
    pub fn recent(&self) -> impl ExactSizeIterator<Item = &FrameTimes> {
        self.recent.iter()
    }

    /// Returns the last frame.
    pub fn last(&self) -> FrameTimes {
        self.recent.back().copied().unwrap_or_default()
    }

    /// Returns the quantiles of the lateness.
    pub fn late(&self) -> Quantiles {
        Quantiles::of(&self.late)
    }

    /// Returns the quantiles of the work.
    pub fn work(&self) -> Quantiles {
        Quantiles::of(&self.work)
    }

    /// Returns the quantiles of the time from when a frame was due to the end of drawing.
    pub fn done(&self) -> Quantiles {
        Quantiles::of(&self.done)
    }

    /// Returns the number of frames.
    pub fn count(&self) -> u64 {
        self.late.len()
    }
}

/// Quantiles of frame times, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Quantiles {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The 99.9th percentile.
    pub p999: f64,
    /// The maximum.
    pub max: f64,
}

impl Quantiles {
    fn of(histogram: &Histogram<u32>) -> Self {
        let ms = |micros: u64| micros as f64 / 1000.0;
        Self {
            p50: ms(histogram.value_at_quantile(0.5)),
            p99: ms(histogram.value_at_quantile(0.99)),
            p999: ms(histogram.value_at_quantile(0.999)),
            max: ms(histogram.max()),
        }
    }

    /// Returns a JSON object, in milliseconds.
    pub fn to_json(self) -> String {
        let Self {
            p50,
            p99,
            p999,
            max,
        } = self;
        format!(r#"{{"p50":{p50},"p99":{p99},"p99.9":{p999},"max":{max}}}"#)
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            p50,
            p99,
            p999,
            max,
        } = self;
        write!(
            f,
            "p50 {p50:.2} ms, p99 {p99:.2} ms, p99.9 {p999:.2} ms, max {max:.2} ms"
        )
    }
}

#[cfg(test)]
mod tests;
