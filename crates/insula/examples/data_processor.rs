//! Statistics of the measurements in a file, computed by a pool of workers. The first contract has
//! calls of all four kinds, and a second one is served beside it by the same workers. With --verbose,
//! the pool tells what its workers do and how fast they are.
//!
//! `cargo run --release -p insula --example data_processor -- --field temp_max --items 10000`
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt, future, stream};
use insula::pool::{BuildError, PerformanceReport, Shutdown, WorkerEvent};
use insula::rpc::{Aborted, Cancelled, Sender, map};
use insula::{CallError, Context, Inbound, WorkerPool, contract};

const HELP: &str = "\
Statistics of the numbers in a file.

Usage: data_processor [OPTIONS] [FILE]

The first line of FILE has the names of its fields, and each other line has one record, with a comma
between two fields. The first field is the name of the record. Without FILE it is
samples/weather/seattle.csv.

Options:
  --field NAME    the field with the numbers; by default the second one
  --window N      the records with which each record is compared; by default 30
  --items N       repeat the records of FILE until there are so many
  --workers N     the workers of the pool; by default one for each core
  -v, --verbose   tell on standard error what happens to the workers, and each second how fast they
                  are
  -h, --help      print this text

The exit code is 0 if everything was computed, 1 if the file cannot be read or processed, and 2 if
the arguments are wrong.
";

/// No call of this program takes longer, unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// The parts whose statistics are computed side by side.
const PARTS: usize = 100;

/// The records between two looks at the deadline and the cancellation.
const STRIDE: usize = 10_000;

/// The contract of the workers.
#[contract(version = 1)]
trait DataProcessor {
    /// Computes the statistics of some records.
    #[work(cpu)]
    async fn process(
        &self,
        cx: &Context,
        data: Arc<Dataset>,
        records: Range<usize>,
    ) -> Result<Statistics, DataError>;

    /// Computes the statistics of batches of records, one batch after the other.
    async fn batches(
        &self,
        cx: &Context,
        data: Arc<Dataset>,
        size: usize,
    ) -> Result<impl Stream<Item = Result<Batch, DataError>>, DataError>;

    /// Reads the lines of a file and returns its records. `field` is the field with the numbers.
    async fn ingest(
        &self,
        cx: &Context,
        field: Option<String>,
        lines: Inbound<String>,
    ) -> Result<Dataset, DataError>;

    /// Compares each value with the `window` values before it.
    async fn analyze(
        &self,
        cx: &Context,
        window: usize,
        values: Inbound<f64>,
    ) -> Result<impl Stream<Item = Result<Analysis, DataError>>, DataError>;
}

/// A second contract of the same workers.
#[contract]
trait Charts {
    /// Draws values, one character for each.
    async fn sparkline(&self, cx: &Context, values: Vec<f64>) -> Result<String, Infallible>;
}

/// The records of a file. Callers share it with the workers, so no call copies it.
#[derive(Debug, Default)]
struct Dataset {
    /// The name of the field with the numbers.
    field: String,
    names: Vec<String>,
    values: Vec<f64>,
    /// Records without a number.
    missing: usize,
}

/// The statistics of some records.
#[derive(Debug, Clone, Copy)]
struct Statistics {
    count: usize,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
    min: f64,
    max: f64,
}

/// The statistics of consecutive records.
#[derive(Debug)]
struct Batch {
    records: Range<usize>,
    statistics: Statistics,
}

/// A value, compared with those before it.
#[derive(Debug)]
struct Analysis {
    /// The mean of the values before it.
    mean: f64,
    /// The distance from the mean, in standard deviations; zero if there are too few values.
    score: f64,
}

/// Why records cannot be processed.
#[derive(Debug)]
enum DataError {
    /// There is no field of this name; without a name, there is only one field.
    NoField(Option<String>),
    /// A record is too short or has no number where it should.
    Record { line: usize, problem: String },
    /// There are no numbers.
    Empty,
    /// The caller did not send all of its items.
    Incomplete(Aborted),
    /// The call was cancelled.
    Cancelled(Cancelled),
}

