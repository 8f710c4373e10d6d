//! Risk: a command that lies to its caller: by its exit status, its messages or what it leaves.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::sample;

fn analytics(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_analytics"));
    command.args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    analytics(arguments).stdin(Stdio::null()).output().unwrap()
}

fn run_with(arguments: &[&str], input: &str) -> Output {
    let mut command = analytics(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Beside the reader, which a large output would block.
    let writer = thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_report_has_a_page_and_its_figures() {
    let folder = TempDir::new().unwrap();
    let (weather, out) = (
        sample("weather/seattle.csv"),
        folder.path().join("weather.html"),
    );
    let result = run(&[
        "report",
        path(&weather),
        "--target",
        "temp_max",
        "--out",
        path(&out),
    ]);
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let table = text(&result.stdout);
    for part in [
        "1461 rows, 4 columns",
        "temp_max: R² 0.",
        "bytes copied    0 B",
        "weather.html",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert_eq!(names_in(folder.path()), ["weather.html", "weather.json"]);
    let figures: Value =
        serde_json::from_slice(&fs::read(out.with_extension("json")).unwrap()).unwrap();
    assert_eq!(figures["rows"], 1_461);
    assert_eq!(figures["columns"][1]["series"]["season"]["period"], 365);
    assert_eq!(figures["learning"]["target"], "temp_max");
    assert!(
        fs::read_to_string(&out)
            .unwrap()
            .starts_with("<!DOCTYPE html>")
    );
}

#[test]
fn a_comparison_tells_the_speed_up_and_json_the_figures() {
    let folder = TempDir::new().unwrap();
    let (co2, out) = (sample("climate/co2.csv"), folder.path().join("a.html"));
    let arguments = [
        "report",
        path(&co2),
        "--compare",
        "--workers",
        "2",
        "--json",
        "--out",
        path(&out),
    ];
    let result = run(&arguments);
    let figures: Value = serde_json::from_slice(&result.stdout).unwrap();
    assert!(figures["processing"]["speed_up"].as_f64().unwrap() > 0.0);
    assert_eq!(figures["processing"]["workers"], 2);
    assert_eq!(figures["columns"][0]["statistics"]["missing"], 59);
}

#[test]
fn a_mistake_in_a_table_is_named_with_its_line() {
    let folder = TempDir::new().unwrap();
    let (file, out) = (folder.path().join("a.csv"), folder.path().join("a.html"));
    let mut table = "n,m\n".to_owned();
    table.extend((0..50).map(|row| format!("{row},{}\n", row % 7)));
    fs::write(&file, table.clone() + "oops,1\n").unwrap();
    let result = run(&["report", path(&file), "--out", path(&out), "--quiet"]);
    assert_eq!(
        (result.status.code(), text(&result.stdout)),
        (Some(1), String::new())
    );
    let expected = format!(
        "analytics: {}:52: `oops` in the column `n` is not a number; it counts as missing\n",
        file.display()
    );
    assert_eq!(text(&result.stderr), expected);
    assert!(out.exists());
    fs::remove_file(&out).unwrap();
    fs::write(&file, table + "1,2,3\n").unwrap();
    let result = run(&["report", path(&file), "--out", path(&out)]);
    assert_eq!(result.status.code(), Some(2));
    assert!(text(&result.stderr).contains("a.csv: line 52: 3 fields, but the first line has 2"));
    assert!(!out.exists());
}

#[test]
fn mistakes_that_are_not_named_are_counted() {
    let folder = TempDir::new().unwrap();
    let (file, out) = (folder.path().join("a.csv"), folder.path().join("a.html"));
    let mut table = "n,m\n".to_owned();
    table.extend((0..1_000).map(|row| match row % 20 {
        0 => format!("oops,{row}\n"),
        1 => format!("NA,{row}\n"),
        _ => format!("{row},{row}\n"),
    }));
    fs::write(&file, table).unwrap();
    let result = run(&["report", path(&file), "--out", path(&out), "--json"]);
    assert_eq!(result.status.code(), Some(1));
    let errors = text(&result.stderr);
    assert_eq!(errors.matches("`oops`").count(), 20, "{errors}");
    let more = "a.csv: 30 more fields are not numbers; they count as missing\n";
    assert!(errors.ends_with(more), "{errors}");
    let figures: Value = serde_json::from_slice(&result.stdout).unwrap();
    assert_eq!(figures["bad_fields"], 50);
    assert_eq!(figures["columns"][0]["statistics"]["missing"], 100);
    let page = fs::read_to_string(&out).unwrap();
    assert!(page.contains("count as missing: 50."));
}

/// The figures get the page's name with another ending, which a table may have.
#[test]
fn a_report_is_not_written_over_its_table() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("table.json");
    fs::write(&file, "n\n1\n2\n").unwrap();
    let mut command = analytics(&["report", "table.json"]);
    let result = command.current_dir(&folder).output().unwrap();
    assert_eq!(result.status.code(), Some(2));
    let errors = text(&result.stderr);
    assert!(
        errors.contains("table.json: the report would be written over the table"),
        "{errors}"
    );
    assert_eq!(names_in(folder.path()), ["table.json"]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "n\n1\n2\n");
}

#[test]
fn the_order_of_the_rows_changes_nothing_and_uneven_times_are_told() {
    let folder = TempDir::new().unwrap();
    let co2 = fs::read_to_string(sample("climate/co2.csv")).unwrap();
    let lines: Vec<&str> = co2.lines().collect();
    let backwards = lines[1..].iter().rev().copied();
    let backwards: Vec<&str> = lines[..1].iter().copied().chain(backwards).collect();
    // Without the weeks of ten years.
    let gap = lines.iter().filter(|it| !it.starts_with("197"));
    let gap: Vec<&str> = gap.copied().collect();
    let [ordered, backwards, gap] = [lines, backwards, gap].map(|lines| {
        let (file, out) = (folder.path().join("a.csv"), folder.path().join("a.html"));
        fs::write(&file, lines.join("\n") + "\n").unwrap();
        let result = run(&["report", path(&file), "--trees", "5", "--out", path(&out)]);
        assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
        let figures = fs::read(out.with_extension("json")).unwrap();
        let figures: Value = serde_json::from_slice(&figures).unwrap();
        let page = fs::read_to_string(&out).unwrap();
        (figures, page, text(&result.stdout))
    });
    assert_eq!(ordered.0["columns"], backwards.0["columns"]);
    assert_eq!(ordered.0["times"], backwards.0["times"]);
    assert!(!ordered.1.contains("Times: ") && !ordered.2.contains("\ntimes "));
    for (told, uneven) in [
        ("out of order in the file, now sorted", backwards),
        ("1 behind gaps of ", gap),
    ] {
        let (_, page, table) = uneven;
        assert!(page.contains("Times: rows in steps of 7d, but "), "{told}");
        assert!(
            page.contains(told) && table.contains(told),
            "{told} in {table}"
        );
    }
}

#[test]
fn wrong_usage_says_what_to_do() {
    let weather = sample("weather/seattle.csv");
    let file = path(&weather);
    for (arguments, message) in [
        (&["report", "missing.csv"][..], "missing.csv: cannot read: "),
        (
            &["report", file, "--target", "heat"],
            "there is no column `heat`; the columns are precipitation",
        ),
        (
            &["report", file, "--time", "wind", "--target", "weather"],
            "there is no column `weather`",
        ),
        (
            &["report", file, "--time", "weather"],
            "line 2: `drizzle` is no time; the column `weather` needs a date",
        ),
        (
            &["report", file, "--delimiter", ";"],
            "no column has numbers; is the separator right?",
        ),
        (
            &["report", file, "--out", "report.JSON"],
            "report.JSON: the figures are written to the page's name with .json",
        ),
        (&["report", file, "--out", "."], ".: a folder; --out needs"),
        (
            &["report", file, "--out", file],
            "seattle.csv: the report would be written over the table",
        ),
        (&["report", file, "--period", "1"], "at least 2"),
        (&["report", file, "--test", "1"], "from 0 to 0.9"),
        (&["report", file, "--trees", "0"], "1..=65535"),
        (&["report"], "<FILE>"),
        (&["stream", "--window", "5"], "such as 5m"),
        (&["stream", "--window", "-5m"], ""),
        (&["stream", "--threshold", "0"], "above 0"),
        (
            &[
                "stream",
                "--connect",
                "127.0.0.1:9",
                "--listen",
                "127.0.0.1:9",
            ],
            "cannot be used with",
        ),
        (&["unknown"], "unknown"),
        (&[], "Usage"),
    ] {
        let result = run(arguments);
        let errors = text(&result.stderr);
        assert_eq!(result.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.contains(message), "{message} in {errors}");
    }
    assert_eq!(run(&["--help"]).status.code(), Some(0));
}

/// A point in each second, with a jump in the second minute.
fn seconds(count: u32) -> String {
    let mut random = fastrand::Rng::with_seed(2);
    let mut lines = "time,value\n".to_owned();
    for second in 0..count {
        let value = if second == 400 {
            50.0
        } else {
            10.0 + f64::from(second) / 1e3 + random.f64()
        };
        lines.push_str(&format!(
            "2024-05-01T{:02}:{:02}:{:02}Z,{value}\n",
            second / 3_600,
            second / 60 % 60,
            second % 60
        ));
    }
    lines
}

#[test]
fn a_stream_prints_what_is_unusual_and_the_trend_of_five_minutes() {
    let result = run_with(&["stream"], &seconds(1_000));
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let lines = text(&result.stdout);
    let lines: Vec<_> = lines.lines().collect();
    assert!(
        lines[0].starts_with("2024-05-01 00:05:00: trend +0."),
        "{lines:?}"
    );
    assert!(lines[0].ends_with("by 300 points"), "{lines:?}");
    assert!(
        lines[1].starts_with("2024-05-01 00:06:40: 50 is unusual, "),
        "{lines:?}"
    );
    assert!(lines[1].ends_with("of 299 points"), "{lines:?}");
    assert!(
        lines.contains(&"points          1000 analyzed, 1 unusual, 0 late"),
        "{lines:?}"
    );
}

#[test]
fn a_stream_of_json_has_lines_of_json() {
    let input = (0..100)
        .map(|it| format!("{{\"t\":{it},\"v\":{}}}\n", it % 2))
        .collect::<String>();
    let input = input + "{\"t\":100,\"v\":1e6}\nno point\n{\"t\":1,\"v\":0}\n";
    let arguments = [
        "stream", "--format", "jsonl", "--time", "t", "--value", "v", "--trend", "none", "--json",
    ];
    let result = run_with(&arguments, &input);
    assert_eq!(result.status.code(), Some(1));
    assert!(text(&result.stderr).starts_with("analytics: line 102: not a JSON object"));
    let lines: Vec<Value> = text(&result.stdout)
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        (&lines[0]["kind"], &lines[0]["time"]),
        (&"anomaly".into(), &100.0.into())
    );
    assert!(lines[0]["anomaly"]["score"].as_f64().unwrap() > 1e5);
    assert_eq!(
        (&lines[1]["points"], &lines[1]["late"]),
        (&102.into(), &1.into())
    );
}

#[test]
fn a_socket_is_a_source_too() {
    let mut command = analytics(&["stream", "--listen", "127.0.0.1:0", "--window", "1m"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap())
        .read_line(&mut said)
        .unwrap();
    let address = said
        .trim()
        .strip_prefix("analytics: waiting for a connection to ")
        .unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    socket.write_all(seconds(500).as_bytes()).unwrap();
    drop(socket);
    let result = child.wait_with_output().unwrap();
    assert_eq!(result.status.code(), Some(0));
    assert!(
        text(&result.stdout).contains("500 analyzed, 1 unusual"),
        "{}",
        text(&result.stdout)
    );
}

#[test]
fn a_socket_that_listens_is_a_source_too() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut command = analytics(&["stream", "--connect", &address, "--window", "1m"]);
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    socket.write_all(seconds(500).as_bytes()).unwrap();
    drop(socket);
    let result = child.wait_with_output().unwrap();
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let printed = text(&result.stdout);
    assert!(printed.contains("500 analyzed, 1 unusual"), "{printed}");
    // Nothing listens there any more.
    drop(listener);
    let result = run(&["stream", "--connect", &address]);
    assert_eq!(result.status.code(), Some(2));
    assert!(text(&result.stderr).contains(&address));
}

#[test]
fn a_field_that_is_not_there_ends_a_stream_at_once() {
    let mut command = analytics(&["stream", "--value", "heat"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(seconds(50).as_bytes()).unwrap();
    // Although the input has not ended.
    let result = child.wait_with_output().unwrap();
    drop(input);
    assert_eq!(result.status.code(), Some(2));
    assert_eq!(
        text(&result.stderr),
        "analytics: cannot read: line 1: there is no field `heat` in the first line: time, value\n"
    );
}

#[test]
fn a_wrong_time_is_named_and_costs_one_point() {
    let wrong = "2099-01-01,1\n";
    let lines = seconds(1_000);
    let (start, rest) = lines.split_at(lines.find("2024-05-01T00:01:00Z").unwrap());
    let result = run_with(&["stream"], &format!("{start}{wrong}{rest}"));
    assert_eq!(result.status.code(), Some(0));
    let errors = text(&result.stderr);
    let expected = "analytics: the point 1 at 2099-01-01 is more than 5m from the point before it";
    assert!(
        errors.starts_with(expected) && errors.lines().count() == 1,
        "{errors}"
    );
    let printed = text(&result.stdout);
    for part in [
        "1001 analyzed, 1 unusual, 0 late",
        "2024-05-01 00:05:00: trend +0.",
        "jumps           1 points",
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
}

/// A thread writes points as long as the program takes them.
#[test]
fn a_source_waits_while_nothing_reads_what_is_printed() {
    const CHUNK: u32 = 100;
    // Much more than pipes and streams hold.
    const MOST: u32 = 3_000;
    let mut command = analytics(&["stream", "--trend", "1s", "--window", "1m"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let (written, chunks) = mpsc::channel();
    let writer = thread::spawn(move || {
        for chunk in 0..MOST {
            let times = chunk * CHUNK..(chunk + 1) * CHUNK;
            let lines: String = times.map(|it| format!("{it},{}\n", it % 2)).collect();
            input.write_all(lines.as_bytes()).unwrap();
            if written.send(()).is_err() {
                return chunk + 1;
            }
        }
        MOST
    });
    // Until the source has had to wait for a second.
    let mut taken = 0;
    while chunks.recv_timeout(Duration::from_secs(1)).is_ok() {
        taken += 1;
    }
    assert!(!writer.is_finished() && taken < MOST, "{taken} chunks");
    drop(chunks);
    let result = child.wait_with_output().unwrap();
    let points = CHUNK * writer.join().unwrap();
    let printed = text(&result.stdout);
    assert!(printed.contains(&format!("{points} analyzed")), "{points}");
    // The trend is told from the tenth point on.
    assert_eq!(printed.matches(": trend ").count(), points as usize - 9);
}

#[cfg(unix)]
fn interrupt(child: &std::process::Child) {
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
}

/// It waits for points that do not come.
#[cfg(unix)]
#[test]
fn an_interrupted_stream_tells_what_it_has_seen() {
    let mut command = analytics(&["stream", "--trend", "1s"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(seconds(50).as_bytes()).unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    // The trend is told from the tenth point on.
    while !line.contains("by 50 points") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0);
    }
    interrupt(&child);
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut output, &mut rest).unwrap();
    assert!(rest.contains("50 analyzed"), "{rest}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    drop(input);
}

#[cfg(unix)]
#[test]
fn an_interrupted_report_leaves_no_half_of_a_page() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("a.html");
    fs::write(&out, "what was there").unwrap();
    let weather = sample("weather/seattle.csv");
    // Enough trees for a long time.
    let mut command = analytics(&[
        "report",
        path(&weather),
        "--trees",
        "65535",
        "--out",
        path(&out),
    ]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The handler of the signal has to be there: its thread is beside the first one.
    let tasks = format!("/proc/{}/task", child.id());
    while cfg!(target_os = "linux") && fs::read_dir(&tasks).unwrap().count() < 4 {
        assert!(child.try_wait().unwrap().is_none());
        thread::yield_now();
    }
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(names_in(folder.path()), ["a.html"]);
    assert_eq!(fs::read(&out).unwrap(), b"what was there");
}

#[cfg(target_os = "linux")]
#[test]
fn workers_in_processes_find_the_same() {
    let folder = TempDir::new().unwrap();
    // The second one lacks values, which are no numbers in JSON but are in a call.
    for table in ["weather/seattle.csv", "climate/co2.csv"] {
        let [local, process] = ["local", "process"].map(|kind| {
            let out = folder.path().join(kind).with_extension("html");
            let file = sample(table);
            let arguments = ["report", path(&file), "--kind", kind, "--workers", "2"];
            let mut command = analytics(&arguments);
            let result = command
                .args(["--trees", "25", "--quiet", "--out", path(&out)])
                .output()
                .unwrap();
            assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
            let figures = fs::read(out.with_extension("json")).unwrap();
            let mut figures: Value = serde_json::from_slice(&figures).unwrap();
            // What differs from run to run.
            figures["generated_at"].take();
            let processing = figures["processing"].take();
            (figures.to_string(), processing)
        });
        assert!(local.0 == process.0, "{table}: {}\n{}", local.0, process.0);
        assert_eq!(local.1["bytes_copied"], 0);
        assert!(process.1["bytes_copied"].as_u64().unwrap() > 0);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_stream_through_a_process_prints_the_same() {
    let input = seconds(1_000) + "no point\n";
    let [local, process] = ["local", "process"].map(|kind| {
        let arguments = ["stream", "--kind", kind, "--trend", "30s", "--quiet"];
        let result = run_with(&arguments, &input);
        assert_eq!(result.status.code(), Some(1), "{}", text(&result.stderr));
        text(&result.stdout)
    });
    assert_eq!(local, process);
    assert!(
        local.contains(": 50 is unusual, ") && local.lines().count() > 30,
        "{local}"
    );
}

/// The window of its points is lost, so that another worker could not go on.
#[cfg(target_os = "linux")]
#[test]
fn a_stream_whose_worker_is_killed_ends_with_an_error() {
    let mut command = analytics(&["stream", "--kind", "process", "--trend", "1s"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(seconds(50).as_bytes()).unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("by 50 points") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0);
    }
    let threads = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let workers =
        threads.filter_map(|it| fs::read_to_string(it.ok()?.path().join("children")).ok());
    let workers: String = workers.collect();
    let kill = Command::new("kill")
        .arg("-9")
        .args(workers.split_whitespace())
        .status();
    assert!(kill.unwrap().success());
    // Although no more points come.
    let result = child.wait_with_output().unwrap();
    drop(input);
    let errors = text(&result.stderr);
    assert_eq!(result.status.code(), Some(2), "{errors}");
    assert!(errors.starts_with("analytics: "), "{errors}");
}
