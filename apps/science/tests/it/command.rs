//! Risk: a command that lies to its caller: by its exit status, its messages or what it leaves.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use science::matrices::read;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::samples;

/// A small fluid: 500 particles in six layers.
const SMALL: [&str; 9] = [
    "md",
    "--particles",
    "500",
    "--cutoff",
    "2.5",
    "--equilibrate",
    "50",
    "--steps",
    "100",
];

fn science(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_science"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    science(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, more].concat()
}

#[test]
fn a_fluid_has_a_table_a_trajectory_and_plots() {
    let trajectories = ["1", "3"].map(|workers| {
        let out = TempDir::new().unwrap();
        let folder = out.path().to_str().unwrap();
        let more = ["--workers", workers, "--frames", "50", "--out", folder];
        let result = run(&with(&SMALL, &more));
        assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
        let table = text(&result.stdout);
        for part in ["500 particles", "energy drift", "steps/s", "per particle"] {
            assert!(table.contains(part), "{part} in {table}");
        }
        assert!(
            table.contains(&format!("workers           {workers}\n")),
            "{table}"
        );
        assert_eq!(
            names_in(out.path()),
            ["energy.png", "radial.png", "trajectory.xyz"]
        );
        fs::read_to_string(out.path().join("trajectory.xyz")).unwrap()
    });
    let lines: Vec<_> = trajectories[0].lines().collect();
    // The start, and three multiples of fifty.
    assert_eq!(lines.len(), 4 * 502);
    assert_eq!(lines[0], "500");
    assert!(lines[1].starts_with("Lattice=\"8.397") && lines[1].contains(" Step=0 "));
    assert_eq!(lines[2].split(' ').count(), 7);
    assert!(trajectories[0] == trajectories[1], "not the same bits");
}

#[test]
fn the_results_of_a_fluid_are_json_too() {
    let result = run(&with(&SMALL, &["--json", "--compare", "--workers", "2"]));
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let value: Value = serde_json::from_slice(&result.stdout).unwrap();
    assert_eq!(
        (&value["particles"], &value["workers"]),
        (&500.into(), &2.into())
    );
    assert_eq!(value["samples"], 11);
    assert!(value["speed_up"].as_f64().unwrap() > 0.0);
    assert!(value["drift_in_10000_steps"].is_number());
}

#[test]
fn wrong_usage_is_told_with_what_to_do() {
    for (arguments, part) in [
        (&["md", "--particles", "100"][..], "use more particles"),
        (&["md", "--workers", "99"], "use fewer workers"),
        (&["md", "--density=-1"], "expected a number above 0"),
        (&["md", "--steps", "0"], "--steps"),
        (&["md", "--watch"], "--watch needs a terminal"),
        (
            &["md", "--kind", "cloud"],
            "[possible values: local, process, nats]",
        ),
        (&["md", "--switch", "4"], "cut-off makes no sense"),
        (
            &["md", "--time-step", "0.5", "--steps", "50"],
            "use a shorter time step",
        ),
        (&["matrices"], "name files, or use --generate"),
        (&["matrices", "--generate", "magic:3"], "expected KIND:ROWS"),
        (
            &["matrices", "--generate", "random:0"],
            "expected KIND:ROWS",
        ),
        (
            &["matrices", "--generate", "random:3", "--by", "none.npy"],
            "none.npy: cannot read",
        ),
        (&["matrices", "--operations", "divide"], "divide"),
        (&["unknown"], "unknown"),
    ] {
        let result = run(arguments);
        assert_eq!(result.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&result.stderr).contains(part),
            "{}",
            text(&result.stderr)
        );
    }
    for help in [&["--help"][..], &["md", "--help"], &["matrices", "--help"]] {
        let result = run(help);
        assert_eq!(result.status.code(), Some(0));
        assert!(text(&result.stdout).contains("Exit status"));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn workers_in_processes_compute_the_same_bits() {
    let files = ["grid.mtx", "ring.npy", "blur.npy"].map(|name| samples().join(name));
    let out = TempDir::new().unwrap();
    for precision in ["standard", "high"] {
        let [local, process] = ["local", "process"].map(|kind| {
            let folder = out.path().join(precision).join(kind);
            let mut command = science(&["matrices", "--kind", kind, "--workers", "2"]);
            let result = command
                .args(&files)
                // Its eigenvalues are complex.
                .args(["--generate", "random:30", "--precision", precision])
                .args(["--json", "--compare", "--out"])
                .arg(&folder)
                .output()
                .unwrap();
            let figures: Value = serde_json::from_slice(&result.stdout).unwrap();
            assert!(figures["speed_up"].as_f64().unwrap() > 0.0);
            // The ring has no inverse.
            assert_eq!(
                (result.status.code(), &figures["failed"]),
                (Some(1), &1.into())
            );
            let residuals = figures["operations"].as_array().unwrap().iter();
            let residuals: Vec<_> = residuals.map(|it| it["residual"].clone()).collect();
            (folder, text(&result.stderr), residuals)
        });
        assert_eq!((&local.1, &local.2), (&process.1, &process.2));
        let names = names_in(&local.0);
        assert_eq!(names, names_in(&process.0));
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            let [one, other] = [&local.0, &process.0].map(|it| fs::read(it.join(&name)).unwrap());
            assert!(one == other, "{name}");
        }
    }
}

