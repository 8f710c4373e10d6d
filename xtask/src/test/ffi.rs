//! Compiles programs in C and C++ against the library, with all warnings as errors, and runs them;
//! in the full run also under the sanitizers.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::packages::{self, has_program, provide};
use super::{Trouble, Verdict, capture, cargo, pass};

/// The folders of the programs. A program's expected output is in a file `.expected` beside it, if
/// there is one.
const FOLDERS: &[&str] = &["examples/ffi", "crates/ffi/tests/c", "docs/guide/programs"];

const WARNINGS: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// The system libraries that the static library needs.
const SYSTEM: &[&str] = &["-pthread", "-ldl", "-lm"];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    C,
    Cpp,
}

impl Language {
    fn extension(self) -> &'static str {
        match self {
            Self::C => "c",
            Self::Cpp => "cpp",
        }
    }

    fn standard(self) -> &'static [&'static str] {
        match self {
            // Strict C hides what the programs use of POSIX.
            Self::C => &["-std=c99", "-D_POSIX_C_SOURCE=200809L"],
            Self::Cpp => &["-std=c++17"],
        }
    }

    /// Returns the compiler that the user has set, or the usual one.
    fn compiler(self) -> String {
        let (variable, usual) = match self {
            Self::C => ("CC", "cc"),
            Self::Cpp => ("CXX", "c++"),
        };
        std::env::var(variable).unwrap_or_else(|_| usual.to_owned())
    }
}

/// The settings with which programs are built.
struct Build<'a> {
    root: &'a Path,
    /// `libinsula.a`.
    library: PathBuf,
    /// The folder for the programs.
    out: PathBuf,
    /// Additional flags for the compiler.
    flags: &'a [&'a str],
    /// The sanitizer runtime to link.
    runtime: Option<PathBuf>,
    /// Environment variables for the programs.
    environment: &'a [(&'a str, &'a str)],
}

/// Builds the library and every C program, and runs them.
pub(super) fn run_c(root: &Path) -> Verdict {
    run_plain(root, Language::C)
}

/// Builds the library and every C++ program, and runs them.
pub(super) fn run_cpp(root: &Path) -> Verdict {
    run_plain(root, Language::Cpp)
}

/// Runs the programs under AddressSanitizer, with its search for leaks.
pub(super) fn run_under_address_sanitizer(root: &Path) -> Verdict {
    run_sanitized(root, ADDRESS)
}

/// Runs the programs under ThreadSanitizer.
pub(super) fn run_under_thread_sanitizer(root: &Path) -> Verdict {
    run_sanitized(root, THREAD)
}

/// Runs the random calls, as many as a release requires.
pub(super) fn run_random_calls(root: &Path) -> Verdict {
    require(Language::C)?;
    let mut build = plain(root)?;
    build.environment = &[
        ("INSULA_FFI_CALLS", "10000000"),
        ("INSULA_FFI_STEPS", "3000000"),
        ("INSULA_FFI_THREADS", "8"),
    ];
    let folder = Path::new("crates/ffi/tests/c");
    build.make_and_run(&folder.join("random.c"), Language::C)?;
    build.make_and_run(&folder.join("churn.c"), Language::C)
}

/// Builds a program against the library that cargo-c has installed: found with pkg-config, and with
/// CMake if it is installed.
pub(super) fn run_installed_by_cargo_c(root: &Path) -> Verdict {
    require(Language::C)?;
    let install = "cargo install --locked cargo-c --version 0.10.24+cargo-0.98.0";
    provide("cargo-c", &[install], || has_program("cargo-cinstall"))?;
    packages::require(&["pkg-config"], || has_program("pkg-config"))?;
    let build = plain(root)?;
    let prefix = root.join(&build.out).join("cargo-c");
    let lib = prefix.join("lib");
    let mut install = cargo(root);
    install.args(["cinstall", "--debug", "--package", "insula-c", "--prefix"]);
    pass(install.arg(&prefix).arg("--libdir").arg(&lib))?;
    build.run_with_pkg_config(&prefix, &lib)?;
    if !has_program("cmake") {
        println!("there is no cmake, so the configuration for it was not used");
        return Ok(());
    }
    build.run_with_cmake(&prefix, &lib)
}

fn run_plain(root: &Path, language: Language) -> Verdict {
    require(language)?;
    let build = plain(root)?;
    build.check_header(language)?;
    build.run_all(language)?;
    build.run_installed(language)
}

/// Builds the library as any user would.
fn plain(root: &Path) -> Result<Build<'_>, Trouble> {
    pass(cargo(root).args(["build", "--package", "insula-c"]))?;
    let built = target(root).join("debug");
    Build {
        root,
        library: built.join("libinsula.a"),
        out: built.join("ffi"),
        flags: &["-g"],
        runtime: None,
        environment: &[],
    }
    .with_folder()
}

