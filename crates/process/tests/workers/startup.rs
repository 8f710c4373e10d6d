//! Risk: a worker that cannot start says nothing, or something of no use.

use std::time::Duration;

use insula_pool::{Restart, WorkerPool};
use insula_process::Process;

use crate::Test;
use crate::service::{START, WorkRequest, pool_of, run};

pub(crate) const ALL: &[Test] = &[
    (
        "a_factory_that_fails_fails_the_build",
        a_factory_that_fails_fails_the_build,
    ),
    (
        "a_factory_that_panics_fails_the_build",
        a_factory_that_panics_fails_the_build,
    ),
    (
        "a_process_that_ends_at_once_fails_the_build",
        a_process_that_ends_at_once_fails_the_build,
    ),
    ("a_slow_start_times_out", a_slow_start_times_out),
    (
        "a_program_that_is_not_there_fails_the_build",
        a_program_that_is_not_there_fails_the_build,
    ),
    (
        "a_program_without_main_starts_no_workers_without_an_end",
        a_program_without_main_starts_no_workers_without_an_end,
    ),
    (
        "a_program_without_workers_fails_the_build",
        a_program_without_workers_fails_the_build,
    ),
];

const FORGETS: &str = "WORKER_FORGETS";

/// A worker that builds a pool of its own in the place of serving.
pub(crate) fn forget_main_if_asked() {
    if std::env::var_os(FORGETS).is_some() {
        let error = error_of(Process::current_exe());
        assert!(error.contains("has not called `process::main`"), "{error}");
        std::process::exit(9);
    }
}

fn a_program_without_main_starts_no_workers_without_an_end() {
    let error = error_of(Process::current_exe().env(FORGETS, ""));
    assert!(error.contains("exit status: 9"), "{error}");
}

fn error_of(process: Process) -> String {
    let (told, tells) = std::sync::mpsc::channel();
    run(|| async move {
        let error = pool_of(1, process).build().await.unwrap_err();
        told.send(error.to_string()).unwrap();
    });
    tells.recv().unwrap()
}

fn started(how: &str) -> Process {
    Process::current_exe().env(START, how)
}

fn a_factory_that_fails_fails_the_build() {
    let error = error_of(started("fails"));
    assert_eq!(error, "start-up of worker 0: there is no tea");
}

fn a_factory_that_panics_fails_the_build() {
    let error = error_of(started("panics"));
    assert!(error.contains("there is no coffee"), "{error}");
}

fn a_process_that_ends_at_once_fails_the_build() {
    let error = error_of(started("exits"));
    assert!(error.contains("exit status: 3"), "{error}");
}

fn a_slow_start_times_out() {
    run(|| async {
        let builder = pool_of(1, started("sleeps")).startup_timeout(Duration::from_millis(100));
        let error = builder.build().await.unwrap_err();
        // The pool or the worker finds it out first.
        assert!(error.to_string().contains("not ready after"), "{error}");
    });
}

fn a_program_that_is_not_there_fails_the_build() {
    let error = error_of(Process::command("/nowhere/at/all"));
    let expected = "/nowhere/at/all cannot be started: No such file";
    assert!(error.contains(expected), "{error}");
}

/// It ends with success, and has served nothing.
fn a_program_without_workers_fails_the_build() {
    run(|| async {
        let pool = WorkerPool::builder().restart(Restart::never());
        let error = pool
            .kind::<WorkRequest, _>(Process::command("true"))
            .build()
            .await
            .unwrap_err();
        assert!(error.to_string().contains("exit status: 0"), "{error}");
    });
}
