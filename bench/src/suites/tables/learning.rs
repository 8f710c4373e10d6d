//! Models: the trees of a forest, regressions, and clusters.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use analytics::{
    Algorithm, AnalyticsCaller, Features, Forest, LearnRequest, Learned, Split, Trees,
};
use insula::block_on;
use insula::rpc::map;
use science::matrices::{Matrix, Values, write_npy};
use serde_json::Value;

use super::{Timed, Work, noise};
use crate::case::{Case, Metric};
use crate::drivers::executor::THREADS;
use crate::insula::Shape;
use crate::measure::Clocks;
use crate::peers::python::{Input, Peer, Python, assert_near};

/// The parts of a forest, and the regressions.
const MODELS: u32 = 20;

/// The groups of points, each with so many.
const GROUPS: u64 = 4;
const GROUP: u64 = 1_000;

/// The numbers of clusters that are tried, as the program does.
const CLUSTERS: std::ops::RangeInclusive<usize> = 2..=6;

/// What two forests may explain more or less of the variance, since they draw other rows.
const FOREST_TOLERANCE: f64 = 0.05;

pub(super) fn cases(python: &Python) -> [Case; 3] {
    let model = Model {
        name: "20 x 10 trees",
        count: MODELS.into(),
        jobs: trees,
        key: "forest",
        threads: "threads of joblib",
        compare: compare_forests,
    };
    let forest = model.case(python);
    let model = Model {
        name: "20 regressions",
        count: MODELS.into(),
        jobs: regressions,
        key: "regressions",
        threads: "threads of BLAS",
        compare: compare_regressions,
    };
    let regressions = model.case(python);
    let model = Model {
        name: "2 to 6 clusters",
        count: CLUSTERS.count() as f64,
        jobs: clusters,
        key: "clusters",
        threads: "threads of OpenMP",
        compare: compare_clusters,
    };
    [forest, regressions, model.case(python)]
}

/// A case with one job for each model, or for each part of it.
struct Model {
    name: &'static str,
    /// The number of jobs.
    count: f64,
    jobs: fn() -> Vec<LearnRequest>,
    /// The case of the Python program, and its threads.
    key: &'static str,
    threads: &'static str,
    /// Asserts that scikit-learn has learned the same.
    compare: fn(&LearnRequest, &[Learned], &Value),
}

impl Model {
    fn case(self, python: &Python) -> Case {
        let Self {
            count,
            jobs,
            compare,
            ..
        } = self;
        let work = Work {
            name: self.name,
            metric: Metric::higher("models", "/s"),
            amount: count,
            jobs,
            pool,
            kernel,
        };
        let (mut case, expected) = work.case();
        let shared = Rc::clone(&expected);
        let input = Input::new(move |folder| write(folder, &shared.jobs));
        let peer = Peer {
            name: "scikit-learn",
            package: "scikit-learn",
            key: self.key,
            threads: self.threads,
        };
        python.add_to(&mut case, &peer, count, &input, move |_, theirs| {
            compare(&expected.jobs[0], expected.results(), theirs);
        });
        case
    }
}

/// Writes the rows with the targets as the last column, and the numbers of the rows to learn from
/// and to test with, for each job in a row.
fn write(folder: &Path, requests: &[LearnRequest]) -> io::Result<()> {
    let features = &requests[0].features;
    let width = features.names.len();
    let value = |row: usize, column: usize| match column == width {
        true => features.targets[row],
        false => features.row(row)[column],
    };
    let rows = Matrix::from_fn(features.rows(), width + 1, value);
    let numbers = |rows: fn(&Split) -> &[usize]| {
        let width = rows(&requests[0].split).len();
        let row = |job: usize, at: usize| rows(&requests[job].split)[at] as f64;
        Matrix::from_fn(requests.len(), width, row)
    };
    let (train, test) = (numbers(|it| &it.train), numbers(|it| &it.test));
    for (name, matrix) in [("rows", rows), ("train", train), ("test", test)] {
        let file = File::create(folder.join(name).with_extension("npy"))?;
        write_npy(&mut BufWriter::new(file), &Values::Matrix(matrix))?;
    }
    Ok(())
}

fn pool(requests: Vec<LearnRequest>) -> Timed<Learned> {
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
}

fn kernel(request: LearnRequest) -> Learned {
    let learned = request.features.learn(&request.split, request.algorithm);
    learned.expect("there are enough rows")
}

fn features(width: usize, values: Vec<f64>, targets: Vec<f64>) -> Arc<Features> {
    let names = (0..width).map(|it| format!("x{it}")).collect();
    Arc::new(Features {
        names,
        values,
        targets,
    })
}

