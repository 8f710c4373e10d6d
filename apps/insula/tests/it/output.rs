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
    let arguments = ["trace", "--follow", &inspector.address];
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
