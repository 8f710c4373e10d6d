//! The number of workers of a pool: the setting, and the pure part of the decisions.
//!
//! A pool has a fixed number of *slots*, the most workers that it may have. A worker that is not
//! needed is *retired*: its slot is empty, and no state of it is built. The supervisor compares the
//! workers that are there with the *target*, and starts or retires as many as differ.
//!
//! The target is what [`resize`](crate::WorkerPool::resize) has set, or follows the load:
//! - up, if a call has waited for [`Scale::UP_AFTER`] and more: the supervisor notes the newest call
//!   of the queue and looks again after that time. If a call that was there then still waits, or one
//!   was turned away by a full queue, the target grows by the number of calls that wait, but at most
//!   doubles;
//! - down, once in each period of [`Workers::idle`]: by as many workers as never ran a call at the same
//!   time as the others in that period.

use std::ops::RangeInclusive;
use std::thread::available_parallelism;
use std::time::Duration;

use insula_core::Instant;

/// The number of workers of a pool.
///
/// A `usize` is a fixed number. A range has the pool follow its load: it starts with the least, adds
/// workers while calls wait, and retires those that it does not need.
///
/// ```
/// use std::time::Duration;
///
/// use insula_pool::Workers;
///
/// let fixed = Workers::from(4);
/// let follows = Workers::from(2..=16).idle(Duration::from_secs(60));
/// let by_cores = Workers::per_core(2.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Workers {
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) idle: Duration,
}

impl Workers {
    /// As many as the process may use cores, times `factor`, rounded up; at least one.
    pub fn per_core(factor: f64) -> Self {
        let cores = available_parallelism().map_or(1, Into::into);
        // A factor that is no number gives 0, and `max` makes a worker of it.
        let workers = (cores as f64 * factor).ceil() as usize;
        Self::from(workers.max(1))
    }

    /// Sets the time that a worker of a range has to be of no use before it is retired; more than
    /// zero. The default is 10 seconds.
    pub fn idle(self, time: Duration) -> Self {
        Self { idle: time, ..self }
    }

    pub(crate) fn is_range(&self) -> bool {
        self.least < self.most
    }
}

/// One for each core that the process may use.
impl Default for Workers {
    fn default() -> Self {
        Self::per_core(1.0)
    }
}

impl From<usize> for Workers {
    fn from(workers: usize) -> Self {
        Self::from(workers..=workers)
    }
}

impl From<RangeInclusive<usize>> for Workers {
    fn from(range: RangeInclusive<usize>) -> Self {
        Self {
            least: *range.start(),
            most: *range.end(),
            idle: Duration::from_secs(10),
        }
    }
}

/// The target of a pool's size, and what it follows from.
#[derive(Debug)]
pub(crate) struct Scale {
    pub(crate) target: usize,
    workers: Workers,
    /// `resize` has set the target.
    is_set: bool,
    /// The queue is watched since a time, at which this was the number of the next call.
    pressed: Option<(Instant, u64)>,
    /// A call has come that no worker had room for, and the supervisor has not seen it.
    is_pressed: bool,
    /// A call was turned away since the last look, because the queue was full.
    has_refused: bool,
    /// Workers that run calls, and the most of them in this period.
    active: usize,
    peak: usize,
    period: Option<Instant>,
}

/// The queue of the calls that any worker may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) calls: usize,
    /// The number of the oldest one.
    pub(crate) oldest: Option<u64>,
    /// The number that the next one gets.
    pub(crate) next: u64,
}

impl Scale {
    /// Short beside the 50 ms in which a pool should follow a step in load, and long beside a call
    /// that just has to wait its turn.
    pub(crate) const UP_AFTER: Duration = Duration::from_millis(5);

    pub(crate) fn new(workers: Workers) -> Self {
        Self {
            target: workers.least,
            workers,
            is_set: false,
            pressed: None,
            is_pressed: false,
            has_refused: false,
            active: 0,
            peak: 0,
            period: None,
        }
    }

    /// Returns whether the pool follows its load.
    fn is_automatic(&self) -> bool {
        self.workers.is_range() && !self.is_set
    }

    /// Returns whether the load may make the pool larger.
    pub(crate) fn may_grow(&self) -> bool {
        self.is_automatic() && self.target < self.workers.most
    }

    /// Sets the target for good.
    pub(crate) fn set(&mut self, target: usize) {
        // For good: a program that sets a number knows more than the load says.
        (self.target, self.is_set) = (target, true);
    }

    /// A call has come that no worker has room for. Returns whether the supervisor has to look.
    pub(crate) fn press(&mut self) -> bool {
        // Once, until the supervisor has looked: the calls behind this one need not wake it.
        let is_news = self.is_automatic()
            && !self.is_pressed
            && self.pressed.is_none()
            && self.target < self.workers.most;
        self.is_pressed |= is_news;
        is_news
    }

    /// A call was turned away, because the queue is full. Returns whether the supervisor has to look.
    pub(crate) fn turn_away(&mut self) -> bool {
        self.has_refused = self.is_automatic();
        self.press()
    }

    pub(crate) fn is_range(&self) -> bool {
        self.workers.is_range()
    }

    /// A worker begins its first call, or has ended its last one.
    pub(crate) fn begin(&mut self) {
        self.active += 1;
        self.peak = self.peak.max(self.active);
    }

    pub(crate) fn end(&mut self) {
        self.active -= 1;
    }

    /// Follows the load. Returns the time of the next look, if there is to be one.
    pub(crate) fn look(&mut self, now: Instant, waiting: Waiting) -> Option<Instant> {
        if !self.is_automatic() {
            return None;
        }
        let up = self.look_up(now, waiting);
        let down = self.look_down(now);
        up.into_iter().chain(down).min()
    }

    fn look_up(&mut self, now: Instant, waiting: Waiting) -> Option<Instant> {
        if std::mem::take(&mut self.is_pressed) && self.pressed.is_none() {
            self.pressed = Some((now, waiting.next));
        }
        let (since, next) = self.pressed?;
        // Looked at again and not decided at once: a call that has just come has not waited yet.
        if now < since + Self::UP_AFTER {
            return Some(since + Self::UP_AFTER);
        }
        self.pressed = None;
        let has_refused = std::mem::take(&mut self.has_refused);
        let has_waited = waiting.oldest.is_some_and(|oldest| oldest < next);
        if has_waited || has_refused {
            // Doubled at most: any step in load is followed in a few looks, and a short queue does not
            // start as many workers as it has calls.
            let more = waiting.calls.clamp(1, self.target.max(1));
            self.target = self.target.saturating_add(more).min(self.workers.most);
        }
        if waiting.calls > 0 && self.target < self.workers.most {
            self.pressed = Some((now, waiting.next));
            return Some(now + Self::UP_AFTER);
        }
        None
    }

    fn look_down(&mut self, now: Instant) -> Option<Instant> {
        if self.target <= self.workers.least {
            self.period = None;
            return None;
        }
        let Some(began) = self.period else {
            return Some(self.begin_period(now));
        };
        if now < began + self.workers.idle {
            return Some(began + self.workers.idle);
        }
        let least = self.workers.least;
        // The peak and not the mean: workers that a burst needs once in a period are kept.
        self.target = self.target.min(self.peak.max(least));
        (self.target > least).then(|| self.begin_period(now))
    }

    fn begin_period(&mut self, now: Instant) -> Instant {
        self.period = Some(now);
        // A period in which no call begins must not retire workers that run one all the time.
        self.peak = self.active;
        now + self.workers.idle
    }
}

#[cfg(test)]
mod tests;
