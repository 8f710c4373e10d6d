//! The cost of timers, and their lateness.

use std::path::Path;

use crate::case::{Case, Kind, Metric};
use crate::drivers::timers::{self, Sleeper};
use crate::insula::Shape;
use crate::insula::timers::{Isolates, Later, Tasks, lateness_of_callbacks, zero_timers};
use crate::measure::{millions_per_second, ns_each};
use crate::peers::runtimes::Runtimes;
use crate::peers::tokio::Flavor;
use crate::peers::tokio_time;
use crate::report::PROJECT;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "timers",
    about: "timers of zero delay, sleeps that are taken back, and how late sleeps end",
    cases,
};

const ZEROS: u64 = 1_000_000;
/// tokio rounds a sleep up to its next tick of a millisecond, so a million would take half an hour.
const ZERO_SLEEPS: u64 = 1_000;
const SLEEPS: u64 = 1_000_000;
const DUE: u64 = 100_000;

const RATE: [Metric; 1] = [Metric::higher("rate", "M/s")];
const EACH: [Metric; 1] = [Metric::lower("made and dropped", "ns each")];

/// In the order of the sample that [`timers::lateness`] returns.
const LATE: [Metric; 3] = [
    Metric::lower("late p50", "ms"),
    Metric::lower("late p99", "ms"),
    Metric::lower("late p99.9", "ms"),
];

fn cases(_photos: Option<&Path>, runtimes: &Runtimes) -> Vec<Case> {
    vec![
        chain(runtimes),
        burst(runtimes),
        cancel("sleeps taken back, one by one", Cancel::OneByOne),
        cancel("sleeps taken back, all at the end", Cancel::All),
        lateness(),
    ]
}

fn chain(runtimes: &Runtimes) -> Case {
    let mut case = Case::new("timers", "zero delay, each makes the next", &RATE);
    for shape in Shape::ALL {
        for (variant, later) in [
            ("", Later::Timer),
            ("yield_now", Later::Yield),
            ("sleep(0)", Later::Sleep),
        ] {
            let name = shape.name(variant);
            case.add(name, Kind::Actor, versions::of(PACKAGE), move |scale| {
                let count = scale.count(ZEROS);
                millions_per_second(later.chain(shape, count), count)
            });
        }
    }
    for flavor in Flavor::ALL {
        let name = flavor.name("tokio yield_now");
        case.add(name, Kind::Actor, versions::of("tokio"), move |scale| {
            let count = scale.count(ZEROS);
            millions_per_second(tokio_time::Later::Yield.chain(flavor, count), count)
        });
        let name = flavor.name("tokio sleep(0)");
        case.add(name, Kind::Actor, versions::of("tokio"), move |scale| {
            let count = scale.count(ZERO_SLEEPS);
            millions_per_second(tokio_time::Later::Sleep.chain(flavor, count), count)
        });
    }
    runtimes.add_to(&mut case, "zero-timers-chain");
    case
}

fn burst(runtimes: &Runtimes) -> Case {
    let mut case = Case::new("timers", "zero delay, all at once", &RATE);
    for shape in Shape::ALL {
        let name = shape.name("");
        case.add(name, Kind::Actor, versions::of(PACKAGE), move |scale| {
            let count = scale.count(ZEROS);
            millions_per_second(zero_timers(shape, count), count)
        });
    }
    for flavor in Flavor::ALL {
        for (system, later) in [
            ("tokio yield_now", tokio_time::Later::Yield),
            ("tokio sleep(0)", tokio_time::Later::Sleep),
        ] {
            let name = flavor.name(system);
            case.add(name, Kind::Actor, versions::of("tokio"), move |scale| {
                let count = scale.count(ZEROS);
                millions_per_second(later.all(flavor, count), count)
            });
        }
    }
    runtimes.add_to(&mut case, "zero-timers");
    case
}

/// The moment at which sleeps are dropped that are not over.
#[derive(Clone, Copy)]
enum Cancel {
    OneByOne,
    All,
}

fn cancel(name: &str, cancel: Cancel) -> Case {
    let mut case = Case::new("timers", name, &EACH);
    for shape in Shape::ALL {
        add_cancel(&mut case, shape.name(""), PACKAGE, Tasks(shape), cancel);
    }
    for flavor in Flavor::ALL {
        add_cancel(&mut case, flavor.name("tokio"), "tokio", flavor, cancel);
    }
    case
}

fn add_cancel<S: Sleeper>(case: &mut Case, name: String, package: &str, system: S, cancel: Cancel) {
    case.add(name, Kind::Actor, versions::of(package), move |scale| {
        let count = scale.count(SLEEPS);
        let elapsed = match cancel {
            Cancel::OneByOne => timers::cancel_one_by_one(system, count),
            Cancel::All => timers::cancel_all(system, count),
        };
        ns_each(elapsed, count)
    });
}

fn lateness() -> Case {
    let mut case = Case::new("timers", "100,000 due within a second", &LATE);
    let shape = Shape::Multi;
    add_lateness(&mut case, PROJECT.to_owned(), PACKAGE, Tasks(shape));
    let name = shape.name("callbacks");
    case.add(name, Kind::Actor, versions::of(PACKAGE), move |scale| {
        lateness_of_callbacks(shape, scale.count(DUE))
    });
    add_lateness(&mut case, shape.name("isolates"), PACKAGE, Isolates(shape));
    let shape = Shape::One;
    add_lateness(&mut case, shape.name(""), PACKAGE, Tasks(shape));
    for flavor in Flavor::ALL {
        add_lateness(&mut case, flavor.name("tokio"), "tokio", flavor);
    }
    case
}

fn add_lateness<S: Sleeper>(case: &mut Case, name: String, package: &str, system: S) {
    case.add(name, Kind::Actor, versions::of(package), move |scale| {
        timers::lateness(system, scale.count(DUE))
    });
}
