//! The cost of an idle process.

use std::path::Path;
use std::time::Duration;

use crate::case::{Case, Kind, Metric};
use crate::drivers::actor::{self, ActorSystem};
use crate::insula::Shape;
use crate::insula::actor::{Isolates, Root};
use crate::peers::actix::Actix;
use crate::peers::hand::Hand;
use crate::peers::kameo::Kameo;
use crate::peers::ractor::Ractor;
use crate::peers::runtimes::Runtimes;
use crate::peers::tokio::Flavor;
use crate::report::PROJECT;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "idle",
    about: "a process with 100,000 idle actors, over 2 s",
    cases,
};

const ALIVE: u64 = 100_000;
const LENGTH: Duration = Duration::from_secs(2);

/// In the order of the sample that [`actor::idle`] returns. 2 ms in 2 s are 0.1 % of a core.
pub(super) const METRICS: [Metric; 2] = [
    Metric::lower("CPU time in 2 s", "ms"),
    Metric::lower("context switches in 2 s", "count"),
];

const ISOLATES: Isolates = Isolates {
    shape: Shape::Multi,
    root: Root::Isolate,
};

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    let mut case = Case::new("idle", "100,000 idle", &METRICS)
        .max_runs(3)
        .in_fresh_processes();
    add(&mut case, PROJECT, PACKAGE, ISOLATES);
    add(&mut case, "tokio", "tokio", Hand(Flavor::Multi));
    add(&mut case, "actix", "actix", Actix);
    add(&mut case, "ractor", "ractor", Ractor(Flavor::Multi));
    add(&mut case, "kameo", "kameo", Kameo(Flavor::Multi));
    case.add("an empty process", Kind::Limit, "", |_| {
        actor::observe(LENGTH)
    });
    vec![case]
}

fn add<S: ActorSystem>(case: &mut Case, name: &str, package: &str, system: S) {
    // The same number with --quick: the number of actors is the point, and the time is spent
    // waiting.
    case.add(name, Kind::Actor, versions::of(package), move |_| {
        actor::idle(system, ALIVE, LENGTH)
    });
}
