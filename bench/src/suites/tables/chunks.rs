//! The numbers of a table in chunks, doubled, as lines of CSV.

use std::fmt::Write as _;
use std::fs;
use std::io::Cursor;
use std::sync::Arc;

use data::{
    DataProcessorCaller, Format, Generator, ProcessChunk, ResultFormat, Results, Rows, Source,
    Statistics, Step, Wanted, read,
};
use insula::block_on;
use insula::rpc::map;
use serde_json::Value;

use super::{Timed, Work};
use crate::case::{Case, Metric};
use crate::drivers::executor::THREADS;
use crate::insula::Shape;
use crate::measure::Clocks;
use crate::peers::python::{Input, Peer, Python, assert_near};

/// The records of the table, which is about 7.5 MB long.
const RECORDS: u64 = 500_000;

/// The chunks of the program, all of which are in the pool at once.
const CHUNKS: usize = 100;

const POLARS: Peer = Peer {
    name: "polars",
    package: "polars",
    key: "records",
    threads: "threads of its pool",
};

pub(super) fn case(python: &Python) -> Case {
    let work = Work {
        name: "CSV, in memory",
        metric: Metric::higher("records", "/s"),
        amount: RECORDS as f64,
        jobs,
        pool,
        kernel,
    };
    let (mut case, expected) = work.case();
    let input = Input::new(|folder| fs::write(folder.join("records.csv"), text()));
    python.add_to(
        &mut case,
        &POLARS,
        RECORDS as f64,
        &input,
        move |_, theirs| {
            let mut ours = Statistics::default();
            let parts = expected.results().iter();
            parts.for_each(|(statistics, _)| ours.merge(statistics));
            compare(&ours, theirs);
        },
    );
    case
}

/// Asserts that polars has the same statistics of the results.
fn compare(ours: &Statistics, theirs: &Value) {
    let numbers = [
        ("count", Some(ours.count() as f64)),
        ("mean", ours.mean()),
        ("standard_deviation", ours.standard_deviation()),
        ("min", ours.min()),
        ("max", ours.max()),
    ];
    for (name, ours) in numbers {
        let ours = ours.expect("there are records");
        assert_near(name, theirs[name].as_f64(), ours, 1e-12);
    }
}

fn text() -> String {
    let mut text = "id,value\n".to_owned();
    for items in Generator::new(RECORDS, 1) {
        for (id, value) in items.ids.iter().zip(&items.values) {
            writeln!(text, "{id},{value}").expect("a string has room");
        }
    }
    text
}

fn jobs() -> Vec<ProcessChunk> {
    let text = text();
    let size = text.len().div_ceil(CHUNKS);
    let text = Box::new(Cursor::new(text));
    let source = Source::text(text, Format::CSV, &Wanted::default(), size);
    let mut source = source.expect("the table has numbers");
    let layout = Arc::clone(source.layout());
    let steps: Arc<[Step]> = [Step::Scale(2.0)].into();
    let request = |chunk| ProcessChunk {
        chunk,
        layout: Arc::clone(&layout),
        steps: Arc::clone(&steps),
        results: ResultFormat::Csv { delimiter: b',' },
    };
    let next = || source.next_chunk().expect("memory can be read");
    std::iter::from_fn(next).map(request).collect()
}

fn pool(requests: Vec<ProcessChunk>) -> Timed<(Statistics, Results)> {
    Shape::Multi.run_beside(|| {
        block_on(async {
            let pool = data::start_pool(THREADS).await.expect("the workers start");
            let caller: DataProcessorCaller = pool.caller();
            let start = Clocks::start();
            let answers = map(requests, |it| caller.process(it)).concurrency(CHUNKS);
            let answers: Vec<_> = answers.collect().await;
            let answers = answers.into_iter();
            let results = answers.map(|answer| {
                let answer = answer.expect("the worker reads the chunk");
                (answer.results, answer.output)
            });
            let results = results.collect();
            let spent = start.stop();
            assert_eq!(pool.stats().traffic.bytes_copied, 0);
            (spent, results)
        })
    })
}

fn kernel(request: ProcessChunk) -> (Statistics, Results) {
    let output = Results::new(request.results, request.chunk.bytes());
    let mut rows = Rows::new(request.steps, request.layout, output);
    read(&request.chunk, &mut rows).expect("the chunk can be read");
    (rows.results, rows.output)
}
