//! Risk: the command and a real inspector understand the protocol differently. The inspector of the
//! other tests answers what they expect, and so cannot show that.

use std::thread;
use std::time::{Duration, Instant};

use insula::inspect::Listen;
use serde_json::Value;

use crate::program::{Program, Rights};
use crate::support::{Outcome, User};
use crate::terminal::{PATIENCE, Terminal};

fn start() -> (User, Program) {
    let program = Program::start(Rights::Control, Listen::default());
    (User::new(), program)
}

/// Runs a command on a program, which may take longer than usual on a loaded machine.
fn ask(user: &User, program: &Program, arguments: &[&str]) -> Outcome {
    let more = ["--timeout", "60", program.address()];
    user.run(&[arguments, &more].concat())
}

/// Runs a command with `--json`.
#[track_caller]
fn json(user: &User, program: &Program, arguments: &[&str]) -> Value {
    let out = ask(user, program, &[arguments, &["--json"]].concat()).done();
    serde_json::from_str(&out).unwrap()
}

/// Returns the isolates of a name.
#[track_caller]
fn named(user: &User, program: &Program, name: &str) -> Vec<Value> {
    let all = json(user, program, &["ps", "--filter", name]);
    let isolates = all["isolates"].as_array().cloned().unwrap_or_default();
    isolates
        .into_iter()
        .filter(|it| it["name"] == name)
        .collect()
}

/// Returns the pool of a program, and the number of those before it in the list: all pools of the process
/// are shown.
#[track_caller]
fn our_pool(user: &User, program: &Program) -> (usize, Value) {
    let pools = json(user, program, &["pools"]);
    let pools = pools["pools"].as_array().cloned().unwrap_or_default();
    let mut numbered = pools.into_iter().enumerate();
    numbered
        .find(|(_, it)| it["name"] == *program.pool)
        .unwrap()
}

/// Waits until something is so, which an order brings about soon after its answer.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn lists_show_what_the_program_does() {
    let (user, program) = start();
    let run = |arguments: &[&str]| ask(&user, &program, arguments).done();
    let isolates = run(&["ps"]);
    for part in [
        "shelf",
        "clock",
        "chicken",
        "customer",
        "wri\u{fffd}[31mter",
        "idle",
    ] {
        assert!(isolates.contains(part), "{part}: {isolates}");
    }
    let pools = run(&["pools"]);
    let line = pools.lines().find(|line| line.contains(&program.pool));
    let line = line.unwrap_or_else(|| panic!("{pools}"));
    assert!(line.contains("serving") && line.contains("2/2"), "{line}");
    // The question is asked by a task that may not have run yet.
    let mut waits = String::new();
    until("a cycle", || {
        waits = run(&["waits"]);
        waits.contains("cycle: ")
    });
    let cycle = waits.lines().find_map(|line| line.strip_prefix("cycle: "));
    let parties = cycle.unwrap_or_default().split(" -> ");
    let names: Vec<_> = parties
        .filter_map(|party| party.split_once(" (isolates/"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.len(), 4, "{waits}");
    // It may begin with any of them.
    let twice_around = "chicken egg farmer chicken egg farmer";
    assert!(twice_around.contains(&names.join(" ")), "{waits}");
    assert!(run(&["threads"]).contains("running") || run(&["threads"]).contains("idle"));
    let mailboxes = run(&["mailboxes"]);
    let row = mailboxes.lines().find(|line| line.contains("Parcel"));
    let row = row.unwrap_or_default();
    assert!(
        row.contains("full") && row.contains("program.rs:"),
        "{mailboxes}"
    );
    assert!(run(&["events"]).contains("EVENT"));
    let profile = run(&["profile", "--seconds", "1", "--folded"]);
    assert!(profile.lines().all(|line| line.contains(' ')), "{profile}");
}

