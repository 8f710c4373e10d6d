//! Risk: pictures that are made on other machines are others, or are lost with one of them.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "clippy allows it in test functions, but not in what they call"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;

/// The variable that names the program of the server.
const SERVER: &str = "INSULA_NATS_SERVER";

/// One test: its name, and what it does.
type Test = (&'static str, fn());

const ALL: &[Test] = &[
    (
        "workers_on_machines_make_the_same_pictures",
        workers_on_machines_make_the_same_pictures,
    ),
    (
        "a_machine_that_is_killed_loses_no_picture",
        a_machine_that_is_killed_loses_no_picture,
    ),
    (
        "a_worker_that_is_told_to_stop_ends_well",
        a_worker_that_is_told_to_stop_ends_well,
    ),
    ("what_is_missing_is_said", what_is_missing_is_said),
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    if std::env::var_os(SERVER).is_some() {
        trials.extend(ALL.iter().map(|&(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A process that ends with its test.
struct Process(Child);

impl Process {
    /// Sends a signal by its name, and waits for the end.
    fn end(&mut self, signal: &str) -> Option<i32> {
        let mut command = Command::new("kill");
        let sent = command.args(["-s", signal, &self.0.id().to_string()]);
        assert!(sent.status().unwrap().success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that stands for the network of some machines.
struct Machines {
    url: String,
    _server: Process,
    _folder: TempDir,
}

impl Machines {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let server = Command::new(std::env::var_os(SERVER).unwrap())
            .args(["-a", "127.0.0.1", "-p", "-1", "--ports_file_dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let server = Process(server.unwrap());
        // It writes the file once it listens.
        let name = format!("nats-server_{}.ports", server.0.id());
        let begin = Instant::now();
        let url = loop {
            let text = fs::read_to_string(folder.path().join(&name)).unwrap_or_default();
            if let Some(url) = text.split('"').find(|it| it.starts_with("nats://")) {
                break url.to_owned();
            }
            assert!(begin.elapsed() < Duration::from_secs(30), "{text}");
            std::thread::sleep(Duration::from_millis(5));
        };
        Self {
            url,
            _server: server,
            _folder: folder,
        }
    }

    fn images(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_images"));
        command.args(arguments).args(["--nats", &self.url]);
        command
    }

    fn worker(&self) -> Process {
        let mut command = self.images(&["worker", "--workers", "1"]);
        let mut worker = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(worker.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "serves with 1 workers\n");
        Process(worker)
    }

    /// Makes the pictures of all samples on two workers.
    fn run(&self, out: &Path) -> Child {
        let mut command = self.images(&["--quiet", "--kind", "nats", "--workers", "2"]);
        let command = command.arg(photos()).arg("--out").arg(out);
        command.stderr(Stdio::piped()).spawn().unwrap()
    }
}

fn photos() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples/photos")
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Compares pictures with those that isolates make.
fn check(machines: &Machines, there: &Path) {
    let here = TempDir::new().unwrap();
    let mut local = machines.images(&["--quiet"]);
    let local = local.arg(photos()).arg("--out").arg(here.path()).status();
    assert!(local.unwrap().success());
    let names = names_in(here.path());
    assert_eq!(names.len(), 15);
    assert_eq!(names, names_in(there));
    for name in names {
        let (one, other) = (here.path().join(&name), there.join(&name));
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{name}");
    }
}

fn finish(run: Child) {
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
}

fn workers_on_machines_make_the_same_pictures() {
    let machines = Machines::start();
    let _workers = [machines.worker(), machines.worker()];
    let out = TempDir::new().unwrap();
    // Twice, one after the other: the first run has given its workers back.
    for _ in 0..2 {
        let begin = Instant::now();
        finish(machines.run(out.path()));
        check(&machines, out.path());
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
}

fn a_machine_that_is_killed_loses_no_picture() {
    let machines = Machines::start();
    let mut first = machines.worker();
    let _second = machines.worker();
    let out = TempDir::new().unwrap();
    let run = machines.run(out.path());
    // Once there is a picture, so that both workers have begun.
    while names_in(out.path()).is_empty() {
        std::thread::yield_now();
    }
    let _ = first.end("KILL");
    assert!(names_in(out.path()).len() < 15, "the run was over too soon");
    let _third = machines.worker();
    finish(run);
    check(&machines, out.path());
}

fn a_worker_that_is_told_to_stop_ends_well() {
    let machines = Machines::start();
    let mut first = machines.worker();
    let _second = machines.worker();
    let out = TempDir::new().unwrap();
    let run = machines.run(out.path());
    while names_in(out.path()).is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(first.end("TERM"), Some(0));
    assert!(names_in(out.path()).len() < 15, "the run was over too soon");
    finish(run);
    check(&machines, out.path());
}

fn what_is_missing_is_said() {
    let machines = Machines::start();
    let out = TempDir::new().unwrap();
    let output = machines.run(out.path()).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        said.contains("no node serves version 1 of Pictures"),
        "{said}"
    );
    let mut without_url = Command::new(env!("CARGO_BIN_EXE_images"));
    let output = without_url.arg("worker").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--nats"), "{said}");
}
