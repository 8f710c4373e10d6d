//! Runs jobs on a pool and returns batch updates.

use std::fmt;
use std::sync::Arc;

use futures_util::stream::{self, BoxStream, StreamExt};
use insula::CallError;
use insula::runtime::blocking;

use crate::{
    BatchUpdate, Batches, Failure, FileError, Job, Operation, PicturesCaller, ProcessImage,
    ProcessedImage, RawImage,
};

/// The processing of every picture of a run.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The steps, in order.
    pub operations: Vec<Operation>,
    /// See [`ProcessImage::quality`].
    pub quality: u8,
}

/// The number of pictures that wait in the pool's queue, so that a free worker finds the next one
/// there even while the reader is busy.
const AHEAD: usize = 2;

/// The batch updates of a run.
///
/// Files are read, and calls made, only while [`next`](Self::next) is awaited: at most `workers +
/// 2` pictures are in the pool at any time, and besides them only those of one batch. So the memory
/// of a run does not grow with the folder, however slowly its results are written. (A server stream
/// of the contract would run ahead by its window of updates.)
///
/// # Ordering
/// Pictures come in the order in which they are finished.
///
/// # Cancellation
/// Dropping it cancels the pictures that no worker has begun.
#[must_use = "nothing is processed unless the updates are awaited"]
pub struct Updates {
    results: stream::Fuse<BoxStream<'static, Result<ProcessedImage, Failure>>>,
    batches: Batches,
}

impl Updates {
    /// Processes `jobs` in the pool of `workers` behind `caller`, and groups the results into
    /// updates of `batch` pictures.
    pub fn new(
        caller: &PicturesCaller,
        workers: usize,
        jobs: Vec<Job>,
        recipe: Recipe,
        batch: usize,
    ) -> Self {
        let batches = Batches::new(jobs.len(), batch);
        let (caller, recipe) = (caller.clone(), Arc::new(recipe));
        let results = stream::iter(jobs)
            .map(move |job| make(caller.clone(), job, Arc::clone(&recipe)))
            .buffer_unordered(workers + AHEAD)
            .boxed()
            // A caller may ask again after the last update, and an ended stream must not be polled.
            .fuse();
        Self { results, batches }
    }

    /// Returns the next update, or `None` after the last one.
    ///
    /// # Cancellation
    /// Dropping the future loses nothing.
    ///
    /// # Blocking
    /// Reads files.
    pub async fn next(&mut self) -> Option<BatchUpdate> {
        while let Some(result) = self.results.next().await {
            if let Some(update) = self.batches.push(result) {
                return Some(update);
            }
        }
        self.batches.flush()
    }

    /// Ends the run early. Returns the pictures that were finished since the last update.
    pub fn stop(mut self) -> Option<BatchUpdate> {
        self.batches.flush()
    }
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates")
            .field("batches", &self.batches)
            .finish_non_exhaustive()
    }
}

/// The times that a picture is tried whose worker ends, in a process that is killed for example. The
/// last of its errors counts.
const TRIES: u32 = 3;

/// Has one file processed.
async fn make(
    caller: PicturesCaller,
    job: Job,
    recipe: Arc<Recipe>,
) -> Result<ProcessedImage, Failure> {
    let mut tried = 1;
    loop {
        match call(&caller, &job, &recipe).await {
            // The file is read again: its content went with the worker.
            Err(failure) if tried < TRIES && failure.is_of_worker() => tried += 1,
            result => return result,
        }
    }
}

/// Reads one file and calls the pool to process it.
async fn call(
    caller: &PicturesCaller,
    job: &Job,
    recipe: &Recipe,
) -> Result<ProcessedImage, Failure> {
    let request = ProcessImage {
        // Announced, in case that the caller runs in an isolate: its thread is replaced at once,
        // not when the monitor finds it stuck.
        image: blocking(|| RawImage::load(&job.input))?,
        operations: recipe.operations.clone(),
        format: Some(job.format),
        quality: recipe.quality,
    };
    caller.process(request).await.map_err(|error| Failure {
        path: job.input.clone(),
        error: match error {
            CallError::App(error) => FileError::Process(error),
            error => FileError::Call(Box::new(error.without_request())),
        },
    })
}
