//! The subcommand `matrices`, from its options to its exit status.

mod report;

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use command::{Outcome, OutputFile, Progress, Stop, repeats, write_atomically};
use futures_util::stream::{self, StreamExt};
use insula::CallError;
use insula::pool::PoolStats;
use insula::rpc::retry;
use science::matrices::{
    MatricesCaller, Matrix, MatrixError, Operation, Solution, Task, read, start_matrix_pool_of,
    write_npy,
};

use crate::cli::MatricesOptions;
use crate::{reading, unless};
use report::{Report, spectrum};

/// Does a whole run as `options` ask.
///
/// # Errors
/// Returns a message for the user if the run could not start, or its results not be written.
pub(crate) async fn run(options: &MatricesOptions, stop: &mut Stop) -> Result<Outcome, String> {
    let copy = options.clone();
    let Some(jobs) = unless(stop, reading(move || jobs(&copy))).await else {
        return Ok(Outcome::Interrupted);
    };
    let Jobs { jobs, failed } = jobs?;
    let alone = match options.workers.compare {
        true => time_one_worker(&jobs, options, stop).await?,
        false => None,
    };
    if options.workers.compare && alone.is_none() {
        return Ok(Outcome::Interrupted);
    }
    let mut results = Results::new(options, &jobs, failed);
    let workers = options.workers.workers();
    let course = drive(&jobs, options, workers, stop, |index, result| {
        results.take(index, result)
    })
    .await?;
    let Results {
        solutions,
        failed,
        progress,
        ..
    } = results;
    progress.end();
    let Some(course) = course else {
        return Ok(Outcome::Interrupted);
    };
    let report = Report {
        rows: jobs
            .iter()
            .zip(&solutions)
            .filter_map(Report::row)
            .collect(),
        failed,
        elapsed: course.elapsed,
        pool: course.pool,
        speed_up: alone.map(|alone| {
            // Not below a nanosecond: the quotient would be infinite.
            alone.elapsed.as_secs_f64() / course.elapsed.as_secs_f64().max(1e-9)
        }),
    };
    show(options, &report)?;
    Ok(if failed == 0 {
        Outcome::Done
    } else {
        Outcome::SomeFailed
    })
}

/// Does the operations with one worker, to time it, and keeps no result.
async fn time_one_worker(
    jobs: &[Job],
    options: &MatricesOptions,
    stop: &mut Stop,
) -> Result<Option<Course>, String> {
    let progress = progress(options, jobs, "one worker: ");
    // Errors are reported by the run that counts.
    let course = drive(jobs, options, 1, stop, |_, _| {
        progress.add(1);
        Ok(())
    })
    .await;
    progress.end();
    course
}

/// Writes the plot, and prints the table or JSON.
fn show(options: &MatricesOptions, report: &Report<'_>) -> Result<(), String> {
    if let (Some(folder), Some(plot)) = (&options.out, spectrum(report)) {
        let png = plot.png().map_err(|error| error.to_string())?;
        write_atomically(&folder.join("singular-values.png"), &png)
            .map_err(|error| unwritten(folder, &error))?;
    }
    // If the reader of the output is gone, the table is not needed.
    let _ = match (options.json, options.quiet) {
        (true, _) => writeln!(io::stdout().lock(), "{:#}", report.json()),
        (false, true) => Ok(()),
        (false, false) => write!(io::stdout().lock(), "{report}"),
    };
    Ok(())
}

/// Keeps and writes the results, and shows the progress.
struct Results<'a> {
    options: &'a MatricesOptions,
    jobs: &'a [Job],
    /// By job.
    solutions: Vec<Option<Solution>>,
    failed: u64,
    progress: Progress,
}

impl<'a> Results<'a> {
    fn new(options: &'a MatricesOptions, jobs: &'a [Job], failed: u64) -> Self {
        Self {
            options,
            jobs,
            solutions: jobs.iter().map(|_| None).collect(),
            failed,
            progress: progress(options, jobs, ""),
        }
    }

    fn take(&mut self, index: usize, result: Result<Solution, String>) -> Result<(), String> {
        self.progress.add(1);
        let job = &self.jobs[index];
        match result {
            Ok(solution) => {
                write_result(self.options, job, &solution)?;
                self.solutions[index] = Some(solution);
            }
            Err(error) => {
                self.failed += 1;
                self.progress.report(&format_args!("{job}: {error}"));
            }
        }
        Ok(())
    }
}

/// The name in front of messages.
const NAME: &str = "science";

fn progress(options: &MatricesOptions, jobs: &[Job], title: &'static str) -> Progress {
    if options.quiet {
        return Progress::hidden(NAME);
    }
    Progress::new(NAME, jobs.len() as u64, "operations", title)
}

fn unwritten(folder: &Path, error: &io::Error) -> String {
    format!("{}: cannot write the results: {error}", folder.display())
}

/// An operation of the run.
struct Job {
    /// The name of the matrix, which no other matrix of the run has.
    name: String,
    task: Task,
}

