//! Risk: something in the pool reads another clock or needs real threads, so that it cannot be
//! replayed from a seed.

use std::time::Duration;

use futures_util::future::join_all;
use insula_core::{Instant, Isolate, Runtime};
use insula_rpc::{CallError, Phase};

use crate::service::{Desk, JobsCaller, pool};

const HOUR: Duration = Duration::from_secs(3600);

/// Answers a fixed set of calls and tells which worker ran which.
fn placements(seed: u64) -> Vec<(usize, u32)> {
    let runtime = Runtime::builder().seeded(seed).build();
    let run = runtime.block_on(async {
        Isolate::run_async(|| async {
            let pool = pool(&Desk::default(), 3).build().await.expect("it builds");
            let caller: JobsCaller = pool.caller();
            let answers = join_all((0..40).map(|_| caller.whoami().into_future())).await;
            answers.into_iter().map(Result::unwrap).collect::<Vec<_>>()
        })
        .await
    });
    runtime.shut_down();
    run.expect("the isolate returns the answers")
}

#[test]
fn the_same_seed_gives_the_same_placement() {
    assert_eq!(placements(7), placements(7));
}

#[test]
fn an_hour_of_waiting_takes_no_time() {
    let runtime = Runtime::builder().seeded(1).build();
    let waited = runtime.block_on(async {
        Isolate::run_async(|| async {
            let desk = Desk::default();
            let pool = pool(&desk, 1).grace(HOUR).build().await.unwrap();
            let caller: JobsCaller = pool.caller();
            let began = Instant::now();
            let error = caller.hang().deadline(HOUR).await.unwrap_err();
            assert!(
                matches!(
                    error,
                    CallError::Deadline {
                        phase: Phase::Run,
                        ..
                    }
                ),
                "{error:?}"
            );
            // The handler is deaf, so that its worker is free after the grace period only.
            assert_eq!(caller.echo(1).await.unwrap(), 1);
            Instant::now().saturating_duration_since(began)
        })
        .await
    });
    runtime.shut_down();
    let waited = waited.unwrap();
    assert!(waited >= 2 * HOUR && waited < 2 * HOUR + HOUR, "{waited:?}");
}