#[test]
fn json_has_the_names_and_numbers_as_they_are() {
    let (user, program) = start();
    let isolates = json(&user, &program, &["ps"]);
    assert!(isolates["total"].as_u64() >= Some(6), "{isolates}");
    assert_eq!(named(&user, &program, "wri\u{1b}[31mter").len(), 1);
    let pools = json(&user, &program, &["pools"]);
    let has_ours = |pools: &Value| {
        let pools = pools["pools"].as_array().cloned().unwrap_or_default();
        pools
            .iter()
            .any(|pool| pool["name"] == *program.pool && pool["workers"] == 2)
    };
    assert!(has_ours(&pools), "{pools}");
    let dump = json(&user, &program, &["dump", "--details"]);
    assert_eq!(dump["vm"]["name"], "mill");
    assert!(
        dump["isolateDetails"]
            .as_array()
            .is_some_and(|it| it.len() >= 6),
        "{dump}"
    );
    let all = json(&user, &program, &["ps", "--sort", "-turnsTotal"]);
    let turns = |it: &Value| it["turnsTotal"].as_u64();
    let isolates = all["isolates"].as_array().unwrap();
    assert!(isolates.is_sorted_by(|a, b| turns(a) >= turns(b)), "{all}");
}

#[test]
fn why_is_told_of_isolates_and_pools() {
    let (user, program) = start();
    let why = |subject: &str| ask(&user, &program, &["why", subject]).done();
    // Each of them again if it has not answered in time, which may be so on a busy machine.
    let says = |subject: &str, sentences: &[&str]| {
        until(&format!("{subject} says {sentences:?}"), || {
            let said = why(subject);
            sentences.iter().all(|sentence| said.contains(sentence))
        });
    };
    says("shelf", &["It is idle", "program.rs:", "1 sender"]);
    says("clock", &["1 timer"]);
    says("chicken", &["part of a cycle"]);
    says("egg", &["It awaits an answer of farmer."]);
    says(
        "egg",
        &["part of a cycle", "chicken awaits an answer of egg."],
    );
    assert!(!why(&program.pool).is_empty());
    let gone = ask(&user, &program, &["why", "999999"]).failed(1);
    assert!(gone.contains("999999"), "{gone}");
}

#[test]
fn orders_change_the_program() {
    let (user, program) = start();
    let run = |arguments: &[&str]| ask(&user, &program, arguments).done();
    let state = || named(&user, &program, "shelf")[0]["state"].clone();
    assert_eq!(
        run(&["pause", "shelf"]),
        "told shelf to pause after its turn\n"
    );
    until("paused", || state() == "paused");
    assert_eq!(run(&["resume", "shelf"]), "told shelf to go on\n");
    until("idle again", || state() == "idle");
    let twice = ask(&user, &program, &["resume", "shelf"]).failed(1);
    assert!(
        twice.contains("was not paused by this inspector"),
        "{twice}"
    );
    assert!(run(&["ping", "clock"]).contains("clock answered after"));
    assert_eq!(
        run(&["kill", "--yes", "shelf"]),
        "told shelf to end at its next interrupt check\n"
    );
    until("killed", || !program.has("shelf"));
    until("gone", || named(&user, &program, "shelf").is_empty());
    let pool = program.pool.as_str();
    let ours = || our_pool(&user, &program).1;
    run(&["resize", pool, "1"]);
    until("one worker", || ours()["ready"] == 1);
    let many = ask(&user, &program, &["resize", pool, "9"]);
    assert_eq!(many.status, Some(1), "{many:?}");
    run(&["recycle", pool]);
    assert!(run(&["drain", "--yes", pool]).contains("takes no more calls"));
    until("drained", || ours()["phase"] != "serving");
    let twice = ask(&user, &program, &["drain", "--yes", pool]).failed(1);
    assert!(twice.contains("takes no calls already"), "{twice}");
    // What was done is in the events, for others who look.
    let events = run(&["events"]);
    assert!(events.contains("told shelf to end"), "{events}");
}

#[test]
fn a_program_that_allows_no_control_only_shows() {
    let program = Program::start(Rights::Read, Listen::default());
    let user = User::new();
    for arguments in [
        &["kill", "--yes", "shelf"][..],
        // Not a word of `--yes`, which would not help.
        &["kill", "shelf"],
        &["pause", "clock"],
        &["drain", "--yes", &program.pool],
    ] {
        let error = ask(&user, &program, arguments).failed(1);
        assert!(error.contains("may only read"), "{error}");
    }
    assert!(program.has("shelf"));
    assert_eq!(named(&user, &program, "shelf")[0]["state"], "idle");
}

