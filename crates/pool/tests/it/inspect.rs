//! The risk: what a tool does to a pool, or sees of it, breaks what the program does with it.

use std::time::Duration;

use futures_util::future::{join, join_all};
use insula_core::{Isolate, IsolateId, Runtime, block_on, sleep, spawn_local};
use insula_pool::{AnyPool, Measure, PoolPhase, Shutdown, WorkerPool, pools};
use insula_rpc::{Context, contract};

#[contract(crate = insula_rpc)]
trait Rest {
    /// Sleeps.
    async fn rest(&self, cx: &Context, time: Duration) -> Result<(), std::convert::Infallible>;
}

struct Sleeper;

impl Rest for Sleeper {
    async fn rest(&self, _: &Context, time: Duration) -> Result<(), std::convert::Infallible> {
        sleep(time).await;
        Ok(())
    }
}

async fn pool(name: &str) -> WorkerPool<RestRequest> {
    let builder = WorkerPool::builder().name(name).workers(1);
    let pool = builder.service::<RestResponder<_>>(|_| async { Ok(Sleeper) });
    pool.build().await.expect("it starts")
}

fn found(name: &str) -> Option<AnyPool> {
    pools().into_iter().find(|pool| pool.status().name == name)
}

#[test]
fn a_pool_that_a_tool_has_drained_still_shuts_down() {
    let runtime = Runtime::builder().seeded(1).build();
    runtime.block_on(async {
        let pool = pool("drained and shut down").await;
        let caller: RestCaller = pool.caller();
        let running = caller.rest(Duration::from_secs(1)).start();
        let queued = caller.rest(Duration::from_secs(1)).start();
        let seen = found("drained and shut down").expect("it is listed");
        assert!(seen.begin_drain());
        assert!(!seen.begin_drain(), "it has begun");
        assert_eq!(pool.status().phase, PoolPhase::Draining);
        assert!(caller.rest(Duration::ZERO).await.is_err());
        let report = pool.shut_down(Shutdown::now()).await;
        // The queued one is rejected by the shutdown, and not finished for the sake of the drain.
        assert!(queued.await.is_err());
        assert!(running.await.is_err());
        assert_eq!((report.finished, report.cancelled), (0, 2));
    });
    runtime.shut_down();
}

#[test]
fn a_pool_that_a_tool_has_drained_finishes_what_it_has() {
    let runtime = Runtime::builder().seeded(1).build();
    runtime.block_on(async {
        let pool = pool("drained").await;
        let caller: RestCaller = pool.caller();
        let calls: Vec<_> = (0..3)
            .map(|_| caller.rest(Duration::from_secs(1)).start())
            .collect();
        found("drained").expect("it is listed").begin_drain();
        for call in calls {
            call.await.expect("it is finished");
        }
        let report = pool
            .shut_down(Shutdown::graceful(Duration::from_secs(1)))
            .await;
        assert_eq!(report.lost, 0);
    });
    runtime.shut_down();
}

#[test]
fn a_pool_that_a_tool_has_drained_can_be_dropped() {
    let runtime = Runtime::builder().seeded(1).build();
    runtime.block_on(async {
        let pool = pool("drained and dropped").await;
        let caller: RestCaller = pool.caller();
        let running = caller.rest(Duration::from_secs(3600)).start();
        let queued = caller.rest(Duration::from_secs(3600)).start();
        found("drained and dropped")
            .expect("it is listed")
            .begin_drain();
        drop(pool);
        assert!(queued.await.is_err());
        assert!(running.await.is_err());
    });
    runtime.shut_down();
}

