//! Risk: an order that acts on something else than its user means, or that says it was done.

use serde_json::json;

use crate::inspector::{Inspector, isolate};
use crate::support::User;

#[test]
fn orders_go_to_what_was_named_and_print_what_was_done() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    for (arguments, method, params) in [
        (
            vec!["kill", "--yes", "7"],
            "kill",
            json!({ "isolateId": "isolates/7" }),
        ),
        (
            vec!["pause", "isolates/8"],
            "pause",
            json!({ "isolateId": "isolates/8" }),
        ),
        (
            vec!["resume", "decoder"],
            "resume",
            json!({ "isolateId": "isolates/7" }),
        ),
        (
            vec!["ping", "7"],
            "ping",
            json!({ "isolateId": "isolates/7" }),
        ),
        (
            vec!["drain", "-y", "thumbs"],
            "drain",
            json!({ "poolId": "pools/1" }),
        ),
        (
            vec!["recycle", "1"],
            "recycle",
            json!({ "poolId": "pools/1" }),
        ),
        (
            vec!["resize", "pools/1", "6"],
            "resize",
            json!({ "poolId": "pools/1", "workers": 6 }),
        ),
    ] {
        let mut arguments = arguments;
        arguments.push(address);
        let out = user.run(&arguments).done();
        assert_eq!(out, "done as asked\n", "{arguments:?}");
        assert_eq!(inspector.asked(method), Some(params), "{arguments:?}");
    }
}

#[test]
fn a_part_of_a_name_is_no_name_and_two_of_one_name_are_told_apart() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    let error = user.run(&["kill", "--yes", "decod", address]).failed(1);
    assert!(
        error.contains("nothing with the name or id decod"),
        "{error}"
    );
    let twins = json!([isolate(7, "decoder"), isolate(9, "decoder")]);
    let all = json!({ "total": 2, "matched": 2, "isolates": twins });
    inspector.answer("getIsolates", all);
    let error = user.run(&["kill", "--yes", "decoder", address]).failed(1);
    assert!(error.contains("isolates/7, isolates/9"), "{error}");
    assert_eq!(inspector.asked("kill"), None);
}

#[test]
fn what_cannot_be_taken_back_needs_a_terminal_or_a_yes() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    for (verb, subject) in [("kill", "7"), ("drain", "thumbs")] {
        let error = user.run(&[verb, subject, address]).failed(2);
        assert_eq!(
            error,
            format!(
                "insula: {verb} cannot be taken back, and no terminal is there to ask. Give it --yes"
            )
        );
        assert_eq!(inspector.asked(verb), None);
    }
    // An answer in a file is none: a script must say what it means.
    user.run_with(&["kill", "7", address], "y\n").failed(2);
    assert_eq!(inspector.asked("kill"), None);
    user.run(&["pause", "7", address]).done();
    assert!(inspector.asked("pause").is_some());
}

#[test]
fn an_isolate_is_no_pool() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    let error = user.run(&["kill", "--yes", "pools/1", address]).failed(2);
    assert!(error.contains("is a pool"), "{error}");
    let error = user
        .run(&["drain", "--yes", "isolates/7", address])
        .failed(2);
    assert!(error.contains("is an isolate"), "{error}");
    let error = user.run(&["drain", "--yes", "2", address]).failed(1);
    assert!(error.contains("nothing with the name or id 2"), "{error}");
}

#[test]
fn the_server_says_why_it_refuses() {
    let (user, inspector) = (User::new(), Inspector::start());
    let address = inspector.address.as_str();
    for (code, message, line) in [
        (
            110,
            "no",
            "insula: the connection may only read. Start the program with control",
        ),
        (105, "isolates/7 has ended", "insula: isolates/7 has ended"),
        (
            111,
            "it was \u{1b}[1mbusy.",
            "insula: it was \u{fffd}[1mbusy",
        ),
    ] {
        inspector.refuse("kill", code, message);
        assert_eq!(user.run(&["kill", "--yes", "7", address]).failed(1), line);
    }
}
