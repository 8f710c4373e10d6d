//! `data process`.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use command::{Outcome, Progress, repeats, speed_up};
use data::{
    AT_ONCE, BadRows, Chunk, Contents, DataError, DataProcessorCaller, Extent, Format, Layout,
    Output, ProcessChunk, Processed, ResultFormat, Source, Step, Summary, Tally, start_pool_of,
};
use futures_util::{Stream, StreamExt, stream};
use insula::CallError;
use insula::pool::PoolStats;
use insula::rpc::retry;

use crate::cli::{self, Process, Show};
use crate::failure::Failure;
use crate::{NAME, print, reading};

/// Processes a file as `options` ask.
///
/// # Errors
/// Returns a message for the user if the run could not start or be finished.
pub(crate) async fn run(options: &Process) -> Result<Outcome, Failure> {
    let mut output = None;
    let mut results = ResultFormat::None;
    if let Some(path) = &options.out.out {
        let format = cli::format_of(path)?;
        output = Some(create(path, format, Contents::Results)?);
        results = ResultFormat::of(format);
    }
    let mut alone = None;
    if options.workers.compare {
        if cli::is_stdin(&options.input.path) {
            let message = "--compare reads the table twice, which standard input cannot";
            return Err(Failure(message.to_owned()));
        }
        // Without results, whose writing would slow down only this worker.
        let run = Run::new(options, "one worker: ", None);
        alone = Some(run.drive(ResultFormat::None, 1).await?.elapsed);
    }
    let run = Run::new(options, "", output);
    let course = run.drive(results, options.workers.workers()).await?;
    report_bad(&options.input.path, course.tally.bad());
    let mut summary = course.tally.summary(course.elapsed, course.pool);
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

/// Names the first rows that could not be processed, and says how many more there are.
pub(crate) fn report_bad(path: &Path, bad: &BadRows) {
    let progress = Progress::hidden(NAME);
    for row in &bad.first {
        progress.report(&format_args!("{}:{row}", path.display()));
    }
    let more = bad.count - bad.first.len() as u64;
    if more > 0 {
        progress.report(&format_args!("{}: {more} more bad rows", path.display()));
    }
}

/// One pass over the file.
struct Run<'a> {
    options: &'a Process,
    title: &'static str,
    output: Option<Output>,
    tally: Tally,
}

/// The course of a run.
struct Course {
    /// Time from the first chunk to the last result written.
    elapsed: Duration,
    pool: PoolStats,
    tally: Tally,
}

/// A part of a file that is done.
enum Done {
    /// The answer to a chunk of so many bytes.
    Chunk(usize, Result<Processed, CallError<DataError, ()>>),
    /// The end, with the rows that were in no chunk.
    End(BadRows),
    Unreadable(io::Error),
}

impl<'a> Run<'a> {
    fn new(options: &'a Process, title: &'static str, output: Option<Output>) -> Self {
        Self {
            options,
            title,
            output,
            tally: Tally::default(),
        }
    }

    /// Lets a pool process all chunks and takes their results in the order of the file.
    async fn drive(mut self, results: ResultFormat, workers: usize) -> Result<Course, Failure> {
        let Process { input, chunks, .. } = self.options;
        let source = reading::open(&input.path, &input.fields, *chunks).await?;
        let progress = self.progress(source.extent());
        let pool = start_pool_of(self.options.workers.kind, workers).await?;
        let calls = Calls {
            caller: pool.caller(),
            layout: Arc::clone(source.layout()),
            steps: self.options.steps.as_slice().into(),
            results,
            // A row group may have any size, and its results wait for those before it.
            at_once: match source.layout().format {
                Format::Parquet => workers + 2,
                Format::Csv { .. } | Format::JsonLines => AT_ONCE,
            },
        };
        // Behind the start of the pool, which would count against the rate of a short run.
        let start = Instant::now();
        let mut done = pin!(calls.all(source));
        while let Some(done) = done.next().await {
            self.take(done, &progress)?;
        }
        if let (Some(output), Some(path)) = (self.output, &self.options.out.out) {
            finish(path, output)?;
        }
        progress.end();
        Ok(Course {
            elapsed: start.elapsed(),
            pool: pool.stats(),
            tally: self.tally,
        })
    }

