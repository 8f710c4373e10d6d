//! Worker pools over typed calls.
//!
//! A [`WorkerPool`] runs the calls of one contract, or of several, on its workers. Each worker is
//! an isolate with services of its own, which the factories of the pool build inside of it. Callers
//! see one caller for each contract, and do not select a worker.
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
//! #[contract(crate = insula_rpc)]
//! trait Texts {
//!     async fn length(&self, cx: &Context, text: String) -> Result<usize, Infallible>;
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
//! impl Texts for Worker {
//!     async fn length(&self, _cx: &Context, text: String) -> Result<usize, Infallible> {
//!         Ok(text.len())
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! block_on(async {
//!     let pool = WorkerPool::builder()
//!         .name("squares")
//!         .workers(2)
//!         .service::<SquaresResponder<_>>(|_cx| async { Ok(Worker) })
//!         .service::<TextsResponder<_>>(|_cx| async { Ok(Worker) })
//!         .build()
//!         .await?;
//!     let squares: SquaresCaller = pool.caller();
//!     let texts: TextsCaller = pool.caller();
//!     assert_eq!(squares.square(12).await?, 144);
//!     assert_eq!(texts.length("island".into()).await?, 6);
//!     let report = pool.shut_down(Shutdown::graceful(Duration::from_secs(5))).await;
//!     assert_eq!(report.lost, 0);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # The path of a call
//! 1. *Submission.* The call is put into a queue of the pool, and a worker with room is woken, if
//!    there is one; [`Balance`] selects it. If the queue is full, [`Overflow`] decides.
//! 2. *Start.* A worker that has room takes the oldest call of the highest priority that it may
//!    start. A call whose caller has gone, or whose deadline has passed, is not started.
//! 3. *End.* The answer goes from the worker to the caller, past the pool. The worker takes the
//!    next call.
//!
//! Calls are pulled: no call is handed to a worker, so a call that woke one worker is taken by
//! another one that has room earlier. A worker whose isolate computes or blocks has no room. Thus a
//! slow call delays no other call while another worker has room, and a worker that ends takes only
//! those calls with it that it runs.
//!
//! # Places
//! A worker has as many places as calls that it may run at once
//! ([`concurrency_per_worker`](PoolBuilder::concurrency_per_worker)). A call whose stream waits for
//! its reader gives its place back, so unread streams do not stop a pool. When its reader has taken
//! items, the stream gets the next free place of its worker, before any call that has not started.
//! A service whose methods take `&mut self` keeps its place until the end of the stream.
//!
//! # Order
//! Calls of the same [priority](insula_rpc::Call::priority) start in the order of their submission,
//! and run side by side. With one worker and one place they also end in that order, streams excepted.
//! Calls of a higher priority start first, but not without end: while a call of normal priority waits,
//! a worker starts at most 16 others before one of that priority, and at most 17 before one of low
//! priority. A call with a key is of normal priority. In a [fair](Queue::fair) queue, calls of one priority
//! start by their [shares](insula_rpc::Call::share). Calls with the same
//! [key](insula_rpc::Call::key) start on the same worker, in the order of their submission, for as
//! long as that worker lives; other calls may start earlier than a call with a key whose worker is
//! busy.
//!
//! # Panics
//! A handler that panics fails its own call. Its worker takes no further call; the others that it
//! runs come to their end, except for streams that wait for their readers, which go on with the old
//! services. Then the factories build the services again, as the next incarnation.
//!
//! # Size
//! A pool has a fixed number of workers, or one that follows its load; see [`Workers`] and
//! [`WorkerPool::resize`]. A worker that is retired finishes the calls that it runs; its queued calls
//! with a key go to other workers.
//!
//! # Restarts
//! A worker whose isolate ends, or whose services cannot be built again, starts again after a delay,
//! as [`Restart`] says. Its queued calls with a key wait for it. If it has done so too often, it is
//! lost, and the pool is *degraded*. A pool that was built for more workers starts another one in
//! place of the lost one. Without any worker the pool has *failed*, and calls are rejected with
//! `NoWorker`.
//!
//! # Recycling
//! [`Recycle`] has the factories build new services for a worker beside its old ones, which take calls
//! until the new ones take their place. No call waits for that.
//!
//! # Delivery
//! At most once. A call stays in the queue of the pool until it starts, so the end of a worker
//! concerns only calls that it has started: they end with `WorkerDied`, maybe executed. When a worker
//! is lost, its queued calls with a key move to another one.
//!
//! # Counts
//! [`PoolStats`] counts each call that was submitted in exactly one way of ending, before its
//! caller can see the end. After a shutdown the sum of these ways is the number of submitted calls.
//! A [`PerformanceReport`] has what was counted since the report before, with rates.
//! [`MethodStats`] has the same counts for each method, of the calls that workers have ended.
//!
//! # Events
//! A [`WorkerEvent`] says what has happened to a worker. [Observers](PoolBuilder::observe) are told
//! at once, and any number of readers have a stream of [events](WorkerPool::events). Each
//! incarnation has exactly one last event, `Exited`, however it ends.
//!
//! # Shutdown
//! [`WorkerPool::shut_down`] takes no more calls, lets those that it has finish for as long as its
//! plan says, then rejects what is queued and cancels what runs, and at last gives up the workers
//! that do not stop. Every call ends, and a [`ShutdownReport`] counts how. The drop of a pool
//! rejects what is queued and cancels what runs, and does not wait.
//!
//! # Locks
//! The decisions of a pool are made by a state machine (`dispatch.rs`) under one lock
//! (`shared.rs`). It returns what is to be done: calls to refuse, wakers to wake and values to drop
//! are handed out, and handled after the lock is released. So are the events of workers, by one thread
//! at a time, so that their order is kept. The report of the shutdown (`pool.rs`)
//! and the times of a worker and of a method (`stats.rs`) have locks of their own. All are leaves, but
//! for the times of a worker, under which those of its methods are taken. The times of a worker, and
//! for a call that is given up the state, are taken under another lock, that of the call's cell.

#![forbid(unsafe_code)]

mod balance;
mod builder;
mod config;
mod dispatch;
mod error;
mod health;
mod inspect;
mod kind;
mod lifecycle;
#[cfg(all(test, loom))]
mod loom_models;
mod memory;
mod observe;
mod pool;
mod queues;
mod shared;
mod size;
mod stats;
mod supervisor;
mod worker;

pub use balance::{Balance, Candidate, Strategy, Weights};
pub use builder::{NoService, PoolBuilder, ServiceFactory};
pub use config::{Change, Measure, Monitor, Overflow, Queue, Rate, Shutdown};
pub use error::{BuildError, FactoryError, ReloadError, ResizeError, WorkerFault};
pub use health::{Health, Readiness};
pub use inspect::{AnyPool, InFlight, Queued, pools};
pub use kind::{Either, Hybrid, Kind, Local, Starting};
pub use lifecycle::{Directive, Recycle, Restart};
pub use memory::{Memory, Pressure, Reclaim};
pub use observe::discards::{DiscardReason, Discarded};
pub use observe::events::{PoolObserver, WorkerChange, WorkerEnd, WorkerError, WorkerEvent};
pub use observe::hub::Events;
pub use observe::profiler::{OperationReport, Profiler, ProfilerReport};
pub use observe::report::{Performance, PerformanceReport, WorkerReport};
pub use observe::trace::{CallTrace, EndedCall, Traced};
pub use pool::{NoCalls, ShutdownReport, WorkerPool};
pub use size::Workers;
pub use stats::{
    Histograms, Latency, MethodMemory, MethodStats, PoolPhase, PoolStats, PoolStatus,
    WorkerCondition, WorkerMemory, WorkerStats, WorkerStatus,
};
pub use worker::WorkerContext;
