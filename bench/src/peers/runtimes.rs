//! The runtimes of other languages, if they are installed: small programs under `bench/runtimes`.
//!
//! Each program takes a case and a divisor, runs the case once after a warm-up of its own, and
//! prints one line per number: `case<TAB>value<TAB>unit`, or `case/metric<TAB>…` if the case has
//! several metrics. So each repetition is one process, interleaved with the peers.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::{Case, Kind, Metric, Sample, Scale};

/// The time after which a program is stopped, and its row is left out.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// A runtime that may be installed.
struct Runtime {
    name: &'static str,
    /// The program that must be on the path.
    program: &'static str,
    version: fn() -> Option<String>,
    /// Returns the command before the case; may compile.
    prepare: fn(&Path) -> Option<Vec<PathBuf>>,
    /// The cases that its program knows.
    cases: &'static [&'static str],
}

const KNOWN: [Runtime; 4] = [
    Runtime {
        name: "erlang",
        program: "escript",
        version: erlang_version,
        prepare: |_| Some(vec!["escript".into(), source("erlang/bench.escript")]),
        cases: &[
            "one-way",
            "fan-in",
            "ring",
            "ping-pong",
            "hand-over-64",
            "hand-over-1024",
            "hand-over-1048576",
            "hand-over-1073741824",
            "ask",
            "ask-tasks",
            "spawn",
        ],
    },
    Runtime {
        name: "go",
        program: "go",
        version: || first_line("go", &["env", "GOVERSION"]),
        prepare: build_go,
        cases: &[
            "one-way-bounded",
            "fan-in",
            "ring",
            "ping-pong",
            "ask",
            "ask-tasks",
            "spawn",
        ],
    },
    Runtime {
        name: "node",
        program: "node",
        version: || first_line("node", &["--version"]),
        prepare: |_| Some(vec!["node".into(), source("node/bench.mjs")]),
        cases: &[
            "one-way",
            "ping-pong",
            "ping-pong-threads",
            "hand-over-64",
            "hand-over-1024",
            "hand-over-1048576",
            "ask",
            "ask-futures",
            "spawn",
            "zero-timers-chain",
            "zero-timers",
            "microtasks",
        ],
    },
    Runtime {
        name: "dart",
        program: "dart",
        version: dart_version,
        prepare: |_| Some(vec!["dart".into(), "run".into(), source("dart/bench.dart")]),
        cases: &[
            "one-way",
            "fan-in",
            "ping-pong",
            "ask",
            "ask-futures",
            "spawn",
            "zero-timers-chain",
            "zero-timers",
            "microtasks",
        ],
    },
];

/// A runtime that is ready to take part.
struct Found {
    name: &'static str,
    version: String,
    command: Vec<PathBuf>,
    cases: &'static [&'static str],
}

/// The installed runtimes. Compiled programs are removed when this is dropped.
pub(crate) struct Runtimes {
    found: Vec<Found>,
    absent: Vec<&'static str>,
    folder: Option<PathBuf>,
}

impl Runtimes {
    /// Searches the path, and compiles the programs that need it.
    pub(crate) fn find() -> Self {
        // With this process's number, so that two runs at once do not remove each other's programs.
        let folder = env::temp_dir().join(format!("insula-bench-{}", std::process::id()));
        let (mut found, mut absent) = (Vec::new(), Vec::new());
        for runtime in &KNOWN {
            let ready = is_on_path(runtime.program).then(|| {
                let command = (runtime.prepare)(&folder)?;
                let version = (runtime.version)()?;
                Some(Found {
                    name: runtime.name,
                    version,
                    command,
                    cases: runtime.cases,
                })
            });
            match ready.flatten() {
                Some(runtime) => found.push(runtime),
                None => absent.push(runtime.name),
            }
        }
        Self {
            found,
            absent,
            folder: Some(folder),
        }
    }

    /// Returns a set without runtimes.
    pub(crate) fn none() -> Self {
        Self {
            found: Vec::new(),
            absent: Vec::new(),
            folder: None,
        }
    }