/// Starts a fluid that writes its states into a folder.
#[cfg(target_os = "linux")]
fn start_fluid(kind: &str, steps: &str, out: &Path) -> std::process::Child {
    use std::process::Stdio;

    let mut command = science(&with(&SMALL[..7], &["--steps", steps, "--frames", "50"]));
    command.args(["--kind", kind, "--workers", "2", "--quiet", "--out"]);
    command
        .arg(out)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Returns the worker of a run and the bytes of its trajectory, once there are at least so many, or
/// `None` if the run has ended.
#[cfg(target_os = "linux")]
fn worker_after(bytes: u64, run: &mut std::process::Child, out: &Path) -> Option<(String, u64)> {
    use std::time::{Duration, Instant};

    let deadline = Instant::now() + Duration::from_secs(120);
    while run.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline);
        let (workers, written) = (nodes::children(run.id()), nodes::part(out));
        if let ([worker], true) = (workers.as_slice(), written >= bytes) {
            return Some((worker.clone(), written));
        }
        std::thread::yield_now();
    }
    None
}

#[cfg(target_os = "linux")]
fn kill(worker: &str) {
    let killed = Command::new("kill").args(["-9", worker]).status();
    assert!(killed.unwrap().success());
}

/// The new worker begins anew, and what it computes again is not written again.
#[cfg(target_os = "linux")]
#[test]
fn a_fluid_in_a_process_that_is_killed_has_the_same_bits() {
    let [here, there] = [(); 2].map(|()| TempDir::new().unwrap());
    let local = start_fluid("local", "3000", here.path());
    let local = local.wait_with_output().unwrap();
    assert_eq!(local.status.code(), Some(0), "{}", text(&local.stderr));
    let mut run = start_fluid("process", "3000", there.path());
    let (worker, _) = worker_after(500_000, &mut run, there.path()).unwrap();
    kill(&worker);
    let result = run.wait_with_output().unwrap();
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let names = names_in(here.path());
    assert_eq!(names, names_in(there.path()));
    for name in names {
        let [one, other] = [&here, &there].map(|it| fs::read(it.path().join(&name)).unwrap());
        assert!(one == other, "{name}");
    }
}

/// A fluid that ends its worker each time ends too.
#[cfg(target_os = "linux")]
#[test]
fn a_fluid_whose_workers_are_all_killed_ends_with_an_error() {
    let out = TempDir::new().unwrap();
    let mut run = start_fluid("process", "100000000", out.path());
    // Each one after it has gone on with the trajectory, so that its call has begun.
    let mut bytes = 1;
    while let Some((worker, written)) = worker_after(bytes, &mut run, out.path()) {
        kill(&worker);
        // More than what the dead one may have sent.
        bytes = written + 3_000_000;
    }
    let result = run.wait_with_output().unwrap();
    let said = text(&result.stderr);
    assert_eq!(result.status.code(), Some(2), "{said}");
    assert!(said.contains("(maybe executed)"), "{said}");
    assert!(
        names_in(out.path()).is_empty(),
        "{:?}",
        names_in(out.path())
    );
}

