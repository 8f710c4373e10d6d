//! Work that runs next, before any event.

use std::path::Path;

use crate::case::{Case, Kind, Metric};
use crate::insula::Shape;
use crate::insula::timers::Later;
use crate::measure::millions_per_second;
use crate::peers::runtimes::Runtimes;
use crate::peers::tokio_time::local_chain;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "microtasks",
    about: "a chain of microtasks, each scheduled by the one before",
    cases,
};

const LINKS: u64 = 10_000_000;

const RATE: [Metric; 1] = [Metric::higher("rate", "M/s")];

fn cases(_photos: Option<&Path>, runtimes: &Runtimes) -> Vec<Case> {
    let mut case = Case::new("microtasks", "a chain of 10,000,000", &RATE);
    for shape in Shape::ALL {
        for (variant, later) in [("", Later::Microtask), ("spawn_local", Later::Task)] {
            let name = shape.name(variant);
            case.add(name, Kind::Actor, versions::of(PACKAGE), move |scale| {
                let count = scale.count(LINKS);
                millions_per_second(later.chain(shape, count), count)
            });
        }
    }
    let version = versions::of("tokio");
    case.add("tokio LocalSet", Kind::Actor, version, |scale| {
        let count = scale.count(LINKS);
        millions_per_second(local_chain(count), count)
    });
    runtimes.add_to(&mut case, "microtasks");
    vec![case]
}
