//! From outside: a foreign thread posts to an isolate, and waits for its answer.

use std::path::Path;
use std::time::Duration;

use crate::case::{Case, Kind, Metric};
use crate::insula::Shape;
use crate::insula::native as own;
use crate::measure::{millions_per_second, ns_each};
use crate::peers::dart::DartPackage;
use crate::peers::runtimes::Runtimes;
use crate::peers::tokio::Flavor;
use crate::peers::tokio_native as tokio;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "native",
    about: "foreign threads and isolates",
    cases,
};

const POSTS: u64 = 4_000_000;
const CALLS: u64 = 200_000;
/// The bound of tokio's bounded channel.
const BOUND: usize = 1_024;

const RATE: Metric = Metric::higher("posts", "M/s");
const ROUND_TRIP: Metric = Metric::lower("round trip", "ns");

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    vec![posts(), round_trips()]
}

fn posts() -> Case {
    let mut case = Case::new("native", "post from a foreign thread", &[RATE]);
    let mut add = |name: String, package, run: Box<dyn Fn(u64) -> Duration>| {
        case.add(name, Kind::Actor, versions::of(package), move |scale| {
            let count = scale.count(POSTS);
            millions_per_second(run(count), count)
        });
    };
    for shape in Shape::ALL {
        let by_port = move |count| own::post_to_port(shape, count);
        add(shape.name("port"), PACKAGE, Box::new(by_port));
        let by_callback = move |count| own::post_to_listener(shape, count);
        add(shape.name("listener"), PACKAGE, Box::new(by_callback));
    }
    for flavor in Flavor::ALL {
        let unbounded = move |count| tokio::post_unbounded(flavor, count);
        let name = flavor.name("tokio mpsc unbounded");
        add(name, "tokio", Box::new(unbounded));
        let bounded = move |count| tokio::post_blocking(flavor, BOUND, count);
        let name = flavor.name("tokio mpsc blocking_send");
        add(name, "tokio", Box::new(bounded));
    }
    if let Some(vm) = DartPackage::find() {
        vm.add_to(&mut case, "insula_dart_post to a Dart isolate", "port");
        vm.add_to(&mut case, "Dart's NativeCallable.listener", "listener");
    }
    case
}

fn round_trips() -> Case {
    let mut case = Case::new("native", "blocking callback", &[ROUND_TRIP]);
    let mut add = |name: String, package, run: Box<dyn Fn(u64) -> Duration>| {
        case.add(name, Kind::Actor, versions::of(package), move |scale| {
            let count = scale.count(CALLS);
            ns_each(run(count), count)
        });
    };
    for shape in Shape::ALL {
        let run = move |count| own::call_blocking(shape, count);
        add(shape.name("blocking"), PACKAGE, Box::new(run));
    }
    for flavor in Flavor::ALL {
        let run = move |count| tokio::call_blocking(flavor, count);
        let name = flavor.name("tokio blocking_send + blocking_recv");
        add(name, "tokio", Box::new(run));
    }
    case
}
