//! The whole report on a table, whose parts are computed side by side.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use command::repeats;
use futures_util::future::{join, join_all, try_join, try_join_all};
use insula::CallError;
use insula::pool::PoolStats;
use insula::rpc::retry;
use serde::Serialize;

use crate::Features;
use crate::description::mean;
use crate::{
    Algorithm, AnalyticsCaller, AnalyticsError, AnalyticsPool, Clusters, Column, Correlations,
    Description, Forest, LearnRequest, Learned, Linear, Scores, Series, SeriesRequest, Spacing,
    Split, Table, Trees, all_features, features, time,
};

/// What a report has.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The column that is predicted from the others.
    pub target: usize,
    /// The steps of a period; without it, each series has its strongest one.
    pub period: Option<usize>,
    /// The share of the rows with which the models are tested.
    pub test_share: f64,
    /// The trees of the forest.
    pub trees: u16,
    /// The most clusters.
    pub clusters: usize,
    /// A number that determines the split, the trees and the clusters.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            target: 0,
            period: None,
            test_share: 0.25,
            trees: 100,
            clusters: 6,
            seed: 0,
        }
    }
}

/// Everything that was found in a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The time at which it was made, UTC.
    pub generated_at: String,
    /// The rows of the table.
    pub rows: usize,
    /// The names of columns that have no numbers, and are not analyzed.
    pub other_columns: Vec<String>,
    /// The fields of columns of numbers that have something else. They are missing.
    pub bad_fields: usize,
    /// The first and the last time, if the rows have times.
    pub times: Option<(String, String)>,
    /// How evenly the rows are spaced in time, likewise.
    pub spacing: Option<Spacing>,
    /// The columns, with what was found in each.
    pub columns: Vec<ColumnReport>,
    /// The correlation of each column with each other one.
    pub correlations: Correlations,
    /// What was learned, unless there is too little.
    pub learning: Part<Learning>,
    /// How the report was computed.
    pub processing: Processing,
}

/// What was found in a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnReport {
    /// The name.
    pub name: String,
    /// Its statistics.
    pub statistics: Option<Description>,
    /// Its analysis as a time series, unless it is none.
    pub series: Part<Series>,
}

/// What was learned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Learning {
    /// The column that was predicted.
    pub target: String,
    /// The columns from which it was predicted.
    pub features: Vec<String>,
    /// The columns by which rows were compared to find clusters.
    pub clustered: Vec<String>,
    /// The rows that were learned from.
    pub train_rows: usize,
    /// The rows of the test.
    pub test_rows: usize,
    /// The numbers of the test.
    pub actual: Vec<f64>,
    /// The score of predicting the mean of the rows that were learned from.
    pub baseline: Option<Scores>,
    /// The linear regression.
    pub linear: Part<Linear>,
    /// The random forest.
    pub forest: Part<Forest>,
    /// The clusters with the best silhouette.
    pub clusters: Part<Clusters>,
    /// What each number of clusters gives.
    pub silhouettes: Vec<Silhouette>,
}

/// How well a number of clusters fits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Silhouette {
    /// The number.
    pub clusters: usize,
    /// See [`Clusters::silhouette`].
    pub silhouette: f64,
    /// See [`Clusters::inertia`].
    pub inertia: f64,
}

/// How a report was computed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Processing {
    /// The workers.
    pub workers: usize,
    /// The calls that were answered.
    pub calls: u64,
    /// The time from the first call to the last answer.
    pub seconds: f64,
    /// The time that the workers have computed, together.
    pub computing_seconds: f64,
    /// The median of the times that calls waited.
    pub queue_median_seconds: f64,
    /// The calls of each worker.
    pub calls_of_workers: Vec<u64>,
    /// The bytes that moved between isolates.
    pub bytes_moved: u64,
    /// The bytes that were copied.
    pub bytes_copied: u64,
    /// The rate relative to that of one worker, if it was measured.
    pub speed_up: Option<f64>,
}

/// The trees that one call makes.
const TREES: u16 = 10;

/// Returns the number of calls that [`analyze`] makes if learning is possible.
pub fn calls(table: &Table, settings: &Settings) -> u64 {
    let columns = 2 * table.columns.len();
    let trees = settings.trees.max(1).div_ceil(TREES);
    let clusters = settings.clusters.max(2) - 1;
    // The two others are the correlations and the regression.
    (columns + 2 + usize::from(trees) + clusters) as u64
}