    fn progress(&self, extent: Extent) -> Progress {
        match (extent, self.options.out.show()) {
            (Extent::Bytes(bytes), Show::Table) => Progress::new(NAME, bytes, "bytes", self.title),
            (Extent::Rows(rows), Show::Table) => Progress::new(NAME, rows, "rows", self.title),
            _ => Progress::hidden(NAME),
        }
    }

    fn take(&mut self, done: Done, progress: &Progress) -> Result<(), Failure> {
        let path = &self.options.input.path;
        let (bytes, processed) = match done {
            Done::Chunk(bytes, Ok(processed)) => (bytes, processed),
            Done::Chunk(_, Err(error)) => {
                self.tally.add_failure();
                let Failure(message) = error.into();
                progress.report(&format_args!("{}: {message}", path.display()));
                return Ok(());
            }
            Done::End(bad) => {
                self.tally.add_bad(bad);
                return Ok(());
            }
            Done::Unreadable(error) => return Err(Failure::file(path, "cannot read", &error)),
        };
        self.tally.add(bytes, &processed);
        let rows = processed.values.count() + processed.missing + processed.bad.count;
        progress.add(match bytes {
            0 => rows,
            bytes => bytes as u64,
        });
        match (&mut self.output, &self.options.out.out) {
            (Some(output), Some(path)) => write(path, output, &processed),
            _ => Ok(()),
        }
    }
}

fn write(path: &Path, output: &mut Output, processed: &Processed) -> Result<(), Failure> {
    let written = output.write(&processed.output);
    written.map_err(|error| Failure::file(path, UNWRITABLE, &error))
}

/// What the calls of a run have in common.
struct Calls {
    caller: DataProcessorCaller,
    layout: Arc<Layout>,
    steps: Arc<[Step]>,
    results: ResultFormat,
    /// The most chunks that are in the pool.
    at_once: usize,
}

impl Calls {
    /// Processes all chunks of a file. They come in its order.
    fn all(self, source: Source) -> impl Stream<Item = Done> {
        let chunks = stream::unfold(Some(source), async |source| {
            match reading::next(source?).await {
                Ok((source, Some(chunk))) => Some((Ok(chunk), Some(source))),
                Ok((mut source, None)) => Some((Err(Done::End(source.take_bad())), None)),
                Err(error) => Some((Err(Done::Unreadable(error)), None)),
            }
        });
        let at_once = self.at_once;
        let begin = move |chunk: Result<Chunk, Done>| {
            let call = chunk.map(|chunk| (chunk.bytes(), self.call(chunk)));
            async {
                match call {
                    Ok((bytes, call)) => Done::Chunk(bytes, call.await),
                    Err(done) => done,
                }
            }
        };
        chunks.map(begin).buffered(at_once)
    }

    /// Has a chunk processed, by another worker if one ends.
    fn call(
        &self,
        chunk: Chunk,
    ) -> impl Future<Output = Result<Processed, CallError<DataError, ()>>> + use<> {
        let request = ProcessChunk {
            chunk,
            layout: Arc::clone(&self.layout),
            steps: Arc::clone(&self.steps),
            results: self.results,
        };
        let caller = self.caller.clone();
        // Sent at once, so that workers compute while the next chunk is read.
        let mut first = Some(caller.process(request.clone()).start());
        async move {
            // A request shares its chunk, so that one more costs little, and nothing is read twice.
            let call = |_| {
                first
                    .take()
                    .unwrap_or_else(|| caller.process(request.clone()))
            };
            let answer = retry(&repeats(), call).await;
            answer.map_err(CallError::without_request)
        }
    }
}
