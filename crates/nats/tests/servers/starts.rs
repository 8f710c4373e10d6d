//! Risk: a worker that cannot start says nothing, or something that helps nobody.

use std::time::Duration;

use insula_pool::WorkerPool;
use insula_rpc::{Context, contract, wire::Never};

use crate::Test;
use crate::server::Server;
use crate::service::{
    Act, LONG, Service, WorkCaller, WorkRequest, WorkResponder, node, pool, run, until,
};

pub(crate) const ALL: &[Test] = &[
    (
        "no_node_is_an_error_that_says_so",
        no_node_is_an_error_that_says_so,
    ),
    ("another_version_is_named", another_version_is_named),
    ("a_busy_node_is_waited_for", a_busy_node_is_waited_for),
    (
        "a_service_that_cannot_be_built_says_why",
        a_service_that_cannot_be_built_says_why,
    ),
    (
        "more_calls_at_once_than_a_node_allows_are_refused",
        more_calls_at_once_than_a_node_allows_are_refused,
    ),
    (
        "a_start_that_is_given_up_frees_its_worker",
        a_start_that_is_given_up_frees_its_worker,
    ),
    (
        "one_node_serves_two_contracts",
        one_node_serves_two_contracts,
    ),
    ("nodes_say_how_busy_they_are", nodes_say_how_busy_they_are),
    (
        "an_update_goes_on_with_both_versions",
        an_update_goes_on_with_both_versions,
    ),
    (
        "settings_that_make_no_sense_are_refused",
        settings_that_make_no_sense_are_refused,
    ),
];

fn no_node_is_an_error_that_says_so() {
    let server = Server::start();
    run(|| async {
        let error = pool(&server.nats(), 2).build().await.unwrap_err();
        let text = format!("{error:?}");
        assert!(text.contains("NoNode"), "{text}");
        assert!(
            error
                .to_string()
                .contains("no node serves version 1 of Work"),
            "{error}"
        );
    });
}

mod second {
    use super::{Context, Never, contract};

    #[contract(wire, version = 2, crate = insula_rpc)]
    pub(crate) trait Work {
        async fn process(&self, cx: &Context) -> Result<u32, Never>;
    }

    pub(crate) struct Other;

    impl Work for Other {
        async fn process(&self, _cx: &Context) -> Result<u32, Never> {
            Ok(2)
        }
    }
}

fn another_version_is_named() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let _node = node(&nats, 1).await;
        let pool = WorkerPool::builder()
            .workers(1)
            .kind::<second::WorkRequest, _>(nats.clone());
        let error = pool.build().await.unwrap_err();
        let said = "no node serves version 2 of Work: this side has version 2 of Work, the other 1";
        assert!(error.to_string().contains(said), "{error}");
    });
}

fn a_busy_node_is_waited_for() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let node = node(&nats, 1).await;
        let first = pool(&nats, 1).build().await.unwrap();
        let hasty = nats.clone().patience(Duration::from_millis(100));
        let error = pool(&hasty, 1).build().await.unwrap_err();
        assert!(error.to_string().contains("has a free worker"), "{error}");
        let waiting = insula_core::Isolate::run_async({
            let nats = nats.clone();
            async move || {
                let second = pool(&nats, 1).build().await.unwrap();
                let caller: WorkCaller = second.caller();
                caller.process(Act::Nothing).await.unwrap()
            }
        });
        insula_core::sleep(Duration::from_millis(100)).await;
        assert_eq!(node.links(), 1);
        drop(first);
        assert_eq!(waiting.await.unwrap(), std::process::id());
    });
}

fn a_service_that_cannot_be_built_says_why() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let node = nats
            .node()
            .workers(1)
            .serve::<WorkResponder<Service>>(|_cx| async { Err("there is no tea")? });
        let node = node.start().await.unwrap();
        let error = pool(&nats, 1).build().await.unwrap_err();
        assert!(error.to_string().contains("there is no tea"), "{error}");
        until(|| node.links() == 0).await;
    });
}

fn more_calls_at_once_than_a_node_allows_are_refused() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let node = nats
            .node()
            .workers(1)
            .most_concurrency(4)
            .serve::<WorkResponder<_>>(|_cx| async { Ok(Service) });
        let node = node.start().await.unwrap();
        let five = pool(&nats, 1).concurrency_per_worker(5);
        let error = five.build().await.unwrap_err();
        assert!(
            error.to_string().contains("at most 4 calls at once"),
            "{error}"
        );
        let four = pool(&nats, 1).concurrency_per_worker(4);
        assert!(four.build().await.is_ok());
        until(|| node.links() == 0).await;
    });
}

