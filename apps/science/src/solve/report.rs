//! The results of a run: a table, JSON, and a plot.

use std::fmt;
use std::time::Duration;

use insula::pool::PoolStats;
use science::matrices::{Operation, Solution, Values};
use science::plot::{COLORS, Line, Plot};
use serde_json::{Value, json};

use super::Job;

/// The figures of a run. Its `Display` is the table that the program prints.
pub(super) struct Report<'a> {
    pub(super) rows: Vec<Row<'a>>,
    pub(super) failed: u64,
    pub(super) elapsed: Duration,
    pub(super) pool: PoolStats,
    /// The rate, relative to that of one worker.
    pub(super) speed_up: Option<f64>,
}

/// One operation and its result.
pub(super) struct Row<'a> {
    name: &'a str,
    operation: Operation,
    shape: (usize, usize),
    solution: &'a Solution,
}

impl<'a> Report<'a> {
    /// Returns the row of a job, if it has a result.
    pub(super) fn row((job, solution): (&'a Job, &'a Option<Solution>)) -> Option<Row<'a>> {
        let matrix = *job.task.matrices().first()?;
        Some(Row {
            name: &job.name,
            operation: job.task.operation(),
            shape: (matrix.rows(), matrix.columns()),
            solution: solution.as_ref()?,
        })
    }

    pub(super) fn json(&self) -> Value {
        let rows: Vec<_> = self.rows.iter().map(Row::json).collect();
        json!({
            "operations": rows,
            "failed": self.failed,
            "seconds": self.elapsed.as_secs_f64(),
            "speed_up": self.speed_up,
            "bytes_moved": self.pool.traffic.bytes_moved,
            "bytes_copied": self.pool.traffic.bytes_copied,
        })
    }
}

impl Row<'_> {
    fn json(&self) -> Value {
        let Solution {
            values,
            residual,
            refinement,
            condition,
            time,
        } = self.solution;
        json!({
            "matrix": self.name,
            "rows": self.shape.0,
            "columns": self.shape.1,
            "operation": self.operation.to_string(),
            "residual": residual.value,
            "bound": residual.bound,
            "condition": condition,
            "refinement": refinement.map(|it| json!({
                "residual_before": it.before,
                "difference": it.difference,
                "rounds": it.rounds,
            })),
            "seconds": time.as_secs_f64(),
            "values": list(values),
        })
    }
}

/// Returns values that are a list. A matrix is in its file.
fn list(values: &Values) -> Value {
    match values {
        Values::Matrix(_) => Value::Null,
        Values::Real(values) => json!(values),
        Values::Complex(values) => {
            json!(values.iter().map(|it| [it.re, it.im]).collect::<Vec<_>>())
        }
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| row.name.len()).max();
        let width = width.unwrap_or(0).max(6);
        writeln!(
            f,
            "{:<width$} {:>11} {:<15} {:>9} {:>9} {:>9}  result",
            "matrix", "size", "operation", "residual", "at most", "time"
        )?;
        for row in &self.rows {
            row.write(f, width)?;
        }
        let done = self.rows.len();
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{done} done, {} failed, in {seconds:.2} s", self.failed)?;
        if let Some(speed_up) = self.speed_up {
            write!(f, ", {speed_up:.2} times as fast as one worker")?;
        }
        writeln!(f)?;
        for worker in &self.pool.workers {
            writeln!(f, "worker {}: {} operations", worker.id, worker.calls)?;
        }
        Ok(())
    }
}

