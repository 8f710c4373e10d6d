//! Risk: a child that writes anything into the shared memory harms its parent.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use insula_process::Process;
use insula_rpc::CallError;

use crate::Test;
use crate::service::{Act, LONG, WorkCaller, pool_of, run};

pub(crate) const ALL: &[Test] = &[
    (
        "a_child_that_writes_nonsense_loses_its_worker",
        a_child_that_writes_nonsense_loses_its_worker,
    ),
    (
        "a_worker_that_is_written_over_is_replaced",
        a_worker_that_is_written_over_is_replaced,
    ),
];

const LIES: &str = "WORKER_LIES";

/// Writes nonsense where a worker has its memory, from a seed.
pub(crate) fn lie_if_asked() {
    let Ok(seed) = std::env::var(LIES) else {
        return;
    };
    let Ok(memory) = File::options()
        .read(true)
        .write(true)
        .open("/proc/self/fd/0")
    else {
        return;
    };
    let seed: u64 = seed.parse().unwrap();
    nonsense(&memory, seed);
    thread::sleep(Duration::from_secs(60));
}

fn nonsense(memory: &File, seed: u64) {
    let len = memory.metadata().unwrap().len();
    let mut state = seed;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 11
    };
    for round in 0..2_000 {
        // The positions and bells first, and then anywhere.
        let at = match round % 4 {
            0..=2 => next() % 2_048,
            _ => next() % len,
        };
        let value = match next() % 4 {
            0 => 0,
            1 => next() % 64,
            2 => u64::MAX - next() % 64,
            _ => next(),
        };
        memory
            .write_all_at(&value.to_le_bytes(), at.min(len - 8))
            .unwrap();
    }
}

fn a_child_that_writes_nonsense_loses_its_worker() {
    run(|| async {
        for seed in 0..40 {
            let liar = Process::current_exe().env(LIES, seed.to_string());
            let builder = pool_of(1, liar).startup_timeout(Duration::from_millis(200));
            let error = builder.build().await.unwrap_err();
            assert!(!error.to_string().is_empty());
        }
    });
}

/// The memory of a child that serves, written over by this process, which can reach it as a debugger
/// would.
fn a_worker_that_is_written_over_is_replaced() {
    run(|| async {
        let pool = pool_of(1, Process::current_exe()).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        for seed in 0..10 {
            let process = caller.process(Act::Nothing).deadline(LONG).await.unwrap();
            let maps = std::fs::read_dir(format!("/proc/{process}/map_files")).unwrap();
            let memory = maps.filter_map(|it| Some(it.ok()?.path())).find(|it| {
                std::fs::read_link(it)
                    .is_ok_and(|it| it.to_string_lossy().contains("insula-worker"))
            });
            let Some(memory) = memory else {
                // Only the superuser may.
                return;
            };
            let memory = File::options().read(true).write(true).open(memory).unwrap();
            nonsense(&memory, seed);
            // Whatever becomes of this one, the next ones are answered.
            match caller
                .process(Act::Nothing)
                .deadline(Duration::from_millis(500))
                .await
            {
                Ok(_)
                | Err(
                    CallError::WorkerDied { .. }
                    | CallError::Deadline { .. }
                    | CallError::Protocol { .. },
                ) => {}
                Err(error) => panic!("{error:?}"),
            }
            pool.reload().await.unwrap();
        }
        assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
    });
}
