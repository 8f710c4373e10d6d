//! For the tests of programs whose workers may be in other processes or on other machines: NATS servers,
//! nodes, and what a run has begun.
//!
//! Tests that need a server are a test program without Rust's own harness, whose `main` is [`run`]. The
//! variable `INSULA_NATS_SERVER` names the server's program; without it there are none.
//!
//! # Panics
//! All functions panic if they cannot do what they should: that fails the test.
#![forbid(unsafe_code)]
#![expect(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "the documentation of the crate says it for all"
)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use tempfile::TempDir;

/// The variable that names the program of the server.
const SERVER: &str = "INSULA_NATS_SERVER";

/// One test: its name, and what it does.
pub type Test = (&'static str, fn());

/// Runs tests as the arguments of this program ask.
pub fn run(tests: &[Test]) -> ExitCode {
    let mut trials = Vec::new();
    if std::env::var_os(SERVER).is_some() {
        trials.extend(tests.iter().map(|&(name, test)| {
            Trial::test(name, move || {
                test();
                Ok(())
            })
        }));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A process that ends with its test.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Sends a signal by its name, waits for the end, and returns the exit status.
    pub fn end(&mut self, signal: &str) -> Option<i32> {
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

/// A server that stands for the network of some machines, all with one program.
#[derive(Debug)]
pub struct Machines {
    program: &'static str,
    url: String,
    _server: Process,
    _folder: TempDir,
}

impl Machines {
    /// Starts a server, for machines with the program that has this path.
    pub fn start(program: &'static str) -> Self {
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
            program,
            url,
            _server: server,
            _folder: folder,
        }
    }

    /// Starts a node with one worker, and waits until it serves.
    pub fn node(&self) -> Process {
        let mut command = Command::new(self.program);
        command.args(["worker", "--workers", "1", "--nats", &self.url]);
        let mut node = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(node.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "serves with 1 workers\n");
        Process(node)
    }

    /// Returns a command whose workers are those of the nodes.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments);
        command.args(["--kind", "nats", "--nats", &self.url]);
        command
    }

    /// Returns a command whose workers are in its own process.
    pub fn local(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(arguments);
        command
    }
}

/// Waits until a run, which must not be over before, has written so many bytes of a file that has no
/// name yet into a folder. Then its workers have begun.
pub fn wait_for_part(run: &mut Child, folder: &Path, bytes: u64) {
    let begin = Instant::now();
    while part(folder) < bytes {
        assert!(begin.elapsed() < Duration::from_secs(120));
        assert_eq!(run.try_wait().unwrap(), None, "the run is over too soon");
        std::thread::yield_now();
    }
}

/// Returns the bytes of a file in a folder that is not written to its end and so has no name yet, or
/// zero if there is none.
pub fn part(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut parts = entries.filter(|it| it.path().extension().is_some_and(|it| it == "part"));
    parts
        .find_map(|it| Some(it.metadata().ok()?.len()))
        .unwrap_or(0)
}

/// Returns the numbers of the processes that a process has started and that have not ended. Only Linux
/// knows them; elsewhere there are none.
pub fn children(process: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task"))
        .into_iter()
        .flatten();
    let of_thread = |it: std::io::Result<fs::DirEntry>| {
        fs::read_to_string(it.ok()?.path().join("children")).ok()
    };
    let numbers = threads.filter_map(of_thread);
    numbers
        .flat_map(|it| it.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Compares the files of two folders.
pub fn compare(one: &Path, other: &Path) {
    let names = names_in(one);
    assert!(!names.is_empty());
    assert_eq!(names, names_in(other));
    for name in names {
        let [a, b] = [one, other].map(|folder| fs::read(folder.join(&name)).unwrap());
        assert!(a == b, "{name} differs");
    }
}

/// Returns the names of the files in a folder, which need not be there.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

/// Returns the output of a run that has to be successful.
pub fn finish(run: Child) -> Output {
    let output = run.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    output
}
