//! Risk: something in the middle goes away, and a call has no end, a wrong one or two.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use insula_core::sleep;
use insula_pool::{WorkerChange, WorkerEvent};
use insula_rpc::{CallError, Outcome};
use insula_sync::Mutex;
use std::sync::Arc;

use crate::Test;
use crate::server::Server;
use crate::service::{Act, LONG, Process, WorkCaller, node, pool, run, until};

pub(crate) const ALL: &[Test] = &[
    (
        "a_node_that_is_killed_ends_its_calls",
        a_node_that_is_killed_ends_its_calls,
    ),
    (
        "a_node_that_is_silent_is_lost_and_may_come_back",
        a_node_that_is_silent_is_lost_and_may_come_back,
    ),
    (
        "a_server_that_restarts_costs_the_calls_that_run",
        a_server_that_restarts_costs_the_calls_that_run,
    ),
    (
        "a_server_that_is_away_is_waited_for",
        a_server_that_is_away_is_waited_for,
    ),
    (
        "a_node_that_stops_finishes_what_it_has",
        a_node_that_stops_finishes_what_it_has,
    ),
    (
        "a_node_that_stops_cancels_what_takes_too_long",
        a_node_that_stops_cancels_what_takes_too_long,
    ),
    (
        "a_node_that_is_dropped_ends_its_links",
        a_node_that_is_dropped_ends_its_links,
    ),
    (
        "storms_of_kills_end_each_call_once",
        storms_of_kills_end_each_call_once,
    ),
];

/// The reasons for which workers have ended.
#[derive(Clone, Default)]
struct Reasons(Arc<Mutex<Vec<String>>>);

impl Reasons {
    fn hook(&self) -> impl Fn(&WorkerEvent) + Send + Sync + 'static {
        let reasons = Arc::clone(&self.0);
        move |event: &WorkerEvent| {
            if let WorkerChange::Restarting { fault, .. } = &event.change {
                reasons.lock().push(fault.to_string());
            }
        }
    }

    fn first(&self) -> String {
        self.0.lock().first().cloned().unwrap_or_default()
    }
}

fn is_lost(error: &CallError<crate::service::Oops, impl Sized>) -> bool {
    matches!(error, CallError::WorkerDied { .. })
}

fn a_node_that_is_killed_ends_its_calls() {
    let server = Server::start();
    let mut first = Process::start(&server.url(), 1);
    run(|| async {
        let reasons = Reasons::default();
        // A short one, since the kill is told by nothing else.
        let nats = server.nats().silence(Duration::from_secs(1));
        let pool = pool(&nats, 1)
            .observe(reasons.hook())
            .build()
            .await
            .unwrap();
        let caller: WorkCaller = pool.caller();
        let call = caller.process(Act::Wait).start();
        sleep(Duration::from_millis(200)).await;
        let second = Process::start(&server.url(), 1);
        first.kill();
        let error = call.await.unwrap_err();
        assert!(is_lost(&error), "{error:?}");
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
        assert_eq!(caller.process(Act::Nothing).await.unwrap(), second.0.id());
        assert!(
            reasons.first().contains("was silent for 1s"),
            "{}",
            reasons.first()
        );
    });
}

fn a_node_that_is_silent_is_lost_and_may_come_back() {
    let server = Server::start();
    let process = Process::start(&server.url(), 1);
    run(|| async {
        let nats = server.nats().silence(Duration::from_millis(500));
        let pool = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let call = caller.process(Act::Wait).start();
        sleep(Duration::from_millis(200)).await;
        process.signal("STOP");
        let error = call.await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::MaybeExecuted);
        process.signal("CONT");
        // The node has lost the link too, and has a free worker again.
        assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
    });
}

fn a_server_that_restarts_costs_the_calls_that_run() {
    let mut server = Server::start();
    run(|| async {
        let nats = server.nats();
        let node = node(&nats, 2).await;
        let reasons = Reasons::default();
        let pool = pool(&nats, 2)
            .observe(reasons.hook())
            .build()
            .await
            .unwrap();
        let caller: WorkCaller = pool.caller();
        for _ in 0..3 {
            // Two run, and two wait in the pool.
            let calls: Vec<_> = (0..4)
                .map(|_| caller.process(Act::Sleep(600)).start())
                .collect();
            sleep(Duration::from_millis(200)).await;
            server.kill();
            sleep(Duration::from_millis(100)).await;
            server.start_again();
            let began = Instant::now();
            let ends = join_all(calls).await;
            let lost: Vec<_> = ends.iter().filter_map(|it| it.as_ref().err()).collect();
            assert_eq!(lost.len(), 2, "{ends:?}");
            for error in lost {
                assert!(is_lost(error), "{error:?}");
                assert_eq!(error.outcome(), Outcome::MaybeExecuted);
            }
            assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
            assert!(began.elapsed() < Duration::from_secs(10));
        }
        assert!(
            reasons
                .first()
                .contains("connection to the NATS server was lost")
        );
        drop(pool);
        until(|| node.links() == 0).await;
    });
}

