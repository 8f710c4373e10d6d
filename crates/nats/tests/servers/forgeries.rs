//! Risk: bytes of others reach an inbox, and harm more than its link.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use insula_core::sleep;
use insula_rpc::CallError;
use insula_sync::Mutex;

use crate::Test;
use crate::server::Server;
use crate::service::{Act, LONG, WorkCaller, node, pool, run};

pub(crate) const ALL: &[Test] = &[
    (
        "forged_messages_lose_their_link_and_nothing_else",
        forged_messages_lose_their_link_and_nothing_else,
    ),
    (
        "requests_that_are_none_are_answered_or_dropped",
        requests_that_are_none_are_answered_or_dropped,
    ),
];

/// A client that sees and writes everything, as none should.
struct Spy {
    runtime: tokio::runtime::Runtime,
    client: async_nats::Client,
    /// The inboxes that it has seen, and the last message to any of them.
    seen: Arc<Mutex<(BTreeSet<String>, Vec<u8>)>>,
}

impl Spy {
    fn start(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let client = runtime.block_on(async_nats::connect(url)).unwrap();
        let seen = Arc::new(Mutex::new((BTreeSet::new(), Vec::new())));
        let subscribing = client.subscribe("insula.1.link.>");
        let mut all = runtime.block_on(subscribing).unwrap();
        runtime.block_on(client.flush()).unwrap();
        let sees = Arc::clone(&seen);
        runtime.spawn(async move {
            while let Some(message) = all.next().await {
                let mut seen = sees.lock();
                seen.0.insert(message.subject.to_string());
                seen.1 = message.payload.to_vec();
            }
        });
        Self {
            runtime,
            client,
            seen,
        }
    }

    fn publish(&self, subject: &str, reply: Option<&str>, bytes: Vec<u8>) {
        let subject = subject.to_owned();
        self.runtime.block_on(async {
            match reply {
                Some(reply) => {
                    let reply = reply.to_owned();
                    let publishing = self.client.publish_with_reply(subject, reply, bytes.into());
                    publishing.await.unwrap();
                }
                None => self.client.publish(subject, bytes.into()).await.unwrap(),
            }
            self.client.flush().await.unwrap();
        });
    }
}

fn forged_messages_lose_their_link_and_nothing_else() {
    let server = Server::start();
    let spy = Spy::start(&server.url());
    run(|| async {
        let nats = server.nats();
        let _node = node(&nats, 1).await;
        let pool = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        let mut random = fastrand::Rng::with_seed(5);
        for round in 0..24 {
            // Forged messages of the round before may arrive only now.
            while let Err(error) = caller.process(Act::Nothing).deadline(LONG).await {
                assert!(matches!(error, CallError::WorkerDied { .. }), "{error:?}");
            }
            let (inboxes, last) = spy.seen.lock().clone();
            let bytes = match round % 6 {
                0 => Vec::new(),
                1 => (0..random.usize(1..200)).map(|_| random.u8(..)).collect(),
                // As large as the server allows.
                2 => vec![1; 1 << 20],
                // A real one once more.
                3 => last,
                // A part and an end, with numbers that are not the next ones.
                4 => forged(3, 1 << 40),
                _ => forged(6, 1 << 40),
            };
            let call = caller.process(Act::Sleep(50)).start();
            for inbox in &inboxes {
                spy.publish(inbox, None, bytes.clone());
            }
            // It ends, whatever was forged.
            let _ = call.await;
            spy.seen.lock().0.clear();
            sleep(Duration::from_millis(5)).await;
        }
        while caller.process(Act::Nothing).deadline(LONG).await.is_err() {}
    });
}

fn forged(kind: u8, number: u64) -> Vec<u8> {
    let mut bytes = vec![1, kind, 0, 0, 0, 0];
    bytes.extend_from_slice(&number.to_le_bytes());
    bytes.extend_from_slice(&0_u64.to_le_bytes());
    bytes.extend_from_slice(b"forged");
    bytes
}

fn requests_that_are_none_are_answered_or_dropped() {
    let server = Server::start();
    let spy = Spy::start(&server.url());
    run(|| async {
        let nats = server.nats();
        let node = node(&nats, 1).await;
        let request = Arc::new(Mutex::new(None));
        // The real subject, as a worker that finds it asks for it.
        let sees = Arc::clone(&request);
        let mut all = spy
            .runtime
            .block_on(spy.client.subscribe("insula.1.open.>"))
            .unwrap();
        spy.runtime.spawn(async move {
            while let Some(message) = all.next().await {
                *sees.lock() = Some((message.subject.to_string(), message.payload.to_vec()));
            }
        });
        // An answer of the server comes after it has read the subscription.
        spy.runtime
            .block_on(spy.client.request("insula.none", "".into()))
            .unwrap_err();
        let first = pool(&nats, 1).build().await.unwrap();
        crate::service::until(|| request.lock().is_some()).await;
        drop(first);
        crate::service::until(|| node.links() == 0).await;
        let (open, bytes) = request.lock().clone().unwrap();
        let own = "insula.1.link.spy.inbox";
        spy.publish(&open, None, bytes.clone());
        // The node writes to no subject but an inbox.
        spy.publish(&open, Some("orders.delete"), bytes.clone());
        spy.publish(&open, Some(own), b"no request".to_vec());
        spy.publish(&open, Some(own), vec![1; 1 << 20]);
        let mut without_hello = bytes.clone();
        without_hello.truncate(13);
        spy.publish(&open, Some(own), without_hello);
        // A caller that is never heard again gives its worker back after the silence, of which it may
        // not make a short one.
        let mut silent = bytes;
        silent[1..5].copy_from_slice(&0_u32.to_le_bytes());
        // More than once: the node listens again only some time after it has a free worker.
        while node.links() == 0 {
            spy.publish(&open, Some(own), silent.clone());
            sleep(Duration::from_millis(20)).await;
        }
        let pool = pool(&nats, 1).build().await.unwrap();
        let caller: WorkCaller = pool.caller();
        assert!(caller.process(Act::Nothing).await.is_ok());
    });
}
