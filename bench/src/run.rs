//! Runs cases: interleaves the systems, discards one warm-up repetition, keeps medians.

use std::env;
use std::io;
use std::process::{Command, Stdio};

use serde::Serialize;

use crate::case::{Better, Case, Kind, Metric, Sample, Scale};
use crate::measure::median;

// Odd, as is the next, so that a median is one of the values and not the mean of two.
const RUNS: usize = 7;
const QUICK_RUNS: usize = 3;

/// One metric of one system in one case, over all repetitions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) suite: &'static str,
    pub(crate) case: String,
    pub(crate) system: String,
    pub(crate) kind: Kind,
    pub(crate) metric: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) median: f64,
    /// The smallest value of any repetition, whichever direction is better.
    pub(crate) min: f64,
    /// The largest value of any repetition, for the table.
    #[serde(skip)]
    pub(crate) max: f64,
    pub(crate) runs: usize,
    /// The value of each repetition, so that those of two systems that took turns can be compared. NaN
    /// where the system gave none.
    #[serde(skip)]
    pub(crate) values: Vec<f64>,
    pub(crate) version: String,
    /// What there is to know about the system, such as what it needs if there are no numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
}

impl Row {
    /// The best value of any repetition.
    pub(crate) fn best(&self) -> f64 {
        match self.better {
            Better::Higher => self.max,
            Better::Lower => self.min,
        }
    }
}

/// Runs one case and returns its rows, in the order of metrics and systems. Without `runs` each system
/// has as many repetitions as usual.
///
/// # Errors
/// If a child process cannot be started or reports no numbers.
pub(crate) fn run(case: &mut Case, scale: Scale, runs: Option<usize>) -> io::Result<Vec<Row>> {
    let usual = if scale.quick { QUICK_RUNS } else { RUNS };
    let runs = runs.unwrap_or(usual).min(case.max_runs);
    let warm_up = usize::from(!case.fresh_process && runs > 1);
    let mut samples = vec![Vec::with_capacity(runs); case.systems.len()];
    // All systems in turn, so that a change of the machine's speed meets each of them.
    for repetition in 0..warm_up + runs {
        for (index, samples) in samples.iter_mut().enumerate() {
            progress(case, index, repetition, warm_up + runs);
            let sample = repeat(case, index, scale)?;
            if repetition >= warm_up {
                samples.push(sample);
            }
        }
    }
    Ok(rows(case, &samples))
}

fn repeat(case: &mut Case, index: usize, scale: Scale) -> io::Result<Sample> {
    let system = &mut case.systems[index];
    // A runtime is a separate process already.
    if case.fresh_process && system.kind != Kind::Runtime {
        repeat_in_child(case.suite, &case.name, &system.name, scale)
    } else {
        Ok((system.repeat)(scale))
    }
}

fn repeat_in_child(suite: &str, case: &str, system: &str, scale: Scale) -> io::Result<Sample> {
    let mut command = Command::new(env::current_exe()?);
    command.args([
        suite,
        "--one-repetition",
        "--case",
        case,
        "--system",
        system,
    ]);
    if scale.quick {
        command.arg("--quick");
    }
    // The child's standard output carries its numbers, so only its errors are shown.
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "{system} failed in {suite}: {}",
            output.status
        )));
    }
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}

fn rows(case: &Case, samples: &[Vec<Sample>]) -> Vec<Row> {
    let metrics = case.metrics.iter().enumerate();
    metrics
        .flat_map(|(index, metric)| rows_of_metric(case, samples, index, *metric))
        .collect()
}

fn rows_of_metric(
    case: &Case,
    samples: &[Vec<Sample>],
    metric_index: usize,
    metric: Metric,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (system, samples) in case.systems.iter().zip(samples) {
        let of = |sample: &Sample| sample.0.get(metric_index).copied();
        let all: Vec<f64> = samples
            .iter()
            .map(|it| of(it).unwrap_or(f64::NAN))
            .collect();
        let values: Vec<f64> = all
            .iter()
            .copied()
            .filter(|value| !value.is_nan())
            .collect();
        // The first metric is enough to say why there are no numbers.
        if values.is_empty() && (system.note.is_none() || metric_index > 0) {
            continue;
        }
        rows.push(Row {
            suite: case.suite,
            case: case.name.clone(),
            system: system.name.clone(),
            kind: system.kind,
            metric: metric.name,
            unit: metric.unit,
            better: metric.better,
            median: median(&values),
            min: values.iter().copied().fold(f64::INFINITY, f64::min),
            max: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            runs: values.len(),
            values: all,
            version: system.version.clone(),
            note: system.note.clone(),
        });
    }
    rows
}

#[expect(clippy::print_stderr, reason = "the progress line of a program")]
fn progress(case: &Case, index: usize, repetition: usize, repetitions: usize) {
    let system = &case.systems[index].name;
    let (suite, name) = (case.suite, &case.name);
    // Returns to the start of the line and clears it, so that one line is enough.
    eprint!(
        "\r\x1b[K[{suite}] {name}: {system} {}/{repetitions}",
        repetition + 1
    );
}

/// Ends the progress line.
#[expect(clippy::print_stderr, reason = "the progress line of a program")]
pub(crate) fn progress_done() {
    eprint!("\r\x1b[K");
}

#[cfg(test)]
mod tests;
