//! Files, what is native, the service; what was read in sources and not recorded. Cases 81 to
//! 87, and S1 to S5.

use insula_core::{
    Isolate, IsolateNameServer, ReceivePort, Runtime, blocking, one_shot, schedule_microtask,
    spawn_local,
};
use insula_io::{Directory, File, IoError, IoService, OpenMode, request};

use super::stage::{Lines, child, elsewhere, lines, say, saying};
use super::{Case, Check, Verdict};
use crate::Log;

const NO_FOREIGN_CODE: &str =
    "code in other languages, and callbacks that it calls, come with the C interface";

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
    Case::new(
        "83",
        "c82_post_cobject",
        "objects posted from C",
        Verdict::Later(NO_FOREIGN_CODE),
        &[],
    ),
    Case::new(
        "84",
        "c46_native_callable",
        "native callbacks: listening, and local to the isolate",
        Verdict::Later(NO_FOREIGN_CODE),
        &[],
    ),
    Case::new(
        "85",
        "c54_native_listener_error",
        "a native callback that throws",
        Verdict::Later(NO_FOREIGN_CODE),
        &[],
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
    Case::new(
        "S1",
        "native_synchronization",
        "a mailbox that is full, closed, or waited for",
        Verdict::Later("the mailbox comes with the C interface"),
        &[],
    ),
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
        // On its way from here on.
        let path = ".".into();
        let exists = IoService::global().request(request::DirectoryExists { path });
        schedule_microtask(saying(&to, "M"));
        let exists = exists.await.is_ok_and(|exists| exists);
        say(&to, format!("exists {exists}"));
    }
    let to = lines(&log);
    // The child has nothing but the pending request to live for.
    child(&log, &to).spawn(entry, to);
}

fn many_that_block(log: Log) {
    elsewhere(move || {
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
        // None goes on before all have started.
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

/// No other isolate of the process uses it.
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
