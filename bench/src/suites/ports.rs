//! Messages alone: how long one takes, and how many there can be.

use std::path::Path;
use std::time::Duration;

use crate::case::{Case, Kind, Metric, Scale};
use crate::drivers::actor::{self, ActorSystem};
use crate::drivers::async_channel::{self, AsyncChannel};
use crate::drivers::executor::Executor;
use crate::drivers::thread_channel::{self, ThreadChannel};
use crate::insula::Shape;
use crate::insula::actor::{Isolates, Root};
use crate::insula::ports::{self, Reading};
use crate::measure::{millions_per_second, ns_each};
use crate::peers::actix::Actix;
use crate::peers::async_channel::{Smol, SmolChannel};
use crate::peers::crossbeam::Crossbeam;
use crate::peers::crossfire::{CrossfireBounded, CrossfireUnbounded};
use crate::peers::flume::Flume;
use crate::peers::hand::Hand;
use crate::peers::kameo::Kameo;
use crate::peers::kanal::Kanal;
use crate::peers::limits;
use crate::peers::ractor::Ractor;
use crate::peers::runtimes::Runtimes;
use crate::peers::stakker;
use crate::peers::std_mpsc::{StdChannel, StdSyncChannel};
use crate::peers::tokio::{Flavor, TokioBounded, TokioUnbounded};
use crate::peers::xtra::Xtra;
use crate::report::PROJECT;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "ports",
    about: "messages one way, round and back",
    cases,
};

/// The messages of the one-way cases.
const MESSAGES: u64 = 10_000_000;
/// The messages for actor crates, which are slow enough to be measured with fewer.
const TELLS: u64 = 2_000_000;
const BOUND: usize = 1_024;
const SENDERS: u64 = 100;
const MEMBERS: u64 = 1_000;
const LAPS: u64 = 1_000;
const ROUND_TRIPS: u64 = 500_000;

const RATE: Metric = Metric::higher("messages", "M/s");
const HOPS: Metric = Metric::higher("hops", "M/s");
const ROUND_TRIP: Metric = Metric::lower("round trip", "ns");

fn cases(_photos: Option<&Path>, runtimes: &Runtimes) -> Vec<Case> {
    let mut cases = vec![
        one_to_one_unbounded(runtimes),
        one_to_one_bounded(runtimes),
        many_to_one(runtimes),
        ring(runtimes),
        ping_pong(runtimes),
        ping_pong_of_threads(runtimes),
    ];
    for (size, bytes, round_trips) in [
        ("64 B", 64, ROUND_TRIPS),
        ("1 KiB", 1 << 10, ROUND_TRIPS),
        ("1 MiB", 1 << 20, ROUND_TRIPS),
        ("1 GiB", 1 << 30, ROUND_TRIPS),
    ] {
        cases.push(hand_over(runtimes, size, bytes, round_trips));
    }
    cases
}

fn one_to_one_unbounded(runtimes: &Runtimes) -> Case {
    let mut case = Case::new("ports", "one to one, unbounded", &[RATE]);
    add_isolates(&mut case, (None, 1));
    add_thread_to_isolate(&mut case, None);
    add_isolates_as_actors(&mut case, (None, 1));
    add_threads::<Crossbeam>(&mut case, "crossbeam", "crossbeam-channel", None);
    add_threads::<CrossfireUnbounded>(&mut case, "crossfire", "crossfire", None);
    add_threads::<Kanal>(&mut case, "kanal", "kanal", None);
    add_threads::<Flume>(&mut case, "flume", "flume", None);
    add_threads::<StdChannel>(&mut case, "std mpsc", "std", None);
    for flavor in Flavor::ALL {
        add_tasks::<TokioUnbounded>(&mut case, "tokio mpsc", "tokio", flavor, (None, 1));
        add_crossfire(&mut case, "crossfire async", flavor, (None, 1));
        add_tasks::<Kanal>(&mut case, "kanal async", "kanal", flavor, (None, 1));
        add_tasks::<Flume>(&mut case, "flume async", "flume", flavor, (None, 1));
    }
    add_smol(&mut case, (None, 1));
    for flavor in Flavor::ALL {
        add_actors(
            &mut case,
            &flavor.name("hand"),
            "tokio",
            Hand(flavor),
            (None, 1),
        );
    }
    add_actors(&mut case, "actix", "actix", Actix, (None, 1));
    for flavor in Flavor::ALL {
        add_actors(
            &mut case,
            &flavor.name("ractor"),
            "ractor",
            Ractor(flavor),
            (None, 1),
        );
        add_actors(
            &mut case,
            &flavor.name("kameo"),
            "kameo",
            Kameo(flavor),
            (None, 1),
        );
        add_actors(
            &mut case,
            &flavor.name("xtra"),
            "xtra",
            Xtra(flavor),
            (None, 1),
        );
    }
    runtimes.add_to(&mut case, "one-way");
    case
}

