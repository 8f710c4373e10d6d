//! Workloads of pools: jobs submitted one at a time, with many outstanding, and all at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use insula_sync::atomic::{AtomicU64, Ordering};

use crate::measure::{Work, process_cpu, thread_cpu};

/// A pool that runs closures and does not report their end.
pub(crate) trait ClosurePool {
    fn execute(&self, job: impl FnOnce() + Send + 'static);
}

/// Submits a no-op and waits for its result, `count` times.
pub(crate) fn one_at_a_time(pool: &impl ClosurePool, count: u64) -> Duration {
    let (tx, rx) = bounded(1);
    let start = Instant::now();
    for value in 0..count {
        let tx = tx.clone();
        pool.execute(move || tx.send(value + 1).expect("the caller waits"));
        assert_eq!(rx.recv(), Ok(value + 1));
    }
    start.elapsed()
}

/// Keeps `window` no-ops outstanding until `count` have ended.
pub(crate) fn outstanding(pool: &impl ClosurePool, window: u64, count: u64) -> Duration {
    // With room for all that are outstanding, so that no job waits for this thread.
    let (tx, rx) = bounded(window as usize);
    let submit = |value: u64| {
        let tx = tx.clone();
        pool.execute(move || tx.send(value).expect("the caller waits"));
    };
    let start = Instant::now();
    (0..window).for_each(submit);
    let mut sum = 0;
    for value in window..count + window {
        sum += rx.recv().expect("every job ends");
        if value < count {
            submit(value);
        }
    }
    let elapsed = start.elapsed();
    assert_eq!(sum, count * (count - 1) / 2);
    elapsed
}

/// Counts no-op jobs, so that a lost one is noticed.
#[derive(Clone, Default)]
pub(crate) struct Tick(Arc<AtomicU64>);

impl Tick {
    /// The job: as little work as can be checked.
    #[inline]
    pub(crate) fn tick(&self) {
        // Relaxed: read only after the pool has reported that all jobs have ended.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Times `all`, which runs `count` no-op jobs and returns when they have ended.
pub(crate) fn all_at_once(count: u64, all: impl FnOnce(u64, &Tick)) -> Duration {
    let tick = Tick::default();
    let start = Instant::now();
    all(count, &tick);
    let elapsed = start.elapsed();
    assert_eq!(tick.count(), count);
    elapsed
}

/// Returns the share (%) of the CPU time of all threads that is work, when 60 ms of work are cut
/// into jobs of `grain`. `all` runs that many jobs and returns when they have ended.
pub(crate) fn cpu_efficiency(grain: Duration, all: impl FnOnce(u64, Work)) -> f64 {
    const TOTAL: Duration = Duration::from_millis(60);
    let jobs = (TOTAL.as_nanos() / grain.as_nanos()) as u64;
    let work = Work::lasting(grain);
    // The work by itself is measured each time, so that the core has about the same speed in both
    // parts.
    let start = thread_cpu();
    for _ in 0..jobs {
        work.run();
    }
    let alone = thread_cpu() - start;
    let start = process_cpu();
    all(jobs, work);
    let pooled = process_cpu() - start;
    alone.as_secs_f64() / pooled.as_secs_f64() * 100.0
}
