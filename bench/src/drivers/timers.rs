//! Workloads of timers: sleeps that never end, and the lateness of those that do.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use insula_sync::atomic::{AtomicU64, Ordering};
use tokio::sync::oneshot;

use crate::case::Sample;
use crate::measure::{Countdown, percentile, stamp};

/// Long enough never to be over.
const LONG: Duration = Duration::from_secs(3600);
/// Time to start the tasks of [`lateness`] before the first of them is due.
pub(crate) const HEAD_START: Duration = Duration::from_millis(500);
/// The time within which the sleeps of [`lateness`] are due.
const SPAN: Duration = Duration::from_secs(1);

/// A system that can sleep, and the place where the sleepers run.
pub(crate) trait Sleeper: Copy + Send + Sync + 'static {
    type Sleep: Future<Output = ()> + Send;

    /// Runs `root` as a task of a fresh runtime and waits for it on the calling thread.
    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Returns a sleep of `duration`. Only inside of `run`.
    fn sleep(duration: Duration) -> Self::Sleep;

    /// Starts a task whose end is not awaited. Only inside of `run`.
    fn start(self, task: impl Future<Output = ()> + Send + 'static);
}

/// Makes a sleep, polls it once and drops it, `count` times: one at a time, with its future on the
/// stack.
pub(crate) fn cancel_one_by_one<S: Sleeper>(system: S, count: u64) -> Duration {
    system.run(async move {
        let start = Instant::now();
        for _ in 0..count {
            let mut sleep = pin!(S::sleep(LONG));
            poll_fn(|cx| pending(sleep.as_mut(), cx)).await;
        }
        start.elapsed()
    })
}

/// Makes `count` sleeps in boxes and polls each once, and then drops all of them.
pub(crate) fn cancel_all<S: Sleeper>(system: S, count: u64) -> Duration {
    system.run(async move {
        let mut sleeps = Vec::with_capacity(count as usize);
        let start = Instant::now();
        for _ in 0..count {
            let mut sleep = Box::pin(S::sleep(LONG));
            poll_fn(|cx| pending(sleep.as_mut(), cx)).await;
            sleeps.push(sleep);
        }
        drop(sleeps);
        start.elapsed()
    })
}

/// Polls with the waker of the task, as a `select` does, and continues at once.
fn pending(sleep: Pin<&mut impl Future<Output = ()>>, cx: &mut Context<'_>) -> Poll<()> {
    assert!(sleep.poll(cx).is_pending());
    Poll::Ready(())
}

/// `count` tasks sleep until points in time that are spread evenly over a second. Returns p50, p99
/// and p99.9 of their lateness, in milliseconds.
pub(crate) fn lateness<S: Sleeper>(system: S, count: u64) -> Sample {
    let (late, finished) = Late::new(count);
    let records = late.clone();
    system.run(async move {
        let base = stamp() + HEAD_START.as_nanos() as u64;
        for index in 0..count {
            let (late, due) = (late.clone(), due(base, index, count));
            system.start(async move {
                S::sleep(Duration::from_nanos(due.saturating_sub(stamp()))).await;
                late.record(index, due);
            });
        }
        finished.await.expect("every sleep ends");
    });
    records.sample()
}

/// Returns when the timer with an index is due. Timers are made in another order than the one in
/// which they are due.
pub(crate) fn due(base: u64, index: u64, count: u64) -> u64 {
    // Has no common divisor with a count that is a power of ten, so each place is taken once.
    const STEP: u64 = 61_803;
    let place = index * STEP % count;
    base + SPAN.as_nanos() as u64 * place / count
}

/// The lateness of many timers.
pub(crate) struct Late {
    nanos: Vec<AtomicU64>,
    left: Arc<Countdown>,
}

impl Late {
    pub(crate) fn new(count: u64) -> (Arc<Self>, oneshot::Receiver<()>) {
        let (left, all_came) = Countdown::new(count);
        let nanos = (0..count).map(|_| AtomicU64::new(u64::MAX)).collect();
        (Arc::new(Self { nanos, left }), all_came)
    }

    pub(crate) fn record(&self, index: u64, due: u64) {
        let now = stamp();
        assert!(now >= due, "a timer fired early");
        // Relaxed: read after the countdown, which orders it.
        self.nanos[index as usize].store(now - due, Ordering::Relaxed);
        self.left.hit();
    }

    /// Returns p50, p99 and p99.9 in milliseconds.
    pub(crate) fn sample(&self) -> Sample {
        let nanos = self.nanos.iter().map(|nanos| nanos.load(Ordering::Relaxed));
        let mut ms: Vec<_> = nanos.map(|nanos| nanos as f64 / 1e6).collect();
        ms.sort_by(f64::total_cmp);
        [0.5, 0.99, 0.999]
            .map(|share| percentile(&ms, share))
            .into()
    }
}
