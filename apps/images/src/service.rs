//! The service behind the program: its contract, a worker's state, and the pool.

use command::{KindOptions, Services, StartError, Started};
use insula::pool::{BuildError, FactoryError, Measure, PoolBuilder, WorkerContext};
use insula::{Context, IsolateCell, Payload, WorkerPool, contract};

use crate::{Pipeline, ProcessError, ProcessImage, ProcessedImage};

/// A service that processes pictures.
#[contract(wire)]
pub trait Pictures {
    /// Turns the content of one picture file into that of another.
    ///
    /// # Cancellation
    /// A call that waits for a worker is removed. A call that runs continues to the end of its
    /// picture, which is discarded.
    ///
    /// # Errors
    /// See [`ProcessError`].
    async fn process(
        &self,
        cx: &Context,
        request: ProcessImage,
    ) -> Result<ProcessedImage, ProcessError>;
}

/// The service of one worker: a [`Pipeline`] that only the worker's isolate can reach.
#[derive(Debug)]
pub struct PictureWorker(IsolateCell<Pipeline>);

impl PictureWorker {
    /// Creates a service of the current isolate.
    ///
    /// # Panics
    /// If there is no current isolate.
    pub fn new() -> Self {
        Self(IsolateCell::new(Pipeline::new()))
    }
}

impl Default for PictureWorker {
    fn default() -> Self {
        Self::new()
    }
}

impl Pictures for PictureWorker {
    async fn process(
        &self,
        _cx: &Context,
        request: ProcessImage,
    ) -> Result<ProcessedImage, ProcessError> {
        // A long computation without an announcement: the runtime detects it and keeps other
        // isolates running.
        self.0.with(|pipeline| pipeline.process(request))
    }
}

/// Workers that make pictures, each one picture at a time.
pub type PicturePool = WorkerPool<PicturesRequest>;

/// Starts a pool of `workers` (at least one) that times every call.
///
/// # Errors
/// See [`BuildError`].
pub async fn start_pool(workers: usize) -> Result<PicturePool, BuildError> {
    let builder = builder(workers).service::<PicturesResponder<_>>(factory);
    builder.build().await
}

/// As [`start_pool`], with workers of some kind. Those in other processes have what [`serve`] serves
/// there.
///
/// # Errors
/// See [`StartError`].
pub async fn start_pool_of(
    kind: &KindOptions,
    workers: usize,
) -> Result<Started<PicturesRequest>, StartError> {
    let builder = builder(workers);
    let started = kind.start::<PicturesResponder<_>>(builder, MOST_BYTES, factory);
    started.await
}

fn builder(workers: usize) -> PoolBuilder {
    WorkerPool::builder()
        .name("pictures")
        .workers(workers)
        // A picture takes milliseconds, beside which the two looks at the clock are nothing.
        .measure(Measure::All)
}

/// The most bytes of a picture that goes to another process or machine.
pub const MOST_BYTES: usize = 1 << 30;

/// Serves pictures, where a worker is not in the process of its pool.
pub fn serve(services: &mut impl Services) {
    services.serve::<PicturesResponder<_>>(factory);
}

async fn factory(_cx: WorkerContext) -> Result<PictureWorker, FactoryError> {
    Ok(PictureWorker::new())
}

impl Payload for ProcessImage {
    fn size_hint(&self) -> u64 {
        let owned = self.image.path.as_os_str().len()
            + self.image.bytes.len()
            + size_of_val(self.operations.as_slice());
        (size_of::<Self>() + owned) as u64
    }
}

impl Payload for ProcessedImage {
    fn size_hint(&self) -> u64 {
        let owned = self.path.as_os_str().len() + self.bytes.len();
        (size_of::<Self>() + owned) as u64
    }
}