#[test]
fn a_pool_is_listed_with_its_calls_until_it_is_gone() {
    let runtime = Runtime::builder().threads(2).build();
    let entered = runtime.enter();
    let pool = block_on(pool("listed"));
    let caller: RestCaller = pool.caller();
    let call = caller.rest(Duration::from_secs(3600)).start();
    let seen = found("listed").expect("it is listed");
    let in_flight = loop {
        let calls = seen.in_flight();
        if let [call] = calls.as_slice() {
            break call.clone();
        }
        std::thread::yield_now();
    };
    assert_eq!((in_flight.method, in_flight.is_waiting), ("rest", false));
    // The same call has the same identity, and no later one has it while this is kept.
    assert_eq!(seen.in_flight()[0].identity(), in_flight.identity());
    assert_eq!(seen.methods(), [("Rest", "rest")]);
    assert_eq!(seen.worker_isolates().len(), 1);
    drop(call);
    let next = caller.rest(Duration::from_secs(3600)).start();
    loop {
        match seen.in_flight().as_slice() {
            [call] if call.identity() != in_flight.identity() => break,
            _ => std::thread::yield_now(),
        }
    }
    drop((next, seen, caller));
    block_on(pool.shut_down(Shutdown::now()));
    drop(pool);
    while found("listed").is_some() {
        std::thread::yield_now();
    }
    drop(entered);
    runtime.shut_down();
}

/// An observer whose destructor panics.
struct Brittle;

impl insula_pool::PoolObserver for Brittle {}

impl Drop for Brittle {
    fn drop(&mut self) {
        panic!("the observer is dropped");
    }
}

#[test]
fn a_tool_that_is_the_last_to_hold_a_pool_sees_no_panic_of_what_the_user_gave_to_it() {
    let runtime = Runtime::builder().threads(1).build();
    let entered = runtime.enter();
    let builder = WorkerPool::builder().name("brittle").workers(1);
    let builder = builder.observe(Brittle);
    let builder = builder.service::<RestResponder<_>>(|_| async { Ok(Sleeper) });
    let pool = block_on(builder.build()).expect("it starts");
    let seen = found("brittle").expect("it is listed");
    block_on(pool.shut_down(Shutdown::now()));
    drop(pool);
    drop(entered);
    runtime.shut_down();
    drop(seen);
    assert!(found("brittle").is_none());
}

