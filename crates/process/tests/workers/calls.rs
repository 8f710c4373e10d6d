//! Risk: a call means something else in another process.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use insula_core::sleep;
use insula_pool::{Hybrid, Local, Shutdown, WorkerPool};
use insula_process::Process;
use insula_rpc::{CallError, Outcome};
use std::time::Duration;

use crate::Test;
use crate::service::{Act, LONG, Oops, Service, WorkCaller, WorkRequest, WorkResponder, pool, run};

pub(crate) const ALL: &[Test] = &[
    ("calls_run_in_other_processes", calls_run_in_other_processes),
    (
        "a_pool_may_have_isolates_and_processes",
        a_pool_may_have_isolates_and_processes,
    ),
    ("errors_and_panics_come_back", errors_and_panics_come_back),
    (
        "a_large_value_passes_a_small_ring",
        a_large_value_passes_a_small_ring,
    ),
    (
        "streams_pass_in_both_directions",
        streams_pass_in_both_directions,
    ),
    (
        "a_deadline_and_a_cancellation_stop_a_handler",
        a_deadline_and_a_cancellation_stop_a_handler,
    ),
    ("many_calls_at_once_all_end", many_calls_at_once_all_end),
    (
        "a_stream_that_is_not_read_to_its_end_is_dropped",
        a_stream_that_is_not_read_to_its_end_is_dropped,
    ),
];

fn calls_run_in_other_processes() {
    run(|| async {
        let pool = pool(2).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        // Which worker takes a call depends on which one is free just then.
        let mut seen = BTreeSet::new();
        for _ in 0..10_000 {
            let process = caller.process(Act::Nothing).await.unwrap();
            assert_ne!(process, std::process::id());
            seen.insert(process);
            if seen.len() == 2 {
                break;
            }
        }
        assert_eq!(seen.len(), 2, "both processes take calls");
        let report = pool.shut_down(Shutdown::graceful(LONG)).await;
        assert_eq!(report.lost, 0);
    });
}

fn a_pool_may_have_isolates_and_processes() {
    run(|| async {
        let near = Local::<WorkResponder<_>, _>::new(|_cx| async { Ok(Service) });
        let pool = WorkerPool::builder()
            .workers(2)
            .kind::<WorkRequest, _>(Hybrid::new(near, 1, Process::current_exe()))
            .build()
            .await
            .unwrap();
        let caller: WorkCaller = pool.caller();
        let this = std::process::id();
        // Which calls go where is tested on virtual time: here a worker may still be on its way to rest.
        let (mut seen, begin) = (BTreeSet::new(), std::time::Instant::now());
        while seen.len() < 2 {
            assert!(begin.elapsed() < LONG, "one kind takes no calls");
            let calls = (0..4).map(|_| caller.process(Act::Nothing));
            seen.extend(join_all(calls).await.into_iter().map(Result::unwrap));
        }
        assert!(seen.contains(&this));
        let report = pool.shut_down(Shutdown::graceful(LONG)).await;
        assert_eq!(report.lost, 0);
    });
}

fn errors_and_panics_come_back() {
    run(|| async {
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let failed = caller.process(Act::Fail).await.unwrap_err();
        assert_eq!(failed.into_app(), Some(Oops("as it was told".to_owned())));
        let panicked = caller.process(Act::Panic).await.unwrap_err();
        let CallError::Panicked { message, location } = panicked else {
            panic!("{panicked:?}");
        };
        assert_eq!(message, "as it was told");
        assert!(location.unwrap().contains("service.rs"));
        // The services are built anew, in a new process.
        assert!(caller.process(Act::Nothing).await.is_ok());
        let stats = pool.stats();
        assert_eq!((stats.failed, stats.panicked, stats.answered), (1, 1, 1));
    });
}

fn a_large_value_passes_a_small_ring() {
    run(|| async {
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let bytes: Vec<u8> = (0..12 << 20).map(|byte: u32| (byte % 251) as u8).collect();
        let mut expected = bytes.clone();
        expected.reverse();
        let reversed = caller.reverse(bytes).await.unwrap();
        assert!(reversed == expected);
        // What is too large is told, and harms nothing else.
        let error = caller.reverse(vec![0; 17 << 20]).await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotStarted);
        assert!(matches!(error, CallError::Protocol { .. }), "{error:?}");
        assert_eq!(caller.reverse(vec![1, 2]).await.unwrap(), [2, 1]);
    });
}

fn streams_pass_in_both_directions() {
    run(|| async {
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let mut numbers = caller.count(1_000, u32::MAX, Act::Nothing).await.unwrap();
        let mut next = 0;
        while let Some(number) = numbers.next().await {
            assert_eq!(number.unwrap(), next);
            next += 1;
        }
        assert_eq!(next, 1_000);
        let sum = caller
            .sum()
            .send_all(futures_util::stream::iter(0..1_000))
            .await;
        assert_eq!(sum.unwrap(), 499_500);
    });
}

fn a_deadline_and_a_cancellation_stop_a_handler() {
    run(|| async {
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let late = caller
            .process(Act::Wait)
            .deadline(Duration::from_millis(50))
            .await;
        let late = late.unwrap_err();
        assert_eq!(late.outcome(), Outcome::MaybeExecuted);
        assert!(matches!(late, CallError::Deadline { .. }), "{late:?}");
        let call = caller.process(Act::Wait).start();
        sleep(Duration::from_millis(20)).await;
        drop(call);
        // The handlers have ended, or this one would wait for ever.
        assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
    });
}

fn many_calls_at_once_all_end() {
    run(|| async {
        let pool = pool(2).concurrency_per_worker(8).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let calls = (0..2_000_u32).map(|number| {
            let caller = caller.clone();
            async move {
                let bytes = number.to_le_bytes().to_vec();
                caller.reverse(bytes).await.unwrap() == number.to_be_bytes()
            }
        });
        assert!(join_all(calls).await.into_iter().all(|it| it));
    });
}

fn a_stream_that_is_not_read_to_its_end_is_dropped() {
    run(|| async {
        let pool = pool(1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let mut numbers = caller
            .count(u32::MAX, u32::MAX, Act::Nothing)
            .await
            .unwrap();
        assert_eq!(numbers.next().await.unwrap().unwrap(), 0);
        drop(numbers);
        assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
        let report = pool.shut_down(Shutdown::graceful(LONG)).await;
        assert_eq!(report.lost, 0);
    });
}
