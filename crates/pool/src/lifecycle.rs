//! When workers start again: the settings, and the pure part of the decisions.
//!
//! # The life of a worker
//! ```text
//!            built          panic           its calls have ended
//! Starting ─────────► Ready ─────► Suspect ──────────────────────► Starting
//!    ▲ │                │             │
//!    │ └── it ends ─────┴─────────────┘
//!    │        │
//!    └────────┤ the policy has it start again, after a delay
//!             └──► Lost
//! ```
//! Each way to `Starting` is the next incarnation, in an isolate of its own.
//!
//! A worker is *recycled* without leaving `Ready`: its next state, the *successor*, is built beside
//! the present one, in another isolate, and takes the worker over when it is ready. The lanes of the
//! earlier state close when they ask for the next call. If the successor cannot be built, the present
//! state goes on; if the present state ends first, the successor is the one that is starting.
//!
//! # Who starts
//! The isolate of a suspect state starts the next one before it ends. A worker that has ended cannot:
//! the pool's *supervisor* does it, an isolate that lives as long as the pool
//! ([`supervisor`](crate::supervisor)). The dispatch notes when which worker is due
//! ([`Starts`]), and the supervisor asks it. Once there is no supervisor, because its runtime shuts
//! down, each end is final.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_core::Instant;
use insula_rpc::catch;

use crate::error::WorkerFault;

/// The policy for a worker that has ended before its time: its isolate was killed or has ended by
/// itself, or its services could not be built again.
///
/// A handler that panics does not end its worker, whose services are built again at once and as
/// often as that happens. The first start of a worker is part of
/// [`build`](crate::PoolBuilder::build), which fails with it.
///
/// The default is at most 5 starts of one worker in 10 seconds. Before the first there is a delay of
/// 50 ms, before each further one twice the delay, up to 10 seconds. A worker that ends once more is
/// lost.
///
/// ```
/// use std::time::Duration;
///
/// use insula_pool::{Directive, Restart, WorkerFault};
///
/// let restart = Restart::at_most(3, Duration::from_secs(60))
///     .delay(Duration::from_millis(100), Duration::from_secs(5))
///     .decide(|fault| match fault {
///         // It will not find its license the next time either.
///         WorkerFault::Failed(_) => Directive::Stop,
///         _ => Directive::Restart,
///     });
/// ```
#[derive(Clone)]
#[must_use]
pub struct Restart {
    most: usize,
    period: Duration,
    first: Duration,
    longest: Duration,
    jitter: Jitter,
    decide: Option<Arc<Decide>>,
}

type Decide = dyn Fn(&WorkerFault) -> Directive + Send + Sync;

/// The decision about a worker that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Directive {
    /// It starts again, unless it has done so too often.
    Restart,
    /// It is lost, unless its next services are being built to [recycle](Recycle) it.
    Stop,
}

impl Restart {
    /// Starts a worker again at most `most` times in any period of this length.
    ///
    /// A worker whose next services are already being built to [recycle](Recycle) it goes on with
    /// them when it ends. Observers are told of that as of a restart, without a delay, but it does
    /// not count.
    pub fn at_most(most: usize, period: Duration) -> Self {
        Self {
            most,
            period,
            first: Duration::from_millis(50),
            longest: Duration::from_secs(10),
            jitter: Jitter::default(),
            decide: None,
        }
    }

    /// Starts no worker again: one that has ended is lost, unless its next services are being built
    /// to [recycle](Recycle) it.
    pub fn never() -> Self {
        Self::at_most(0, Duration::ZERO)
    }

