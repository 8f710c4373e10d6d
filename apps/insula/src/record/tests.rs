//! Records as they were written, and files that only look like them.

use std::fs;
use std::path::Path;

use insula_inspect::model::{Event, Isolates, Pool, PoolDetail, Sample};

use super::*;

fn a_look(at_ms: u64, events: &[u64]) -> Look {
    let mut look = Look::default();
    look.vm.now = Sample {
        at_ms,
        ..Sample::default()
    };
    look.events.events = events
        .iter()
        .map(|number| Event {
            number: *number,
            ..Event::default()
        })
        .collect();
    look.isolates = Some(Isolates::default());
    look.pool_details = Some(vec![PoolDetail {
        pool: Pool {
            name: "thumbs".to_owned(),
            ..Pool::default()
        },
        ..PoolDetail::default()
    }]);
    look
}

fn refused(path: &Path) -> String {
    read(path).unwrap_err().line().unwrap()
}

#[test]
fn what_was_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let mut writer = Writer::create(&path, false, Vm::default()).unwrap();
    assert_eq!(writer.wanted().since, 0);
    writer.add(a_look(1, &[1, 2])).unwrap();
    assert_eq!(writer.wanted().since, 2);
    // The server tells the last one again.
    writer.add(a_look(2, &[2, 3])).unwrap();
    assert_eq!(writer.looks(), 2);
    let looks = read(&path).unwrap();
    let numbers = |look: &Look| -> Vec<_> {
        let events = look.events.events.iter();
        events.map(|event| event.number).collect()
    };
    assert_eq!(
        looks.iter().map(numbers).collect::<Vec<_>>(),
        [vec![1, 2], vec![3]]
    );
    assert_eq!(looks[1].vm.now.at_ms, 2);
    let pools = looks[0].pools.as_ref().unwrap();
    assert_eq!(pools[0].name, "thumbs");
}

#[test]
fn a_file_that_is_there_is_replaced_only_if_that_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    fs::write(&path, "mine").unwrap();
    let refusal = Writer::create(&path, false, Vm::default()).unwrap_err();
    assert!(refusal.line().unwrap().contains("--force"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    let mut writer = Writer::create(&path, true, Vm::default()).unwrap();
    writer.add(a_look(1, &[])).unwrap();
    assert_eq!(read(&path).unwrap().len(), 1);
}

#[test]
fn a_recorder_that_was_ended_in_a_line_leaves_the_lines_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    let mut writer = Writer::create(&path, false, Vm::default()).unwrap();
    for at_ms in 1..=3 {
        writer.add(a_look(at_ms, &[])).unwrap();
    }
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 10]).unwrap();
    assert_eq!(read(&path).unwrap().len(), 2);
    // A line in the middle is another matter.
    let text = String::from_utf8(whole).unwrap();
    let damaged = text.replacen("\"atMs\":2", "\"atMs\":x", 1);
    fs::write(&path, damaged).unwrap();
    assert!(refused(&path).contains("line 3 of"), "{}", refused(&path));
}

#[test]
fn other_files_are_no_records() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record");
    assert!(refused(&path).contains("cannot read"));
    let header = |format: &str, version: u32, major: u32| {
        format!(
            r#"{{"format":"{format}","version":{version},"protocol":{{"major":{major},"minor":0}},"vm":{{}}}}"#
        ) + "\n"
    };
    for (content, why) in [
        (String::new(), "is no record"),
        ("{}\n".to_owned(), "is no record"),
        ("\u{0}\u{1b}".to_owned(), "is no record"),
        (header("something", 1, 1), "is no record"),
        (header(FORMAT, 2, 1), "another version"),
        (header(FORMAT, 1, 2), "another version"),
        (header(FORMAT, 1, 1), "has no looks"),
        (header(FORMAT, 1, 1) + "[1]\n", "line 2 of"),
    ] {
        fs::write(&path, &content).unwrap();
        assert!(
            refused(&path).contains(why),
            "{content:?}: {}",
            refused(&path)
        );
    }
    assert!(refused(folder.path()).contains("cannot read"));
}
