//! Instants on the runtime's clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::OnceLock;
use std::time::Duration;

use insula_sync::atomic::{AtomicU64, Ordering};

use crate::runtime;

/// A point in time on a monotonic clock, in nanoseconds.
///
/// On a runtime with a virtual clock it is a point on that clock. Instants of different clocks
/// must not be compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// Before every other one.
    pub(crate) const FIRST: Self = Self(0);

    /// The time of the current runtime's clock; outside of any, of the system's.
    pub fn now() -> Self {
        runtime::with_current(|runtime| runtime.map_or_else(system_now, |it| it.clock().now()))
    }

    /// How much later this is than `earlier`; zero if it is not.
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Saturates at the end of time, in some 580 years.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)),
        )
    }
}

/// Zero where the other one is later.
impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Duration::from_nanos(self.0))
    }
}

/// What time it is for a runtime.
#[derive(Debug)]
pub(crate) enum Clock {
    System,
    /// Stands still unless the runtime moves it.
    Virtual(AtomicU64),
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => system_now(),
            Self::Virtual(now) => Instant(now.load(Ordering::Acquire)),
        }
    }

    /// Moves a virtual clock forward; a clock never goes back. The system's clock moves itself.
    pub(crate) fn advance_to(&self, instant: Instant) {
        if let Self::Virtual(now) = self
            && self.now() < instant
        {
            now.store(instant.0, Ordering::Release);
        }
    }
}

fn system_now() -> Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    let elapsed = EPOCH.get_or_init(std::time::Instant::now).elapsed();
    Instant(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}
