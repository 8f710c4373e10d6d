//! Statistics, time series and machine learning over tables of numbers, and a live analysis of points
//! as they come.
//!
//! The crate has two halves that meet in the contract [`Analytics`]. One half is pure:
//! [`Description`], [`Series`], [`Correlations`] and the kernels of learning take numbers and return
//! figures, and a [`Window`] takes points one by one. None of them knows files or isolates. An
//! [`AnalyticsWorker`] runs them in an isolate, and [`start_pool`] starts several.
//! The second half is about people: a [`Table`] is read from CSV, [`analyze`] asks the pool for all
//! parts of a [`Report`] side by side, and [`page`] shows it as one HTML page.
//!
//! # Missing values
//!
//! A field is missing if it is empty, or has one of the texts by which other programs say so: `NA`,
//! `N/A`, `#N/A`, `<NA>`, `NaN`, `null` or `None`, in capitals or not. Descriptions count missing values
//! and leave them out, correlations leave out the pairs that lack one, and learning leaves out the
//! rows. A time series needs equal steps, so its gaps are bridged by straight lines.
//!
//! # Times
//!
//! A table is sorted by its times. A series takes its rows as equal steps, also where rows lack or
//! have equal times; a report counts these places, see [`Spacing`].
//!
//! # Libraries
//!
//! `smartcore` has the models, `rustfft` the transform behind autocorrelations and periods. The plots
//! are written as SVG by this crate: a chart library writes fixed colors, and the page has to follow
//! the reader's choice of light or dark.
#![forbid(unsafe_code)]

mod spacing;
mod table;
mod time;

mod correlation;
mod description;
mod learning;
mod realtime;
mod series;

mod points;
mod service;

mod chart;
mod page;
mod report;

pub use correlation::Correlations;
pub use description::{Bin, Description};
pub use learning::{
    Algorithm, Cluster, Clusters, Coefficient, Features, Forest, LearnError, Learned, Linear,
    Scores, Split, Trees, all_features, features,
};
pub use page::page;
pub use points::{BadPoint, PointError, PointFormat, Points};
pub use realtime::{Analysis, Anomaly, DataPoint, RealtimeConfig, Trend, TrendAnalysis, Window};
pub use report::{
    AnalyzeError, ColumnReport, Learning, Part, Processing, Report, Settings, Silhouette, analyze,
    calls,
};
pub use series::{Peak, Season, Series, SeriesError, autocorrelation, bridged, decompose};
pub use service::{
    Analytics, AnalyticsCaller, AnalyticsError, AnalyticsPool, AnalyticsRequest,
    AnalyticsResponder, AnalyticsWorker, LearnRequest, MOST_BYTES, SeriesRequest, serve,
    start_pool, start_pool_of,
};
pub use spacing::Spacing;
pub use table::{BadField, Column, Table, TableError};
pub use time::{date, parse as parse_time, span};
