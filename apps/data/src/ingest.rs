//! `data ingest`, `data batches` and `data compute`: what one worker does with a whole table.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use command::Outcome;
use data::{
    BadRows, Batch, BatchRequest, Chunk, ComputeRequest, Computed, Contents, DataPool,
    DataProcessorCaller, Ingested, ProcessedItem, Source, Tally, start_pool,
};
use futures_util::future::join;
use insula::rpc::Sender;

use crate::cli::{self, Batches, Compute, Fields, Ingest};
use crate::failure::Failure;
use crate::process::{UNWRITABLE, create, finish, outcome, report_bad, show};
use crate::{print, reading};

/// Reads a table as it comes.
///
/// # Errors
/// Returns a message for the user if the table cannot be read or the result not be written.
pub(crate) async fn ingest(options: &Ingest) -> Result<Outcome, Failure> {
    let path = &options.input.path;
    let mut output = None;
    if let Some(path) = &options.out.out {
        let created = create(path, cli::format_of(path)?, Contents::Records)?;
        output = Some((path, created));
    }
    let pool = start_pool(1).await?;
    let start = Instant::now();
    let Read { ingested, tally } = read(&pool, path, &options.input.fields).await?;
    if let Some((path, mut output)) = output {
        let written = output.write_items(&ingested.items);
        written.map_err(|error| Failure::file(path, UNWRITABLE, &error))?;
        finish(path, output)?;
    }
    report_bad(path, tally.bad());
    let summary = tally.summary(start.elapsed(), pool.stats());
    show(&summary, options.out.show());
    Ok(outcome(&summary))
}

/// Processes a table in batches, and prints each as it comes.
///
/// # Errors
/// Returns a message for the user if the table cannot be read.
pub(crate) async fn batches(options: &Batches) -> Result<Outcome, Failure> {
    let pool = start_pool(1).await?;
    let path = &options.input.path;
    let Read { ingested, tally } = read(&pool, path, &options.input.fields).await?;
    report_bad(path, tally.bad());
    let caller: DataProcessorCaller = pool.caller();
    let request = BatchRequest {
        items: Arc::new(ingested.items),
        steps: options.steps.as_slice().into(),
        size: options.batch,
    };
    let mut batches = caller.batches(request).await?;
    while let Some(batch) = batches.next().await {
        match options.json {
            true => print(json(&batch?)),
            false => print(line(&batch?)),
        }
    }
    Ok(match tally.bad().count {
        0 => Outcome::Done,
        _ => Outcome::SomeFailed,
    })
}

fn line(batch: &Batch) -> String {
    let ends = [batch.items.first(), batch.items.last()];
    let [first, last] = ends.map(|item| item.map_or("", |item| &item.id).escape_debug());
    let results = batch.items.iter().filter_map(|item| item.result);
    let (count, sum) = results.fold((0, 0.0), |(count, sum), it| (count + 1, sum + it));
    let mean = match count {
        0 => "no result".to_owned(),
        count => format!("mean {:.6}", sum / f64::from(count)),
    };
    let (index, progress) = (batch.index, 100.0 * batch.progress);
    format!("batch {index}: {first} to {last}, {count} results, {mean}, {progress:.1} % done")
}

fn json(batch: &Batch) -> String {
    let item = |item: &ProcessedItem| serde_json::json!({"id": item.id, "value": item.value, "result": item.result});
    serde_json::json!({
        "index": batch.index,
        "items": batch.items.iter().map(item).collect::<Vec<_>>(),
        "progress": batch.progress,
    })
    .to_string()
}

/// Computes a named operation.
///
/// # Errors
/// Returns a message for the user if it cannot be computed.
pub(crate) async fn compute(options: &Compute) -> Result<Outcome, Failure> {
    let pool = start_pool(1).await?;
    let (
        Computed {
            result,
            operation,
            parameters,
        },
        outcome,
    ) = computed(options, &pool).await?;
    match options.json {
        true => print(serde_json::json!({
            "operation": operation.to_string(),
            "result": result,
            "parameters": parameters,
        })),
        false => print(result),
    }
    Ok(outcome)
}

async fn computed(options: &Compute, pool: &DataPool) -> Result<(Computed, Outcome), Failure> {
    let mut outcome = Outcome::Done;
    let parameters = match &options.file {
        None => options.numbers.as_slice().into(),
        Some(path) => {
            let Read { ingested, tally } = read(pool, path, &options.fields).await?;
            report_bad(path, tally.bad());
            if tally.bad().count > 0 {
                outcome = Outcome::SomeFailed;
            }
            ingested.items.values.into()
        }
    };
    let caller: DataProcessorCaller = pool.caller();
    let request = ComputeRequest {
        operation: options.operation,
        parameters,
    };
    Ok((caller.compute(request).await?, outcome))
}

/// A table that was read.
struct Read {
    ingested: Ingested,
    tally: Tally,
}

/// Sends the chunks of a table to a worker, which returns its records.
async fn read(pool: &DataPool, path: &Path, fields: &Fields) -> Result<Read, Failure> {
    // One worker reads all of it, so that the size of the chunks matters little.
    let source = reading::open(path, fields, usize::MAX).await?;
    let caller: DataProcessorCaller = pool.caller();
    let (sender, call) = caller.ingest(Arc::clone(source.layout())).open();
    // At the same time, since the worker's answer may come before the end of the table.
    let (sent, answer) = join(send(source, sender), call).await;
    let Sent { bytes, bad } = sent.map_err(|error| Failure::file(path, "cannot read", &error))?;
    let ingested = answer.map_err(|error| {
        let Failure(message) = error.into();
        Failure(format!("{}: {message}", path.display()))
    })?;
    let mut tally = Tally::default();
    tally.add_ingested(bytes, &ingested);
    tally.add_bad(bad);
    Ok(Read { ingested, tally })
}

/// What was sent, and the rows that were in no chunk.
#[derive(Default)]
struct Sent {
    bytes: u64,
    bad: BadRows,
}

async fn send(mut source: Source, mut sender: Sender<Chunk>) -> io::Result<Sent> {
    let mut sent = Sent::default();
    loop {
        let chunk;
        (source, chunk) = match reading::next(source).await {
            Ok((source, Some(chunk))) => (source, chunk),
            Ok((mut source, None)) => {
                sent.bad = source.take_bad();
                break;
            }
            Err(error) => {
                // Not `finish`: a part of the table must not look like all of it.
                sender.abort("the table cannot be read");
                return Err(error);
            }
        };
        sent.bytes += chunk.bytes() as u64;
        // Waits while the worker has chunks to read. If the call has ended, its answer says why.
        if sender.send(chunk).await.is_err() {
            return Ok(sent);
        }
    }
    sender.finish();
    Ok(sent)
}
