//! Jobs in a pool of two threads: the cost of submitting one.

use std::path::Path;
use std::time::Duration;

use crate::case::{Case, Kind, Metric, Scale};
use crate::drivers::pool::{all_at_once, cpu_efficiency, one_at_a_time, outstanding};
use crate::insula::Shape;
use crate::insula::calls::{self, Adder, Askers, Equipped, Pool, Runs};
use crate::insula::pool::{Crew, Ground};
use crate::measure::{millions_per_second, ns_each};
use crate::peers::chili::Chili;
use crate::peers::rayon::Rayon;
use crate::peers::runtimes::Runtimes;
use crate::peers::threadpool::Threadpool;
use crate::peers::tokio::{Flavor, Jobs};
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "pool",
    about: "jobs in a pool of two",
    cases,
};

const WINDOW: u64 = 1_000;
/// The jobs where each waits for another thread to wake.
const WOKEN: u64 = 20_000;
const JOBS: u64 = 500_000;

const EACH: Metric = Metric::lower("job", "ns");
const RATE: Metric = Metric::higher("jobs", "M/s");
const EFFICIENCY: Metric = Metric::higher("CPU efficiency", "%");

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    let mut cases = vec![sequence(), window(), burst()];
    cases.extend([1, 10, 100].map(efficiency));
    cases
}

fn sequence() -> Case {
    let mut case = Case::new("pool", "no-op, one at a time", &[EACH]);
    for shape in Shape::ALL {
        add_calls::<Pool>(&mut case, &shape.name(""), shape, Askers::One);
        add_calls::<Runs>(&mut case, &shape.name("run"), shape, Askers::One);
    }
    let shape = Shape::Multi;
    add_calls::<Pool>(&mut case, &shape.name("from thread"), shape, Askers::Thread);
    add_calls::<Equipped>(&mut case, &shape.name("all options"), shape, Askers::One);
    case.add("rayon spawn", Kind::Pool, versions::of("rayon"), |scale| {
        let count = scale.count(WOKEN);
        ns_each(one_at_a_time(&Rayon::new(), count), count)
    });
    case.add(
        "threadpool",
        Kind::Pool,
        versions::of("threadpool"),
        |scale| {
            let count = scale.count(WOKEN);
            ns_each(one_at_a_time(&Threadpool::new(), count), count)
        },
    );
    for flavor in Flavor::ALL {
        let name = flavor.name("tokio spawn");
        case.add(name, Kind::Pool, versions::of("tokio"), move |scale| {
            let count = scale.count(JOBS);
            ns_each(Jobs::Spawn.one_at_a_time(flavor, count), count)
        });
    }
    case.add(
        "tokio spawn_blocking",
        Kind::Pool,
        versions::of("tokio"),
        |scale| {
            let count = scale.count(WOKEN);
            ns_each(
                Jobs::SpawnBlocking.one_at_a_time(Flavor::Multi, count),
                count,
            )
        },
    );
    case
}

fn window() -> Case {
    let mut case = Case::new("pool", "no-op, 1,000 outstanding", &[RATE]);
    for shape in Shape::ALL {
        let (locals, futures) = (Askers::Locals(WINDOW), Askers::Futures(WINDOW));
        add_calls::<Pool>(&mut case, &shape.name(""), shape, locals);
        add_calls::<Pool>(&mut case, &shape.name("join_all"), shape, futures);
        add_calls::<Runs>(&mut case, &shape.name("run"), shape, locals);
    }
    case.add("rayon spawn", Kind::Pool, versions::of("rayon"), |scale| {
        let count = scale.count(JOBS);
        millions_per_second(outstanding(&Rayon::new(), WINDOW, count), count)
    });
    case.add(
        "threadpool",
        Kind::Pool,
        versions::of("threadpool"),
        |scale| {
            let count = scale.count(JOBS);
            millions_per_second(outstanding(&Threadpool::new(), WINDOW, count), count)
        },
    );
    for flavor in Flavor::ALL {
        let name = flavor.name("tokio spawn");
        case.add(name, Kind::Pool, versions::of("tokio"), move |scale| {
            let count = scale.count(JOBS);
            millions_per_second(Jobs::Spawn.outstanding(flavor, WINDOW, count), count)
        });
    }
    case.add(
        "tokio spawn_blocking",
        Kind::Pool,
        versions::of("tokio"),
        |scale| {
            let count = scale.count(WOKEN * 5);
            let elapsed = Jobs::SpawnBlocking.outstanding(Flavor::Multi, WINDOW, count);
            millions_per_second(elapsed, count)
        },
    );
    case
}

