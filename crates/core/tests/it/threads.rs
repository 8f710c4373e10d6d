//! Risk: an isolate waits though a thread is free, a heavy one starves others, a runtime does
//! not come to an end, or works while it has nothing to do.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use insula_core::{
    ExitReason, Isolate, IsolateGroup, ReceivePort, ReplyTo, Runtime, SendPort, block_on, blocking,
    one_shot, yield_now,
};

struct Ping(ReplyTo<u32>);

fn responder(runtime: &Runtime) -> SendPort<Ping> {
    Isolate::builder()
        .runtime(runtime)
        .spawn_with_port(|port: ReceivePort<Ping>| port.listen(|Ping(reply)| reply.send(1)))
}

/// More isolates than threads compute without end: the one that answers still answers.
#[test]
fn isolates_that_compute_do_not_starve_others() {
    let runtime = Runtime::builder().threads(2).build();
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..5 {
        let stop = stop.clone();
        let heavy = move |()| while !stop.load(Ordering::Relaxed) {};
        Isolate::builder().runtime(&runtime).spawn(heavy, ());
    }
    let port = responder(&runtime);
    for _ in 0..20 {
        assert_eq!(block_on(port.ask(Ping)), Ok(1));
    }
    stop.store(true, Ordering::Relaxed);
    drop(port);
    runtime.shut_down();
}

/// The receiver is the one that the heavy isolate itself has just messaged.
#[test]
fn whoever_a_heavy_isolate_messaged_runs_too() {
    let runtime = Runtime::builder().threads(1).build();
    let stop = Arc::new(AtomicBool::new(false));
    let (answer, question) = one_shot();
    let mut answer = Some(answer);
    let port =
        Isolate::builder()
            .runtime(&runtime)
            .spawn_with_port(move |port: ReceivePort<u32>| {
                port.listen(move |n| answer.take().unwrap().send(n));
            });
    let stopped = stop.clone();
    Isolate::builder().runtime(&runtime).spawn(
        move |()| {
            port.send(7).unwrap();
            while !stopped.load(Ordering::Relaxed) {}
        },
        (),
    );
    assert_eq!(question.wait(), Ok(7));
    stop.store(true, Ordering::Relaxed);
    runtime.shut_down();
}

/// Case 87 in small: many isolates that block at once all run.
#[test]
fn isolates_that_block_all_run() {
    let runtime = Runtime::builder().threads(2).build();
    let barrier = Arc::new(std::sync::Barrier::new(40));
    let isolates: Vec<_> = (0..40)
        .map(|_| {
            let barrier = barrier.clone();
            let wait = move |()| {
                blocking(|| barrier.wait());
            };
            Isolate::builder().runtime(&runtime).spawn(wait, ())
        })
        .collect();
    for isolate in isolates {
        block_on(isolate.exited());
    }
    assert!(runtime.thread_count() >= 40);
    runtime.shut_down();
}

#[test]
fn block_on_inside_an_isolate_lets_others_run() {
    let runtime = Runtime::builder().threads(1).build();
    let port = responder(&runtime);
    let _entered = runtime.enter();
    let answer = Isolate::run(move || block_on(async { port.ask(Ping).await }));
    assert_eq!(answer.wait(), Ok(Ok(1)));
    runtime.shut_down();
}

#[test]
fn nothing_is_lost_among_many_isolates() {
    const ISOLATES: usize = 300;
    const ROUNDS: usize = 100;
    let runtime = Runtime::builder().threads(4).build();
    let sum = Arc::new(AtomicUsize::new(0));
    let total = runtime.block_on({
        let sum = sum.clone();
        async move {
            Isolate::run_async(async move || {
                let mut done = ReceivePort::new();
                for _ in 0..ISOLATES {
                    let (sum, done) = (sum.clone(), done.send_port());
                    Isolate::spawn(
                        async move |()| {
                            let mut port = ReceivePort::new();
                            for n in 0..ROUNDS {
                                let sender = port.send_port();
                                Isolate::spawn(move |n| sender.send(n).unwrap(), n);
                                let n = port.recv().await.unwrap();
                                sum.fetch_add(n, Ordering::Relaxed);
                                yield_now().await;
                            }
                            done.send(()).unwrap();
                        },
                        (),
                    );
                }
                let mut count = 0;
                while done.recv().await.is_some() {
                    count += 1;
                }
                count
            })
            .await
        }
    });
    assert_eq!(total, Ok(ISOLATES));
    assert_eq!(
        sum.load(Ordering::Relaxed),
        ISOLATES * ROUNDS * (ROUNDS - 1) / 2
    );
    runtime.shut_down();
    assert_eq!(runtime.isolate_count(), 0);
}

