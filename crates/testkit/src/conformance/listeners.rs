//! Listeners, errors, ends. Cases 39 to 57.

use std::fmt;

use insula_core::{
    ErrorCause, ErrorPolicy, ExitReason, Isolate, Priority, ReceivePort, Run, RunError, Runtime,
    SendPort, Timer, schedule_microtask, sleep, spawn_local,
};

use super::stage::{
    Finally, Lines, Order, child, elsewhere, error_policy, errors, lines, ms, say, saying, server,
    tell, unheard,
};
use super::{Case, Check, Verdict};
use crate::Log;

const DESTRUCTORS_RUN: &str = "what the stack and the tasks hold is dropped, and a destructor may still send; \
     no other code runs";
const NO_LOST_MICROTASKS: &str =
    "microtasks that an error left behind run at once: they wait for no event, and are never lost";

pub(super) const CASES: &[Case] = &[
    Case::as_vm(
        "39",
        "c20_exit_listener_rules",
        "exit listeners: a twice, b, d twice and removed, r",
        &[Check::new("entry, a second, b null, r [list, 1, {k: 2}]", exit_listeners)],
    ),
    Case::new(
        "40",
        "c20_exit_listener_rules",
        "an exit listener for, and a ping to, an isolate that has ended",
        Verdict::Different(
            "whoever asks after the end learns of it at once: no race between an isolate's end and \
             the listener that waits for it",
        ),
        &[Check::new("told finished, no pong", asking_the_dead).vm("no pong")],
    ),
    Case::as_vm(
        "41",
        "c21_exit_after_messages_same_port",
        "three messages, a microtask, a zero timer, then an error; fatal",
        &[Check::new("0, 1, 2, error bad, exit", |log| an_error_in_the_entry(&log, true))],
    ),
    Case::new(
        "42",
        "c22_nonfatal_error_continues",
        "the same, not fatal",
        Verdict::DifferentUnlessDart(NO_LOST_MICROTASKS),
        &[Check::new("0, 1, 2, error bad, M, T0, exit", |log| an_error_in_the_entry(&log, false))
            .vm("0, 1, 2, error bad, T0, M, exit")],
    ),
    Case::as_vm(
        "43",
        "c23_error_listener_dedupe",
        "an error listener added twice, another one added and removed",
        &[Check::new("e1 boom1, e1 boom2, alive, exit", error_listeners)],
    ),
    Case::new(
        "44",
        "c24_error_in_microtask",
        "of three microtasks the second throws; an unhandled error of a future; a zero timer",
        Verdict::DifferentUnlessDart(NO_LOST_MICROTASKS),
        &[
            Check::new("m1, error boom, exit", |log| an_error_in_a_microtask(&log, true))
                .part("fatal"),
            Check::new("m1, error boom, m3, error unhandled, T0, exit", |log| {
                an_error_in_a_microtask(&log, false);
            })
            .part("not fatal")
            .vm("m1, error boom, T0, m3, error unhandled, exit"),
        ],
    ),
    Case::new(
        "45",
        "c30_lost_microtasks_after_error",
        "an error in the entry, not fatal, with a microtask and nothing else",
        Verdict::DifferentUnlessDart(NO_LOST_MICROTASKS),
        &[Check::new("error oh, M, exit", a_microtask_behind_an_error).vm("error oh, exit")],
    ),
    Case::as_vm(
        "46",
        "c47_exit_value_and_error_order",
        "0 to 3 are queued, the handler throws at 1",
        &[
            Check::new("h0, h1, error E1, exit", |log| an_error_in_a_handler(&log, true))
                .part("fatal"),
            Check::new("h0, h1, error E1, h2, h3, timer, exit", |log| {
                an_error_in_a_handler(&log, false);
            })
            .part("not fatal"),
        ],
    ),
    Case::as_vm(
        "47",
        "c48_set_errors_fatal_late",
        "errors are made not fatal, then fatal again",
        &[Check::new("error boom, alive 1, error boom, exit", errors_fatal_or_not)],
    ),
    Case::new(
        "48",
        "c51_error_in_zone_and_listener_stack",
        "errors that zones report, with stack traces of their own; an error without text",
        Verdict::NotApplicable(
            "there are no zones, and an error is told as a value (`UncaughtError`), not as two strings. \
             Shown: an error whose text cannot be made is told all the same",
        ),
        &[Check::new("error no text, panicked, exit", an_error_without_text)],
    ),
    Case::new(
        "49",
        "c57_unhandled_child_no_listener",
        "errors without a listener, fatal and not",
        Verdict::DifferentUnlessDart(
            "no error vanishes: without a listener the process-wide hook is told, also of one that is not fatal",
        ),
        &[
            Check::new("hook: error child error, parent goes on", |log| {
                an_error_without_listener(&log, true);
            })
            .part("fatal"),
            Check::new("hook: error child error, child goes on, parent goes on", |log| {
                an_error_without_listener(&log, false);
            })
            .part("not fatal")
            .vm("child goes on, parent goes on"),
        ],
    ),
    Case::new(
        "50",
        "c25_isolate_exit",
        "`Isolate::exit` with a microtask, a zero timer and something to clean up",
        Verdict::Different(DESTRUCTORS_RUN),
        &[
            Check::new("final, finally, exit", exit_with_a_message)
                .part("with a message")
                .vm("final, exit"),
            Check::new("exit", |log| {
                let to = lines(&log);
                child(&log, &to).spawn(|()| -> () { Isolate::exit_silently() }, ());
            })
            .part("without"),
        ],
    )
    .note("What cannot be sent does not compile, so `exit` never fails."),
    Case::as_vm(
        "51",
        "c76_exit_listener_on_isolate_exit_order",
        "a message, then `exit` with another; a hundred times",
        &[Check::new("in order: 100 of 100", exit_a_hundred_times)],
    ),
    Case::new(
        "52",
        "c80_exit_in_nested_callback_finalizers",
        "`exit` in an async function, and in a zero timer with another behind it",
        Verdict::Different(DESTRUCTORS_RUN),
        &[
            Check::timed("1, finally, exit", exit_in_a_task).part("async function").vm("1, exit"),
            Check::new("2, exit", exit_in_a_timer).part("timer"),
        ],
    ),
    Case::new(
        "53",
        "c61_exit_main",
        "`exit` to a closed port; `exit` in main",
        Verdict::Different(
            "a program's `main` gets no result from an isolate that exits, and ends with an error of its own",
        ),
        &[
            Check::new("exit", exit_to_a_closed_port).part("closed port"),
            Check::new("main has no result: Ended", exit_in_main)
                .part("main")
                .vm("exit code 255"),
        ],
    ),
    Case::as_vm(
        "54",
        "c63_grandchild_survives",
        "a child spawns a grandchild and ends",
        &[Check::timed("child exits, grandchild lives", a_grandchild)],
    ),
    Case::as_vm(
        "55",
        "c40_main_exit_kills_children",
        "main ends while a child has a timer",
        &[Check::new("child entry, main done", main_ends)],
    )
    .note("As `#[insula::main]` does it: the runtime is shut down when main's isolate has its result."),
    Case::new(
        "56",
        "c41_uncaught_main",
        "main throws, with a microtask and a timer",
        Verdict::Different("a panic of `main` ends the process with Rust's exit code, 101 and not 255"),
        &[Check::new("main panicked: oh", main_panics).vm("exit code 255")],
    ),
    Case::new(
        "57",
        "c34_isolate_run",
        "`Isolate::run`: values, errors, ends without a result",
        Verdict::Different(
            "a computation's error is its value, with its type. An uncaught error beside the computation \
             is told as one of its isolate, and the run ends without a result",
        ),
        &[Check::new(
            "value 42, async value 1, typed error 7, async typed error 8, unit, fast, \
             panicked here, error beside, beside: ended, exit: ended, never: ended, kill: ended",
            runs,
        )
        .vm(
            "value 42, async value 1, typed error 7, async typed error 8, unit, fast, \
             RemoteError here, RemoteError beside, exit: ended, never: ended, kill: ended",
        )],
    )
    .note("What cannot be sent, as a capture, a result or an error, does not compile."),
];