fn burst() -> Case {
    let mut case = Case::new("pool", "no-op, all at once", &[EACH]);
    add_own(&mut case, "", |scale| {
        let (crew, count) = (Crew::new(), scale.count(JOBS));
        ns_each(all_at_once(count, |n, tick| crew.call_all(n, tick)), count)
    });
    add_own(&mut case, "run", |scale| {
        let (ground, count) = (Ground::new(), scale.count(JOBS));
        ns_each(all_at_once(count, |n, tick| ground.run_all(n, tick)), count)
    });
    case.add(
        "rayon scope.spawn",
        Kind::Pool,
        versions::of("rayon"),
        |scale| {
            let (pool, count) = (Rayon::new(), scale.count(JOBS));
            ns_each(
                all_at_once(count, |count, tick| pool.spawn_all(count, || tick.tick())),
                count,
            )
        },
    );
    add_joins(&mut case);
    case.add(
        "threadpool",
        Kind::Pool,
        versions::of("threadpool"),
        |scale| {
            let (pool, count) = (Threadpool::new(), scale.count(JOBS));
            let all = |count, tick: &crate::drivers::pool::Tick| {
                let tick = tick.clone();
                pool.execute_all(count, move || tick.tick());
            };
            ns_each(all_at_once(count, all), count)
        },
    );
    for flavor in Flavor::ALL {
        let name = flavor.name("tokio spawn");
        case.add(name, Kind::Pool, versions::of("tokio"), move |scale| {
            let (runtime, count) = (flavor.runtime(), scale.count(JOBS));
            ns_each(
                all_at_once(count, |n, tick| Jobs::Spawn.all(&runtime, n, tick)),
                count,
            )
        });
    }
    case.add(
        "tokio spawn_blocking",
        Kind::Pool,
        versions::of("tokio"),
        |scale| {
            let (runtime, count) = (Flavor::Multi.runtime(), scale.count(WOKEN * 5));
            ns_each(
                all_at_once(count, |n, tick| Jobs::SpawnBlocking.all(&runtime, n, tick)),
                count,
            )
        },
    );
    case
}

/// Adds trees of forks and joins.
fn add_joins(case: &mut Case) {
    case.add("rayon join", Kind::Pool, versions::of("rayon"), |scale| {
        let (pool, count) = (Rayon::new(), scale.count(JOBS));
        ns_each(
            all_at_once(count, |count, tick| pool.join_all(count, tick)),
            count,
        )
    });
    case.add("chili join", Kind::Pool, versions::of("chili"), |scale| {
        let (pool, count) = (Chili::new(), scale.count(JOBS));
        ns_each(
            all_at_once(count, |count, tick| pool.join_all(count, tick)),
            count,
        )
    });
}

fn efficiency(grain_us: u64) -> Case {
    let grain = Duration::from_micros(grain_us);
    let mut case = Case::new("pool", format!("jobs of {grain_us} us"), &[EFFICIENCY]);
    add_own(&mut case, "", move |_| {
        let crew = Crew::new();
        cpu_efficiency(grain, |count, work| crew.compute(WINDOW, count, work))
    });
    add_own(&mut case, "run", move |_| {
        let ground = Ground::new();
        cpu_efficiency(grain, |count, work| ground.run_work(count, work))
    });
    add_own(&mut case, "isolates", move |_| {
        let ground = Ground::new();
        cpu_efficiency(grain, |count, work| ground.send_work(count, work))
    });
    case.add(
        "rayon scope.spawn",
        Kind::Pool,
        versions::of("rayon"),
        move |_| {
            let pool = Rayon::new();
            cpu_efficiency(grain, |count, work| pool.spawn_all(count, || work.run()))
        },
    );
    case.add(
        "rayon par_iter",
        Kind::Pool,
        versions::of("rayon"),
        move |_| {
            let pool = Rayon::new();
            cpu_efficiency(grain, |count, work| pool.iterate_all(count, work))
        },
    );
    case.add(
        "threadpool",
        Kind::Pool,
        versions::of("threadpool"),
        move |_| {
            let pool = Threadpool::new();
            cpu_efficiency(grain, |count, work| {
                pool.execute_all(count, move || work.run());
            })
        },
    );
    case.add(
        "tokio spawn",
        Kind::Pool,
        versions::of("tokio"),
        move |_| {
            let runtime = Flavor::Multi.runtime();
            cpu_efficiency(grain, |count, work| {
                Jobs::Spawn.all_of_work(&runtime, count, work);
            })
        },
    );
    case
}

fn add_own(case: &mut Case, variant: &str, repeat: impl FnMut(Scale) -> f64 + 'static) {
    let name = Shape::Multi.name(variant);
    case.add(name, Kind::Pool, versions::of(PACKAGE), repeat);
}

/// Adds the no-op through calls of one kind.
fn add_calls<A: Adder>(case: &mut Case, name: &str, shape: Shape, askers: Askers) {
    case.add(name, Kind::Pool, versions::of(PACKAGE), move |scale| {
        let count = scale.count(match askers {
            Askers::Thread => WOKEN,
            _ => JOBS,
        });
        let elapsed = calls::ask::<A>(shape, askers, count);
        match askers {
            Askers::One | Askers::Thread => ns_each(elapsed, count),
            _ => millions_per_second(elapsed, count),
        }
    });
}
