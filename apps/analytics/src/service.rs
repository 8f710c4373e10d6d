//! The service behind the program: its contract, a worker's state, and the pool.
//!
//! The contract is that of an analytics service as programs of other actor libraries sketch it, with
//! these differences:
//!
//! - A sketch selects operations by flags, such as `mean` and `percentiles`, or `trend` and
//!   `seasonality`. Here a call computes all of them, since they share their passes over the data, and
//!   what is asked for apart, as each [`Algorithm`], is a call of its own that another worker answers.
//! - A series correlates with itself in [`Analytics::time_series`], and columns with each other in
//!   [`Analytics::correlations`].
//! - A stream has one [`RealtimeConfig`], at its start, and not one in each point: points of one window
//!   have one length of it.
//! - An [`Analysis`] has the time of its point, and no identifier of its worker: all points of a call
//!   have the same one. Which worker has done how much is in
//!   [`Processing::calls_of_workers`](crate::Processing::calls_of_workers).
//! - There is no budget of memory for each worker: the table, which is nearly all of it, belongs to the
//!   caller, and local workers share it.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use command::{KindOptions, Services, StartError, Started};
use futures_util::{Stream, StreamExt};
use insula::pool::{Balance, BuildError, FactoryError, Measure, PoolBuilder, WorkerContext};
use insula::rpc::{Aborted, Cancelled};
use insula::{Context, Inbound, WorkerPool, contract};
use serde::{Deserialize, Serialize};

use crate::Features;
use crate::{
    Algorithm, Analysis, Correlations, DataPoint, Description, LearnError, Learned, RealtimeConfig,
    Series, SeriesError, Split, Table, Window,
};

/// A service that analyzes tables and points. Callers share a table with the workers, so no call
/// copies it, unless its worker is in another process.
#[contract(version = 1, wire)]
pub trait Analytics {
    /// Describes a column; there is nothing to describe if all its values are missing.
    ///
    /// # Errors
    /// [`AnalyticsError::Cancelled`].
    #[work(cpu)]
    #[idempotent]
    async fn statistics(
        &self,
        cx: &Context,
        table: Arc<Table>,
        column: usize,
    ) -> Result<Option<Description>, AnalyticsError>;

    /// Analyzes a column as a time series.
    ///
    /// # Errors
    /// [`AnalyticsError::Series`].
    #[work(cpu)]
    #[idempotent]
    async fn time_series(
        &self,
        cx: &Context,
        request: SeriesRequest,
    ) -> Result<Series, AnalyticsError>;

    /// Correlates all columns.
    ///
    /// # Errors
    /// [`AnalyticsError::Cancelled`].
    #[work(cpu)]
    #[idempotent]
    async fn correlations(
        &self,
        cx: &Context,
        table: Arc<Table>,
    ) -> Result<Correlations, AnalyticsError>;

    /// Learns from rows.
    ///
    /// # Errors
    /// [`AnalyticsError::Learn`].
    #[work(cpu)]
    #[idempotent]
    async fn learn(&self, cx: &Context, request: LearnRequest) -> Result<Learned, AnalyticsError>;

    /// Compares each point with those of the time before it. Each is answered as it comes, so a
    /// caller that does not read the answers can soon send no more points.
    ///
    /// # Errors
    /// [`AnalyticsError::Incomplete`] if the caller has not finished its stream.
    async fn realtime(
        &self,
        cx: &Context,
        config: RealtimeConfig,
        points: Inbound<DataPoint>,
    ) -> Result<impl Stream<Item = Result<Analysis, AnalyticsError>>, AnalyticsError>;
}

/// A request to analyze a time series.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeriesRequest {
    /// The table.
    pub table: Arc<Table>,
    /// The column.
    pub column: usize,
    /// The steps of a period; without it, the strongest one is found.
    pub period: Option<usize>,
}

/// A request to learn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LearnRequest {
    /// The rows.
    pub features: Arc<Features>,
    /// Which of them are to learn from.
    pub split: Arc<Split>,
    /// How.
    pub algorithm: Algorithm,
}

/// The service of one worker. It has no state, since each request brings its data.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnalyticsWorker;

