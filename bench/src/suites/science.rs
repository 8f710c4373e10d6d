//! The programs of `apps/science`, compared with the same kernels in other pools.
//!
//! The matrices are made, and the threads exist, before the clock starts. A fluid begins with the
//! positions of its lattice in memory, and takes so many steps on two domains; beside it, rayon does
//! each part of a step for both at once and waits for the end of the part.

mod numpy;

use std::cell::OnceCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use insula::block_on;
use science::fluid::{
    Energies, Grid, Halo, Particles, Potential, Side, Simulation, Slab, Take, start,
};
use science::matrices::{Generate, MatricesCaller, Precision, Task, Values, start_matrix_pool};

use crate::case::{Case, Kind, Metric};
use crate::drivers::executor::THREADS;
use crate::insula::Shape;
use crate::measure::{Clocks, Spent};
use crate::peers::rayon::Rayon;
use crate::peers::runtimes::Runtimes;
use crate::peers::tokio::Blocking;
use crate::suites::{EFFICIENCY, PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "science",
    about: "operations on matrices, and the steps of a fluid",
    cases,
};

const OPERATIONS: Metric = Metric::higher("operations", "/s");
const STEPS: Metric = Metric::higher("steps", "/s");

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    vec![matrices(), fluid()]
}

fn matrices() -> Case {
    let mut case = Case::new(
        "matrices",
        "40 operations on 120 rows",
        &[OPERATIONS, EFFICIENCY],
    );
    let expected = Rc::new(OnceCell::new());
    let mut add = |name: String, kind, package, run: fn(Vec<Task>) -> Solved| {
        let expected = Rc::clone(&expected);
        case.add(name, kind, versions::of(package), move |_| {
            let Solved { spent, values } = run(tasks());
            let rates = spent.rates(values.len() as f64);
            agree(&expected, values);
            rates
        });
    };
    add(Shape::Multi.name(""), Kind::Pool, PACKAGE, insula_pool);
    add("rayon par_iter".to_owned(), Kind::Pool, "rayon", |tasks| {
        let pool = Rayon::new();
        timed(|| pool.map_all(tasks, solve))
    });
    let name = "tokio spawn_blocking".to_owned();
    add(name, Kind::Pool, "tokio", |tasks| {
        let pool = Blocking::new();
        timed(|| pool.map_all(tasks, solve))
    });
    add("one thread".to_owned(), Kind::Limit, "std", |tasks| {
        timed(|| tasks.into_iter().map(solve).collect())
    });
    numpy::add_to(&mut case, &expected);
    case
}

/// The results of a repetition in the order of the tasks, and what they took.
struct Solved {
    spent: Spent,
    values: Vec<(usize, Values)>,
}

/// Each operation on ten matrices, with their indices.
fn tasks() -> Vec<Task> {
    let tasks = |seed| {
        let matrix = Arc::new(Generate::Random(120).matrix(seed));
        [
            Task::Multiply {
                left: Arc::clone(&matrix),
                right: Arc::clone(&matrix),
            },
            Task::Invert(Arc::clone(&matrix)),
            Task::Eigenvalues(Arc::clone(&matrix)),
            Task::SingularValues(matrix),
        ]
    };
    (0..10).flat_map(tasks).collect()
}

fn solve(task: Task) -> Values {
    let solution = task.solve(Precision::Standard);
    solution.expect("random matrices have all results").values
}

fn timed(run: impl FnOnce() -> Vec<Values>) -> Solved {
    let start = Clocks::start();
    let values = run();
    Solved {
        spent: start.stop(),
        values: values.into_iter().enumerate().collect(),
    }
}

/// The program's way: a pool of two workers, called from a plain thread.
fn insula_pool(tasks: Vec<Task>) -> Solved {
    Shape::Multi.run_beside(|| {
        block_on(async {
            let pool = start_matrix_pool(THREADS).await.expect("the workers start");
            let caller: MatricesCaller = pool.caller();
            let start = Clocks::start();
            let values: Vec<_> = stream::iter(tasks.into_iter().enumerate())
                .map(|(index, task)| {
                    let call = caller.solve(task, Precision::Standard);
                    async move { (index, call.await.expect("there is a result").values) }
                })
                .buffer_unordered(THREADS + 2)
                .collect()
                .await;
            let spent = start.stop();
            assert_eq!(pool.stats().traffic.bytes_copied, 0);
            Solved { spent, values }
        })
    })
}

/// Asserts that all systems have the same results, to the bit.
fn agree(expected: &OnceCell<Vec<(usize, Values)>>, mut values: Vec<(usize, Values)>) {
    values.sort_by_key(|(index, _)| *index);
    let is_the_same = match expected.get() {
        Some(expected) => *expected == values,
        None => expected.set(values).is_ok(),
    };
    assert!(is_the_same, "all systems have the same results");
}

