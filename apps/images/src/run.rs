//! One run of the program, from its options to its exit status.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use images::{
    BatchUpdate, Batches, Failure, FileError, Job, Pipeline, ProcessImage, ProcessedImage,
    RawImage, Scan, Summary, Tally, plan, write_atomically,
};

use crate::cli::Options;
use crate::interrupt;
use crate::progress::Progress;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    AllMade,
    SomeFailed,
    NothingToDo,
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::AllMade => Self::SUCCESS,
            Outcome::SomeFailed => Self::from(1),
            Outcome::NothingToDo => Self::from(2),
            // 128 + SIGINT, as shells report it.
            Outcome::Interrupted => Self::from(130),
        }
    }
}

/// Does everything that `options` ask for.
///
/// # Errors
/// A message for the user if nothing could be started.
pub(crate) fn run(options: &Options) -> Result<Outcome, String> {
    interrupt::listen().map_err(|error| format!("cannot listen for Ctrl-C: {error}"))?;
    let scan = Scan::of(&options.inputs, &options.out);
    let jobs = plan(&scan.pictures, &options.out, options.format());
    let mut results = Results::new(&jobs, options.quiet);
    scan.failures
        .iter()
        .for_each(|failure| results.fail(failure));
    if jobs.is_empty() {
        return Err("no pictures found".to_owned());
    }
    let start = Instant::now();
    process_all(&jobs, options, |update| results.take(update));
    let (summary, is_complete) = results.end(start);
    if !options.quiet {
        // A reader that has gone away wants no table.
        let _ = write!(io::stdout().lock(), "{summary}");
    }
    Ok(match summary.failed {
        _ if !is_complete => Outcome::Interrupted,
        0 => Outcome::AllMade,
        _ => Outcome::SomeFailed,
    })
}

/// Processes the jobs one after the other and hands over the results in batches. Ends early when
/// the program is asked to stop, between two pictures.
fn process_all(jobs: &[Job], options: &Options, mut on_update: impl FnMut(BatchUpdate)) {
    let mut pipeline = Pipeline::new();
    let mut batches = Batches::new(jobs.len(), options.batch);
    for job in jobs {
        if interrupt::is_stopped() {
            break;
        }
        let result = RawImage::load(&job.input).and_then(|image| {
            let request = ProcessImage {
                image,
                operations: options.operations(),
                format: Some(job.format),
                quality: options.quality,
            };
            let fail = |error| Failure {
                path: job.input.clone(),
                error: FileError::Process(error),
            };
            pipeline.process(request).map_err(fail)
        });
        if let Some(update) = batches.push(result) {
            on_update(update);
        }
    }
    if let Some(update) = batches.flush() {
        on_update(update);
    }
}

/// Writes what comes in, shows progress and counts.
struct Results {
    outputs: HashMap<PathBuf, PathBuf>,
    progress: Progress,
    tally: Tally,
    expected: usize,
    processed: usize,
}

impl Results {
    fn new(jobs: &[Job], quiet: bool) -> Self {
        Self {
            outputs: jobs
                .iter()
                .map(|job| (job.input.clone(), job.output.clone()))
                .collect(),
            progress: Progress::new(jobs.len(), quiet),
            tally: Tally::default(),
            expected: jobs.len(),
            processed: 0,
        }
    }

    fn take(&mut self, update: BatchUpdate) {
        self.processed = update.processed;
        self.progress.update(&update);
        for result in update.batch {
            match result.and_then(|picture| self.write(picture)) {
                Ok(picture) => self.tally.add(&picture),
                Err(failure) => self.fail(&failure),
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

    fn fail(&mut self, failure: &Failure) {
        self.tally.add_failure();
        self.progress.report(failure);
    }

    /// The figures, and whether every picture was dealt with.
    fn end(self, start: Instant) -> (Summary, bool) {
        self.progress.end();
        (
            self.tally.summary(start.elapsed()),
            self.processed == self.expected,
        )
    }
}
