//! A file of CSV, read, and the statistics of its columns: what `analytics report` does first.

use std::cell::OnceCell;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use analytics::{AnalyticsCaller, Column, Description, Table};
use insula::block_on;
use insula::rpc::map;
use serde_json::Value;

use super::{Timed, noise};
use crate::case::{Case, Kind, Metric};
use crate::drivers::executor::THREADS;
use crate::insula::Shape;
use crate::measure::Clocks;
use crate::peers::python::{Input, Peer, Python, assert_near};
use crate::peers::rayon::Rayon;
use crate::suites::{EFFICIENCY, PACKAGE};
use crate::versions;

const ROWS: u64 = 100_000;
const COLUMNS: u64 = 6;
const FILE: &str = "table.csv";

const POLARS: Peer = Peer {
    name: "polars",
    package: "polars",
    key: "statistics",
    threads: "threads of its pool",
};

pub(super) fn case(python: &Python) -> Case {
    let metrics = [Metric::higher("rows", "/s"), EFFICIENCY];
    let mut case = Case::new("tables", "statistics of a file", &metrics);
    let input = Input::new(|folder| write(&folder.join(FILE)));
    let expected: Rc<OnceCell<Vec<Description>>> = Rc::default();
    let mut add = |name: String, kind, package, run: fn(&Path) -> Timed<Description>| {
        let (input, expected) = (Rc::clone(&input), Rc::clone(&expected));
        case.add(name, kind, versions::of(package), move |_| {
            let (spent, found) = run(&input.folder().join(FILE));
            let is_the_same = match expected.get() {
                Some(expected) => *expected == found,
                None => expected.set(found).is_ok(),
            };
            assert!(is_the_same, "all systems have the same statistics");
            spent.rates(ROWS as f64)
        });
    };
    add(Shape::Multi.name(""), Kind::Pool, PACKAGE, insula_pool);
    add("rayon par_iter".to_owned(), Kind::Pool, "rayon", par_iter);
    add("one thread".to_owned(), Kind::Limit, "std", one_thread);
    let file = Rc::clone(&input);
    python.add_to(&mut case, &POLARS, ROWS as f64, &input, move |_, theirs| {
        let compute = || one_thread(&file.folder().join(FILE)).1;
        let ours = expected.get_or_init(compute).iter();
        (0..)
            .zip(ours)
            .for_each(|(column, ours)| compare(column, ours, theirs));
    });
    case
}

/// Writes columns of different distributions, each with a few values missing.
fn write(path: &Path) -> io::Result<()> {
    let names: Vec<_> = (0..COLUMNS).map(|column| format!("x{column}")).collect();
    let mut text = names.join(",");
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            text.push(if column == 0 { '\n' } else { ',' });
            let number = noise(row * COLUMNS + column);
            if number > 0.01 {
                let value = number.powi(column as i32 + 1);
                write!(text, "{value:.6}").expect("a string has room");
            }
        }
    }
    fs::write(path, text + "\n")
}

fn table(path: &Path) -> Arc<Table> {
    let file = File::open(path).expect("the file was written");
    Arc::new(Table::read(file, b',', None).expect("the file is a table"))
}

fn describe(column: &Column) -> Description {
    Description::of(&column.values).expect("the column has numbers")
}

/// The program's way: one isolate reads, and the workers describe a column each.
fn insula_pool(path: &Path) -> Timed<Description> {
    Shape::Multi.run_beside(|| {
        block_on(async {
            let pool = analytics::start_pool(THREADS)
                .await
                .expect("the workers start");
            let caller: AnalyticsCaller = pool.caller();
            let start = Clocks::start();
            let table = table(path);
            let columns = 0..table.columns.len();
            let mut answers = map(columns, |it| caller.statistics(Arc::clone(&table), it));
            let mut found = Vec::new();
            while let Some(answer) = answers.next().await {
                let answer = answer.expect("the worker answers");
                found.push(answer.expect("the column has numbers"));
            }
            (start.stop(), found)
        })
    })
}

fn par_iter(path: &Path) -> Timed<Description> {
    let pool = Rayon::new();
    let start = Clocks::start();
    let table = table(path);
    let found = pool.map_all(table.columns.iter().collect(), describe);
    (start.stop(), found)
}

fn one_thread(path: &Path) -> Timed<Description> {
    let start = Clocks::start();
    let found = table(path).columns.iter().map(describe).collect();
    (start.stop(), found)
}

/// Asserts that polars has the same statistics of a column.
fn compare(column: usize, ours: &Description, theirs: &Value) {
    let compare = |kind: &str, ours| {
        let name = format!("x{column}:{kind}");
        assert_near(&name, theirs[name.as_str()].as_f64(), ours, 1e-9);
    };
    compare("count", ours.count as f64);
    compare("missing", ours.missing as f64);
    compare("mean", ours.mean);
    compare("median", ours.median);
    compare("standard_deviation", ours.standard_deviation);
    compare("min", ours.min);
    compare("max", ours.max);
    compare("skewness", ours.skewness);
    compare("kurtosis", ours.kurtosis);
    for (percent, value) in &ours.percentiles {
        compare(&format!("{percent}%"), *value);
    }
}
