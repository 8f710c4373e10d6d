//! Risk: output that scripts cannot read, or that acts on the terminal of its reader.

use std::io::{BufRead, BufReader};
#[cfg(unix)]
use std::process::Command;
use std::process::Stdio;
#[cfg(unix)]
use std::thread;

use serde_json::{Value, json};

use crate::inspector::{Inspector, event, isolate};
use crate::support::{Outcome, User};

#[test]
fn isolates_are_a_table() {
    let (user, inspector) = (User::new(), Inspector::start());
    let out = user.run(&["ps", &inspector.address]).done();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].starts_with("ID  NAME"), "{out}");
    assert!(lines[1].contains("7  decoder"), "{out}");
    // The name has an escape, which is shown and not sent.
    assert!(lines[2].contains("wri\u{fffd}[31mter"), "{out}");
    let out = user.run(&["ps", "--limit", "1", &inspector.address]).done();
    assert!(out.lines().count() >= 2, "{out}");
}

#[test]
fn the_options_of_a_list_reach_the_server() {
    let (user, inspector) = (User::new(), Inspector::start());
    let arguments = [
        "ps",
        "--sort",
        "-turnsTotal",
        "--filter",
        "dec",
        "--state",
        "running",
        "--limit",
        "10",
    ];
    let arguments = [&arguments[..], &[inspector.address.as_str()]].concat();
    user.run(&arguments).done();
    assert_eq!(
        inspector.asked("getIsolates"),
        Some(json!({
            "sort": "-turnsTotal",
            "filter": "dec",
            "state": "running",
            "offset": 0,
            "limit": 10,
        }))
    );
}

#[test]
fn a_list_of_many_pages_is_whole() {
    let (user, inspector) = (User::new(), Inspector::start());
    let page: Vec<_> = (1..=1_000).map(|number| isolate(number, "many")).collect();
    let all = json!({ "total": 2_500, "matched": 2_500, "isolates": page });
    inspector.answer("getIsolates", all);
    let arguments = ["ps", "--limit", "2000", &inspector.address];
    let out = user.run(&arguments).done();
    // The titles, the rows, and a line that says that there are more.
    assert_eq!(out.lines().count(), 2_002);
    assert!(out.ends_with("(2500 isolates; the others with --limit)\n"));
    let asked = inspector.asked("getIsolates").unwrap();
    assert_eq!(asked["offset"], 1_000);
}

#[test]
fn every_list_has_its_titles_and_as_json_the_names_as_they_are() {
    let (user, inspector) = (User::new(), Inspector::start());
    for (command, part, pointer) in [
        ("ps", "NAME", "/isolates/1/name"),
        ("pools", "PHASE", "/pools/0/name"),
        ("threads", "(3 isolates in the queue", "/threads/0/index"),
        ("threads", "lookups", "/nativePorts/0/name"),
        (
            "mailboxes",
            "mailboxes/1  oneSlot  full         2       0  Letter",
            "/mailboxes/0/openedAt",
        ),
        (
            "waits",
            "cycle: decoder (isolates/7) -> writer",
            "/waits/0/kind",
        ),
        ("events", "decoder has begun", "/events/0/text"),
        ("dump", "isolates/7", "/isolates/1/name"),
    ] {
        let out = user.run(&[command, &inspector.address]).done();
        assert!(out.contains(part), "{command}: {out}");
        let out = user.run(&[command, "--json", &inspector.address]).done();
        let value: Value = serde_json::from_str(&out).unwrap();
        assert!(value.pointer(pointer).is_some(), "{command}: {out}");
    }
    let out = user.run(&["ps", "--json", &inspector.address]).done();
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["isolates"][1]["name"], "wri\u{1b}[31mter");
}

