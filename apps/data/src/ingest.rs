//! `data ingest` and `data batches`: what one worker does with a whole table.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use command::{Outcome, Progress};
use data::{
    AT_ONCE, BadRows, Batch, BatchRequest, Chunk, Contents, DataPool, DataProcessorCaller,
    Ingested, Layout, ProcessedItem, Source, Tally, start_pool_of,
};
use futures_util::StreamExt;
use futures_util::future::join;
use insula::Isolate;
use insula::rpc::Sender;
use insula::runtime::blocking;

use crate::cli::{self, Batches, Ingest, Input};
use crate::failure::Failure;
use crate::process::{UNWRITABLE, create, finish, outcome, show};
use crate::{NAME, reading};

/// Reads a table as it comes.
///
/// # Errors
/// Returns a message for the user if the table cannot be read or the result not be written.
pub(crate) async fn ingest(options: &Ingest) -> Result<Outcome, Failure> {
    let mut output = None;
    if let Some(path) = &options.out.out {
        let created = create(path, cli::format_of(path)?, Contents::Records)?;
        output = Some((path, created));
    }
    let started = start_pool_of(&options.worker, 1).await?;
    let start = Instant::now();
    let Read {
        ingested,
        tally,
        layout,
    } = read(&started.pool, &options.input, options.out.quiet).await?;
    if let Some((path, mut output)) = output {
        let written = output.write_items(&ingested.items);
        written.map_err(|error| Failure::file(path, UNWRITABLE, &error))?;
        finish(path, output)?;
    }
    let summary = tally.summary(layout, start.elapsed(), started.pool.stats());
    started.end().await;
    show(&summary, options.out.show());
    Ok(outcome(&summary))
}

/// Processes a table in batches, and prints each as it comes.
///
/// # Errors
/// Returns a message for the user if the table cannot be read.
pub(crate) async fn batches(options: &Batches) -> Result<Outcome, Failure> {
    let started = start_pool_of(&options.worker, 1).await?;
    let Read {
        ingested,
        tally,
        layout,
    } = read(&started.pool, &options.input, false).await?;
    reading::report_field(&options.input.path, &options.input.fields, &layout);
    let progress = match io::stdout().is_terminal() {
        // There, each line tells the progress, and a bar would come between them.
        true => Progress::hidden(NAME),
        false => Progress::new(NAME, ingested.items.len() as u64, "records", ""),
    };
    let caller: DataProcessorCaller = started.pool.caller();
    let request = BatchRequest {
        items: Arc::new(ingested.items),
        steps: options.steps.as_slice().into(),
        size: options.batch,
    };
    // Those that are there are written at once, at most so many.
    let mut batches = caller.batches(request).await?.ready_chunks(AT_ONCE);
    while let Some(ready) = batches.next().await {
        let mut lines = String::new();
        let mut records = 0;
        for batch in ready {
            let batch = batch?;
            lines += &match options.json {
                true => json(&batch),
                false => line(&batch),
            };
            lines.push('\n');
            records += batch.items.len() as u64;
        }
        match write(lines).await {
            Ok(()) => progress.add(records),
            // The reader of the output is gone, so the other batches are not needed.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            Err(error) => {
                let output = Path::new("standard output");
                return Err(Failure::file(output, UNWRITABLE, &error));
            }
        }
    }
    progress.end();
    drop(batches);
    started.end().await;
    Ok(match tally.bad().count {
        0 => Outcome::Done,
        _ => Outcome::SomeFailed,
    })
}

/// Writes to standard output in an isolate of its own. The reader of the output may stop to read for
/// ever, and a request to stop has to be seen meanwhile.
async fn write(text: String) -> io::Result<()> {
    let write = move || {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    };
    let written = Isolate::run(move || blocking(write)).await;
    written.map_err(io::Error::other)?
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

/// A table that was read.
struct Read {
    ingested: Ingested,
    tally: Tally,
    layout: Arc<Layout>,
}

/// Sends the chunks of a table to a worker, which returns its records, and names the bad rows.
async fn read(pool: &DataPool, input: &Input, is_quiet: bool) -> Result<Read, Failure> {
    let path = &input.path;
    // One worker reads all of it, so that the size of the chunks matters little.
    let source = reading::open(path, &input.fields, usize::MAX).await?;
    let layout = Arc::clone(source.layout());
    let progress = match is_quiet {
        true => Progress::hidden(NAME),
        false => reading::progress(source.extent(), ""),
    };
    let caller: DataProcessorCaller = pool.caller();
    let (sender, call) = caller.ingest(Arc::clone(&layout)).open();
    // At the same time, since the worker's answer may come before the end of the table.
    let (sent, answer) = join(send(source, sender, &progress), call).await;
    let Sent { bytes, bad } = sent.map_err(|error| Failure::file(path, "cannot read", &error))?;
    let ingested = answer.map_err(|error| {
        let Failure(message) = error.into();
        Failure(format!("{}: {message}", path.display()))
    })?;
    let mut tally = Tally::default();
    tally.add_ingested(bytes, &ingested);
    tally.add_bad(bad);
    // Not before, because the worker names its own at the end.
    reading::report_bad(&progress, path, tally.bad(), 0);
    reading::report_more(&progress, path, tally.bad());
    progress.end();
    Ok(Read {
        ingested,
        tally,
        layout,
    })
}

/// What was sent, and the rows that were in no chunk.
#[derive(Default)]
struct Sent {
    bytes: u64,
    bad: BadRows,
}

async fn send(
    mut source: Source,
    mut sender: Sender<Chunk>,
    progress: &Progress,
) -> io::Result<Sent> {
    let mut sent = Sent::default();
    loop {
        let next = match reading::next(source).await {
            Ok(next) => next,
            Err(error) => {
                // Not `finish`: a part of the table must not look like all of it.
                sender.abort("the table cannot be read");
                return Err(error);
            }
        };
        source = next.source;
        sent.bad.merge(next.bad);
        let Some(chunk) = next.chunk else {
            break;
        };
        let amount = chunk.amount();
        sent.bytes += chunk.bytes() as u64;
        // Waits while the worker has chunks to read. If the call has ended, its answer says why.
        if sender.send(chunk).await.is_err() {
            return Ok(sent);
        }
        progress.add(amount);
    }
    sender.finish();
    Ok(sent)
}
