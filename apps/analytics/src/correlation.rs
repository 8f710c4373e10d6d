//! Correlations between columns.

use serde::{Deserialize, Serialize};

use crate::Column;
use crate::description::mean;

/// The correlation of each column with each other one, by Pearson.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Correlations {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The correlation of two columns, by row and by column. There is none if one of them does not
    /// vary where both have values.
    pub values: Vec<Vec<Option<f64>>>,
}

impl Correlations {
    /// Correlates all columns.
    pub fn of(columns: &[Column]) -> Self {
        let row = |a: &Column| {
            columns
                .iter()
                .map(|b| pearson(&a.values, &b.values))
                .collect()
        };
        Self {
            columns: columns.iter().map(|column| column.name.clone()).collect(),
            values: columns.iter().map(row).collect(),
        }
    }
}

/// Correlates the pairs of which neither value is missing.
fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    let pairs = a.iter().zip(b).filter(|(a, b)| !a.is_nan() && !b.is_nan());
    let (a, b): (Vec<f64>, Vec<f64>) = pairs.map(|(a, b)| (*a, *b)).unzip();
    let (mean_a, mean_b) = (mean(&a)?, mean(&b)?);
    let (mut both, mut own, mut others) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(&b) {
        let (a, b) = (a - mean_a, b - mean_b);
        both += a * b;
        own += a * a;
        others += b * b;
    }
    let correlation = both / (own.sqrt() * others.sqrt());
    correlation
        .is_finite()
        .then(|| correlation.clamp(-1.0, 1.0))
}