/// Builds the library and the standard library with the sanitizer too, so that it sees their
/// synchronization. That takes a nightly compiler, whose sanitizer runtime is linked in place of
/// the C compiler's.
fn run_sanitized(root: &Path, sanitizer: Sanitizer) -> Verdict {
    require(Language::C)?;
    let host = host()?;
    require_nightly()?;
    let folder = root.join("target/sanitizers").join(sanitizer.name);
    let mut library = Command::new("rustup");
    library.current_dir(root);
    library.args(["run", "nightly", "cargo", "build", "--package", "insula-c"]);
    library.args(["-Zbuild-std", "--target", &host, "--target-dir"]);
    library.arg(&folder);
    library.env("RUSTFLAGS", format!("-Zsanitizer={}", sanitizer.name));
    pass(&mut library)?;
    let built = folder.join(&host).join("debug");
    let build = Build {
        root,
        library: built.join("libinsula.a"),
        out: built.join("ffi"),
        flags: sanitizer.flags,
        runtime: Some(sanitizer_runtime(&host, sanitizer.runtime)?),
        environment: sanitizer.environment,
    }
    .with_folder()?;
    build.run_all(Language::C)?;
    if has_program(&Language::Cpp.compiler()) {
        return build.run_all(Language::Cpp);
    }
    println!("there is no compiler for C++, so its programs were left out");
    Ok(())
}

/// A sanitizer, with its names for compilers and programs.
#[derive(Clone, Copy)]
struct Sanitizer {
    name: &'static str,
    flags: &'static [&'static str],
    runtime: &'static str,
    environment: &'static [(&'static str, &'static str)],
}

const ADDRESS: Sanitizer = Sanitizer {
    name: "address",
    flags: &["-g", "-O1", "-fsanitize=address"],
    runtime: "asan",
    environment: &[
        ("ASAN_OPTIONS", "detect_leaks=1"),
        ("LSAN_OPTIONS", "suppressions=crates/ffi/tests/c/lsan.supp"),
    ],
};

const THREAD: Sanitizer = Sanitizer {
    name: "thread",
    flags: &["-g", "-O1", "-fsanitize=thread"],
    runtime: "tsan",
    environment: &[(
        "TSAN_OPTIONS",
        "halt_on_error=1 suppressions=crates/ffi/tests/c/tsan.supp",
    )],
};

/// Returns the archive with a sanitizer's runtime that comes with the nightly compiler.
fn sanitizer_runtime(host: &str, name: &str) -> Result<PathBuf, Trouble> {
    let print = ["run", "nightly", "rustc", "--print", "sysroot"];
    let output = capture(Command::new("rustup").args(print)).map_err(Trouble::Impossible)?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let folder = Path::new(&folder)
        .join("lib/rustlib")
        .join(host)
        .join("lib");
    let archive = folder.join(format!("librustc-nightly_rt.{name}.a"));
    if archive.exists() {
        return Ok(archive);
    }
    let text = format!("the nightly compiler has no {name} for {host}");
    Err(Trouble::Impossible(text))
}

fn require(language: Language) -> Result<(), Trouble> {
    let compiler = language.compiler();
    if !cfg!(unix) {
        return Err(Trouble::Impossible("the programs use pthreads".to_owned()));
    }
    if has_program(&compiler) {
        return Ok(());
    }
    Err(Trouble::Impossible(format!("there is no {compiler}")))
}

pub(super) fn require_nightly() -> Result<(), Trouble> {
    let has_sources = || {
        let list = ["component", "list", "--toolchain", "nightly", "--installed"];
        let installed = capture(Command::new("rustup").args(list));
        installed.is_ok_and(|list| String::from_utf8_lossy(&list.stdout).contains("rust-src"))
    };
    let what = "a nightly compiler with the standard library's sources";
    let install = "rustup toolchain install nightly --profile minimal --component rust-src";
    provide(what, &[install], has_sources)
}

/// Returns the compiler's host platform, such as `x86_64-unknown-linux-gnu`.
pub(super) fn host() -> Result<String, Trouble> {
    let output = capture(Command::new("rustc").arg("-vV")).map_err(Trouble::Impossible)?;
    let said = String::from_utf8_lossy(&output.stdout);
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Trouble::Impossible("rustc does not tell its platform".to_owned()))
}

// Read here too: cargo, which builds the library, obeys the same variable.
pub(super) fn target(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from)
}