#[test]
fn a_document_has_everything() {
    let (user, inspector) = (User::new(), Inspector::start());
    let out = user.run(&["dump", "--details", &inspector.address]).done();
    let document: Value = serde_json::from_str(&out).unwrap();
    for member in [
        "protocol",
        "vm",
        "isolates",
        "isolateDetails",
        "pools",
        "threads",
        "mailboxes",
        "waits",
        "history",
        "recording",
        "events",
    ] {
        assert!(document.get(member).is_some(), "{member}: {out}");
    }
}

#[test]
fn why_prints_the_sentences_of_isolates_and_pools() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    for subject in ["7", "isolates/7", "decoder"] {
        assert_eq!(
            user.run(&["why", subject, address]).done(),
            "It waits for \u{fffd}[1mwriter.\nNothing else keeps it alive.\n"
        );
        let asked = inspector.asked("getIsolate").unwrap();
        assert_eq!(asked["isolateId"], "isolates/7");
    }
    for subject in ["pools/1", "thumbs"] {
        let out = user.run(&["why", subject, address]).done();
        assert_eq!(out, "All workers are busy.\n");
    }
    inspector.refuse("getIsolate", 105, "there is no isolate 99");
    let error = user.run(&["why", "99", address]).failed(1);
    assert_eq!(error, "insula: there is no isolate 99");
}

#[test]
fn a_cycle_of_three_is_told_in_the_order_in_which_they_wait() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    let [hen, egg, farmer] = [(3, "hen"), (1, "egg"), (2, "farmer")]
        .map(|(number, name)| json!({ "id": format!("isolates/{number}"), "name": name }));
    let wait = |waiter: &Value, holder: &Value| json!({ "waiter": waiter, "holders": [holder], "kind": "asked", "isInCycle": true });
    let waits = [wait(&egg, &farmer), wait(&farmer, &hen), wait(&hen, &egg)];
    let cycles = [[hen, egg, farmer]];
    inspector.answer("getWaits", json!({ "waits": waits, "cycles": cycles }));
    let out = user.run(&["waits", address]).done();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert!(lines[1..4].iter().all(|it| it.ends_with("yes")), "{out}");
    assert_eq!(
        lines[4],
        "cycle: hen (isolates/3) -> egg (isolates/1) -> farmer (isolates/2) -> hen (isolates/3)"
    );
}

#[test]
fn events_of_many_pages_are_all_listed() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    // The program has forgotten the first 500.
    inspector.keep(501..=3_300, 0);
    let out = user.run(&["events", address]).done();
    // Before the rows are the titles, and a line that says what is missing.
    assert_eq!(out.lines().count(), 2_802);
    assert!(out.starts_with("(500 events were missed)\n"));
    assert!(out.lines().last().unwrap().contains("3300.000"), "{out}");
    let numbers = |events: &Value| -> Vec<_> {
        let events = events["events"].as_array().unwrap();
        events.iter().map(|it| it["number"].as_u64()).collect()
    };
    let kept: Vec<_> = (501..=3_300).map(Some).collect();
    let out = user.run(&["events", "--json", address]).done();
    let events: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(numbers(&events), kept);
    assert_eq!(
        (&events["dropped"], &events["newest"]),
        (&json!(500), &json!(3_300))
    );
    let out = user.run(&["dump", address]).done();
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(numbers(&document["events"]), kept);
    // Each page asks for what comes after the page before, and no page is empty.
    inspector.keep(1..=2_000, 0);
    user.run(&["events", address]).done();
    let asked = inspector.asked("getEvents").unwrap();
    assert_eq!(asked, json!({ "since": 1_000, "limit": 1_000 }));
}

#[test]
fn a_program_that_makes_events_faster_than_they_are_read_is_listed_all_the_same() {
    let (user, inspector) = (User::new(), Inspector::start());
    inspector.keep(1..=2_500, 1_000);
    let out = user.run(&["events", "--json", &inspector.address]).done();
    let events: Value = serde_json::from_str(&out).unwrap();
    let events = events["events"].as_array().unwrap();
    assert_eq!(events.len(), 3_000);
}

