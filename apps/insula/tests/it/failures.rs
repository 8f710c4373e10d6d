//! Risk: a script that cannot tell why a command was not carried out.

use std::net::TcpListener;
use std::process::Stdio;

use serde_json::json;

use crate::inspector::{Inspector, TOKEN};
use crate::support::User;

#[test]
fn wrong_usage_is_status_two() {
    let user = User::new();
    for arguments in [
        vec![],
        vec!["tops"],
        vec!["pools", "--colour"],
        vec!["resize", "1", "0"],
        vec!["resize", "1", "many"],
        vec!["ps", "--sort", "weight"],
        vec!["ps", "--state", "tired"],
        vec!["profile", "--seconds", "61"],
        vec!["pools", "--timeout", "NaN"],
        vec!["pools", "--timeout", "-1"],
        vec!["completions", "cmd"],
        vec!["why", ""],
        vec!["kill", "--yes", ""],
        vec!["resize", "", "2"],
    ] {
        let outcome = user.run(&arguments);
        assert_eq!(outcome.status, Some(2), "{arguments:?}: {outcome:?}");
        assert_eq!(outcome.out, "", "{arguments:?}");
    }
    let error = user.run(&["pools", "https://127.0.0.1:1/#abc"]).failed(2);
    assert!(error.contains("http://127.0.0.1:40123/#TOKEN"), "{error}");
    user.run(&["man", "tops"]).failed(2);
}

#[test]
fn an_empty_program_is_told_from_one_that_is_not_there() {
    let user = User::new();
    for arguments in [&["ps", ""][..], &["top", ""], &["why", "7", ""]] {
        assert_eq!(
            user.run(arguments).failed(2),
            "insula: PROGRAM is empty. Give a name or a process number of `insula programs`, or leave \
             it out"
        );
    }
}

#[test]
fn the_whole_screen_needs_a_terminal() {
    let (user, inspector) = (User::new(), Inspector::start());
    let error = user.run(&["top", &inspector.address]).failed(2);
    assert!(error.contains("needs a terminal"), "{error}");
}

#[test]
fn no_connection_is_status_three() {
    let (user, inspector) = (User::new(), Inspector::start());
    let wrong = inspector.address.replace(TOKEN, "abc");
    let error = user.run(&["pools", &wrong]).failed(3);
    assert!(error.contains("refuses the token"), "{error}");
    let free = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let error = user
        .run(&["pools", &format!("http://{free}/#abc")])
        .failed(3);
    assert!(error.contains("nothing listens at"), "{error}");
    assert!(!error.contains("abc"), "{error}");
    inspector.answer("getVersion", json!({ "major": 2, "minor": 0 }));
    let error = user.run(&["pools", &inspector.address]).failed(3);
    assert!(error.contains("version 2 of the protocol"), "{error}");
}

#[test]
fn a_program_that_does_not_answer_is_given_up() {
    // It accepts connections, and reads nothing.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/#abc", listener.local_addr().unwrap());
    let user = User::new();
    let error = user.run(&["pools", &address, "--timeout", "0.2"]).failed(3);
    assert!(error.contains("has not answered within 200ms"), "{error}");
}

#[test]
fn answers_that_make_no_sense_are_errors() {
    let (user, inspector) = (User::new(), Inspector::start());
    inspector.answer("getPools", json!({ "pools": 7 }));
    let error = user.run(&["pools", &inspector.address]).failed(3);
    assert!(error.contains("has sent nonsense"), "{error}");
}

#[test]
fn a_reader_that_has_gone_is_no_error() {
    let (user, inspector) = (User::new(), Inspector::start());
    let mut command = user.command(&["dump", &inspector.address]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}
