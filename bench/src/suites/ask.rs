//! Request and reply.

use std::path::Path;
use std::time::Duration;

use crate::case::{Case, Kind, Metric};
use crate::drivers::actor::{self, ActorSystem};
use crate::insula::Shape;
use crate::insula::actor::{Isolates, Root};
use crate::insula::calls::{self, Port, Service};
use crate::measure::{millions_per_second, ns_each};
use crate::peers::actix::Actix;
use crate::peers::hand::Hand;
use crate::peers::kameo::Kameo;
use crate::peers::ractor::Ractor;
use crate::peers::runtimes::Runtimes;
use crate::peers::stakker;
use crate::peers::tarpc;
use crate::peers::tokio::Flavor;
use crate::peers::xtra::Xtra;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "ask",
    about: "request and reply",
    cases,
};

const ASKS: u64 = 500_000;
/// The calls for tarpc.
const CALLS: u64 = 100_000;
const OUTSTANDING: u64 = 1_000;

const ROUND_TRIP: Metric = Metric::lower("round trip", "ns");
const RATE: Metric = Metric::higher("answers", "M/s");

/// The askers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Askers {
    One,
    Futures,
    Tasks,
}

impl Askers {
    fn by_actors<S: ActorSystem>(self, system: S, count: u64) -> Duration {
        match self {
            Self::One => actor::ask_in_sequence(system, count),
            Self::Futures => actor::ask_from_futures(system, OUTSTANDING, count),
            Self::Tasks => actor::ask_from_tasks(system, OUTSTANDING, count),
        }
    }

    fn by_tarpc(self, flavor: Flavor, count: u64) -> Duration {
        match self {
            Self::One => tarpc::ask_in_sequence(flavor, count),
            Self::Futures => tarpc::ask_from_futures(flavor, OUTSTANDING, count),
            Self::Tasks => tarpc::ask_from_tasks(flavor, OUTSTANDING, count),
        }
    }

    fn by_stakker(self, count: u64) -> Duration {
        let (askers, outstanding) = match self {
            Self::One => (1, 1),
            Self::Futures => (1, OUTSTANDING),
            Self::Tasks => (OUTSTANDING, 1),
        };
        stakker::ask(askers, outstanding, count)
    }

    fn number(self, elapsed: Duration, count: u64) -> f64 {
        match self {
            Self::One => ns_each(elapsed, count),
            Self::Futures | Self::Tasks => millions_per_second(elapsed, count),
        }
    }
}

fn cases(_photos: Option<&Path>, runtimes: &Runtimes) -> Vec<Case> {
    let case = |askers, name, metric, key| {
        let mut case = Case::new("ask", name, &[metric]);
        add_own(&mut case, askers);
        for flavor in Flavor::ALL {
            add(
                &mut case,
                &flavor.name("hand"),
                "tokio",
                Hand(flavor),
                askers,
            );
        }
        add(&mut case, "actix", "actix", Actix, askers);
        for flavor in Flavor::ALL {
            add(
                &mut case,
                &flavor.name("ractor"),
                "ractor",
                Ractor(flavor),
                askers,
            );
            add(
                &mut case,
                &flavor.name("kameo"),
                "kameo",
                Kameo(flavor),
                askers,
            );
            add(
                &mut case,
                &flavor.name("xtra"),
                "xtra",
                Xtra(flavor),
                askers,
            );
            add_tarpc(&mut case, flavor, askers);
        }
        case.add(
            "stakker",
            Kind::Actor,
            versions::of("stakker"),
            move |scale| {
                let count = scale.count(ASKS);
                askers.number(askers.by_stakker(count), count)
            },
        );
        runtimes.add_to(&mut case, key);
        case
    };
    vec![
        case(Askers::One, "one at a time", ROUND_TRIP, "ask"),
        case(
            Askers::Futures,
            "1,000 outstanding, futures of one task",
            RATE,
            "ask-futures",
        ),
        case(
            Askers::Tasks,
            "1,000 outstanding, 1,000 tasks",
            RATE,
            "ask-tasks",
        ),
    ]
}

fn add_own(case: &mut Case, askers: Askers) {
    for shape in Shape::ALL {
        let natural = match askers {
            Askers::One => calls::Askers::One,
            Askers::Futures => calls::Askers::Locals(OUTSTANDING),
            Askers::Tasks => calls::Askers::Isolates(OUTSTANDING),
        };
        add_calls(case, shape, "", natural);
        if askers == Askers::Futures {
            add_calls(
                case,
                shape,
                " join_all",
                calls::Askers::Futures(OUTSTANDING),
            );
        }
        // With the same driver as the actor crates, and its enum of messages.
        let root = Root::Isolate;
        let isolates = Isolates { shape, root };
        add(case, &shape.name("actor"), PACKAGE, isolates, askers);
    }
}

/// Adds messages that carry their reply, and typed calls to one isolate.
fn add_calls(case: &mut Case, shape: Shape, variant: &str, askers: calls::Askers) {
    let number = move |elapsed, count| match askers {
        calls::Askers::One | calls::Askers::Thread => ns_each(elapsed, count),
        _ => millions_per_second(elapsed, count),
    };
    let version = versions::of(PACKAGE);
    case.add(
        shape.name(variant.trim_start()),
        Kind::Actor,
        version,
        move |scale| {
            let count = scale.count(ASKS);
            number(calls::ask::<Port>(shape, askers, count), count)
        },
    );
    let name = shape.name(&format!("rpc{variant}"));
    case.add(name, Kind::Rpc, version, move |scale| {
        let count = scale.count(ASKS);
        number(calls::ask::<Service>(shape, askers, count), count)
    });
}

fn add<S: ActorSystem>(case: &mut Case, name: &str, package: &str, system: S, askers: Askers) {
    case.add(name, Kind::Actor, versions::of(package), move |scale| {
        let count = scale.count(ASKS);
        askers.number(askers.by_actors(system, count), count)
    });
}

fn add_tarpc(case: &mut Case, flavor: Flavor, askers: Askers) {
    case.add(
        flavor.name("tarpc"),
        Kind::Rpc,
        versions::of("tarpc"),
        move |scale| {
            let count = scale.count(CALLS);
            askers.number(askers.by_tarpc(flavor, count), count)
        },
    );
}
