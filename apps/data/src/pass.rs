//! One pass over a table: a pool processes its chunks, and their results come in its order.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use command::{Progress, Started, WorkerOptions, repeats};
use data::{
    AT_ONCE, BadRows, Chunk, DataError, DataProcessorCaller, DataProcessorRequest, Extent, Format,
    Items, Layout, Output, ProcessChunk, Processed, ResultFormat, Results, Source, Step, Tally,
    start_pool_of,
};
use futures_util::{Stream, StreamExt, stream};
use insula::CallError;
use insula::rpc::retry;

use crate::cli::{Fields, is_stdin};
use crate::failure::Failure;
use crate::process::{UNWRITABLE, finish};
use crate::{NAME, reading};

/// A table, and what is done with its records.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) path: &'a Path,
    pub(crate) fields: &'a Fields,
    pub(crate) steps: &'a [Step],
    pub(crate) chunks: usize,
    pub(crate) workers: &'a WorkerOptions,
    pub(crate) is_quiet: bool,
}

/// What becomes of the results.
pub(crate) enum Sink<'a> {
    /// Nothing, and no bad row is named: only the time of the pass is wanted.
    Trial,
    /// They are counted.
    Statistics,
    /// They are written.
    File {
        path: &'a Path,
        format: Format,
        output: Output,
    },
    /// The records are collected, without results.
    Items(Items),
}

/// The course of a pass.
pub(crate) struct Course {
    /// Time from the first chunk to the last result, which is in its file.
    pub(crate) elapsed: Duration,
    /// The pool, which is to be ended.
    pub(crate) started: Started<DataProcessorRequest>,
    pub(crate) layout: Arc<Layout>,
    pub(crate) tally: Tally,
    /// The records, if they were collected.
    pub(crate) items: Items,
}

impl<'a> Task<'a> {
    /// Returns the time of a pass with one worker, if a comparison is wanted.
    ///
    /// # Errors
    /// Returns a message for the user, as [`run`](Self::run).
    pub(crate) async fn alone(self) -> Result<Option<Duration>, Failure> {
        if !self.workers.compare {
            return Ok(None);
        }
        if is_stdin(self.path) {
            let message = "--compare reads the table twice, which standard input cannot";
            return Err(Failure(message.to_owned()));
        }
        // Without results, whose writing would slow down only this worker.
        let course = self.pass(1, Sink::Trial).await?;
        course.started.end().await;
        Ok(Some(course.elapsed))
    }

    /// Has all workers process the table.
    ///
    /// # Errors
    /// Returns a message for the user if the table cannot be read, or the results not be written.
    pub(crate) async fn run(self, sink: Sink<'a>) -> Result<Course, Failure> {
        self.pass(self.workers.workers(), sink).await
    }

    async fn pass(self, workers: usize, sink: Sink<'a>) -> Result<Course, Failure> {
        let source = reading::open(self.path, self.fields, self.chunks).await?;
        let layout = Arc::clone(source.layout());
        let mut run = Run {
            path: self.path,
            progress: self.progress(source.extent(), &sink),
            sink,
            tally: Tally::default(),
        };
        let started = start_pool_of(&self.workers.kind, workers).await?;
        let calls = Calls {
            caller: started.pool.caller(),
            layout: Arc::clone(&layout),
            steps: self.steps.into(),
            results: run.sink.format(),
            // A row group may have any size, and its results wait for those before it.
            at_once: match layout.format {
                Format::Parquet => workers + 2,
                Format::Csv { .. } | Format::JsonLines => AT_ONCE,
            },
        };
        // Behind the start of the pool, which would count against the rate of a short run.
        let start = Instant::now();
        let mut done = pin!(calls.all(source));
        while let Some(done) = done.next().await {
            run.take(done)?;
        }
        let (tally, items) = run.end()?;
        Ok(Course {
            elapsed: start.elapsed(),
            started,
            layout,
            tally,
            items,
        })
    }

    fn progress(&self, extent: Extent, sink: &Sink<'_>) -> Progress {
        match sink {
            _ if self.is_quiet => Progress::hidden(NAME),
            Sink::Trial => reading::progress(extent, "one worker: "),
            _ => reading::progress(extent, ""),
        }
    }
}

