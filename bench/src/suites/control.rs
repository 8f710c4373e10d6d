//! Control messages, which bypass an isolate's queue, compared with an ordinary message; and snapshots for
//! tools, beside an isolate that runs.

use std::path::Path;

use insula::control::Priority;

use crate::case::{Case, Kind, Metric};
use crate::insula::Shape;
use crate::insula::control::{Asker, RoundTrip, Victim, kill_to_notice};
use crate::insula::snapshots::{Beside, stops};
use crate::measure::ns_each;
use crate::peers::runtimes::Runtimes;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "control",
    about: "pings, pauses and kills, beside a message that carries its reply; snapshots",
    cases,
};

const ROUND_TRIPS: u64 = 500_000;
/// The messages where each waits for a thread to wake.
const WOKEN: u64 = 20_000;
const KILLS: u64 = 1_000;
/// The isolates in a snapshot.
const ISOLATES: u64 = 100_000;
const SNAPSHOTS: u64 = 100;

const EACH: [Metric; 1] = [Metric::lower("round trip", "ns")];

/// In the order of the sample that [`kill_to_notice`] returns.
const NOTICE: [Metric; 3] = [
    Metric::lower("notice p50", "us"),
    Metric::lower("notice p99", "us"),
    Metric::lower("notice max", "us"),
];

/// In the order of the sample that [`stops`] returns.
const STOPS: [Metric; 3] = [
    Metric::lower("snapshot", "ms"),
    Metric::lower("longest between turns p50", "us"),
    Metric::lower("longest between turns p90", "us"),
];

/// The message is the row that the others are compared with.
const KINDS: [(&str, RoundTrip); 6] = [
    ("", RoundTrip::Message),
    ("ping", RoundTrip::Ping(Priority::Immediate)),
    ("ping next", RoundTrip::Ping(Priority::BeforeNextEvent)),
    ("ping event", RoundTrip::Ping(Priority::AsEvent)),
    ("ping paused", RoundTrip::PingPaused),
    ("pause, resume, ping", RoundTrip::PauseResume),
];

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    vec![
        round_trips("from an isolate", Asker::Isolate),
        round_trips("from a thread", Asker::Thread),
        kills("kill of an idle isolate", Victim::Idle),
        kills("kill of one that computes", Victim::Computing),
        snapshots(),
    ]
}

fn snapshots() -> Case {
    let mut case = Case::new("control", "snapshots of 100,000 isolates", &STOPS);
    for (variant, beside) in [("", Beside::Snapshots), ("computing", Beside::Computing)] {
        let name = Shape::One.name(variant);
        case.add(name, Kind::Actor, versions::of(PACKAGE), move |scale| {
            stops(beside, ISOLATES, scale.count(SNAPSHOTS))
        });
    }
    case
}

fn round_trips(name: &str, asker: Asker) -> Case {
    let mut case = Case::new("control", name, &EACH);
    let shapes = match asker {
        Asker::Isolate => &Shape::ALL[..],
        Asker::Thread => &[Shape::Multi],
    };
    for shape in shapes.iter().copied() {
        for (variant, trip) in KINDS {
            let name = shape.name(variant);
            case.add(name, Kind::Actor, versions::of(PACKAGE), move |scale| {
                let count = scale.count(match asker {
                    Asker::Isolate => ROUND_TRIPS,
                    Asker::Thread => WOKEN,
                });
                ns_each(trip.repeat(shape, asker, count), count)
            });
        }
    }
    case
}

fn kills(name: &str, victim: Victim) -> Case {
    let mut case = Case::new("control", name, &NOTICE);
    let name = Shape::Multi.name("");
    case.add(name, Kind::Actor, versions::of(PACKAGE), move |scale| {
        kill_to_notice(victim, scale.count(KILLS))
    });
    case
}
