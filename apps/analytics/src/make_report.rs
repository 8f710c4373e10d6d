//! `analytics report`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use analytics::{Part, Report, Settings, Table, TableError, analyze, page, start_pool_of};
use command::{Kind, Outcome, Progress, speed_up, write_atomically};
use insula::Isolate;
use insula::runtime::blocking;

use crate::{NAME, cli, print};

/// Makes the report that `options` ask for.
///
/// # Errors
/// Returns a message for the user if there is no report.
pub(crate) async fn run(options: &cli::Report) -> Result<Outcome, String> {
    let table = Arc::new(read(options).await?);
    let settings = settings(options, &table)?;
    let mut alone = None;
    if options.workers.compare {
        let report = report(&table, &settings, options.workers.kind, 1).await?;
        alone = Some(report.processing.seconds);
    }
    let workers = options.workers.workers();
    let mut report = report(&table, &settings, options.workers.kind, workers).await?;
    let processing = &mut report.processing;
    processing.speed_up = alone.map(|alone| {
        let [alone, together] = [alone, processing.seconds].map(std::time::Duration::from_secs_f64);
        speed_up(alone, together)
    });
    let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
    let out = options
        .out
        .clone()
        .unwrap_or_else(|| default_out(&options.file));
    let title = options
        .file
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    write(&out.with_extension("json"), json.as_bytes())?;
    write(&out, page(&title, &report, &table).as_bytes())?;
    match (options.json, options.quiet) {
        (true, _) => print(json),
        (_, true) => {}
        _ => print(summary(&report, &out).to_string().trim_end()),
    }
    Ok(report_bad(&options.file, &table))
}

fn default_out(file: &Path) -> PathBuf {
    let name = file.with_extension("html");
    name.file_name().map_or_else(|| name.clone(), PathBuf::from)
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
    table: &Arc<Table>,
    settings: &Settings,
    kind: Kind,
    workers: usize,
) -> Result<Report, String> {
    let pool = start_pool_of(kind, workers)
        .await
        .map_err(|error| error.to_string())?;
    let report = analyze(&pool, table, settings).await;
    report.map_err(|error| error.to_string())
}

fn summary(report: &Report, out: &Path) -> command::Table {
    let mut table = command::Table::new();
    let columns = report.columns.len();
    table.row(
        "table",
        format_args!("{} rows, {columns} columns with numbers", report.rows),
    );
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
    table.row("page", out.display());
    table.row("figures", out.with_extension("json").display());
    table
}

/// Names the fields that are no numbers.
fn report_bad(path: &Path, table: &Table) -> Outcome {
    for bad in &table.bad {
        Progress::hidden(NAME).report(&format_args!("{}:{bad}", path.display()));
    }
    match table.bad.is_empty() {
        true => Outcome::Done,
        false => Outcome::SomeFailed,
    }
}
