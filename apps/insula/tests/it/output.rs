//! Risk: output that scripts cannot read, or that acts on the terminal of its reader.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::inspector::{Inspector, isolate};
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
fn events_are_followed_until_the_program_ends_and_none_is_told_twice() {
    let (user, inspector) = (User::new(), Inspector::start());
    let arguments = ["events", "--follow", &inspector.address];
    let mut command = user.command(&arguments);
    let child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while inspector.asked("getEvents").is_none() {
        thread::sleep(Duration::from_millis(10));
    }
    // The notification was sent before the answer to the second request.
    thread::sleep(Duration::from_millis(300));
    inspector.end();
    let outcome = Outcome::of(child.wait_with_output().unwrap());
    assert_eq!(outcome.status, Some(0), "{outcome:?}");
    assert_eq!(outcome.errors, "", "{outcome:?}");
    let lines: Vec<_> = outcome.out.lines().collect();
    assert_eq!(lines.len(), 3, "{outcome:?}");
    assert!(lines[0].contains("decoder has begun"), "{outcome:?}");
    assert!(lines[2].contains("one more"), "{outcome:?}");
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
