//! Spinning that stops where it does not pay.

use std::time::{Duration, Instant};

use insula_sync::atomic::{AtomicU32, Ordering};
use insula_sync::wait;

/// How long one spin lasts at most: longer than it takes to wake a sleeping core, so that one
/// side that is awake finds the other one again.
const WINDOW: Duration = Duration::from_micros(20);

/// Looks between two readings of the clock.
const LOOKS: u32 = 64;

/// Waits without a spin, at most, after one that missed: at some 20 us each it is under 0.1 us a
/// wait then.
const LONGEST_BREAK: u32 = 255;

/// Decides whether a wait begins with a spin. After a miss ever more waits go without; after a
/// hit all have one again.
#[derive(Debug, Default)]
pub(crate) struct Spin {
    /// Waits still to go without a spin.
    left: AtomicU32,
    /// How many the next miss costs.
    penalty: AtomicU32,
}

impl Spin {
    /// Looks for a moment whether `ready` gives something.
    pub(crate) fn until<R>(&self, ready: &mut impl FnMut() -> Option<R>) -> Option<R> {
        // Relaxed: a guess, of use to nobody else.
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
        // Most spins hit, and then nothing is written.
        if penalty != self.penalty.load(Ordering::Relaxed) {
            self.penalty.store(penalty, Ordering::Relaxed);
        }
        if penalty != 0 {
            self.left.store(penalty, Ordering::Relaxed);
        }
        result
    }
}

/// Whether anybody else can run meanwhile. Loom has no use for spinning.
fn can_spin() -> bool {
    static CORES: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let cores =
        || *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    !cfg!(loom) && !cfg!(miri) && cores() > 1
}

fn spin<R>(ready: &mut impl FnMut() -> Option<R>) -> Option<R> {
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