fn a_server_that_is_away_is_waited_for() {
    let mut server = Server::start();
    run(|| async {
        let nats = server.nats();
        let _node = node(&nats, 1).await;
        // Five tries of a worker would be over after a second and a half.
        let builder = pool(&nats, 1).restart(insula_pool::Restart::default());
        let pool = builder.build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        server.kill();
        sleep(Duration::from_secs(3)).await;
        let call = caller.process(Act::Nothing).start();
        server.start_again();
        assert!(call.await.is_ok());
    });
}

fn a_node_that_stops_finishes_what_it_has() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let first = node(&nats, 2).await;
        let pool = pool(&nats, 2).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let calls: Vec<_> = (0..2)
            .map(|_| caller.process(Act::Sleep(500)).start())
            .collect();
        sleep(Duration::from_millis(200)).await;
        let _second = node(&nats, 2).await;
        first.stop(LONG).await;
        for call in calls {
            assert!(call.await.is_ok());
        }
        assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
        assert_eq!(pool.stats().died, 0);
    });
}

fn a_node_that_stops_cancels_what_takes_too_long() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let first = node(&nats, 1).await;
        let pool = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let call = caller.process(Act::Wait).start();
        sleep(Duration::from_millis(200)).await;
        let began = Instant::now();
        first.stop(Duration::from_millis(100)).await;
        assert!(
            began.elapsed() < Duration::from_secs(4),
            "{:?}",
            began.elapsed()
        );
        // However its handler takes the cancellation.
        let end = call.await;
        assert!(
            end.as_ref()
                .map_or_else(|it| it.outcome() == Outcome::MaybeExecuted, |_| true),
            "{end:?}"
        );
    });
}

fn a_node_that_is_dropped_ends_its_links() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats().silence(Duration::from_secs(600));
        let first = node(&nats, 1).await;
        let pool = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        assert!(caller.process(Act::Nothing).await.is_ok());
        drop(first);
        let _second = node(&nats, 1).await;
        // A call that goes out in this moment comes back as not started.
        loop {
            match caller.process(Act::Nothing).deadline(LONG).await {
                Ok(_) => break,
                Err(error) => assert_eq!(error.outcome(), Outcome::NotStarted, "{error:?}"),
            }
            sleep(Duration::from_millis(5)).await;
        }
    });
}

fn storms_of_kills_end_each_call_once() {
    let mut server = Server::start();
    let mut random = fastrand::Rng::with_seed(3);
    run(|| async {
        let nats = server.nats().silence(Duration::from_millis(600));
        let pool = {
            let mut nodes = [
                Process::start(&server.url(), 2),
                Process::start(&server.url(), 2),
            ];
            let pool = pool(&nats, 3)
                .concurrency_per_worker(2)
                .build()
                .await
                .unwrap();
            let caller: WorkCaller = pool.caller();
            for round in 0..8 {
                let calls: Vec<_> = (0..30)
                    .map(|_| caller.process(Act::Sleep(random.u32(0..40))).start())
                    .collect();
                sleep(Duration::from_millis(random.u64(0..200))).await;
                if round % 2 == 0 {
                    let index = random.usize(0..2);
                    nodes[index].kill();
                    nodes[index] = Process::start(&server.url(), 2);
                } else {
                    server.kill();
                    server.start_again();
                }
                for end in join_all(calls).await {
                    if let Err(error) = end {
                        assert!(is_lost(&error), "{error:?}");
                    }
                }
            }
            // All of them come to their ends, or this would hang.
            assert!(caller.process(Act::Nothing).deadline(LONG).await.is_ok());
            pool
        };
        let stats = pool.stats();
        assert_eq!(stats.submitted, 241, "{stats:?}");
    });
}
