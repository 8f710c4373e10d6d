//! Waiting for a state of the pool without guessing times.

use insula_core::yield_now;
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
