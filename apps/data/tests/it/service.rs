//! Risk: a pool that loses chunks, mixes them up or copies them, and streams that do not end.

use std::io::{self, Read};
use std::iter::repeat;
use std::pin::pin;
use std::sync::Arc;

use data::{
    Batch, BatchRequest, Chunk, ComputeError, ComputeRequest, DataError, DataProcessorCaller,
    Format, Generator, Items, MAX_CHUNK, Operation, ProcessChunk, ResultFormat, Results, Rows,
    Source, Statistics, Step, Texts, Wanted, read, start_pool,
};
use futures_util::future::{join, join_all};
use insula::rpc::map;
use insula::rpc::wire::{decode, encode};
use insula::{CallError, block_on};
use tempfile::TempDir;

use crate::support::{expected, reference, wanted};

/// So many made-up measurements as CSV.
fn csv(items: u64) -> String {
    let mut text = "id,value\n".to_owned();
    for items in Generator::new(items, 1) {
        for (id, value) in items.ids.iter().zip(&items.values) {
            text.push_str(&format!("{id},{value}\n"));
        }
    }
    text
}

fn source(text: String, size: usize) -> Source {
    let reader = Box::new(std::io::Cursor::new(text));
    Source::text(reader, Format::CSV, &Wanted::default(), size).unwrap()
}

fn chunks(source: &mut Source) -> Vec<Chunk> {
    std::iter::from_fn(|| source.next_chunk().unwrap()).collect()
}

#[test]
fn a_hundred_chunks_are_processed_at_once_and_none_is_copied() {
    let text = csv(10_000);
    let bytes = text.len();
    let mut source = source(text, bytes.div_ceil(100));
    let chunks = chunks(&mut source);
    assert!((90..=101).contains(&chunks.len()), "{}", chunks.len());
    let steps: Arc<[Step]> = [Step::Scale(2.0)].into();
    block_on(async {
        let pool = start_pool(4).await.unwrap();
        let caller: DataProcessorCaller = pool.caller();
        let calls = chunks.iter().map(|chunk| {
            caller.process(ProcessChunk {
                chunk: chunk.clone(),
                layout: Arc::clone(source.layout()),
                steps: Arc::clone(&steps),
                results: ResultFormat::Columns,
            })
        });
        let mut found = Items::default();
        for answer in join_all(calls).await {
            let answer = answer.unwrap();
            let Results::Columns(columns) = answer.output else {
                panic!("columns were asked for")
            };
            let values = &columns.items.values;
            assert!(
                values
                    .iter()
                    .zip(&columns.results)
                    .all(|(it, result)| 2.0 * it == *result)
            );
            found.append(&columns.items);
        }
        let mut generator = Generator::new(10_000, 1);
        assert_eq!(Some(found), generator.next());
        let stats = pool.stats();
        assert_eq!(stats.answered, chunks.len() as u64);
        assert_eq!(stats.traffic.bytes_copied, 0);
        // The text there, and the columns back.
        assert!(stats.traffic.bytes_moved > bytes as u64 + 10_000 * 16);
    });
}

#[test]
fn batches_come_in_order_with_their_progress_and_end() {
    let mut items = Items::default();
    (0..25).for_each(|number| items.push(&format!("i{number}"), f64::from(number) - 1.0));
    block_on(async {
        let pool = start_pool(2).await.unwrap();
        let caller: DataProcessorCaller = pool.caller();
        let request = |items: &Items, size| BatchRequest {
            items: Arc::new(items.clone()),
            steps: [Step::Sqrt].into(),
            size,
        };
        let mut batches = caller.batches(request(&items, 10)).await.unwrap();
        let mut all: Vec<Batch> = Vec::new();
        while let Some(batch) = batches.next().await {
            all.push(batch.unwrap());
        }
        let shape: Vec<_> = all
            .iter()
            .map(|it| (it.index, it.items.len(), it.progress))
            .collect();
        assert_eq!(shape, [(0, 10, 0.4), (1, 10, 0.8), (2, 5, 1.0)]);
        let results: Vec<_> = all.iter().flat_map(|it| &it.items).collect();
        assert_eq!((results[0].id.as_str(), results[0].result), ("i0", None));
        assert_eq!(
            (results[17].id.as_str(), results[17].result),
            ("i17", Some(4.0))
        );
        for (size, batches) in [(0, 25), (1, 25), (1_000, 1)] {
            let mut stream = caller.batches(request(&items, size)).await.unwrap();
            let mut count = 0;
            while stream.next().await.transpose().unwrap().is_some() {
                count += 1;
            }
            assert_eq!(count, batches);
        }
        let mut none = caller
            .batches(request(&Items::default(), 10))
            .await
            .unwrap();
        assert!(none.next().await.is_none());
    });
}

