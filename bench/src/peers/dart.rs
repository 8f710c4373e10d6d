//! A Dart VM with the package `insula`, for questions that only programs of both languages can
//! answer.
//!
//! The VM is the program that the variable `INSULA_DART` names, or `dart` on the path, or the one
//! that `cargo xtask test --full` has put into `target/dart`. The package's library is built for
//! the word size of that VM, unless `INSULA_LIBRARY` names one. Without a VM there are no rows.

use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;

use tempfile::TempDir;

use super::runtimes::{first_line, is_on_path, left_out, numbers, run_program};
use crate::case::{Case, Kind, Metric, Scale};

const TARGET_32: &str = "i686-unknown-linux-gnu";

/// A VM, and the command that runs a case of `bench/runtimes/dart/package.dart` in it.
pub(crate) struct DartPackage {
    version: String,
    command: Vec<PathBuf>,
    /// Has the configuration with which the VM finds the package.
    _folder: TempDir,
}

impl DartPackage {
    /// `None` without a VM, or without a library for it.
    pub(crate) fn find() -> Option<Rc<Self>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
        let program = program(root)?;
        let version = version(&program)?;
        let folder = tempfile::tempdir().ok()?;
        let config = folder.path().join("package_config.json");
        fs::write(&config, configuration(root)).ok()?;
        let mut packages = std::ffi::OsString::from("--packages=");
        packages.push(&config);
        let mut command = vec![
            program,
            packages.into(),
            root.join("bench/runtimes/dart/package.dart"),
        ];
        let library = match env::var_os("INSULA_LIBRARY") {
            Some(library) => library.into(),
            None => build_library(root, word_size(&command)?)?,
        };
        command.push(library);
        Some(Rc::new(Self {
            version,
            command,
            _folder: folder,
        }))
    }

    /// Adds a row with the number that the program prints for `key`.
    pub(crate) fn add_to(self: &Rc<Self>, case: &mut Case, name: &'static str, key: &'static str) {
        let (vm, metrics) = (Rc::clone(self), case.metrics.clone());
        let repeat = move |scale| match run_program(&vm.command, key, scale) {
            Ok(output) => numbers(&output, key, &metrics),
            Err(error) => left_out(name, key, &error, metrics.len()),
        };
        case.add(name, Kind::Runtime, self.version.as_str(), repeat);
    }
}

fn program(root: &Path) -> Option<PathBuf> {
    if let Some(named) = env::var_os("INSULA_DART") {
        return Some(named.into());
    }
    if is_on_path("dart") {
        return Some("dart".into());
    }
    let unpacked = root.join("target/dart/package/dart-sass/src/dart");
    unpacked.is_file().then_some(unpacked)
}

/// "Dart SDK version: 3.7.3 (stable) …"
fn version(program: &Path) -> Option<String> {
    let line = first_line(program.to_str()?, &["--version"])?;
    line.split_whitespace().nth(3).map(str::to_owned)
}

/// Returns the configuration that `dart pub get` would write.
fn configuration(root: &Path) -> String {
    format!(
        "{{\"configVersion\":2,\"packages\":[{{\"name\":\"insula\",\"rootUri\":\"file://{}\",\
         \"packageUri\":\"lib/\",\"languageVersion\":\"3.5\"}}]}}\n",
        root.join("bindings/dart").display()
    )
}

/// Returns the word size of the VM, in bytes.
fn word_size(command: &[PathBuf]) -> Option<f64> {
    let command: Vec<_> = command.iter().cloned().chain(["none".into()]).collect();
    let output = run_program(&command, "word", Scale { quick: false }).ok()?;
    let size = numbers(&output, "word", &[Metric::lower("word", "B")]).0[0];
    (!size.is_nan()).then_some(size)
}

fn build_library(root: &Path, word_size: f64) -> Option<PathBuf> {
    // Standard error itself may be gone.
    let _ = writeln!(io::stderr(), "building insula-dart-samples for the Dart VM");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(root).stdin(Stdio::null()).args([
        "build",
        "--quiet",
        "--release",
        "--package",
        "insula-dart-samples",
    ]);
    let named = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let mut folder = named.unwrap_or_else(|| root.join("target"));
    if word_size < 8.0 {
        build.args(["--target", TARGET_32]);
        folder.push(TARGET_32);
    }
    let is_built = build.status().is_ok_and(|status| status.success());
    is_built.then(|| folder.join("release/libinsula_dart_samples.so"))
}