/// A worker's state. It has none, since each request brings its data.
struct Processor;

impl DataProcessor for Processor {
    async fn process(
        &self,
        cx: &Context,
        data: Arc<Dataset>,
        records: Range<usize>,
    ) -> Result<Statistics, DataError> {
        Statistics::compute(cx, &data.values[records]).await
    }

    async fn batches(
        &self,
        cx: &Context,
        data: Arc<Dataset>,
        size: usize,
    ) -> Result<impl Stream<Item = Result<Batch, DataError>>, DataError> {
        // A batch is computed when its reader wants one more. The stream may borrow `cx`.
        Ok(
            stream::iter(ranges(data.values.len(), size)).then(move |records| {
                let data = Arc::clone(&data);
                async move {
                    let statistics = Statistics::compute(cx, &data.values[records.clone()]).await?;
                    Ok(Batch {
                        records,
                        statistics,
                    })
                }
            }),
        )
    }

    async fn ingest(
        &self,
        _cx: &Context,
        field: Option<String>,
        mut lines: Inbound<String>,
    ) -> Result<Dataset, DataError> {
        let header = lines.next().await.ok_or(DataError::Empty)??;
        let mut data = Dataset::default();
        let column = data.read_header(&header, field)?;
        for number in 2.. {
            let Some(line) = lines.next().await else {
                break;
            };
            // A record that is wrong ends the call before all lines were sent. The caller learns
            // with its next line that no more are read.
            data.read_record(column, number, &line?)?;
        }
        Ok(data)
    }

    async fn analyze(
        &self,
        _cx: &Context,
        window: usize,
        values: Inbound<f64>,
    ) -> Result<impl Stream<Item = Result<Analysis, DataError>>, DataError> {
        let mut before = VecDeque::new();
        // Each value is answered as it comes.
        Ok(values.map(move |value| {
            let value = value?;
            let analysis = Analysis::compute(window, &before, value);
            if before.len() == window {
                before.pop_front();
            }
            before.push_back(value);
            Ok(analysis)
        }))
    }
}

struct Artist;

impl Charts for Artist {
    async fn sparkline(&self, _cx: &Context, values: Vec<f64>) -> Result<String, Infallible> {
        const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let (min, max) = extremes(&values);
        let bar = |value: &f64| {
            let share = if max > min {
                (value - min) / (max - min)
            } else {
                0.0
            };
            BARS[(share * 7.0).round() as usize]
        };
        Ok(values.iter().map(bar).collect())
    }
}

impl Dataset {
    /// Returns the index of the field with the numbers.
    fn read_header(&mut self, line: &str, field: Option<String>) -> Result<usize, DataError> {
        let mut fields = line.split(',').map(str::trim).enumerate().skip(1);
        let found = match &field {
            Some(field) => fields.find(|(_, name)| name == field),
            None => fields.next(),
        };
        let (column, name) = found.ok_or(DataError::NoField(field))?;
        name.clone_into(&mut self.field);
        Ok(column)
    }

    fn read_record(&mut self, column: usize, line: usize, text: &str) -> Result<(), DataError> {
        let mut fields = text.split(',').map(str::trim);
        let name = fields.next().unwrap_or_default();
        let record = |problem| DataError::Record { line, problem };
        let number = fields.nth(column - 1);
        let number = number.ok_or_else(|| record("it has too few fields".to_owned()))?;
        if number.is_empty() {
            self.missing += 1;
            return Ok(());
        }
        let value = number.parse().ok().filter(|value: &f64| value.is_finite());
        let value = value.ok_or_else(|| record(format!("`{number}` is no number")))?;
        self.names.push(name.to_owned());
        self.values.push(value);
        Ok(())
    }