    /// Sets the delay before the first start of a period, and the longest one; each further start
    /// has twice the delay of the one before. No delay is longer than the longest, the first one
    /// included.
    pub fn delay(self, first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            ..self
        }
    }

    /// Makes each delay shorter by a random part of this share of it, from 0 to 1, so that workers which
    /// have ended together do not start together. The default is 0.
    pub fn jitter(self, share: f64) -> Self {
        Self {
            jitter: Jitter::new(share),
            ..self
        }
    }

    /// Has `decide` look at the reason for each end. It is called on the thread that ends the
    /// worker, also for one whose next services are being built already, which goes on whatever the
    /// answer is. If it panics, the worker is lost.
    pub fn decide(
        self,
        decide: impl Fn(&WorkerFault) -> Directive + Send + Sync + 'static,
    ) -> Self {
        Self {
            decide: Some(Arc::new(decide)),
            ..self
        }
    }

    /// The delay after so many others. `draw` is a random number from 0 to 1.
    pub(crate) fn delay_after(&self, others: u32, draw: f64) -> Duration {
        // Beyond 2^31 times, any delay but zero is the longest one.
        let delay = self.first.saturating_mul(1 << others.min(31));
        self.jitter.of(delay.min(self.longest), draw)
    }

    /// Asks the user's function. Called without a lock.
    pub(crate) fn directive(&self, fault: &WorkerFault) -> Directive {
        match &self.decide {
            None => Directive::Restart,
            Some(decide) => catch(|| decide(fault)).unwrap_or(Directive::Stop),
        }
    }
}

impl Default for Restart {
    fn default() -> Self {
        Self::at_most(5, Duration::from_secs(10))
    }
}

impl fmt::Debug for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Restart")
            .field("most", &self.most)
            .field("period", &self.period)
            .field("first", &self.first)
            .field("longest", &self.longest)
            .field("jitter", &self.jitter)
            .finish_non_exhaustive()
    }
}

/// When a worker gets new services, though nothing is known to be wrong with the old ones: for
/// libraries that leak, caches that only grow, connections that get stale.
///
/// The new services are built while the old ones go on taking calls, and then take their place; calls
/// that run, and streams that have readers, come to their end on the old ones. No call waits for
/// this. One worker of a pool is recycled at a time. If the new services cannot be built, the old ones
/// go on, and the worker tries again after the delays of its [`Restart`] policy, for as long as its old
/// services last; unless the policy's [`decide`](Restart::decide) says `Stop`.
///
/// By default no worker is recycled.
///
/// ```
/// use std::time::Duration;
///
/// use insula_pool::Recycle;
///
/// let recycle = Recycle::after_calls(10_000).or_after(Duration::from_secs(6 * 3600));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Recycle {
    calls: Option<u64>,
    age: Option<Duration>,
    errors: Option<u64>,
    jitter: Jitter,
}

/// The share by which times and numbers are made smaller at random, in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Jitter(u16);

/// What the present state of a worker has done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wear {
    /// The calls that it has ended, and those of them that failed or panicked.
    pub(crate) calls: u64,
    pub(crate) errors: u64,
    /// A random number from 0 to 1, drawn once for each state.
    pub(crate) draw: f64,
}

impl Recycle {
    /// Recycles a worker whose services have ended this many calls, in whatever way; at least one.
    pub fn after_calls(calls: u64) -> Self {
        Self::default().or_after_calls(calls)
    }

    /// Recycles a worker whose services are this old. Choose a time that is long beside the time that
    /// they take to be built.
    pub fn after(age: Duration) -> Self {
        Self::default().or_after(age)
    }

    /// Recycles a worker of whose calls so many have failed with an error of the service, or panicked;
    /// at least one.
    pub fn after_errors(errors: u64) -> Self {
        Self::default().or_after_errors(errors)
    }

    /// Recycles it also when its services have ended this many calls.
    pub fn or_after_calls(self, calls: u64) -> Self {
        Self {
            calls: Some(calls),
            ..self
        }
    }

    /// Recycles it also when its services are this old.
    pub fn or_after(self, age: Duration) -> Self {
        Self {
            age: Some(age),
            ..self
        }
    }

    /// Recycles it also when so many of its calls have failed.
    pub fn or_after_errors(self, errors: u64) -> Self {
        Self {
            errors: Some(errors),
            ..self
        }
    }

    /// Makes each limit smaller by a random part of this share of it, from 0 to 1, so that workers which
    /// have started together are not recycled one right after the other. The default is 0.
    pub fn jitter(self, share: f64) -> Self {
        Self {
            jitter: Jitter::new(share),
            ..self
        }
    }

    /// Returns whether each state would be due at its beginning.
    pub(crate) fn is_endless(&self) -> bool {
        self.calls == Some(0) || self.errors == Some(0) || self.age == Some(Duration::ZERO)
    }

    /// Returns whether the state that has just ended a call is to be recycled because of that.
    pub(crate) fn is_due_now(&self, wear: &Wear, has_failed: bool) -> bool {
        let is = |limit: Option<u64>, count| self.limit(limit, wear) == Some(count);
        is(self.calls, wear.calls) || (has_failed && is(self.errors, wear.errors))
    }

