//! Pools of threads, which are lent to one computation at a time.
//!
//! A pool of rayon has a fixed number of threads, and calls that share a pool share its threads:
//! ten calls of width 1 in one pool would run one after the other. So a call takes a pool out of the
//! list of idle ones, or starts one, and gives it back at its end. The list is shared by the whole
//! process. It is in the order of the last use, and pools beyond a number of threads are ended, the
//! longest unused first.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;
use std::thread;

use insula_sync::{Mutex, thread_cell};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// Where a piece of a computation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the thread of the caller, without others.
    Caller,
    /// On a thread of one of the pools here.
    Pool,
}

/// Threads for each core that are kept in idle pools. A load that changes makes computations of
/// several widths, each with pools of its own; an idle thread costs its stack, and no time.
const IDLE_THREADS_PER_CORE: usize = 4;

static IDLE: LazyLock<Mutex<Idle>> = LazyLock::new(|| Mutex::new(Idle::new(most_idle_threads())));

thread_cell! {
    /// The number of threads of the pool that this thread belongs to; 0 on any other thread.
    static WIDTH: usize = 0;
}

/// A pool of this module and the number of its threads, as it was asked for.
#[derive(Debug)]
struct Pool {
    width: usize,
    threads: ThreadPool,
}

/// The pools that no call uses.
#[derive(Debug)]
struct Idle {
    /// In the order in which they were given back. Each but the last has at least one thread of
    /// `most_threads`, which bounds their number.
    pools: Vec<Pool>,
    most_threads: usize,
}

/// A pool that a call uses, and that is put into the list when this is dropped, also by a panic.
struct Lent<'a> {
    /// `None` in the drop only.
    pool: Option<Pool>,
    idle: &'a Mutex<Idle>,
}

/// Returns the number of threads of the pool that the calling thread belongs to, if it belongs to
/// one of the pools here. Other pools of rayon do not count.
pub(crate) fn current_width() -> Option<usize> {
    let width = WIDTH.with(std::cell::Cell::get);
    (width > 0).then_some(width)
}

/// Runs `op` on a thread of a pool with `width` threads, and blocks meanwhile. If the threads
/// cannot be started, `op` runs on the calling thread.
pub(crate) fn run<R: Send>(width: usize, op: impl FnOnce(Place) -> R + Send) -> R {
    run_in(Lent::take(&IDLE, width, start), op)
}

fn run_in<R: Send>(lent: Option<Lent<'_>>, op: impl FnOnce(Place) -> R + Send) -> R {
    match lent.as_ref().and_then(Lent::threads) {
        Some(threads) => threads.install(|| op(Place::Pool)),
        None => op(Place::Caller),
    }
}

/// Starts a pool. Returns `None` if the operating system has no threads for it.
fn start(width: usize) -> Option<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(width)
        .thread_name(|index| format!("compute-{index}"))
        .start_handler(move |_| WIDTH.with(|it| it.set(width)))
        // Without a handler rayon aborts the process. The panic hook has reported the panic.
        .panic_handler(drop)
        .build()
        .ok()
}

fn most_idle_threads() -> usize {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    cores.saturating_mul(IDLE_THREADS_PER_CORE)
}

impl<'a> Lent<'a> {
    /// Takes an idle pool, or starts one. There are as many pools as calls at a time, whose threads
    /// block meanwhile.
    fn take(
        idle: &'a Mutex<Idle>,
        width: usize,
        start: impl FnOnce(usize) -> Option<ThreadPool>,
    ) -> Option<Self> {
        // A variable, so that the lock is released before threads are started.
        let pool = idle.lock().take(width);
        let pool = pool.or_else(|| {
            let threads = start(width)?;
            Some(Pool { width, threads })
        })?;
        let pool = Some(pool);
        Some(Self { pool, idle })
    }

    fn threads(&self) -> Option<&ThreadPool> {
        self.pool.as_ref().map(|pool| &pool.threads)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            // A variable, so that the pools are ended after the lock is released.
            let superfluous = self.idle.lock().put(pool);
            drop(superfluous);
        }
    }
}

impl Idle {
    fn new(most_threads: usize) -> Self {
        let pools = Vec::new();
        Self {
            pools,
            most_threads,
        }
    }

    /// Takes the pool of this width that was used last.
    fn take(&mut self, width: usize) -> Option<Pool> {
        let place = self.pools.iter().rposition(|pool| pool.width == width)?;
        Some(self.pools.remove(place))
    }

    /// Puts a pool back. Returns those that are to be ended: the longest unused ones, while there
    /// are too many threads, but never the one that is put back.
    fn put(&mut self, pool: Pool) -> Vec<Pool> {
        let mut threads = pool.width;
        let mut kept = 0;
        for pool in self.pools.iter().rev() {
            threads = threads.saturating_add(pool.width);
            if threads > self.most_threads {
                break;
            }
            kept += 1;
        }
        let superfluous = self.pools.len() - kept;
        let superfluous = self.pools.drain(..superfluous).collect();
        self.pools.push(pool);
        superfluous
    }
}
