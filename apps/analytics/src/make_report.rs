//! `analytics report`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use analytics::{Part, Report, Settings, Table, TableError, analyze, calls, page, start_pool_of};
use command::{Outcome, Progress, speed_up, write_atomically};
use insula::Isolate;
use insula::runtime::blocking;

use crate::{NAME, cli, print};

/// Makes the report that `options` ask for.
///
/// # Errors
/// Returns a message for the user if there is no report.
pub(crate) async fn run(options: &cli::Report) -> Result<Outcome, String> {
    let outputs = Outputs::of(options)?;
    let table = Arc::new(read(options).await?);
    let settings = settings(options, &table)?;
    let mut alone = None;
    if options.workers.compare {
        let report = report(options, &table, &settings, 1, "one worker: ").await?;
        alone = Some(report.processing.seconds);
    }
    let workers = options.workers.workers();
    let mut report = report(options, &table, &settings, workers, "").await?;
    let processing = &mut report.processing;
    processing.speed_up = alone.map(|alone| {
        let [alone, together] = [alone, processing.seconds].map(std::time::Duration::from_secs_f64);
        speed_up(alone, together)
    });
    let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
    let title = options
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    write(&outputs.figures, json.as_bytes())?;
    write(&outputs.page, page(&title, &report, &table).as_bytes())?;
    match (options.json, options.quiet) {
        (true, _) => print(json),
        (_, true) => {}
        _ => print(summary(&report, &outputs).to_string().trim_end()),
    }
    Ok(report_bad(&options.file, &table))
}

/// The files that are written.
struct Outputs {
    page: PathBuf,
    /// Beside the page.
    figures: PathBuf,
}

impl Outputs {
    /// # Errors
    /// Returns a message if one file would be written over the other one, or over the table.
    fn of(options: &cli::Report) -> Result<Self, String> {
        let page = match &options.out {
            Some(out) => out.clone(),
            None => default_page(&options.file),
        };
        let shown = page.display();
        if page.file_name().is_none() || page.is_dir() {
            return Err(format!(
                "{shown}: a folder; --out needs the name of the page"
            ));
        }
        // Some file systems do not tell capitals.
        if page
            .extension()
            .is_some_and(|it| it.eq_ignore_ascii_case("json"))
        {
            return Err(format!(
                "{shown}: the figures are written to the page's name with .json; give --out a name with \
                 .html"
            ));
        }
        let figures = page.with_extension("json");
        for file in [&page, &figures] {
            if is_same(file, &options.file) {
                return Err(format!(
                    "{}: the report would be written over the table; give another name with --out",
                    file.display()
                ));
            }
        }
        Ok(Self { page, figures })
    }
}

/// Returns the name of the table with another extension. A name that has none is not that of a file.
fn default_page(file: &Path) -> PathBuf {
    let page = file.with_extension("html");
    PathBuf::from(page.file_name().unwrap_or("report.html".as_ref()))
}

/// Returns whether two names are those of the same file, if there is one.
fn is_same(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), String> {
    let written = write_atomically(path, content);
    written.map_err(|error| format!("{}: cannot write: {error}", path.display()))
}

/// Reads the table in an isolate, so that a request to stop is seen meanwhile.
async fn read(options: &cli::Report) -> Result<Table, String> {
    let (path, delimiter, time) = (
        options.file.clone(),
        options.delimiter,
        options.time.clone(),
    );
    let read = move || {
        let file = File::open(path).map_err(csv::Error::from)?;
        Table::read(file, delimiter, time.as_deref())
    };
    let table = Isolate::run(move || blocking(read)).await;
    let table: Result<Table, TableError> = table.map_err(|error| error.to_string())?;
    table.map_err(|error| format!("{}: {error}", options.file.display()))
}

fn settings(options: &cli::Report, table: &Table) -> Result<Settings, String> {
    let target = match &options.target {
        Some(name) => table
            .column(name)
            .map_err(|error| format!("{}: {error}", options.file.display()))?,
        None => table.columns.len() - 1,
    };
    Ok(Settings {
        target,
        period: options.period,
        test_share: options.test,
        trees: options.trees,
        clusters: options.clusters,
        seed: options.seed,
    })
}

async fn report(
    options: &cli::Report,
    table: &Arc<Table>,
    settings: &Settings,
    workers: usize,
    title: &'static str,
) -> Result<Report, String> {
    let started = start_pool_of(&options.workers.kind, workers)
        .await
        .map_err(|error| error.to_string())?;
    let progress = match options.quiet {
        true => Progress::hidden(NAME),
        false => Progress::new(NAME, calls(table, settings), "parts", title),
    };
    let report = analyze(&started.pool, table, settings, &|| progress.add(1)).await;
    progress.end();
    started.end().await;
    report.map_err(|error| error.to_string())
}

fn summary(report: &Report, outputs: &Outputs) -> command::Table {
    let mut table = command::Table::new();
    let columns = report.columns.len();
    table.row(
        "table",
        format_args!("{} rows, {columns} columns with numbers", report.rows),
    );
    if let Some(spacing) = report.spacing.as_ref().filter(|it| !it.is_even()) {
        table.row("times", spacing);
    }
    if let Some(learning) = report.learning.get() {
        let r2 = |scores: Option<f64>| scores.map_or("-".to_owned(), |it| format!("{it:.3}"));
        let linear = learning.linear.get().and_then(|it| it.test);
        let forest = learning.forest.get().and_then(|it| it.test);
        let (linear, forest) = (r2(linear.map(|it| it.r2)), r2(forest.map(|it| it.r2)));
        let target = &learning.target;
        table.row(
            "predictions",
            format_args!("{target}: R² {linear} by regression, {forest} by the forest"),
        );
    }
    let linear = report.learning.get().and_then(|it| it.linear.get());
    if let Some(linear) = linear.filter(|it| !it.left_out.is_empty()) {
        let names = linear.left_out.join(", ");
        table.row(
            "left out",
            format_args!("{names}, which other columns determine, or which do not vary"),
        );
    }
    if let Part::Unknown { reason } = &report.learning {
        table.row("predictions", reason);
    }
    let processing = &report.processing;
    table.time(std::time::Duration::from_secs_f64(processing.seconds));
    table.speed_up(processing.speed_up);
    for (worker, calls) in processing.calls_of_workers.iter().enumerate() {
        table.row(format!("worker {worker}"), format_args!("{calls} calls"));
    }
    table.row("bytes copied", command::bytes(processing.bytes_copied));
    table.row("page", outputs.page.display());
    table.row("figures", outputs.figures.display());
    table
}

/// Names the first fields that are no numbers, and counts the others.
fn report_bad(path: &Path, table: &Table) -> Outcome {
    let (path, progress) = (path.display(), Progress::hidden(NAME));
    for bad in &table.bad {
        progress.report(&format_args!("{path}:{bad}"));
    }
    let more = table.bad_fields - table.bad.len();
    if more > 0 {
        progress.report(&format_args!(
            "{path}: {more} more fields are not numbers; they count as missing"
        ));
    }
    match table.bad.is_empty() {
        true => Outcome::Done,
        false => Outcome::SomeFailed,
    }
}
