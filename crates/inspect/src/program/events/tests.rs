//! The risk: a reader that comes late misses events and is not told.

use std::time::Instant;

use insula_core::Runtime;

use super::{KEPT, Log};
use crate::model::Event;

fn empty() -> Log {
    let runtime = Runtime::builder().seeded(1).build();
    Log::new(Instant::now(), runtime, 0)
}

fn log_of(events: usize) -> Log {
    let log = empty();
    for _ in 0..events {
        log.add(Event::default());
    }
    log
}

fn numbers(log: &Log, since: u64, limit: usize) -> Vec<u64> {
    let events = log.since(since, limit).events;
    events.into_iter().map(|event| event.number).collect()
}

#[test]
fn a_reader_gets_what_came_after_the_number_that_it_knows() {
    let log = log_of(5);
    assert_eq!(numbers(&log, 0, 100), [1, 2, 3, 4, 5]);
    assert_eq!(numbers(&log, 3, 100), [4, 5]);
    assert_eq!(numbers(&log, 3, 1), [4]);
    assert!(numbers(&log, 5, 100).is_empty());
    assert!(numbers(&log, u64::MAX, 100).is_empty());
}

#[test]
fn a_reader_that_comes_late_is_told_how_many_it_has_missed() {
    let log = log_of(KEPT + 10);
    let events = log.since(3, 1);
    assert_eq!(events.dropped, 7);
    assert_eq!(events.events[0].number, 11);
    assert_eq!(log.since(10, 1).dropped, 0);
}

#[test]
fn a_long_text_is_cut_at_a_character() {
    let log = empty();
    let text = "\u{e4}".repeat(10_000);
    log.add(Event {
        text,
        ..Event::default()
    });
    assert_eq!(log.since(0, 1).events[0].text.chars().count(), 503);
}
