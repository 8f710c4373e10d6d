//! The command line.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand};
use command::{EXIT_STATUS, InspectRunOptions, KindOptions, NodeOptions, WorkerOptions};
use data::{BatchRequest, Format, Operation, Step, Wanted};

/// Processes tables of measurements in CSV, JSON lines and Parquet.
#[derive(Debug, Parser)]
#[command(name = "data", version, after_help = EXIT_STATUS)]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) program: Program,

    #[command(flatten)]
    pub(crate) inspect: InspectRunOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Program {
    #[command(flatten)]
    Run(Command),
    /// Serve runs on other machines, which ask for --kind nats, until it is told to stop
    Worker(NodeOptions),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply steps to a number of each record, in chunks on all workers
    Process(Process),
    /// Compute a named operation over numbers, or over a field of a file that all workers read
    Compute(Compute),
    /// Process records in batches, each as soon as it is wanted, with one worker
    Batches(Batches),
    /// Read a table as it comes with one worker, for example from standard input, and write it in
    /// another format
    Ingest(Ingest),
    /// Write a table of made-up measurements, to try the program with
    Generate(Generate),
}

/// A table and its fields.
#[derive(Debug, Args)]
pub(crate) struct Input {
    /// A .csv, .tsv, .jsonl, .ndjson or .parquet file, or "-" for standard input
    #[arg(value_name = "FILE")]
    pub(crate) path: PathBuf,

    #[command(flatten)]
    pub(crate) fields: Fields,
}

#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// The format, if the file's name does not tell; of standard input it is CSV without this
    #[arg(long)]
    format: Option<Format>,

    /// The separator of CSV
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,

    /// The field that names a record [default: the first one]
    #[arg(long, value_name = "FIELD")]
    id: Option<String>,

    /// The field with the numbers [default: the first other one that mostly has numbers in the
    /// first 100 records]
    #[arg(long, value_name = "FIELD")]
    value: Option<String>,
}

impl Fields {
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            id: self.id.clone(),
            value: self.value.clone(),
        }
    }

    /// Returns the format of an input.
    pub(crate) fn format(&self, path: &Path) -> Result<Format, String> {
        let of_name = match is_stdin(path) {
            true => Some(Format::CSV),
            false => Format::of_path(path),
        };
        match (self.format.or(of_name), self.delimiter) {
            (Some(Format::Csv { .. }), Some(delimiter)) => Ok(Format::Csv { delimiter }),
            (Some(format), _) => Ok(format),
            (None, _) => Err(format!(
                "{}: its name does not tell its format; use --format csv, tsv, jsonl or parquet",
                path.display()
            )),
        }
    }
}

pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// Where results go.
#[derive(Debug, Args)]
pub(crate) struct Out {
    /// The file for the results, whose name tells its format
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// Print the figures as JSON
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,

    /// No progress and no table
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// What is printed at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    Table,
    Json,
    Nothing,
}

impl Out {
    pub(crate) fn show(&self) -> Show {
        match self {
            Self { json: true, .. } => Show::Json,
            Self { quiet: true, .. } => Show::Nothing,
            _ => Show::Table,
        }
    }
}

/// Returns the format of a file of results.
pub(crate) fn format_of(path: &Path) -> Result<Format, String> {
    Format::of_path(path).ok_or_else(|| {
        format!(
            "{}: results can be written as .csv, .tsv, .jsonl, .ndjson or .parquet",
            path.display()
        )
    })
}

/// The chunks of a text, unless the user wants another number.
pub(crate) const CHUNKS: usize = 100;

#[derive(Debug, Args)]
pub(crate) struct Process {
    #[command(flatten)]
    pub(crate) input: Input,

    /// A step: scale:FACTOR, offset:TERM, power:EXPONENT, log, exp, sqrt, abs, round:PLACES or
    /// clamp:LOW:HIGH; may be given several times, and steps run in their order
    #[arg(long = "step", value_name = "STEP", allow_hyphen_values = true)]
    pub(crate) steps: Vec<Step>,

    /// The chunks of a text, of which 100 are in the pool at once; of at most 1 MiB, so that a large
    /// file has more. Those of Parquet are its row groups
    #[arg(long, default_value_t = CHUNKS, value_parser = at_least_one)]
    pub(crate) chunks: usize,

    #[command(flatten)]
    pub(crate) out: Out,

    #[command(flatten)]
    pub(crate) workers: WorkerOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Compute {
    /// sum, product, mean, median, variance, deviation, min, max, range, norm, geometric-mean,
    /// harmonic-mean, percentile:PERCENT or autocorrelation:LAG
    #[arg(value_name = "OPERATION")]
    pub(crate) operation: Operation,

    /// The numbers
    #[arg(
        value_name = "NUMBER",
        allow_negative_numbers = true,
        required_unless_present = "file"
    )]
    pub(crate) numbers: Vec<f64>,

    /// A table whose numbers are used
    #[arg(long, value_name = "FILE", conflicts_with = "numbers")]
    pub(crate) file: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) fields: Fields,

    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) workers: WorkerOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Batches {
    #[command(flatten)]
    pub(crate) input: Input,

    /// A step, as of `process`
    #[arg(long = "step", value_name = "STEP", allow_hyphen_values = true)]
    pub(crate) steps: Vec<Step>,

    /// Records per batch
    #[arg(
        long,
        value_name = "RECORDS",
        default_value_t = BatchRequest::SIZE,
        value_parser = at_least_one
    )]
    pub(crate) batch: usize,

    /// Print each batch as a line of JSON
    #[arg(long)]
    pub(crate) json: bool,

    // There is one worker, which gets the table as one stream: so there is no --workers and no
    // --compare.
    #[command(flatten)]
    pub(crate) worker: KindOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Ingest {
    #[command(flatten)]
    pub(crate) input: Input,

    #[command(flatten)]
    pub(crate) out: Out,

    // There is one worker, which gets the table as one stream: so there is no --workers and no
    // --compare.
    #[command(flatten)]
    pub(crate) worker: KindOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Generate {
    /// The file, whose name tells its format
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,

    /// Its records, one for each second
    #[arg(long, default_value_t = 10_000)]
    pub(crate) items: u64,

    /// A number that determines the noise
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("expected a number of at least 1".to_owned()),
    }
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        // A quote or a line break already has a meaning.
        [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => Ok(*byte),
        _ => Err("expected one ASCII character, or \\t".to_owned()),
    }
}
