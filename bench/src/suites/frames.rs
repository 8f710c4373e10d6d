//! Does a window stay smooth while all cores compute its picture?

use std::path::Path;
use std::time::Duration;

use crate::case::{Case, Kind, Metric, Scale};
use crate::insula;
use crate::insula::Shape;
use crate::peers::frames;
use crate::peers::limits;
use crate::peers::rayon::Rayon;
use crate::peers::runtimes::Runtimes;
use crate::peers::tokio::Blocking;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "frames",
    about: "how late frames begin at 60 Hz while tiles of 10 ms saturate a pool of two",
    cases,
};

/// In the order of the sample that the driver of frames returns.
const METRICS: [Metric; 4] = [
    Metric::lower("late p50", "ms"),
    Metric::lower("late p99", "ms"),
    Metric::lower("late p99.9", "ms"),
    Metric::higher("tiles", "per s"),
];

/// More than 1,000 frames, so that p99.9 is not the last one.
fn length(scale: Scale) -> Duration {
    Duration::from_secs(if scale.quick { 2 } else { 18 })
}

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    vec![
        case("tiles step back", true),
        case("tiles at the frames' priority", false),
    ]
}

/// Adds a case in which the threads that compute tiles lower their priority, as in `apps/window`,
/// or do not.
fn case(name: &str, steps_back: bool) -> Case {
    let mut case = Case::new("frames", name, &METRICS)
        .max_runs(3)
        .in_fresh_processes();
    let own = Shape::Multi.name("");
    case.add(own, Kind::Pool, versions::of(PACKAGE), move |scale| {
        insula::frames::lateness(steps_back, length(scale))
    });
    let tokio = versions::of("tokio");
    case.add("tokio spawn_blocking", Kind::Pool, tokio, move |scale| {
        frames::lateness(&Blocking::new(), steps_back, length(scale))
    });
    let rayon = versions::of("rayon");
    case.add("rayon spawn", Kind::Pool, rayon, move |scale| {
        frames::lateness(&Rayon::new(), steps_back, length(scale))
    });
    case.add("no tiles", Kind::Limit, "", |scale| {
        limits::frames(length(scale))
    });
    case
}
