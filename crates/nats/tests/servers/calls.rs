//! Risk: a call means something else on another machine.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use insula_core::sleep;
use insula_pool::Shutdown;
use insula_rpc::{CallError, Outcome};
use serde_bytes::ByteBuf;

use crate::Test;
use crate::server::Server;
use crate::service::{Act, LONG, Oops, Process, WorkCaller, node, pool, run, until};

pub(crate) const ALL: &[Test] = &[
    ("two_nodes_share_the_calls", two_nodes_share_the_calls),
    ("errors_and_panics_come_back", errors_and_panics_come_back),
    (
        "values_larger_than_a_message_are_cut_and_joined",
        values_larger_than_a_message_are_cut_and_joined,
    ),
    (
        "the_smaller_limit_of_both_sides_counts",
        the_smaller_limit_of_both_sides_counts,
    ),
    (
        "a_program_that_closes_leaves_no_link",
        a_program_that_closes_leaves_no_link,
    ),
    (
        "streams_pass_in_both_directions",
        streams_pass_in_both_directions,
    ),
    (
        "a_deadline_and_a_cancellation_cross",
        a_deadline_and_a_cancellation_cross,
    ),
    ("many_calls_at_once_all_end", many_calls_at_once_all_end),
    (
        "a_pool_that_ends_frees_the_workers_of_its_nodes",
        a_pool_that_ends_frees_the_workers_of_its_nodes,
    ),
];

fn two_nodes_share_the_calls() {
    let server = Server::start();
    let nodes = [
        Process::start(&server.url(), 1),
        Process::start(&server.url(), 1),
    ];
    run(|| async {
        let pool = pool(&server.nats(), 2).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let calls = (0..100).map(|_| {
            let caller = caller.clone();
            async move { caller.process(Act::Sleep(2)).await.unwrap() }
        });
        let seen: BTreeSet<u32> = join_all(calls).await.into_iter().collect();
        let expected: BTreeSet<u32> = nodes.iter().map(|it| it.0.id()).collect();
        assert_eq!(seen, expected);
        let report = pool.shut_down(Shutdown::graceful(LONG)).await;
        assert_eq!(report.lost, 0);
    });
}

fn errors_and_panics_come_back() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let _node = node(&nats, 1).await;
        let pool = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let failed = caller.process(Act::Fail).await.unwrap_err();
        assert_eq!(failed.into_app(), Some(Oops("as it was told".to_owned())));
        let panicked = caller.process(Act::Panic).await.unwrap_err();
        let CallError::Panicked { message, location } = panicked else {
            panic!("{panicked:?}");
        };
        assert_eq!(message, "as it was told");
        assert!(location.unwrap().contains("service.rs"));
        // The services are built anew, on a link of its own.
        assert!(caller.process(Act::Nothing).await.is_ok());
        let stats = pool.stats();
        assert_eq!((stats.failed, stats.panicked, stats.answered), (1, 1, 1));
    });
}

fn values_larger_than_a_message_are_cut_and_joined() {
    for most in ["1MB", "64KB", "2KB"] {
        let server = Server::with(&format!("max_payload: {most}"));
        run(|| async {
            let nats = server.nats();
            let _node = node(&nats, 1).await;
            let pool = pool(&nats, 1).build().await.unwrap();
            let caller: WorkCaller = pool.caller();
            let bytes: Vec<u8> = (0..5 << 20).map(|byte: u32| (byte % 251) as u8).collect();
            let mut expected = bytes.clone();
            expected.reverse();
            let reversed = caller.reverse(ByteBuf::from(bytes)).await.unwrap();
            assert!(*reversed == expected);
            // What is too large is told, and harms nothing else.
            let large = ByteBuf::from(vec![0; 17 << 20]);
            let error = caller.reverse(large).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::NotStarted);
            assert!(matches!(error, CallError::Protocol { .. }), "{error:?}");
            let small = caller.reverse(ByteBuf::from([1, 2])).await.unwrap();
            assert_eq!(*small, [2, 1]);
        });
    }
}

