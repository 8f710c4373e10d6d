//! Files, native ports and the I/O service, and behavior that was read in sources and not recorded.
//! Cases 81 to 87, and S1 to S5.

use insula_core::{
    Isolate, IsolateLocalCallback, IsolateNameServer, ListenerCallback, Mailbox, MailboxError,
    ReceivePort, Runtime, Timer, blocking, one_shot, schedule_microtask, spawn_local,
};
use insula_io::{Directory, File, IoError, IoService, OpenMode, request};

use super::stage::{Lines, child, elsewhere, error_policy, lines, say, saying};
use super::{Case, Check, Verdict};
use crate::Log;

pub(super) const CASES: &[Case] = &[
    Case::as_vm(
        "81",
        "c45_io_semantics",
        "a busy file, a closed file, a file that is not there; microtasks and liveness",
        &[
            Check::new(
                "an asynchronous operation is pending, the file is closed, code 2",
                refused_operations,
            )
            .part("refusals"),
            Check::new("M, exists true, exit", microtasks_before_io).part("order and liveness"),
        ],
    )
    .tests(&[
        "a_busy_file_refuses_a_second_operation_and_a_closed_one_all",
        "errors_keep_code_text_operation_and_path",
        "microtasks_come_before_a_result",
        "pending_io_keeps_its_isolate_alive",
    ]),
    Case::as_vm(
        "82",
        "c83_io_pool_limit",
        "8, 31, 32 and 40 blocked openings of named pipes, and other requests",
        &[],
    )
    .note("The width is 32 as in the VM, unless one's own `IoService` has another; sockets and timers are never held up.")
    .tests(&[
        "with_room_left_others_work",
        "as_many_as_the_service_is_wide_make_others_wait",
        "more_wait_and_are_counted",
        "a_wider_service_has_room_for_them",
    ]),
    Case::as_vm(
        "83",
        "c82_post_cobject",
        "objects posted by a foreign thread, to a port and to a closed one",
        &[Check::new("1, true, text, x, refused", posts_from_outside)],
    )
    .note("What C posts is tested in C (`crates/ffi/tests/c`): a value of no kind, a handle of no port and a closed port give their statuses."),
    Case::as_vm(
        "84",
        "c46_native_callable",
        "native callbacks: listening, and local to the isolate",
        &[
            Check::new(
                "sync end, micro main, timer A, listener 1, M 1, port x, listener 2, M 2, timer B",
                listener_among_others,
            )
            .part("order"),
            Check::new("local 5, after", local_callback).part("local"),
            Check::new("closed true, closed false, refused", closed_listener).part("close"),
            Check::new("exit", listener_that_keeps_nobody_alive).part("liveness"),
        ],
    )
    .tests(&[
        "calls_are_in_order_with_messages_and_have_turns_of_their_own",
        "a_local_callback_refuses_other_threads_and_other_isolates",
        "a_closed_callback_gives_the_argument_back",
    ]),
    Case::as_vm(
        "85",
        "c54_native_listener_error",
        "a native callback that throws",
        &[
            Check::new("x0, x1, error boom1, exit", |log| {
                listener_that_panics(log, true);
            })
            .part("fatal"),
            Check::new("x0, x1, error boom1, x2, exit", |log| {
                listener_that_panics(log, false);
            })
            .part("not fatal"),
        ],
    ),
    Case::new(
        "86",
        "c70_vm_service",
        "the service protocol: events in their order, errors by number",
        Verdict::Later("the inspector has its own protocol, which comes with it"),
        &[],
    ),
    Case::as_vm(
        "87",
        "c52_many_isolates_blocked",
        "300 isolates that block their threads at once",
        &[Check::on_threads("300 at once", many_that_block)],
    )
    .note("How many threads may be added is bounded: by 256 unless set, here by 300.")
    .tests(&["isolates_that_block_all_run"]),
    Case::as_vm(
        "S1",
        "native_synchronization",
        "a mailbox that is full, closed, or waited for",
        &[Check::new("put, full, closed", mailbox)],
    )
    .note("Here `put` waits for room; what refuses at once is `try_put`.")
    .tests(&["close_drops_what_is_inside_and_wakes_everybody"]),
    Case::as_vm("S2", "flutter/fml", "message loops are merged and unmerged", &[]).tests(&[
        "merged_tasks_run_in_one_order_and_both_observe",
        "after_an_unmerge_everybody_runs_his_own",
        "who_may_be_merged",
    ]),
    Case::as_vm("S3", "flutter/fml", "observers run after each task", &[])
        .tests(&["observers_run_after_each_task"]),
    Case::as_vm("S4", "flutter/fml", "a task that is posted after the end", &[])
        .tests(&["a_task_that_comes_too_late_is_dropped_at_once"]),
    Case::new(
        "S5",
        "flutter/ui",
        "a name is registered twice, looked up, removed; its isolate ends",
        Verdict::Different("a name goes when its port is closed or its isolate ends: nobody finds a dead port"),
        &[
            Check::new("registered, taken, found, removed, absent", a_name).part("while it lives"),
            Check::new("absent", a_name_of_the_dead).part("afterwards").vm("found"),
        ],
    ),
];

