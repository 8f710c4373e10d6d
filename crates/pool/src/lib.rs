//! Worker pools over typed calls.
//!
//! A [`WorkerPool`] runs the calls of one contract on several workers. Each worker is an
//! isolate with a service of its own, built by the pool's factory; callers see one caller and
//! do not choose.
//!
//! # The way of a call
//! 1. *Submission.* If a worker has room, the call is reserved for it under the pool's lock and
//!    the worker is woken; which one is the matter of [`Balance`]. Otherwise the call waits in
//!    the pool's one queue, first come, first served. If the queue is full, [`Overflow`] decides.
//! 2. *Start.* A worker that has room takes the next call of the queue by itself, without a
//!    message. A call whose caller has gone, or whose deadline has passed, is not started.
//! 3. *End.* The answer goes straight from the worker to the caller.
//!
//! A queue inside a worker does not exist, so a slow call delays no other call while
//! another worker has room, and a worker that ends takes only those calls with it that it runs.
//!
//! # Panics
//! A handler that panics fails its own call. Its worker takes no further call; the others that
//! it runs come to their end; then the factory builds its state again, as the next incarnation.
//! A worker whose factory fails is lost permanently, and the pool is *degraded*; without any worker
//! it has *failed*, and calls are rejected with `NoWorker`.
//!
//! # Delivery
//! At most once. A call that was reserved for a worker but not started goes back to the head
//! of the queue when the worker ends; one that was started ends with `WorkerDied`, maybe
//! executed.
//!
//! # Ordering
//! Calls start in the order of their submission, but run side by side. With one worker of
//! concurrency 1 they also end in that order.
//!
//! # Locks
//! The state of the pool (`shared.rs`), the waker of a lane (`shared.rs`) and the times in a
//! worker's books (`stats.rs`) each have one; none is taken while another is held, but for the
//! times, which may be taken under the lock of a call's cell. No foreign code runs under any
//! of them; requests, answers and wakers that the state machine lets go of are handed out and
//! dropped or woken afterwards.
//!
//! ```
//! use std::convert::Infallible;
//! use std::time::Duration;
//!
//! use insula_core::block_on;
//! use insula_pool::{Shutdown, WorkerPool};
//! use insula_rpc::{Context, contract};
//!
//! #[contract(crate = insula_rpc)]
//! trait Squares {
//!     async fn square(&self, cx: &Context, number: u64) -> Result<u64, Infallible>;
//! }
//!
//! struct Worker;
//!
//! impl Squares for Worker {
//!     async fn square(&self, _cx: &Context, number: u64) -> Result<u64, Infallible> {
//!         Ok(number * number)
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! block_on(async {
//!     let pool = WorkerPool::<SquaresResponder<_>>::builder()
//!         .name("squares")
//!         .workers(2)
//!         .worker(|_cx| async { Ok(Worker) })
//!         .build()
//!         .await?;
//!     let caller = pool.caller();
//!     assert_eq!(caller.square(12).await?, 144);
//!     let report = pool.shut_down(Shutdown::graceful(Duration::from_secs(5))).await;
//!     assert_eq!(report.lost, 0);
//!     Ok(())
//! })
//! # }
//! ```

#![forbid(unsafe_code)]

mod builder;
mod config;
mod error;
mod fifo;
mod pool;
mod shared;
mod state;
mod stats;
mod worker;

pub use builder::PoolBuilder;
pub use config::{Balance, Measure, Overflow, Queue, Shutdown};
pub use error::{BuildError, FactoryError, WorkerFault};
pub use pool::{ShutdownReport, WorkerPool};
pub use stats::{
    Latency, PoolPhase, PoolStats, PoolStatus, WorkerCondition, WorkerStats, WorkerStatus,
};
pub use worker::WorkerContext;