    /// The time at which a state is to be recycled that was ready at a time.
    pub(crate) fn due(&self, ready_at: Instant, wear: &Wear) -> Option<Instant> {
        let has_come = |limit, count| self.limit(limit, wear).is_some_and(|most| count >= most);
        if has_come(self.calls, wear.calls) || has_come(self.errors, wear.errors) {
            return Some(ready_at);
        }
        self.age
            .map(|age| ready_at + self.jitter.of(age, wear.draw))
    }

    fn limit(&self, limit: Option<u64>, wear: &Wear) -> Option<u64> {
        // At least one, or each state would be due at its beginning.
        limit.map(|it| it - self.jitter.part(it, wear.draw).min(it.saturating_sub(1)))
    }
}

impl Jitter {
    /// A share that is no number is taken as 0.
    fn new(share: f64) -> Self {
        Self((share.clamp(0.0, 1.0) * 1000.0) as u16)
    }

    fn of(self, time: Duration, draw: f64) -> Duration {
        if self.0 == 0 {
            return time;
        }
        // The longest times are rounded to ones that are none.
        let shorter = time.as_secs_f64() * (1.0 - f64::from(self.0) / 1000.0 * draw);
        Duration::try_from_secs_f64(shorter).map_or(time, |it| it.min(time))
    }

    /// The part of a number that is taken away.
    fn part(self, number: u64, draw: f64) -> u64 {
        if self.0 == 0 {
            return 0;
        }
        (number as f64 * f64::from(self.0) / 1000.0 * draw) as u64
    }
}

/// The restarts of one worker in the present period.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// At most as many as the policy allows.
    at: VecDeque<Instant>,
}

impl Restarts {
    /// A worker has ended. Returns the delay after which it starts again; `None` if it has done so
    /// too often.
    pub(crate) fn next(&mut self, policy: &Restart, now: Instant, draw: f64) -> Option<Duration> {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= policy.period;
        while self.at.front().is_some_and(is_old) {
            self.at.pop_front();
        }
        // Starts count from their decision and not from when the worker is ready: one that takes long
        // to build is not to have more of them.
        if self.at.len() >= policy.most {
            return None;
        }
        let delay = policy.delay_after(self.at.len() as u32, draw);
        self.at.push_back(now);
        Some(delay)
    }
}

/// The workers that are to start, each at its time.
#[derive(Debug, Default)]
pub(crate) struct Starts {
    /// At most one for each worker.
    due: Vec<(Instant, Start)>,
    /// There is nothing that starts them.
    is_orphaned: bool,
}

/// A worker that is to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) worker: usize,
    pub(crate) incarnation: u32,
}

impl Starts {
    pub(crate) fn is_orphaned(&self) -> bool {
        self.is_orphaned
    }

    pub(crate) fn has(&self, worker: usize) -> bool {
        self.due.iter().any(|(_, start)| start.worker == worker)
    }

    pub(crate) fn remove(&mut self, worker: usize) {
        self.due.retain(|(_, start)| start.worker != worker);
    }

    pub(crate) fn add(&mut self, at: Instant, start: Start) {
        self.due.push((at, start));
    }

    /// Takes out a start that is due, or returns the time of the next one.
    pub(crate) fn next(&mut self, now: Instant) -> Result<Start, Option<Instant>> {
        // A list and no heap: it has an entry for a worker at most, and nearly always none.
        let earliest = (0..self.due.len()).min_by_key(|&index| self.due[index].0);
        let Some(index) = earliest else {
            return Err(None);
        };
        let (at, _) = self.due[index];
        if at > now {
            return Err(Some(at));
        }
        Ok(self.due.swap_remove(index).1)
    }

    /// Returns the workers that will not start, now that nothing does it.
    pub(crate) fn orphan(&mut self) -> Vec<usize> {
        // From here on each end of a worker is final, and no more starts are added.
        self.is_orphaned = true;
        self.clear()
    }

    /// Starts none of them.
    pub(crate) fn clear(&mut self) -> Vec<usize> {
        let due = std::mem::take(&mut self.due);
        due.into_iter().map(|(_, start)| start.worker).collect()
    }
}

#[cfg(test)]
mod tests;
