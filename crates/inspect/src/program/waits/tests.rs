//! The risk: a deadlock is not seen, or one is reported that is none.

use std::time::{Duration, Instant};

use insula_core::{Isolate, ReceivePort, ReplyTo, Runtime, SendPort, spawn_local};

use super::{cycle_ahead, mark_cycles};
use crate::model::{Party, Wait};
use crate::program::{Limits, Program};

fn wait(waiter: &str, holders: &[&str]) -> Wait {
    let party = |name: &str| Party {
        id: name.to_owned(),
        name: name.to_owned(),
    };
    Wait {
        waiter: party(waiter),
        holders: holders.iter().map(|name| party(name)).collect(),
        ..Wait::default()
    }
}

/// Returns the cycles, and the waiters that are marked.
fn cycles(mut waits: Vec<Wait>) -> (Vec<Vec<String>>, Vec<String>) {
    let names = |parties: Vec<Party>| parties.into_iter().map(|it| it.name).collect();
    let cycles = mark_cycles(&mut waits).into_iter().map(names).collect();
    waits.retain(|wait| wait.is_in_cycle);
    (cycles, waits.into_iter().map(|it| it.waiter.name).collect())
}

#[test]
fn a_chain_is_no_cycle() {
    let (cycles, marked) = cycles(vec![wait("a", &["b"]), wait("b", &["c"])]);
    assert!(cycles.is_empty() && marked.is_empty());
}

#[test]
fn two_that_wait_for_each_other_are_a_cycle_and_one_that_waits_for_them_is_not_in_it() {
    let waits = vec![wait("x", &["a"]), wait("a", &["b"]), wait("b", &["a"])];
    let (cycles, marked) = cycles(waits);
    assert_eq!(cycles, [["a", "b"]]);
    assert_eq!(marked, ["a", "b"]);
}

#[test]
fn a_party_is_told_of_its_own_cycle_before_others_and_of_those_that_it_waits_for() {
    let mut waits = vec![
        wait("x", &["y"]),
        wait("y", &["a"]),
        wait("a", &["b"]),
        wait("b", &["a", "c"]),
        wait("c", &["c"]),
        wait("z", &["nothing"]),
    ];
    let cycles = mark_cycles(&mut waits);
    let ahead = |id: &str| {
        let cycle = cycle_ahead(id, &waits, &cycles);
        cycle.into_iter().map(|it| it.name).collect::<Vec<_>>()
    };
    assert_eq!(ahead("x"), ["a", "b"]);
    assert_eq!(ahead("b"), ["a", "b"]);
    assert_eq!(ahead("c"), ["c"]);
    assert!(ahead("z").is_empty());
}

#[test]
fn one_that_waits_for_itself_is_a_cycle() {
    let (cycles, _) = cycles(vec![wait("a", &["a"])]);
    assert_eq!(cycles, [["a"]]);
}

/// Listed in another order, and with one of them in two waits.
#[test]
fn the_parties_of_a_cycle_are_in_the_order_in_which_they_wait() {
    let waits = vec![
        wait("a", &["c"]),
        wait("b", &["a"]),
        wait("c", &["b"]),
        wait("a", &["c"]),
    ];
    let (cycles, marked) = cycles(waits);
    assert_eq!(cycles, [["a", "c", "b"]]);
    assert_eq!(marked, ["a", "b", "c", "a"]);
}

#[test]
fn of_cycles_that_share_a_party_the_shortest_is_told_and_all_waits_are_marked() {
    let waits = vec![
        wait("a", &["b", "d"]),
        wait("b", &["c"]),
        wait("c", &["a"]),
        wait("d", &["a"]),
    ];
    let (cycles, marked) = cycles(waits);
    assert_eq!(cycles, [["a", "d"]]);
    assert_eq!(marked, ["a", "b", "c", "d"]);
}

#[test]
fn separate_cycles_are_told_apart() {
    let waits = vec![
        wait("a", &["b"]),
        wait("c", &["d"]),
        wait("b", &["a"]),
        wait("d", &["e", "c"]),
    ];
    let (cycles, _) = cycles(waits);
    assert_eq!(cycles, [["a", "b"], ["c", "d"]]);
}

#[test]
fn a_wait_for_an_answer_has_an_age_that_grows_and_ends_with_the_wait() {
    let runtime = Runtime::builder().threads(1).build();
    let silent = Isolate::builder().name("silent").runtime(&runtime);
    let silent = silent.spawn_with_port(|mut port: ReceivePort<ReplyTo<()>>| async move {
        let mut kept = Vec::new();
        while let Some(question) = port.recv().await {
            kept.push(question);
        }
    });
    let curious = Isolate::builder().name("curious").runtime(&runtime);
    let curious = curious.spawn(async move |()| _ = silent.ask(|answer| answer).await, ());
    let limits = Limits::default();
    let program = Program::new("test".to_owned(), runtime.clone(), limits);
    let begun = Instant::now();
    loop {
        let waits = program.waits().waits;
        if let [wait] = waits.as_slice()
            && wait.seen_ms >= 20
        {
            assert_eq!(wait.waiter.name, "curious");
            assert_eq!(wait.kind, "asked");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{waits:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
    curious.kill();
    while !program.waits().waits.is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(program.asked.lock().is_empty());
    runtime.shut_down();
}

/// What the isolates of the test below are told: whom to ask, and the questions.
enum Told {
    Ask(SendPort<Told>),
    Question(ReplyTo<()>),
}

/// Answers no question.
async fn keep_questions(mut port: ReceivePort<Told>) {
    let mut kept = Vec::new();
    while let Some(told) = port.recv().await {
        match told {
            Told::Question(question) => kept.push(question),
            Told::Ask(next) => spawn_local(async move { _ = next.ask(Told::Question).await }),
        }
    }
}

/// Those that all are asked are the oldest. Here they have nothing to say.
#[test]
fn a_deadlock_of_isolates_that_came_late_is_found_from_each_of_them() {
    let runtime = Runtime::builder().threads(1).build();
    let idle = || {
        let builder = Isolate::builder().runtime(&runtime);
        builder.spawn_with_port(|port: ReceivePort<()>| port.listen(drop))
    };
    let idle: Vec<_> = (0..=super::ASKED).map(|_| idle()).collect();
    let late: Vec<_> = ["one", "two", "three"]
        .into_iter()
        .map(|name| {
            let builder = Isolate::builder().name(name).runtime(&runtime);
            builder.spawn_pair(keep_questions)
        })
        .collect();
    let next = late.iter().cycle().skip(1);
    for ((_, port), (_, next)) in late.iter().zip(next) {
        assert!(port.send(Told::Ask(next.clone())).is_ok());
    }
    let limits = Limits::default();
    let program = Program::new("test".to_owned(), runtime.clone(), limits);
    let begun = Instant::now();
    for (isolate, _) in &late {
        let id = super::id_of(isolate.id());
        loop {
            let waits = program
                .isolate(&id)
                .map_or_else(|_| Vec::new(), |it| it.waits);
            // It awaits the next one, and the one before awaits it.
            if waits.len() == 2 && waits.iter().all(|wait| wait.is_in_cycle) {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{waits:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    // All but the first thousand, as soon as none of them is busy with an answer.
    while program.waits().not_asked != 4 {
        assert!(begun.elapsed() < Duration::from_secs(120), "they are asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    drop((idle, late));
    runtime.shut_down();
}
