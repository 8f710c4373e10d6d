//! The policies that select a worker for a call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use insula_rpc::{WorkType, WorkerId, catch};

/// The policy that selects one of several workers with room, to be woken for a call. The call is
/// then taken by the first worker that has room, so a policy decides only among free workers: when
/// all are busy, each takes the oldest call as soon as it has room.
///
/// A call whose work has a [type](insula_rpc::Call::work) goes to one of the workers that run the
/// fewest calls of this type, and the policy selects among those.
///
/// The guide of the pools, `docs/pools.md`, has the waits of calls under each policy.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum Balance {
    /// In turn.
    #[default]
    RoundRobin,
    /// The one that runs the fewest calls; among equals in turn.
    LeastLoaded,
    /// Any of them, each as likely as the others.
    Random,
    /// The one of two, which are drawn at random, that runs fewer calls (Mitzenmacher, *The power of
    /// two choices in randomized load balancing*, 2001).
    PowerOfTwo,
    /// The one with the lowest product of its latency and the calls that it runs. The latency is a
    /// mean that takes each peak over at once and forgets it within some 10 seconds, as in Finagle's
    /// load balancer. Each call is timed, which is two reads of the clock.
    PeakEwma,
    /// As [`PeakEwma`](Self::PeakEwma), of two that are drawn at random, where a worker whose calls
    /// have failed lately, or which is short of memory, counts as slower than it is.
    Adaptive,
    /// As many calls of each as its weight says; see [`weighted`](Self::weighted).
    Weighted(Weights),
    /// A function of the user; see [`custom`](Self::custom).
    Custom(Strategy),
}

/// The weights of a pool's workers; see [`Balance::weighted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights(pub(crate) Arc<[u32]>);

/// A user's policy; see [`Balance::custom`].
#[derive(Clone)]
pub struct Strategy(Arc<Choose>);

type Choose = dyn Fn(&[Candidate], WorkType) -> Option<usize> + Send + Sync;

/// A worker with room, as a user's policy sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The worker.
    pub worker: WorkerId,
    /// Its present incarnation.
    pub incarnation: u32,
    /// The calls that it runs, or was woken for.
    pub running: usize,
    /// The places that it has.
    pub places: usize,
    /// The mean time of its last calls; zero before the first.
    pub latency: Duration,
    /// The share of its last calls that panicked or failed, from 0 to 1.
    pub failures: f64,
}

impl Balance {
    /// Selects workers in proportion to these weights, one for each worker that the pool may have
    /// (stride scheduling, Waldspurger and Weihl 1995). A worker of weight 0 is selected if there is
    /// no other with room.
    pub fn weighted(weights: impl IntoIterator<Item = u32>) -> Self {
        Self::Weighted(Weights(weights.into_iter().collect()))
    }

    /// Asks `choose` for each call that comes while several workers have room. It gets those
    /// workers, at least two, and the type of the call's work, and returns the index of one of them.
    /// If it returns `None` or another index, panics, or if the worker has no room any more when it
    /// has returned, the next one in turn is taken.
    ///
    /// # Blocking
    /// It runs on the thread of the caller, without a lock. The state of the pool may change
    /// meanwhile.
    ///
    /// ```
    /// use insula_pool::Balance;
    ///
    /// // The worker that has failed least.
    /// let balance = Balance::custom(|workers, _work| {
    ///     let by_failures = |a: &usize, b: &usize| workers[*a].failures.total_cmp(&workers[*b].failures);
    ///     (0..workers.len()).min_by(by_failures)
    /// });
    /// ```
    pub fn custom(
        choose: impl Fn(&[Candidate], WorkType) -> Option<usize> + Send + Sync + 'static,
    ) -> Self {
        Self::Custom(Strategy(Arc::new(choose)))
    }

    /// Returns whether the times of calls are needed.
    pub(crate) fn needs_times(&self) -> bool {
        matches!(self, Self::PeakEwma | Self::Adaptive | Self::Custom(_))
    }
}

impl Strategy {
    /// Asks the user's function. Called without a lock.
    pub(crate) fn choose(&self, workers: &[Candidate], work: WorkType) -> Option<Candidate> {
        let index = catch(|| (self.0)(workers, work)).ok()??;
        workers.get(index).copied()
    }
}

impl fmt::Debug for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strategy").finish_non_exhaustive()
    }
}
