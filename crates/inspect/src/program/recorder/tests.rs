//! The risk: what one thread does displaces what another did, or the recorder grows without an end.

use std::sync::Arc;

use super::{OTHERS, Recorder, SEEN, THREADS};
use crate::model::Event;

fn event(thread: Option<&str>, text: &str) -> Arc<Event> {
    Arc::new(Event {
        thread: thread.map(str::to_owned),
        text: text.to_owned(),
        ..Event::default()
    })
}

#[test]
fn a_thread_displaces_its_own_events_only_and_all_are_merged_in_their_order() {
    let mut recorder = Recorder::new(3);
    assert!(recorder.add(event(Some("b"), "first")).is_none());
    for number in 0..10 {
        recorder.add(event(Some("a"), &number.to_string()));
    }
    recorder.add(event(None, "last"));
    let recording = recorder.recorded().newest(100);
    let texts: Vec<_> = recording.events.iter().map(|it| it.text.as_str()).collect();
    assert_eq!(texts, ["first", "7", "8", "9", "last"]);
    let threads = recording.threads.iter();
    let threads: Vec<_> = threads
        .map(|it| (it.name.as_str(), it.recorded_total, it.kept))
        .collect();
    assert_eq!(threads, [("a", 10, 3), ("b", 1, 1), (SEEN, 1, 1)]);
    assert_eq!(recorder.recorded().newest(1).events[0].text, "last");
}

#[test]
fn threads_without_an_end_share_one_record() {
    let mut recorder = Recorder::new(2);
    for number in 0..10 * THREADS {
        recorder.add(event(Some(&number.to_string()), ""));
    }
    let recording = recorder.recorded().newest(usize::MAX);
    assert_eq!(recording.threads.len(), THREADS + 1);
    let others = recording.threads.iter().find(|it| it.name == OTHERS);
    assert_eq!(others.map(|it| it.kept), Some(2));
    assert_eq!(recording.events.len(), THREADS + 2);
}

#[test]
fn a_recorder_without_room_keeps_nothing() {
    let mut recorder = Recorder::new(0);
    recorder.add(event(None, ""));
    assert!(recorder.recorded().newest(9).events.is_empty());
}