#[test]
fn a_reader_that_stops_early_gives_the_worker_back() {
    let mut items = Items::default();
    (0..100_000).for_each(|number| items.push("x", f64::from(number)));
    block_on(async {
        let pool = start_pool(1).await.unwrap();
        let caller: DataProcessorCaller = pool.caller();
        let request = BatchRequest {
            items: Arc::new(items),
            steps: Arc::default(),
            size: 1,
        };
        let mut batches = caller.batches(request).await.unwrap();
        assert!(batches.next().await.unwrap().is_ok());
        drop(batches);
        let request = ComputeRequest {
            operation: Operation::Mean,
            parameters: [1.0, 2.0].into(),
        };
        let computed = caller.compute(request).await.unwrap();
        assert_eq!((computed.result, computed.parameters), (1.5, 2));
        let request = ComputeRequest {
            operation: Operation::Deviation,
            parameters: [1.0].into(),
        };
        let error = caller.compute(request).await.unwrap_err();
        let expected = DataError::Compute(ComputeError::TooFew {
            found: 1,
            needed: 2,
        });
        assert!(matches!(error, CallError::App(error) if error == expected));
    });
}

/// While nothing reads a stream, its worker makes no batches and is free for other calls.
#[test]
fn a_reader_that_waits_holds_no_worker() {
    let mut items = Items::default();
    (0..100_000).for_each(|number| items.push("x", f64::from(number)));
    block_on(async {
        let pool = start_pool(1).await.unwrap();
        let caller: DataProcessorCaller = pool.caller();
        let request = BatchRequest {
            items: Arc::new(items),
            steps: Arc::default(),
            size: 1,
        };
        let mut batches = caller.batches(request).await.unwrap();
        assert!(batches.next().await.unwrap().is_ok());
        for number in 0..100 {
            let request = ComputeRequest {
                operation: Operation::Sum,
                parameters: [f64::from(number), 1.0].into(),
            };
            let computed = caller.compute(request).await.unwrap();
            assert_eq!(computed.result, f64::from(number) + 1.0);
        }
        let mut count = 1;
        while let Some(batch) = batches.next().await {
            assert_eq!(batch.unwrap().index, count);
            count += 1;
        }
        assert_eq!(count, 100_000);
    });
}

/// A table of many lines, which are never all in memory.
struct Lines {
    left: usize,
}

impl Lines {
    const TEN: &[u8] = b"a,0\na,1\na,2\na,3\na,4\na,5\na,6\na,7\na,8\na,9\n";

    fn table(records: usize) -> impl Read + Send {
        let left = records / 10 * Self::TEN.len();
        (&b"id,n\n"[..]).chain(Self { left })
    }
}

impl Read for Lines {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        // The end of the text is that of ten lines.
        let start = (Self::TEN.len() - self.left % Self::TEN.len()) % Self::TEN.len();
        let parts = [&Self::TEN[start..]].into_iter().chain(repeat(Self::TEN));
        for part in parts {
            let length = part.len().min(buffer.len() - read).min(self.left);
            if length == 0 {
                break;
            }
            buffer[read..read + length].copy_from_slice(&part[..length]);
            read += length;
            self.left -= length;
        }
        Ok(read)
    }
}