/// Forests over 2,000 rows with a known formula.
fn trees() -> Vec<LearnRequest> {
    let row = |row: u32| (1..=6).map(move |it| f64::from(row * it % 101) / 101.0);
    let target = |at: u32| {
        row(at)
            .zip(1..)
            .map(|(it, weight)| it * f64::from(weight))
            .sum()
    };
    let values = (0..2_000).flat_map(row).collect();
    let features = features(6, values, (0..2_000).map(target).collect());
    let split = Arc::new(Split::draw(features.rows(), 0.25, 0));
    let request = |seed| LearnRequest {
        features: Arc::clone(&features),
        split: Arc::clone(&split),
        algorithm: Algorithm::RandomForest { trees: 10, seed },
    };
    (0..MODELS.into()).map(request).collect()
}

/// The forest of all parts explains as much as that of scikit-learn.
fn compare_forests(request: &LearnRequest, learned: &[Learned], theirs: &Value) {
    let parts: Vec<Trees> = learned
        .iter()
        .map(|it| match it {
            Learned::Trees(trees) => trees.clone(),
            other => panic!("a forest has no part {other:?}"),
        })
        .collect();
    let forest = Forest::merge(&request.features, &request.split, &parts);
    let ours = forest.test.expect("there are rows of a test").r2;
    let what = "the variance that a forest explains";
    assert_near(what, theirs["r2"].as_f64(), ours, FOREST_TOLERANCE);
}

/// Regressions over parts of 10,000 rows, as a validation of a model has them.
fn regressions() -> Vec<LearnRequest> {
    const ROWS: u64 = 10_000;
    const WIDTH: u64 = 10;
    let values: Vec<f64> = (0..ROWS * WIDTH).map(noise).collect();
    let target = |(row, values): (u64, &[f64])| {
        let weighted = values
            .iter()
            .zip(1_u32..)
            .map(|(it, at)| it * f64::from(at));
        1.0 + weighted.sum::<f64>() + noise(ROWS * WIDTH + row)
    };
    let targets = (0..)
        .zip(values.chunks(WIDTH as usize))
        .map(target)
        .collect();
    let features = features(WIDTH as usize, values, targets);
    let request = |seed| LearnRequest {
        features: Arc::clone(&features),
        split: Arc::new(Split::draw(features.rows(), 0.25, seed)),
        algorithm: Algorithm::LinearRegression,
    };
    (0..MODELS.into()).map(request).collect()
}

/// The weights are the same, and so the scores.
fn compare_regressions(_: &LearnRequest, learned: &[Learned], theirs: &Value) {
    for (model, theirs) in learned.iter().enumerate().map(|(at, it)| (it, &theirs[at])) {
        let Learned::Linear(ours) = model else {
            panic!("no regression gives {model:?}")
        };
        let compare = |what: &str, theirs: &Value, ours| {
            assert_near(what, theirs.as_f64(), ours, 1e-9);
        };
        compare("the intercept", &theirs["intercept"], ours.intercept);
        for (at, ours) in ours.coefficients.iter().enumerate() {
            compare("a coefficient", &theirs["coefficients"][at], ours.value);
        }
        let r2 = ours.test.expect("there are rows of a test").r2;
        compare("the score of a regression", &theirs["r2"], r2);
    }
}

/// Clusters of points in groups that lie apart, row by row of one group after the other.
fn clusters() -> Vec<LearnRequest> {
    const WIDTH: u64 = 3;
    let value = |at: u64| {
        let (row, column) = (at / WIDTH, at % WIDTH);
        let center = noise(row / GROUP * WIDTH + column) * 20.0;
        center + noise(GROUPS * WIDTH + at)
    };
    let rows = GROUPS * GROUP;
    let values = (0..rows * WIDTH).map(value).collect();
    let features = features(WIDTH as usize, values, vec![0.0; rows as usize]);
    let split = Arc::new(Split::draw(features.rows(), 0.25, 0));
    let request = |clusters| LearnRequest {
        features: Arc::clone(&features),
        split: Arc::clone(&split),
        algorithm: Algorithm::Clustering { clusters, seed: 0 },
    };
    CLUSTERS.map(request).collect()
}

/// The clusters that the points have are found. Other numbers of clusters have several solutions
/// that are nearly as good, of which each library finds another one.
fn compare_clusters(_: &LearnRequest, learned: &[Learned], theirs: &Value) {
    let at = GROUPS as usize - CLUSTERS.start();
    let Learned::Clusters(ours) = &learned[at] else {
        panic!("there are clusters")
    };
    let theirs = &theirs[at];
    assert_near("inertia", theirs["inertia"].as_f64(), ours.inertia, 1e-9);
    let silhouette = theirs["silhouette"].as_f64();
    assert_near("silhouette", silhouette, ours.silhouette, 1e-9);
}
