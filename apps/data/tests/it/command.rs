//! Risk: a command that lies to its caller: by its exit status, its messages or what it leaves.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::formats::write_row_groups;
use crate::support::{assert_close, data, expected, reference, weather};

fn run(arguments: &[&str]) -> Output {
    data(arguments).output().unwrap()
}

/// Runs the command with `input` on its standard input.
fn run_with(arguments: &[&str], input: &str) -> Output {
    let mut command = data(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    // A command that refuses its arguments does not read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn text_lines(bytes: &[u8]) -> Vec<String> {
    text(bytes).lines().map(str::to_owned).collect()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)))
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
fn the_weather_is_processed_and_summarized() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("fahrenheit.csv");
    let steps = [
        "--step",
        "scale:1.8",
        "--step",
        "offset:32",
        "--step",
        "round:2",
    ];
    let mut arguments = vec![
        "process",
        path(&weather()),
        "--value",
        "temp_max",
        "--out",
        path(&out),
    ]
    .into_iter()
    .map(ToOwned::to_owned)
    .collect::<Vec<_>>();
    arguments.extend(steps.map(ToOwned::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = run(&arguments);
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let table = text(&result.stdout);
    for part in [
        "1461 processed, 0 without a number, 0 bad",
        "items/s",
        "bytes copied    0 B",
        "mean 16.439083",
    ] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let written = fs::read_to_string(&out).unwrap();
    assert_eq!(written.lines().count(), 1_462);
    assert!(written.starts_with("id,value,result\n2012/01/01,12.8,55.04\n2012/01/02,10.6,51.08\n"));
    assert_eq!(names_in(folder.path()), ["fahrenheit.csv"]);
}

#[test]
fn several_workers_and_formats_have_one_result() {
    let folder = TempDir::new().unwrap();
    let table = folder.path().join("a.parquet");
    let made = run(&["generate", "--items", "10000", "--out", path(&table)]);
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let mut all = Vec::new();
    for (name, workers) in [
        ("1.csv", "1"),
        ("4.csv", "4"),
        ("4.jsonl", "4"),
        ("4.parquet", "4"),
    ] {
        let out = folder.path().join(name);
        let arguments = [
            "process",
            path(&table),
            "--step",
            "sqrt",
            "--json",
            "--workers",
            workers,
            "--out",
            path(&out),
        ];
        let result = run(&arguments);
        assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
        let figures = json(&result);
        assert_eq!(figures["items"], 10_000);
        assert_eq!(
            figures["workers"].as_array().unwrap().len().to_string(),
            workers
        );
        // The results of one file are the input of the next, up to what workers do at once.
        let again = json(&run(&[
            "process",
            path(&out),
            "--value",
            "result",
            "--json",
            "--chunks",
            "1",
        ]));
        all.push(again["values"]["mean"].as_f64().unwrap());
    }
    assert_eq!(
        fs::read(folder.path().join("1.csv")).unwrap(),
        fs::read(folder.path().join("4.csv")).unwrap()
    );
    for mean in &all {
        assert_close(*mean, all[0], 1e-14);
    }
}

#[test]
fn a_bad_row_is_named_with_its_line_and_the_rest_goes_on() {
    let folder = TempDir::new().unwrap();
    let table = folder.path().join("a.csv");
    fs::write(&table, "id,n\na,1\nb,x\nc,\nd,\"5\ne,4\n").unwrap();
    let result = run(&["process", path(&table)]);
    assert_eq!(result.status.code(), Some(1));
    assert!(text(&result.stdout).contains("2 processed, 1 without a number, 2 bad"));
    let errors = text(&result.stderr);
    let errors: Vec<_> = errors.lines().collect();
    let at = |line: u64, what: &str| format!("data: {}:{line}: {what}", table.display());
    assert_eq!(
        errors,
        [
            at(3, "`x` in the field `n` is not a finite number"),
            at(5, "a quote opens here and is not closed")
        ]
    );
    let many = "id,n\n".to_owned() + "a,1\n" + &"x,y\n".repeat(100);
    let result = run_with(&["process", "-", "--value", "n"], &many);
    let errors = text(&result.stderr);
    assert_eq!(errors.lines().count(), 21, "{errors}");
    assert!(errors.ends_with("data: -: 80 more bad rows\n"), "{errors}");
}

/// A row whose end cannot be found is in no chunk, and is named in its place all the same, even if
/// there are many others.
#[test]
fn an_open_quote_is_named_before_the_rows_behind_it() {
    let text = "id,n\na,1\nb,\"2\n".to_owned() + &"x,y\n".repeat(30);
    for command in ["process", "ingest"] {
        let result = run_with(&[command, "-", "--value", "n", "--json"], &text);
        assert_eq!(result.status.code(), Some(1));
        assert_eq!(json(&result)["bad"], 31);
        let errors = text_lines(&result.stderr);
        assert_eq!(errors.len(), 21, "{errors:?}");
        assert_eq!(errors[0], "data: -:3: a quote opens here and is not closed");
        assert!(errors[1].starts_with("data: -:4: `y`"), "{errors:?}");
        assert_eq!(errors[20], "data: -: 11 more bad rows");
    }
}

/// What is known is told even if the table cannot be read to its end.
#[test]
fn bad_rows_are_named_as_they_come() {
    use std::io::{BufRead, BufReader};

    let mut command = data(&["process", "-", "--value", "n"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = "id,n\nb,x\n".to_owned() + &"name,12.5\n".repeat(100_000);
    input.write_all(lines.as_bytes()).unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    // The input has not ended.
    errors.read_line(&mut first).unwrap();
    assert_eq!(
        first,
        "data: -:2: `x` in the field `n` is not a finite number\n"
    );
    drop(input);
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

#[test]
fn the_fields_that_were_taken_are_shown() {
    let table = weather();
    let result = run(&["process", path(&table)]);
    let shown = "fields          numbers of `precipitation`, named by `date`\n";
    assert!(text(&result.stdout).starts_with(shown));
    let result = run(&["process", path(&table), "--value", "wind", "--json"]);
    let figures = json(&result);
    assert_eq!(
        [&figures["id_field"], &figures["value_field"]],
        ["date", "wind"]
    );
    let told = format!(
        "data: {}: the numbers are those of `precipitation`; --value FIELD takes others\n",
        table.display()
    );
    for arguments in [
        &["compute", "mean", "--file", path(&table)][..],
        &["batches", path(&table), "--batch", "1000"],
    ] {
        assert_eq!(text(&run(arguments).stderr), told);
        let named = [arguments, &["--value", "precipitation"]].concat();
        assert_eq!(text(&run(&named).stderr), "");
    }
}

#[test]
fn standard_input_is_read_as_it_comes() {
    let table = fs::read_to_string(weather()).unwrap();
    let result = run_with(&["ingest", "-", "--value", "wind", "--json"], &table);
    assert_eq!(json(&result)["values"]["count"], 1_461);
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("wind.parquet");
    let lines = "{\"id\":1,\"wind\":2.5}\n{\"id\":2}\n";
    let arguments = [
        "ingest",
        "-",
        "--format",
        "jsonl",
        "--out",
        path(&out),
        "--quiet",
    ];
    let result = run_with(&arguments, lines);
    assert_eq!(
        (result.status.code(), text(&result.stdout).as_str()),
        (Some(0), "")
    );
    let again = run(&["compute", "sum", "--file", path(&out), "--json"]);
    assert_eq!(
        json(&again),
        serde_json::json!({
            "operation": "sum", "result": 2.5, "parameters": 1, "value_field": "value", "speed_up": null,
        })
    );
}

#[test]
fn batches_are_printed_with_their_progress() {
    let table = reference("measurements.csv");
    let result = run(&[
        "batches",
        path(&table),
        "--value",
        "reading",
        "--batch",
        "200",
    ]);
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let lines = text(&result.stdout);
    assert_eq!(
        lines
            .lines()
            .filter(|line| line.starts_with("batch "))
            .count(),
        3,
        "{lines}"
    );
    assert!(
        lines.ends_with("80 results, mean 21.104390, 100.0 % done\n"),
        "{lines}"
    );
    let result = run(&[
        "batches",
        path(&table),
        "--value",
        "count",
        "--step",
        "log",
        "--json",
    ]);
    let lines = text(&result.stdout);
    assert_eq!(lines.lines().count(), 50);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!(
        first["items"][3],
        serde_json::json!({"id": "with\nline 3", "value": -97.0, "result": null})
    );
}

#[test]
fn computations_print_their_result() {
    let result = run(&["compute", "mean", "1", "-2", "4e0"]);
    assert_eq!(
        (result.status.code(), text(&result.stdout).as_str()),
        (Some(0), "1\n")
    );
    let table = reference("pyarrow-zstd.parquet");
    let result = run(&[
        "compute",
        "percentile:95",
        "--file",
        path(&table),
        "--value",
        "reading",
    ]);
    let expected = &expected()["computed"]["percentile:95"];
    assert_close(
        text(&result.stdout).trim().parse().unwrap(),
        expected.as_f64().unwrap(),
        1e-14,
    );
    let result = run(&["compute", "deviation", "1"]);
    assert_eq!(result.status.code(), Some(2));
    assert_eq!(
        text(&result.stderr),
        "data: this needs at least 2 numbers, and there are 1\n"
    );
}

#[test]
fn a_comparison_tells_the_speed_up() {
    let result = run(&[
        "process",
        path(&weather()),
        "--compare",
        "--workers",
        "2",
        "--json",
    ]);
    assert!(json(&result)["speed_up"].as_f64().unwrap() > 0.0);
    let table = weather();
    let arguments = ["compute", "mean", "--file", path(&table), "--value", "wind"];
    let compared = [&arguments[..], &["--compare", "--workers", "3"]].concat();
    let [one, compared] = [&arguments[..], &compared].map(|it| text_lines(&run(it).stdout));
    assert_eq!((one.len(), compared.len()), (1, 2));
    assert_eq!(one[0], compared[0]);
    assert!(compared[1].ends_with("times one worker"), "{compared:?}");
    let result = run_with(&["process", "-", "--compare"], "");
    assert_eq!(result.status.code(), Some(2));
    assert!(text(&result.stderr).contains("standard input cannot"));
    let result = run(&["compute", "mean", "1", "--compare"]);
    assert_eq!(result.status.code(), Some(2));
    assert!(text(&result.stderr).contains("name one with --file"));
}

#[test]
fn wrong_usage_says_what_to_do_and_leaves_no_file() {
    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.csv");
    let weather = weather();
    let file = path(&weather);
    for (arguments, message) in [
        (
            &["process", file, "--value", "heat"][..],
            "there is no field `heat`; the fields are date, ",
        ),
        (&["process", file, "--value", "weather"], ""),
        (&["process", "missing.csv"], "missing.csv: cannot read: "),
        (&["process", "table.xls"], "use --format csv"),
        (&["process", "-", "--format", "parquet"], "name a file"),
        (&["process", file, "--out", "out.xls"], "can be written as"),
        (
            &["process", file, "--format", "parquet"],
            "not a readable Parquet file",
        ),
        (&["process", file, "--format", "jsonl"], "not a JSON object"),
        (
            &["process", file, "--step", "double"],
            "expected scale:FACTOR",
        ),
        (&["process", file, "--chunks", "0"], "at least 1"),
        (&["process", file, "--workers", "0"], "1..=65535"),
        (
            &["process", file, "--delimiter", "ab"],
            "one ASCII character",
        ),
        (&["compute", "average", "1"], "expected sum"),
        (&["compute", "mean"], "<NUMBER>"),
        (
            &["compute", "sum", "1", "--nats", "nats://127.0.0.1"],
            "--nats URLS is for --kind nats",
        ),
        (
            &["compute", "sum", "1", "--kind", "nats"],
            match cfg!(feature = "nats") {
                true => "need --nats URLS",
                false => "build it with `--features nats`",
            },
        ),
        (&["generate"], "--out"),
        (&["unknown"], "unknown"),
        (&[], "Usage"),
    ] {
        let mut command = data(arguments);
        if arguments.len() == 4 && !arguments.contains(&"--out") && arguments[0] == "process" {
            command.arg("--out").arg(&out);
        }
        let result = command.stdin(Stdio::null()).output().unwrap();
        let errors = text(&result.stderr);
        // A field without numbers has bad rows only.
        let expected = if message.is_empty() { 1 } else { 2 };
        assert_eq!(
            result.status.code(),
            Some(expected),
            "{arguments:?}: {errors}"
        );
        assert!(errors.contains(message), "{message} in {errors}");
    }
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    // Of the field without numbers, whose rows are all bad.
    assert_eq!(fs::read_to_string(&out).unwrap(), "id,value,result\n");
    assert_eq!(names_in(folder.path()), ["out.csv"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_no_half_of_a_file() {
    use std::time::{Duration, Instant};

    let folder = TempDir::new().unwrap();
    let out = folder.path().join("out.csv");
    fs::write(&out, "what was there").unwrap();
    let mut command = data(&["process", "-", "--out", path(&out)]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"id,n\n").unwrap();
    let lines = b"name,12.5\n".repeat(100_000);
    let deadline = Instant::now() + Duration::from_secs(60);
    input.write_all(&lines).unwrap();
    // Until results are in the temporary file.
    nodes::wait_for_part(&mut child, folder.path(), 1);
    // It waits for more input now, which does not come.
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.unwrap().success());
    // `wait_with_output` would close the pipe, which ends the input.
    while child.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::yield_now();
    }
    drop(input);
    let result = child.wait_with_output().unwrap();
    assert_eq!(result.status.code(), Some(130), "{}", text(&result.stderr));
    assert_eq!(names_in(folder.path()), ["out.csv"]);
    assert_eq!(fs::read(&out).unwrap(), b"what was there");
}

#[cfg(target_os = "linux")]
#[test]
fn workers_in_processes_write_the_same_files() {
    let folder = TempDir::new().unwrap();
    let groups = folder.path().join("groups.parquet");
    write_row_groups(&groups, 5);
    // Some of the rows of the reference are bad, so that errors cross too.
    for (table, value, exit) in [
        (groups, "n", 0),
        (weather(), "wind", 0),
        (reference("measurements.csv"), "count", 1),
        (reference("measurements.jsonl"), "count", 1),
        (reference("pyarrow-gzip.parquet"), "count", 1),
    ] {
        for format in ["csv", "jsonl", "parquet"] {
            let [local, process] = ["local", "process"].map(|kind| {
                let out = folder.path().join(kind).with_extension(format);
                let arguments = ["process", path(&table), "--value", value, "--step", "sqrt"];
                let mut command = data(&arguments);
                let result = command
                    .args(["--kind", kind, "--workers", "2", "--chunks", "9", "--quiet"])
                    .args(["--out", path(&out)])
                    .output()
                    .unwrap();
                let errors = text(&result.stderr);
                (result.status.code(), errors, fs::read(&out).unwrap())
            });
            assert!(local == process, "{table:?} as {format}: {}", process.1);
            assert_eq!(local.0, Some(exit), "{table:?}: {}", local.1);
        }
    }
    let arguments = ["process", path(&weather()), "--kind", "process"].map(ToOwned::to_owned);
    let figures = json(
        &data(&arguments.each_ref().map(String::as_str))
            .args(["--compare", "--json", "--workers", "2"])
            .output()
            .unwrap(),
    );
    assert!(figures["speed_up"].as_f64().unwrap() > 0.0);
    assert_eq!(figures["items"], 1_461);
    // To the worker and back.
    assert!(figures["bytes_copied"].as_u64() > figures["bytes_read"].as_u64());
}

#[cfg(target_os = "linux")]
#[test]
fn each_command_has_the_same_output_with_workers_in_processes() {
    let table = reference("pyarrow-zstd.parquet");
    let (table, field) = (path(&table), ["--value", "count"]);
    for arguments in [
        &["compute", "deviation", "1", "2", "4"][..],
        &["compute", "median", "--file", table],
        &["batches", table, "--json"],
        &["ingest", table, "--out", "-"],
    ] {
        let folder = TempDir::new().unwrap();
        let [local, process] = ["local", "process"].map(|kind| {
            let out = folder.path().join(kind).with_extension("csv");
            let mut arguments = arguments.to_vec();
            if arguments.contains(&table) {
                arguments.extend(field);
            }
            // A file stands for the one in the list.
            if let Some(last) = arguments.iter_mut().find(|it| **it == "-") {
                *last = path(&out);
                arguments.push("--quiet");
            }
            let result = data(&arguments).args(["--kind", kind]).output().unwrap();
            let errors = text(&result.stderr);
            (
                result.status.code(),
                errors,
                result.stdout,
                fs::read(&out).ok(),
            )
        });
        assert_eq!(local.0, Some(0), "{arguments:?}: {}", local.1);
        assert!(local == process, "{arguments:?}: {}", process.1);
    }
}

/// A chunk whose worker is killed is processed by another one. Standard input cannot be read twice,
/// so the program has to keep what it has read.
#[cfg(target_os = "linux")]
#[test]
fn a_killed_worker_loses_no_chunk() {
    use nodes::{children, wait_for_part};

    let folder = TempDir::new().unwrap();
    let [out, expected] = ["out.csv", "expected.csv"].map(|name| folder.path().join(name));
    let lines: String = (0..300_000)
        .map(|number| format!("name {number},{number}\n"))
        .collect();
    let (first, rest) = lines.split_at(lines.len() / 2);
    let steps = ["process", "-", "--step", "sqrt", "--json"];
    let local = run_with(
        &[&steps[..], &["--out", path(&expected)]].concat(),
        &format!("id,n\n{lines}"),
    );
    assert_eq!(local.status.code(), Some(0), "{}", text(&local.stderr));
    let mut command = data(&steps);
    command.args(["--kind", "process", "--workers", "2", "--out", path(&out)]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut program = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut input = program.stdin.take().unwrap();
    input
        .write_all(format!("id,n\n{first}").as_bytes())
        .unwrap();
    // Until results are in the temporary file: the workers have begun, and have more to do.
    wait_for_part(&mut program, folder.path(), 1);
    let workers = children(program.id());
    assert_eq!(workers.len(), 2, "{workers:?}");
    let kill = Command::new("kill").arg("-9").args(&workers).status();
    assert!(kill.unwrap().success());
    input.write_all(rest.as_bytes()).unwrap();
    drop(input);
    let result = program.wait_with_output().unwrap();
    assert_eq!(result.status.code(), Some(0), "{}", text(&result.stderr));
    let [local, figures] = [&local, &result].map(json);
    for figure in ["items", "failed_chunks", "values", "results", "bytes_read"] {
        assert_eq!(figures[figure], local[figure], "{figure}");
    }
    assert!(fs::read(&out).unwrap() == fs::read(&expected).unwrap());
}