impl std::fmt::Display for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.name, self.task.operation())
    }
}

/// The operations of the run, and the number of files that cannot be read.
struct Jobs {
    jobs: Vec<Job>,
    failed: u64,
}

/// Reads and makes the matrices, and lists the operations. Files that cannot be read are reported.
fn jobs(options: &MatricesOptions) -> Result<Jobs, String> {
    let by = match &options.by {
        Some(path) => Some(Arc::new(read(path).map_err(|error| error.to_string())?)),
        None => None,
    };
    let (mut matrices, mut failed) = (Vec::new(), 0);
    let mut names = HashSet::new();
    let mut add = |name: String, matrix: Matrix| {
        matrices.push((unique(&mut names, name), Arc::new(matrix)));
    };
    for path in &options.files {
        match read(path) {
            Ok(matrix) => {
                let name = path.file_stem().unwrap_or_default();
                add(name.to_string_lossy().into_owned(), matrix);
            }
            Err(error) => {
                failed += 1;
                Progress::hidden(NAME).report(&error);
            }
        }
    }
    for generate in &options.generate {
        add(generate.to_string(), generate.matrix(options.seed));
    }
    if matrices.is_empty() {
        return Err("there are no matrices: name files, or use --generate".to_owned());
    }
    let mut jobs = Vec::new();
    for (name, matrix) in &matrices {
        for operation in options.operations(matrix) {
            jobs.push(Job {
                name: name.clone(),
                task: task(operation, matrix, by.as_ref()),
            });
        }
    }
    Ok(Jobs { jobs, failed })
}

/// Returns the name, with a number behind it if it is taken.
fn unique(names: &mut HashSet<String>, name: String) -> String {
    let mut wanted = name.clone();
    // Ends after at most as many rounds as there are names.
    for number in 2_u64.. {
        if names.insert(wanted.to_lowercase()) {
            break;
        }
        wanted = format!("{name}-{number}");
    }
    wanted
}

fn task(operation: Operation, matrix: &Arc<Matrix>, by: Option<&Arc<Matrix>>) -> Task {
    let shared = Arc::clone(matrix);
    match operation {
        Operation::Multiply => Task::Multiply {
            left: shared,
            right: match by {
                Some(by) => Arc::clone(by),
                None => Arc::new(matrix.transposed()),
            },
        },
        Operation::Invert => Task::Invert(shared),
        Operation::Eigenvalues => Task::Eigenvalues(shared),
        Operation::SingularValues => Task::SingularValues(shared),
    }
}

/// The course of a run.
struct Course {
    elapsed: Duration,
    pool: PoolStats,
}

/// The number of operations that wait in the pool's queue, so that a free worker finds one there.
const AHEAD: usize = 2;

/// Lets a pool do all jobs and passes on their results, until there are no more. Returns `None` if
/// `stop` was ready before.
async fn drive(
    jobs: &[Job],
    options: &MatricesOptions,
    workers: usize,
    stop: &mut Stop,
    mut on_result: impl FnMut(usize, Result<Solution, String>) -> Result<(), String>,
) -> Result<Option<Course>, String> {
    let started = start_matrix_pool_of(&options.workers.kind, workers);
    let Some(started) = unless(stop, started).await else {
        return Ok(None);
    };
    let started = started.map_err(|error| error.to_string())?;
    let caller: MatricesCaller = started.pool.caller();
    let precision = options.precision();
    // Behind the start of the pool, which would count against the rate of a short run.
    let start = Instant::now();
    let mut results = stream::iter(jobs.iter().map(|job| job.task.clone()).enumerate())
        .map(|(index, task)| {
            let caller = caller.clone();
            async move {
                // By another worker, if one ends.
                let call = |_| caller.solve(task.clone(), precision);
                (index, retry(&repeats(), call).await.map_err(message))
            }
        })
        .buffer_unordered(workers + AHEAD);
    loop {
        match unless(stop, results.next()).await {
            // Dropping the pool ends it. What a worker still computes is lost with the program.
            None => return Ok(None),
            Some(Some((index, result))) => on_result(index, result)?,
            Some(None) => break,
        }
    }
    let course = Course {
        elapsed: start.elapsed(),
        pool: started.pool.stats(),
    };
    started.end().await;
    Ok(Some(course))
}

fn message<Q>(error: CallError<MatrixError, Q>) -> String {
    match error {
        CallError::App(error) => error.to_string(),
        error => format!("{} ({})", error, error.outcome()),
    }
}

fn write_result(options: &MatricesOptions, job: &Job, solution: &Solution) -> Result<(), String> {
    let Some(folder) = &options.out else {
        return Ok(());
    };
    let path = folder.join(format!("{}-{}.npy", job.name, job.task.operation()));
    let write = || {
        let mut file = OutputFile::create(&path)?;
        write_npy(&mut file, &solution.values)?;
        file.finish()
    };
    write().map_err(|error| unwritten(folder, &error))
}