fn one_to_one_bounded(runtimes: &Runtimes) -> Case {
    let bound = Some(BOUND);
    let mut case = Case::new("ports", "one to one, bounded(1024)", &[RATE]);
    add_isolates(&mut case, (bound, 1));
    add_thread_to_isolate(&mut case, bound);
    add_isolates_as_actors(&mut case, (bound, 1));
    add_threads::<Crossbeam>(&mut case, "crossbeam", "crossbeam-channel", bound);
    add_threads::<CrossfireBounded>(&mut case, "crossfire", "crossfire", bound);
    add_threads::<Kanal>(&mut case, "kanal", "kanal", bound);
    add_threads::<Flume>(&mut case, "flume", "flume", bound);
    add_threads::<StdSyncChannel>(&mut case, "std sync_channel", "std", bound);
    for flavor in Flavor::ALL {
        add_tasks::<TokioBounded>(&mut case, "tokio mpsc", "tokio", flavor, (bound, 1));
        add_crossfire(&mut case, "crossfire async", flavor, (bound, 1));
        add_tasks::<Kanal>(&mut case, "kanal async", "kanal", flavor, (bound, 1));
        add_tasks::<Flume>(&mut case, "flume async", "flume", flavor, (bound, 1));
    }
    add_smol(&mut case, (bound, 1));
    // actix and ractor have no bound that a tell respects.
    for flavor in Flavor::ALL {
        add_actors(
            &mut case,
            &flavor.name("hand"),
            "tokio",
            Hand(flavor),
            (bound, 1),
        );
        add_actors(
            &mut case,
            &flavor.name("kameo"),
            "kameo",
            Kameo(flavor),
            (bound, 1),
        );
        add_actors(
            &mut case,
            &flavor.name("xtra"),
            "xtra",
            Xtra(flavor),
            (bound, 1),
        );
    }
    runtimes.add_to(&mut case, "one-way-bounded");
    case
}

fn many_to_one(runtimes: &Runtimes) -> Case {
    let (unbounded, bounded) = ((None, SENDERS), (Some(BOUND), SENDERS));
    let mut case = Case::new("ports", "100 senders to one", &[RATE]);
    add_isolates(&mut case, unbounded);
    for shape in Shape::ALL {
        add_own(&mut case, &shape.name("(1024)"), move |scale| {
            let count = scale.count(MESSAGES);
            let elapsed = ports::many_to_one(shape, Reading::Listen, bounded.0, bounded.1, count);
            millions_per_second(elapsed, count)
        });
    }
    add_isolates_as_actors(&mut case, unbounded);
    for flavor in Flavor::ALL {
        add_tasks::<TokioUnbounded>(&mut case, "tokio mpsc", "tokio", flavor, unbounded);
        add_crossfire(&mut case, "crossfire async", flavor, unbounded);
        add_crossfire(&mut case, "crossfire async(1024)", flavor, bounded);
        add_tasks::<Kanal>(&mut case, "kanal async", "kanal", flavor, unbounded);
        add_tasks::<Kanal>(&mut case, "kanal async(1024)", "kanal", flavor, bounded);
        add_actors(
            &mut case,
            &flavor.name("hand"),
            "tokio",
            Hand(flavor),
            unbounded,
        );
        add_actors(
            &mut case,
            &flavor.name("hand(1024)"),
            "tokio",
            Hand(flavor),
            bounded,
        );
    }
    add_smol(&mut case, unbounded);
    add_actors(&mut case, "actix", "actix", Actix, unbounded);
    for flavor in Flavor::ALL {
        add_actors(
            &mut case,
            &flavor.name("ractor"),
            "ractor",
            Ractor(flavor),
            unbounded,
        );
        add_actors(
            &mut case,
            &flavor.name("kameo"),
            "kameo",
            Kameo(flavor),
            unbounded,
        );
        add_actors(
            &mut case,
            &flavor.name("xtra"),
            "xtra",
            Xtra(flavor),
            unbounded,
        );
    }
    runtimes.add_to(&mut case, "fan-in");
    case
}