#[test]
fn events_are_followed_until_the_program_ends_and_none_is_told_twice() {
    let (user, inspector) = (User::new(), Inspector::start());
    let out = followed(&user, &inspector, "one more");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 3, "{out}");
    assert!(lines[0].contains("decoder has begun"), "{out}");
    assert!(lines[2].contains("one more"), "{out}");
}

#[test]
fn events_that_are_followed_begin_with_all_pages_and_a_gap_behind_them_is_told() {
    let (user, inspector) = (User::new(), Inspector::start());
    inspector.keep(501..=2_600, 0);
    // The first two are in the list too, and four are nowhere.
    let streamed = [2_599, 2_600, 2_605].map(|number| event(number, "it is streamed"));
    inspector.answer("Events", json!({ "events": streamed }));
    let out = followed(&user, &inspector, "it is streamed");
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2_103, "{out}");
    assert_eq!(lines[0], "(500 events were missed)");
    assert!(lines[2_100].contains("2600.000"), "{}", lines[2_100]);
    assert_eq!(lines[2_101], "(4 events were missed)");
    assert!(lines[2_102].contains("it is streamed"), "{}", lines[2_102]);
    assert_eq!(out.matches("it is streamed").count(), 1, "{out}");
}

/// A stop ends a read that has a time-out, on Linux, though nothing handles the signal.
#[cfg(unix)]
#[test]
fn a_command_that_was_stopped_goes_on_with_its_connection() {
    let (user, inspector) = (User::new(), Inspector::start());
    let out = followed_and(&user, &inspector, "one more", |pid| {
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).arg(pid).output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        };
        run("kill", &["-STOP"]);
        while !run("ps", &["-o", "stat=", "-p"]).starts_with('T') {
            thread::yield_now();
        }
        run("kill", &["-CONT"]);
    });
    assert_eq!(out.lines().count(), 3, "{out}");
}

/// Follows the events of a program, which ends once a line has the text `last`. Returns what was printed.
fn followed(user: &User, inspector: &Inspector, last: &str) -> String {
    followed_and(user, inspector, last, |_| {})
}

/// Like [`followed`], and does something with the process before the program ends.
fn followed_and(
    user: &User,
    inspector: &Inspector,
    last: &str,
    before_the_end: impl FnOnce(&str),
) -> String {
    let arguments = ["events", "--follow", &inspector.address];
    let mut command = user.command(&arguments);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = String::new();
    while !printed.contains(last) {
        printed += &(lines.next().unwrap().unwrap() + "\n");
    }
    before_the_end(&child.id().to_string());
    inspector.end();
    printed.extend(lines.map(|line| line.unwrap() + "\n"));
    let output = child.wait_with_output().unwrap();
    assert_eq!(Outcome::of(output).done(), "");
    printed
}

#[test]
fn the_document_of_a_program_without_a_recorder_has_the_rest() {
    let (user, inspector) = (User::new(), Inspector::start());
    inspector.refuse("getRecording", -32_601, "there is no such method");
    let out = user.run(&["dump", &inspector.address]).done();
    let document: Value = serde_json::from_str(&out).unwrap();
    assert!(document.get("recording").is_none(), "{out}");
    assert!(document.get("events").is_some(), "{out}");
}

#[test]
fn the_flight_recorder_is_listed_with_its_threads() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    let out = user.run(&["events", "--recorded", address]).done();
    let line = out.lines().nth(1).unwrap_or_default();
    assert!(line.contains("thread 1"), "{out}");
    assert!(line.contains("a turn took 70 ms"), "{out}");
    let out = user
        .run(&["events", "--recorded", "--json", address])
        .done();
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["perThread"], 100);
}