#[test]
fn shutting_down_ends_everything_and_refuses_what_comes_later() {
    for _ in 0..20 {
        let runtime = Runtime::builder().threads(2).build();
        let ports: Vec<_> = (0..200).map(|_| responder(&runtime)).collect();
        let busy = ports.clone();
        let asker = std::thread::spawn(move || {
            for port in busy.iter().cycle() {
                if block_on(port.ask(Ping)).is_err() {
                    break;
                }
            }
        });
        assert_eq!(block_on(ports[0].ask(Ping)), Ok(1));
        runtime.shut_down();
        runtime.shut_down();
        assert_eq!(runtime.isolate_count(), 0);
        asker.join().unwrap();
        assert!(ports.iter().all(SendPort::is_closed));
        let late = responder(&runtime);
        assert!(late.is_closed());
        let late = Isolate::builder()
            .runtime(&runtime)
            .spawn(|late: bool| assert!(!late), true);
        assert_eq!(block_on(late.exited()), ExitReason::Killed);
        assert_eq!(runtime.isolate_count(), 0);
    }
}

#[test]
fn shutting_down_names_who_does_not_end() {
    let runtime = Runtime::builder().threads(1).build();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let (started, running) = one_shot();
    Isolate::builder().runtime(&runtime).name("stubborn").spawn(
        move |()| {
            started.send(());
            while !stopped.load(Ordering::Relaxed) {}
        },
        (),
    );
    running.wait().unwrap();
    let error = runtime
        .shut_down_timeout(Duration::from_millis(10))
        .unwrap_err();
    assert_eq!(error.to_string(), "1 isolate has not ended: stubborn");
    stop.store(true, Ordering::Relaxed);
    runtime.shut_down();
}

#[test]
fn of_many_that_have_not_ended_some_are_named() {
    let names = (0..12).map(|n| n.to_string().into()).collect();
    assert_eq!(
        insula_core::StillRunning { names }.to_string(),
        "12 isolates have not ended: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"
    );
}

#[test]
fn a_computation_that_never_checks_is_named() {
    let runtime = Runtime::builder().threads(1).build();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    // An error is what ends it.
    let block = move |()| assert!(stopped.recv().is_err());
    let builder = |name| Isolate::builder().name(name).runtime(&runtime);
    let busy = builder("busy").spawn(block, ());
    let (stop_pinned, stopped) = std::sync::mpsc::channel::<()>();
    let block = async move |_, ()| assert!(stopped.recv().is_err());
    let pinned = builder("busy and pinned").spawn_pinned(block, ()).unwrap();
    let idle = builder("idle").spawn_with_port(|port: ReceivePort<()>| port.listen(drop));
    // Until its turn has begun nothing is stuck.
    let mut names = Vec::new();
    while names.len() < 2 {
        let stuck = runtime.stuck(Duration::from_millis(5));
        names = stuck.iter().map(Isolate::name).collect();
    }
    names.sort();
    assert_eq!(names, ["busy".into(), "busy and pinned".into()]);
    busy.kill();
    pinned.kill();
    assert!(idle.send(()).is_ok());
    drop((stop, stop_pinned));
    assert_eq!(block_on(busy.exited()), ExitReason::Killed);
    assert_eq!(block_on(pinned.exited()), ExitReason::Killed);
    runtime.shut_down();
}

/// No periodic wake-ups: the watcher does not look while nothing runs.
#[test]
fn an_idle_runtime_sleeps() {
    let runtime = Runtime::builder().threads(2).build();
    let ports: Vec<_> = (0..100).map(|_| responder(&runtime)).collect();
    for port in &ports {
        assert_eq!(block_on(port.ask(Ping)), Ok(1));
    }
    let mut before = runtime.monitor_ticks();
    let mut quiet = 0;
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(10));
        let ticks = runtime.monitor_ticks();
        quiet = if ticks == before { quiet + 1 } else { 0 };
        before = ticks;
        if quiet == 5 {
            break;
        }
    }
    assert_eq!(quiet, 5, "the monitor still looks though nothing runs");
    // And it is there again when it is needed.
    assert_eq!(block_on(ports[0].ask(Ping)), Ok(1));
    runtime.shut_down();
}

