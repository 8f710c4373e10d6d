//! Processes tables of measurements: reads CSV, JSON lines and Parquet, applies steps to one number
//! of each record, and writes and summarizes the results.
//!
//! The crate has two halves that meet in the contract [`DataProcessor`], which has calls of three
//! kinds. One half is pure: [`read`] turns a [`Chunk`] of a file into [`Rows`], which apply the
//! [`Step`]s to each record, and [`Operation::compute`] is a named computation. Neither knows
//! isolates. A [`DataWorker`] runs both in an isolate, and [`start_pool`] starts several.
//! The second half handles files: a [`Source`] cuts a file into chunks at the ends of records, an
//! [`Output`] writes results in the order of the input, and a [`Summary`] counts.
//!
//! # Fields
//!
//! A record has a name and a number, each in a field that [`Wanted`] names. Without a name, the first
//! field names the record, and the first other one that mostly has numbers in the first 100 records is
//! the number. Of JSON, the first field is the one with which most of these records begin. So one
//! wrong record changes nothing, be it the first. Numbers are read in double
//! precision.
//!
//! In Parquet the type of a column decides. INT32 and INT64, signed or not, FLOAT and DOUBLE are
//! numbers. Dates and timestamps are none, and name records as ISO 8601 has them. Decimals, times
//! without a date, INT96, and bytes of a fixed length are refused by name.
//!
//! # Rows that cannot be read
//!
//! A row that is wrong is a [`BadRow`] with its line, and the rows after it are read. A row without
//! a number (an empty field, a `null`, or a JSON object that lacks the field) is not wrong: it is
//! counted as missing. A quote that is not closed within [`MAX_RECORD`] bytes costs its own line.
//!
//! # Memory
//!
//! A file of any size is processed in bounded memory: a chunk of text has at most [`MAX_CHUNK`]
//! bytes and one record, and at most [`AT_ONCE`] chunks are in the pool. Those of a Parquet file are
//! its row groups, whose size is the choice of the program that wrote it, and only two more than
//! workers are in the pool. What is ingested is kept as columns.
#![forbid(unsafe_code)]

mod format;
mod items;
mod layout;
mod problem;
mod step;

mod compute;
mod statistics;

mod blocks;
mod csv_rows;
mod json_rows;
mod moment;
mod positioned;
mod row_groups;
mod rows;
mod source;

mod generator;
mod output;
mod request;
mod service;
mod summary;

pub use blocks::{Block, Blocks, MAX_CHUNK, MAX_RECORD};
pub use compute::{ComputeError, Operation, ParseOperationError};
pub use format::{Format, ParseFormatError};
pub use generator::Generator;
pub use items::{Items, Texts};
pub use layout::{Field, Layout, LayoutError, Wanted};
pub use output::{Columns, Contents, Output, ResultFormat, Results};
pub use problem::{BadRow, BadRows, DataError, RowError};
pub use request::{
    Batch, BatchRequest, Chunk, ComputeRequest, Computed, Ingested, ProcessChunk, Processed,
    ProcessedItem,
};
pub use row_groups::{ParquetFile, RowGroup};
pub use rows::{Rows, read};
pub use service::{
    AT_ONCE, DataPool, DataProcessor, DataProcessorCaller, DataProcessorRequest,
    DataProcessorResponder, DataWorker, MOST_BYTES, serve, start_pool, start_pool_of,
};
pub use source::{Extent, Source, SourceError};
pub use statistics::Statistics;
pub use step::{ParseStepError, Step, apply};
pub use summary::{Summary, Tally};
