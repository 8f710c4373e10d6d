//! Risk: a root isolate runs elsewhere than on its host's thread, is not told of its work, does
//! several events at once, or outlives its end.

use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use insula_core::{
    ErrorPolicy, ExitReason, Handled, Isolate, Priority, ReceivePort, RootIsolate, RootPhase,
    Runtime, SendPort, Timer, block_on, schedule_microtask,
};

use crate::trace::Log;

/// A host that counts how often it was told.
fn hosted() -> (RootIsolate, Arc<AtomicUsize>, mpsc::Receiver<()>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let (told, (wake, work)) = (calls.clone(), mpsc::channel());
    let root = RootIsolate::builder("ui").notify(move || {
        told.fetch_add(1, Ordering::SeqCst);
        // The host may have gone.
        let _ = wake.send(());
    });
    (root.create(), calls, work)
}

fn listen(root: &mut RootIsolate, log: &Log) -> SendPort<&'static str> {
    let log = log.clone();
    let inbox = root.enter(|pinned| {
        let port = ReceivePort::new();
        let inbox = port.send_port();
        // Not `Send`, and so only for this thread.
        let log = Rc::new(log);
        pinned.listen(port, move |message: &str| {
            log.line(message);
            let log = Log::clone(&log);
            schedule_microtask(move || log.line("micro"));
        });
        inbox
    });
    inbox.expect("the isolate runs")
}

/// Rule 38: a call handles one message and its microtasks; one notification for many messages.
#[test]
fn one_message_at_a_time() {
    let (mut root, calls, _work) = hosted();
    let log = Log::default();
    let inbox = listen(&mut root, &log);
    while root.handle_message() == Handled::More {}
    let before = calls.load(Ordering::SeqCst);
    for message in ["a", "b"] {
        inbox.send(message).unwrap();
    }
    assert_eq!(calls.load(Ordering::SeqCst), before + 1);
    assert_eq!(root.handle_message(), Handled::More);
    assert_eq!(log.text(), "a micro");
    assert_eq!(root.handle_message(), Handled::More);
    assert_eq!(root.handle_message(), Handled::Idle);
    assert_eq!(log.text(), "a micro b micro");
}

#[test]
fn it_is_told_of_timers_and_of_other_threads() {
    let (mut root, _, work) = hosted();
    let log = Log::default();
    let inbox = listen(&mut root, &log);
    let l = log.clone();
    root.enter(|_| Timer::after(Duration::from_millis(5), move || l.line("timer")));
    while log.text() != "timer" {
        work.recv().unwrap();
        while root.handle_message() == Handled::More {}
    }
    std::thread::spawn(move || inbox.send("thread").unwrap());
    while log.text() != "timer thread micro" {
        work.recv().unwrap();
        while root.handle_message() == Handled::More {}
    }
}

/// Rule 39: paused before its entry, and before its end.
#[test]
fn it_pauses_on_start_and_on_exit() {
    let log = Log::default();
    let entry = log.clone();
    let mut root = RootIsolate::builder("ui")
        .pause_on_start()
        .pause_on_exit()
        .spawn(move |()| entry.line("entry"), ());
    assert_eq!(root.phase(), RootPhase::Ready);
    assert_eq!(root.handle_message(), Handled::Paused);
    assert_eq!(log.text(), "");
    root.resume();
    while root.handle_message() == Handled::More {}
    assert_eq!(
        (log.text().as_str(), root.phase()),
        ("entry", RootPhase::Running)
    );
    root.isolate().kill();
    while root.handle_message() == Handled::More {}
    assert_eq!(root.handle_message(), Handled::Paused);
    root.resume();
    let mut last = Handled::More;
    while last == Handled::More {
        last = root.handle_message();
    }
    assert_eq!(last, Handled::Exited(ExitReason::Killed));
    assert_eq!(root.phase(), RootPhase::ShutDown);
    assert!(root.enter(|_| ()).is_none());
}