fn ring(runtimes: &Runtimes) -> Case {
    let mut case = Case::new("ports", "ring of 1,000", &[HOPS]);
    for shape in Shape::ALL {
        add_own(&mut case, &shape.name(""), move |scale| {
            let laps = scale.count(LAPS);
            millions_per_second(ports::ring(shape, MEMBERS, laps), MEMBERS * laps)
        });
    }
    for shape in Shape::ALL {
        let root = Root::Isolate;
        let isolates = Isolates { shape, root };
        add_actor_ring(&mut case, &shape.name("actor"), PACKAGE, isolates);
    }
    for flavor in Flavor::ALL {
        add_task_ring::<TokioUnbounded>(&mut case, &flavor.name("tokio mpsc"), "tokio", flavor);
        add_task_ring::<CrossfireUnbounded>(
            &mut case,
            &flavor.name("crossfire async"),
            "crossfire",
            flavor,
        );
        add_task_ring::<Kanal>(&mut case, &flavor.name("kanal async"), "kanal", flavor);
        add_actor_ring(&mut case, &flavor.name("hand"), "tokio", Hand(flavor));
    }
    add_actor_ring(&mut case, "actix", "actix", Actix);
    for flavor in Flavor::ALL {
        add_actor_ring(&mut case, &flavor.name("ractor"), "ractor", Ractor(flavor));
        add_actor_ring(&mut case, &flavor.name("kameo"), "kameo", Kameo(flavor));
        add_actor_ring(&mut case, &flavor.name("xtra"), "xtra", Xtra(flavor));
    }
    case.add("stakker", Kind::Actor, versions::of("stakker"), |scale| {
        let laps = scale.count(LAPS);
        millions_per_second(stakker::ring(MEMBERS, laps), MEMBERS * laps)
    });
    runtimes.add_to(&mut case, "ring");
    case
}

fn ping_pong(runtimes: &Runtimes) -> Case {
    let mut case = Case::new("ports", "ping-pong", &[ROUND_TRIP]);
    for (variant, reading) in [("", Reading::Listen), ("recv", Reading::Recv)] {
        for shape in Shape::ALL {
            add_own(&mut case, &shape.name(variant), move |scale| {
                checked_number_trips(scale, |count, touch| {
                    ports::round_trips(shape, reading, count, 0, touch)
                })
            });
        }
    }
    for flavor in Flavor::ALL {
        add_number_trips::<TokioUnbounded>(&mut case, "tokio mpsc", "tokio", flavor, None);
        add_number_trips::<TokioBounded>(&mut case, "tokio mpsc(16)", "tokio", flavor, Some(16));
        add_number_trips::<CrossfireUnbounded>(
            &mut case,
            "crossfire async",
            "crossfire",
            flavor,
            None,
        );
        add_number_trips::<CrossfireBounded>(
            &mut case,
            "crossfire async(16)",
            "crossfire",
            flavor,
            Some(16),
        );
        add_number_trips::<Kanal>(&mut case, "kanal async", "kanal", flavor, None);
        add_number_trips::<Kanal>(&mut case, "kanal async(16)", "kanal", flavor, Some(16));
        add_number_trips::<Flume>(&mut case, "flume async", "flume", flavor, None);
    }
    case.add(
        "async-channel",
        Kind::AsyncChannel,
        versions::of("async-channel"),
        |scale| number_trips::<SmolChannel>(Smol::default(), None, scale),
    );
    runtimes.add_to(&mut case, "ping-pong");
    case
}

fn ping_pong_of_threads(runtimes: &Runtimes) -> Case {
    let name = "ping-pong across two running threads";
    let mut case = Case::new("ports", name, &[ROUND_TRIP]);
    // The pair of pinned isolates is this project's way to use two threads.
    add_own(&mut case, PROJECT, |scale| {
        checked_number_trips(scale, |count, touch| {
            ports::pinned_round_trips(count, 0, touch)
        })
    });
    add_spinning::<Crossbeam>(&mut case, "crossbeam", "crossbeam-channel");
    add_spinning::<CrossfireBounded>(&mut case, "crossfire", "crossfire");
    add_spinning::<Kanal>(&mut case, "kanal", "kanal");
    add_spinning::<Flume>(&mut case, "flume", "flume");
    add_spinning::<StdChannel>(&mut case, "std mpsc", "std");
    add_spinning::<TokioUnbounded>(&mut case, "tokio mpsc", "tokio");
    case.add("one cache line", Kind::Limit, "", |scale| {
        let count = scale.count(ROUND_TRIPS);
        ns_each(limits::cache_line_round_trips(count), count)
    });
    runtimes.add_to(&mut case, "ping-pong-threads");
    case
}