/// The fluid: as many layers as two domains share evenly.
const PARTICLES: u32 = 4000;
const DENSITY: f64 = 0.8442;
const TIME_STEP: f64 = 0.002;
const STEP_COUNT: u32 = 100;

fn fluid() -> Case {
    let mut case = Case::new(
        "fluid",
        "100 steps of 4,000 particles",
        &[STEPS, EFFICIENCY],
    );
    let expected = Rc::new(OnceCell::new());
    let mut add = |name: String, kind, package, run: fn() -> (Spent, Energies)| {
        let expected = Rc::clone(&expected);
        case.add(name, kind, versions::of(package), move |_| {
            let (spent, energies) = run();
            assert!(
                *expected.get_or_init(|| energies) == energies,
                "all systems have the same energies"
            );
            spent.rates(STEP_COUNT.into())
        });
    };
    add(Shape::Multi.name(""), Kind::Pool, PACKAGE, || {
        Shape::Multi.run(domains(THREADS))
    });
    add("rayon".to_owned(), Kind::Pool, "rayon", rayon_steps);
    add("one domain".to_owned(), Kind::Limit, PACKAGE, || {
        Shape::One.run(domains(1))
    });
    case
}

fn box_of_the_fluid() -> (Particles, Grid, Potential) {
    let length = (f64::from(PARTICLES) / DENSITY).cbrt();
    let grid = Grid::new(length, 2.75).expect("the box is large enough");
    let potential = Potential::smooth(2.35, 2.75).expect("a switch before the cut-off");
    (start(PARTICLES, length, 1.4, 1), grid, potential)
}

/// The program's way: domains that are isolates.
async fn domains(domains: usize) -> (Spent, Energies) {
    let (particles, grid, potential) = box_of_the_fluid();
    let mut simulation = Simulation::start(&particles, grid, potential, TIME_STEP, domains)
        .await
        .expect("the box has room for the domains");
    let none = Take::default();
    let begun = simulation.advance(0, 1.0, none).await;
    begun.expect("the domains compute the first forces");
    let start = Clocks::start();
    let parts = simulation.advance(STEP_COUNT, 1.0, none).await;
    let spent = start.stop();
    let mut energies = Energies::default();
    let parts = parts.expect("the domains run their steps");
    let layers = parts.iter().flat_map(|part| &part.layers);
    layers.for_each(|layer| energies.add(layer));
    (spent, energies)
}

/// A domain without an isolate: what it gets from its neighbors and gives to them.
struct Part {
    slab: Slab,
    leaving: [Particles; 2],
    halos: [Halo; 2],
}

/// The same parts of each step, each for both domains at once.
fn rayon_steps() -> (Spent, Energies) {
    let (particles, grid, potential) = box_of_the_fluid();
    let layers = grid.domains(THREADS).expect("the box has room for both");
    let mut parts: Vec<_> = layers
        .into_iter()
        .map(|layers| Part {
            slab: Slab::new(grid, potential, layers, &particles),
            leaving: Default::default(),
            halos: Default::default(),
        })
        .collect();
    let pool = Rayon::new();
    exchange_halos(&pool, &mut parts);
    let start = Clocks::start();
    for _ in 0..STEP_COUNT {
        pool.each(&mut parts, |part| {
            part.slab.kick(0.5 * TIME_STEP);
            let [left, right] = &mut part.leaving;
            let moved = part.slab.drift(TIME_STEP, left, right);
            moved.expect("the fluid is stable");
        });
        swap(&mut parts, |part| &mut part.leaving);
        pool.each(&mut parts, |part| {
            let [left, right] = &part.leaving;
            part.slab.admit(left, right);
        });
        exchange_halos(&pool, &mut parts);
        pool.each(&mut parts, |part| part.slab.kick(0.5 * TIME_STEP));
    }
    let spent = start.stop();
    let mut energies = Energies::default();
    let layers = parts.iter().flat_map(|part| part.slab.energies());
    layers.for_each(|layer| energies.add(&layer));
    (spent, energies)
}

fn exchange_halos(pool: &Rayon, parts: &mut [Part]) {
    pool.each(parts, |part| {
        for (side, halo) in [Side::Left, Side::Right].into_iter().zip(&mut part.halos) {
            part.slab.border(side, halo);
        }
    });
    swap(parts, |part| &mut part.halos);
    pool.each(parts, |part| {
        let [left, right] = &part.halos;
        part.slab.surround(left, right);
    });
}

/// Exchanges what the two parts have for each other: what one has for its left is what comes to the
/// other from its right.
fn swap<T: Default>(parts: &mut [Part], of: fn(&mut Part) -> &mut [T; 2]) {
    let [one, other] = parts else {
        unreachable!("there are two parts")
    };
    let (one, other) = (of(one), of(other));
    std::mem::swap(&mut one[0], &mut other[1]);
    std::mem::swap(&mut one[1], &mut other[0]);
}
