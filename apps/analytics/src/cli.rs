//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use analytics::{PointFormat, RealtimeConfig, TrendAnalysis};
use clap::{Args, Parser, Subcommand, ValueEnum};
use command::{EXIT_STATUS, InspectRunOptions, KindOptions, NodeOptions, WorkerOptions};

/// Statistics, time series and machine learning over tables of numbers.
#[derive(Debug, Parser)]
#[command(name = "analytics", version, after_help = EXIT_STATUS)]
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
    /// Analyze a table and write one HTML page with plots, and the same as JSON
    Report(Report),
    /// Compare points with those of the last minutes as they come, and print what is unusual. The one
    /// worker keeps the points of the window: if it is killed, the stream ends with an error
    Stream(Stream),
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    /// A CSV file with names in its first row
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The page, whose name does not end in .json: its figures are written beside it with that ending
    /// [default: the file's name with .html, in the current folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,

    /// The separator
    #[arg(long, value_name = "CHARACTER", default_value = ",", value_parser = delimiter)]
    pub(crate) delimiter: u8,

    /// The column with dates, or seconds since 1970, by which the rows are sorted [default: the first
    /// one if it has dates]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) time: Option<String>,

    /// The column that is predicted from the others [default: the last one with numbers]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) target: Option<String>,

    /// The rows of a season [default: the strongest period of each column]
    #[arg(long, value_name = "ROWS", value_parser = at_least_two)]
    pub(crate) period: Option<usize>,

    /// The share of the rows with which the models are tested
    #[arg(long, value_name = "SHARE", default_value_t = 0.25, value_parser = share)]
    pub(crate) test: f64,

    /// The trees of the forest
    #[arg(long, value_name = "TREES", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) trees: u16,

    /// The most clusters that are looked for
    #[arg(long, value_name = "CLUSTERS", default_value_t = 6, value_parser = at_least_two)]
    pub(crate) clusters: usize,

    /// A number that determines the rows of the test, the trees and the clusters
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,

    #[command(flatten)]
    pub(crate) workers: WorkerOptions,

    /// Print the figures as JSON
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,

    /// No progress and no table
    #[arg(long)]
    pub(crate) quiet: bool,
}

// Without `--workers` and `--compare`: all points go through one call, whose worker compares each with
// those before it, and they come at the pace of their source, which is no measure of a worker.
#[derive(Debug, Args)]
pub(crate) struct Stream {
    /// The time before a point with which it is compared: a number with s, m, h or d. A point further
    /// than that from the one before it is left out, unless the next one is there too
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    window: Duration,

    /// The distance from the mean, in standard deviations, from which on a point is unusual,
    /// or "none"
    #[arg(long, value_name = "DEVIATIONS", default_value = "4", value_parser = threshold)]
    threshold: Threshold,

    /// The time between two lines about the trend, by the points' own clock, or "none" [default: the
    /// window]
    #[arg(long, value_name = "TIME", value_parser = every)]
    trend: Option<Every>,

    /// The field with the time: a date, or seconds [default: the first one, or "time" of JSON]
    #[arg(long, value_name = "FIELD")]
    time: Option<String>,

    /// The field with the value [default: the second one, or "value" of JSON]
    #[arg(long, value_name = "FIELD")]
    value: Option<String>,

    /// How points are written: CSV, or a JSON object in each line
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,

    /// Read from a socket at this address, such as 127.0.0.1:9000, and not from standard input
    #[arg(long, value_name = "ADDRESS", conflicts_with = "listen")]
    pub(crate) connect: Option<SocketAddr>,

    /// Wait for one connection to this address, and read from it
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,

    #[command(flatten)]
    pub(crate) kind: KindOptions,

    /// Print lines of JSON
    #[arg(long, conflicts_with = "quiet")]
    pub(crate) json: bool,

    /// No table at the end
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Csv,
    Jsonl,
}

#[derive(Clone, Copy, Debug)]
enum Threshold {
    None,
    At(f64),
}

#[derive(Clone, Copy, Debug)]
enum Every {
    Never,
    Time(Duration),
}

impl Stream {
    pub(crate) fn config(&self) -> RealtimeConfig {
        RealtimeConfig {
            window: self.window,
            threshold: match self.threshold {
                Threshold::None => None,
                Threshold::At(deviations) => Some(deviations),
            },
            trend: match self.trend {
                Some(Every::Never) => TrendAnalysis::Off,
                _ => TrendAnalysis::On,
            },
        }
    }

    /// Returns the time between two lines about the trend.
    pub(crate) fn trend_every(&self) -> Duration {
        match self.trend {
            Some(Every::Time(time)) => time,
            _ => self.window,
        }
    }

    pub(crate) fn format(&self) -> PointFormat {
        let (time, value) = (self.time.clone(), self.value.clone());
        match self.format {
            Format::Jsonl => PointFormat::JsonLines {
                time: time.unwrap_or_else(|| "time".to_owned()),
                value: value.unwrap_or_else(|| "value".to_owned()),
            },
            Format::Csv => PointFormat::Csv { time, value },
        }
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

fn at_least_two(text: &str) -> Result<usize, String> {
    match text.parse::<usize>() {
        Ok(number) if number > 1 => Ok(number),
        _ => Err("expected a number of at least 2".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=0.9).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 0.9".to_owned()),
    }
}

fn threshold(text: &str) -> Result<Threshold, String> {
    match (text, text.parse::<f64>()) {
        ("none", _) => Ok(Threshold::None),
        (_, Ok(number)) if number > 0.0 && number.is_finite() => Ok(Threshold::At(number)),
        _ => Err("expected a number above 0, or none".to_owned()),
    }
}

fn every(text: &str) -> Result<Every, String> {
    match text {
        "none" => Ok(Every::Never),
        text => duration(text).map(Every::Time),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a number above 0 with s, m, h or d, such as 5m".to_owned();
    let unit = text.chars().next_back().ok_or_else(expected)?;
    let seconds = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3_600.0,
        'd' => 86_400.0,
        _ => return Err(expected()),
    };
    let number = text
        .strip_suffix(unit)
        .and_then(|number| number.parse::<f64>().ok());
    let seconds = number
        .filter(|it| *it > 0.0)
        .map(|it| it * seconds)
        .ok_or_else(expected)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| expected())
}