fn hand_over(runtimes: &Runtimes, size: &str, bytes: usize, round_trips: u64) -> Case {
    let mut case = Case::new("ports", format!("hand over {size}"), &[ROUND_TRIP]);
    for shape in Shape::ALL {
        add_own(&mut case, &shape.name(""), move |scale| {
            let count = scale.count(round_trips);
            checked_hand_over(bytes, count, |buffer| {
                ports::round_trips(shape, Reading::Listen, count, buffer, touch)
            })
        });
    }
    add_own(&mut case, &Shape::Multi.name("pinned"), move |scale| {
        let count = scale.count(round_trips);
        checked_hand_over(bytes, count, |buffer| {
            ports::pinned_round_trips(count, buffer, touch)
        })
    });
    let threads = versions::of("crossbeam-channel");
    case.add(
        "crossbeam, running threads",
        Kind::ThreadChannel,
        threads,
        move |scale| {
            let count = scale.count(round_trips);
            let trips = thread_channel::spinning_round_trips::<Crossbeam, _>;
            checked_hand_over(bytes, count, |buffer| trips(count, buffer, touch))
        },
    );
    for flavor in Flavor::ALL {
        add_hand_over::<TokioUnbounded>(&mut case, "tokio mpsc", "tokio", flavor, bytes);
        add_hand_over::<CrossfireUnbounded>(
            &mut case,
            "crossfire async",
            "crossfire",
            flavor,
            bytes,
        );
        add_hand_over::<Kanal>(&mut case, "kanal async", "kanal", flavor, bytes);
    }
    if bytes == 1 << 20 {
        case.add("copied there and back", Kind::Limit, "", move |scale| {
            // Fewer, since each of them copies 2 MiB.
            let count = scale.count(round_trips) / 100;
            ns_each(limits::copies_there_and_back(bytes, count), count)
        });
    }
    runtimes.add_to(&mut case, &format!("hand-over-{bytes}"));
    case
}

fn add_own(case: &mut Case, name: &str, repeat: impl FnMut(Scale) -> f64 + 'static) {
    case.add(name, Kind::Actor, versions::of(PACKAGE), repeat);
}

/// `shape`: the bound and the number of senders.
fn add_isolates(case: &mut Case, (bound, senders): (Option<usize>, u64)) {
    for (variant, reading) in [("", Reading::Listen), ("recv", Reading::Recv)] {
        for shape in Shape::ALL {
            add_own(case, &shape.name(variant), move |scale| {
                let count = scale.count(MESSAGES);
                let elapsed = ports::many_to_one(shape, reading, bound, senders, count);
                millions_per_second(elapsed, count)
            });
        }
    }
}

/// Adds a row beside the channels between threads.
fn add_thread_to_isolate(case: &mut Case, bound: Option<usize>) {
    add_own(case, &Shape::Multi.name("from thread"), move |scale| {
        let count = scale.count(MESSAGES);
        millions_per_second(ports::from_a_thread(bound, count), count)
    });
}

/// Adds isolates under the same driver as the actor crates, with its enum of messages.
fn add_isolates_as_actors(case: &mut Case, senders: (Option<usize>, u64)) {
    for shape in Shape::ALL {
        let root = Root::Isolate;
        let isolates = Isolates { shape, root };
        add_actors(case, &shape.name("actor"), PACKAGE, isolates, senders);
    }
}

fn add_threads<C: ThreadChannel>(case: &mut Case, name: &str, package: &str, bound: Option<usize>) {
    case.add(
        name,
        Kind::ThreadChannel,
        versions::of(package),
        move |scale| {
            let count = scale.count(MESSAGES);
            millions_per_second(thread_channel::one_way::<C>(bound, count), count)
        },
    );
}

/// `shape`: the bound and the number of senders.
fn add_tasks<C: AsyncChannel>(
    case: &mut Case,
    name: &str,
    package: &str,
    flavor: Flavor,
    shape: (Option<usize>, u64),
) {
    case.add(
        flavor.name(name),
        Kind::AsyncChannel,
        versions::of(package),
        move |scale| task_rate::<C>(flavor, shape, scale),
    );
}

/// Adds crossfire's channel, which is of another type if it has a bound.
fn add_crossfire(case: &mut Case, name: &str, flavor: Flavor, shape: (Option<usize>, u64)) {
    match shape.0 {
        None => add_tasks::<CrossfireUnbounded>(case, name, "crossfire", flavor, shape),
        Some(_) => add_tasks::<CrossfireBounded>(case, name, "crossfire", flavor, shape),
    }
}

fn add_smol(case: &mut Case, shape: (Option<usize>, u64)) {
    case.add(
        "async-channel",
        Kind::AsyncChannel,
        versions::of("async-channel"),
        move |scale| task_rate::<SmolChannel>(Smol::default(), shape, scale),
    );
}