impl Analytics for AnalyticsWorker {
    async fn statistics(
        &self,
        cx: &Context,
        table: Arc<Table>,
        column: usize,
    ) -> Result<Option<Description>, AnalyticsError> {
        cx.check()?;
        Ok(Description::of(&table.columns[column].values))
    }

    async fn time_series(
        &self,
        cx: &Context,
        request: SeriesRequest,
    ) -> Result<Series, AnalyticsError> {
        cx.check()?;
        let values = &request.table.columns[request.column].values;
        Ok(Series::of(values, request.period)?)
    }

    async fn correlations(
        &self,
        cx: &Context,
        table: Arc<Table>,
    ) -> Result<Correlations, AnalyticsError> {
        cx.check()?;
        Ok(Correlations::of(&table.columns))
    }

    async fn learn(&self, cx: &Context, request: LearnRequest) -> Result<Learned, AnalyticsError> {
        cx.check()?;
        Ok(request.features.learn(&request.split, request.algorithm)?)
    }

    async fn realtime(
        &self,
        _cx: &Context,
        config: RealtimeConfig,
        points: Inbound<DataPoint>,
    ) -> Result<impl Stream<Item = Result<Analysis, AnalyticsError>>, AnalyticsError> {
        let mut window = Window::new(config);
        Ok(points.map(move |point| Ok(window.push(point?))))
    }
}

/// Workers that analyze, each one call at a time.
pub type AnalyticsPool = WorkerPool<AnalyticsRequest>;

/// Starts a pool of `workers` (at least one) that times every call.
///
/// # Errors
/// See [`BuildError`].
pub async fn start_pool(workers: usize) -> Result<AnalyticsPool, BuildError> {
    let builder = builder(workers).service::<AnalyticsResponder<_>>(factory);
    builder.build().await
}

/// As [`start_pool`], with workers of some kind. Those in other processes have what [`serve`] serves
/// there.
///
/// # Errors
/// See [`StartError`].
pub async fn start_pool_of(
    kind: &KindOptions,
    workers: usize,
) -> Result<Started<AnalyticsRequest>, StartError> {
    let builder = builder(workers);
    let started = kind.start::<AnalyticsResponder<_>>(builder, MOST_BYTES, factory);
    started.await
}

fn builder(workers: usize) -> PoolBuilder {
    WorkerPool::builder()
        .name("analytics")
        .workers(workers)
        .balance(Balance::LeastLoaded)
        .measure(Measure::All)
}

/// The most bytes of a table that goes to another process.
pub const MOST_BYTES: usize = 1 << 30;

/// Serves analyses, where a worker is not in the process of its pool.
pub fn serve(services: &mut impl Services) {
    services.serve::<AnalyticsResponder<_>>(factory);
}

async fn factory(_cx: WorkerContext) -> Result<AnalyticsWorker, FactoryError> {
    Ok(AnalyticsWorker)
}

/// The error of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AnalyticsError {
    /// The column is no time series.
    Series(SeriesError),
    /// Nothing can be learned.
    Learn(LearnError),
    /// The caller did not send all points. This is the message of [`Aborted`], which cannot be sent to
    /// another process.
    Incomplete(String),
    /// The call was cancelled. This is the message of [`Cancelled`], likewise.
    Cancelled(String),
}

impl fmt::Display for AnalyticsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(error) => error.fmt(f),
            Self::Learn(error) => error.fmt(f),
            Self::Incomplete(message) | Self::Cancelled(message) => f.write_str(message),
        }
    }
}

impl Error for AnalyticsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Series(error) => Some(error),
            Self::Learn(error) => Some(error),
            Self::Incomplete(_) | Self::Cancelled(_) => None,
        }
    }
}

impl From<SeriesError> for AnalyticsError {
    fn from(error: SeriesError) -> Self {
        Self::Series(error)
    }
}

impl From<LearnError> for AnalyticsError {
    fn from(error: LearnError) -> Self {
        Self::Learn(error)
    }
}

impl From<Aborted> for AnalyticsError {
    fn from(error: Aborted) -> Self {
        Self::Incomplete(error.to_string())
    }
}

impl From<Cancelled> for AnalyticsError {
    fn from(error: Cancelled) -> Self {
        Self::Cancelled(error.to_string())
    }
}