impl<'a> Build<'a> {
    fn with_folder(self) -> Result<Build<'a>, Trouble> {
        fs::create_dir_all(&self.out).map_err(|error| unreadable(&self.out, &error))?;
        Ok(self)
    }

    fn compiler(&self, language: Language) -> Command {
        let mut command = Command::new(language.compiler());
        command.current_dir(self.root);
        command.args(language.standard()).args(WARNINGS);
        command.args(self.flags).args(["-I", "examples/ffi"]);
        command
    }

    /// Compiles the header by itself, without any other header before it, included twice.
    fn check_header(&self, language: Language) -> Verdict {
        let kind = match language {
            Language::C => "c-header",
            Language::Cpp => "c++-header",
        };
        let mut command = self.compiler(language);
        let header = "crates/ffi/include/insula.h";
        // Included once by the option, and then compiled itself: that is the second time.
        command.args(["-fsyntax-only", "-include", header, "-x", kind, header]);
        pass(&mut command)
    }

    fn run_all(&self, language: Language) -> Verdict {
        let programs = self.programs(language)?;
        for source in &programs {
            self.make_and_run(source, language)?;
        }
        println!("{} programs in {}", programs.len(), language.extension());
        Ok(())
    }

    /// Builds one program with the static library and runs it.
    fn make_and_run(&self, source: &Path, language: Language) -> Verdict {
        let name = source.file_stem().unwrap_or_default().to_string_lossy();
        let object = self.out.join(format!("{name}.o"));
        let mut compile = self.compiler(language);
        compile.args(["-I", "crates/ffi/include", "-c"]).arg(source);
        pass(compile.arg("-o").arg(&object))?;
        let program = self.out.join(format!("{name}{EXE_SUFFIX}"));
        let mut link = Command::new(language.compiler());
        link.arg(&object);
        if let Some(runtime) = &self.runtime {
            // The whole archive: the program refers to no interceptor by name, so the linker would
            // leave them out.
            link.arg("-Wl,--whole-archive").arg(runtime);
            link.args(["-Wl,--no-whole-archive", "-rdynamic"]);
        }
        link.arg(&self.library).args(SYSTEM);
        pass(link.arg("-o").arg(&program))?;
        self.run(&program, &[], source)
    }

    /// Builds a program against an installed shared library, found with pkg-config if it is
    /// installed.
    fn run_installed(&self, language: Language) -> Verdict {
        let prefix = self.out.join("prefix");
        let (lib, include) = (prefix.join("lib"), prefix.join("include"));
        self.install(&prefix, &lib, &include)
            .map_err(|error| unreadable(&prefix, &error))?;
        let name = if language == Language::C {
            "hello"
        } else {
            "pool"
        };
        let source = Path::new("examples/ffi")
            .join(name)
            .with_extension(language.extension());
        let program = self.out.join(format!("{name}-installed{EXE_SUFFIX}"));
        let mut command = self.compiler(language);
        command
            .arg(&source)
            .args(flags_of_installed(&lib, &include));
        pass(command.args(SYSTEM).arg("-o").arg(&program))?;
        let variable = if cfg!(target_os = "macos") {
            "DYLD_LIBRARY_PATH"
        } else {
            "LD_LIBRARY_PATH"
        };
        self.run(&program, &[(variable, &lib)], &source)
    }

    fn run_with_pkg_config(&self, prefix: &Path, lib: &Path) -> Verdict {
        let source = Path::new("examples/ffi/hello.c");
        let program = self.out.join(format!("hello-cargo-c{EXE_SUFFIX}"));
        let mut compile = self.compiler(Language::C);
        compile
            .arg(source)
            .args(flags_of_installed(lib, &prefix.join("include")));
        pass(compile.args(SYSTEM).arg("-o").arg(&program))?;
        self.run(&program, &[("LD_LIBRARY_PATH", lib)], source)?;
        // The program must request a name with a version in it.
        let needed = capture(Command::new("readelf").arg("-d").arg(&program));
        match needed {
            Ok(output) if String::from_utf8_lossy(&output.stdout).contains("libinsula.so.") => {
                Ok(())
            }
            Ok(_) => Err(Trouble::Failed("libinsula has no SONAME".to_owned())),
            // Mostly there is no `readelf` then. That the program finds its library was seen above.
            Err(why) => {
                println!("the SONAME was not looked at: {why}");
                Ok(())
            }
        }
    }

    fn run_with_cmake(&self, prefix: &Path, lib: &Path) -> Verdict {
        let folder = self.root.join(&self.out).join("cmake");
        fs::create_dir_all(&folder).map_err(|error| unreadable(&folder, &error))?;
        let examples = self.root.join("examples/ffi");
        let list = format!(
            "cmake_minimum_required(VERSION 3.16)\nproject(hello C)\n\
             find_package(insula CONFIG REQUIRED)\n\
             add_executable(hello {0}/hello.c)\ntarget_include_directories(hello PRIVATE {0})\n\
             target_compile_definitions(hello PRIVATE _POSIX_C_SOURCE=200809L)\n\
             target_link_libraries(hello PRIVATE insula::insula)\n",
            examples.display()
        );
        let file = folder.join("CMakeLists.txt");
        fs::write(&file, list).map_err(|error| unreadable(&file, &error))?;
        let made = folder.join("made");
        let mut configure = Command::new("cmake");
        configure.arg("-S").arg(&folder).arg("-B").arg(&made);
        pass(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())))?;
        pass(Command::new("cmake").arg("--build").arg(&made))?;
        let source = Path::new("examples/ffi/hello.c");
        self.run(&made.join("hello"), &[("LD_LIBRARY_PATH", lib)], source)
    }

    /// Copies the header, the shared library and the package file to where an installation puts
    /// them.
    fn install(&self, prefix: &Path, lib: &Path, include: &Path) -> std::io::Result<()> {
        fs::create_dir_all(lib.join("pkgconfig"))?;
        fs::create_dir_all(include)?;
        let folder = self.root.join("crates/ffi");
        fs::copy(folder.join("include/insula.h"), include.join("insula.h"))?;
        let shared = if cfg!(target_os = "macos") {
            "libinsula.dylib"
        } else {
            "libinsula.so"
        };
        fs::copy(self.library.with_file_name(shared), lib.join(shared))?;
        let template = fs::read_to_string(folder.join("insula.pc.in"))?;
        let package = template
            .replace("@prefix@", &prefix.to_string_lossy())
            .replace("@version@", env!("CARGO_PKG_VERSION"));
        fs::write(lib.join("pkgconfig/insula.pc"), package)
    }

    fn programs(&self, language: Language) -> Result<Vec<PathBuf>, Trouble> {
        let mut programs = Vec::new();
        for folder in FOLDERS {
            let entries = self.root.join(folder).read_dir();
            for entry in entries.map_err(|error| unreadable(folder, &error))? {
                let name = entry
                    .map_err(|error| unreadable(folder, &error))?
                    .file_name();
                let path = Path::new(folder).join(name);
                if path
                    .extension()
                    .is_some_and(|it| it == language.extension())
                {
                    programs.push(path);
                }
            }
        }
        // The order of a folder is arbitrary, and the output of two runs should be comparable.
        programs.sort();
        if programs.is_empty() {
            let text = format!("there is no program in {}", language.extension());
            return Err(Trouble::Failed(text));
        }
        Ok(programs)
    }

    /// Runs a program and compares its output with the expected one.
    fn run(&self, program: &Path, environment: &[(&str, &Path)], source: &Path) -> Verdict {
        let mut command = Command::new(program);
        command.current_dir(self.root);
        command.envs(self.environment.iter().copied());
        command.envs(environment.iter().copied());
        let output = command
            .output()
            .map_err(|error| Trouble::Failed(format!("{}: {error}", program.display())))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            println!("{printed}{said}");
            let text = format!("{} ended with {}", source.display(), output.status);
            return Err(Trouble::Failed(text));
        }
        let expected = fs::read_to_string(self.root.join(source).with_extension("expected"));
        match expected {
            Ok(expected) if expected != printed => {
                println!("{printed}");
                let text = format!("{} printed something else", source.display());
                Err(Trouble::Failed(text))
            }
            // Without a file of expected output the exit status alone decides.
            _ => {
                println!("{}: as expected {}", source.display(), said.trim());
                Ok(())
            }
        }
    }
}

/// Returns the compiler flags for an installed library.
fn flags_of_installed(lib: &Path, include: &Path) -> Vec<String> {
    let mut ask = Command::new("pkg-config");
    ask.env("PKG_CONFIG_PATH", lib.join("pkgconfig"));
    if let Ok(output) = capture(ask.args(["--cflags", "--libs", "insula"])) {
        let flags = String::from_utf8_lossy(&output.stdout).into_owned();
        return flags.split_whitespace().map(str::to_owned).collect();
    }
    println!("there is no pkg-config, so the package file was not used");
    vec![
        format!("-I{}", include.display()),
        format!("-L{}", lib.display()),
        "-linsula".to_owned(),
    ]
}

fn unreadable(path: impl AsRef<Path>, error: &std::io::Error) -> Trouble {
    Trouble::Failed(format!("{}: {error}", path.as_ref().display()))
}
