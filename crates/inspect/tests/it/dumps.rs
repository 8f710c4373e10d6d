//! The risk: the dump that would explain an error is missing or broken.

use std::fs;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use insula_core::{Isolate, NativePort, Runtime, block_on};
use insula_inspect::{Inspector, InspectorBuilder};
use insula_sync::Mutex;
use serde_json::{Value, json};

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
    for member in [
        "isolates",
        "threads",
        "mailboxes",
        "waits",
        "pools",
        "history",
        "recording",
        "events",
    ] {
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
fn a_dump_has_the_native_ports_with_what_waits_there() {
    let runtime = Runtime::builder().threads(1).build();
    let (release, released) = mpsc::channel::<()>();
    let released = Mutex::new(released);
    let handler = move |()| {
        let _ = released.lock().recv();
    };
    let port = NativePort::new("sacks", handler, 1);
    for _ in 0..3 {
        port.post(()).expect("it is open");
    }
    while port.running() == 0 {
        std::thread::yield_now();
    }
    let inspector = builder(&runtime).start().expect("a port is free");
    let folder = tempfile::tempdir().expect("there is a folder");
    let path = folder.path().join("dump.json");
    inspector.dump_to(&path).expect("it can be written");
    let dump = read(&path);
    let ports = dump["threads"]["nativePorts"].as_array().cloned();
    let mut ports = ports.unwrap_or_default().into_iter();
    let sacks = ports.find(|port| port["name"] == "sacks");
    let sacks = sacks.expect("it is listed");
    for (member, value) in [
        ("isClosed", json!(false)),
        ("waiting", json!(2)),
        ("running", json!(1)),
        ("maxConcurrent", json!(1)),
        ("startedTotal", json!(1)),
    ] {
        assert_eq!(sacks[member], value, "{member}");
    }
    drop(release);
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
    let events = read_once_there(&path)["events"].to_string();
    assert!(
        events.contains("no grain") && events.contains("miller"),
        "{events}"
    );
    drop(inspector);
    runtime.shut_down();
}

#[test]
fn inspectors_with_the_same_name_and_folder_keep_their_dumps_apart() {
    insula_core::set_error_hook(|_| {});
    let folder = tempfile::tempdir().expect("there is a folder");
    let runtimes = ["miller", "baker"].map(|name| (name, Runtime::builder().threads(1).build()));
    for (number, (name, runtime)) in (1..).zip(&runtimes) {
        let builder = builder(runtime).dump_on_error(folder.path());
        let inspector = builder.start().expect("a port is free");
        let isolate = Isolate::builder().name(*name).runtime(runtime);
        block_on(isolate.spawn(|()| panic!("no grain"), ()).exited());
        let file = format!("mill-{}-{number}.json", std::process::id());
        let dump = read_once_there(&folder.path().join(file));
        assert!(dump["events"].to_string().contains(name), "{dump}");
        drop(inspector);
        runtime.shut_down();
    }
}

/// Waits until there is a file, and reads it.
fn read_once_there(path: &Path) -> Value {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(10), "no dump");
        std::thread::yield_now();
    }
    read(path)
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_a_dump_each_time_and_ends_nothing() {
    use rustix::process::{Signal, getpid, kill_process};

    let runtime = Runtime::builder().threads(1).build();
    let folder = tempfile::tempdir().expect("there is a folder");
    // One that no other test of this process uses.
    let signal = Signal::WINCH;
    let builder = builder(&runtime).dump_on_signal(signal.as_raw(), folder.path());
    let inspector = builder.start().expect("a port is free");
    for number in 1..=2 {
        kill_process(getpid(), signal).expect("it is our own");
        let name = format!("mill-{}-signal-{number}.json", std::process::id());
        let dump = read_once_there(&folder.path().join(name));
        assert_eq!(dump["vm"]["name"], "mill");
    }
    drop(inspector);
    runtime.shut_down();
}

#[cfg(unix)]
#[test]
fn a_signal_that_cannot_be_handled_is_an_error() {
    let runtime = Runtime::builder().threads(1).build();
    let kill = rustix::process::Signal::KILL.as_raw();
    let error = builder(&runtime).dump_on_signal(kill, ".").start();
    let error = error.expect_err("nothing can handle it");
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(error.to_string().contains("SIGUSR1"), "{error}");
    runtime.shut_down();
}