fn the_smaller_limit_of_both_sides_counts() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        for (of_node, of_caller) in [(1 << 20, 4 << 20), (4 << 20, 1 << 20)] {
            let node = node(&nats.clone().most_bytes(of_node), 1).await;
            let nats = nats.clone().most_bytes(of_caller);
            let pool = pool(&nats, 1).build().await.unwrap();
            let caller: WorkCaller = pool.caller();
            let call = |len| caller.reverse(ByteBuf::from(vec![0; len]));
            assert!(call((1 << 20) - 1_000).await.is_ok());
            let error = call(2 << 20).await.unwrap_err();
            assert_eq!(error.outcome(), Outcome::NotStarted);
            assert!(matches!(error, CallError::Protocol { .. }), "{error:?}");
            assert!(call(1).await.is_ok());
            assert_eq!(pool.stats().died, 0);
            drop(pool);
            until(|| node.links() == 0).await;
        }
    });
}

fn a_program_that_closes_leaves_no_link() {
    let server = Server::start();
    run(|| async {
        let node = node(&server.nats(), 2).await;
        let nats = server.nats();
        let pool = pool(&nats, 2).build().await.unwrap();
        assert_eq!(node.links(), 2);
        pool.shut_down(Shutdown::now()).await;
        drop(pool);
        nats.close().await;
        // What was written is only to be read.
        let begin = std::time::Instant::now();
        until(|| node.links() == 0).await;
        assert!(begin.elapsed() < Duration::from_secs(2));
    });
}

fn streams_pass_in_both_directions() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let _node = node(&nats, 1).await;
        let pool = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let mut numbers = caller.count(1_000, u32::MAX, Act::Nothing).await.unwrap();
        let mut next = 0;
        while let Some(number) = numbers.next().await {
            assert_eq!(number.unwrap(), next);
            next += 1;
        }
        assert_eq!(next, 1_000);
        let items = futures_util::stream::iter(0..1_000);
        let sum = caller.sum().send_all(items).await;
        assert_eq!(sum.unwrap(), 499_500);
        // One that is not read to its end.
        let mut numbers = caller
            .count(u32::MAX, u32::MAX, Act::Nothing)
            .await
            .unwrap();
        assert_eq!(numbers.next().await.unwrap().unwrap(), 0);
        drop(numbers);
        assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
    });
}

fn a_deadline_and_a_cancellation_cross() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let _node = node(&nats, 1).await;
        let pool = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let late = caller
            .process(Act::Wait)
            .deadline(Duration::from_millis(200))
            .await;
        let late = late.unwrap_err();
        assert_eq!(late.outcome(), Outcome::MaybeExecuted);
        assert!(matches!(late, CallError::Deadline { .. }), "{late:?}");
        let call = caller.process(Act::Wait).start();
        sleep(Duration::from_millis(50)).await;
        drop(call);
        // The handlers have ended, or this one would wait for ever.
        assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
    });
}

fn many_calls_at_once_all_end() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let _node = node(&nats, 2).await;
        let pool = pool(&nats, 2)
            .concurrency_per_worker(8)
            .build()
            .await
            .unwrap();
        let caller: WorkCaller = pool.caller();
        let calls = (0..2_000_u32).map(|number| {
            let caller = caller.clone();
            async move {
                let bytes = ByteBuf::from(number.to_le_bytes());
                *caller.reverse(bytes).await.unwrap() == number.to_be_bytes()
            }
        });
        assert!(join_all(calls).await.into_iter().all(|it| it));
    });
}

fn a_pool_that_ends_frees_the_workers_of_its_nodes() {
    let server = Server::start();
    run(|| async {
        // Longer than the test: only the word of the callers frees them.
        let nats = server.nats().silence(Duration::from_secs(600));
        let node = node(&nats, 3).await;
        assert_eq!((node.links(), node.workers()), (0, 3));
        for _ in 0..3 {
            let pool = pool(&nats, 3).build().await.unwrap();
            let caller: WorkCaller = pool.caller();
            assert!(caller.process(Act::Nothing).await.is_ok());
            assert_eq!(node.links(), 3);
            drop(pool);
            until(|| node.links() == 0).await;
        }
    });
}
