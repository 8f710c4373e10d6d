//! The choice of one of several workers with room.

use std::time::Duration;

use fastrand::Rng;
use insula_core::Instant;
use insula_rpc::WorkType;

use super::Job;
use super::worker::Worker;
use crate::balance::Balance;

/// The policy and what it remembers beside the loads of the workers.
pub(super) struct Choice {
    pub(super) balance: Balance,
    /// The workers, from the first, that are selected before all others.
    pub(super) preferred: usize,
    /// The same in each run, so that a run on virtual time can be repeated.
    random: Rng,
    /// Where the last worker was that was selected by weight.
    pass: u128,
}

/// The load of a worker, beside the calls that it runs.
#[derive(Debug, Clone, Default)]
pub(super) struct Load {
    /// The calls that it runs, and those that it was woken for, by the type of their work.
    works: [usize; WorkType::ALL.len()],
    latency: Latency,
    /// The share of its last calls that failed.
    failures: f64,
    /// How short of memory it is: 0 if it is not, 1 at the limit.
    pub(super) pressure: f64,
    /// Where it is on the way of calls that are dealt out by weight.
    pass: u128,
}

/// A mean of latencies that takes a peak over at once and forgets it slowly.
#[derive(Debug, Clone, Copy, Default)]
struct Latency {
    nanos: f64,
    at: Option<Instant>,
}

/// The time in which a peak of the latency is forgotten to 1/e. Finagle's default.
const DECAY: Duration = Duration::from_secs(10);

/// The weight of one call in the share of those that failed.
const FAILURE: f64 = 1.0 / 16.0;

/// The way of a worker with weight 1 for one call.
const STRIDE: u128 = 1 << 32;

impl Choice {
    pub(super) fn new(balance: Balance) -> Self {
        Self {
            balance,
            preferred: 0,
            random: Rng::with_seed(0x1A5),
            pass: 0,
        }
    }

    /// Returns whether the first worker in turn is the choice.
    pub(super) fn is_in_turn(&self) -> bool {
        matches!(self.balance, Balance::RoundRobin | Balance::Custom(_))
    }

    /// A number from 0 to 1, for delays that are to differ.
    pub(super) fn draw(&mut self) -> f64 {
        self.random.f64()
    }

    /// Selects one of the candidates, which come in turn. The time is known if calls are timed.
    pub(super) fn select<J: Job>(
        &mut self,
        workers: &mut [Worker<J>],
        candidates: &[usize],
        now: Option<Instant>,
    ) -> Option<usize> {
        if let (&[only], false) = (candidates, matches!(self.balance, Balance::Weighted(_))) {
            return Some(only);
        }
        let running = |&worker: &usize| workers[worker].busy + workers[worker].woken;
        let all = || candidates.iter().copied();
        match &self.balance {
            Balance::RoundRobin | Balance::Custom(_) => all().next(),
            // Of equal ones the first in turn counts, so that ties go round as well.
            Balance::LeastLoaded => all().min_by_key(running),
            Balance::Random => self.random.choice(all()),
            Balance::PowerOfTwo => two(&mut self.random, candidates).min_by_key(running),
            Balance::PeakEwma => cheapest(all(), |it| workers[it].cost(now)),
            Balance::Adaptive => cheapest(two(&mut self.random, candidates), |it| {
                workers[it].cost(now) * workers[it].load.penalty()
            }),
            Balance::Weighted(weights) => {
                let weight = |worker: usize| weights.0.get(worker).copied().unwrap_or(0);
                let is_last = |worker: usize| weight(worker) == 0;
                // One that had no room for a long time does not get all calls after that.
                let pass = |worker: usize| workers[worker].load.pass.max(self.pass);
                let worker = all().min_by_key(|&it| (is_last(it), pass(it)))?;
                if !is_last(worker) {
                    self.pass = pass(worker);
                    workers[worker].load.pass = self.pass + STRIDE / u128::from(weight(worker));
                }
                Some(worker)
            }
        }
    }
}

/// The first of those with the least cost. Each is asked for it once.
fn cheapest(
    workers: impl Iterator<Item = usize>,
    mut cost: impl FnMut(usize) -> f64,
) -> Option<usize> {
    let costs = workers.map(|it| (cost(it), it));
    let least = costs.min_by(|(a, _), (b, _)| a.total_cmp(b));
    least.map(|(_, worker)| worker)
}

