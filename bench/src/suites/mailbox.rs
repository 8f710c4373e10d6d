//! Two threads that wait for each other.

use std::path::Path;
use std::time::Duration;

use crate::case::{Case, Kind, Metric};
use crate::drivers::rendezvous::{self, Message, Place, Rendezvous};
use crate::insula::mailbox::{Own, OwnMailboxes};
use crate::measure::ns_each;
use crate::peers::crossbeam::Crossbeam;
use crate::peers::kanal::Kanal;
use crate::peers::limits;
use crate::peers::mailboxes::{Futex, ParkingLot, StdLocks, TwoChannels, TwoConditions};
use crate::peers::runtimes::Runtimes;
use crate::peers::std_mpsc::StdSyncChannel;
use crate::report::PROJECT;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "mailbox",
    about: "request and response between two threads",
    cases,
};

const ROUND_TRIP: Metric = Metric::lower("round trip", "ns");

/// The parameters of a case.
#[derive(Clone, Copy)]
struct Question {
    place: Place,
    /// Of both sides, before each hand-over.
    work: Duration,
    count: u64,
}

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    let awake = Question {
        place: Place::Anywhere,
        work: Duration::ZERO,
        count: 100_000,
    };
    let one_core = Question {
        place: Place::OneCore,
        ..awake
    };
    // Longer than any system spins.
    let asleep = Question {
        place: Place::TwoCores,
        work: Duration::from_micros(100),
        count: 2_000,
    };
    let large = Question {
        count: 2_000,
        ..awake
    };
    let mut awake = case::<[u8; 64]>("64 B, nothing else to do", awake);
    awake.add("cache line", Kind::Limit, "", |scale| {
        let count = scale.count(1_000_000);
        ns_each(limits::cache_line_round_trips(count), count)
    });
    vec![
        awake,
        case::<[u8; 64]>("64 B, both on one core", one_core),
        case::<[u8; 64]>("64 B, each side sleeps first", asleep),
        case::<Vec<u8>>("1 MiB", large),
    ]
}

fn case<T: Message>(name: &str, question: Question) -> Case {
    let mut case = Case::new("mailbox", name, &[ROUND_TRIP]);
    add::<Own, T>(&mut case, PROJECT, PACKAGE, question);
    let mailboxes = format!("{PROJECT} mailbox");
    add::<OwnMailboxes, T>(&mut case, &mailboxes, PACKAGE, question);
    add::<TwoConditions<StdLocks>, T>(&mut case, "std mutex, 2 conditions", "std", question);
    add::<TwoConditions<ParkingLot>, T>(&mut case, "parking_lot", "parking_lot", question);
    add::<TwoChannels<StdSyncChannel>, T>(&mut case, "std sync_channel(0)", "std", question);
    add::<TwoChannels<Crossbeam>, T>(&mut case, "crossbeam(0)", "crossbeam-channel", question);
    add::<TwoChannels<Kanal>, T>(&mut case, "kanal(0)", "kanal", question);
    add_as::<Futex, T>(&mut case, "futex", Kind::Limit, "", question);
    case
}

fn add<R: Rendezvous, T: Message>(case: &mut Case, name: &str, package: &str, question: Question) {
    let version = versions::of(package);
    add_as::<R, T>(case, name, Kind::ThreadChannel, version, question);
}

fn add_as<R: Rendezvous, T: Message>(
    case: &mut Case,
    name: &str,
    kind: Kind,
    version: &str,
    question: Question,
) {
    let Question { place, work, count } = question;
    case.add(name, kind, version, move |scale| {
        let count = scale.count(count);
        ns_each(rendezvous::round_trips::<R, T>(place, work, count), count)
    });
}
