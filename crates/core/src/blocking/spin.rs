//! Adaptive spinning before a wait.

use std::time::{Duration, Instant};

use insula_sync::atomic::{AtomicU32, Ordering};
use insula_sync::wait;

/// The longest time of one spin: longer than it takes to wake a sleeping core, so that a side that
/// is awake still spins when the other side has woken up and answers.
const WINDOW: Duration = Duration::from_micros(20);

/// The number of looks between two readings of the clock.
const LOOKS: u32 = 64;

/// The largest number of waits without a spin after one that missed. Spins of some 20 us then cost
/// under 0.1 us per wait.
const LONGEST_BREAK: u32 = 255;

/// Decides whether a wait begins with a spin. Each miss in a row makes more of the following waits
/// skip it; after a hit, every wait spins again.
#[derive(Debug, Default)]
pub(crate) struct Spin {
    /// The number of waits that still skip the spin.
    left: AtomicU32,
    /// The number of waits that skipped it after the last miss; 0 after a hit.
    penalty: AtomicU32,
}

impl Spin {
    /// Calls `ready` for a moment until it returns `Some`, unless spinning has not paid lately.
    pub(crate) fn until<R>(&self, ready: &mut impl FnMut() -> Option<R>) -> Option<R> {
        // Relaxed throughout: both numbers are a heuristic, and publish nothing. Concurrent waits
        // may lose an update.
        let left = self.left.load(Ordering::Relaxed);
        if left > 0 {
            self.left.store(left - 1, Ordering::Relaxed);
            return None;
        }
        if !can_spin() {
            return None;
        }
        let result = spin(ready);
        let penalty = match result {
            Some(_) => 0,
            None => (2 * self.penalty.load(Ordering::Relaxed) + 1).min(LONGEST_BREAK),
        };
        // No write after a hit that follows a hit, which is the usual case: the cache line stays
        // shared.
        if penalty != self.penalty.load(Ordering::Relaxed) {
            self.penalty.store(penalty, Ordering::Relaxed);
        }
        if penalty != 0 {
            self.left.store(penalty, Ordering::Relaxed);
        }
        result
    }
}

/// Returns whether another thread can run during a spin. Loom and Miri do not profit from one.
fn can_spin() -> bool {
    static CORES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let cores =
        || *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    !cfg!(loom) && !cfg!(miri) && cores() > 1
}

fn spin<R>(ready: &mut impl FnMut() -> Option<R>) -> Option<R> {
    // The clock is read only after the first looks, so that a quick hit costs no reading.
    let mut end = None;
    loop {
        for _ in 0..LOOKS {
            wait::spin();
            if let Some(result) = ready() {
                return Some(result);
            }
        }
        let now = Instant::now();
        if now >= *end.get_or_insert(now + WINDOW) {
            return None;
        }
    }
}
