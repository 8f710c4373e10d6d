//! Real tables: the programs of `apps/data` and `apps/analytics`, compared with the same kernels in
//! rayon, and with packages of Python.
//!
//! The tables are in memory and the threads exist before the clock starts, except where a case is
//! about reading a file; nothing is written. The results of all systems with the kernels are equal,
//! and those of Python are near them.

mod chunks;
mod learning;
mod statistics;

use std::cell::{LazyCell, OnceCell};
use std::path::Path;
use std::rc::Rc;

use crate::case::{Case, Kind, Metric};
use crate::insula::Shape;
use crate::measure::{Clocks, Spent};
use crate::peers::python::Python;
use crate::peers::rayon::Rayon;
use crate::peers::runtimes::Runtimes;
use crate::suites::{EFFICIENCY, PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "tables",
    about: "chunks of CSV, statistics and models, as the programs for tables compute them",
    cases,
};

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    let python = Python::find();
    let mut cases = vec![chunks::case(&python), statistics::case(&python)];
    cases.extend(learning::cases(&python));
    cases
}

/// A kernel and its jobs, as one of the programs has them.
struct Work<J, R> {
    /// The name of the case.
    name: &'static str,
    metric: Metric,
    /// What all jobs together are, in the unit of the metric.
    amount: f64,
    jobs: fn() -> Vec<J>,
    /// The program's way.
    pool: fn(Vec<J>) -> Timed<R>,
    kernel: fn(J) -> R,
}

/// Results, and what they took.
type Timed<R> = (Spent, Vec<R>);

/// The jobs of a case, and their results.
struct Expected<J, R> {
    /// Made by the first repetition, so that listing the cases computes nothing.
    jobs: LazyCell<Vec<J>>,
    results: OnceCell<Vec<R>>,
    kernel: fn(J) -> R,
}

impl<J: Clone, R: PartialEq> Expected<J, R> {
    /// Asserts that the results are those of the first system.
    fn assert_equal(&self, results: Vec<R>) {
        let is_the_same = match self.results.get() {
            Some(expected) => *expected == results,
            None => self.results.set(results).is_ok(),
        };
        assert!(is_the_same, "all systems compute the same");
    }

    /// Returns the results, which no system has computed yet if only those of Python were chosen.
    fn results(&self) -> &[R] {
        let compute = || self.jobs.iter().cloned().map(self.kernel).collect();
        self.results.get_or_init(compute)
    }
}

impl<J, R> Work<J, R>
where
    J: Clone + Send + 'static,
    R: Send + PartialEq + 'static,
{
    /// Returns the case with the systems that have the kernel.
    fn case(self) -> (Case, Rc<Expected<J, R>>) {
        let Self {
            amount,
            pool,
            kernel,
            ..
        } = self;
        let mut case = Case::new("tables", self.name, &[self.metric, EFFICIENCY]);
        let expected = Rc::new(Expected {
            jobs: LazyCell::new(self.jobs),
            results: OnceCell::new(),
            kernel,
        });
        let mut add = |name: String, kind, package, run: Box<dyn Fn(Vec<J>) -> Timed<R>>| {
            let expected = Rc::clone(&expected);
            case.add(name, kind, versions::of(package), move |_| {
                let (spent, results) = run(expected.jobs.to_vec());
                expected.assert_equal(results);
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
        let name = "rayon par_iter".to_owned();
        add(name, Kind::Pool, "rayon", Box::new(par_iter));
        let one_thread = move |jobs: Vec<J>| {
            let start = Clocks::start();
            let results = jobs.into_iter().map(kernel).collect();
            (start.stop(), results)
        };
        let name = "one thread".to_owned();
        add(name, Kind::Limit, "std", Box::new(one_thread));
        (case, expected)
    }
}

/// Returns a number from 0 to 1 that looks random, and is the same on every machine: SplitMix64
/// (Steele, Lea and Flood 2014).
fn noise(at: u64) -> f64 {
    let mut bits = at.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) as f64 / u64::MAX as f64
}
