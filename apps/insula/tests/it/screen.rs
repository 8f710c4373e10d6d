//! Risk: a terminal that is of no use after the command, or a screen that does not follow.
#![cfg(unix)]

use crate::inspector::Inspector;
use crate::support::User;
use crate::terminal::Terminal;

/// Returns the line of a shell that shows a program.
fn top(inspector: &Inspector) -> String {
    let command = env!("CARGO_BIN_EXE_insula");
    format!("echo before; '{command}' top '{}'", inspector.address)
}

#[test]
fn the_screen_shows_the_program_and_leaves_the_terminal_as_it_was() {
    let inspector = Inspector::start();
    let Some(terminal) = Terminal::run(&top(&inspector), 80, 24) else {
        return;
    };
    let text = terminal.wait_for("pid 4711");
    assert!(!text.contains("before"), "{text}");
    terminal.press(&["2"]);
    terminal.wait_for("wri\u{fffd}[31mter");
    terminal.press(&["Enter"]);
    terminal.wait_for("Nothing else keeps it alive.");
    terminal.press(&["Escape"]);
    terminal.wait_for("Enter: details");
    terminal.press(&["?"]);
    terminal.wait_for("this help");
    terminal.press(&["x", "q"]);
    let text = terminal.wait_for("status 0");
    assert!(text.contains("before"), "{text}");
    assert!(text.contains("echo") && !text.contains("-echo"), "{text}");
}

#[test]
fn an_order_is_carried_out_after_its_question() {
    let inspector = Inspector::start();
    let Some(terminal) = Terminal::run(&top(&inspector), 80, 24) else {
        return;
    };
    terminal.wait_for("pid 4711");
    terminal.press(&["2"]);
    terminal.wait_for("decoder");
    terminal.press(&["k"]);
    terminal.wait_for("kill decoder (isolates/7)? y/n");
    assert_eq!(inspector.asked("kill"), None);
    terminal.press(&["y"]);
    terminal.wait_for("done as asked");
    assert!(inspector.asked("kill").is_some());
}

#[test]
fn the_screen_follows_the_size_of_its_window() {
    let inspector = Inspector::start();
    let Some(terminal) = Terminal::run(&top(&inspector), 80, 24) else {
        return;
    };
    terminal.wait_for("[1 overview]");
    terminal.resize(40, 10);
    terminal.wait_for("[1 overview] of 7");
    terminal.resize(5, 2);
    terminal.resize(120, 40);
    terminal.wait_for("7 log");
}

#[test]
fn the_end_of_the_program_is_told_and_the_screen_stays() {
    let inspector = Inspector::start();
    let Some(terminal) = Terminal::run(&top(&inspector), 80, 24) else {
        return;
    };
    terminal.wait_for("pid 4711");
    inspector.end();
    let text = terminal.wait_for("ENDED");
    assert!(
        text.contains("q: quit") && text.contains("thumbs"),
        "{text}"
    );
    terminal.press(&["q"]);
    terminal.wait_for("status 0");
}

#[test]
fn a_record_is_replayed_on_the_same_screens() {
    let (user, inspector) = (User::new(), Inspector::start());
    let path = user.folder().join("record.jsonl");
    let name = path.to_str().unwrap();
    let arguments = ["record", name, &inspector.address, "--seconds", "1.5"];
    user.run(&arguments).done();
    let command = env!("CARGO_BIN_EXE_insula");
    let line = format!("'{command}' replay '{name}'");
    let Some(terminal) = Terminal::run(&line, 80, 24) else {
        return;
    };
    terminal.wait_for("RECORD 1/2");
    terminal.press(&["Right"]);
    terminal.wait_for("RECORD 2/2");
    terminal.press(&["2"]);
    terminal.wait_for("decoder");
    terminal.press(&["k"]);
    terminal.wait_for("a record can only be looked at");
    terminal.press(&["q"]);
    terminal.wait_for("status 0");
}