fn a_start_that_is_given_up_frees_its_worker() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let node = nats
            .node()
            .workers(1)
            .serve::<WorkResponder<Service>>(|_cx| async {
                insula_core::sleep(LONG * 2).await;
                Ok(Service)
            });
        let node = node.start().await.unwrap();
        let hasty = pool(&nats, 1).startup_timeout(Duration::from_millis(300));
        assert!(hasty.build().await.is_err());
        until(|| node.links() == 0).await;
    });
}

fn one_node_serves_two_contracts() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let node = nats
            .node()
            .workers(2)
            .serve::<WorkResponder<_>>(|_cx| async { Ok(Service) })
            .serve::<second::WorkResponder<_>>(|_cx| async { Ok(second::Other) });
        let _node = node.start().await.unwrap();
        let one = pool(&nats, 1).build().await.unwrap();
        let two = WorkerPool::builder()
            .workers(1)
            .kind::<second::WorkRequest, _>(nats.clone())
            .build()
            .await
            .unwrap();
        let (one, two): (WorkCaller, second::WorkCaller) = (one.caller(), two.caller());
        assert!(one.process(Act::Nothing).await.is_ok());
        assert_eq!(two.process().await.unwrap(), 2);
    });
}

fn nodes_say_how_busy_they_are() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let ask = || nats.nodes::<WorkRequest>(Duration::from_millis(500));
        assert!(ask().await.unwrap().is_empty());
        let _first = node(&server.nats().name("first"), 3).await;
        let second = server.nats().name("second").node().workers(1);
        let second = second.serve::<second::WorkResponder<_>>(|_cx| async { Ok(second::Other) });
        let _second = second.start().await.unwrap();
        let _pool = pool(&nats, 2).build().await.unwrap();
        let mut nodes = ask().await.unwrap();
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        let told = nodes
            .iter()
            .map(|it| (it.name.as_str(), it.version, it.workers, it.links));
        assert_eq!(
            told.collect::<Vec<_>>(),
            [("first", 1, 3, 2), ("second", 2, 1, 0)]
        );
        assert!(nodes.iter().all(|it| it.process == std::process::id()));
        assert_ne!(nodes[0].schema, nodes[1].schema);
    });
}

/// New nodes serve both versions before the old ones stop.
fn an_update_goes_on_with_both_versions() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        let old = node(&nats, 1).await;
        let one = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = one.caller();
        assert!(caller.process(Act::Nothing).await.is_ok());
        let new = nats
            .node()
            .workers(2)
            .serve::<WorkResponder<_>>(|_cx| async { Ok(Service) })
            .serve::<second::WorkResponder<_>>(|_cx| async { Ok(second::Other) });
        let new = new.start().await.unwrap();
        let two = WorkerPool::builder()
            .workers(1)
            .kind::<second::WorkRequest, _>(nats.clone())
            .build()
            .await
            .unwrap();
        // A call that runs during the stop has its answer.
        let running = caller.process(Act::Sleep(50)).start();
        until(|| one.status().workers[0].busy == 1).await;
        old.stop(LONG).await;
        assert!(running.await.is_ok());
        until(|| new.links() == 2).await;
        assert!(caller.process(Act::Nothing).await.is_ok());
        let caller: second::WorkCaller = two.caller();
        assert_eq!(caller.process().await.unwrap(), 2);
    });
}

fn settings_that_make_no_sense_are_refused() {
    let server = Server::start();
    run(|| async {
        let nats = server.nats();
        for node in [
            nats.node(),
            nats.node()
                .workers(0)
                .serve::<WorkResponder<_>>(|_cx| async { Ok(Service) }),
            nats.clone()
                .prefix("a b")
                .node()
                .serve::<WorkResponder<_>>(|_cx| async { Ok(Service) }),
            nats.clone()
                .silence(Duration::from_millis(1))
                .node()
                .serve::<WorkResponder<_>>(|_cx| async { Ok(Service) }),
        ] {
            let error = node.start().await.unwrap_err();
            assert!(
                matches!(error, insula_nats::NatsError::Settings { .. }),
                "{error:?}"
            );
        }
    });
}