impl Sink<'_> {
    fn format(&self) -> ResultFormat {
        match self {
            Self::Trial | Self::Statistics => ResultFormat::None,
            Self::File { format, .. } => ResultFormat::of(*format),
            Self::Items(_) => ResultFormat::Items,
        }
    }

    fn take(&mut self, results: &Results) -> Result<(), Failure> {
        match (self, results) {
            (Self::File { path, output, .. }, results) => {
                let written = output.write(results);
                written.map_err(|error| Failure::file(path, UNWRITABLE, &error))
            }
            (Self::Items(items), Results::Items(more)) => {
                items.append(more);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

type Answer = Result<Processed, CallError<DataError, ()>>;

/// A part of a table that is done.
enum Done {
    Chunk {
        /// The rows before it that are in no chunk.
        bad: BadRows,
        bytes: usize,
        amount: u64,
        answer: Box<Answer>,
    },
    /// The end, with the rows before it that are in no chunk.
    End(BadRows),
    Unreadable(io::Error),
}

/// A pass that has begun.
struct Run<'a> {
    path: &'a Path,
    progress: Progress,
    sink: Sink<'a>,
    tally: Tally,
}

impl Run<'_> {
    fn take(&mut self, done: Done) -> Result<(), Failure> {
        let named = self.tally.bad().first.len();
        match done {
            Done::Chunk {
                bad,
                bytes,
                amount,
                answer,
            } => {
                self.tally.add_bad(bad);
                match *answer {
                    Ok(processed) => {
                        self.tally.add(bytes, &processed);
                        self.sink.take(&processed.output)?;
                    }
                    Err(error) => self.fail(error),
                }
                self.progress.add(amount);
            }
            Done::End(bad) => self.tally.add_bad(bad),
            Done::Unreadable(error) => {
                return Err(Failure::file(self.path, "cannot read", &error));
            }
        }
        // As they come, so that they are named even if the pass does not end.
        if !matches!(self.sink, Sink::Trial) {
            reading::report_bad(&self.progress, self.path, self.tally.bad(), named);
        }
        Ok(())
    }

    fn fail(&mut self, error: CallError<DataError, ()>) {
        self.tally.add_failure();
        if !matches!(self.sink, Sink::Trial) {
            let Failure(message) = error.into();
            let message = format_args!("{}: {message}", self.path.display());
            self.progress.report(&message);
        }
    }

    fn end(self) -> Result<(Tally, Items), Failure> {
        if !matches!(self.sink, Sink::Trial) {
            reading::report_more(&self.progress, self.path, self.tally.bad());
        }
        let mut items = Items::default();
        match self.sink {
            Sink::Trial | Sink::Statistics => {}
            Sink::File { path, output, .. } => finish(path, output)?,
            Sink::Items(all) => items = all,
        }
        self.progress.end();
        Ok((self.tally, items))
    }
}

/// What the calls of a pass have in common.
struct Calls {
    caller: DataProcessorCaller,
    layout: Arc<Layout>,
    steps: Arc<[Step]>,
    results: ResultFormat,
    /// The most chunks that are in the pool.
    at_once: usize,
}

impl Calls {
    /// Processes all chunks of a table. They come in its order.
    fn all(self, source: Source) -> impl Stream<Item = Done> {
        let chunks = stream::unfold(Some(source), async |source| {
            match reading::next(source?).await {
                Ok(next) => match next.chunk {
                    Some(chunk) => Some((Ok((next.bad, chunk)), Some(next.source))),
                    None => Some((Err(Done::End(next.bad)), None)),
                },
                Err(error) => Some((Err(Done::Unreadable(error)), None)),
            }
        });
        let at_once = self.at_once;
        let begin = move |read: Result<(BadRows, Chunk), Done>| {
            let begun = read.map(|(bad, chunk)| {
                let (bytes, amount) = (chunk.bytes(), chunk.amount());
                (bad, bytes, amount, self.call(chunk))
            });
            async {
                match begun {
                    Ok((bad, bytes, amount, call)) => Done::Chunk {
                        bad,
                        bytes,
                        amount,
                        answer: Box::new(call.await),
                    },
                    Err(done) => done,
                }
            }
        };
        chunks.map(begin).buffered(at_once)
    }

    /// Has a chunk processed, by another worker if one ends.
    fn call(&self, chunk: Chunk) -> impl Future<Output = Answer> + use<> {
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
