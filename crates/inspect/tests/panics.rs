//! The risk: a thread outside of isolates panics, and the dump knows nothing of it. In a process of its
//! own, since each panic is told to all inspectors.

use insula_core::Runtime;
use insula_inspect::Inspector;
use serde_json::Value;

#[test]
fn a_panic_outside_of_isolates_is_an_event_and_leaves_a_dump() {
    let runtime = Runtime::builder().threads(1).build();
    let around = tempfile::tempdir().expect("there is a folder");
    // It is made.
    let folder = around.path().join("for/dumps");
    let builder = Inspector::builder().name("mill").runtime(&runtime);
    let inspector = builder.announce(false).dump_on_error(&folder);
    let inspector = inspector.start().expect("a port is free");
    let panicked = std::thread::spawn(|| panic!("outside of the mill")).join();
    assert!(panicked.is_err());
    // It is caught on purpose, and no error.
    assert!(insula_core::catch_panic(|| panic!("by intent")).is_err());
    // It looks once more at its end.
    drop(inspector);
    let path = folder.join(format!("mill-{}-1.json", std::process::id()));
    let dump = std::fs::read_to_string(path).expect("it was written");
    let dump: Value = serde_json::from_str(&dump).expect("it is JSON");
    let events = dump["events"]["events"].as_array().expect("it is a list");
    let mut told = events.iter().filter(|event| event["kind"] == "panic");
    let text = told.next().expect("it is there")["text"].as_str();
    let text = text.expect("it is a text");
    assert!(told.next().is_none());
    assert!(
        text.contains("panics.rs") && text.ends_with(": outside of the mill"),
        "{text}"
    );
    runtime.shut_down();
}