/// Computes a report on the workers of a pool, and calls `answered` after each answer of a worker.
///
/// # Cancellation
/// Dropping the future cancels the calls.
///
/// # Errors
/// Returns an error if a call has no answer. A part that is not possible with these data has its
/// reason instead.
pub async fn analyze(
    pool: &AnalyticsPool,
    table: &Arc<Table>,
    settings: &Settings,
    answered: &dyn Fn(),
) -> Result<Report, AnalyzeError> {
    let start = Instant::now();
    let caller: AnalyticsCaller = pool.caller();
    let calls = Calls {
        caller: &caller,
        answered,
    };
    // All parts at once; the pool decides which worker computes which. A worker that ends has another
    // one compute its part.
    let policy = repeats();
    let columns =
        (0..table.columns.len()).map(|column| calls.one_column(table, column, settings.period));
    let correlations = async {
        let correlations = |_| caller.correlations(Arc::clone(table));
        let correlations = calls.wait(retry(&policy, correlations)).await;
        correlations.map_err(AnalyzeError::from)
    };
    let parts = try_join(try_join_all(columns), correlations);
    let ((columns, correlations), learning) =
        try_join(parts, learn(calls, table, settings)).await?;
    let ends = |times: &Column| {
        let ends = [times.values.first(), times.values.last()];
        let [first, last] = ends.map(|it| it.map_or_else(String::new, |it| time::date(*it)));
        (first, last)
    };
    Ok(Report {
        generated_at: now(),
        rows: table.rows(),
        bad_fields: table.bad_fields,
        times: table.times.as_ref().map(ends),
        spacing: table.spacing.clone(),
        other_columns: table.others.clone(),
        columns,
        correlations,
        learning,
        processing: Processing::of(&pool.stats(), start.elapsed()),
    })
}

fn now() -> String {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    time::date(since_1970.map_or(0.0, |it| it.as_secs_f64()))
}

/// The calls of a report.
#[derive(Clone, Copy)]
struct Calls<'a> {
    caller: &'a AnalyticsCaller,
    /// Called after each answer.
    answered: &'a dyn Fn(),
}

impl Calls<'_> {
    /// Waits for the answer of a call, and says that it is there.
    async fn wait<A>(self, call: impl Future<Output = A>) -> A {
        let answer = call.await;
        (self.answered)();
        answer
    }

    async fn one_column(
        self,
        table: &Arc<Table>,
        column: usize,
        period: Option<usize>,
    ) -> Result<ColumnReport, AnalyzeError> {
        let (policy, caller) = (repeats(), self.caller);
        let statistics = retry(&policy, |_| caller.statistics(Arc::clone(table), column));
        let series = retry(&policy, |_| {
            caller.time_series(SeriesRequest {
                table: Arc::clone(table),
                column,
                period,
            })
        });
        let (statistics, series) = join(self.wait(statistics), self.wait(series)).await;
        Ok(ColumnReport {
            name: table.columns[column].name.clone(),
            statistics: statistics?,
            series: Part::of(series)?,
        })
    }
}

async fn learn(
    calls: Calls<'_>,
    table: &Table,
    settings: &Settings,
) -> Result<Part<Learning>, AnalyzeError> {
    let features = match features(table, settings.target) {
        Ok(features) => Arc::new(features),
        Err(error) => return Ok(Part::unknown(&error)),
    };
    let split = Split::draw(features.rows(), settings.test_share, settings.seed);
    let learner = Learner {
        calls,
        split: Arc::new(split),
        features,
    };
    let clustered = Learner {
        // If no column varies, the time is all that is left.
        features: Arc::new(all_features(table).unwrap_or_else(|_| (*learner.features).clone())),
        split: Arc::clone(&learner.split),
        calls,
    };
    let linear = learner.learn(Algorithm::LinearRegression);
    let forest = learner.forest(settings);
    let clusters = clustered.clusters(settings);
    let (linear, forest, (clusters, silhouettes)) = {
        let (linear, (forest, clusters)) = join(linear, join(forest, clusters)).await;
        (Part::of(linear)?, Part::of(forest)?, clusters?)
    };
    let linear = linear.and_then(|learned| match learned {
        Learned::Linear(linear) => Some(linear),
        Learned::Trees(_) | Learned::Clusters(_) => None,
    });
    let Learner {
        split, features, ..
    } = learner;
    let actual = features.targets_of(&split.test);
    let level = mean(&features.targets_of(&split.train)).unwrap_or_default();
    Ok(Part::known(Learning {
        target: table.columns[settings.target].name.clone(),
        features: features.names.clone(),
        clustered: clustered.features.names.clone(),
        train_rows: split.train.len(),
        test_rows: split.test.len(),
        baseline: Scores::of(&actual, &vec![level; actual.len()]),
        actual,
        linear,
        forest,
        clusters,
        silhouettes,
    }))
}

/// What the calls that learn have in common.
struct Learner<'a> {
    calls: Calls<'a>,
    features: Arc<Features>,
    split: Arc<Split>,
}

type LearnFailure = CallError<AnalyticsError, LearnRequest>;