#[test]
fn all_operations_on_the_shipped_matrices_have_rows_and_files() {
    let out = TempDir::new().unwrap();
    let [grid, ring] = ["grid.mtx", "ring.npy"].map(|name| samples().join(name));
    let files = [grid.to_str().unwrap(), ring.to_str().unwrap()];
    let folder = out.path().to_str().unwrap();
    let arguments = with(
        &["matrices", "--precision", "high", "--out", folder],
        &files,
    );
    let result = run(&with(&arguments, &["--workers", "2", "--compare"]));
    // The ring has an eigenvalue of zero, so it has no inverse.
    let errors = text(&result.stderr);
    assert_eq!(result.status.code(), Some(1), "{errors}");
    assert!(errors.contains("ring, invert: singular"), "{errors}");
    let table = text(&result.stdout);
    assert!(table.contains("7 done, 1 failed"), "{table}");
    assert!(table.contains("times as fast as one worker"), "{table}");
    assert!(table.contains("refined once: values change by"), "{table}");
    assert_eq!(
        names_in(out.path()),
        [
            "grid-eigenvalues.npy",
            "grid-invert.npy",
            "grid-multiply.npy",
            "grid-singular-values.npy",
            "ring-eigenvalues.npy",
            "ring-multiply.npy",
            "ring-singular-values.npy",
            "singular-values.png",
        ]
    );
    let inverse = read(&out.path().join("grid-invert.npy")).unwrap();
    assert_eq!((inverse.rows(), inverse.columns()), (144, 144));
    assert!(inverse.at(0, 0) > 0.25);
}

#[test]
fn a_bad_file_is_named_with_its_line_and_the_rest_goes_on() {
    let folder = TempDir::new().unwrap();
    let bad = folder.path().join("bad.mtx");
    let head = "%%MatrixMarket matrix coordinate real general\n";
    fs::write(&bad, format!("{head}2 2 2\n1 1 1.0\n2 3 1.0\n")).unwrap();
    let arguments = [
        "matrices",
        "--generate",
        "hilbert:4",
        "--generate",
        "hilbert:4",
        "--json",
    ];
    let result = run(&with(&arguments, &[bad.to_str().unwrap()]));
    assert_eq!(result.status.code(), Some(1));
    let errors = text(&result.stderr);
    assert!(
        errors.contains("bad.mtx, line 4: `3` is no column"),
        "{errors}"
    );
    let value: Value = serde_json::from_slice(&result.stdout).unwrap();
    let rows = value["operations"].as_array().unwrap();
    assert_eq!((rows.len(), &value["failed"]), (8, &1.into()));
    let names: Vec<_> = rows
        .iter()
        .map(|row| row["matrix"].as_str().unwrap())
        .collect();
    assert_eq!((names[0], names[7]), ("hilbert-4", "hilbert-4-2"));
    assert_eq!(rows[2]["values"].as_array().unwrap().len(), 4);
}

#[test]
fn results_that_cannot_be_written_are_an_error() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "a file where the folder should be").unwrap();
    let file = file.to_str().unwrap();
    for arguments in [
        with(&SMALL, &["--out", file]),
        vec!["matrices", "--generate", "hilbert:4", "--out", file],
    ] {
        let result = run(&arguments);
        assert_eq!(result.status.code(), Some(2));
        assert!(text(&result.stderr).contains("cannot write the results"));
    }
}

#[cfg(unix)]
mod interrupted {
    use std::io::Read;
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    use super::{Command, TempDir, names_in, science, text};