fn exit_listeners(log: Log) {
    let to = lines(&log);
    let port = |name: &'static str| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        let log = log.clone();
        port.listen(move |line: String| log.line(format!("{name} {line}")));
        sender
    };
    let (a, b, d, r) = (port("a"), port("b"), port("d"), port("r"));
    let entry = saying(&to, "entry");
    let isolate = Isolate::builder().paused().spawn(|()| entry(), ());
    let add = |port: &SendPort<String>, response: &'static str| {
        isolate.add_exit_listener(port, move |_| response.to_owned());
    };
    add(&a, "first");
    add(&a, "second");
    add(&b, "null");
    add(&d, "1");
    add(&d, "2");
    isolate.remove_exit_listener(&d);
    add(&r, "[list, 1, {k: 2}]");
    isolate.resume(
        isolate
            .pause_capability()
            .expect("the spawner's handle has it"),
    );
}

fn asking_the_dead(log: Log) {
    let to = lines(&log);
    let isolate = Isolate::spawn(|()| (), ());
    spawn_local(async move {
        isolate.exited().await;
        isolate.add_exit_listener(&to, |reason| format!("told {reason}"));
        let pong = isolate.ping(Priority::Immediate).await;
        say(&to, if pong.is_ok() { "pong" } else { "no pong" });
    });
}

