//! Real tables: the programs of `apps/data` and `apps/analytics`, compared with the same kernels in
//! rayon.
//!
//! The tables are in memory and the threads exist before the clock starts; nothing is written. All
//! systems of a case have to have equal results.

use std::cell::{LazyCell, OnceCell};
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use analytics::{Algorithm, AnalyticsCaller, Features, LearnRequest, Learned, Split};
use data::{
    DataProcessorCaller, Format, Generator, ProcessChunk, ResultFormat, Results, Rows, Source,
    Statistics, Step, Wanted, read,
};
use insula::block_on;
use insula::rpc::map;

use crate::case::{Case, Kind, Metric};
use crate::drivers::executor::THREADS;
use crate::insula::Shape;
use crate::measure::{Clocks, Spent};
use crate::peers::rayon::Rayon;
use crate::peers::runtimes::Runtimes;
use crate::suites::{EFFICIENCY, PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "tables",
    about: "chunks of CSV and models, as the programs for tables compute them",
    cases,
};

/// The records of the table, which is about 7.5 MB long.
const RECORDS: u64 = 500_000;

/// The chunks of the program, all of which are in the pool at once.
const CHUNKS: usize = 100;

/// The trees of a forest, ten in each job as the program has them.
const TREES: u64 = 20;

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    let records = Metric::higher("records", "/s");
    let models = Metric::higher("models", "/s");
    vec![
        case("CSV, in memory", records, RECORDS as f64, csv()),
        case("20 x 10 trees", models, TREES as f64, forest()),
    ]
}

/// A kernel and its jobs, as one of the programs has them.
struct Work<J, R> {
    /// Made by the first repetition, so that listing the cases computes nothing.
    jobs: fn() -> Vec<J>,
    /// The program's way.
    pool: fn(Vec<J>) -> Timed<R>,
    kernel: fn(J) -> R,
}

/// Results, and what they took.
type Timed<R> = (Spent, Vec<R>);

fn case<J, R>(name: &'static str, metric: Metric, amount: f64, work: Work<J, R>) -> Case
where
    J: Clone + Send + 'static,
    R: Send + PartialEq + 'static,
{
    let mut case = Case::new("tables", name, &[metric, EFFICIENCY]);
    let Work { jobs, pool, kernel } = work;
    let jobs = Rc::new(LazyCell::new(jobs));
    let expected: Rc<OnceCell<Vec<R>>> = Rc::default();
    let mut add = |name: String, kind, package, run: Box<dyn Fn(Vec<J>) -> Timed<R>>| {
        let (jobs, expected) = (Rc::clone(&jobs), Rc::clone(&expected));
        case.add(name, kind, versions::of(package), move |_| {
            let (spent, results) = run(jobs.to_vec());
            let is_the_same = match expected.get() {
                Some(expected) => *expected == results,
                None => expected.set(results).is_ok(),
            };
            assert!(is_the_same, "all systems compute the same");
            spent.rates(amount)
        });
    };
    add(Shape::Multi.name(""), Kind::Pool, PACKAGE, Box::new(pool));
    let par_iter = move |jobs| {
        let pool = Rayon::new();
        let start = Clocks::start();
        let results = pool.map_all(jobs, kernel);
        (start.stop(), results)
    };
    add(
        "rayon par_iter".to_owned(),
        Kind::Pool,
        "rayon",
        Box::new(par_iter),
    );
    let one_thread = move |jobs: Vec<J>| {
        let start = Clocks::start();
        let results = jobs.into_iter().map(kernel).collect();
        (start.stop(), results)
    };
    add(
        "one thread".to_owned(),
        Kind::Limit,
        "std",
        Box::new(one_thread),
    );
    case
}

/// The numbers of a table, doubled, as lines of CSV.
fn csv() -> Work<ProcessChunk, (Statistics, Results)> {
    Work {
        jobs: || {
            let mut text = "id,value\n".to_owned();
            for items in Generator::new(RECORDS, 1) {
                for (id, value) in items.ids.iter().zip(&items.values) {
                    writeln!(text, "{id},{value}").expect("a string has room");
                }
            }
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
        },
        pool: |requests| {
            Shape::Multi.run_beside(|| {
                block_on(async {
                    let pool = data::start_pool(THREADS).await.expect("the workers start");
                    let caller: DataProcessorCaller = pool.caller();
                    let start = Clocks::start();
                    let mut answers = map(requests, |it| caller.process(it)).concurrency(CHUNKS);
                    let mut results = Vec::new();
                    while let Some(answer) = answers.next().await {
                        let answer = answer.expect("the worker reads the chunk");
                        results.push((answer.results, answer.output));
                    }
                    let spent = start.stop();
                    assert_eq!(pool.stats().traffic.bytes_copied, 0);
                    (spent, results)
                })
            })
        },
        kernel: |request| {
            let output = Results::new(request.results, request.chunk.bytes());
            let mut rows = Rows::new(request.steps, request.layout, output);
            read(&request.chunk, &mut rows).expect("the chunk can be read");
            (rows.results, rows.output)
        },
    }
}

/// Forests over 2,000 rows with a known formula.
fn forest() -> Work<LearnRequest, Learned> {
    Work {
        jobs: || {
            let row = |row: u32| (1..=6).map(move |it| f64::from(row * it % 101) / 101.0);
            let target = |at: u32| {
                row(at)
                    .zip(1..)
                    .map(|(it, weight)| it * f64::from(weight))
                    .sum()
            };
            let features = Arc::new(Features {
                names: (0..6).map(|it| format!("x{it}")).collect(),
                values: (0..2_000).flat_map(row).collect(),
                targets: (0..2_000).map(target).collect(),
            });
            let split = Arc::new(Split::draw(features.rows(), 0.25, 0));
            let request = |seed| LearnRequest {
                features: Arc::clone(&features),
                split: Arc::clone(&split),
                algorithm: Algorithm::RandomForest { trees: 10, seed },
            };
            (0..TREES).map(request).collect()
        },
        pool: |requests| {
            Shape::Multi.run_beside(|| {
                block_on(async {
                    let pool = analytics::start_pool(THREADS)
                        .await
                        .expect("the workers start");
                    let caller: AnalyticsCaller = pool.caller();
                    let start = Clocks::start();
                    let mut answers = map(requests, |request| caller.learn(request));
                    let mut results = Vec::new();
                    while let Some(answer) = answers.next().await {
                        results.push(answer.expect("the worker learns"));
                    }
                    (start.stop(), results)
                })
            })
        },
        kernel: |request| {
            let learned = request.features.learn(&request.split, request.algorithm);
            learned.expect("there are enough rows")
        },
    }
}
