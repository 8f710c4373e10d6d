//! The service behind the window: its contract, and the pool of workers.

use insula::{BuildError, Cancelled, Context, Overflow, Payload, Queue, WorkerPool, contract};

use crate::priority::step_back;
use crate::tile::{Tile, TileRequest};

/// Computes parts of the picture.
#[contract]
pub trait Fractal {
    /// Computes one tile.
    ///
    /// # Cancellation
    /// Looked for before each row, so that a tile that nobody needs any more costs nothing.
    ///
    /// # Errors
    /// If it was cancelled.
    async fn tile(&self, cx: &Context, request: TileRequest) -> Result<Tile, Cancelled>;
}

/// The service of one worker. It keeps nothing between two tiles.
#[derive(Clone, Copy, Debug)]
pub struct Computer;

impl Fractal for Computer {
    async fn tile(&self, cx: &Context, request: TileRequest) -> Result<Tile, Cancelled> {
        // On whatever thread of the pool this runs; only tiles run there.
        step_back();
        // Computes for long and says so to nobody: the runtime sees it and keeps other isolates
        // going.
        request.compute(|| cx.check())
    }
}

/// Workers that compute tiles, each one at a time.
pub type TilePool = WorkerPool<FractalResponder<Computer>>;

/// Starts a pool of `workers` (at least one).
///
/// # Errors
/// See [`BuildError`].
pub async fn start_pool(workers: usize) -> Result<TilePool, BuildError> {
    WorkerPool::<FractalResponder<_>>::builder()
        .name("tiles")
        .workers(workers)
        // Short, since the window asks again for what it needs most; it hands in no more.
        .queue(Queue::bounded(4 * workers).overflow(Overflow::Wait))
        .worker(|_cx| async { Ok(Computer) })
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