#[test]
fn ten_million_items_are_processed_in_bounded_memory() {
    // Without optimization, these take as long as ten million with it.
    const ITEMS: usize = if cfg!(debug_assertions) {
        1_000_000
    } else {
        10_000_000
    };
    let reader = Box::new(Lines::table(ITEMS));
    let mut source = Source::text(reader, Format::CSV, &Wanted::default(), MAX_CHUNK).unwrap();
    let layout = Arc::clone(source.layout());
    let mut all = Statistics::default();
    block_on(async {
        let pool = start_pool(2).await.unwrap();
        let caller: DataProcessorCaller = pool.caller();
        let requests = std::iter::from_fn(|| source.next_chunk().unwrap()).map(|chunk| {
            assert!(chunk.bytes() <= MAX_CHUNK);
            ProcessChunk {
                chunk,
                layout: Arc::clone(&layout),
                steps: [Step::Scale(2.0)].into(),
                results: ResultFormat::None,
            }
        });
        let mut answers = pin!(map(requests, |it| caller.process(it)).concurrency(4));
        while let Some(answer) = answers.next().await {
            all.merge(&answer.unwrap().results);
        }
    });
    assert_eq!(all.count(), ITEMS as u64);
    assert_eq!((all.min(), all.max()), (Some(0.0), Some(18.0)));
    assert!((all.mean().unwrap() - 9.0).abs() < 1e-9);
}

#[test]
fn what_is_ingested_is_what_was_sent() {
    let names = [
        "measurements.csv",
        "measurements.jsonl",
        "pyarrow-snappy.parquet",
    ];
    for name in names {
        let path = reference(name);
        let format = Format::of_path(&path).unwrap();
        let mut source = Source::open(&path, format, &wanted("name", "reading"), 50).unwrap();
        let ingested = block_on(async {
            let pool = start_pool(1).await.unwrap();
            let caller: DataProcessorCaller = pool.caller();
            let (mut sender, call) = caller.ingest(Arc::clone(source.layout())).open();
            let send = async {
                while let Some(chunk) = source.next_chunk().unwrap() {
                    sender.send(chunk).await.unwrap();
                }
                sender.finish();
            };
            let ((), ingested) = join(send, call).await;
            ingested.unwrap()
        });
        let count = expected()["values"]["count"].as_u64().unwrap();
        assert_eq!(
            (ingested.items.len() as u64, ingested.missing),
            (count, 20),
            "{name}"
        );
    }
}

#[test]
fn a_part_of_a_table_does_not_look_like_all_of_it() {
    let mut source = source(csv(1_000), 100);
    block_on(async {
        let pool = start_pool(1).await.unwrap();
        let caller: DataProcessorCaller = pool.caller();
        let (mut sender, call) = caller.ingest(Arc::clone(source.layout())).open();
        let call = call.start();
        sender
            .send(source.next_chunk().unwrap().unwrap())
            .await
            .unwrap();
        sender.abort("the disk is gone");
        match call.await.unwrap_err() {
            CallError::App(DataError::Incomplete(error)) => {
                assert!(error.to_string().contains("the disk is gone"), "{error}");
            }
            error => panic!("{error}"),
        }
    });
}

#[test]
fn a_row_group_that_comes_from_another_process_is_one_of_the_same_file() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a.parquet");
    let [gzip, zstd] = ["pyarrow-gzip.parquet", "pyarrow-zstd.parquet"].map(reference);
    std::fs::copy(gzip, &path).unwrap();
    let mut source = Source::open(&path, Format::Parquet, &wanted("name", "reading"), 1).unwrap();
    let chunk: Chunk = decode(&encode(&source.next_chunk().unwrap().unwrap()).unwrap()).unwrap();
    let layout = source.layout();
    let read = |chunk| {
        let results = Results::new(ResultFormat::None, 0);
        let mut rows = Rows::new(Arc::default(), Arc::clone(layout), results);
        read(chunk, &mut rows).map(|()| rows.values.count())
    };
    assert!(read(&chunk).unwrap() > 0);
    std::fs::remove_file(&path).unwrap();
    std::fs::copy(zstd, &path).unwrap();
    let error = read(&chunk).unwrap_err().to_string();
    assert!(
        error.ends_with("the file has changed since it was opened"),
        "{error}"
    );
}

#[test]
fn texts_from_another_process_end_where_they_say() {
    let mut texts = Texts::default();
    for text in ["a", "", "\u{e9}"] {
        texts.push(text);
    }
    assert_eq!(decode::<Texts>(&encode(&texts).unwrap()).unwrap(), texts);
    for wrong in [&[1, 4][..], &[1], &[2, 1, 3], &[2, 3], &[]] {
        let bytes = encode(&("a\u{e9}", wrong)).unwrap();
        assert!(decode::<Texts>(&bytes).is_err(), "{wrong:?}");
    }
}