fn an_error_in_the_entry(log: &Log, is_fatal: bool) {
    let to = lines(log);
    fn entry(to: Lines) {
        (0..3).for_each(|i| say(&to, i));
        schedule_microtask(saying(&to, "M"));
        Timer::run(saying(&to, "T0"));
        panic!("bad");
    }
    child(log, &to)
        .error_policy(error_policy(is_fatal))
        .spawn(entry, to);
}

fn error_listeners(log: Log) {
    let to = lines(&log);
    let port = |name: &'static str| {
        let port = ReceivePort::new();
        let sender = port.send_port();
        let log = log.clone();
        port.listen(move |error: insula_core::UncaughtError| {
            if let ErrorCause::Panicked(report) = error.cause {
                log.line(format!("{name} {}", report.message()));
            }
        });
        sender
    };
    let (e1, e2) = (port("e1"), port("e2"));
    let entry = |to: Lines| {
        Timer::run(|| panic!("boom1"));
        Timer::run(|| panic!("boom2"));
        Timer::run(saying(&to, "alive"));
    };
    let isolate = Isolate::builder()
        .paused()
        .error_policy(ErrorPolicy::Continue)
        .on_exit(&to, |_| "exit".to_owned())
        .spawn(entry, to);
    isolate.add_error_listener(&e1);
    isolate.add_error_listener(&e1);
    isolate.add_error_listener(&e2);
    isolate.remove_error_listener(&e2);
    isolate.resume(
        isolate
            .pause_capability()
            .expect("the spawner's handle has it"),
    );
}

fn an_error_in_a_microtask(log: &Log, is_fatal: bool) {
    let to = lines(log);
    let entry = |to: Lines| {
        schedule_microtask(saying(&to, "m1"));
        schedule_microtask(|| panic!("boom"));
        schedule_microtask(saying(&to, "m3"));
        Timer::run(saying(&to, "T0"));
        spawn_local(async { panic!("unhandled") });
    };
    child(log, &to)
        .error_policy(error_policy(is_fatal))
        .spawn(entry, to);
}

fn a_microtask_behind_an_error(log: Log) {
    let to = lines(&log);
    fn entry(to: Lines) {
        schedule_microtask(saying(&to, "M"));
        panic!("oh");
    }
    child(&log, &to)
        .error_policy(ErrorPolicy::Continue)
        .spawn(entry, to);
}

fn an_error_in_a_handler(log: &Log, is_fatal: bool) {
    let to = lines(log);
    let entry = |to: Lines| {
        let port = ReceivePort::new();
        let own = port.send_port();
        (0..4).for_each(|i| _ = own.send(i));
        Timer::run(saying(&to, "timer"));
        port.listen(move |i: u32| {
            say(&to, format!("h{i}"));
            assert!(i != 1, "E{i}");
        });
    };
    child(log, &to)
        .error_policy(error_policy(is_fatal))
        .spawn(entry, to);
}

