//! The distances between the times of a table.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Column;
use crate::time::span;

/// How evenly the rows of a table are spaced in time.
///
/// Trends, seasons and autocorrelations count rows, as if each came one step after the row before it.
/// Where that is not so, a season by rows is none by the clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spacing {
    /// The usual step: the median of the distances between rows of different times. Zero if there are
    /// none.
    pub step_seconds: f64,
    /// The rows that were behind a row with a later time in the file. The table is sorted.
    pub out_of_order: usize,
    /// The rows with the time of the row before them.
    pub duplicates: usize,
    /// The places with more than one and a half steps between two rows.
    pub gaps: usize,
    /// The rows that would fill them.
    pub missing_rows: usize,
    /// The rows that follow after less than half a step.
    pub short_steps: usize,
}

impl Spacing {
    /// Returns the spacing of times, and their order if they are to be sorted. Equal times remain in
    /// the order of the file.
    pub(crate) fn of(times: &Column) -> (Self, Option<Vec<usize>>) {
        let times = &times.values;
        let mut latest = f64::NEG_INFINITY;
        let is_behind = |time: &&f64| {
            let is_behind = **time < latest;
            latest = latest.max(**time);
            is_behind
        };
        let out_of_order = times.iter().filter(is_behind).count();
        let mut order: Vec<usize> = (0..times.len()).collect();
        order.sort_by(|a, b| times[*a].total_cmp(&times[*b]));
        let distances = order.windows(2).map(|it| times[it[1]] - times[it[0]]);
        let mut distances: Vec<f64> = distances.filter(|it| *it > 0.0).collect();
        distances.sort_unstable_by(f64::total_cmp);
        let step = distances.get(distances.len() / 2).copied();
        let step_seconds = step.unwrap_or_default();
        let gaps = || distances.iter().filter(|it| **it > 1.5 * step_seconds);
        let missing = gaps().map(|it| (it / step_seconds).round() as usize - 1);
        let spacing = Self {
            step_seconds,
            out_of_order,
            duplicates: times.len().saturating_sub(1) - distances.len(),
            gaps: gaps().count(),
            missing_rows: missing.fold(0, usize::saturating_add),
            short_steps: distances.partition_point(|it| *it < 0.5 * step_seconds),
        };
        (spacing, (out_of_order > 0).then_some(order))
    }

    /// Returns whether each row comes one step after the row before it, and did so in the file.
    pub fn is_even(&self) -> bool {
        [
            self.out_of_order,
            self.duplicates,
            self.gaps,
            self.short_steps,
        ] == [0; 4]
    }
}

/// What is not even, as part of a sentence.
impl fmt::Display for Spacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let missing = self.missing_rows;
        let parts = [
            (
                self.out_of_order,
                " out of order in the file, now sorted".to_owned(),
            ),
            (
                self.duplicates,
                " with the time of the row before".to_owned(),
            ),
            (self.gaps, format!(" behind gaps of {missing} rows in all")),
            (self.short_steps, " after less than half a step".to_owned()),
        ];
        let parts = parts.into_iter().filter(|(rows, _)| *rows > 0);
        let parts: Vec<_> = parts.map(|(rows, what)| format!("{rows}{what}")).collect();
        let step = span(self.step_seconds);
        match parts.is_empty() {
            true => write!(f, "rows in steps of {step}"),
            false => write!(
                f,
                "rows in steps of {step}, but {} (series take all steps as equal)",
                parts.join(", ")
            ),
        }
    }
}