#[test]
fn the_recorder_keeps_what_each_thread_did_last() {
    insula_core::set_error_hook(|_| {});
    let runtime = Runtime::builder().threads(1).build();
    // A panic may take long on a busy machine, which would be an event too.
    let hour = Duration::from_secs(3_600);
    let builder = builder(&runtime).events_per_thread(4);
    let builder = builder.long_turn_after(hour).stuck_after(hour);
    let inspector = builder.start().expect("a port is free");
    // The test's thread spawns, and a thread of the pool runs and ends them.
    for _ in 0..20 {
        let isolate = Isolate::builder().name("miller").runtime(&runtime);
        block_on(isolate.spawn(|()| panic!("no grain"), ()).exited());
    }
    let folder = tempfile::tempdir().expect("there is a folder");
    let path = folder.path().join("dump.json");
    inspector.dump_to(&path).expect("it can be written");
    let recording = read(&path)["recording"].clone();
    let own = std::thread::current();
    let own = own.name().expect("a thread of a test has one");
    assert_eq!(recording["perThread"], 4);
    let events = recording["events"].as_array().expect("they are listed");
    let count = |kind: &str, thread: &str| {
        let fits = |it: &&Value| {
            let own = it["thread"].as_str().unwrap_or_default();
            it["kind"] == kind && own.contains(thread)
        };
        events.iter().filter(fits).count()
    };
    assert_eq!(count("isolateSpawn", own), 4, "{recording}");
    assert_eq!(count("isolateError", "thread 0"), 2, "{recording}");
    assert_eq!(count("isolateExit", "thread 0"), 2, "{recording}");
    let threads = recording["threads"].as_array().expect("they are listed");
    let pool = threads.iter().find(|it| it["name"] == "thread 0");
    let pool = pool.expect("it has events");
    assert_eq!(
        (&pool["recordedTotal"], &pool["kept"]),
        (&40.into(), &4.into())
    );
    drop(inspector);
    runtime.shut_down();
}

#[test]
fn a_wait_that_is_refused_is_an_event_with_its_cycle() {
    let runtime = Runtime::builder().threads(1).build();
    let inspector = builder(&runtime).start().expect("a port is free");
    let isolate = Isolate::builder().name("miller").runtime(&runtime);
    let mutex = insula_core::Mutex::new(());
    let entry = move |()| {
        let _held = mutex.lock().expect("it is free");
        assert!(mutex.lock().is_err(), "it is held here");
    };
    block_on(isolate.spawn(entry, ()).exited());
    let folder = tempfile::tempdir().expect("there is a folder");
    let path = folder.path().join("dump.json");
    inspector.dump_to(&path).expect("it can be written");
    let dump = read(&path);
    let events = dump["events"]["events"]
        .as_array()
        .expect("they are listed");
    let event = events.iter().find(|it| it["kind"] == "deadlock");
    let event = event.expect("it is told");
    let text = event["text"].as_str().unwrap_or_default();
    assert!(text.ends_with("miller waits for miller"), "{event}");
    assert!(
        event["subject"]
            .as_str()
            .is_some_and(|it| it.starts_with("isolates/"))
    );
    assert_eq!(event["thread"], "thread 0");
    drop(inspector);
    runtime.shut_down();
}

/// The inspector ends a moment after the error, and long before its next look.
#[test]
fn an_error_just_before_the_end_leaves_a_dump() {
    insula_core::set_error_hook(|_| {});
    let runtime = Runtime::builder().threads(1).build();
    let folder = tempfile::tempdir().expect("there is a folder");
    let inspector = builder(&runtime).dump_on_error(folder.path());
    let inspector = inspector.start().expect("a port is free");
    let doomed = Isolate::builder().name("doomed").runtime(&runtime);
    let doomed = doomed.spawn(|()| panic!("the mill has stopped"), ());
    block_on(doomed.exited());
    drop(inspector);
    let path = folder
        .path()
        .join(format!("mill-{}-1.json", std::process::id()));
    let dump = read(&path);
    assert!(
        dump["events"].to_string().contains("the mill has stopped"),
        "{dump}"
    );
    runtime.shut_down();
}