/// Waits until a call of the pool runs, and returns the isolate that awaits it.
async fn caller_of_running(pool: &AnyPool) -> Option<IsolateId> {
    loop {
        if let Some(call) = pool.in_flight().first() {
            return call.caller;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_call_that_runs_or_waits_names_the_isolate_that_awaits_it() {
    let runtime = Runtime::builder().seeded(1).build();
    runtime.block_on(async {
        let pool = pool("awaited").await;
        let seen = found("awaited").expect("it is listed");
        let await_rest = |caller: RestCaller| {
            spawn_local(async move { drop(caller.rest(Duration::from_secs(1)).await) });
        };
        let first = Isolate::builder().spawn(await_rest, pool.caller());
        assert_eq!(caller_of_running(&seen).await, Some(first.id()));
        let second = Isolate::builder().spawn(await_rest, pool.caller());
        while seen.in_queue(10).is_empty() {
            sleep(Duration::from_millis(1)).await;
        }
        let queued = seen.in_queue(10);
        assert_eq!(queued.len(), 1);
        assert_eq!(queued[0].method, "rest");
        assert_eq!(queued[0].caller, Some(second.id()));
        assert!(seen.in_queue(0).is_empty(), "at most so many");
        first.exited().await;
        second.exited().await;
        // The caller of this one is no isolate's task.
        let caller: RestCaller = pool.caller();
        let call = caller.rest(Duration::ZERO).start();
        assert_eq!(caller_of_running(&seen).await, None);
        call.await.expect("it is answered");
        pool.shut_down(Shutdown::now()).await;
    });
    runtime.shut_down();
}

#[test]
fn each_of_several_calls_that_are_awaited_at_once_names_the_isolate() {
    /// Of that many, `join_all` polls each with a waker of its own.
    const MANY: usize = 40;
    const SECOND: Duration = Duration::from_secs(1);
    let runtime = Runtime::builder().seeded(1).build();
    runtime.block_on(async {
        let pool = pool("joined").await;
        let seen = found("joined").expect("it is listed");
        let await_two = |caller: RestCaller| {
            spawn_local(async move { drop(join(caller.rest(SECOND), caller.rest(SECOND)).await) });
        };
        let await_many = |caller: RestCaller| {
            let calls = (0..MANY).map(move |_| caller.rest(SECOND));
            spawn_local(async move { drop(join_all(calls).await) });
        };
        for (await_all, calls) in [(await_two as fn(RestCaller), 2), (await_many, MANY)] {
            let isolate = Isolate::builder().spawn(await_all, pool.caller());
            assert_eq!(caller_of_running(&seen).await, Some(isolate.id()));
            let queued = seen.in_queue(MANY);
            assert_eq!(queued.len(), calls - 1);
            assert!(queued.iter().all(|call| call.caller == Some(isolate.id())));
            isolate.exited().await;
        }
        // Those that were sent before they are awaited, and move to another isolate.
        let caller: RestCaller = pool.caller();
        let mut calls: Vec<_> = (0..MANY).map(|_| caller.rest(SECOND).start()).collect();
        assert_eq!(caller_of_running(&seen).await, None);
        assert!(seen.in_queue(MANY).iter().all(|call| call.caller.is_none()));
        let await_calls = |calls| spawn_local(async move { drop(join_all(calls).await) });
        let isolate = Isolate::builder().spawn(await_calls, calls.split_off(0));
        sleep(SECOND / 2).await;
        assert_eq!(caller_of_running(&seen).await, Some(isolate.id()));
        let queued = seen.in_queue(MANY);
        assert!(queued.iter().all(|call| call.caller == Some(isolate.id())));
        isolate.exited().await;
        pool.shut_down(Shutdown::now()).await;
    });
    runtime.shut_down();
}

#[test]
fn a_trace_has_each_call_that_ends_and_the_pool_measures_as_before_once_it_is_over() {
    let runtime = Runtime::builder().seeded(1).build();
    runtime.block_on(async {
        let builder = WorkerPool::builder().name("traced").workers(1);
        let builder = builder.measure(Measure::Off);
        let builder = builder.service::<RestResponder<_>>(|_| async { Ok(Sleeper) });
        let pool: WorkerPool<RestRequest> = builder.build().await.expect("it starts");
        let seen = found("traced").expect("it is listed");
        let caller: RestCaller = pool.caller();
        let second = Duration::from_secs(1);
        caller.rest(second).await.expect("it is answered");
        let trace = seen.trace();
        assert!(trace.take().calls.is_empty(), "it has ended before");
        let calls = [caller.rest(second).start(), caller.rest(2 * second).start()];
        let late = caller.rest(second).deadline(second).start();
        for call in calls {
            call.await.expect("it is answered");
        }
        assert!(late.await.is_err(), "its deadline has passed in the queue");
        let traced = trace.take();
        let times: Vec<_> = traced.calls.iter().map(|it| (it.waited, it.ran)).collect();
        assert_eq!(traced.lost, 0);
        assert!(
            times.contains(&(Some(Duration::ZERO), Some(second))),
            "{times:?}"
        );
        assert!(
            times.contains(&(Some(second), Some(2 * second))),
            "{times:?}"
        );
        let outcomes: Vec<_> = traced.calls.iter().map(|it| it.outcome).collect();
        assert!(outcomes.iter().filter(|it| **it == "answered").count() == 2);
        assert!(traced.calls.iter().all(|it| it.method == "rest"));
        drop(trace);
        let measured = pool.stats().run_time.samples;
        caller.rest(second).await.expect("it is answered");
        assert_eq!(pool.stats().run_time.samples, measured);
        pool.shut_down(Shutdown::now()).await;
    });
    runtime.shut_down();
}