    fn interrupt(mut child: Child, is_running: impl Fn() -> bool) -> (Option<i32>, String) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while !is_running() {
            assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
            std::thread::yield_now();
        }
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status()
            .unwrap();
        assert!(kill.success());
        let code = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < deadline, "it goes on");
            std::thread::yield_now();
        };
        let mut errors = Vec::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_end(&mut errors).unwrap();
        (code, text(&errors))
    }

    #[test]
    fn a_run_ends_while_it_reads_a_file() {
        for (arguments, name) in [
            (&["matrices"][..], "matrix.mtx"),
            (&["matrices", "--generate", "random:3", "--by"], "by.npy"),
            (&["md", "--from"], "state.xyz"),
        ] {
            let folder = TempDir::new().unwrap();
            let pipe = folder.path().join(name);
            let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
            assert!(made.success());
            let child = science(arguments)
                .arg(&pipe)
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // It is open once the program reads at the other end, and gives it nothing.
            let pipe = std::fs::File::create(&pipe).unwrap();
            let (code, errors) = interrupt(child, || true);
            assert_eq!((code, errors.as_str()), (Some(130), ""), "{name}");
            drop(pipe);
        }
    }

    #[test]
    fn an_interrupted_simulation_leaves_no_file() {
        let out = TempDir::new().unwrap();
        let child = science(&[
            "md",
            "--particles",
            "500",
            "--cutoff",
            "2.5",
            "--frames",
            "10",
        ])
        .args(["--steps", "100000000", "--out"])
        .arg(out.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
        // The trajectory has a part on the disk, under another name.
        let (code, errors) = interrupt(child, || nodes::part(out.path()) > 0);
        assert_eq!(code, Some(130), "{errors}");
        assert!(
            names_in(out.path()).is_empty(),
            "{:?}",
            names_in(out.path())
        );
    }

    #[test]
    fn an_interrupted_run_of_matrices_leaves_whole_files() {
        let out = TempDir::new().unwrap();
        let mut command = science(&["matrices", "--operations", "multiply", "--workers", "1"]);
        for _ in 0..2000 {
            command.args(["--generate", "random:100"]);
        }
        let child = command
            .arg("--out")
            .arg(out.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (code, errors) = interrupt(child, || names_in(out.path()).len() > 2);
        assert_eq!(code, Some(130), "{errors}");
        let names = names_in(out.path());
        assert!((2..2000).contains(&names.len()), "{}", names.len());
        for name in names {
            let matrix = science::matrices::read(&out.path().join(&name)).unwrap();
            assert_eq!((matrix.rows(), matrix.columns()), (100, 100), "{name}");
        }
    }

    /// What a run shows in a terminal of so many columns and rows. The view needs a terminal, so this
    /// makes one.
    fn shown(arguments: &[&str], (columns, rows): (u16, u16)) -> String {
        use std::fs::{File, OpenOptions};
        use std::os::fd::AsFd;

        use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
        use rustix::termios::{Winsize, tcsetwinsize};

        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(terminal.as_fd(), Vec::new()).unwrap();
        let name = name.into_string().unwrap();
        let side = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name)
            .unwrap();
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&side, size).unwrap();
        let mut child = science(arguments)
            .stdout(side)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut shown = Vec::new();
        // Reading fails when the program has closed the other side.
        let _ = File::from(terminal).read_to_end(&mut shown);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        text(&shown)
    }

    #[test]
    fn the_live_view_draws_pictures_over_each_other() {
        // The last one does not tell its size.
        for (size, rows) in [
            ((80, 24), 22),
            ((300, 60), 58),
            ((41, 50), 20),
            ((9, 3), 4),
            ((0, 0), 22),
        ] {
            let shown = shown(&super::with(&super::SMALL, &["--watch"]), size);
            let back = format!("\u{1b}[{}A", rows + 1);
            let last = shown.rsplit(&back).next().unwrap();
            let width = if size.0 == 0 { 80 } else { usize::from(size.0) };
            for picture in shown.split(&back) {
                let mut lines = picture.lines();
                for line in lines.by_ref().take(rows) {
                    assert!(line.chars().all(is_dots), "{line}");
                    assert_eq!(line.chars().count(), 2 * rows);
                }
                let status = lines.next().unwrap().trim_end_matches("\u{1b}[K");
                assert!(status.starts_with(&"step "[..5.min(width - 1)]), "{status}");
                assert!(status.len() < width, "{status}");
            }
            // The table follows the last picture.
            assert!(last.contains("energy drift"), "{last}");
            let is_dot = |it: &char| is_dots(*it) && *it != '\u{2800}';
            assert!(last.chars().filter(is_dot).count() > 4);
        }
        let wide = shown(&super::with(&super::SMALL, &["--watch"]), (120, 24));
        assert!(wide.contains("step 0/150, temperature 0."), "{wide}");
        assert!(wide.contains("step 150/150, temperature 0."), "{wide}");
    }

    /// Whether a character is one of a picture.
    fn is_dots(character: char) -> bool {
        ('\u{2800}'..='\u{28ff}').contains(&character)
    }

    #[test]
    fn a_trajectory_has_the_same_frames_whether_it_is_watched_or_not() {
        for frames in ["7", "30", "1000"] {
            let [plain, watched] = [["--quiet"], ["--watch"]].map(|watch| {
                let out = TempDir::new().unwrap();
                let folder = out.path().to_str().unwrap();
                let more = ["--frames", frames, "--out", folder];
                let arguments = super::with(&super::with(&super::SMALL, &more), &watch);
                shown(&arguments, (80, 24));
                std::fs::read_to_string(out.path().join("trajectory.xyz")).unwrap()
            });
            assert!(plain == watched, "{frames}");
        }
    }
}
