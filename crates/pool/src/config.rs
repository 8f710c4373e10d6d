//! The settings of a pool.

use std::time::Duration;

/// The queue in front of the workers, and what happens when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Queue {
    pub(crate) bound: usize,
    pub(crate) overflow: Overflow,
}

/// What becomes of a call that finds the queue full. Whatever it is, the call that loses
/// ends with `Rejected` and has its request handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It waits for room, in the order of arrival, until its deadline. The number of waiting
    /// calls is bounded by the number of futures that callers keep.
    #[default]
    Wait,
    /// It is rejected: `QueueFull`.
    Reject,
    /// The oldest call of the queue makes room for it: `Shed`.
    DropOldest,
    /// It is dropped itself: `Shed`.
    DropNewest,
}

/// How a call is given to one of several workers with room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Balance {
    /// In turn.
    #[default]
    RoundRobin,
    /// To the one that runs the fewest calls; among equals in turn.
    LeastLoaded,
}

/// Which calls are timed. Reading the clock three times costs about as much as an empty call,
/// so that by default only a sample is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Measure {
    /// None.
    Off,
    /// One in so many of each calling thread.
    OneIn(u32),
    /// Every call.
    All,
}

impl Default for Measure {
    fn default() -> Self {
        Self::OneIn(16)
    }
}

/// How a pool ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Shutdown {
    pub(crate) patience: Duration,
    pub(crate) rejects_queued: bool,
}

impl Queue {
    /// A queue of at most `bound` calls. At 0 every call that no worker can take at once
    /// overflows.
    pub fn bounded(bound: usize) -> Self {
        Self {
            bound,
            overflow: Overflow::default(),
        }
    }

    /// What happens when it is full.
    pub fn overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::bounded(1024)
    }
}

impl Shutdown {
    /// Gives queued and running calls `patience` to finish. Then what is still queued is
    /// rejected and what still runs is cancelled.
    pub fn graceful(patience: Duration) -> Self {
        Self {
            patience,
            rejects_queued: false,
        }
    }

    /// Cancels everything at once.
    pub fn now() -> Self {
        Self {
            patience: Duration::ZERO,
            rejects_queued: true,
        }
    }

    /// Rejects the queued calls at once; only running ones are waited for.
    pub fn reject_queued(self) -> Self {
        Self {
            rejects_queued: true,
            ..self
        }
    }
}
