//! The risk: what has become too long is no event, or one at each look.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use insula_core::{Isolate, Runtime};

use crate::model::{Event, Severity};
use crate::program::{Limits, Program};

/// Looks until there is an event of this kind, and returns all of them after another look.
fn events(program: &Program, kind: &str) -> Vec<Event> {
    let begun = Instant::now();
    loop {
        program.tick();
        let mut events = program.events(0, 1_000).events;
        events.retain(|event| event.kind == kind);
        if !events.is_empty() {
            program.tick();
            let mut events = program.events(0, 1_000).events;
            events.retain(|event| event.kind == kind);
            return events;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no {kind}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn program(runtime: &Runtime) -> Program {
    let limits = Limits {
        stuck: Duration::from_millis(30),
        ..Limits::default()
    };
    Program::new("test".to_owned(), runtime.clone(), limits)
}

#[test]
fn a_long_turn_on_a_thread_of_the_pool_is_one_event() {
    let runtime = Runtime::builder().threads(1).build();
    let (release, released) = mpsc::channel::<()>();
    let busy = Isolate::builder().name("busy").runtime(&runtime);
    let busy = busy.spawn(move |()| _ = released.recv(), ());
    let program = program(&runtime);
    let events = events(&program, "isolateStuck");
    let [event] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(event.severity, Severity::Warning);
    assert_eq!(event.subject, super::id_of(busy.id()));
    assert!(
        event.text.starts_with("busy is inside of one turn for"),
        "{event:?}"
    );
    assert_eq!(event.thread.as_deref(), Some("thread 0"));
    drop(release);
    runtime.shut_down();
}

#[test]
fn a_long_turn_of_a_pinned_isolate_is_one_event() {
    let runtime = Runtime::builder().threads(1).build();
    let (release, released) = mpsc::channel::<()>();
    let busy = Isolate::builder().name("apart").runtime(&runtime);
    let entry = move |_, ()| async move { _ = released.recv() };
    let busy = busy.spawn_pinned(entry, ()).expect("a thread starts");
    let program = program(&runtime);
    let events = events(&program, "isolateStuck");
    let [event] = events.as_slice() else {
        panic!("{events:?}");
    };
    assert_eq!(event.subject, super::id_of(busy.id()));
    assert!(event.text.ends_with("on its own thread"), "{event:?}");
    drop(release);
    runtime.shut_down();
}
