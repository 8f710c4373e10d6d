//! Risk: a command that lies to its caller: by its exit status, its messages or what it leaves.

use std::fs;
#[cfg(unix)]
use std::io::{BufRead, BufReader, Read, Write};
#[cfg(unix)]
use std::net::TcpStream;
use std::path::Path;
#[cfg(unix)]
use std::process::{Child, Stdio};
use std::process::{Command, Output};

use images::{ImageFormat, Size};
use tempfile::TempDir;

use crate::support::{Extras, file, photos, quarters};

fn images(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_images"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str], inputs: &[&Path], out: &Path) -> Output {
    images(arguments)
        .args(inputs)
        .arg("--out")
        .arg(out)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn size(path: &Path) -> Size {
    let image = images::RawImage::load(path).unwrap();
    let request = images::ProcessImage {
        image,
        operations: Vec::new(),
        format: None,
        quality: 85,
    };
    images::Pipeline::new().process(request).unwrap().size
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn the_defaults_make_a_picture_of_every_sample() {
    let out = TempDir::new().unwrap();
    let result = run(&[], &[&photos()], out.path());
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let table = text(&result.stdout);
    assert!(
        table.contains("15 made, 0 failed") && table.contains("pictures/s"),
        "{table}"
    );
    // A slow machine may have printed progress.
    assert!(!text(&result.stderr).contains("images:"));
    assert_eq!(names_in(out.path()).len(), 15);
    assert_eq!(size(&out.path().join("sunset.jpg")), Size::new(800, 533));
    assert_eq!(size(&out.path().join("dogs.jpg")), Size::new(399, 600));
    assert_eq!(size(&out.path().join("cat.png")), Size::new(451, 300));
}

#[test]
fn the_options_reach_the_pictures() {
    let out = TempDir::new().unwrap();
    let options = [
        "--resize",
        "120x90",
        "--mode",
        "fill",
        "--format",
        "png",
        "--saturation",
        "0",
        "--sharpen",
        "0.8",
        "--brightness",
        "1.2",
        "--contrast",
        "1.1",
        "--batch",
        "2",
        "--quiet",
    ];
    let inputs = [
        photos().join("pagoda.jpg"),
        photos().join("coffee.webp"),
        photos().join("dahlia.jpg"),
    ];
    let result = run(
        &options,
        &inputs.each_ref().map(|path| path.as_path()),
        out.path(),
    );
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    assert_eq!(text(&result.stdout), "");
    assert_eq!(
        names_in(out.path()),
        ["coffee.png", "dahlia.png", "pagoda.png"]
    );
    for name in names_in(out.path()) {
        let bytes = fs::read(out.path().join(&name)).unwrap();
        assert_eq!(ImageFormat::of_bytes(&bytes), Some(ImageFormat::Png));
        assert_eq!(size(&out.path().join(&name)), Size::new(120, 90));
    }
}

#[test]
fn resize_none_keeps_the_size() {
    let out = TempDir::new().unwrap();
    let result = run(
        &["--resize", "none"],
        &[&photos().join("galaxies.jpg")],
        out.path(),
    );
    assert_eq!(result.status.code(), Some(0));
    assert_eq!(size(&out.path().join("galaxies.jpg")), Size::new(1000, 872));
}

#[test]
fn a_bad_file_is_named_with_its_reason_and_the_rest_goes_on() {
    let folder = TempDir::new().unwrap();
    let good = file(&quarters(64, 64), ImageFormat::Jpeg, Extras::default());
    fs::write(folder.path().join("a-cut.jpg"), &good[..good.len() / 2]).unwrap();
    fs::write(folder.path().join("b-text.png"), "hello").unwrap();
    fs::write(folder.path().join("c-good.jpg"), &good).unwrap();
    let out = TempDir::new().unwrap();
    let missing = folder.path().join("missing.png");
    let result = run(&[], &[folder.path(), &missing], out.path());
    assert_eq!(result.status.code(), Some(1));
    let errors = text(&result.stderr);
    for part in [
        "a-cut.jpg: cannot decode JPEG: ",
        "b-text.png: not a JPEG, PNG or WebP picture",
        "missing.png: cannot read: ",
    ] {
        assert!(errors.contains(part), "{part} in {errors}");
    }
    assert_eq!(errors.lines().count(), 3, "{errors}");
    assert!(text(&result.stdout).contains("1 made, 3 failed"));
    assert_eq!(names_in(out.path()), ["c-good.jpg"]);
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure() {
    let folder = TempDir::new().unwrap();
    fs::write(
        folder.path().join("out"),
        "a file where the folder should be",
    )
    .unwrap();
    let result = run(
        &[],
        &[&photos().join("cat.png")],
        &folder.path().join("out"),
    );
    assert_eq!(result.status.code(), Some(1));
    assert!(text(&result.stderr).contains("cat.png: cannot write the result: "));
}

#[test]
fn wrong_usage_and_nothing_to_do_are_told_apart_from_failures() {
    let out = TempDir::new().unwrap();
    let empty = TempDir::new().unwrap();
    let nothing = run(&[], &[empty.path()], out.path());
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("no pictures found"));
    let photo = photos().join("cat.png");
    for wrong in [
        &["--resize", "800"][..],
        &["--quality", "0"],
        &["--quality", "101"],
        &["--format", "gif"],
        &["--mode", "stretch"],
        &["--sharpen", "-1"],
        &["--brightness", "NaN"],
        &["--batch", "0"],
        &["--workers", "0"],
        &["--unknown"],
    ] {
        assert_eq!(
            run(wrong, &[&photo], out.path()).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
    assert_eq!(
        images(&["--out", "x"]).output().unwrap().status.code(),
        Some(2)
    );
    assert_eq!(images(&["x.png"]).output().unwrap().status.code(), Some(2));
    assert!(names_in(out.path()).is_empty());
    assert_eq!(images(&["--help"]).output().unwrap().status.code(), Some(0));
}

/// In a build without NATS too, since the inspector is there before the workers.
#[test]
fn a_worker_can_be_inspected_as_a_run_can() {
    let announcements = TempDir::new().unwrap();
    let run = |option: &str| {
        let mut command = images(&["worker", option]);
        let output = command
            .env("XDG_RUNTIME_DIR", announcements.path())
            .env("TMPDIR", announcements.path())
            .output()
            .unwrap();
        // No worker has begun, for which an address of NATS is missing.
        assert_eq!(output.status.code(), Some(2), "{option}");
        text(&output.stderr)
    };
    for (option, expected) in [
        ("--inspect", "images-worker: inspect at http://127.0.0.1:"),
        ("--inspect=0.0.0.0:9000", "only addresses of this machine"),
        ("--inspect-control", "--inspect"),
        ("--stay", "unexpected argument"),
    ] {
        let errors = run(option);
        assert!(errors.contains(expected), "{option}: {errors}");
    }
}

/// The pictures of each worker, as the table tells.
fn worker_counts(table: &str) -> Vec<u64> {
    table
        .lines()
        .filter_map(|line| line.strip_prefix("worker ")?.strip_suffix(" pictures"))
        .map(|row| row.split_whitespace().nth(1).unwrap().parse().unwrap())
        .collect()
}

#[test]
fn several_workers_make_the_same_pictures_as_one() {
    let folders = ["1", "4"].map(|workers| {
        let out = TempDir::new().unwrap();
        let result = run(&["--workers", workers], &[&photos()], out.path());
        assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
        let counts = worker_counts(&text(&result.stdout));
        assert_eq!(counts.len().to_string(), workers);
        assert_eq!(counts.iter().sum::<u64>(), 15, "{counts:?}");
        out
    });
    let [one, four] = folders.each_ref().map(|out| names_in(out.path()));
    assert_eq!(one, four);
    for name in one {
        let [one, four] = folders
            .each_ref()
            .map(|out| fs::read(out.path().join(&name)).unwrap());
        assert!(one == four, "{name}");
    }
}

#[test]
fn a_comparison_tells_the_speed_up_and_changes_nothing_else() {
    let folder = TempDir::new().unwrap();
    let good = file(&quarters(64, 64), ImageFormat::Jpeg, Extras::default());
    for number in 0..12 {
        fs::write(folder.path().join(format!("{number}.jpg")), &good).unwrap();
    }
    fs::write(folder.path().join("5-bad.jpg"), "hello").unwrap();
    let out = TempDir::new().unwrap();
    let result = run(
        &["--compare", "--workers", "2"],
        &[folder.path()],
        out.path(),
    );
    assert_eq!(result.status.code(), Some(1));
    let (table, errors) = (text(&result.stdout), text(&result.stderr));
    assert!(table.contains("12 made, 1 failed"), "{table}");
    let speed_up = table
        .lines()
        .find_map(|line| {
            line.strip_prefix("speed-up")?
                .strip_suffix("times one worker")
        })
        .map(|value| value.trim().parse::<f64>().unwrap());
    assert!(speed_up.is_some_and(|factor| factor > 0.0), "{table}");
    assert_eq!(worker_counts(&table).iter().sum::<u64>(), 13, "{table}");
    assert_eq!(errors.lines().count(), 1, "each failure once: {errors}");
    assert_eq!(names_in(out.path()).len(), 12);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_only_whole_pictures() {
    use std::time::{Duration, Instant};

    let inputs = TempDir::new().unwrap();
    for number in 0..2_000 {
        let link = inputs.path().join(format!("{number:04}.jpg"));
        std::os::unix::fs::symlink(photos().join("fig.jpg"), link).unwrap();
    }
    let out = TempDir::new().unwrap();
    let mut child = images(&["--batch", "1"])
        .arg(inputs.path())
        .arg("--out")
        .arg(out.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    while names_in(out.path()).len() < 3 {
        assert!(Instant::now() < deadline && child.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    interrupt(&child);
    let result = child.wait_with_output().unwrap();
    assert_eq!(result.status.code(), Some(130), "{}", text(&result.stderr));
    let names = names_in(out.path());
    assert!((3..2_000).contains(&names.len()), "{}", names.len());
    for name in names {
        assert!(name.ends_with(".jpg") && !name.starts_with('.'), "{name}");
        assert_eq!(size(&out.path().join(&name)), Size::new(800, 541), "{name}");
    }
}

/// Does what Ctrl-C does.
#[cfg(unix)]
fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let kill = Command::new("kill").args(["-INT", &id]).status().unwrap();
    assert!(kill.success());
}

#[cfg(unix)]
#[test]
fn a_run_that_stays_can_be_looked_at_until_it_is_told_to_stop() {
    let out = TempDir::new().unwrap();
    let mut child = images(&["--inspect", "--stay"])
        .arg(photos())
        .arg("--out")
        .arg(out.path())
        .env("XDG_RUNTIME_DIR", out.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let metrics = metrics_once_done(lines.map_while(Result::ok));
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let metrics = metrics.unwrap();
    let is_answered = |line: &&str| {
        line.starts_with("insula_pool_ended_calls_total{") && line.contains(r#"outcome="answered""#)
    };
    let answered = metrics.lines().filter(is_answered);
    let counts = answered.filter_map(|line| line.split(' ').next_back()?.parse::<u64>().ok());
    assert!(counts.sum::<u64>() > 0, "{metrics}");
}

/// Returns what the inspector tells Prometheus when the run is over, which prints these lines.
#[cfg(unix)]
fn metrics_once_done(mut lines: impl Iterator<Item = String>) -> Option<String> {
    let address = lines.find_map(|line| {
        let address = line.split_once("inspect at http://")?.1;
        Some(address.to_owned())
    })?;
    lines.find(|line| line.ends_with("done, and stays until Ctrl-C"))?;
    let (host, token) = address.split_once("/#")?;
    let mut server = TcpStream::connect(host).ok()?;
    let head =
        format!("GET /metrics HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n\r\n");
    server.write_all(head.as_bytes()).ok()?;
    let mut answer = String::new();
    server.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn workers_in_processes_make_the_same_pictures() {
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let local = run(&["--quiet"], &[&photos()], here.path());
    let result = run(
        &["--quiet", "--kind", "process"],
        &[&photos()],
        there.path(),
    );
    assert_eq!(local.status.code(), Some(0));
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let names = names_in(here.path());
    assert_eq!(names, names_in(there.path()));
    for name in names {
        let (one, other) = (here.path().join(&name), there.path().join(&name));
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{name}");
    }
}

/// A picture whose worker is killed is made by another one.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_worker_loses_no_picture() {
    let out = TempDir::new().unwrap();
    let mut command = images(&["--kind", "process", "--workers", "2", "--quiet"]);
    let mut program = command
        .arg(photos())
        .arg("--out")
        .arg(out.path())
        .spawn()
        .unwrap();
    let mut killed = 0;
    let status = loop {
        if let Some(status) = program.try_wait().unwrap() {
            break status;
        }
        // Once there is a picture, so that the workers have begun.
        let has_begun = !names_in(out.path()).is_empty();
        if let Some(worker) = children(program.id())
            .pop()
            .filter(|_| has_begun && killed < 3)
        {
            let kill = Command::new("kill").args(["-9", &worker]).status();
            killed += u32::from(kill.unwrap().success());
            // A kill of each of the next pictures, and not of each start.
            let made = names_in(out.path()).len();
            while program.try_wait().unwrap().is_none() && names_in(out.path()).len() == made {
                std::thread::yield_now();
            }
        }
    };
    assert_eq!(status.code(), Some(0));
    assert!(killed > 0, "the run was over too soon");
    assert_eq!(names_in(out.path()).len(), 15);
}

/// The processes that a process has started.
#[cfg(target_os = "linux")]
fn children(process: u32) -> Vec<String> {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let of_threads =
        threads.filter_map(|it| fs::read_to_string(it.ok()?.path().join("children")).ok());
    of_threads
        .flat_map(|it| it.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