    /// Returns one line for the head of the report.
    pub(crate) fn summary(&self) -> String {
        let found: Vec<_> = self
            .found
            .iter()
            .map(|found| format!("{} {}", found.name, found.version))
            .collect();
        let list = |names: &[String]| match names {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        let absent: Vec<_> = self.absent.iter().map(|name| (*name).to_owned()).collect();
        format!(
            "runtimes that take part: {}; absent: {}",
            list(&found),
            list(&absent)
        )
    }

    /// Adds every runtime that knows the case.
    pub(crate) fn add_to(&self, case: &mut Case, key: &str) {
        for runtime in self
            .found
            .iter()
            .filter(|runtime| runtime.cases.contains(&key))
        {
            let (command, metrics) = (runtime.command.clone(), case.metrics.clone());
            let (name, key) = (runtime.name, key.to_owned());
            case.add(
                name,
                Kind::Runtime,
                runtime.version.as_str(),
                move |scale| match run_program(&command, &key, scale) {
                    Ok(output) => numbers(&output, &key, &metrics),
                    Err(error) => left_out(name, &key, &error, metrics.len()),
                },
            );
        }
    }
}

impl Drop for Runtimes {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // The folder exists only if something was compiled.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

pub(super) fn left_out(name: &str, key: &str, error: &io::Error, metrics: usize) -> Sample {
    // Standard error itself may be gone; the missing row still shows the failure.
    let _ = writeln!(io::stderr(), "\n{name} is left out of {key}: {error}");
    Sample(vec![f64::NAN; metrics])
}

pub(super) fn run_program(command: &[PathBuf], key: &str, scale: Scale) -> io::Result<String> {
    let divisor = if scale.quick { "10" } else { "1" };
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .args([key, divisor])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let start = Instant::now();
    // A few lines fit into the pipe, so the child never waits for us to read.
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > TIME_LIMIT {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "it took too long"));
        }
        thread::sleep(Duration::from_millis(10));
    };
    if !status.success() {
        return Err(io::Error::other(status.to_string()));
    }
    let mut output = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut output)?;
    }
    Ok(output)
}

/// Returns one number per metric, NaN if the program printed none in the right unit.
pub(super) fn numbers(output: &str, key: &str, metrics: &[Metric]) -> Sample {
    let number_of = |metric: &Metric| {
        let long = format!("{key}/{}", metric.name);
        output.lines().find_map(|line| {
            let mut fields = line.split('\t');
            let (case, value, unit) = (fields.next()?, fields.next()?, fields.next()?);
            let ours = (case == key && metrics.len() == 1) || case == long;
            // A number in another unit would be compared as if it were in this one.
            (ours && unit.trim_end() == metric.unit).then(|| value.parse().ok())?
        })
    };
    Sample(
        metrics
            .iter()
            .map(|metric| number_of(metric).unwrap_or(f64::NAN))
            .collect(),
    )
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("runtimes")
        .join(path)
}

pub(super) fn is_on_path(program: &str) -> bool {
    let name = format!("{program}{}", env::consts::EXE_SUFFIX);
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(&name).is_file()))
}

fn build_go(folder: &Path) -> Option<Vec<PathBuf>> {
    fs::create_dir_all(folder).ok()?;
    let binary = folder.join(format!("go-bench{}", env::consts::EXE_SUFFIX));
    let built = Command::new("go")
        .args(["build", "-o"])
        .args([&binary, &source("go/bench.go")])
        .stdin(Stdio::null())
        .status();
    built
        .is_ok_and(|status| status.success())
        .then(|| vec![binary])
}

fn erlang_version() -> Option<String> {
    let print = "io:format(\"OTP ~s\", [erlang:system_info(otp_release)]), halt().";
    first_line("erl", &["-noshell", "-eval", print])
}

fn dart_version() -> Option<String> {
    // "Dart SDK version: 3.7.3 (stable) …"
    let line = first_line("dart", &["--version"])?;
    line.split_whitespace().nth(3).map(str::to_owned)
}

pub(super) fn first_line(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines()
        .next()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests;
