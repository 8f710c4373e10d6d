//! The risk: what is shown of pools and calls is not what happens.

use std::convert::Infallible;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use insula_core::{Isolate, Runtime, block_on};
use insula_inspect::client::{Address, Client};
use insula_inspect::model::{Events, PoolDetail, Pools};
use insula_inspect::{Inspector, Listen};

use insula_pool::{Shutdown, WorkerPool};
use insula_rpc::{Context, contract};
use serde_json::json;

/// A service whose calls end when the test says so.
#[contract(crate = insula_rpc)]
trait Mill {
    /// Waits for the test.
    async fn grind(&self, cx: &Context, sack: u32) -> Result<u32, Infallible>;
}

struct Stones(Arc<Mutex<mpsc::Receiver<()>>>);

impl Mill for Stones {
    async fn grind(&self, _: &Context, sack: u32) -> Result<u32, Infallible> {
        // Blocks the thread, as a handler that computes does.
        let turn = self.0.lock().expect("it is not poisoned");
        turn.recv().expect("the test goes on");
        Ok(sack)
    }
}

/// Asks until the answer is as it should be.
fn until<R>(mut ask: impl FnMut() -> R, is_so: impl Fn(&R) -> bool) -> R {
    let begun = Instant::now();
    loop {
        let answer = ask();
        if is_so(&answer) {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it never is so");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn mill(turns: Arc<Mutex<mpsc::Receiver<()>>>) -> WorkerPool<MillRequest> {
    let builder = WorkerPool::builder().name("mill of the test").workers(1);
    let pool = builder.service::<MillResponder<_>>(move |_| {
        let turns = turns.clone();
        async move { Ok(Stones(turns)) }
    });
    block_on(pool.build()).expect("it starts")
}

fn inspected(runtime: &Runtime) -> (Inspector, Client) {
    let inspector = Inspector::builder()
        .runtime(runtime)
        .listen(Listen::default())
        .announce(false)
        .allow_control()
        .slow_after(Duration::from_millis(100))
        .start()
        .expect("a port is free");
    let address: Address = inspector.address().parse().expect("it is one");
    let client = Client::connect(&address, Duration::from_secs(10));
    (inspector, client.expect("it answers"))
}

#[test]
fn a_pool_its_worker_and_its_calls_are_shown_and_drained() {
    let runtime = Runtime::builder().threads(2).build();
    let _entered = runtime.enter();
    let (release, turns) = mpsc::channel();
    let turns = Arc::new(Mutex::new(turns));
    let pool = mill(turns);
    let (inspector, mut client) = inspected(&runtime);
    let caller: MillCaller = pool.caller();
    let calls: Vec<_> = (0..3).map(|sack| caller.grind(sack).start()).collect();

    let pools: Pools = client.call("getPools", json!({})).expect("it answers");
    let own = pools.pools.iter().find(|it| it.name == "mill of the test");
    let id = own.expect("it is listed").id.clone();
    let detail = |client: &mut Client| -> PoolDetail {
        let detail = client.call("getPool", json!({ "poolId": id }));
        detail.expect("it is there")
    };
    let busy = until(
        || detail(&mut client),
        |it| it.calls.len() == 1 && it.pool.queued == 2,
    );
    assert_eq!(busy.calls[0].method, "Mill.grind");
    assert_eq!(busy.workers.len(), 1);
    assert!(busy.workers[0].isolate.is_some());
    assert!(
        busy.why.join(" ").contains("2 calls wait in the queue"),
        "{:?}",
        busy.why
    );
    // The same call is seen again, and gets older.
    until(|| detail(&mut client), |it| it.calls[0].seen_ms >= 200);
    let slow = || {
        client
            .call::<Events>("getEvents", json!({}))
            .expect("it answers")
    };
    until(slow, |it| it.events.iter().any(|it| it.kind == "slowCall"));
    for _ in 0..3 {
        release.send(()).expect("the handler waits");
    }
    let sacks: Vec<_> = calls.into_iter().map(|call| block_on(call).ok()).collect();
    assert_eq!(sacks, [Some(0), Some(1), Some(2)]);
    let done = until(
        || detail(&mut client),
        |it| it.pool.outcomes.answered_total == 3,
    );
    assert!(done.calls.is_empty());
    assert_eq!(done.methods[0].outcomes.answered_total, 3);

    let drained = client.call::<serde_json::Value>("drain", json!({ "poolId": id }));
    drained.expect("it may control");
    assert!(block_on(caller.grind(7)).is_err(), "it takes no more calls");
    let again = client.call::<serde_json::Value>("drain", json!({ "poolId": id }));
    assert!(again.is_err(), "it drains already");
    block_on(pool.shut_down(Shutdown::now()));
    drop((pool, caller));
    let pools = until(
        || {
            client
                .call::<Pools>("getPools", json!({}))
                .expect("it answers")
        },
        |pools| pools.pools.iter().all(|it| it.id != id),
    );
    drop((pools, client, inspector));
    assert!(Isolate::current().is_none());
    runtime.shut_down();
}
