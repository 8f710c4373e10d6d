//! Packages of Python, if they are installed: `bench/python/bench.py`.
//!
//! Each repetition is one process, as with the other runtimes. Its time begins when the packages
//! are imported, the input is read and the work has run once, and so leaves out the interpreter's
//! start. The input is a folder of files, so that both sides have the same numbers. The program is
//! the one that the variable `INSULA_BENCH_PYTHON` names, or `python3` on the path. A row whose
//! package is missing says so, and how to install it.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::env;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::runtimes::run_program;
use crate::case::{Case, Kind, Sample, Scale, System};
use crate::drivers::executor::THREADS;
use crate::measure::Spent;

const VARIABLE: &str = "INSULA_BENCH_PYTHON";

const INSTALL: &str = "pip install polars numpy scikit-learn";

/// An interpreter, or the reason why there is none.
pub(crate) struct Python {
    program: PathBuf,
    installed: Result<Installed, String>,
}

/// What an interpreter has.
#[derive(Deserialize)]
struct Installed {
    python: String,
    /// The versions of the packages that the rows need.
    packages: HashMap<String, Option<String>>,
}

/// A row: what a package does with the input of a case.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// The package, as `pip` calls it.
    pub(crate) package: &'static str,
    /// The case of `bench.py`.
    pub(crate) key: &'static str,
    /// What the package's threads are, of which there are [`THREADS`].
    pub(crate) threads: &'static str,
}

/// The times and the results that `bench.py` prints.
#[derive(Deserialize)]
struct Answer {
    seconds: f64,
    cpu_seconds: f64,
    results: Value,
}

impl Python {
    /// Asks the interpreter for the versions of the packages.
    pub(crate) fn find() -> Self {
        let named = env::var_os(VARIABLE).map(PathBuf::from);
        let program = named.unwrap_or_else(|| "python3".into());
        let output = run(&program, Path::new("."), "versions");
        let installed = output.and_then(|output| Ok(serde_json::from_str(&output)?));
        Self {
            installed: installed.map_err(|error| error.to_string()),
            program,
        }
    }

    /// Adds a row with the rate of `amount` and the same per second of CPU time. `check` gets the
    /// folder and the results of each repetition, and panics if they are not those of the other
    /// systems.
    pub(crate) fn add_to(
        &self,
        case: &mut Case,
        peer: &Peer,
        amount: f64,
        input: &Rc<Input>,
        check: impl Fn(&Path, &Value) + 'static,
    ) {
        let (program, input) = (self.program.clone(), Rc::clone(input));
        let (name, key) = (peer.name, peer.key);
        let (version, note) = self.version_and_note(peer);
        let is_missing = version.is_none();
        let repeat = move |_| {
            if is_missing {
                return Sample(Vec::new());
            }
            // No row would be a result that nobody notices.
            let answer = run(&program, input.folder(), key)
                .and_then(|output| Ok(serde_json::from_str::<Answer>(&output)?))
                .unwrap_or_else(|error| panic!("the row {name} ({key} of bench.py): {error}"));
            check(input.folder(), &answer.results);
            let [wall, cpu] = [answer.seconds, answer.cpu_seconds].map(Duration::from_secs_f64);
            Spent { wall, cpu }.rates(amount).into()
        };
        case.systems.push(System {
            name: name.to_owned(),
            kind: Kind::Runtime,
            version: version.unwrap_or_else(|| "?".to_owned()),
            note: Some(note),
            repeat: Box::new(repeat),
        });
    }

    /// Returns the version of the row's package, unless it is missing, and what the row says about
    /// it.
    fn version_and_note(&self, peer: &Peer) -> (Option<String>, String) {
        let Peer {
            package, threads, ..
        } = peer;
        let program = self.program.display();
        let installed = match &self.installed {
            Ok(installed) => installed,
            Err(error) => {
                let note = format!(
                    "missing: Python 3, since {program} does not run ({error}); install it or \
                     name another one with {VARIABLE}, then {INSTALL}"
                );
                return (None, note);
            }
        };
        let python = &installed.python;
        match installed.packages.get(*package).cloned().flatten() {
            Some(version) => {
                let note = format!("{package} {version}, Python {python}, {THREADS} {threads}");
                (Some(version), note)
            }
            None => {
                let note = format!(
                    "missing: {package}, which {program} (Python {python}) does not have; {INSTALL}"
                );
                (None, note)
            }
        }
    }
}

fn run(program: &Path, folder: &Path, key: &str) -> io::Result<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/bench.py");
    let threads = THREADS.to_string().into();
    let command = [program.into(), script, folder.into(), threads];
    run_program(&command, key, Scale { quick: false })
}

/// A folder with the input of a case. Listing the cases writes nothing: the first repetition that
/// needs the folder does.
pub(crate) struct Input {
    folder: OnceCell<TempDir>,
    write: Box<Write>,
}

type Write = dyn Fn(&Path) -> io::Result<()>;

impl Input {
    pub(crate) fn new(write: impl Fn(&Path) -> io::Result<()> + 'static) -> Rc<Self> {
        Rc::new(Self {
            folder: OnceCell::new(),
            write: Box::new(write),
        })
    }

    /// Returns the folder, which is removed at the end of the run.
    pub(crate) fn folder(&self) -> &Path {
        let make = || {
            let folder = tempfile::tempdir().expect("there can be a temporary folder");
            (self.write)(folder.path()).expect("the input can be written");
            folder
        };
        self.folder.get_or_init(make).path()
    }
}

/// Asserts that a number of Python and this project's differ by no more than `tolerance`, relative
/// to the number if it is above 1.
pub(crate) fn assert_near(what: &str, theirs: Option<f64>, ours: f64, tolerance: f64) {
    // A number that is missing or NaN is not near.
    let theirs = theirs.unwrap_or(f64::NAN);
    let is_near = (theirs - ours).abs() <= tolerance * ours.abs().max(1.0);
    assert!(is_near, "{what}: {theirs} in Python, {ours} here");
}

#[cfg(test)]
mod tests;
