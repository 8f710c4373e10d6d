//! The risk: a deadlock is not seen, or one is reported that is none.

use super::mark_cycles;
use crate::model::{Party, Wait};

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
fn one_that_waits_for_itself_is_a_cycle() {
    let (cycles, _) = cycles(vec![wait("a", &["a"])]);
    assert_eq!(cycles, [["a"]]);
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
