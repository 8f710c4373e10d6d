//! `data process`.

use std::path::Path;

use command::{Outcome, speed_up};
use data::{Contents, Format, Output, Summary};

use crate::cli::{self, Process, Show};
use crate::failure::Failure;
use crate::pass::{Course, Sink, Task};
use crate::print;

/// Processes a file as `options` ask.
///
/// # Errors
/// Returns a message for the user if the run could not start or be finished.
pub(crate) async fn run(options: &Process) -> Result<Outcome, Failure> {
    let mut sink = Sink::Statistics;
    if let Some(path) = &options.out.out {
        let format = cli::format_of(path)?;
        sink = Sink::File {
            path,
            format,
            output: create(path, format, Contents::Results)?,
        };
    }
    let task = Task {
        path: &options.input.path,
        fields: &options.input.fields,
        steps: &options.steps,
        chunks: options.chunks,
        workers: &options.workers,
        is_quiet: options.out.quiet,
    };
    let alone = task.alone().await?;
    let Course {
        elapsed,
        started,
        layout,
        tally,
        ..
    } = task.run(sink).await?;
    let mut summary = tally.summary(layout, elapsed, started.pool.stats());
    started.end().await;
    summary.speed_up = alone.map(|alone| speed_up(alone, summary.elapsed));
    show(&summary, options.out.show());
    Ok(outcome(&summary))
}

/// What precedes the system's error.
pub(crate) const UNWRITABLE: &str = "cannot write";

pub(crate) fn create(path: &Path, format: Format, contents: Contents) -> Result<Output, Failure> {
    let output = Output::create(path, format, contents);
    output.map_err(|error| Failure::file(path, UNWRITABLE, &error))
}

pub(crate) fn finish(path: &Path, output: Output) -> Result<(), Failure> {
    let finished = output.finish();
    finished.map_err(|error| Failure::file(path, UNWRITABLE, &error))
}

/// Prints the table of a run, or its figures as JSON.
pub(crate) fn show(summary: &Summary, show: Show) {
    match show {
        Show::Table => print(summary.to_string().trim_end()),
        Show::Json => print(summary.json()),
        Show::Nothing => {}
    }
}

pub(crate) fn outcome(summary: &Summary) -> Outcome {
    match (summary.bad, summary.failed) {
        (0, 0) => Outcome::Done,
        _ => Outcome::SomeFailed,
    }
}