/// A message of a foreign thread.
enum Posted {
    Number(i64),
    Flag(bool),
    Text(&'static str),
}

fn posts_from_outside(log: Log) {
    let port = ReceivePort::new();
    let sender = port.send_port();
    let own = sender.clone();
    let heard = log.clone();
    port.listen(move |posted| match posted {
        Posted::Number(number) => heard.line(number),
        Posted::Flag(flag) => heard.line(flag),
        Posted::Text(text) => heard.line(text),
    });
    elsewhere(move || {
        for posted in [Posted::Number(1), Posted::Flag(true), Posted::Text("text")] {
            assert!(sender.send(posted).is_ok());
        }
    });
    assert!(own.send(Posted::Text("x")).is_ok());
    let closed = ReceivePort::<Posted>::new();
    let sender = closed.send_port();
    closed.close();
    // In a later turn, so that the messages which were accepted come before the refusal.
    Timer::run(move || {
        elsewhere(move || {
            if sender.send(Posted::Number(2)).is_err() {
                log.line("refused");
            }
        });
    });
}

fn listener_among_others(log: Log) {
    let l = log.clone();
    let callback = ListenerCallback::new(move |x: u32| {
        l.line(format!("listener {x}"));
        let l = l.clone();
        schedule_microtask(move || l.line(format!("M {x}")));
    });
    let to = lines(&log);
    let timer = |name: &'static str| {
        let log = log.clone();
        Timer::run(move || log.line(format!("timer {name}")));
    };
    timer("A");
    assert!(callback.call(1).is_ok());
    say(&to, "port x");
    assert!(callback.call(2).is_ok());
    timer("B");
    let l = log.clone();
    schedule_microtask(move || l.line("micro main"));
    log.line("sync end");
}

fn local_callback(log: Log) {
    let l = log.clone();
    let callback = IsolateLocalCallback::new(move |x: u32| l.line(format!("local {x}")));
    assert!(callback.call(5).is_ok());
    log.line("after");
}

fn closed_listener(log: Log) {
    let l = log.clone();
    let callback = ListenerCallback::new(move |x: u32| l.line(format!("listener {x}")));
    // Accepted, and then lost with the close: the trace has no line of it.
    assert!(callback.call(9).is_ok());
    log.line(format!("closed {}", callback.close()));
    log.line(format!("closed {}", callback.close()));
    if callback.call(10).is_err() {
        log.line("refused");
    }
}

/// Another isolate, which lives on, holds the callback.
fn listener_that_keeps_nobody_alive(log: Log) {
    let to = lines(&log);
    let handles = ReceivePort::new();
    let handle = handles.send_port();
    let mut held = Vec::new();
    handles.listen(move |callback: ListenerCallback<u32>| held.push(callback));
    child(&log, &to).spawn(
        move |()| {
            let callback = ListenerCallback::new(|_: u32| {});
            assert!(callback.let_isolate_end().is_ok());
            assert!(handle.send(callback).is_ok());
        },
        (),
    );
}

fn listener_that_panics(log: Log, is_fatal: bool) {
    let to = lines(&log);
    child(&log, &to).error_policy(error_policy(is_fatal)).spawn(
        |to: Lines| {
            let callback = ListenerCallback::new(move |x: u32| {
                say(&to, format!("x{x}"));
                assert!(x != 1, "boom1");
            });
            for x in 0..3 {
                assert!(callback.call(x).is_ok());
            }
        },
        to,
    );
}