    /// Repeats the records until there are so many.
    fn repeat(&mut self, items: usize) {
        let records = self.values.len();
        for index in records..items {
            self.values.push(self.values[index - records]);
            let name = self.names[index - records].clone();
            self.names.push(name);
        }
    }

    /// Describes consecutive records.
    fn names(&self, records: &Range<usize>) -> String {
        let name = |index: usize| self.names.get(index).map_or("", String::as_str);
        format!("{} to {}", name(records.start), name(records.end - 1))
    }
}

impl Statistics {
    /// By the method of Welford (1962), which loses little precision in long series.
    async fn compute(cx: &Context, values: &[f64]) -> Result<Self, DataError> {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for some in values.chunks(STRIDE) {
            // Ends here if nothing needs the answer any more.
            cx.checkpoint().await?;
            for value in some {
                count += 1.0;
                let distance = value - mean;
                mean += distance / count;
                squares += distance * (value - mean);
            }
        }
        let (count, (min, max)) = (values.len(), extremes(values));
        Ok(Self {
            count,
            mean,
            squares,
            min,
            max,
        })
    }

    /// The statistics of the records of both, by the formula of Chan, Golub and LeVeque (1979).
    fn merge(self, other: Self) -> Self {
        let (own, others) = (self.count as f64, other.count as f64);
        let distance = other.mean - self.mean;
        Self {
            count: self.count + other.count,
            mean: self.mean + distance * others / (own + others),
            squares: self.squares
                + other.squares
                + distance * distance * own * others / (own + others),
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    fn deviation(&self) -> f64 {
        (self.squares / (self.count as f64 - 1.0).max(1.0)).sqrt()
    }
}

impl Analysis {
    fn compute(window: usize, before: &VecDeque<f64>, value: f64) -> Self {
        let count = before.len() as f64;
        let mean = before.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = before.iter().map(|it| (it - mean) * (it - mean)).sum();
        let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
        let is_comparable = before.len() == window && deviation > 0.0;
        let score = if is_comparable {
            (value - mean) / deviation
        } else {
            0.0
        };
        Self { mean, score }
    }
}

/// Splits so many records into parts of `size`.
fn ranges(records: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..records)
        .step_by(size)
        .map(move |start| start..records.min(start + size))
}

fn extremes(values: &[f64]) -> (f64, f64) {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    (
        min,
        values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    )
}

/// The arguments of the program.
#[derive(Debug)]
struct Options {
    file: PathBuf,
    field: Option<String>,
    window: usize,
    items: Option<usize>,
    workers: Option<usize>,
    output: Output,
}

/// What is told beside the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Output {
    Result,
    Verbose,
}

/// Why the program ends without a result, and its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: u8,
    pub(crate) text: String,
}

impl Options {
    /// Returns `None` if the help is wanted.
    fn parse(arguments: Vec<OsString>) -> Result<Option<Self>, Failure> {
        let mut options = Self {
            file: PathBuf::from("samples/weather/seattle.csv"),
            field: None,
            window: 30,
            items: None,
            workers: None,
            output: Output::Result,
        };
        let mut arguments = arguments.into_iter();
        let (mut files, usage) = (0, Failure::usage);
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy().into_owned();
            let mut value = || {
                let value = arguments.next().map(|it| it.to_string_lossy().into_owned());
                value.ok_or_else(|| usage(format!("{text} needs a value")))
            };
            match text.as_str() {
                "-h" | "--help" => return Ok(None),
                "--field" => options.field = Some(value()?),
                "--window" => options.window = number(&text, &value()?, 2)?,
                "--items" => options.items = Some(number(&text, &value()?, 1)?),
                "-v" | "--verbose" => options.output = Output::Verbose,
                "--workers" => options.workers = Some(number(&text, &value()?, 1)?),
                _ if text.starts_with('-') => return Err(usage(format!("unknown option {text}"))),
                _ if files == 1 => return Err(usage("only one file can be processed".to_owned())),
                _ => {
                    files += 1;
                    options.file = argument.into();
                }
            }
        }
        Ok(Some(options))
    }
}

