//! Instruments: clocks, memory, context switches, calibrated work, and a countdown.

use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicU64, Ordering};
use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;

/// Returns the nanoseconds for each of `count` operations.
pub(crate) fn ns_each(elapsed: Duration, count: u64) -> f64 {
    elapsed.as_secs_f64() * 1e9 / count as f64
}

/// Returns the millions of operations per second.
pub(crate) fn millions_per_second(elapsed: Duration, count: u64) -> f64 {
    count as f64 / elapsed.as_secs_f64() / 1e6
}

/// Returns the CPU time of all threads of this process.
pub(crate) fn process_cpu() -> Duration {
    duration_of(ClockId::ProcessCPUTime)
}

/// Returns the CPU time of the calling thread.
pub(crate) fn thread_cpu() -> Duration {
    duration_of(ClockId::ThreadCPUTime)
}

/// The clocks at the start of the part of a repetition that a case measures.
pub(crate) struct Clocks {
    wall: Instant,
    cpu: Duration,
}

/// What that part has taken: time, and CPU time of all threads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl Clocks {
    pub(crate) fn start() -> Self {
        let cpu = process_cpu();
        Self {
            wall: Instant::now(),
            cpu,
        }
    }

    pub(crate) fn stop(self) -> Spent {
        Spent {
            wall: self.wall.elapsed(),
            cpu: process_cpu() - self.cpu,
        }
    }
}

impl Spent {
    /// Returns how much of `amount` was done per second, and per second of CPU time.
    pub(crate) fn rates(self, amount: f64) -> [f64; 2] {
        [self.wall, self.cpu].map(|time| amount / time.as_secs_f64())
    }
}

fn duration_of(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::from_secs(time.tv_sec.unsigned_abs())
        + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// Returns the resident memory of this process, in bytes (0 if the kernel does not report it).
pub(crate) fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Returns the context switches of all threads so far, voluntary and not (0 if the kernel does not
/// report them).
pub(crate) fn context_switches() -> u64 {
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return 0;
    };
    threads
        .filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("status")).ok())
        .map(|status| switches_in(&status))
        .sum()
}

fn switches_in(status: &str) -> u64 {
    status
        .lines()
        .filter(|line| line.contains("ctxt_switches"))
        .filter_map(|line| line.rsplit('\t').next()?.trim().parse::<u64>().ok())
        .sum()
}

/// Work that takes a known time on an undisturbed core: one dependent chain that touches no memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work {
    steps: u64,
}

impl Work {
    /// Calibrates on first use, so call this outside timed sections.
    pub(crate) fn lasting(duration: Duration) -> Self {
        Self {
            steps: (duration.as_secs_f64() * steps_per_second()) as u64,
        }
    }

    #[inline]
    pub(crate) fn run(self) {
        black_box(spin(self.steps));
    }
}

fn spin(steps: u64) -> u64 {
    let mut state = black_box(0x9e37_79b9_7f4a_7c15_u64);
    for _ in 0..steps {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
    }
    state
}

/// Calibrated once, by CPU time, so that other load does not shorten the work.
fn steps_per_second() -> f64 {
    static RATE: OnceLock<f64> = OnceLock::new();
    *RATE.get_or_init(|| {
        const STEPS: u64 = 50_000_000;
        // A core that has slept takes a moment to reach its speed.
        black_box(spin(STEPS / 10));
        let start = thread_cpu();
        black_box(spin(STEPS));
        STEPS as f64 / (thread_cpu() - start).as_secs_f64()
    })
}

/// Completes a one-shot after a given number of hits, on any threads.
pub(crate) struct Countdown {
    left: AtomicU64,
    done: Mutex<Option<oneshot::Sender<()>>>,
}

impl Countdown {
    pub(crate) fn new(hits: u64) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (done, all_hit) = oneshot::channel();
        (
            Arc::new(Self {
                left: AtomicU64::new(hits),
                done: Mutex::new(Some(done)),
            }),
            all_hit,
        )
    }

    /// Counts a hit. Hits beyond the announced number are ignored.
    pub(crate) fn hit(&self) {
        // AcqRel; pairs with itself: the last hit sees everything that was done before the other
        // hits.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(done) = self.done.lock().take()
        {
            // Fails if the waiter is gone, which is fine.
            let _ = done.send(());
        }
    }
}

/// Returns the present as a `u64`: nanoseconds since the first use in this process.
pub(crate) fn stamp() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Returns the value below which the share `share` of the sorted values is found.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    // Rounded up, so that a high share of few values is the largest of them.
    let index = (last as f64 * share).ceil() as usize;
    sorted.get(index.min(last)).copied().unwrap_or(f64::NAN)
}

/// Returns the middle value (the mean of the two middle ones), NaN for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests;