impl<J: Job> Worker<J> {
    /// The time that the calls on it and one more take, as far as its latency tells.
    fn cost(&mut self, now: Option<Instant>) -> f64 {
        let calls = self.busy + self.woken + 1;
        now.map_or(0.0, |now| self.load.latency.bring_to(now)) * calls as f64
    }
}

/// Two different ones of the candidates; one if there is no other.
fn two(random: &mut Rng, candidates: &[usize]) -> impl Iterator<Item = usize> + use<> {
    if let &[first, second] = candidates {
        // Nothing to be drawn.
        return [Some(first), Some(second)].into_iter().flatten();
    }
    let first = random.usize(..candidates.len().max(1));
    let step = match candidates.len() {
        0 | 1 => 0,
        many => random.usize(1..many),
    };
    let second = (first + step) % candidates.len().max(1);
    let second = (step > 0).then_some(second);
    let found = [Some(first), second].map(|index| candidates.get(index?).copied());
    found.into_iter().flatten()
}

impl Load {
    /// A call of this type is on its way to the worker, or runs.
    pub(super) fn begin(&mut self, work: WorkType) {
        self.works[work as usize] += 1;
    }

    pub(super) fn end(&mut self, work: WorkType) {
        self.works[work as usize] -= 1;
    }

    /// The calls of a type, if it is one by which calls are spread.
    pub(super) fn of(&self, work: WorkType) -> usize {
        match work {
            WorkType::Balanced => 0,
            _ => self.works[work as usize],
        }
    }

    /// A call has taken so long.
    pub(super) fn took(&mut self, time: Duration, now: Instant) {
        self.latency.record(time, now);
    }

    /// A call has ended, well or not.
    pub(super) fn ended(&mut self, has_failed: bool) {
        self.failures += (f64::from(u8::from(has_failed)) - self.failures) * FAILURE;
    }

    pub(super) fn failures(&self) -> f64 {
        self.failures
    }

    pub(super) fn latency(&self, now: Instant) -> Duration {
        Duration::from_nanos(self.latency.at(now) as u64)
    }

    /// The factor by which a worker counts as slower than it is. A worker of which each call fails,
    /// or that is at its limit of memory, is as one that is ten times as slow.
    fn penalty(&self) -> f64 {
        1.0 + 9.0 * self.failures.max(self.pressure)
    }

    /// Its services are new.
    pub(super) fn renew(&mut self) {
        (self.latency, self.failures, self.pressure) = (Latency::default(), 0.0, 0.0);
    }
}

/// The time from one instant to the other, in [`DECAY`].
fn share(from: Instant, to: Instant) -> f64 {
    const PER_NANO: f64 = 1.0 / DECAY.as_nanos() as f64;
    to.as_nanos().saturating_sub(from.as_nanos()) as f64 * PER_NANO
}

/// The weight that an average keeps after that time: `e` to the power of minus it.
fn kept_after(share: f64) -> f64 {
    if share < SOON {
        // The beginning of the series, exact to 10 digits there, at a fraction of the cost.
        1.0 - share + share * share / 2.0
    } else {
        (-share).exp()
    }
}

/// The share of [`DECAY`] that is soon.
const SOON: f64 = 1e-3;

impl Latency {
    fn at(&self, now: Instant) -> f64 {
        let Some(at) = self.at else {
            // One that has had no call is tried first.
            return 0.0;
        };
        self.nanos * kept_after(share(at, now))
    }

    /// As [`at`](Self::at). Takes what was forgotten away, so that the next look is soon after this one.
    fn bring_to(&mut self, now: Instant) -> f64 {
        let nanos = self.at(now);
        if self.at.is_some_and(|at| share(at, now) >= SOON) {
            (self.nanos, self.at) = (nanos, Some(now));
        }
        nanos
    }

    fn record(&mut self, time: Duration, now: Instant) {
        let time = time.as_nanos() as f64;
        let keep = self.at.map_or(0.0, |at| kept_after(share(at, now)));
        self.nanos = if time > self.nanos {
            time
        } else {
            self.nanos * keep + time * (1.0 - keep)
        };
        self.at = Some(now);
    }
}
