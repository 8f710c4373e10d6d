//! Risk: the guide quotes an error text that the library does not have any more.
//!
//! Each text is taken from the mistake itself, from an output of the chapter's program, or, where a
//! test in Rust cannot make the mistake, from the source that has the text.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use insula::callback::CallbackError;
use insula::control::{Priority, catch_panic};
use insula::embed::BindError;
use insula::embed::RootIsolate;
use insula::isolate::KeepsAlive;
use insula::isolate::schedule_microtask;
use insula::rpc::{Aborted, Respond};
use insula::sync::{MailboxError, WaitError};
use insula::{
    Context, Inbound, Isolate, IsolateCell, ReceivePort, ReplyTo, Runtime, Timer, WorkerPool,
    block_on, contract, serve, spawn_local,
};

use super::read;

/// Checks that the section on mistakes quotes exactly these texts. Texts of the compiler are left
/// out.
fn check(chapter: &str, texts: &[String]) {
    let page = read(&format!("src/{chapter}.md"));
    let (_, section) = page
        .split_once("\n## Common mistakes\n")
        .expect("each chapter has this section");
    let blocks = section.split("```").skip(1).step_by(2);
    let quoted: BTreeSet<_> = blocks
        .filter_map(|block| block.strip_prefix("text\n"))
        .flat_map(str::lines)
        .filter(|line| !line.starts_with("error["))
        .collect();
    let said: BTreeSet<_> = texts.iter().map(String::as_str).collect();
    assert_eq!(
        quoted, said,
        "the texts in {chapter}.md, and those of the library"
    );
}

/// Returns the text with which `f` panics on this thread.
fn panic_of<R>(f: impl FnOnce() -> R) -> String {
    match catch_panic(f) {
        Err(report) => report.message().to_owned(),
        Ok(_) => panic!("this is no mistake"),
    }
}

/// Returns `text`, which the program of the chapter prints.
fn printed(program: &str, text: &str) -> String {
    let output = read(&format!("programs/{program}.expected"));
    assert!(output.contains(text), "{program} does not print: {text}");
    text.to_owned()
}

/// Returns `text`, which is in a source file.
fn of_source(path: &str, text: &str) -> String {
    let source = read(&format!("../../{path}"));
    assert!(source.contains(text), "{path} does not contain: {text}");
    text.to_owned()
}

/// Returns the result of `f`, which runs in an isolate.
fn of<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    Isolate::run(f).wait().expect("it does not panic")
}

#[test]
fn texts_about_isolates() {
    let cell = of(|| IsolateCell::new(0));
    let elsewhere = cell.try_with(|_| ()).unwrap_err();
    let twice = of(|| {
        let cell = IsolateCell::new(0);
        cell.with(|_| cell.try_with(|_| ())).unwrap_err()
    });
    check("isolates", &[elsewhere.to_string(), twice.to_string()]);
}

#[test]
fn texts_about_messages() {
    let port = of(ReceivePort::<u32>::new);
    let elsewhere = panic_of(|| port.send_port());
    let outside = panic_of(ReceivePort::<u32>::new);
    let forgetful = Isolate::spawn_with_port(|port: ReceivePort<ReplyTo<u32>>| port.listen(drop));
    let unanswered = block_on(forgetful.ask(|reply_to| reply_to)).unwrap_err();
    let (isolate, jobs) = Isolate::builder().spawn_pair(|port: ReceivePort<u32>| {
        port.set_name("jobs");
        port.listen(drop)
    });
    // Without the ping the question could come before the entry, and the port have no name yet.
    block_on(isolate.ping(Priority::AsEvent)).unwrap();
    let reasons = block_on(isolate.why_alive());
    let [reason @ KeepsAlive::Port { id, opened_at, .. }] = reasons.as_slice() else {
        panic!("{reasons:?}");
    };
    let alive = reason
        .to_string()
        .replace(&id.to_string(), "port-1")
        .replace(&opened_at.to_string(), "src/main.rs:7:20");
    drop(jobs);
    check(
        "messages",
        &[elsewhere, outside, unanswered.to_string(), alive],
    );
}

#[test]
fn texts_about_the_event_loop() {
    let texts = [
        panic_of(|| Timer::run(|| ())),
        panic_of(|| schedule_microtask(|| ())),
        panic_of(|| spawn_local(async {})),
        WaitError::Seeded.to_string(),
    ];
    check("event-loop", &texts);
}

