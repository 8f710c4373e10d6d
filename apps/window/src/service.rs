//! The service behind the window: its contract, and the pool of workers.

use insula::pool::{BuildError, Overflow, Queue};
use insula::rpc::Cancelled;
use insula::{Context, Payload, WorkerPool, contract};

use crate::priority::step_back;
use crate::tile::{Tile, TileRequest};

/// A service that computes parts of the picture.
#[contract]
pub trait Fractal {
    /// Computes one tile.
    ///
    /// # Cancellation
    /// Checked before each row, so that a tile that is no longer needed costs little.
    ///
    /// # Errors
    /// Fails if the call was cancelled.
    async fn tile(&self, cx: &Context, request: TileRequest) -> Result<Tile, Cancelled>;
}

/// The service of one worker. It keeps nothing between two tiles.
#[derive(Clone, Copy, Debug)]
pub struct Computer;

impl Fractal for Computer {
    async fn tile(&self, cx: &Context, request: TileRequest) -> Result<Tile, Cancelled> {
        // Runs on any thread of the pool; the pool's threads only compute tiles.
        step_back();
        // A long computation without an announcement: the runtime detects it and keeps other
        // isolates running.
        request.compute(|| cx.check())
    }
}

/// Workers that compute tiles, each one at a time.
pub type TilePool = WorkerPool<FractalRequest>;

/// Starts a pool of `workers` (at least one).
///
/// # Errors
/// See [`BuildError`].
pub async fn start_pool(workers: usize) -> Result<TilePool, BuildError> {
    WorkerPool::builder()
        .name("tiles")
        .workers(workers)
        // Short, since the window requests the most needed tiles again, and never submits more than
        // this.
        .queue(Queue::bounded(4 * workers).overflow(Overflow::Wait))
        .service::<FractalResponder<_>>(|_cx| async { Ok(Computer) })
        .build()
        .await
}

impl Payload for TileRequest {
    fn size_hint(&self) -> u64 {
        size_of::<Self>() as u64
    }
}

impl Payload for Tile {
    fn size_hint(&self) -> u64 {
        (size_of::<Self>() + size_of_val(&*self.0)) as u64
    }
}
