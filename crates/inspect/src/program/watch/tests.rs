//! The risk: a turn that took long is not recorded, or another isolate pays for it.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use insula_core::{Isolate, ReceivePort, RootIsolate, Runtime, block_on, sleep};
use insula_sync::atomic::{AtomicBool, Ordering};

use super::{LOOK, Watched};
use crate::model::Event;
use crate::program::{Limits, Program};

const LONG: Duration = Duration::from_millis(50);

#[test]
fn a_turn_is_as_long_as_the_looks_that_have_seen_it() {
    let runtime = Runtime::builder().threads(1).build();
    let (started, has_started) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let entry = move |()| {
        started.send(()).expect("the test waits");
        released.recv().expect("the test goes on");
    };
    let isolate = Isolate::builder().runtime(&runtime).spawn(entry, ());
    has_started.recv().expect("it runs");
    let (mut watched, begun) = (Watched::default(), Instant::now());
    let threads = runtime.threads();
    assert!(watched.look(&threads, LONG, begun).is_empty());
    // The same turn goes on.
    let later = begun + Duration::from_millis(40);
    assert!(watched.look(&threads, LONG, later).is_empty());
    release.send(()).expect("it waits");
    block_on(isolate.exited());
    while runtime.threads().iter().any(|it| it.isolate.is_some()) {
        std::thread::yield_now();
    }
    let later = begun + Duration::from_millis(60);
    let ended = watched.look(&runtime.threads(), LONG, later);
    let ended: Vec<_> = ended.iter().map(|it| (it.isolate, it.time)).collect();
    assert_eq!(ended, [(isolate.id(), Duration::from_millis(60))]);
    let later = begun + Duration::from_millis(200);
    assert!(watched.look(&runtime.threads(), LONG, later).is_empty());
    runtime.shut_down();
}

#[test]
fn looks_come_at_varying_distances_around_their_mean() {
    let runtime = Runtime::builder().threads(1).build();
    let (release, released) = mpsc::channel::<()>();
    let entry = move |()| released.recv().expect("the test goes on");
    let isolate = Isolate::builder().runtime(&runtime).spawn(entry, ());
    while runtime.threads().iter().all(|it| it.isolate.is_none()) {
        std::thread::yield_now();
    }
    let mut watched = Watched::default();
    let threads = runtime.threads();
    let pauses: Vec<_> = (0..1_000)
        .map(|_| {
            watched.look(&threads, LONG, Instant::now());
            watched.pause()
        })
        .collect();
    let mean = pauses.iter().sum::<Duration>() / 1_000;
    assert!(mean.abs_diff(LOOK) < LOOK / 10, "{mean:?}");
    assert!(pauses.iter().any(|it| *it < LOOK * 6 / 10));
    assert!(pauses.iter().any(|it| *it > LOOK * 14 / 10));
    drop((release, isolate));
    runtime.shut_down();
}

/// The time on the CPU of a pinned isolate is that of its thread; a root isolate has none.
#[cfg(target_os = "linux")]
#[test]
fn a_pinned_isolate_has_the_time_of_its_thread() {
    /// As much as a thread may need to start.
    const STARTED: u64 = 50;
    let runtime = Runtime::builder().threads(1).build();
    let is_over = Arc::new(AtomicBool::new(false));
    let spawn = |name: &str, computes: bool| {
        let builder = Isolate::builder().name(name).runtime(&runtime);
        let is_over = is_over.clone();
        let entry = async move |_, ()| {
            while computes && !is_over.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
            sleep(Duration::from_secs(3_600)).await;
        };
        builder.spawn_pinned(entry, ()).expect("there is a thread")
    };
    let (busy, idle) = (spawn("busy", true), spawn("idle", false));
    let root = RootIsolate::builder("root").runtime(&runtime).create();
    let program = Program::new("test".to_owned(), runtime.clone(), Limits::default());
    let cpu = |isolate: &Isolate| {
        program.tick();
        let id = format!("isolates/{}", isolate.id().number());
        let detail = program.isolate(&id).expect("it is there");
        detail.isolate.cpu_total_ms
    };
    let begun = Instant::now();
    while cpu(&busy).unwrap_or_default() < 4 * STARTED {
        assert!(begun.elapsed() < Duration::from_secs(60), "it has no time");
    }
    assert!(cpu(&idle).is_some_and(|time| time < STARTED));
    assert_eq!(cpu(root.isolate()), None);
    is_over.store(true, Ordering::Relaxed);
    drop(root);
    runtime.shut_down();
}

/// The time on the CPU of an isolate that computes, and of one that does nothing.
#[cfg(target_os = "linux")]
#[test]
fn the_isolate_that_computes_has_the_time_on_the_cpu() {
    let runtime = Runtime::builder().threads(1).build();
    let spawn = |name: &str| {
        let builder = Isolate::builder().name(name).runtime(&runtime);
        builder.spawn_pair(|port: ReceivePort<Duration>| {
            port.listen(|time| {
                let end = Instant::now() + time;
                while Instant::now() < end {
                    std::hint::spin_loop();
                }
            });
        })
    };
    let (busy, port) = spawn("busy");
    let (idle, _port) = spawn("idle");
    let program = Program::new("test".to_owned(), runtime.clone(), Limits::default());
    program.tick();
    let cpu = |isolate: &Isolate| {
        let id = format!("isolates/{}", isolate.id().number());
        let detail = program.isolate(&id).expect("it is there");
        detail.isolate.cpu_total_ms.unwrap_or_default()
    };
    let begun = Instant::now();
    let has_turn = || {
        let events = program.recording(1_000).events;
        let of_busy = |event: &Event| event.text.starts_with("a turn of busy took");
        events.iter().any(|it| it.kind == "longTurn" && of_busy(it))
    };
    // How much of the CPU the thread gets is the machine's, and a turn has to be seen twice.
    while cpu(&busy) < 100 || !has_turn() {
        port.send(Duration::from_millis(60)).expect("it is open");
        std::thread::sleep(program.watch());
        program.tick();
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it has no time, or no turn"
        );
    }
    assert!(cpu(&idle) < 10, "{}", cpu(&idle));
    // The turn is recorded, and in no stream.
    let events = program.events(0, 1_000).events;
    assert!(events.iter().all(|event| event.kind != "longTurn"));
    runtime.shut_down();
}
