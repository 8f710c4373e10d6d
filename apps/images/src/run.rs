//! One run of the program, from its options to its exit status.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::time::{Duration, Instant};

use command::{Outcome, Progress, Started, Stop, speed_up, write_atomically};
use futures_util::future::{Either, select};
use images::{
    BatchUpdate, Failure, FileError, Job, PicturesCaller, PicturesRequest, ProcessedImage, Scan,
    Summary, Tally, Updates, plan, start_pool_of,
};
use insula::pool::PoolStats;

use crate::cli::{Node, Options};

/// Does a whole run as `options` ask.
///
/// # Errors
/// Returns a message for the user if the run could not start.
pub(crate) async fn run(options: &Options) -> Result<Outcome, String> {
    // First, so that no request to stop ends the program between a temporary file and its new name.
    let mut stop = Stop::listen().map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;
    let inspected = options.inspect.start(NAME)?;
    let scan = Scan::of(&options.inputs, &options.out);
    let jobs = plan(&scan.pictures, &options.out, options.format());
    let mut tally = Tally::default();
    for failure in &scan.failures {
        tally.add_failure();
        Progress::hidden(NAME).report(failure);
    }
    if jobs.is_empty() {
        return Err("no pictures found".to_owned());
    }
    let alone = match options.workers.compare {
        true => Some(time_one_worker(&jobs, options, &mut stop).await?),
        false => None,
    };
    if alone == Some(None) {
        return Ok(Outcome::Interrupted);
    }
    let mut results = Results::new(&jobs, tally, progress(&jobs, options, ""));
    let workers = options.workers.workers();
    let course = drive(&jobs, options, workers, &mut stop, |update| {
        results.take(update);
    })
    .await?;
    let mut summary = results.end(&course);
    summary.speed_up = alone.flatten().map(|alone| speed_up(alone, course.elapsed));
    if !options.quiet {
        // If the reader of the output is gone, the table is not needed.
        let _ = write!(io::stdout().lock(), "{summary}");
    }
    let outcome = match summary.failed {
        _ if !course.is_complete => Outcome::Interrupted,
        0 => Outcome::Done,
        _ => Outcome::SomeFailed,
    };
    inspected.stay(NAME, outcome, &mut stop).await;
    // A picture that a worker still computes after a stop is lost with the program; no file is open for
    // it.
    course.started.end().await;
    Ok(outcome)
}

/// Serves runs on other machines until it is told to stop.
///
/// # Errors
/// Returns a message for the user if it could not begin.
pub(crate) async fn serve(node: &Node) -> Result<Outcome, String> {
    let stop = Stop::listen().map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;
    let _inspected = node.inspect.start(NODE)?;
    let serves = node.node.serve(images::MOST_BYTES, images::serve, stop);
    serves.await?;
    Ok(Outcome::Done)
}

/// The name in front of messages.
const NAME: &str = "images";

/// The name of a node for its inspector, which tells it from a run on the same machine.
const NODE: &str = "images-worker";

fn progress(jobs: &[Job], options: &Options, title: &'static str) -> Progress {
    if options.quiet {
        return Progress::hidden(NAME);
    }
    Progress::new(NAME, jobs.len() as u64, "pictures", title)
}

/// Does the work of the run with one worker, to time it. Returns `None` if it was stopped. The pictures are not kept, because writing
/// them would slow down only this worker.
async fn time_one_worker(
    jobs: &[Job],
    options: &Options,
    stop: &mut Stop,
) -> Result<Option<Duration>, String> {
    // Read all files once, or the second run would find in memory what the first one had to read
    // from the disk. Errors are reported by the run that counts.
    for job in jobs {
        let _ = fs::read(&job.input);
    }
    let progress = progress(jobs, options, "one worker: ");
    let course = drive(jobs, options, 1, stop, |update| {
        progress.set(update.processed as u64);
    })
    .await;
    progress.end();
    let Course {
        elapsed,
        is_complete,
        started,
        ..
    } = course?;
    started.end().await;
    Ok(is_complete.then_some(elapsed))
}

/// The course of a run.
struct Course {
    /// Time from the first file read to the end of the last update.
    elapsed: Duration,
    pool: PoolStats,
    /// `true` if the run was not stopped.
    is_complete: bool,
    /// The pool, which is to be ended.
    started: Started<PicturesRequest>,
}

/// Lets a pool process all jobs and passes on its updates, until there are no more or `stop` is
/// ready.
async fn drive(
    jobs: &[Job],
    options: &Options,
    workers: usize,
    stop: &mut Stop,
    mut on_update: impl FnMut(BatchUpdate),
) -> Result<Course, String> {
    let started = start_pool_of(&options.workers.kind, workers)
        .await
        .map_err(|error| error.to_string())?;
    // Behind the start of the pool, which would count against the rate of a short run.
    let start = Instant::now();
    let caller: PicturesCaller = started.pool.caller();
    let mut updates = Updates::new(
        &caller,
        workers,
        jobs.to_vec(),
        options.recipe(),
        options.batch,
    );
    let is_complete = loop {
        match select(&mut *stop, pin!(updates.next())).await {
            // The update that was awaited is given up, and with it nothing is lost: see
            // `Updates::next`.
            Either::Left(_) => break false,
            Either::Right((Some(update), _)) => on_update(update),
            Either::Right((None, _)) => break true,
        }
    };
    if let Some(update) = updates.stop() {
        on_update(update);
    }
    let course = Course {
        elapsed: start.elapsed(),
        pool: started.pool.stats(),
        is_complete,
        started,
    };
    Ok(course)
}

/// Writes finished pictures, shows progress and counts.
struct Results {
    outputs: HashMap<PathBuf, PathBuf>,
    tally: Tally,
    progress: Progress,
}

impl Results {
    fn new(jobs: &[Job], tally: Tally, progress: Progress) -> Self {
        // A path is a sufficient key, since `Scan` lists each only once.
        let outputs = jobs
            .iter()
            .map(|job| (job.input.clone(), job.output.clone()))
            .collect();
        Self {
            outputs,
            tally,
            progress,
        }
    }

    fn take(&mut self, update: BatchUpdate) {
        self.progress.set(update.processed as u64);
        for result in update.batch {
            match result.and_then(|picture| self.write(picture)) {
                Ok(picture) => self.tally.add(&picture),
                // Of a file that was not processed, and of one that could not be written: both have
                // no picture.
                Err(failure) => {
                    self.tally.add_failure();
                    self.progress.report(&failure);
                }
            }
        }
    }

    fn write(&self, picture: ProcessedImage) -> Result<ProcessedImage, Failure> {
        let written = match self.outputs.get(&picture.path) {
            Some(output) => write_atomically(output, &picture.bytes),
            None => Err(io::Error::other("a picture that nobody asked for")),
        };
        match written {
            Ok(()) => Ok(picture),
            Err(reason) => Err(Failure {
                path: picture.path,
                error: FileError::Write(reason),
            }),
        }
    }

    fn end(self, course: &Course) -> Summary {
        self.progress.end();
        self.tally.summary(course.elapsed, course.pool.clone())
    }
}
