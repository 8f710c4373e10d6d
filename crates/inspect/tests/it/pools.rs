//! The risk: what is shown of pools and calls is not what happens.

use std::convert::Infallible;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use insula_core::{Isolate, ReceivePort, Runtime, block_on, spawn_local};
use insula_inspect::client::{Address, Client, Notification};
use insula_inspect::model::{
    EndedCall, Events, IsolateDetail, Isolates, Pool, PoolDetail, Pools, Ports, Vm, Wait, Waits,
};
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

fn mill(name: &str, turns: Arc<Mutex<mpsc::Receiver<()>>>) -> WorkerPool<MillRequest> {
    let builder = WorkerPool::builder().name(name).workers(1);
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
    let pool = mill("mill of the test", turns);
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

/// Lets an isolate await a call, and returns its handle.
fn await_grind(name: &str, caller: MillCaller) -> Isolate {
    let entry = |caller: MillCaller| spawn_local(async move { drop(caller.grind(1).await) });
    Isolate::builder().name(name).spawn(entry, caller)
}

#[test]
fn an_isolate_that_awaits_a_call_is_told_which_worker_or_queue_holds_it() {
    let runtime = Runtime::builder().threads(2).build();
    let _entered = runtime.enter();
    let (release, turns) = mpsc::channel();
    let pool = mill("mill that is waited for", Arc::new(Mutex::new(turns)));
    let (inspector, mut client) = inspected(&runtime);
    let running = await_grind("first", pool.caller());
    let waits = |client: &mut Client, name: &str| -> Option<Wait> {
        let all: Waits = client.call("getWaits", json!({})).expect("it answers");
        all.waits.into_iter().find(|it| it.waiter.name == name)
    };
    // It is in the queue for a moment, until the worker takes it.
    let first = until(
        || waits(&mut client, "first"),
        |it| {
            let call = it.as_ref().and_then(|it| it.call.as_deref());
            call == Some("Mill.grind of pool mill that is waited for, on worker 0")
        },
    );
    let first = first.expect("it was found");
    assert_eq!(first.kind, "call");
    assert!(
        first.holders[0].id.starts_with("isolates/"),
        "{:?}",
        first.holders
    );
    let queued = await_grind("second", pool.caller());
    let second = until(|| waits(&mut client, "second"), Option::is_some);
    let second = second.expect("it was found");
    assert!(second.call.is_some_and(|it| it.ends_with(", in its queue")));
    assert!(
        second.holders[0].id.starts_with("pools/"),
        "{:?}",
        second.holders
    );
    let id = format!("isolates/{}", queued.id().number());
    let detail: IsolateDetail = client
        .call("getIsolate", json!({ "isolateId": id }))
        .expect("it is there");
    let why = detail.why.join(" ");
    assert!(
        why.contains("It waits for a call: Mill.grind of pool"),
        "{why}"
    );
    for _ in 0..2 {
        release.send(()).expect("the handler waits");
    }
    block_on(running.exited());
    block_on(queued.exited());
    until(|| waits(&mut client, "second"), Option::is_none);
    drop(inspector);
    runtime.block_on(pool.shut_down(Shutdown::now()));
    runtime.shut_down();
}

#[test]
fn calls_are_told_as_they_end_with_their_times_and_only_those_that_are_wanted() {
    let runtime = Runtime::builder().threads(2).build();
    let _entered = runtime.enter();
    let (release, turns) = mpsc::channel();
    let pool = mill("traced mill", Arc::new(Mutex::new(turns)));
    let (inspector, mut client) = inspected(&runtime);
    let pools: Pools = client.call("getPools", json!({})).expect("it answers");
    let own = pools.pools.iter().find(|it| it.name == "traced mill");
    let id = own.expect("it is listed").id.clone();
    let listen = |client: &mut Client, params: serde_json::Value| {
        let params = params.as_object().cloned().unwrap_or_default();
        client.listen_with("Calls", params)
    };
    let missing = listen(&mut client, json!({ "poolId": "pools/999999" }));
    assert!(missing.is_err(), "there is no such pool");
    listen(&mut client, json!({ "poolId": id, "method": "Mill.grind" })).expect("it listens");
    let caller: MillCaller = pool.caller();
    let call = caller.grind(1).start();
    release.send(()).expect("the handler waits");
    block_on(call).expect("it is answered");
    let ended = next_call(&mut client, Duration::from_secs(20)).expect("it is told");
    assert_eq!(ended.method, "Mill.grind");
    assert_eq!(
        (ended.pool.id.as_str(), ended.worker),
        (id.as_str(), Some(0))
    );
    assert_eq!(ended.outcome, "answered");
    assert!(
        ended.wait_us.is_some() && ended.run_us.is_some(),
        "{ended:?}"
    );
    for other in [
        json!({ "poolId": id, "method": "rest" }),
        json!({ "poolId": id, "slowerThanMs": 60_000 }),
    ] {
        listen(&mut client, other).expect("it listens");
        let call = caller.grind(1).start();
        release.send(()).expect("the handler waits");
        block_on(call).expect("it is answered");
        assert_eq!(next_call(&mut client, Duration::from_millis(500)), None);
    }
    drop(inspector);
    runtime.block_on(pool.shut_down(Shutdown::now()));
    runtime.shut_down();
}

/// Returns the next call that is told, if there is one within this time.
fn next_call(client: &mut Client, patience: Duration) -> Option<EndedCall> {
    match client.next_notification(patience) {
        Ok(Some(Notification::Calls(mut calls))) => calls.calls.pop(),
        other => {
            assert!(matches!(other, Ok(None)), "{other:?}");
            None
        }
    }
}

#[test]
fn an_isolate_with_very_many_ports_tells_the_newest_and_their_number() {
    let runtime = Runtime::builder().threads(2).build();
    let (inspector, mut client) = inspected(&runtime);
    let builder = Isolate::builder().name("leaky").runtime(&runtime);
    let _kept = builder.spawn_with_port(|mut port: ReceivePort<()>| async move {
        let _leaked: Vec<_> = (0..1_000).map(|_| ReceivePort::<()>::new()).collect();
        port.recv().await;
    });
    let detail = |client: &mut Client| -> IsolateDetail {
        let found: Isolates = client
            .call("getIsolates", json!({ "filter": "leaky" }))
            .expect("it answers");
        let id = found.isolates.first().map(|it| it.id.clone());
        client
            .call("getIsolate", json!({ "isolateId": id.unwrap_or_default() }))
            .unwrap_or_default()
    };
    let detail = until(|| detail(&mut client), |it| it.ports_total == 1_001);
    assert_eq!(detail.ports.len(), 200);
    let why = detail.why.join("\n");
    assert!(why.contains("1001 open ports"), "{why}");
    let all: Ports = client
        .call("getPorts", json!({ "isolateId": detail.isolate.id }))
        .expect("it answers");
    assert_eq!(all.ports.len(), 1_001);
    assert_eq!(all.ports[801..], detail.ports);
    drop(inspector);
    runtime.shut_down();
}

#[test]
fn the_isolates_with_most_ports_come_first_if_that_is_asked_for() {
    let runtime = Runtime::builder().threads(2).build();
    let (inspector, mut client) = inspected(&runtime);
    let spawn = |name: &str, ports: usize| {
        let builder = Isolate::builder().name(name).runtime(&runtime);
        builder.spawn_with_port(move |mut port: ReceivePort<()>| async move {
            let _leaked: Vec<_> = (0..ports).map(|_| ReceivePort::<()>::new()).collect();
            port.recv().await;
        })
    };
    let _kept = [spawn("frugal", 1), spawn("leaky", 50), spawn("plain", 0)];
    let list = |client: &mut Client, params| -> Isolates {
        client.call("getIsolates", params).expect("it answers")
    };
    let sorted = || list(&mut client, json!({ "sort": "-ports" }));
    let sorted = until(sorted, |it| {
        it.isolates.first().is_some_and(|it| it.ports == Some(51))
    });
    let names: Vec<_> = sorted.isolates.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["leaky", "frugal", "plain"]);
    assert_eq!(sorted.unanswered, 0);
    // They cost a question, and are not asked without need.
    let plain = list(&mut client, json!({}));
    assert!(plain.isolates.iter().all(|it| it.ports.is_none()));
    let asked = list(&mut client, json!({ "ports": true, "filter": "frugal" }));
    assert_eq!(asked.isolates[0].ports, Some(2));
    drop(inspector);
    runtime.shut_down();
}