fn task_rate<C: AsyncChannel>(
    executor: impl Executor,
    (bound, senders): (Option<usize>, u64),
    scale: Scale,
) -> f64 {
    let count = scale.count(MESSAGES);
    let elapsed = async_channel::many_to_one::<C>(executor, bound, senders, count);
    millions_per_second(elapsed, count)
}

fn add_actors<S: ActorSystem>(
    case: &mut Case,
    name: &str,
    package: &str,
    system: S,
    (bound, senders): (Option<usize>, u64),
) {
    case.add(name, Kind::Actor, versions::of(package), move |scale| {
        let count = scale.count(TELLS);
        millions_per_second(actor::many_to_one(system, bound, senders, count), count)
    });
}

fn add_task_ring<C: AsyncChannel>(case: &mut Case, name: &str, package: &str, flavor: Flavor) {
    case.add(
        name,
        Kind::AsyncChannel,
        versions::of(package),
        move |scale| {
            let laps = scale.count(LAPS);
            let elapsed = async_channel::ring::<C>(flavor, MEMBERS, laps);
            millions_per_second(elapsed, MEMBERS * laps)
        },
    );
}

fn add_actor_ring<S: ActorSystem>(case: &mut Case, name: &str, package: &str, system: S) {
    case.add(name, Kind::Actor, versions::of(package), move |scale| {
        let laps = scale.count(LAPS);
        millions_per_second(actor::ring(system, MEMBERS, laps), MEMBERS * laps)
    });
}

fn add_number_trips<C: AsyncChannel>(
    case: &mut Case,
    name: &str,
    package: &str,
    flavor: Flavor,
    bound: Option<usize>,
) {
    case.add(
        flavor.name(name),
        Kind::AsyncChannel,
        versions::of(package),
        move |scale| number_trips::<C>(flavor, bound, scale),
    );
}

fn number_trips<C: AsyncChannel>(
    executor: impl Executor,
    bound: Option<usize>,
    scale: Scale,
) -> f64 {
    checked_number_trips(scale, |count, touch| {
        async_channel::round_trips::<C, u64>(executor, bound, count, 0, touch)
    })
}

fn add_spinning<C: ThreadChannel>(case: &mut Case, name: &str, package: &str) {
    case.add(name, Kind::ThreadChannel, versions::of(package), |scale| {
        checked_number_trips(scale, |count, touch| {
            thread_channel::spinning_round_trips::<C, u64>(count, 0, touch)
        })
    });
}

/// Returns the nanoseconds of a round trip of a number to which each side adds one.
fn checked_number_trips(
    scale: Scale,
    trips: impl FnOnce(u64, fn(&mut u64)) -> (Duration, u64),
) -> f64 {
    let count = scale.count(ROUND_TRIPS);
    let (elapsed, token) = trips(count, |token| *token += 1);
    assert_eq!(token, 2 * count);
    ns_each(elapsed, count)
}

fn add_hand_over<C: AsyncChannel>(
    case: &mut Case,
    name: &str,
    package: &str,
    flavor: Flavor,
    bytes: usize,
) {
    case.add(
        flavor.name(name),
        Kind::AsyncChannel,
        versions::of(package),
        move |scale| {
            let count = scale.count(ROUND_TRIPS);
            let trips = async_channel::round_trips::<C, _>;
            checked_hand_over(bytes, count, |buffer| {
                trips(flavor, None, count, buffer, touch)
            })
        },
    );
}

/// The access of each side to a buffer: one byte, so that the owner certainly has it.
fn touch(buffer: &mut Box<[u8]>) {
    buffer[0] = buffer[0].wrapping_add(1);
}

/// Returns the nanoseconds of a round trip of one buffer, which is allocated and touched before,
/// and must be the same buffer after.
fn checked_hand_over(
    bytes: usize,
    count: u64,
    trips: impl FnOnce(Box<[u8]>) -> (Duration, Box<[u8]>),
) -> f64 {
    // Not zeros, whose pages the system would hand out only when they are touched.
    let buffer = vec![7_u8; bytes].into_boxed_slice();
    let address = buffer.as_ptr().addr();
    let (elapsed, buffer) = trips(buffer);
    assert_eq!(buffer.as_ptr().addr(), address, "moved, not copied");
    assert_eq!(u64::from(buffer[0]), (7 + 2 * count) % 256);
    assert_eq!((buffer.len(), buffer[bytes - 1]), (bytes, 7));
    ns_each(elapsed, count)
}
