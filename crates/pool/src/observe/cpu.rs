//! The time that workers take on the CPU.
//!
//! The clock of a thread's time is a system call, which costs as much as a short call of a pool. So a
//! slice shorter than [`SHORT`] counts with the time that has passed, of which it can have spent no
//! more than that off the CPU. A longer one is measured from the thread's clock: the reading at its end
//! less that before its beginning, which is at most [`STALE`] old, and less the short slices between.

use std::cell::RefCell;
use std::time::Duration;

use insula_core::Instant;
use insula_sync::atomic::{AtomicU64, Ordering};

/// A slice below this is not measured with the thread's clock.
const SHORT: Duration = Duration::from_micros(50);

/// The age from which on a reading of the thread's clock is taken anew.
const STALE: Duration = Duration::from_millis(1);

thread_local! {
    /// What this thread has measured.
    static MEASURED: RefCell<Measured> = const { RefCell::new(Measured::new()) };
}

/// What a thread has measured.
struct Measured {
    /// The slices that this thread is in. Almost always there is one at most: one that blocks on a
    /// seeded runtime runs others inside of itself.
    slices: Vec<Slice>,
    /// The last reading of the thread's clock, and when it was taken; `None` before the first.
    read_at: Option<Instant>,
    read: Duration,
    /// The short slices since then.
    short: Duration,
}

/// A slice that a thread is in.
struct Slice {
    began_at: Instant,
    /// The time of the thread by then: a reading, or the last one and the short slices since then.
    began: Duration,
    /// The time of the slices that ran inside of it.
    inside: Duration,
}

impl Measured {
    const fn new() -> Self {
        Self {
            slices: Vec::new(),
            read_at: None,
            read: Duration::ZERO,
            short: Duration::ZERO,
        }
    }

    fn begin(&mut self, now: Instant) {
        let is_fresh = |read_at: Instant| now.saturating_duration_since(read_at) < STALE;
        if !self.read_at.is_some_and(is_fresh) {
            self.read(now);
        }
        self.slices.push(Slice {
            began_at: now,
            began: self.read + self.short,
            inside: Duration::ZERO,
        });
    }

    /// Returns the time of the slice that ends, without those inside of it.
    fn end(&mut self, now: Instant) -> Option<Duration> {
        let slice = self.slices.pop()?;
        let passed = now.saturating_duration_since(slice.began_at);
        let whole = if passed < SHORT {
            // One inside of another slice is part of what that measures.
            if self.slices.is_empty() {
                self.short += passed;
            }
            passed
        } else {
            self.read(now);
            self.read.saturating_sub(slice.began).min(passed)
        };
        if let Some(outer) = self.slices.last_mut() {
            outer.inside += whole;
        }
        Some(whole.saturating_sub(slice.inside))
    }

    fn read(&mut self, now: Instant) {
        self.read = thread_time().unwrap_or_default();
        self.read_at = Some(now);
        self.short = Duration::ZERO;
    }
}

/// The time that the slices of one isolate have taken.
#[derive(Debug, Default)]
pub(crate) struct CpuMeter {
    /// Written by the thread that runs the isolate.
    nanos: AtomicU64,
}

impl CpuMeter {
    /// A slice begins on this thread.
    pub(crate) fn begin(&self) {
        // Not on a thread that has ended but for the destructors of its values.
        let now = Instant::of_system();
        let _ = MEASURED.try_with(|measured| measured.borrow_mut().begin(now));
    }

    /// The slice that has begun last on this thread is over.
    pub(crate) fn end(&self) {
        let now = Instant::of_system();
        let own = MEASURED.try_with(|measured| measured.borrow_mut().end(now));
        let own = own.ok().flatten().unwrap_or_default();
        let nanos = u64::try_from(own.as_nanos()).unwrap_or(u64::MAX);
        // Relaxed: the sum says nothing about other memory.
        let sum = self.nanos.load(Ordering::Relaxed).wrapping_add(nanos);
        self.nanos.store(sum, Ordering::Relaxed);
    }

    /// The time of the slices that are over.
    pub(crate) fn time(&self) -> Duration {
        Duration::from_nanos(self.nanos.load(Ordering::Relaxed))
    }
}

/// Returns whether threads have a clock of their time.
pub(crate) fn is_known() -> bool {
    thread_time().is_some()
}

/// The time that this thread has taken on the CPU.
#[cfg(unix)]
fn thread_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let (seconds, nanos) = (time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?);
    Some(Duration::new(seconds, nanos))
}

/// Not known here.
#[cfg(not(unix))]
fn thread_time() -> Option<Duration> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    /// Computes until the thread's clock shows `time` more.
    fn compute(time: Duration) {
        let end = thread_time().map(|now| now + time);
        while thread_time() < end {
            std::hint::spin_loop();
        }
    }

    const TIME: Duration = Duration::from_millis(2);

    #[test]
    fn cpu_counts_only_what_happens_inside_of_slices() {
        let meter = CpuMeter::default();
        compute(TIME);
        meter.begin();
        meter.end();
        assert!(meter.time() < TIME);
        meter.begin();
        compute(TIME);
        meter.end();
        assert!(meter.time() >= TIME);
    }

    #[test]
    fn cpu_does_not_count_a_slice_that_sleeps() {
        let meter = CpuMeter::default();
        // Short slices before it must not count twice.
        for _ in 0..100 {
            meter.begin();
            meter.end();
        }
        let before = meter.time();
        meter.begin();
        std::thread::sleep(10 * TIME);
        meter.end();
        assert!(meter.time() - before < TIME);
    }

    #[test]
    fn cpu_of_short_slices_adds_up() {
        let meter = CpuMeter::default();
        let slice = SHORT / 5;
        let begun = thread_time().unwrap();
        for _ in 0..1_000 {
            meter.begin();
            compute(slice);
            meter.end();
        }
        let taken = thread_time().unwrap() - begun;
        assert!(meter.time() >= 1_000 * slice);
        // The time that passes is more than that on the CPU only if the thread was interrupted.
        assert!(meter.time() <= 4 * taken);
    }

    #[test]
    fn cpu_of_a_slice_counts_what_came_before_and_after_one_inside_of_it() {
        let (outer, inner) = (CpuMeter::default(), CpuMeter::default());
        outer.begin();
        compute(TIME);
        inner.begin();
        compute(TIME);
        inner.end();
        compute(TIME);
        outer.end();
        assert!(inner.time() >= TIME);
        assert!(outer.time() >= 2 * TIME);
        assert!(outer.time() < 3 * TIME);
    }

    #[test]
    fn cpu_of_a_slice_inside_of_another_one_counts_once() {
        let (outer, inner) = (CpuMeter::default(), CpuMeter::default());
        outer.begin();
        inner.begin();
        compute(TIME);
        inner.end();
        outer.end();
        assert!(inner.time() >= TIME);
        assert!(outer.time() < TIME);
    }
}