#[test]
fn calls_are_traced_as_they_end_and_ports_are_counted() {
    let (user, program) = start();
    let pool = program.pool.as_str();
    let arguments = [
        "trace",
        "--pool",
        pool,
        "--for",
        "2",
        "--method",
        "thumbnail",
    ];
    let out = ask(&user, &program, &arguments).done();
    let line = out.lines().nth(1).unwrap_or_default();
    for part in ["Pictures.thumbnail", pool, "answered"] {
        assert!(line.contains(part), "{part}: {out}");
    }
    let waits = || ask(&user, &program, &["waits"]).done();
    let is_awaited = |line: &str| line.contains("customer") && line.contains(pool);
    until("the call of the customer", || {
        waits().lines().any(is_awaited)
    });
    let ports = ask(&user, &program, &["ps", "--sort", "-ports"]).done();
    assert!(ports.contains("PORTS"), "{ports}");
    ask(&user, &program, &["pause", "shelf"]).done();
    let recorded = ask(&user, &program, &["events", "--recorded"]).done();
    assert!(recorded.contains("told shelf to pause"), "{recorded}");
}

/// Keeps its thread until the other end is gone.
#[cfg(target_os = "linux")]
#[inline(never)]
fn hold_the_thread(released: &std::sync::mpsc::Receiver<()>) {
    let _ = released.recv();
}

#[cfg(target_os = "linux")]
#[test]
fn the_stack_of_an_isolate_in_a_long_turn_is_read_by_the_debugger() {
    let (user, program) = start();
    let (release, released) = std::sync::mpsc::channel();
    let builder = insula::Isolate::builder().name("holder");
    let holder = builder.runtime(&program.runtime);
    let holder = holder.spawn(|released| hold_the_thread(&released), released);
    let runs = || {
        let threads = ask(&user, &program, &["threads"]).done();
        threads.contains("holder")
    };
    until("it runs", runs);
    let outcome = ask(&user, &program, &["stack", "holder"]);
    // A machine may have no debugger, or not let it attach. Both are told.
    match outcome.status {
        Some(0) => {
            let out = outcome.done();
            assert!(
                out.starts_with("thread ") && out.contains("runs holder"),
                "{out}"
            );
            assert!(out.contains("hold_the_thread"), "{out}");
        }
        _ => {
            let error = outcome.failed(1);
            assert!(
                error.contains("not installed") || error.contains("ptrace"),
                "{error}"
            );
        }
    }
    let idle = ask(&user, &program, &["stack", "shelf"]).failed(1);
    assert!(idle.contains("in no turn"), "{idle}");
    let gone = ask(&user, &program, &["stack", "threads/999"]).failed(1);
    assert!(gone.contains("there is no thread 999"), "{gone}");
    drop(release);
    program.runtime.block_on(holder.exited());
}

#[cfg(unix)]
#[test]
fn a_socket_in_a_folder_is_an_address_too() {
    let user = User::new();
    let path = user.folder().join("inspect.sock");
    let program = Program::start(Rights::Control, Listen::Unix(path));
    assert!(program.address().starts_with("unix:"));
    assert!(ask(&user, &program, &["ps"]).done().contains("shelf"));
    assert!(
        ask(&user, &program, &["kill", "--yes", "shelf"])
            .done()
            .contains("told shelf to end")
    );
    until("killed", || !program.has("shelf"));
}

#[cfg(unix)]
#[test]
fn a_record_of_the_program_is_replayed() {
    let (user, program) = start();
    let path = user.folder().join("record.jsonl");
    let name = path.to_str().unwrap();
    let out = ask(&user, &program, &["record", name, "--seconds", "2.5"]).done();
    assert!(out.contains("looks in "), "{out}");
    // The record outlives its program.
    drop(program);
    let command = env!("CARGO_BIN_EXE_insula");
    let Some(terminal) = Terminal::run(&format!("'{command}' replay '{name}'"), 80, 24) else {
        return;
    };
    terminal.wait_for("mill");
    terminal.wait_for("RECORD 1/");
    terminal.press(&["Right", "2"]);
    terminal.wait_for("wri\u{fffd}[31mter");
    terminal.press(&["5"]);
    terminal.wait_for("chicken");
    terminal.press(&["q"]);
    terminal.wait_for("status 0");
}

