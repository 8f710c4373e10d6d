//! The steps that take long, or that need more of the machine than a compiler.

use std::path::Path;
use std::process::Command;

use super::{Step, Trouble, Verdict, add_flags, capture, cargo, pass, watched};
use super::{
    api, browser, budget, dart, display, ffi, foreign_loop, fuzz, growth, guide, inspector, miri,
    mutants, nats, packages, photographs, usual,
};

pub(super) const STEPS: &[Step] = &[
    Step {
        name: "clippy of the bench",
        run: bench_clippy,
    },
    Step {
        name: "tests and a quick run of the bench",
        run: bench_run,
    },
    Step {
        name: "check for x86_64-pc-windows-gnu",
        run: |root| check(root, "x86_64-pc-windows-gnu"),
    },
    Step {
        name: "check for aarch64-apple-darwin",
        run: |root| check(root, "aarch64-apple-darwin"),
    },
    Step {
        name: "check for i686-unknown-linux-gnu",
        run: |root| check(root, "i686-unknown-linux-gnu"),
    },
    Step {
        name: "the oldest Rust",
        run: oldest_rust,
    },
    Step {
        name: "packages, as they would be published",
        run: packages_to_publish,
    },
    Step {
        name: "the public API, as docs/api lists it",
        run: api::check,
    },
    Step {
        name: "the guide, as mdBook builds it",
        run: guide::build,
    },
    Step {
        name: "large photographs",
        run: photographs::process,
    },
    Step {
        name: "workers over NATS",
        run: nats::run_workers,
    },
    Step {
        name: "the report in a browser",
        run: browser::look_at_report,
    },
    Step {
        name: "the inspector in a browser",
        run: inspector::look_at_page,
    },
    Step {
        name: "the screens of the command in a terminal",
        run: inspector::screens::test_in_terminal,
    },
    Step {
        name: "the window on a virtual display",
        run: display::look_at_window,
    },
    Step {
        name: "an isolate in glib's main loop",
        run: foreign_loop::run_glib,
    },
    Step {
        name: "the Dart package in a Dart VM",
        run: dart::run_package,
    },
    Step {
        name: "ten million random calls of the C ABI",
        run: ffi::run_random_calls,
    },
    Step {
        name: "libinsula, as cargo-c installs it",
        run: ffi::run_installed_by_cargo_c,
    },
    Step {
        name: "programs in C and C++ under AddressSanitizer",
        run: ffi::run_under_address_sanitizer,
    },
    Step {
        name: "programs in C and C++ under ThreadSanitizer",
        run: ffi::run_under_thread_sanitizer,
    },
    Step {
        name: "growth: what n of anything cost",
        run: growth::measure,
    },
    Step {
        name: "the budget of instructions",
        run: budget::check,
    },
    Step {
        name: "tests under AddressSanitizer, with the search for leaks",
        run: tests_under_address_sanitizer,
    },
    Step {
        name: "200,000 hostile programs",
        run: hostile_programs,
    },
    Step {
        name: "50,000 storms of calls",
        run: |root| usual::storms(root, 50_000),
    },
    Step {
        name: "100,000 links that are lost, and 1,000 workers that are killed",
        run: links,
    },
    Step {
        name: "fuzz targets, 30 s each",
        run: fuzz::run_targets,
    },
    Step {
        name: "a part of the tests in Miri",
        run: miri::interpret_some,
    },
    Step {
        name: "a part of the mutants",
        run: mutants::try_some,
    },
];

/// Runs simulations of links that are lost at any step, and kills worker processes at any moment.
fn links(root: &Path) -> Verdict {
    let mut command = cargo(root);
    command.env("INSULA_LINKS", "100000");
    command.env("INSULA_KILLS", "1000");
    command.args(["test", "--profile", "optimized"]);
    command.args(["--package", "insula-link", "--package", "insula-process"]);
    command.args(["--test", "it", "--test", "workers", "--"]);
    // Both harnesses take one part of a name.
    pass(command.arg("each_"))
}

fn bench_clippy(root: &Path) -> Verdict {
    pass(cargo(root).args(["clippy", "--package", "insula-bench", "--all-targets"]))
}

/// Runs the tests of the bench, which is no default member, and one cheap suite, to see that it works.
/// The figures do not matter, and so the compiler does not optimize, which takes it minutes for all peers.
fn bench_run(root: &Path) -> Verdict {
    pass(cargo(root).args(["test", "--package", "insula-bench"]))?;
    let bench = ["run", "--package", "insula-bench", "--"];
    pass(
        cargo(root)
            .args(bench)
            .args(["ask", "--quick", "--runs", "1"]),
    )
}

/// Runs programs that misuse the API. Most run on virtual time, where they are faster.
fn hostile_programs(root: &Path) -> Verdict {
    for (kind, count) in [("seeded", "170000"), ("threads", "30000")] {
        let mut command = cargo(root);
        command.args(["run", "--profile", "optimized"]);
        command.args(["--package", "insula-hostile", "--"]);
        // Twice the usual limit, since a program that is only slow must not end such a long run as
        // a hang.
        pass(command.args(["run", "--kind", kind, "--count", count, "--limit", "20"]))?;
    }
    Ok(())
}

