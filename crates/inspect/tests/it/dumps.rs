//! The risk: the dump that would explain an error is missing or broken.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use insula_core::{Isolate, Runtime, block_on};
use insula_inspect::{Inspector, InspectorBuilder};
use serde_json::Value;

fn builder(runtime: &Runtime) -> InspectorBuilder {
    Inspector::builder()
        .name("mill")
        .runtime(runtime)
        .announce(false)
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("it was written");
    serde_json::from_str(&text).expect("it is JSON")
}

#[test]
fn a_dump_has_everything() {
    let runtime = Runtime::builder().threads(1).build();
    let inspector = builder(&runtime).start().expect("a port is free");
    let folder = tempfile::tempdir().expect("there is a folder");
    let path = folder.path().join("dump.json");
    inspector.dump_to(&path).expect("it can be written");
    let dump = read(&path);
    assert_eq!(dump["vm"]["name"], "mill");
    for member in ["isolates", "threads", "waits", "pools", "history", "events"] {
        assert!(!dump[member].is_null(), "{member}");
    }
    let token = inspector
        .address()
        .split('#')
        .next_back()
        .expect("it is there");
    assert!(!dump.to_string().contains(token), "a dump holds no token");
    drop(inspector);
    runtime.shut_down();
}

#[test]
fn a_dump_that_cannot_be_written_is_an_error() {
    let runtime = Runtime::builder().threads(1).build();
    let inspector = builder(&runtime).start().expect("a port is free");
    assert!(inspector.dump_to("/no/such/folder/dump.json").is_err());
    drop(inspector);
    runtime.shut_down();
}

#[test]
fn an_error_of_an_isolate_leaves_a_dump_that_names_it() {
    insula_core::set_error_hook(|_| {});
    let runtime = Runtime::builder().threads(1).build();
    let folder = tempfile::tempdir().expect("there is a folder");
    let builder = builder(&runtime).dump_on_error(folder.path());
    let inspector = builder.start().expect("a port is free");
    let isolate = Isolate::builder().name("miller").runtime(&runtime);
    let isolate = isolate.spawn(|()| panic!("no grain"), ());
    block_on(isolate.exited());
    let path = folder
        .path()
        .join(format!("mill-{}-1.json", std::process::id()));
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no dump");
        std::thread::yield_now();
    }
    let events = read(&path)["events"].to_string();
    assert!(
        events.contains("no grain") && events.contains("miller"),
        "{events}"
    );
    drop(inspector);
    runtime.shut_down();
}
