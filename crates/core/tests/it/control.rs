//! Risk: a control message acts too early, too late, or without the right; an isolate that is
//! paused runs, or loses what was sent to it; an error or an end reaches no listener.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use insula_core::{
    Capability, Compat, ErrorCause, ErrorPolicy, ExitReason, Isolate, IsolateGroup, KeepsAlive,
    Priority, ReceivePort, Runtime, SendPort, Timer, UncaughtError, checkpoint, schedule_microtask,
    spawn_local,
};

use crate::trace::{Log, expect_virtual_trace, for_each_seed, trace_on};

/// An isolate that logs what it gets, until `"end"`.
fn logging_child(log: &Log) -> (Isolate, SendPort<&'static str>) {
    let log = log.clone();
    Isolate::builder().spawn_pair(async move |mut inbox: ReceivePort<&str>| {
        while let Some(message) = inbox.recv().await {
            log.line(message);
            if message == "end" {
                return;
            }
        }
    })
}

/// Cases 24 and 25: a pause is a set of capabilities, and nothing is credited.
#[test]
fn a_pause_lasts_until_each_capability_came_back() {
    expect_virtual_trace("pong held before 1 held-again end", |log| {
        let (isolate, inbox) = logging_child(&log);
        spawn_local(async move {
            let (a, b) = (Capability::new(), Capability::new());
            isolate.pause_with(a);
            isolate.pause_with(a);
            isolate.pause_with(b);
            inbox.send("1").unwrap();
            isolate.ping(Priority::Immediate).await.unwrap();
            log.line("pong");
            let l = log.clone();
            let before = isolate.ping(Priority::BeforeNextEvent);
            isolate.resume(a);
            isolate.resume(a);
            isolate.resume(Capability::new());
            isolate.ping(Priority::Immediate).await.unwrap();
            l.line("held");
            drop(isolate.run_at(Priority::BeforeNextEvent, move || l.line("before")));
            isolate.resume(b);
            before.await.unwrap();
            isolate.ping(Priority::AsEvent).await.unwrap();
            isolate.resume(a);
            isolate.pause_with(a);
            inbox.send("end").unwrap();
            isolate.ping(Priority::Immediate).await.unwrap();
            log.line("held-again");
            isolate.resume(a);
            isolate.exited().await;
        });
    });
}

/// Case 30: paused from the start, so that the entry never runs if it is killed.
#[test]
fn an_isolate_that_is_killed_before_it_starts_never_starts() {
    expect_virtual_trace("pong killed", |log| {
        let entry = log.clone();
        let child = Isolate::builder()
            .paused()
            .spawn(move |()| entry.line("entry"), ());
        spawn_local(async move {
            child.ping(Priority::Immediate).await.unwrap();
            log.line("pong");
            child.kill();
            log.line(child.exited().await);
        });
    });
}

/// Case 26: a handle without the capabilities can ask, and nothing else.
#[test]
fn a_handle_without_capabilities_changes_nothing() {
    for_each_seed(
        || async {
            let (child, _inbox) = logging_child(&Log::default());
            let control = child.control_port();
            let other = Some(Capability::new());
            for handle in [
                Isolate::from_control_port(&control, None, None),
                Isolate::from_control_port(&control, other, other),
            ] {
                handle.pause();
                handle.kill();
                handle.kill_at(Priority::BeforeNextEvent);
                handle.set_error_policy(ErrorPolicy::Continue);
                handle.ping(Priority::AsEvent).await.unwrap();
            }
            let (pause, terminate) = (child.pause_capability(), child.terminate_capability());
            Isolate::from_control_port(&control, pause, terminate).kill();
            child.exited().await
        },
        |reason| assert_eq!(reason, Ok(ExitReason::Killed)),
    );
}

/// Cases 20 to 22: where in the queue a control action has its place.
#[test]
fn priorities_say_where_in_the_queue() {
    const EXPECTED: &str = "immediate done micro before before2 1 2 as-event";
    let actions = |log: Log| {
        let me = Isolate::current().unwrap();
        let inbox = ReceivePort::new();
        let own = inbox.send_port();
        let l = log.clone();
        inbox.listen(move |message: &str| l.line(message));
        own.send("1").unwrap();
        own.send("2").unwrap();
        for (name, priority) in [
            ("as-event", Priority::AsEvent),
            ("before", Priority::BeforeNextEvent),
            ("immediate", Priority::Immediate),
            ("before2", Priority::BeforeNextEvent),
        ] {
            let l = log.clone();
            drop(me.run_at(priority, move || l.line(name)));
        }
        checkpoint();
        log.line("done");
        schedule_microtask(move || log.line("micro"));
    };
    expect_virtual_trace(EXPECTED, actions);
    // An action at the tail is at the head as well in the VM's order, but only if nothing else waits
    // (case 23).
    let runtime = Runtime::builder().seeded(1).compat(Compat::Dart).build();
    assert_eq!(trace_on(&runtime, actions), EXPECTED);
}

