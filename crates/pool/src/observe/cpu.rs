//! The time that workers take on the CPU.

use std::cell::RefCell;
use std::time::Duration;

use insula_sync::atomic::{AtomicU64, Ordering};

thread_local! {
    /// The slices that this thread is in. Almost always there is one at most: one that blocks on a
    /// seeded runtime runs others inside of itself.
    static SLICES: RefCell<Vec<Slice>> = const { RefCell::new(Vec::new()) };
}

/// `None` on a thread that has ended but for the destructors of its values.
fn on_slices<R>(change: impl FnOnce(&mut Vec<Slice>) -> R) -> Option<R> {
    let changed = SLICES.try_with(|slices| change(&mut slices.borrow_mut()));
    changed.ok()
}

/// A slice that a thread is in.
struct Slice {
    /// The time that the thread's clock showed.
    began: Duration,
    /// The time of the slices that ran inside of it.
    inside: Duration,
}

/// The time that the slices of one worker have taken.
///
/// Those of several incarnations may run at once, and a slice may end after the next one has begun
/// on another thread: so the beginning of a slice belongs to its thread, and not to this.
#[derive(Debug, Default)]
pub(crate) struct CpuMeter {
    nanos: AtomicU64,
}

impl CpuMeter {
    /// A slice begins on this thread.
    pub(crate) fn begin(&self) {
        let Some(began) = thread_time() else {
            return;
        };
        let inside = Duration::ZERO;
        on_slices(|slices| slices.push(Slice { began, inside }));
    }

    /// The slice that has begun last on this thread is over.
    pub(crate) fn end(&self) {
        let Some(now) = thread_time() else {
            return;
        };
        let own = on_slices(|slices| {
            let slice = slices.pop()?;
            let whole = now.saturating_sub(slice.began);
            if let Some(outer) = slices.last_mut() {
                outer.inside += whole;
            }
            Some(whole.saturating_sub(slice.inside))
        });
        let nanos = own
            .flatten()
            .map_or(0, |own| u64::try_from(own.as_nanos()).unwrap_or(u64::MAX));
        // Relaxed: the sum says nothing about other memory.
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// The time of the slices that are over; `None` where threads have no clock.
    pub(crate) fn time(&self) -> Option<Duration> {
        thread_time()?;
        Some(Duration::from_nanos(self.nanos.load(Ordering::Relaxed)))
    }
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
        assert!(meter.time().unwrap() < TIME);
        meter.begin();
        compute(TIME);
        meter.end();
        assert!(meter.time().unwrap() >= TIME);
    }

    #[test]
    fn cpu_of_a_slice_inside_of_another_one_counts_once() {
        let (outer, inner) = (CpuMeter::default(), CpuMeter::default());
        outer.begin();
        inner.begin();
        compute(TIME);
        inner.end();
        outer.end();
        assert!(inner.time().unwrap() >= TIME);
        assert!(outer.time().unwrap() < TIME);
    }
}