fn number(option: &str, text: &str, least: usize) -> Result<usize, Failure> {
    let number = text.parse().ok().filter(|number| *number >= least);
    number.ok_or_else(|| {
        Failure::usage(format!(
            "{option} needs a whole number from {least} on, not `{text}`"
        ))
    })
}

/// Runs the program with these arguments.
///
/// # Errors
/// See [`HELP`].
pub(crate) async fn run(
    arguments: Vec<OsString>,
    out: &mut (impl Write + Send),
) -> Result<(), Failure> {
    let Some(options) = Options::parse(arguments)? else {
        return Ok(write!(out, "{HELP}")?);
    };
    let mut builder = WorkerPool::builder()
        .name("data")
        .service::<DataProcessorResponder<_>>(|_cx| async { Ok(Processor) })
        .service::<ChartsResponder<_>>(|_cx| async { Ok(Artist) });
    if let Some(workers) = options.workers {
        builder = builder.workers(workers);
    }
    if options.output == Output::Verbose {
        // These are called on the threads on which it happens.
        builder = builder
            .observe(|event: &WorkerEvent| tell(format_args!("{event}")))
            .report_every(Duration::from_secs(1), |report: &PerformanceReport| {
                let recent = &report.recent;
                tell(format_args!(
                    "{:.0} calls in a second, {:?} each, {} queued",
                    recent.operations_per_second, recent.average_latency, report.queued
                ));
            });
    }
    let pool = builder.build().await?;
    let result = report(&options, &pool.caller(), &pool.caller(), out).await;
    let ended = pool
        .shut_down(Shutdown::graceful(Duration::from_secs(5)))
        .await;
    let stats = pool.stats();
    if result.is_ok() {
        let [calls, lost] = [stats.submitted, ended.lost];
        writeln!(
            out,
            "{calls} calls, {} answered, {lost} lost",
            stats.answered
        )?;
    }
    result
}