/// Pooled and pinned isolates find what a library keeps per thread.
#[test]
fn every_thread_works_inside_of_its_surroundings() {
    thread_local! {
        static CONTEXT: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    let surround = |work: &mut dyn FnMut()| {
        CONTEXT.set(7);
        work();
        CONTEXT.set(0);
    };
    let runtime = Runtime::builder()
        .threads(1)
        .around_threads(surround)
        .build();
    let (seen, all) = std::sync::mpsc::channel();
    let seen_by_pinned = seen.clone();
    let builder = || Isolate::builder().runtime(&runtime);
    builder().spawn(move |()| seen.send(CONTEXT.get()).unwrap(), ());
    let pinned = async move |_, ()| seen_by_pinned.send(CONTEXT.get()).unwrap();
    builder().spawn_pinned(pinned, ()).unwrap();
    assert_eq!(all.iter().collect::<Vec<_>>(), [7, 7]);
    runtime.shut_down();
}

/// No thread searches for work that comes while one parks: a thread has to be woken.
#[test]
fn work_is_found_by_threads_that_never_look_around() {
    let runtime = Runtime::builder()
        .threads(2)
        .search_time(Duration::ZERO)
        .build();
    let (answers, all) = std::sync::mpsc::channel();
    for number in 0..2000 {
        let answers = answers.clone();
        let builder = Isolate::builder().runtime(&runtime);
        builder.spawn(move |()| answers.send(number).unwrap(), ());
        // One at a time, then in pairs.
        if number < 1000 || number % 2 == 1 {
            assert!(all.recv().is_ok());
        }
    }
    drop(answers);
    assert_eq!(all.iter().count(), 500);
    runtime.shut_down();
}

/// Uses at least so many bytes of the stack.
fn deep(bytes: usize) -> usize {
    let frame = std::hint::black_box([1u8; 4096]);
    let below = bytes.checked_sub(frame.len()).map_or(0, deep);
    below + usize::from(std::hint::black_box(&frame)[bytes % 4096])
}

/// A thread of the pool, one that takes the place of a blocked one, and one of a pinned isolate.
#[test]
fn every_thread_has_the_stack_that_was_asked_for() {
    crate::child::in_child(|| {
        const BYTES: usize = 24 << 20;
        let runtime = Runtime::builder().threads(1).stack_size(4 * BYTES).build();
        let _entered = runtime.enter();
        assert_ne!(Isolate::run(|| deep(BYTES)).wait(), Ok(0));
        let (end, blocked) = std::sync::mpsc::channel::<()>();
        let first = Isolate::run(move || insula_core::blocking(|| blocked.recv().is_err()));
        assert_ne!(Isolate::run(|| deep(BYTES)).wait(), Ok(0));
        drop(end);
        assert_eq!(first.wait(), Ok(true));
        let pinned = Isolate::builder().spawn_pinned(async |_, ()| assert_ne!(deep(BYTES), 0), ());
        let reason = insula_core::block_on(pinned.unwrap().exited());
        assert_eq!(reason, insula_core::ExitReason::Finished);
        runtime.shut_down();
        for bytes in [0, usize::MAX] {
            let runtime = Runtime::builder().threads(1).stack_size(bytes).build();
            let _entered = runtime.enter();
            assert_eq!(Isolate::run(|| 7).wait(), Ok(7));
            runtime.shut_down();
        }
    });
}

/// A thread that cannot be started later costs speed only; without the first one nothing would ever
/// run, and no caller would get an error.
#[cfg(target_os = "linux")]
#[test]
fn an_isolate_that_no_thread_can_run_is_not_spawned() {
    crate::child::in_child_with_memory(900_000, || {
        let runtime = Runtime::builder().stack_size(1 << 30).build();
        let builder = Isolate::builder().runtime(&runtime);
        let spawn = AssertUnwindSafe(|| builder.spawn(|()| (), ()));
        let panic = insula_core::catch_panic(spawn).unwrap_err();
        let text = panic.message();
        assert!(
            text.contains("thread") && text.contains("cannot be started"),
            "{text}"
        );
        runtime.shut_down();
    });
}

/// A caller that found it there would wait for its end for ever.
#[cfg(target_os = "linux")]
#[test]
fn an_isolate_whose_thread_cannot_be_started_is_never_in_its_group() {
    crate::child::in_child_with_memory(900_000, || {
        let runtime = Runtime::builder().stack_size(1 << 30).build();
        let group = IsolateGroup::new("refused");
        let is_over = AtomicBool::new(false);
        let found = std::thread::scope(|scope| {
            let looks = scope.spawn(|| {
                while !is_over.load(Ordering::SeqCst) {
                    let found = group.isolates();
                    if !found.is_empty() {
                        return found;
                    }
                }
                group.isolates()
            });
            for _ in 0..crate::MANY {
                let builder = Isolate::builder().runtime(&runtime).group(&group);
                assert!(builder.spawn_pinned(async |_, ()| (), ()).is_err());
            }
            is_over.store(true, Ordering::SeqCst);
            looks.join().expect("it only looks")
        });
        assert_eq!(found, []);
        runtime.shut_down();
    });
}