fn mailbox(log: Log) {
    let mailbox = Mailbox::new();
    if mailbox.try_put(1).is_ok() {
        log.line("put");
    }
    if mailbox
        .try_put(2)
        .is_err_and(|it| it.error == MailboxError::Full)
    {
        log.line("full");
    }
    mailbox.close();
    if mailbox.take() == Err(MailboxError::Closed) {
        log.line("closed");
    }
}

fn refused_operations(log: Log) {
    spawn_local(async move {
        let folder = Directory::create_temp("insula-testkit-")
            .await
            .expect("a folder");
        let path = folder.join("busy");
        let file = File::open(&path, OpenMode::Write).await.expect("a file");
        let lease = file.lease().expect("nobody else uses it");
        log.line(text_of(file.length().await));
        drop(lease);
        file.close().await.expect("it was open");
        log.line(text_of(file.length().await));
        let absent = File::open(folder.join("absent"), OpenMode::Read).await;
        let code = absent.err().and_then(|error| error.code());
        log.line(format!("code {}", code.unwrap_or_default()));
        Directory::delete_recursive(folder)
            .await
            .expect("it is ours");
    });
}

fn text_of(result: Result<u64, IoError>) -> String {
    match result {
        Ok(length) => format!("length {length}"),
        Err(error) => error.to_string(),
    }
}

fn microtasks_before_io(log: Log) {
    async fn entry(to: Lines) {
        // The path moves from here on.
        let path = ".".into();
        let exists = IoService::global().request(request::DirectoryExists { path });
        schedule_microtask(saying(&to, "M"));
        let exists = exists.await.is_ok_and(|exists| exists);
        say(&to, format!("exists {exists}"));
    }
    let to = lines(&log);
    // Only the pending request keeps the child alive.
    child(&log, &to).spawn(entry, to);
}

fn many_that_block(log: Log) {
    elsewhere(move || {
        // Of its own, since that of the body may be a seeded one, which has no threads.
        let runtime = Runtime::builder().threads(2).spare_threads(300).build();
        let blocked: Vec<_> = (0..300)
            .map(|_| {
                let ((start, started), (go, gone)) = (one_shot(), one_shot::<()>());
                Isolate::builder().runtime(&runtime).spawn(
                    move |()| {
                        blocking(|| {
                            start.send(());
                            drop(gone.wait());
                        });
                    },
                    (),
                );
                (started, go)
            })
            .collect();
        // None continues before all have started.
        let count = blocked
            .into_iter()
            .map(|(started, go)| (started.wait().is_ok(), go))
            .collect::<Vec<_>>()
            .iter()
            .filter(|(has_started, _)| *has_started)
            .count();
        log.line(format!("{count} at once"));
        runtime.shut_down();
    });
}

/// Returns a name that no other isolate of the process uses.
fn own_name() -> String {
    let me = Isolate::current().expect("a body runs in an isolate");
    format!("testkit {:?}", me.id())
}

fn a_name(log: Log) {
    let name = own_name();
    let (port, other) = (ReceivePort::<u8>::new(), ReceivePort::<u8>::new());
    let registered = IsolateNameServer::register(&*name, &port.send_port());
    log.line(if registered.is_ok() {
        "registered"
    } else {
        "refused"
    });
    let second = IsolateNameServer::register(&*name, &other.send_port());
    log.line(if second.is_ok() {
        "registered"
    } else {
        "taken"
    });
    log.line(look_up(&name));
    log.line(if IsolateNameServer::remove(&name) {
        "removed"
    } else {
        "unknown"
    });
    log.line(look_up(&name));
}

fn look_up(name: &str) -> &'static str {
    match IsolateNameServer::look_up::<u8>(name) {
        Some(_) => "found",
        None => "absent",
    }
}

fn a_name_of_the_dead(log: Log) {
    let name = own_name();
    let registered = name.clone();
    let child = Isolate::spawn(
        move |()| {
            // Still open at the kill, so that the name goes with the isolate and not with the port.
            let port = ReceivePort::<u8>::new();
            IsolateNameServer::register(registered, &port.send_port())
                .is_ok()
                .then(|| Isolate::current().map(|me| me.kill()));
        },
        (),
    );
    spawn_local(async move {
        child.exited().await;
        log.line(look_up(&name));
    });
}
