//! A million alive: the cost to start one, to reach it, to end it and to keep it.

use std::path::Path;

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
use crate::peers::xtra::Xtra;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "spawn",
    about: "a million alive with one open mailbox each",
    cases,
};

const ALIVE: u64 = 1_000_000;
/// The bound of the mailbox, if it has one.
const BOUND: usize = 16;

/// In the order of the sample that [`actor::lives`] returns.
pub(super) const METRICS: [Metric; 5] = [
    Metric::lower("spawned", "ns each"),
    Metric::lower("first message", "ns each"),
    Metric::lower("ended", "ns each"),
    Metric::lower("memory idle", "B each"),
    Metric::lower("memory used", "B each"),
];

fn cases(_photos: Option<&Path>, runtimes: &Runtimes) -> Vec<Case> {
    let mut case = Case::new("spawn", "1,000,000 alive", &METRICS)
        .max_runs(3)
        .in_fresh_processes();
    add_own(&mut case, "", Root::Isolate, None);
    add_own(&mut case, "from thread", Root::Thread, None);
    add_own(&mut case, "bounded", Root::Isolate, Some(BOUND));
    for flavor in Flavor::ALL {
        add(&mut case, &flavor.name("hand"), "tokio", Hand(flavor));
    }
    add(&mut case, "actix", "actix", Actix);
    for flavor in Flavor::ALL {
        add(&mut case, &flavor.name("ractor"), "ractor", Ractor(flavor));
        add(&mut case, &flavor.name("kameo"), "kameo", Kameo(flavor));
        add(&mut case, &flavor.name("xtra"), "xtra", Xtra(flavor));
    }
    runtimes.add_to(&mut case, "spawn");
    vec![case]
}

/// Adds isolates. An isolate's port has no bound by default.
fn add_own(case: &mut Case, variant: &str, root: Root, bound: Option<usize>) {
    let shape = Shape::Multi;
    let version = versions::of(PACKAGE);
    case.add(shape.name(variant), Kind::Actor, version, move |scale| {
        actor::lives(Isolates { shape, root }, bound, scale.count(ALIVE))
    });
}

fn add<S: ActorSystem>(case: &mut Case, name: &str, package: &str, system: S) {
    case.add(name, Kind::Actor, versions::of(package), move |scale| {
        actor::lives(system, Some(BOUND), scale.count(ALIVE))
    });
}
