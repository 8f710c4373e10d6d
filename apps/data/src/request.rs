//! The requests to the data service, and its answers.

use std::sync::Arc;

use insula::Payload;
use serde::{Deserialize, Serialize};

use crate::output::{ResultFormat, Results};
use crate::{BadRows, Block, Items, Layout, Operation, RowGroup, Statistics, Step};

/// A part of a file with whole records.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Chunk {
    /// Lines of a text.
    Text(Block),
    /// A row group, which the worker reads: its columns are compressed.
    RowGroup(RowGroup),
}

impl Chunk {
    /// Returns the bytes of a text.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(block) => block.bytes.len(),
            Self::RowGroup(_) => 0,
        }
    }

    /// Returns how much of its source's [`Extent`](crate::Extent) the chunk is.
    pub fn amount(&self) -> u64 {
        match self {
            Self::Text(block) => block.bytes.len() as u64,
            Self::RowGroup(group) => group.rows(),
        }
    }
}

impl Payload for Chunk {
    fn size_hint(&self) -> u64 {
        (size_of::<Self>() + self.bytes()) as u64
    }
}

/// A request to process one chunk.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessChunk {
    /// The chunk.
    pub chunk: Chunk,
    /// The fields to be read.
    pub layout: Arc<Layout>,
    /// The steps, in order.
    pub steps: Arc<[Step]>,
    /// The form of the results.
    pub results: ResultFormat,
}

impl Payload for ProcessChunk {
    fn size_hint(&self) -> u64 {
        (size_of::<Self>() + self.chunk.bytes()) as u64
    }
}

/// A chunk that was processed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Processed {
    /// Records without a number.
    pub missing: u64,
    /// Rows that could not be processed.
    pub bad: BadRows,
    /// The statistics of the numbers that were processed.
    pub values: Statistics,
    /// The statistics of their results.
    pub results: Statistics,
    /// The results, in the form that was asked for.
    pub output: Results,
}

impl Payload for Processed {
    fn size_hint(&self) -> u64 {
        (size_of::<Self>() + self.output.bytes()) as u64
    }
}

/// A request for a named computation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComputeRequest {
    /// Which one.
    pub operation: Operation,
    /// Its numbers.
    pub parameters: Arc<[f64]>,
}

/// The result of a named computation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Computed {
    /// The result.
    pub result: f64,
    /// Which computation it is.
    pub operation: Operation,
    /// How many numbers it was given.
    pub parameters: usize,
}

/// A request to process records in batches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchRequest {
    /// The records. The caller shares them with the worker, so they are not copied.
    pub items: Arc<Items>,
    /// The steps, in order.
    pub steps: Arc<[Step]>,
    /// The records of a batch, at least one.
    pub size: usize,
}

impl BatchRequest {
    /// The records of a batch where there is no reason for others.
    pub const SIZE: usize = 10;
}

/// A record that was processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessedItem {
    /// The name of the record.
    pub id: String,
    /// Its number.
    pub value: f64,
    /// The result, unless the steps have no finite one.
    pub result: Option<f64>,
}

/// Consecutive records that were processed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// The number of the batch, from zero on.
    pub index: usize,
    /// Its records.
    pub items: Vec<ProcessedItem>,
    /// The share of all records that are done, from 0 to 1.
    pub progress: f64,
}

/// The records of a file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Ingested {
    /// The records.
    pub items: Items,
    /// Records without a number.
    pub missing: u64,
    /// Rows that could not be read.
    pub bad: BadRows,
    /// The statistics of the numbers.
    pub values: Statistics,
}

impl Payload for Ingested {
    fn size_hint(&self) -> u64 {
        (size_of::<Self>() + self.items.bytes()) as u64
    }
}