/// Prints a line about the pool.
fn tell(line: fmt::Arguments<'_>) {
    // It cannot be reported anywhere if standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Computes and prints everything.
async fn report(
    options: &Options,
    processor: &DataProcessorCaller,
    charts: &ChartsCaller,
    out: &mut (impl Write + Send),
) -> Result<(), Failure> {
    let mut data = ingest(options, processor).await?;
    data.repeat(options.items.unwrap_or(0));
    let data = Arc::new(data);
    let records = data.values.len();
    writeln!(
        out,
        "{}: {records} records, {} without a number",
        data.field, data.missing
    )?;

    // One unary call for each part, so that several workers compute at once.
    let parts = ranges(records, records.div_ceil(PARTS));
    let mut parts = map(parts, |part| {
        processor
            .process(Arc::clone(&data), part)
            .deadline(DEADLINE)
    });
    let mut whole: Option<Statistics> = None;
    while let Some(part) = parts.next().await {
        let part = part?;
        whole = Some(whole.map_or(part, |whole| whole.merge(part)));
    }
    if let Some(all) = whole {
        let Statistics { mean, min, max, .. } = all;
        let deviation = all.deviation();
        write!(out, "mean {mean:.2}, from {min:.2} to {max:.2}, ")?;
        writeln!(out, "standard deviation {deviation:.2}")?;
    }

    // A stream of answers to one request.
    let size = records.div_ceil(16);
    let mut batches = processor
        .batches(Arc::clone(&data), size)
        .deadline(DEADLINE)
        .await?;
    let mut means = Vec::new();
    while let Some(batch) = batches.next().await {
        let Batch {
            records,
            statistics,
        } = batch?;
        let Statistics { mean, min, max, .. } = statistics;
        writeln!(
            out,
            "{}: mean {mean:.2}, from {min:.2} to {max:.2}",
            data.names(&records)
        )?;
        means.push(mean);
    }
    let chart = charts.sparkline(means).deadline(DEADLINE).await;
    writeln!(
        out,
        "{}",
        chart.map_err(|error| Failure::new(error.to_string()))?
    )?;

    for (index, Analysis { mean, score }) in outliers(options.window, processor, &data).await? {
        let (name, value) = (&data.names[index], data.values[index]);
        writeln!(
            out,
            "{name}: {value:.2} is unusual after a mean of {mean:.2} ({score:+.1} σ)"
        )?;
    }
    Ok(())
}

/// Sends the lines of the file to a worker, which returns the records.
async fn ingest(options: &Options, processor: &DataProcessorCaller) -> Result<Dataset, Failure> {
    let unreadable =
        |error: io::Error| Failure::new(format!("{}: {error}", options.file.display()));
    let file = File::open(&options.file).map_err(unreadable)?;
    let call = processor.ingest(options.field.clone()).deadline(DEADLINE);
    let (mut sender, call) = call.open();
    // A read may block. Only this isolate waits then.
    for line in BufReader::new(file).lines() {
        match line {
            // Waits while the worker has lines to read. Fails if it has answered already.
            Ok(line) => {
                if sender.send(line).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                // Not `finish`: a part of the file must not look like all of it.
                sender.abort("the file cannot be read");
                return Err(unreadable(error));
            }
        }
    }
    sender.finish();
    let data = call.await?;
    if data.values.is_empty() {
        Err(DataError::Empty.into())
    } else {
        Ok(data)
    }
}

/// Sends values to a worker and reads its answers at the same time. Returns the values that are
/// more than four standard deviations away from those before them.
async fn outliers(
    window: usize,
    processor: &DataProcessorCaller,
    data: &Dataset,
) -> Result<Vec<(usize, Analysis)>, Failure> {
    let (sender, call) = processor.analyze(window).deadline(DEADLINE).open();
    let sending = send_all(sender, &data.values);
    let reading = async {
        let mut answers = call.await?.enumerate();
        let mut found = Vec::new();
        while let Some((index, answer)) = answers.next().await {
            let analysis = answer?;
            if analysis.score.abs() > 4.0 {
                found.push((index, analysis));
            }
        }
        Ok(found)
    };
    future::join(sending, reading).await.1
}

async fn send_all(mut sender: Sender<f64>, values: &[f64]) {
    for value in values {
        // If the call has ended, its reader learns why.
        if sender.send(*value).await.is_err() {
            return;
        }
    }
    sender.finish();
}

#[insula::main]
async fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect();
    match run(arguments, &mut io::stdout()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, text }) => {
            // It cannot be reported anywhere if standard error is closed.
            let _ = writeln!(io::stderr(), "data_processor: {text}");
            code.into()
        }
    }
}

impl Failure {
    fn new(text: String) -> Self {
        Self { code: 1, text }
    }

    fn usage(text: String) -> Self {
        let text = format!("{text}; see --help");
        Self { code: 2, text }
    }
}

impl<Q> From<CallError<DataError, Q>> for Failure {
    fn from(error: CallError<DataError, Q>) -> Self {
        // An error of the service speaks for itself. Others say whether the work may have run.
        match error {
            CallError::App(error) => error.into(),
            other => Self::new(format!("{other} ({})", other.outcome())),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("cannot print the result: {error}"))
    }
}

impl From<Aborted> for DataError {
    fn from(error: Aborted) -> Self {
        Self::Incomplete(error)
    }
}

impl From<Cancelled> for DataError {
    fn from(error: Cancelled) -> Self {
        Self::Cancelled(error)
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoField(Some(name)) => write!(f, "there is no field `{name}` with numbers"),
            Self::NoField(None) => f.write_str("the first line has only one field"),
            Self::Record { line, problem } => write!(f, "line {line}: {problem}"),
            Self::Empty => f.write_str("there are no records"),
            Self::Incomplete(error) => error.fmt(f),
            Self::Cancelled(error) => error.fmt(f),
        }
    }
}

impl Error for DataError {}