/// Spawns `entry` and logs what it sends, its errors, and its end.
fn expect_end(expected: &str, policy: ErrorPolicy, entry: fn(SendPort<String>)) {
    let body = move |log: Log| {
        let (inbox, errors) = (ReceivePort::new(), ReceivePort::new());
        let (to, error_to) = (inbox.send_port(), errors.send_port());
        let l = log.clone();
        inbox.listen(move |message: String| l.line(message));
        errors.listen(move |error: UncaughtError| {
            if let ErrorCause::Panicked(report) = &error.cause {
                log.line(report.message());
            }
        });
        Isolate::builder()
            .error_policy(policy)
            .on_error(&error_to)
            .on_exit(&to, |_| "end".to_owned())
            .spawn(entry, to);
    };
    expect_virtual_trace(expected, body);
}

/// Cases 41, 42 and 44: what an uncaught error leaves running, and the order of the listeners.
#[test]
fn an_error_is_told_behind_the_messages_and_before_the_end() {
    let entry = |to: SendPort<String>| {
        to.send("0".to_owned()).unwrap();
        let l = to.clone();
        schedule_microtask(move || l.send("micro".to_owned()).unwrap());
        Timer::run(move || to.send("timer".to_owned()).unwrap());
        panic!("oh");
    };
    expect_end("0 oh end", ErrorPolicy::End, entry);
    expect_end("0 oh micro timer end", ErrorPolicy::Continue, entry);
}

#[test]
fn an_isolate_tells_why_it_is_alive() {
    for_each_seed(
        || async {
            let (child, _inbox) = Isolate::builder().spawn_pair(|inbox: ReceivePort<u8>| {
                inbox.set_name("letters");
                inbox.listen(drop);
                Timer::after(std::time::Duration::from_secs(1), || {});
            });
            child.ping(Priority::AsEvent).await.unwrap();
            child.why_alive().await
        },
        |reasons| {
            let reasons = reasons.unwrap();
            let [
                KeepsAlive::Port {
                    name,
                    opened_at,
                    senders: 1,
                    ..
                },
                KeepsAlive::Timers(1),
            ] = &reasons[..]
            else {
                panic!("{reasons:?}");
            };
            assert_eq!(name.as_deref(), Some("letters"));
            assert!(opened_at.file().ends_with("control.rs"));
        },
    );
}

#[test]
fn a_group_holds_the_children_too_and_ends_together() {
    for_each_seed(
        || async {
            let group = IsolateGroup::new("family");
            let runtime = Runtime::current();
            let (parent, _inbox) = Isolate::builder()
                .group(&group)
                .runtime(&runtime)
                .spawn_pair(async |mut inbox: ReceivePort<()>| {
                    let (_child, _port) = logging_child(&Log::default());
                    inbox.recv().await;
                });
            parent.ping(Priority::AsEvent).await.unwrap();
            let members = group.isolates();
            group.kill_all();
            for member in &members {
                member.exited().await;
            }
            (members.len(), group.isolates().len())
        },
        |sizes| assert_eq!(sizes, Ok((2, 0))),
    );
}

#[test]
fn handles_of_one_group_are_equal_and_hash_alike_and_those_of_a_namesake_do_not() {
    let (group, namesake) = (IsolateGroup::new("family"), IsolateGroup::new("family"));
    // One without a seed, so that two calls can be compared.
    let hasher = BuildHasherDefault::<DefaultHasher>::default();
    let hash = |group: &IsolateGroup| hasher.hash_one(group);
    assert_eq!(
        (&group, hash(&group)),
        (&group.clone(), hash(&group.clone()))
    );
    assert_ne!((&group, hash(&group)), (&namesake, hash(&namesake)));
}

/// Found by a random program: what came before a fatal error is answered, as behind a kill; an
/// isolate that called `exit` does nothing more.
#[test]
fn the_last_control_messages() {
    let ends = |end: fn()| {
        move |log: Log| {
            let l = log.clone();
            Isolate::builder()
                .on_exit(&lines(&log), |_| "end")
                .on_error(&ReceivePort::new().send_port())
                .spawn(
                    move |()| {
                        let me = Isolate::current().unwrap();
                        drop(me.run_at(Priority::Immediate, move || l.line("pong")));
                        end();
                    },
                    (),
                );
        }
    };
    expect_virtual_trace("pong end", ends(|| panic!("expected by the test")));
    expect_virtual_trace("end", ends(|| Isolate::exit_silently()));
}

/// The response is not called, whether or not the port was swept out of the list before the end.
#[test]
fn the_response_for_a_closed_port_is_not_called() {
    expect_virtual_trace("open", |log| {
        let (closed, l) = (ReceivePort::<()>::new(), log.clone());
        let (sender, other) = (closed.send_port(), log.clone());
        drop(closed);
        let isolate = Isolate::builder()
            .on_exit(&lines(&log), |_| "open")
            .on_exit(&sender, move |_| l.line("closed"))
            .spawn(|()| (), ());
        spawn_local(async move {
            isolate.exited().await;
            isolate.add_exit_listener(&sender, move |_| other.line("closed, and late"));
        });
    });
}

fn lines(log: &Log) -> SendPort<&'static str> {
    let port = ReceivePort::new();
    let sender = port.send_port();
    let log = log.clone();
    port.listen(move |line: &str| log.line(line));
    sender
}