impl Learner<'_> {
    async fn learn(&self, algorithm: Algorithm) -> Result<Learned, LearnFailure> {
        let request = LearnRequest {
            features: Arc::clone(&self.features),
            split: Arc::clone(&self.split),
            algorithm,
        };
        let policy = repeats();
        let answer = retry(&policy, |_| self.calls.caller.learn(request.clone()));
        self.calls.wait(answer).await
    }

    /// Makes the trees in several calls.
    async fn forest(&self, settings: &Settings) -> Result<Forest, LearnFailure> {
        let calls = (0..settings.trees.max(1))
            .step_by(TREES.into())
            .map(|first| {
                self.learn(Algorithm::RandomForest {
                    trees: TREES.min(settings.trees.max(1) - first),
                    // Parts with the same seed would have the same trees.
                    seed: settings
                        .seed
                        .wrapping_mul(1 << 16)
                        .wrapping_add(first.into()),
                })
            });
        let parts = try_join_all(calls)
            .await?
            .into_iter()
            .filter_map(|learned| match learned {
                Learned::Trees(trees) => Some(trees),
                Learned::Linear(_) | Learned::Clusters(_) => None,
            });
        let parts: Vec<Trees> = parts.collect();
        Ok(Forest::merge(&self.features, &self.split, &parts))
    }

    /// Looks for each number of clusters, and keeps those with the best silhouette.
    async fn clusters(
        &self,
        settings: &Settings,
    ) -> Result<(Part<Clusters>, Vec<Silhouette>), AnalyzeError> {
        let numbers = 2..=settings.clusters.max(2);
        let calls = numbers.clone().map(|clusters| {
            let seed = settings.seed;
            self.learn(Algorithm::Clustering { clusters, seed })
        });
        let mut best: Part<Clusters> = Part::unknown(&"there are no clusters");
        let mut silhouettes = Vec::new();
        for (number, answer) in numbers.zip(join_all(calls).await) {
            let found = Part::of(answer)?.and_then(|learned| match learned {
                Learned::Clusters(clusters) => Some(clusters),
                Learned::Linear(_) | Learned::Trees(_) => None,
            });
            if let Part::Known(found) = &found {
                silhouettes.push(Silhouette {
                    clusters: number,
                    silhouette: found.silhouette,
                    inertia: found.inertia,
                });
            }
            let silhouette = |part: &Part<Clusters>| part.get().map(|it| it.silhouette);
            if best.get().is_none() || silhouette(&found) > silhouette(&best) {
                best = found;
            }
        }
        Ok((best, silhouettes))
    }
}

/// A part of a report, or the reason why there is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Part<T> {
    /// The part.
    Known(Box<T>),
    /// The data do not have it.
    Unknown {
        /// Why.
        reason: String,
    },
}

impl<T> Part<T> {
    fn known(part: T) -> Self {
        Self::Known(Box::new(part))
    }

    fn unknown(reason: &impl fmt::Display) -> Self {
        let reason = reason.to_string();
        Self::Unknown { reason }
    }

    /// An error of the service is about the data; any other one is a failure.
    fn of<Q>(answer: Result<T, CallError<AnalyticsError, Q>>) -> Result<Self, AnalyzeError> {
        match answer {
            Ok(part) => Ok(Self::known(part)),
            Err(CallError::App(error)) => Ok(Self::unknown(&error)),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the part, if there is one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Known(part) => Some(part),
            Self::Unknown { .. } => None,
        }
    }

    fn and_then<U>(self, to: impl FnOnce(T) -> Option<U>) -> Part<U> {
        match self {
            Self::Known(part) => match to(*part) {
                Some(part) => Part::known(part),
                None => Part::unknown(&"something else was learned"),
            },
            Self::Unknown { reason } => Part::Unknown { reason },
        }
    }
}

impl Processing {
    fn of(stats: &PoolStats, elapsed: Duration) -> Self {
        let run_time = &stats.run_time;
        Self {
            workers: stats.workers.len(),
            calls: stats.answered,
            seconds: elapsed.as_secs_f64(),
            computing_seconds: run_time.mean.as_secs_f64() * run_time.samples as f64,
            queue_median_seconds: stats.queue_wait.p50.as_secs_f64(),
            calls_of_workers: stats.workers.iter().map(|worker| worker.calls).collect(),
            bytes_moved: stats.traffic.bytes_moved,
            bytes_copied: stats.traffic.bytes_copied,
            speed_up: None,
        }
    }
}

/// A call without an answer.
#[derive(Debug)]
pub struct AnalyzeError(Box<CallError<AnalyticsError, ()>>);

impl fmt::Display for AnalyzeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.0, self.0.outcome())
    }
}

impl Error for AnalyzeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl<Q> From<CallError<AnalyticsError, Q>> for AnalyzeError {
    fn from(error: CallError<AnalyticsError, Q>) -> Self {
        Self(Box::new(error.without_request()))
    }
}