#[test]
fn texts_about_control() {
    let runtime = Runtime::builder().threads(1).build();
    let (begun, stop) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (beginning, stopped) = (begun.clone(), stop.clone());
    let compute = move |()| {
        beginning.store(true, Ordering::Relaxed);
        while !stopped.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    };
    Isolate::builder()
        .name("busy")
        .runtime(&runtime)
        .spawn(compute, ());
    while !begun.load(Ordering::Relaxed) {
        std::thread::yield_now();
    }
    let running = runtime.shut_down_timeout(Duration::from_millis(1));
    stop.store(true, Ordering::Relaxed);
    runtime.shut_down();
    let texts = [
        running.unwrap_err().to_string(),
        WaitError::Ending.to_string(),
    ];
    check("control", &texts);
}

#[test]
fn texts_about_waiting() {
    let port = of(ReceivePort::<u32>::new);
    let texts = [
        printed("waiting", "the wait would never end: alone waits for alone"),
        WaitError::NoThreads.to_string(),
        MailboxError::PeerDied.to_string(),
        panic_of(move || {
            let mut port = port;
            block_on(port.recv())
        }),
    ];
    check("waiting", &texts);
}

#[contract]
trait Nothing {
    async fn nothing(&self, cx: &Context) -> Result<(), Infallible>;
    async fn read(&self, cx: &Context, items: Inbound<u8>) -> Result<(), Aborted>;
}

struct Camera;

impl Nothing for Camera {
    async fn nothing(&self, _cx: &Context) -> Result<(), Infallible> {
        Ok(())
    }

    async fn read(&self, _cx: &Context, mut items: Inbound<u8>) -> Result<(), Aborted> {
        while let Some(item) = items.next().await {
            item?;
        }
        Ok(())
    }
}

#[test]
fn texts_about_pools() {
    let pool = WorkerPool::builder()
        .workers(1)
        .service::<NothingResponder<_>>(|_cx| async { Err::<Camera, _>("no camera".into()) });
    let port = Isolate::spawn_with_port(|port| serve(port, NothingResponder::new(Camera)));
    let (sender, unfinished) = NothingCaller::over(port).read().open();
    drop(sender);
    let texts = [
        printed("pools", "deadline passed while running"),
        block_on(unfinished).unwrap_err().to_string(),
        printed("pools", "call rejected: shutting down"),
        block_on(pool.build()).unwrap_err().to_string(),
        of_source(
            "crates/macros/src/contract/model.rs",
            "a request is owned, because it moves to another isolate: take it by value",
        ),
    ];
    check("pools", &texts);
}

#[test]
fn texts_about_processes() {
    let forgotten = "this process is a worker, and has not called `process::main` first of all";
    let unserved =
        "this worker has no service for the contract {contract}: name one in `process::main`";
    let unserved = of_source("crates/process/src/entry.rs", unserved);
    let different = "the two sides have different types in version {} of {}";
    let different = of_source("crates/rpc/src/wire/frame.rs", different);
    check(
        "processes",
        &[
            of_source("crates/process/src/parent.rs", forgotten),
            unserved.replace("{contract}", "Codec"),
            different.replacen("{}", "1", 1).replacen("{}", "Codec", 1),
        ],
    );
}

#[test]
fn texts_about_the_inspector() {
    let texts = [
        of_source(
            "apps/insula/src/target.rs",
            "no program has announced itself",
        ),
        of_source(
            "crates/inspect/src/server/methods.rs",
            "this inspector is for reading only: start the program with control allowed",
        ),
    ];
    check("inspect", &texts);
}

#[test]
fn texts_about_callbacks() {
    let texts = [
        CallbackError::<()>::Wait(WaitError::TimedOut).to_string(),
        printed("callbacks", "the wait would never end: main waits for main"),
        printed("callbacks", "the callback is closed"),
    ];
    check("callbacks", &texts);
}

#[test]
fn texts_about_embedding() {
    let runtime = Runtime::builder().threads(1).build();
    let root = RootIsolate::builder("ui").runtime(&runtime).create();
    let held = panic_of(|| runtime.shut_down());
    drop(root);
    runtime.shut_down();
    check("embedding", &[held, BindError::LoopUnavailable.to_string()]);
}

#[test]
fn texts_about_c() {
    let statuses = "crates/ffi/src/abi/status.rs";
    let texts = [
        printed("sum", "what the handle stood for is gone"),
        of_source(statuses, "no isolate runs on this thread"),
        of_source(statuses, "the wait would never end"),
    ];
    check("c", &texts);
}

#[test]
fn texts_about_dart() {
    let owner = "this $runtimeType belongs to another isolate";
    let texts = [
        of_source(
            "bindings/dart/lib/src/status.dart",
            "there is none of this name",
        ),
        of_source("bindings/dart/lib/src/owner.dart", owner).replace("$runtimeType", "WorkerPool"),
        of_source(
            "bindings/dart/lib/src/buffer.dart",
            "this TransferableBuffer has been given away",
        ),
    ];
    check("dart", &texts);
}