#[cfg(unix)]
#[test]
fn the_whole_screen_finds_shows_and_kills_an_isolate_without_colors() {
    let (_, program) = start();
    let command = env!("CARGO_BIN_EXE_insula");
    let line = format!("NO_COLOR=1 '{command}' top '{}'", program.address());
    let Some(terminal) = Terminal::run(&line, 80, 24) else {
        return;
    };
    terminal.wait_for("mill");
    // Every screen of a real program, each line within the 80 columns.
    for (key, part) in [
        ("1", "isolates"),
        ("3", program.pool.as_str()),
        ("4", "METHOD"),
        ("6", "THREAD"),
        ("5", "chicken"),
        ("7", "EVENT"),
        ("2", "clock"),
    ] {
        terminal.press(&[key]);
        let text = terminal.wait_for(part);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
    }
    terminal.press(&["/", "shelf", "Enter"]);
    terminal.wait_for("1 with \"shelf\"");
    terminal.press(&["Enter"]);
    let text = terminal.wait_for("It is idle");
    assert!(text.contains("PORTS"), "{text}");
    let colors = terminal.colors();
    assert!(colors.is_empty(), "{colors:?}");
    terminal.press(&["Escape", "k"]);
    terminal.wait_for("kill shelf (isolates/");
    terminal.press(&["n"]);
    terminal.wait_for("nothing was done");
    assert!(program.has("shelf"));
    terminal.press(&["k", "y"]);
    terminal.wait_for("told shelf to end");
    until("killed", || !program.has("shelf"));
    terminal.press(&["q"]);
    terminal.wait_for("status 0");
}

#[cfg(unix)]
#[test]
fn the_whole_screen_pauses_an_isolate_and_drains_a_pool_after_a_yes() {
    let (user, program) = start();
    let command = env!("CARGO_BIN_EXE_insula");
    let line = format!("'{command}' top '{}'", program.address());
    let Some(terminal) = Terminal::run(&line, 80, 24) else {
        return;
    };
    terminal.wait_for("mill");
    let state = || named(&user, &program, "shelf")[0]["state"].clone();
    terminal.press(&["2", "/", "shelf", "Enter"]);
    terminal.wait_for("1 with \"shelf\"");
    terminal.press(&["p"]);
    terminal.wait_for("pause shelf (isolates/");
    terminal.press(&["n"]);
    terminal.wait_for("nothing was done");
    assert_eq!(state(), "idle");
    terminal.press(&["p", "y"]);
    terminal.wait_for("told shelf to pause after its turn");
    until("paused", || state() == "paused");
    terminal.wait_for("paused");
    terminal.press(&["u"]);
    terminal.wait_for("told shelf to go on");
    until("idle again", || state() == "idle");
    terminal.press(&["3"]);
    terminal.wait_for(&program.pool);
    let question = format!("drain {} (pools/", program.pool);
    // The pools of other tests in this process are there too, and come and go.
    until("our pool is selected", || {
        terminal.press(&["n", "Home"]);
        until("no question", || !terminal.text().contains("? y/n"));
        let (above, _) = our_pool(&user, &program);
        terminal.press(&vec!["Down"; above]);
        terminal.press(&["d"]);
        terminal.wait_for("? y/n").contains(&question)
    });
    let phase = || our_pool(&user, &program).1["phase"].clone();
    terminal.press(&["n"]);
    terminal.wait_for("nothing was done");
    assert_eq!(phase(), "serving");
    terminal.press(&["d", "y"]);
    terminal.wait_for("takes no more calls");
    until("drained", || phase() != "serving");
    terminal.press(&["q"]);
    terminal.wait_for("status 0");
}

#[cfg(unix)]
#[test]
fn the_end_of_the_program_is_told_with_what_was_seen_last() {
    let (_, mut program) = start();
    let command = env!("CARGO_BIN_EXE_insula");
    let line = format!("'{command}' top '{}'", program.address());
    let Some(terminal) = Terminal::run(&line, 80, 24) else {
        return;
    };
    terminal.wait_for("mill");
    terminal.press(&["2"]);
    terminal.wait_for("shelf");
    program.end();
    let text = terminal.wait_for("ENDED");
    assert!(text.contains("shelf"), "{text}");
    terminal.press(&["q"]);
    terminal.wait_for("status 0");
}
