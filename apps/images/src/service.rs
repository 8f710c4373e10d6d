//! The service behind the program: its contract, a worker's state, and the pool.

use std::error::Error;
use std::fmt;

use clap::ValueEnum;
use insula::pool::{BuildError, FactoryError, Measure, PoolBuilder, Shutdown, WorkerContext};
use insula::process::{Process, Worker};
use insula::{Context, IsolateCell, Payload, WorkerPool, contract};

use crate::node::{Way, start_on_machines};
use crate::{Machines, Pipeline, ProcessError, ProcessImage, ProcessedImage};

/// Where a worker runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Isolates of this process
    #[default]
    Local,
    /// A child process each
    Process,
    /// Workers of nodes on other machines
    Nats,
}

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

/// A pool of some kind.
#[derive(Debug)]
pub struct Started {
    /// The pool.
    pub pool: PicturePool,
    way: Option<Way>,
}

impl Started {
    /// Ends the pool. A picture that a worker still computes is lost; machines are told that.
    pub async fn end(self) {
        let Self { pool, way } = self;
        if let Some(way) = way {
            pool.shut_down(Shutdown::now()).await;
            drop(pool);
            way.close().await;
        }
    }
}

/// A pool that did not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// A worker did not.
    Build(BuildError),
    /// What is missing for workers of this kind.
    Missing(&'static str),
}

impl From<BuildError> for StartError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::Missing(what) => f.write_str(what),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Build(error) => Some(error),
            Self::Missing(_) => None,
        }
    }
}

/// As [`start_pool`], with workers of some kind. The program that starts workers in processes calls
/// [`insula::process::main`] with [`serve`] first of all; those on other machines are found as
/// `machines` says.
///
/// # Errors
/// See [`StartError`].
pub async fn start_pool_of(
    kind: Kind,
    machines: &Machines,
    workers: usize,
) -> Result<Started, StartError> {
    let (pool, way) = match kind {
        Kind::Local => (start_pool(workers).await?, None),
        Kind::Process => {
            let process = Process::current_exe().most_bytes(MOST_BYTES);
            (builder(workers).kind(process).build().await?, None)
        }
        Kind::Nats => {
            let (pool, way) = start_on_machines(builder(workers), machines).await?;
            (pool, Some(way))
        }
    };
    Ok(Started { pool, way })
}

fn builder(workers: usize) -> PoolBuilder {
    WorkerPool::builder()
        .name("pictures")
        .workers(workers)
        // A picture takes milliseconds, beside which the two looks at the clock are nothing.
        .measure(Measure::All)
}

/// The most bytes of a picture that goes to another process or machine.
pub(crate) const MOST_BYTES: usize = 1 << 30;

/// Serves pictures, in a process that is a worker.
pub fn serve(worker: &mut Worker) {
    worker.serve::<PicturesResponder<_>>(factory);
}

pub(crate) async fn factory(_cx: WorkerContext) -> Result<PictureWorker, FactoryError> {
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
