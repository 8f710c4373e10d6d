//! Machine learning: what the numbers of a row say about one of them, and which rows are alike.

mod clusters;
mod dependent;
mod forest;
mod linear;

use std::error::Error;
use std::fmt;

use fastrand::Rng;
use serde::{Deserialize, Serialize};
use smartcore::linalg::basic::matrix::DenseMatrix;

use crate::description::mean;
use crate::{Column, Table};

pub use clusters::{Cluster, Clusters};
pub use forest::{Forest, Trees};
pub use linear::{Coefficient, Linear};

/// A way to learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// A weighted sum of the features.
    LinearRegression,
    /// Decision trees, each of which learns from other rows. Forests with other seeds can be merged.
    RandomForest {
        /// How many trees.
        trees: u16,
        /// A number that determines them.
        seed: u64,
    },
    /// Groups of rows that are alike, by the method of k means.
    Clustering {
        /// How many groups, at least two.
        clusters: usize,
        /// A number that determines the first guess.
        seed: u64,
    },
}

/// What was learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Learned {
    /// By [`Algorithm::LinearRegression`].
    Linear(Linear),
    /// By [`Algorithm::RandomForest`].
    Trees(Trees),
    /// By [`Algorithm::Clustering`].
    Clusters(Clusters),
}

/// Rows without missing values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Features {
    /// The names of the features.
    pub names: Vec<String>,
    /// The features of all rows, row by row.
    pub values: Vec<f64>,
    /// The number to be predicted, for each row.
    pub targets: Vec<f64>,
}

/// The rows to learn from, and those to test with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// The numbers of the rows to learn from.
    pub train: Vec<usize>,
    /// Those to test with.
    pub test: Vec<usize>,
}

/// How well numbers were predicted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// The share of the variance that is explained: one for a perfect prediction, zero for one that
    /// is no better than the mean, and less for a worse one.
    pub r2: f64,
    /// The root of the mean square of the errors.
    pub rmse: f64,
    /// The mean of the absolute errors.
    pub mae: f64,
}

/// The least rows to learn from.
const LEAST: usize = 20;

/// Returns the rows of a table in which no value is missing. Columns that do not vary are no features.
/// If the rows have times over two years or more, the time and the season are features too.
///
/// # Errors
/// Returns [`LearnError::TooFew`] if there are too few such rows, or no features.
pub fn features(table: &Table, target: usize) -> Result<Features, LearnError> {
    let mut columns = varying(table, Some(target));
    columns.extend(table.times.iter().flat_map(seasons));
    Features::of(columns, &table.columns[target].values)
}

/// Returns the rows of a table in which no value is missing, with all columns that vary as features.
/// There is nothing to be predicted.
///
/// # Errors
/// Returns [`LearnError::TooFew`] if there are too few such rows, or no features.
pub fn all_features(table: &Table) -> Result<Features, LearnError> {
    Features::of(varying(table, None), &vec![0.0; table.rows()])
}

fn varying(table: &Table, except: Option<usize>) -> Vec<Column> {
    let varies = |values: &[f64]| {
        let mut present = values.iter().filter(|it| !it.is_nan());
        let first = present.next();
        present.any(|value| Some(value) != first)
    };
    let columns = table.columns.iter().enumerate();
    let columns = columns.filter(|(index, it)| Some(*index) != except && varies(&it.values));
    columns.map(|(_, column)| column.clone()).collect()
}

/// Returns the years since the first time, and the season as a point on a circle, so that the end of
/// December is beside the beginning of January. Within less than two years they are the same.
fn seasons(times: &Column) -> Vec<Column> {
    const YEAR: f64 = 365.2425 * 86_400.0;
    let first = times.values.iter().copied().fold(f64::INFINITY, f64::min);
    let years = |time: &f64| (time - first) / YEAR;
    if !times.values.iter().any(|time| years(time) >= 2.0) {
        return Vec::new();
    }
    let angle = |time: &f64| time / YEAR * std::f64::consts::TAU;
    let column = |name: &str, of: &dyn Fn(&f64) -> f64| Column {
        name: name.to_owned(),
        values: times.values.iter().map(of).collect(),
    };
    vec![
        column("years", &years),
        column("winter", &|time| angle(time).cos()),
        column("spring", &|time| angle(time).sin()),
    ]
}

impl Features {
    /// Leaves out the rows in which a value or the target is missing.
    fn of(columns: Vec<Column>, targets: &[f64]) -> Result<Self, LearnError> {
        let is_whole = |row: &usize| {
            let mut values = columns.iter().map(|column| column.values[*row]);
            !targets[*row].is_nan() && values.all(|value| !value.is_nan())
        };
        let rows: Vec<usize> = (0..targets.len()).filter(is_whole).collect();
        if rows.len() < LEAST || columns.is_empty() {
            return Err(LearnError::TooFew {
                rows: rows.len(),
                features: columns.len(),
            });
        }
        let values = rows
            .iter()
            .flat_map(|row| columns.iter().map(|column| column.values[*row]));
        Ok(Self {
            values: values.collect(),
            targets: rows.iter().map(|row| targets[*row]).collect(),
            names: columns.into_iter().map(|column| column.name).collect(),
        })
    }

    /// Returns the features of a row.
    pub fn row(&self, row: usize) -> &[f64] {
        let width = self.names.len();
        &self.values[row * width..(row + 1) * width]
    }

