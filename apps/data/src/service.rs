//! The service behind the program: its contract, a worker's state, and the pool.
//!
//! The contract has the operations of the `DataProcessor` and the `LargeDataProcessor` of
//! rpc_dart's documentation. Where it differs, the reason is one of these:
//!
//! | there | here | reason |
//! |---|---|---|
//! | `processData`, `processChunk`, `processLargeDataset` | [`process`](DataProcessor::process), for each [`Chunk`] | a caller gives the pool as many chunks as it likes, instead of one list of all records |
//! | `processBatch`, `batchSize` | [`batches`](DataProcessor::batches), [`BatchRequest::SIZE`] | |
//! | `processItem` | [`batches`](DataProcessor::batches) of one record | a call for each record costs more than its work |
//! | `DataItem{id, value, metadata}` | [`Items`] | columns have no allocation for each record; fields that no step uses are skipped while a file is read |
//! | `startTime`, `processed_at`, `processingTimeMs`, `computation_time` | the latencies in the statistics of the pool, and the caller's own clock | the clocks of two machines differ |
//! | `workerId`, `processed_by` | `worker` of [`Detailed`](insula::rpc::Detailed), and the workers in the statistics of the pool | it comes with each answer, of any contract |
//! | `record_count` | the counts of [`Statistics`](crate::Statistics) in [`Processed`] | |
//! | `computation_type`, `parameter_count` | [`Computed`] | |

use std::sync::Arc;

use command::{KindOptions, Services, StartError, Started};
use futures_util::{Stream, StreamExt, stream};
use insula::pool::{BuildError, FactoryError, Measure, PoolBuilder, WorkerContext};
use insula::{Context, Inbound, WorkerPool, contract};

use crate::output::{ResultFormat, Results};
use crate::{
    Batch, BatchRequest, Chunk, ComputeRequest, Computed, DataError, Ingested, Items, Layout,
    ProcessChunk, Processed, ProcessedItem, Rows, apply, read,
};

/// The most chunks of a text that are in a pool at once.
pub const AT_ONCE: usize = 100;

/// A service that processes records.
#[contract(version = 1, wire)]
pub trait DataProcessor {
    /// Reads a chunk of a file and applies steps to its records.
    ///
    /// # Cancellation
    /// A chunk that a worker has begun is processed to its end.
    ///
    /// # Errors
    /// [`DataError::RowGroup`].
    #[work(cpu)]
    #[idempotent]
    async fn process(&self, cx: &Context, request: ProcessChunk) -> Result<Processed, DataError>;

    /// Computes a named operation.
    ///
    /// # Errors
    /// [`DataError::Compute`].
    #[work(cpu)]
    #[idempotent]
    async fn compute(&self, cx: &Context, request: ComputeRequest) -> Result<Computed, DataError>;

    /// Processes records in batches, one after the other, each when its reader wants one more.
    ///
    /// # Errors
    /// [`DataError::Cancelled`].
    async fn batches(
        &self,
        cx: &Context,
        request: BatchRequest,
    ) -> Result<impl Stream<Item = Result<Batch, DataError>>, DataError>;

    /// Reads the chunks of a file as they come, and keeps its records.
    ///
    /// # Errors
    /// [`DataError::Incomplete`] if the caller has not finished its stream, and
    /// [`DataError::RowGroup`].
    async fn ingest(
        &self,
        cx: &Context,
        layout: Arc<Layout>,
        chunks: Inbound<Chunk>,
    ) -> Result<Ingested, DataError>;
}

/// The service of one worker. It has no state, since each request brings its data.
#[derive(Clone, Copy, Debug, Default)]
pub struct DataWorker;

impl DataProcessor for DataWorker {
    async fn process(&self, _cx: &Context, request: ProcessChunk) -> Result<Processed, DataError> {
        let ProcessChunk {
            chunk,
            layout,
            steps,
            results,
        } = request;
        let mut rows = Rows::new(steps, layout, Results::new(results, chunk.bytes()));
        // A long computation without an announcement: the runtime detects it and keeps other
        // isolates running.
        read(&chunk, &mut rows)?;
        Ok(Processed {
            missing: rows.missing,
            bad: rows.bad,
            values: rows.values,
            results: rows.results,
            output: rows.output,
        })
    }

    async fn compute(&self, _cx: &Context, request: ComputeRequest) -> Result<Computed, DataError> {
        Ok(Computed {
            result: request.operation.compute(&request.parameters)?,
            operation: request.operation,
            parameters: request.parameters.len(),
        })
    }

    async fn batches(
        &self,
        cx: &Context,
        request: BatchRequest,
    ) -> Result<impl Stream<Item = Result<Batch, DataError>>, DataError> {
        let (size, length) = (request.size.max(1), request.items.len());
        let starts = (0..length).step_by(size).enumerate();
        Ok(stream::iter(starts).map(move |(index, start)| {
            cx.check()?;
            let end = length.min(start + size);
            let items = (start..end).map(|item| processed(&request, item));
            Ok(Batch {
                index,
                items: items.collect(),
                progress: end as f64 / length as f64,
            })
        }))
    }

    async fn ingest(
        &self,
        _cx: &Context,
        layout: Arc<Layout>,
        mut chunks: Inbound<Chunk>,
    ) -> Result<Ingested, DataError> {
        let results = Results::new(ResultFormat::Items, 0);
        let mut rows = Rows::new(Arc::default(), layout, results);
        while let Some(chunk) = chunks.next().await {
            read(&chunk?, &mut rows)?;
        }
        Ok(Ingested {
            missing: rows.missing,
            bad: rows.bad,
            values: rows.values,
            items: match rows.output {
                Results::Items(items) => items,
                // `Results::new` has made items.
                _ => Items::default(),
            },
        })
    }
}

fn processed(request: &BatchRequest, item: usize) -> ProcessedItem {
    let value = request.items.values[item];
    ProcessedItem {
        id: request.items.ids.get(item).unwrap_or_default().to_owned(),
        value,
        result: apply(&request.steps, value).ok(),
    }
}

/// Workers that process records, each one call at a time.
pub type DataPool = WorkerPool<DataProcessorRequest>;

/// Starts a pool of `workers` (at least one) that times every call.
///
/// # Errors
/// See [`BuildError`].
pub async fn start_pool(workers: usize) -> Result<DataPool, BuildError> {
    let builder = builder(workers).service::<DataProcessorResponder<_>>(factory);
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
) -> Result<Started<DataProcessorRequest>, StartError> {
    let builder = builder(workers);
    let started = kind.start::<DataProcessorResponder<_>>(builder, MOST_BYTES, factory);
    started.await
}

fn builder(workers: usize) -> PoolBuilder {
    WorkerPool::builder()
        .name("data")
        .workers(workers)
        // A chunk takes milliseconds, beside which the two looks at the clock are nothing.
        .measure(Measure::All)
}

/// The most bytes of a value that goes to another process or comes from there. The largest are the
/// results of a row group.
pub const MOST_BYTES: usize = 1 << 30;

/// Serves records, where a worker is not in the process of its pool.
pub fn serve(services: &mut impl Services) {
    services.serve::<DataProcessorResponder<_>>(factory);
}

async fn factory(_cx: WorkerContext) -> Result<DataWorker, FactoryError> {
    Ok(DataWorker)
}
