//! Risk: the death of a process is noticed late, or its calls have an outcome that is not true.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use insula_core::{block_on, sleep};
use insula_pool::{Health, Shutdown};
use insula_rpc::{CallError, Outcome, Retry, WorkerExit, retry};

use crate::Test;
use crate::service::{Act, LONG, WorkCaller, pool, run};

pub(crate) const ALL: &[Test] = &[
    (
        "a_handler_that_aborts_takes_its_own_worker_only",
        a_handler_that_aborts_takes_its_own_worker_only,
    ),
    (
        "a_kill_at_any_moment_ends_each_call_once",
        a_kill_at_any_moment_ends_each_call_once,
    ),
    (
        "a_stream_whose_process_dies_says_so",
        a_stream_whose_process_dies_says_so,
    ),
    (
        "a_handler_that_ends_its_isolate_ends_its_process",
        a_handler_that_ends_its_isolate_ends_its_process,
    ),
    (
        "a_pool_that_ends_leaves_no_process",
        a_pool_that_ends_leaves_no_process,
    ),
    (
        "a_handler_that_hangs_is_killed_with_its_process",
        a_handler_that_hangs_is_killed_with_its_process,
    ),
    (
        "a_handler_that_ignores_its_cancellation_is_killed",
        a_handler_that_ignores_its_cancellation_is_killed,
    ),
    (
        "a_worker_that_is_stuck_is_given_up",
        a_worker_that_is_stuck_is_given_up,
    ),
    (
        "children_die_with_their_parent",
        children_die_with_their_parent,
    ),
];

fn kill(process: u32) {
    let status = Command::new("kill")
        .args(["-9", &process.to_string()])
        .status();
    assert!(status.unwrap().success());
}

fn is_alive(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/stat"));
    // The state of a process that has ended and was not waited for.
    status.is_ok_and(|it| !it.contains(") Z "))
}

fn until_gone(process: u32) {
    let begin = Instant::now();
    while is_alive(process) {
        assert!(begin.elapsed() < LONG, "process {process} is still there");
        thread::sleep(Duration::from_millis(5));
    }
}

fn a_handler_that_aborts_takes_its_own_worker_only() {
    run(|| async {
        let pool = pool(2).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        for _ in 0..3 {
            let error = caller.process(Act::Abort).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::MaybeExecuted);
            let CallError::WorkerDied { exit, .. } = error else {
                panic!("{error:?}")
            };
            assert_eq!(exit, WorkerExit::Lost);
            assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
        }
        assert_eq!(pool.stats().died, 3);
    });
}