fn errors_fatal_or_not(log: Log) {
    let to = lines(&log);
    let (isolate, port) = server(child(&log, &to), &to);
    let boom = || Order::act(|_| panic!("boom"));
    isolate.set_error_policy(ErrorPolicy::Continue);
    tell(&port, boom());
    tell(&port, Order::Say("alive 1"));
    spawn_local(async move {
        // Behind both orders, so that the first error still meets the policy of before.
        let _ = isolate.ping(Priority::AsEvent).await;
        isolate.set_error_policy(ErrorPolicy::End);
        tell(&port, boom());
        tell(&port, Order::Say("never"));
    });
}

struct Textless;

impl fmt::Display for Textless {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("no text")
    }
}

fn an_error_without_text(log: Log) {
    let to = lines(&log);
    let isolate = Isolate::builder()
        .on_error(&errors(&log))
        .on_exit(&to, |reason| match reason {
            ExitReason::Panicked(_) => "panicked".to_owned(),
            reason => reason.to_string(),
        })
        .spawn(|()| Err::<(), _>(Textless), ());
    isolate.add_exit_listener(&lines(&log), |_| "exit".to_owned());
}

fn an_error_without_listener(log: &Log, is_fatal: bool) {
    let to = lines(log);
    fn entry(to: Lines) {
        Timer::run(saying(&to, "child goes on"));
        panic!("child error");
    }
    let parent = to.clone();
    Isolate::builder()
        .name(unheard(log))
        .error_policy(error_policy(is_fatal))
        .on_exit(&parent, |_| "parent goes on".to_owned())
        .spawn(entry, to);
}

fn exit_with_a_message(log: Log) {
    let to = lines(&log);
    fn entry(to: Lines) {
        schedule_microtask(saying(&to, "M"));
        Timer::run(saying(&to, "T0"));
        let _finally = Finally(to.clone());
        Isolate::exit(&to, "final".to_owned());
    }
    child(&log, &to).spawn(entry, to);
}

fn exit_a_hundred_times(log: Log) {
    spawn_local(async move {
        let mut in_order = 0;
        for _ in 0..100 {
            let mut port = ReceivePort::new();
            let to = port.send_port();
            fn entry(to: SendPort<&str>) {
                let _ = to.send("data");
                Isolate::exit(&to, "final");
            }
            Isolate::builder().on_exit(&to, |_| "exit").spawn(entry, to);
            let mut seen = Vec::new();
            while let Some(line) = port.recv().await {
                seen.push(line);
            }
            in_order += u32::from(seen == ["data", "final", "exit"]);
        }
        log.line(format!("in order: {in_order} of 100"));
    });
}

fn exit_in_a_task(log: Log) {
    let to = lines(&log);
    async fn entry(to: Lines) {
        let _finally = Finally(to.clone());
        sleep(ms(1)).await;
        Isolate::exit(&to, "1".to_owned());
    }
    child(&log, &to).spawn(entry, to);
}

fn exit_in_a_timer(log: Log) {
    let to = lines(&log);
    let entry = |to: Lines| {
        let out = to.clone();
        Timer::run(move || Isolate::exit(&out, "2".to_owned()));
        Timer::run(saying(&to, "second timer"));
    };
    child(&log, &to).spawn(entry, to);
}

fn exit_to_a_closed_port(log: Log) {
    let to = lines(&log);
    let closed = ReceivePort::<u8>::new();
    let nowhere = closed.send_port();
    closed.close();
    child(&log, &to).spawn(move |()| -> () { Isolate::exit(&nowhere, 1) }, ());
}

/// Does what `#[insula::main]` does: runs a computation on a runtime that is shut down afterwards.
fn as_main<R: Send + 'static>(
    computation: impl FnOnce() -> R + Send + 'static,
) -> Result<R, RunError> {
    let runtime = Runtime::builder().threads(2).build();
    let result = runtime.block_on(async { Isolate::run_async(async move || computation()).await });
    runtime.shut_down();
    result
}

