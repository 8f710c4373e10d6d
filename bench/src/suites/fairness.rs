//! Does a light participant still answer while heavy ones compute?

use std::path::Path;
use std::time::Duration;

use crate::case::{Case, Kind, Metric, Scale};
use crate::drivers::actor::{self, ActorSystem};
use crate::insula::Shape;
use crate::insula::actor::{Isolates, Root};
use crate::peers::actix::Actix;
use crate::peers::hand::Hand;
use crate::peers::kameo::Kameo;
use crate::peers::limits;
use crate::peers::runtimes::Runtimes;
use crate::peers::tokio::Flavor;
use crate::report::PROJECT;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "fairness",
    about: "answers a millisecond apart beside heavy work",
    cases,
};

/// In the order of the sample that [`actor::latency_under_load`] returns.
pub(super) const METRICS: [Metric; 3] = [
    Metric::lower("answer p50", "ms"),
    Metric::lower("answer p99", "ms"),
    Metric::lower("answer max", "ms"),
];

/// Returns how long each heavy participant computes.
pub(super) fn length(scale: Scale) -> Duration {
    Duration::from_secs(if scale.quick { 1 } else { 5 })
}

const ISOLATES: Isolates = Isolates {
    shape: Shape::Multi,
    root: Root::Isolate,
};

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    let case = |heavy| {
        let name = format!("{heavy} heavy on 2 threads");
        let mut case = Case::new("fairness", name, &METRICS).max_runs(3);
        add(&mut case, PROJECT, PACKAGE, heavy, ISOLATES);
        add(&mut case, "tokio", "tokio", heavy, Hand(Flavor::Multi));
        add(&mut case, "kameo", "kameo", heavy, Kameo(Flavor::Multi));
        add(&mut case, "actix", "actix", heavy, Actix);
        case.add("a thread each", Kind::Limit, "", move |scale| {
            limits::latency_of_threads(heavy, length(scale))
        });
        case.in_fresh_processes()
    };
    vec![case(2), case(8)]
}

fn add<S: ActorSystem>(case: &mut Case, name: &str, package: &str, heavy: u64, system: S) {
    case.add(name, Kind::Actor, versions::of(package), move |scale| {
        actor::latency_under_load(system, heavy, length(scale))
    });
}
