//! Risk: a record that cannot be read later, or that replaces something.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::inspector::Inspector;
use crate::support::{Outcome, User};

#[test]
fn a_record_has_a_head_and_a_look_each_second_and_no_event_twice() {
    let (user, inspector) = (User::new(), Inspector::start());
    let path = user.folder().join("record.jsonl");
    let path = path.to_str().unwrap();
    let arguments = ["record", path, &inspector.address, "--seconds", "1.5"];
    let out = user.run(&arguments).done();
    assert!(out.starts_with("2 looks in "), "{out}");
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.starts_with(r#"{"format":"insula-record","#), "{text}");
    assert_eq!(text.matches("decoder has begun").count(), 1, "{text}");
    assert!(!text.contains(crate::inspector::TOKEN));
    let error = user.run(&arguments).failed(1);
    assert!(error.contains("--force"), "{error}");
    // It is read before there is a need for a terminal.
    let error = user.run(&["replay", path]).failed(2);
    assert!(error.contains("needs a terminal"), "{error}");
    assert!(error.contains("`insula replay --json`"), "{error}");
    // Without one, its looks are lines of JSON, as they are in the file behind its head.
    let out = user.run(&["replay", path, "--json"]).done();
    let looks = |text: &str| -> Vec<Value> {
        let lines = text.lines();
        lines.map(|it| serde_json::from_str(it).unwrap()).collect()
    };
    assert_eq!(looks(&out), looks(&text)[1..]);
    fs::write(path, "something else").unwrap();
    for arguments in [&["replay", path][..], &["replay", path, "--json"]] {
        let error = user.run(arguments).failed(1);
        assert!(error.contains("is no record"), "{error}");
    }
}

#[test]
fn a_record_ends_with_its_program() {
    let (user, inspector) = (User::new(), Inspector::start());
    let path = user.folder().join("record.jsonl");
    let mut command = user.command(&["record", path.to_str().unwrap(), &inspector.address]);
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while inspector.asked("getThreads").is_none() {
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(300));
    inspector.end();
    let out = Outcome::of(child.wait_with_output().unwrap()).done();
    assert!(out.ends_with("the program has ended\n"), "{out}");
    assert!(fs::read_to_string(path).unwrap().lines().count() >= 2);
}
