//! Files and sockets.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::case::{Case, Kind, Metric, Scale};
use crate::drivers::echo::{self, Server};
use crate::drivers::files::{self, CHUNK, Files, LENGTH};
use crate::insula::io::{Echo, IsolateFiles};
use crate::measure::ns_each;
use crate::peers::async_fs::AsyncFs;
use crate::peers::limits;
use crate::peers::runtimes::Runtimes;
use crate::peers::tokio_io::{TokioEcho, TokioFiles};
use crate::report::PROJECT;
use crate::suites::{PACKAGE, Suite};
use crate::versions;

pub(super) const SUITE: Suite = Suite {
    name: "io",
    about: "files and sockets, from memory and on this machine",
    cases,
};

const STATS: u64 = 100_000;
const IN_FLIGHT: u64 = 64;
/// The size in bytes of the file that is read.
const WHOLE: u64 = 1 << 30;
const CONNECTIONS: u64 = 10_000;
/// The number of messages of each connection.
const ROUNDS: u64 = 20;

const EACH: [Metric; 1] = [Metric::lower("time", "ns each")];
const RATE: [Metric; 1] = [Metric::higher("rate", "GiB/s")];

/// In the order of the sample that [`echo::round_trips`] returns.
const ECHO: [Metric; 2] = [
    Metric::higher("rate", "k/s"),
    Metric::lower("CPU time of the server", "us each"),
];

fn cases(_photos: Option<&Path>, _runtimes: &Runtimes) -> Vec<Case> {
    vec![
        stats("stat, one at a time", 1),
        stats("stat, 64 in flight", IN_FLIGHT),
        whole(),
        connections(),
    ]
}

/// A file that is created when it is first needed, and deleted at the end.
struct Scratch {
    length: fn(Scale) -> u64,
    folder: Option<tempfile::TempDir>,
}

impl Scratch {
    fn path(&mut self, scale: Scale) -> Arc<Path> {
        let folder = self.folder.get_or_insert_with(|| {
            let folder = tempfile::Builder::new().prefix("insula-bench-").tempdir();
            let folder = folder.expect("a temporary folder");
            files::make_file(&file_in(folder.path()), (self.length)(scale)).expect("room for it");
            folder
        });
        Arc::from(file_in(folder.path()))
    }
}

fn file_in(folder: &Path) -> PathBuf {
    folder.join("file")
}

/// Returns a scratch file that the systems of a case share.
fn shared(length: fn(Scale) -> u64) -> impl Fn(Scale) -> Arc<Path> + Clone {
    let scratch = Scratch {
        length,
        folder: None,
    };
    let scratch = std::rc::Rc::new(std::cell::RefCell::new(scratch));
    move |scale| scratch.borrow_mut().path(scale)
}

fn stats(name: &str, tasks: u64) -> Case {
    let mut case = Case::new("io", name, &EACH);
    let path = shared(|_| LENGTH);
    add_stats(&mut case, PROJECT, PACKAGE, IsolateFiles, tasks, &path);
    add_stats(&mut case, "tokio fs", "tokio", TokioFiles, tasks, &path);
    let smol = AsyncFs::default();
    add_stats(&mut case, "async-fs", "async-fs", smol, tasks, &path);
    let path = path.clone();
    case.add("one thread", Kind::Limit, "", move |scale| {
        let count = scale.count(STATS);
        ns_each(limits::stats(&path(scale), count), count)
    });
    case
}

fn add_stats<S: Files>(
    case: &mut Case,
    name: &str,
    package: &str,
    system: S,
    tasks: u64,
    path: &(impl Fn(Scale) -> Arc<Path> + Clone + 'static),
) {
    let path = path.clone();
    case.add(name, Kind::Pool, versions::of(package), move |scale| {
        // A multiple of the tasks, so that each of them makes the same number.
        let count = scale.count(STATS) / tasks * tasks;
        ns_each(
            files::stats(system.clone(), &path(scale), count, tasks),
            count,
        )
    });
}

fn whole() -> Case {
    let mut case = Case::new("io", "read 1 GiB", &RATE);
    let path = shared(|scale| scale.count(WHOLE));
    add_whole(&mut case, PROJECT, PACKAGE, IsolateFiles, &path);
    add_whole(&mut case, "tokio fs", "tokio", TokioFiles, &path);
    add_whole(&mut case, "async-fs", "async-fs", AsyncFs::default(), &path);
    let path = path.clone();
    case.add("one thread", Kind::Limit, "", move |scale| {
        let length = scale.count(WHOLE);
        gib_per_second(limits::read(&path(scale), length, CHUNK), length)
    });
    case
}

fn add_whole<S: Files>(
    case: &mut Case,
    name: &str,
    package: &str,
    system: S,
    path: &(impl Fn(Scale) -> Arc<Path> + Clone + 'static),
) {
    let path = path.clone();
    case.add(name, Kind::Pool, versions::of(package), move |scale| {
        let length = scale.count(WHOLE);
        gib_per_second(
            files::read_whole(system.clone(), &path(scale), length),
            length,
        )
    });
}

fn gib_per_second(elapsed: std::time::Duration, bytes: u64) -> f64 {
    bytes as f64 / elapsed.as_secs_f64() / f64::from(1 << 30)
}

fn connections() -> Case {
    // The case's name contains the number that the limit of descriptors allows.
    let most = echo::connections(CONNECTIONS);
    let mut case = Case::new("io", format!("{most} connections echo"), &ECHO).max_runs(5);
    add_echo(&mut case, PROJECT, PACKAGE, Echo::Isolates, most);
    let tasks = format!("{PROJECT} tasks");
    add_echo(&mut case, &tasks, PACKAGE, Echo::Tasks, most);
    add_echo(&mut case, "tokio net", "tokio", TokioEcho, most);
    case
}

fn add_echo<S: Server>(case: &mut Case, name: &str, package: &str, server: S, most: u64) {
    case.add(name, Kind::Runtime, versions::of(package), move |scale| {
        echo::round_trips(server, scale.count(most), ROUNDS)
    });
}
