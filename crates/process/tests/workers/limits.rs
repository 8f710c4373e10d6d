//! Risk: a worker takes more of the machine than it was given.

use std::time::Duration;

use insula_pool::{WorkerChange, WorkerEvent};
use insula_process::{Deny, Process};
use insula_rpc::{CallError, Outcome, Retry, retry};

use crate::Test;
use crate::service::{Act, LONG, Oops, WorkCaller, pool_of, run};

pub(crate) const ALL: &[Test] = &[
    ("memory_has_a_limit", memory_has_a_limit),
    (
        "memory_has_a_limit_that_a_worker_can_keep_to",
        memory_has_a_limit_that_a_worker_can_keep_to,
    ),
    ("time_on_the_cpu_has_a_limit", time_on_the_cpu_has_a_limit),
    (
        "what_is_denied_is_refused_and_nothing_else",
        what_is_denied_is_refused_and_nothing_else,
    ),
];

/// `blamed` is in the reason for the end of the worker.
fn exceeds(limited: Process, within: Act, beyond: Act, blamed: &str) {
    let (reason, reasons) = std::sync::mpsc::channel();
    let observer = move |event: &WorkerEvent| {
        if let WorkerChange::Restarting { fault, .. } = &event.change {
            let _ = reason.send(fault.to_string());
        }
    };
    run(|| async move {
        let pool = pool_of(1, limited).observe(observer).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let first = caller.process(within).await.unwrap();
        let error = caller.process(beyond).deadline(LONG).await.unwrap_err();
        assert!(matches!(error, CallError::WorkerDied { .. }), "{error:?}");
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
        // The next one has the limits anew.
        let policy =
            Retry::attempts(50).backoff(Duration::from_millis(1), Duration::from_millis(9));
        let second = retry(&policy, |_| caller.process(within)).await.unwrap();
        assert_ne!(first, second);
    });
    let reason = reasons.recv().unwrap();
    assert!(reason.contains(blamed), "{reason}");
}

fn memory_has_a_limit() {
    let limited = Process::current_exe().memory(512 << 20);
    exceeds(
        limited,
        Act::Allocate(64),
        Act::Allocate(1024),
        "was 512 MiB",
    );
}

fn memory_has_a_limit_that_a_worker_can_keep_to() {
    run(|| async {
        for bytes in [0, 1 << 20] {
            let limited = Process::current_exe().memory(bytes);
            let error = pool_of(1, limited).build().await.unwrap_err().to_string();
            assert!(error.contains("a worker needs 16 at least"), "{error}");
        }
        let limited = Process::current_exe().memory(16 << 20);
        let pool = pool_of(1, limited).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
    });
}

fn what_is_denied_is_refused_and_nothing_else() {
    run(|| async {
        for (denied, refused) in [
            (&[][..], ""),
            (&[Deny::Network], "network"),
            (&[Deny::Programs], "program"),
            (&[Deny::System], "process"),
            (
                &[Deny::System, Deny::Network, Deny::Programs],
                "network program process",
            ),
        ] {
            let confined = denied
                .iter()
                .fold(Process::current_exe(), |process, &what| process.deny(what));
            let pool = pool_of(1, confined).build().await.unwrap();
            let caller: WorkCaller = pool.caller();
            let error = caller.process(Act::Try).deadline(LONG).await.unwrap_err();
            assert_eq!(error.into_app(), Some(Oops(refused.to_owned())));
            assert!(caller.process(Act::Nothing).await.is_ok());
        }
    });
}

fn time_on_the_cpu_has_a_limit() {
    let limited = Process::current_exe().cpu_time(Duration::from_secs(1));
    exceeds(limited, Act::Nothing, Act::Compute, "spent its 1 s");
}
