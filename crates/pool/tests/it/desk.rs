//! Waiting for a state of the pool without guessing times.

use insula_core::{Isolate, Runtime, yield_now};
use insula_pool::{PoolStatus, WorkerPool};

/// Waits until the pool's status is as described.
pub(crate) async fn until<C: insula_rpc::Calls>(
    pool: &WorkerPool<C>,
    holds: impl Fn(&PoolStatus) -> bool,
) {
    while !holds(&pool.status()) {
        yield_now().await;
        std::thread::yield_now();
    }
}

/// Starts calls: polls each future once.
pub(crate) fn start<F: Future + Unpin>(future: &mut F) {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::Pin::new(future).poll(&mut cx).is_pending());
}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut cx)
}

/// Runs something in an isolate on virtual time.
pub(crate) fn seeded<R, F>(seed: u64, run: impl FnOnce() -> F + Send + 'static) -> R
where
    R: Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let runtime = Runtime::builder().seeded(seed).build();
    let ran = runtime.block_on(async { Isolate::run_async(run).await });
    runtime.shut_down();
    match ran {
        Ok(output) => output,
        Err(error) => panic!("seed {seed}: {error}"),
    }
}
