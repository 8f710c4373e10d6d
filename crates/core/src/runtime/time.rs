//! Instants and clocks: a runtime has the system's clock, or a virtual one.

use std::fmt;
use std::ops::{Add, Sub};
use std::sync::OnceLock;
use std::time::Duration;

use insula_sync::atomic::{AtomicU64, Ordering};

use crate::runtime;

/// A point in time on a monotonic clock, in nanoseconds.
///
/// On a seeded runtime it is a point on the virtual clock. A comparison of instants of different
/// clocks has no meaning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The earliest instant.
    pub(crate) const FIRST: Self = Self(0);

    /// Returns the time on the current runtime's clock, or on the system's if there is no current
    /// runtime.
    pub fn now() -> Self {
        runtime::with_current(|runtime| runtime.map_or_else(system_now, |it| it.clock().now()))
    }

    /// Returns the time on the system's clock. For other crates of this project.
    #[doc(hidden)]
    pub fn of_system() -> Self {
        system_now()
    }

    /// Returns the time on its clock in nanoseconds. For other crates of this project.
    #[doc(hidden)]
    pub fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the instant of [`as_nanos`](Self::as_nanos).
    #[doc(hidden)]
    pub fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Returns the time from `earlier` to this instant, or zero if `earlier` is later.
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

/// Zero if the subtracted instant is later.
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

/// The clock of a runtime.
#[derive(Debug)]
pub(crate) enum Clock {
    System,
    /// The time in nanoseconds, which stands still unless the runtime moves it.
    Virtual(AtomicU64),
}

impl Clock {
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::System => system_now(),
            // Acquire pairs with the Release in `advance_to` and `advance_by`.
            Self::Virtual(now) => Instant(now.load(Ordering::Acquire)),
        }
    }

    /// Moves a virtual clock forward to `instant`, unless it is later already. Does nothing to the
    /// system's clock.
    pub(crate) fn advance_to(&self, instant: Instant) {
        if let Self::Virtual(now) = self {
            // One step, because `Runtime::advance` may move the clock on another thread meanwhile.
            now.fetch_max(instant.0, Ordering::AcqRel);
        }
    }

    /// Moves a virtual clock forward by `duration`. Does nothing to the system's clock.
    pub(crate) fn advance_by(&self, duration: Duration) {
        if let Self::Virtual(now) = self {
            let later = |nanos| Some((Instant(nanos) + duration).0);
            // It never fails, since `later` always returns a time.
            // Release; pairs with the Acquire load in `now`, as in `advance_to`.
            let _ = now.fetch_update(Ordering::AcqRel, Ordering::Acquire, later);
        }
    }
}

/// The clock of [`std::time::Instant`], which hides its number: without that, each reading would be a
/// difference of seconds and nanoseconds.
#[cfg(target_os = "linux")]
fn system_now() -> Instant {
    static EPOCH: OnceLock<u64> = OnceLock::new();
    let epoch = *EPOCH.get_or_init(monotonic);
    Instant(monotonic().saturating_sub(epoch))
}

/// Returns the nanoseconds since some moment, usually the start of the machine.
#[cfg(target_os = "linux")]
fn monotonic() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is a whole `timespec` of this function, which nothing else refers to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    // It cannot fail: the clock is there on each Linux. Neither part is negative.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(not(target_os = "linux"))]
fn system_now() -> Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    let elapsed = EPOCH.get_or_init(std::time::Instant::now).elapsed();
    Instant(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}
