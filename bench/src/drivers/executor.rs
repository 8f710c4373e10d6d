//! The executors of async workloads.

use std::future::Future;

/// The number of threads of every system that has such a setting: one per core of the machine on
/// which the project's targets were set.
pub(crate) const THREADS: usize = 2;

/// An async runtime of a given shape. Cheap to clone; each [`run`](Self::run) has fresh threads.
pub(crate) trait Executor: Clone + Send + Sync + 'static {
    /// Runs `root` as a task of the executor and waits for it on the calling thread.
    fn run<F>(self, root: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Starts a task; only inside [`run`](Self::run). The future returned waits for its end.
    fn spawn<F>(&self, task: F) -> impl Future<Output = F::Output> + Send
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Starts a task whose end is not awaited.
    fn detach<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static;
}

/// The number of values that a sender puts into an unbounded mailbox before it yields. A sender
/// that never yields measures page faults: its receiver, on the same thread, starts with a backlog
/// of all values. With this number actix rose from 11 to 22 M/s and `tokio mpsc-ct` from 17 to 22
/// (2026-11-21, `ports --case "one to one, unbounded"`); 32 to 65,536 made no difference.
pub(crate) const BURST: u64 = 1_024;

/// Awaited by a sender before it sends `value`.
#[inline]
pub(crate) async fn give_way(bound: Option<usize>, value: u64) {
    if bound.is_none() && value % BURST == BURST - 1 {
        futures_lite::future::yield_now().await;
    }
}