#[test]
fn the_calls_of_all_pools_are_counted_after_a_pool_is_gone_too() {
    let runtime = Runtime::builder().threads(2).build();
    let _entered = runtime.enter();
    let (release, turns) = mpsc::channel();
    let pool = mill("a short life", Arc::new(Mutex::new(turns)));
    let (inspector, mut client) = inspected(&runtime);
    let mut calls = || {
        let vm: Vm = client.call("getVM", json!({})).expect("it is told");
        (
            vm.now.calls_submitted_total,
            vm.now.calls_ended_total,
            vm.now.at_ms,
        )
    };
    release.send(()).expect("it waits");
    let caller: MillCaller = pool.caller();
    assert_eq!(block_on(caller.grind(7)).ok(), Some(7));
    drop(caller);
    // Pools of other tests are counted as well.
    let (submitted, ended, seen) = until(&mut calls, |it| it.1 != 0);
    block_on(pool.shut_down(Shutdown::now()));
    drop(pool);
    let (later, later_ended, _) = until(&mut calls, |it| it.2 > seen + 1_000);
    assert!(
        later >= submitted && later_ended >= ended,
        "{later} {later_ended}"
    );
    drop(inspector);
    runtime.shut_down();
}

#[test]
fn the_histograms_of_a_pool_have_all_of_its_timed_calls() {
    let runtime = Runtime::builder().threads(2).build();
    let _entered = runtime.enter();
    let (release, turns) = mpsc::channel();
    let pool = mill("a mill with times", Arc::new(Mutex::new(turns)));
    let (inspector, mut client) = inspected(&runtime);
    let caller: MillCaller = pool.caller();
    for sack in 0..5 {
        release.send(()).expect("it waits");
        assert_eq!(block_on(caller.grind(sack)).ok(), Some(sack));
    }
    drop(caller);
    let pools: Pools = client.call("getPools", json!({})).expect("they are told");
    let mut pools = pools.pools.into_iter();
    let id = pools
        .find(|it| it.name == "a mill with times")
        .expect("it is there")
        .id;
    let ask = || -> PoolDetail {
        let detail = client.call("getPool", json!({ "poolId": id }));
        detail.expect("it is told")
    };
    let detail = until(ask, |it| it.pool.outcomes.answered_total == 5);
    // Not every call is timed.
    let Pool {
        queue_wait,
        run_time,
        ..
    } = &detail.pool;
    for (buckets, timed) in [
        (&detail.histograms.queue_wait, queue_wait.samples),
        (&detail.histograms.run_time, run_time.samples),
    ] {
        let calls: u64 = buckets.iter().map(|bucket| bucket.total).sum();
        assert!(calls == timed && calls != 0, "{timed} {buckets:?}");
        assert!(buckets.is_sorted_by(|a, b| a.up_to_us < b.up_to_us));
    }
    drop(inspector);
    block_on(pool.shut_down(Shutdown::now()));
    runtime.shut_down();
}