/// Compiles the members for another platform, without linking or running anything. The bench is no
/// default member, and the TLS of `insula-nats` is partly in C, which needs a compiler of that platform.
fn check(root: &Path, target: &str) -> Verdict {
    packages::require_target(target)?;
    let mut command = cargo(root);
    // The C of dependencies is needed by a linker only. `true` takes the place of its tools, which
    // would have to be those of the other platform.
    for tool in ["CC", "AR", "RANLIB"] {
        command.env(format!("{tool}_{}", target.replace('-', "_")), "true");
    }
    pass(command.args(["check", "--target", target]))
}

/// Compiles what users depend on with the `rust-version` of the workspace. Clippy's
/// `incompatible_msrv` finds most of what would fail here, on any toolchain.
fn oldest_rust(root: &Path) -> Verdict {
    let manifest = std::fs::read_to_string(root.join("Cargo.toml"))
        .map_err(|error| Trouble::Failed(format!("Cargo.toml: {error}")))?;
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \"")?.strip_suffix('"'))
        .ok_or_else(|| Trouble::Failed("Cargo.toml names no rust-version".to_owned()))?;
    let run = ["run", version, "cargo"];
    let has_it = || capture(Command::new("rustup").args(run).arg("--version")).is_ok();
    let install = format!("rustup toolchain install {version} --profile minimal");
    packages::provide(&format!("Rust {version}"), &[&install], has_it)?;
    // Without `-D warnings`: an old compiler may warn of code that newer ones are content with.
    let mut command = Command::new("rustup");
    command.current_dir(root).args(run).arg("check");
    command.args(["--target-dir", "target/oldest"]);
    // All features but `nats`, whose client needs a newer one.
    command.args([
        "--features",
        "insula/tokio,insula/tracing,insula/compute,insula/process",
    ]);
    command.args(["--package", "insula", "--package", "insula-c"]);
    pass(&mut command)
}

/// Lists the files of each package, which fails where its manifest lacks what a registry requires.
fn packages_to_publish(root: &Path) -> Verdict {
    // Only listed. To build a package, cargo looks for the other ones in a registry.
    for package in [
        "sync", "memory", "compute", "macros", "core", "rpc", "link", "pool", "process", "embed",
        "io", "ffi", "c",
    ] {
        let package = format!("insula-{package}");
        pass(cargo(root).args(["package", "--list", "--quiet", "--package", &package]))?;
    }
    pass(cargo(root).args(["package", "--list", "--quiet", "--package", "insula"]))
}

/// Runs the libraries' tests with AddressSanitizer, which searches for unreferenced memory at the
/// end of each test program.
///
/// A runtime whose threads still run is referenced from their stacks, so only memory that the
/// runtime has lost counts as a leak.
fn tests_under_address_sanitizer(root: &Path) -> Verdict {
    let host = ffi::host()?;
    ffi::require_nightly()?;
    let mut command = Command::new("rustup");
    command.current_dir(root);
    // Without doc tests, whose programs rustdoc builds without the sanitizer.
    command.args(["run", "nightly", "cargo", "test", "--lib", "--tests"]);
    // So long a step tells all that it can find.
    command.arg("--no-fail-fast");
    command.args(["--target", &host, "--target-dir", "target/sanitizers/tests"]);
    for package in [
        "sync", "memory", "compute", "core", "rpc", "link", "pool", "process", "nats", "embed",
        "io", "ffi",
    ] {
        command.args(["--package", &format!("insula-{package}")]);
    }
    command.args(["--package", "insula"]).args(watched()?);
    // The first three of the skipped tests limit the memory of a process, of which the sanitizer takes
    // terabytes. The others ask for more memory than there is, which it reports, and for what glibc
    // does, whose allocator it replaces; and the last one compiles programs and runs none.
    command.arg("--");
    for test in [
        "an_isolate_that_no_thread_can_run_is_not_spawned",
        "an_isolate_whose_thread_cannot_be_started_is_never_in_its_group",
        "memory_has_a_limit",
        "memory_that_is_refused_is_not_counted",
        "more_than_there_is_is_an_error",
        "free_memory_between_blocks_in_use_is_returned",
        "mistakes_are_reported_once_and_at_their_place",
    ] {
        command.args(["--skip", test]);
    }
    add_flags(&mut command, "RUSTFLAGS", "-Zsanitizer=address");
    command.env("ASAN_OPTIONS", "detect_leaks=1");
    let suppressed = root.join("crates/core/tests/lsan.supp");
    let options = format!("suppressions={}:print_suppressions=0", suppressed.display());
    command.env("LSAN_OPTIONS", options);
    pass(&mut command)
}
