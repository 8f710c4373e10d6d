//! Risk: a command that looks at another program than its user means.

use std::process;

use serde_json::Value;

use crate::inspector::Inspector;
use crate::support::User;

#[cfg(unix)]
#[test]
fn without_a_program_the_only_one_is_taken() {
    let (user, inspector) = (User::new(), Inspector::start());
    user.announce("images", process::id(), &inspector.address);
    let out = user.run(&["pools"]).done();
    assert!(out.contains("thumbs"), "{out}");
}

#[test]
fn without_any_program_the_error_says_what_to_start() {
    let error = User::new().run(&["pools"]).failed(3);
    assert_eq!(
        error,
        "insula: no program has announced itself. Start a program with its inspector, or give the \
         address that it prints"
    );
}

#[cfg(unix)]
#[test]
fn of_several_programs_one_is_chosen_by_name_or_number() {
    let (user, first, second) = (User::new(), Inspector::start(), Inspector::start());
    let parent = std::os::unix::process::parent_id();
    user.announce("images", process::id(), &first.address);
    user.announce("data", parent, &second.address);
    let error = user.run(&["pools"]).failed(3);
    assert!(
        error.contains("2 programs fit. Choose one by its number:"),
        "{error}"
    );
    assert!(error.contains(&format!("{parent} (data)")), "{error}");
    user.run(&["pools", "data"]).done();
    assert!(second.asked("getPools").is_some() && first.asked("getPools").is_none());
    user.run(&["pools", &process::id().to_string()]).done();
    assert!(first.asked("getPools").is_some());
    let error = user.run(&["pools", "science"]).failed(3);
    assert!(error.contains("there is no program science"), "{error}");
}

#[cfg(unix)]
#[test]
fn programs_are_listed_with_their_addresses() {
    let user = User::new();
    assert_eq!(user.run(&["programs"]).done(), "PID  NAME  ADDRESS\n");
    user.announce("im\u{1b}ages", process::id(), "http://127.0.0.1:1/#abc");
    let out = user.run(&["programs"]).done();
    assert!(out.contains("im\u{fffd}ages"), "{out}");
    assert!(out.contains("http://127.0.0.1:1/#abc"), "{out}");
    let out = user.run(&["programs", "--json"]).done();
    let programs: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(programs[0]["name"], "im\u{1b}ages");
}

#[test]
fn an_address_can_be_given_on_the_command_line_or_at_standard_input() {
    let (user, inspector) = (User::new(), Inspector::start());
    user.run(&["pools", &inspector.address]).done();
    let line = format!("{}\n", inspector.address);
    user.run_with(&["pools", "-"], &line).done();
}

#[cfg(unix)]
#[test]
fn a_folder_that_others_can_change_is_not_trusted() {
    use std::os::unix::fs::PermissionsExt;

    let (user, inspector) = (User::new(), Inspector::start());
    user.announce("images", process::id(), &inspector.address);
    let mode = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(user.folder().join("insula"), mode).unwrap();
    let error = user.run(&["pools"]).failed(3);
    assert!(error.contains("can be changed by other users"), "{error}");
}