impl Row<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>, width: usize) -> fmt::Result {
        let size = format!("{}x{}", self.shape.0, self.shape.1);
        let time = format!("{:.1} ms", self.solution.time.as_secs_f64() * 1e3);
        let residual = self.solution.residual;
        writeln!(
            f,
            "{:<width$} {size:>11} {:<15} {:>9.1e} {:>9.1e} {time:>9}  {}",
            self.name,
            self.operation,
            residual.value,
            residual.bound,
            self.result()
        )?;
        if let Some(refinement) = self.solution.refinement {
            writeln!(
                f,
                "{:<width$} {:>11} {:<15} {:>9.1e}  refined {}: values change by {:.1e}",
                "",
                "",
                "  unrefined",
                refinement.before,
                match refinement.rounds {
                    1 => "once".to_owned(),
                    rounds => format!("{rounds} times"),
                },
                refinement.difference,
            )?;
        }
        Ok(())
    }

    fn result(&self) -> String {
        let ends = |values: &[f64]| match values {
            [first, .., last] => format!("{} to {}", number(*first), number(*last)),
            [one] => number(*one),
            [] => String::new(),
        };
        match (&self.solution.values, self.solution.condition) {
            (Values::Matrix(_), Some(condition)) => format!("condition {condition:.1e}"),
            (Values::Matrix(matrix), None) => {
                format!(
                    "{}x{}, norm {}",
                    matrix.rows(),
                    matrix.columns(),
                    number(matrix.norm())
                )
            }
            (Values::Real(values), _) => ends(values),
            (Values::Complex(values), _) => {
                let largest = values.iter().map(|value| value.norm()).fold(0.0, f64::max);
                let real = values.iter().filter(|value| value.im == 0.0).count();
                let largest = number(largest);
                format!("{real} real of {}, largest {largest}", values.len())
            }
        }
    }
}

/// A value with seven digits or a few more: with a power of ten, unless that is small.
fn number(value: f64) -> String {
    match value.abs() {
        0.0 | 1e-3..1e9 => format!("{value:.6}"),
        _ => format!("{value:.6e}"),
    }
}

/// The singular values of the matrices, each relative to its largest one.
pub(super) fn spectrum(report: &Report<'_>) -> Option<Plot> {
    let spectra = report
        .rows
        .iter()
        .filter_map(|row| match &row.solution.values {
            Values::Real(values) if row.operation == Operation::SingularValues => {
                Some((row.name, values.as_slice()))
            }
            _ => None,
        });
    plot(&spectra.collect::<Vec<_>>())
}

/// Draws lists of singular values with their names: as many as there are colors, or else the heading
/// says that there are more.
fn plot(spectra: &[(&str, &[f64])]) -> Option<Plot> {
    let lines = spectra.iter().zip(COLORS);
    let lines: Vec<_> = lines
        .map(|((name, values), color)| Line {
            name: (*name).to_owned(),
            color,
            points: points(values),
        })
        .collect();
    let title = match spectra.len() {
        all if all > lines.len() => {
            format!(
                "singular values of the first {} of {all} matrices",
                lines.len()
            )
        }
        _ => "singular values".to_owned(),
    };
    (!lines.is_empty()).then(|| Plot {
        title,
        x: "share of the values that are larger".to_owned(),
        y: "power of ten, relative to the largest".to_owned(),
        lines,
        mark: None,
    })
}

/// Below this power of ten a value is nothing but rounding.
const LEAST_POWER: f64 = -18.0;

fn points(values: &[f64]) -> Vec<(f64, f64)> {
    let largest = values.first().copied().unwrap_or(0.0);
    let last = values.len().saturating_sub(1).max(1) as f64;
    let point = |(index, value): (usize, &f64)| {
        let power = (value / largest).log10().max(LEAST_POWER);
        (index as f64 / last, power)
    };
    values.iter().enumerate().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_has_a_line_for_each_matrix_or_says_that_there_are_more() {
        let names: Vec<_> = (1..20).map(|number| format!("matrix-{number}")).collect();
        let values = [2.0, 1.0, 0.5];
        let spectra: Vec<_> = names
            .iter()
            .map(|name| (name.as_str(), &values[..]))
            .collect();
        assert!(plot(&[]).is_none());
        for count in [1, 5, COLORS.len()] {
            let plot = plot(&spectra[..count]).unwrap();
            assert_eq!(plot.title, "singular values");
            let drawn = plot.lines.iter().map(|line| &line.name);
            assert!(drawn.eq(&names[..count]));
        }
        let plot = plot(&spectra).unwrap();
        assert_eq!(plot.title, "singular values of the first 7 of 19 matrices");
        assert_eq!(plot.lines.len(), 7);
    }

    #[test]
    fn numbers_have_digits_whatever_their_size_is() {
        let texts = [0.0, -4.0, 1e-17, 2.5e170].map(number);
        assert_eq!(
            texts,
            ["0.000000", "-4.000000", "1.000000e-17", "2.500000e170"]
        );
    }
}