/// The root's group ends with it; a child joins it by itself.
#[test]
fn its_group_ends_with_it() {
    let runtime = Runtime::builder().threads(1).build();
    let mut root = RootIsolate::builder("ui").runtime(&runtime).create();
    let child = root.enter(|_| {
        Isolate::builder().spawn_pair(async |mut inbox: ReceivePort<()>| {
            inbox.recv().await;
        })
    });
    let (child, _inbox) = child.unwrap();
    let group = root.isolate().group().unwrap();
    assert_eq!(group.isolates().len(), 2);
    assert_eq!(root.shut_down(), ExitReason::Killed);
    assert_eq!(insula_core::block_on(child.exited()), ExitReason::Killed);
    assert_eq!(group.isolates().len(), 0);
    runtime.shut_down();
}

#[test]
fn an_error_in_the_hosts_code_is_the_isolates() {
    let mut root = RootIsolate::builder("ui").create();
    root.isolate().set_error_policy(ErrorPolicy::Continue);
    assert!(
        root.enter(|_| -> () { panic!("not fatal, as expected") })
            .is_none()
    );
    assert_eq!(root.enter(|_| 1), Some(1));
    root.isolate().set_error_policy(ErrorPolicy::End);
    assert!(
        root.enter(|_| -> () { panic!("fatal, as expected") })
            .is_none()
    );
    assert!(matches!(
        root.handle_message(),
        Handled::Exited(ExitReason::Panicked(_))
    ));
}

#[test]
fn its_loop_runs_until_nothing_is_left() {
    let log = Log::default();
    let l = log.clone();
    let root = RootIsolate::builder("main").spawn(
        move |()| {
            Timer::after(Duration::from_millis(1), move || l.line("timer"));
        },
        (),
    );
    assert_eq!(root.run_event_loop(), ExitReason::Finished);
    assert_eq!(log.text(), "timer");
}

/// The outer isolate could not be killed: its code would wait for what only the host could end.
#[test]
fn an_isolate_that_runs_the_loop_of_a_root_is_refused() {
    let outer = Isolate::spawn(
        |()| {
            RootIsolate::builder("inner").create().run_event_loop();
        },
        (),
    );
    let ExitReason::Panicked(report) = block_on(outer.exited()) else {
        panic!("it was not refused");
    };
    assert!(report.message().contains("run_event_loop"), "{report}");
}

/// No other thread could end the root isolate, so the shutdown would never end.
#[test]
fn a_shutdown_on_the_thread_of_a_root_names_it() {
    let runtime = Runtime::builder().threads(1).build();
    let root = RootIsolate::builder("ui").runtime(&runtime).create();
    let shut_down = std::panic::AssertUnwindSafe(|| runtime.shut_down());
    let panic = insula_core::catch_panic(shut_down).unwrap_err();
    assert!(panic.message().contains("'ui'"), "{panic}");
    assert!(!runtime.is_shut_down());
    let late = runtime.shut_down_timeout(Duration::from_millis(10));
    assert_eq!(late.unwrap_err().names, ["ui".into()]);
    drop(root);
    runtime.shut_down();
}

/// The same listener panics before and after the end, and the caller does not see it either way.
#[test]
fn the_panic_of_an_exit_listeners_response_is_contained() {
    let told = Isolate::run_async(async || {
        let port = ReceivePort::<u32>::new();
        let isolate = Isolate::spawn(|()| (), ());
        isolate.exited().await;
        isolate.add_exit_listener(&port.send_port(), |_| panic!("on purpose"));
    });
    assert_eq!(told.wait(), Ok(()));
}

/// The function owns a handle of the isolate, and the isolate would own the function for ever.
#[test]
fn a_notify_function_goes_with_its_isolate() {
    let alive = Arc::new(());
    let handle = Arc::new(std::sync::OnceLock::<Isolate>::new());
    let kept = (alive.clone(), handle.clone());
    let root = RootIsolate::builder("ui").notify(move || drop(kept.clone()));
    let root = root.create();
    handle.set(root.isolate().clone()).expect("set once");
    root.shut_down();
    assert_eq!(Arc::strong_count(&alive), 1);
}