fn exit_in_main(log: Log) {
    // Outside of isolates, as the thread of a real `main` is.
    elsewhere(
        move || match as_main(|| -> () { Isolate::exit_silently() }) {
            Err(error) => log.line(format!("main has no result: {error:?}")),
            Ok(()) => log.line("main has a result"),
        },
    );
}

fn a_grandchild(log: Log) {
    let to = lines(&log);
    let entry = |to: Lines| {
        Isolate::spawn(
            async |to: Lines| {
                sleep(ms(50)).await;
                say(&to, "grandchild lives");
            },
            to.clone(),
        );
    };
    Isolate::builder()
        .on_exit(&to, |_| "child exits".to_owned())
        .spawn(entry, to);
}

fn main_ends(log: Log) {
    elsewhere(move || {
        let l = log.clone();
        let (started, has_started) = insula_core::one_shot();
        let result = as_main(move || {
            let child = l.clone();
            Isolate::spawn(
                async move |()| {
                    child.line("child entry");
                    started.send(());
                    // Much longer than main lives: nothing but the end of the runtime ends it.
                    sleep(ms(60_000)).await;
                    child.line("never");
                },
                (),
            );
            // Runs on the second thread of main's runtime.
            let _ = has_started.wait();
            l.line("main done");
        });
        assert_eq!(result, Ok(()));
    });
}

fn main_panics(log: Log) {
    elsewhere(move || {
        let l = log.clone();
        let result = as_main(move || {
            schedule_microtask(l.later("M"));
            Timer::run(l.later("T0"));
            panic!("oh");
        });
        match result {
            Err(RunError::Panicked(report)) => {
                log.line(format!("main panicked: {}", report.message()));
            }
            result => log.line(format!("{result:?}")),
        }
    });
}

fn ended<R>(what: &str, result: Result<R, RunError>) -> String {
    match result {
        Err(RunError::Ended) => format!("{what}: ended"),
        Err(RunError::Panicked(report)) => format!("panicked {}", report.message()),
        _ => format!("{what}: something else"),
    }
}

fn runs(log: Log) {
    spawn_local(async move {
        let value = Isolate::run(|| 42).await;
        log.line(format!("value {}", value.expect("computed")));
        let value = Isolate::run_async(async || {
            insula_core::yield_now().await;
            1
        });
        log.line(format!("async value {}", value.await.expect("computed")));
        let typed = Isolate::run(|| Err::<(), u32>(7)).await.expect("computed");
        log.line(format!(
            "typed error {}",
            typed.expect_err("it is an error")
        ));
        let typed = Isolate::run_async(async || Err::<(), u32>(8))
            .await
            .expect("computed");
        log.line(format!(
            "async typed error {}",
            typed.expect_err("it is an error")
        ));
        Isolate::run(|| ()).await.expect("computed");
        log.line("unit");
        let fast = Isolate::run_async(async || {
            // A computation has its result although a timer is left, and its isolate then ends with
            // that.
            Timer::after(ms(20_000), || unreachable!("its isolate has ended"));
            "fast"
        });
        log.line(fast.await.expect("computed"));
        log.line(ended(
            "here",
            Isolate::run(|| -> () { panic!("here") }).await,
        ));
        log.line(ended("beside", beside(&log).await));
        let exit = Isolate::run(|| -> () { Isolate::exit_silently() });
        log.line(ended("exit", exit.await));
        let never = Isolate::run_async(async || std::future::pending::<()>().await);
        log.line(ended("never", never.await));
        let kill = Isolate::run_async(async || {
            Isolate::current().expect("it runs in one").kill();
            std::future::pending::<()>().await;
        });
        log.line(ended("kill", kill.await));
    });
}

/// Starts a computation that never ends, with an error beside it.
fn beside(log: &Log) -> Run<()> {
    let (go, gone) = insula_core::one_shot();
    let run = Isolate::run_async(async || {
        // Not before there is a listener for the error.
        drop(gone.await);
        Timer::run(|| panic!("beside"));
        std::future::pending::<()>().await;
    });
    run.isolate().add_error_listener(&errors(log));
    // Not earlier: the error has to find its listener.
    go.send(());
    run
}
