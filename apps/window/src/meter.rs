//! When frames are due, and how late they are.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use insula::Instant;

/// Frames that the strip shows.
pub(crate) const SHOWN: usize = 240;

/// A beat: frames are due a period apart, as long as the animation goes on.
#[derive(Debug)]
pub struct Pace {
    period: Duration,
    due: Option<Instant>,
}

impl Pace {
    /// Frames every `period`.
    pub fn new(period: Duration) -> Self {
        Self { period, due: None }
    }

    /// The time between two frames.
    pub fn period(&self) -> Duration {
        self.period
    }

    /// When the next frame is due; none while nothing moves.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Something is to be seen: a frame is due from `now` on, unless there is a beat already.
    pub fn start(&mut self, now: Instant) {
        self.due.get_or_insert(now);
    }

    /// Nothing moves any more.
    pub fn stop(&mut self) {
        self.due = None;
    }

    /// A frame begins at `now`: tells how late that is, and sets the next one. Frames that
    /// should have been by now are left out.
    pub fn begin(&mut self, now: Instant) -> Duration {
        let due = self.due.unwrap_or(now);
        let mut next = due + self.period;
        if next <= now {
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

/// The longest time that is told from longer ones: a minute, in microseconds.
const LONGEST: u64 = 60_000_000;

/// The times of one frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct FrameTimes {
    /// From the time at which it was due to its beginning.
    pub late: Duration,
    /// From its beginning to the end of drawing.
    pub work: Duration,
}

/// The times of all frames.
#[derive(Debug)]
pub struct Meter {
    recent: VecDeque<FrameTimes>,
    /// In microseconds, as all histograms here.
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
        if self.recent.len() == SHOWN {
            self.recent.pop_front();
        }
        self.recent.push_back(times);
    }

    /// The last frames, oldest first.
    pub fn recent(&self) -> impl ExactSizeIterator<Item = &FrameTimes> {
        self.recent.iter()
    }

    /// The last frame.
    pub fn last(&self) -> FrameTimes {
        self.recent.back().copied().unwrap_or_default()
    }

    /// How late frames begin.
    pub fn late(&self) -> Quantiles {
        Quantiles::of(&self.late)
    }

    /// How long frames take.
    pub fn work(&self) -> Quantiles {
        Quantiles::of(&self.work)
    }

    /// How long after their time frames are on the screen.
    pub fn done(&self) -> Quantiles {
        Quantiles::of(&self.done)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.late.len()
    }
}

/// What share of the frames was how fast, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Quantiles {
    /// Half of them.
    pub p50: f64,
    /// 99 of 100.
    pub p99: f64,
    /// 999 of 1,000.
    pub p999: f64,
    /// All.
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

    /// As a JSON object, in milliseconds.
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