/// As any isolate that is spawned there. Its host is told, and nothing of it runs.
#[test]
fn a_root_of_a_runtime_that_is_shut_down_is_dead_from_the_start() {
    for runtime in [Runtime::builder(), Runtime::builder().seeded(1)] {
        let runtime = runtime.build();
        runtime.shut_down();
        let calls = Arc::new(AtomicUsize::new(0));
        let builder = || {
            let told = calls.clone();
            RootIsolate::builder("late")
                .runtime(&runtime)
                .pause_on_start()
                .pause_on_exit()
                .notify(move || {
                    told.fetch_add(1, Ordering::SeqCst);
                })
        };
        let killed = Handled::Exited(ExitReason::Killed);
        let mut root = builder().create();
        assert_eq!(root.phase(), RootPhase::ShutDown);
        assert_eq!(root.enter(|_| panic!("it has ended")), None::<()>);
        assert_eq!(root.handle_message(), killed);
        assert_eq!(root.isolate().group().expect("its own").isolates(), []);
        assert_eq!(builder().create().run_event_loop(), ExitReason::Killed);
        assert_eq!(builder().create().shut_down(), ExitReason::Killed);
        let entry = Arc::new(());
        let kept = entry.clone();
        let mut root = builder().spawn(move |()| drop(kept), ());
        assert_eq!(root.phase(), RootPhase::ShutDown);
        assert_eq!(root.handle_message(), killed);
        assert_eq!(Arc::strong_count(&entry), 1);
        assert_eq!(calls.load(Ordering::SeqCst), 4);
        // Nothing is left that it would have to wait for.
        runtime.shut_down();
    }
}

/// The kill came first. So it is with the one of a shutdown that another thread has begun.
#[test]
fn code_of_the_host_does_not_run_after_a_kill() {
    let runtime = Runtime::builder().threads(1).build();
    let root = || RootIsolate::builder("ui").runtime(&runtime).create();
    let (mut killed, mut ended, mut over) = (root(), root(), root());
    killed.isolate().kill();
    assert_eq!(killed.enter(|_| panic!("it was killed")), None::<()>);
    assert_eq!(killed.phase(), RootPhase::ShutDown);
    let exit = ended.isolate().run_at(Priority::Immediate, || {
        Isolate::exit_silently();
    });
    assert_eq!(ended.enter(|_| panic!("it has exited")), None::<()>);
    drop(exit);
    assert_eq!(ended.handle_message(), Handled::Exited(ExitReason::Exited));
    let began = runtime.shut_down_timeout(Duration::ZERO);
    assert_eq!(began.unwrap_err().names, ["ui".into()]);
    assert_eq!(over.enter(|_| panic!("it was killed")), None::<()>);
    runtime.shut_down();
}

#[test]
fn code_of_the_host_runs_after_the_control_messages_that_came_before() {
    let mut root = RootIsolate::builder("ui").create();
    root.isolate().set_error_policy(ErrorPolicy::Continue);
    let log = Log::default();
    let (first, second) = (log.clone(), log.clone());
    let isolate = root.isolate().clone();
    drop(isolate.run_at(Priority::Immediate, move || first.line("first")));
    drop(isolate.run_at(Priority::Immediate, || panic!("not fatal, as expected")));
    drop(isolate.run_at(Priority::Immediate, move || second.line("second")));
    assert_eq!(root.enter(|_| log.line("host")), Some(()));
    assert_eq!(log.text(), "first second host");
}

/// The kill is held, the end of the owner is not.
#[test]
fn a_root_that_pauses_on_exit_ends_with_its_owner_also_after_a_kill() {
    let root = || RootIsolate::builder("ui").pause_on_exit().create();
    let mut paused = root();
    paused.isolate().kill();
    assert_eq!(paused.enter(|_| panic!("it was killed")), None::<()>);
    assert_eq!(paused.handle_message(), Handled::Paused);
    let killed = root();
    killed.isolate().kill();
    for root in [paused, killed] {
        let isolate = root.isolate().clone();
        drop(root);
        assert_eq!(block_on(isolate.exited()), ExitReason::Killed);
    }
}