    /// Returns the number of rows.
    pub fn rows(&self) -> usize {
        self.targets.len()
    }

    /// Returns the targets of some rows.
    pub fn targets_of(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().map(|row| self.targets[*row]).collect()
    }

    /// Learns from the rows of `split`, with one of the algorithms.
    ///
    /// # Errors
    /// See [`LearnError`].
    pub fn learn(&self, split: &Split, algorithm: Algorithm) -> Result<Learned, LearnError> {
        match algorithm {
            Algorithm::LinearRegression => Linear::fit(self, split).map(Learned::Linear),
            Algorithm::RandomForest { trees, seed } => {
                Trees::fit(self, split, trees, seed).map(Learned::Trees)
            }
            Algorithm::Clustering { clusters, seed } => {
                Clusters::find(self, clusters, seed).map(Learned::Clusters)
            }
        }
    }

    /// Returns the mean and the deviation of each feature over some rows.
    fn scales(&self, rows: &[usize]) -> Vec<(f64, f64)> {
        let scale = |feature: usize| {
            let values: Vec<f64> = rows.iter().map(|row| self.row(*row)[feature]).collect();
            let mean = mean(&values).unwrap_or_default();
            let squares: f64 = values.iter().map(|it| (it - mean) * (it - mean)).sum();
            let deviation = (squares / values.len() as f64).sqrt();
            // A feature may be constant in these rows. Rounding of the mean must not become one of
            // its deviations then.
            match values.iter().all(|it| *it == values[0]) || deviation == 0.0 {
                true => (values.first().copied().unwrap_or_default(), 1.0),
                false => (mean, deviation),
            }
        };
        (0..self.names.len()).map(scale).collect()
    }

    /// Returns some rows as a matrix, with each feature around zero and of deviation one, which keeps
    /// the digits of features that are large or vary little.
    fn standardized(
        &self,
        rows: &[usize],
        scales: &[(f64, f64)],
    ) -> Result<DenseMatrix<f64>, LearnError> {
        let values = rows.iter().flat_map(|row| {
            let features = self.row(*row).iter().zip(scales);
            features.map(|(value, (mean, deviation))| (value - mean) / deviation)
        });
        Ok(DenseMatrix::new(
            rows.len(),
            self.names.len(),
            values.collect(),
            false,
        )?)
    }

    /// Returns the same rows with some of the features.
    fn only(&self, kept: &[usize]) -> Self {
        let row = |row: usize| kept.iter().map(move |feature| self.row(row)[*feature]);
        Self {
            names: kept.iter().map(|it| self.names[*it].clone()).collect(),
            values: (0..self.rows()).flat_map(row).collect(),
            targets: self.targets.clone(),
        }
    }
}

impl Split {
    /// Draws a share of so many rows to test with.
    pub fn draw(rows: usize, test_share: f64, seed: u64) -> Self {
        let mut all: Vec<usize> = (0..rows).collect();
        Rng::with_seed(seed).shuffle(&mut all);
        let train = all.split_off((rows as f64 * test_share).round() as usize);
        Self { train, test: all }
    }
}

impl Scores {
    /// Compares predictions with the numbers. Returns `None` if there are none.
    pub fn of(numbers: &[f64], predictions: &[f64]) -> Option<Self> {
        let mean = mean(numbers)?;
        let count = numbers.len() as f64;
        let errors = || numbers.iter().zip(predictions).map(|(a, b)| a - b);
        let squares: f64 = errors().map(|it| it * it).sum();
        let around: f64 = numbers.iter().map(|it| (it - mean) * (it - mean)).sum();
        Some(Self {
            r2: if around > 0.0 {
                1.0 - squares / around
            } else {
                0.0
            },
            rmse: (squares / count).sqrt(),
            mae: errors().map(f64::abs).sum::<f64>() / count,
        })
    }
}

/// Why nothing can be learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LearnError {
    /// There are too few rows without missing values, or no features that vary.
    TooFew {
        /// The rows.
        rows: usize,
        /// The features.
        features: usize,
    },
    /// There are too few rows for so many clusters.
    Clusters(usize),
    /// No feature varies in the rows to learn from.
    Constant,
    /// There are so few rows to learn from that weights of the features fit any numbers.
    FewRows {
        /// The rows.
        rows: usize,
        /// The features.
        features: usize,
    },
    /// The model cannot be fitted.
    Model(String),
}

impl fmt::Display for LearnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFew { rows, features } => write!(
                f,
                "learning needs {LEAST} rows without missing values and one other column that \
                 varies; there are {rows} and {features}"
            ),
            Self::Clusters(clusters) => write!(f, "there are too few rows for {clusters} clusters"),
            Self::Constant => f.write_str(
                "no other column varies in the rows to learn from; fewer rows to test with leave more",
            ),
            Self::FewRows { rows, features } => write!(
                f,
                "{rows} rows to learn from are too few for {features} features; fewer rows to test \
                 with leave more"
            ),
            Self::Model(reason) => write!(f, "the model cannot be fitted: {reason}"),
        }
    }
}

impl Error for LearnError {}

impl From<smartcore::error::Failed> for LearnError {
    fn from(error: smartcore::error::Failed) -> Self {
        Self::Model(error.to_string())
    }
}