#[test]
fn calls_are_traced_for_a_time_and_what_was_asked_for_reaches_the_server() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    let arguments = ["trace", "--for", "0.5", address];
    let out = user.run(&arguments).done();
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 4, "{out}");
    assert!(
        lines[0].contains("METHOD") && lines[0].ends_with("OUTCOME"),
        "{out}"
    );
    for part in [
        "Images.thumbnail",
        "thumbs (pools/1)",
        "3",
        "12",
        "answered",
    ] {
        assert!(lines[1].contains(part), "{part}: {out}");
    }
    assert!(
        lines[2].contains("Images.\u{fffd}[1m") && lines[2].ends_with("shed"),
        "{out}"
    );
    assert_eq!(lines[3], "(2 calls came too fast)");
    let more = ["--pool", "thumbs", "--method", "Images.thumbnail"];
    let arguments = [&arguments[..], &more, &["--slower-than", "20", "--json"]].concat();
    let out = user.run(&arguments).done();
    let calls: Vec<Value> = out
        .lines()
        .map(|it| serde_json::from_str(it).unwrap())
        .collect();
    assert_eq!(calls.len(), 2, "{out}");
    assert_eq!(calls[0]["runUs"], 12_000.0);
    assert_eq!(
        inspector.asked("streamListen"),
        Some(json!({
            "streamId": "Calls",
            "poolId": "pools/1",
            "method": "Images.thumbnail",
            "slowerThanMs": 20,
        }))
    );
}

#[test]
fn ports_are_a_column_only_where_they_are_asked_for() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    assert!(!user.run(&["ps", address]).done().contains("PORTS"));
    let mut leaky = isolate(7, "decoder");
    leaky["ports"] = 12_345.into();
    leaky["cpuTotalMs"] = 1_500.into();
    let isolates = json!([leaky, isolate(8, "writer")]);
    let all = json!({ "total": 2, "matched": 2, "unanswered": 1, "isolates": isolates });
    inspector.answer("getIsolates", all);
    let out = user
        .run(&["ps", "--ports", "--sort", "-ports", address])
        .done();
    let asked = inspector.asked("getIsolates").unwrap();
    assert_eq!(
        (&asked["ports"], &asked["sort"]),
        (&json!(true), &json!("-ports"))
    );
    assert!(out.contains("PORTS") && out.contains("CPU"), "{out}");
    assert!(
        out.ends_with("(1 isolate did not tell the number of ports in time)\n"),
        "{out}"
    );
}

#[test]
fn a_profile_is_a_file_for_pprof() {
    let (user, inspector) = (User::new(), Inspector::start());
    let path = user.folder().join("profile.pb.gz");
    let name = path.to_str().unwrap();
    let arguments = ["profile", "--pprof", name, &inspector.address];
    let out = user.run(&arguments).done();
    assert!(
        out.starts_with("10 looks in ") && out.contains("go tool pprof"),
        "{out}"
    );
    // Its content has tests of its own.
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[..2], [0x1f, 0x8b]);
    let arguments = [
        "profile",
        "--pprof",
        "/no/such/folder/file",
        &inspector.address,
    ];
    let error = user.run(&arguments).failed(1);
    assert!(error.contains("/no/such/folder/file"), "{error}");
}

#[test]
fn a_profile_is_a_table_or_lines_for_flame_graphs() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    let out = user.run(&["profile", "--seconds", "1", address]).done();
    assert!(
        out.contains("90.0  thread 0 > decoder > Images.thumbnail"),
        "{out}"
    );
    assert_eq!(inspector.asked("profile"), Some(json!({ "seconds": 1 })));
    let out = user.run(&["profile", "--folded", address]).done();
    assert_eq!(out, "thread 0;decoder;Images.thumbnail 9\n");
}

#[test]
fn shells_and_manuals_know_all_commands() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let out = user.run(&["completions", shell]).done();
        for command in ["programs", "top", "recycle"] {
            assert!(out.contains(command), "{shell}: {command}");
        }
    }
    let out = user.run(&["man"]).done();
    assert!(out.contains(".TH insula 1"), "{out}");
    assert!(out.contains("recycle"), "{out}");
    let out = user.run(&["man", "resize"]).done();
    assert!(out.contains("WORKERS"), "{out}");
    let out = user.run(&["--help"]).done();
    assert!(out.contains("Exit status: 0 done, 1 "), "{out}");
}