/// 20 kills, or as many as `INSULA_KILLS` says. Each call is answered or ends with an outcome that its handler's sign does not contradict: one that
/// was not started comes back with its request, and is made again. So nothing is lost.
fn a_kill_at_any_moment_ends_each_call_once() {
    run(|| async {
        let pool = pool(2).concurrency_per_worker(4).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let random = fastrand_of(7);
        // The one that was killed last may be found dead by the next call only.
        let policy =
            Retry::attempts(100).backoff(Duration::from_millis(1), Duration::from_millis(9));
        let rounds = std::env::var("INSULA_KILLS").map_or(20, |it| it.parse().unwrap());
        for round in 0..rounds {
            let victim = retry(&policy, |_| caller.process(Act::Nothing))
                .await
                .unwrap();
            let calls = (0..40_u8).map(|number| {
                let caller = caller.clone();
                async move {
                    let mut bytes = vec![number; 1_000];
                    loop {
                        match caller.reverse(bytes).await {
                            Ok(_) => return true,
                            Err(error) if error.outcome() == Outcome::NotStarted => {
                                bytes = error.into_request().expect("it comes back");
                            }
                            Err(CallError::WorkerDied { .. }) => return false,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }
            });
            let killing = async {
                sleep(Duration::from_micros(random(round) % 3_000)).await;
                kill(victim);
            };
            let (ended, ()) = futures_util::future::join(join_all(calls), killing).await;
            let died = ended.iter().filter(|answered| !**answered).count();
            // Those that ran in the process that was killed, at most.
            assert!(died <= 4, "{died} of {} died", ended.len());
        }
        let stats = pool.stats();
        let ended = stats.answered + stats.died + stats.rejected;
        assert_eq!(stats.submitted, ended, "{stats:?}");
    });
}

/// Numbers that follow from a seed.
fn fastrand_of(seed: u64) -> impl Fn(u64) -> u64 {
    move |round| {
        let mixed = (seed + round).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }
}

fn a_stream_whose_process_dies_says_so() {
    run(|| async {
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let mut numbers = caller.count(1_000, 100, Act::Abort).await.unwrap();
        let mut next = 0;
        let error = loop {
            match numbers.next().await.expect("no clean end") {
                Ok(number) => {
                    assert_eq!(number, next);
                    next += 1;
                }
                Err(error) => break error,
            }
        };
        assert!(next <= 100);
        assert!(matches!(error, CallError::WorkerDied { .. }), "{error:?}");
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
    });
}

fn a_handler_that_ends_its_isolate_ends_its_process() {
    run(|| async {
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let process = caller.process(Act::Nothing).await.unwrap();
        let error = caller.process(Act::Exit).deadline(LONG).await.unwrap_err();
        assert!(matches!(error, CallError::WorkerDied { .. }), "{error:?}");
        let policy =
            Retry::attempts(100).backoff(Duration::from_millis(1), Duration::from_millis(9));
        let other = retry(&policy, |_| caller.process(Act::Nothing))
            .await
            .unwrap();
        assert_ne!(other, process);
        until_gone(process);
    });
}

fn a_pool_that_ends_leaves_no_process() {
    run(|| async {
        let pool = pool(2).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let one = caller.process(Act::Nothing).await.unwrap();
        let two = caller.process(Act::Nothing).await.unwrap();
        pool.shut_down(Shutdown::graceful(LONG)).await;
        until_gone(one);
        until_gone(two);
    });
}

fn a_handler_that_hangs_is_killed_with_its_process() {
    run(|| async {
        let builder = pool(1).grace(Duration::from_millis(10));
        let pool = builder.build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let process = caller.process(Act::Nothing).await.unwrap();
        let call = caller.process(Act::Hang).start();
        sleep(Duration::from_millis(50)).await;
        pool.shut_down(Shutdown::graceful(Duration::from_millis(10)))
            .await;
        assert!(call.await.is_err());
        until_gone(process);
    });
}

/// The calls that come while it goes on end soon, each of them.
fn a_handler_that_ignores_its_cancellation_is_killed() {
    run(|| async {
        let builder = pool(2).grace(Duration::from_millis(50));
        let pool = builder.build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        for dropped in [true, false] {
            let hang = caller.process(Act::Hang);
            if dropped {
                let hang = hang.start();
                sleep(Duration::from_millis(50)).await;
                drop(hang);
            } else {
                let late = hang.deadline(Duration::from_millis(50)).await;
                assert!(matches!(late, Err(CallError::Deadline { .. })), "{late:?}");
            }
            let policy = Retry::attempts(5);
            let calls = (0..6).map(|_| retry(&policy, |_| caller.process(Act::Nothing)));
            for ended in join_all(calls).await {
                assert!(ended.is_ok(), "{ended:?}");
            }
        }
        // Others are left alone, however often calls are cancelled.
        let process = caller.process(Act::Nothing).await.unwrap();
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_millis(1_500) {
            let waits: Vec<_> = (0..4).map(|_| caller.process(Act::Wait).start()).collect();
            sleep(Duration::from_millis(20)).await;
            drop(waits);
        }
        assert!(is_alive(process));
    });
}

fn a_worker_that_is_stuck_is_given_up() {
    run(|| async {
        // Long enough for a worker that is only slow, on a loaded machine.
        let health = Health::stuck_after(Duration::from_secs(1));
        let pool = pool(1).health(health).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let stuck = caller.process(Act::Hang).deadline(LONG).await.unwrap_err();
        assert!(matches!(stuck, CallError::WorkerDied { .. }), "{stuck:?}");
        assert_eq!(stuck.outcome(), Outcome::MaybeExecuted);
        // It may come before the pool knows that the worker is gone, and then it has not started.
        let next = || caller.process(Act::Nothing).deadline(LONG);
        let next = retry(&Retry::attempts(5), |_| next()).await;
        assert!(next.is_ok(), "{next:?}");
    });
}

const PARENT: &str = "WORKER_PARENT";

/// A parent that says which its child is, and is killed then.
pub(crate) fn be_a_parent_if_asked() {
    if std::env::var_os(PARENT).is_none() {
        return;
    }
    block_on(async {
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let process = caller.process(Act::Nothing).await.unwrap();
        let mut out = std::io::stdout();
        writeln!(out, "{process}").unwrap();
        out.flush().unwrap();
        std::future::pending::<()>().await;
    });
}

fn children_die_with_their_parent() {
    let program = std::env::current_exe().unwrap();
    let mut parent = Command::new(Path::new(&program))
        .env(PARENT, "")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(parent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let child: u32 = line.trim().parse().unwrap();
    assert!(is_alive(child));
    parent.kill().unwrap();
    parent.wait().unwrap();
    until_gone(child);
}
