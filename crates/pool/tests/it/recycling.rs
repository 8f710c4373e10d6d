//! Risk: new services take the place of old ones, and a call waits for that, is lost, or runs twice;
//! or old ones never end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use insula_core::{Instant, sleep};
use insula_pool::{
    BuildError, PoolBuilder, PoolPhase, Recycle, Restart, Shutdown, WorkerCondition, WorkerEvent,
    WorkerPool,
};
use insula_rpc::Outcome;
use insula_sync::atomic::{AtomicU32, Ordering};

use crate::desk::{seeded, start, until};
use crate::service::{Desk, JobsCaller, JobsResponder, pool};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Workers whose later states are built once the gate of their incarnation is open. Counts the
/// builds.
fn gated(
    desk: &Desk,
    workers: usize,
    recycle: Recycle,
) -> (PoolBuilder<JobsResponder<Desk>>, Arc<AtomicU32>) {
    let (desk, built) = (desk.clone(), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&built);
    let builder = WorkerPool::builder()
        .workers(workers)
        .recycle(recycle)
        .service::<JobsResponder<_>>(move |cx| {
            let desk = desk.clone();
            count.fetch_add(1, Ordering::Relaxed);
            async move {
                if cx.incarnation() > 0 {
                    desk.note(format!("building {}.{}", cx.worker(), cx.incarnation()));
                    desk.opened(u64::from(cx.incarnation())).await;
                }
                Ok(desk)
            }
        });
    (builder, built)
}

async fn incarnation(caller: &JobsCaller) -> u32 {
    caller.whoami().await.expect("an answer").1
}

#[test]
fn recycle_after_calls_replaces_the_services_and_no_call_waits_for_it() {
    seeded(1, || async {
        let desk = Desk::default();
        let (builder, built) = gated(&desk, 1, Recycle::after_calls(3));
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        for _ in 0..3 {
            assert_eq!(incarnation(&caller).await, 0);
        }
        desk.noted("building 0.1").await;
        // Answered by the old services, as long as it takes.
        for _ in 0..5 {
            assert_eq!(incarnation(&caller).await, 0);
        }
        desk.open(1);
        until(&pool, |status| status.workers[0].incarnation == 1).await;
        assert_eq!(incarnation(&caller).await, 1);
        assert_eq!(pool.status().workers[0].condition, WorkerCondition::Ready);
        assert_eq!(built.load(Ordering::Relaxed), 2);
        // And again, by the count of the new ones.
        desk.open(2);
        for _ in 0..2 {
            caller.echo(1).await.unwrap();
        }
        until(&pool, |status| status.workers[0].incarnation == 2).await;
        assert_eq!(pool.stats().answered, 11);
    });
}

#[test]
fn recycle_after_an_age_replaces_the_services() {
    seeded(2, || async {
        let builder = pool(&Desk::default(), 2).recycle(Recycle::after(HOUR));
        let pool = builder.build().await.unwrap();
        sleep(HOUR - SECOND).await;
        let incarnations = |pool: &WorkerPool<_>| -> Vec<u32> {
            let workers = pool.status().workers;
            workers.iter().map(|it| it.incarnation).collect()
        };
        assert_eq!(incarnations(&pool), [0, 0]);
        sleep(2 * SECOND).await;
        assert_eq!(incarnations(&pool), [1, 1]);
        sleep(HOUR).await;
        assert_eq!(incarnations(&pool), [2, 2]);
    });
}

#[test]
fn a_stream_and_a_call_that_run_come_to_their_end_on_the_old_services() {
    seeded(3, || async {
        let desk = Desk::default();
        let (builder, _) = gated(&desk, 1, Recycle::after_calls(1));
        let builder = builder.concurrency_per_worker(2);
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut items = caller.count(1000).await.unwrap();
        assert_eq!(items.next().await.unwrap().unwrap(), 0);
        let mut waits = caller.wait_for(77);
        start(&mut waits);
        desk.noted("at 77").await;
        desk.open(1);
        caller.echo(1).await.unwrap();
        until(&pool, |status| status.workers[0].incarnation == 1).await;
        desk.open(77);
        assert_eq!(waits.await.unwrap(), 77);
        assert_eq!(items.count().await, 999);
        assert!(incarnation(&caller).await >= 1);
    });
}

#[test]
fn services_that_cannot_be_built_leave_the_old_ones_in_place_and_are_tried_again() {
    seeded(4, || async {
        let tries = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&tries);
        let policy = Restart::at_most(5, HOUR).delay(SECOND, SECOND);
        let builder = WorkerPool::builder().workers(1).restart(policy);
        let builder = builder.recycle(Recycle::after_calls(1));
        let builder = builder.service::<JobsResponder<_>>(move |cx| {
            // The state of the build, two that fail, and one that does not.
            let tried = count.fetch_add(1, Ordering::Relaxed);
            async move {
                match (cx.incarnation(), tried) {
                    (1, 1) => Err("no license")?,
                    (2, 2) => panic!("no memory"),
                    _ => Ok(Desk::default()),
                }
            }
        });
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let before = Instant::now();
        assert_eq!(incarnation(&caller).await, 0);
        while pool.status().workers[0].incarnation == 0 {
            assert_eq!(pool.status().phase, PoolPhase::Serving);
            assert!(caller.echo(1).await.is_ok());
            sleep(SECOND / 4).await;
        }
        assert!(tries.load(Ordering::Relaxed) >= 4);
        let waited = Instant::now() - before;
        assert!(waited >= 2 * SECOND, "{waited:?}");
    });
}

#[test]
fn one_worker_is_recycled_at_a_time() {
    seeded(5, || async {
        let desk = Desk::default();
        let (builder, built) = gated(&desk, 3, Recycle::after_calls(1));
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        // One for each worker.
        let calls: Vec<_> = (0..3).map(|_| caller.wait_for(77).start()).collect();
        until(&pool, |status| status.workers.iter().all(|it| it.busy == 1)).await;
        desk.open(77);
        assert!(join_all(calls).await.iter().all(Result::is_ok));
        sleep(SECOND).await;
        assert_eq!(built.load(Ordering::Relaxed), 4, "three, and one");
        desk.open(1);
        until(&pool, |status| {
            status.workers.iter().all(|worker| worker.incarnation > 0)
        })
        .await;
    });
}

#[test]
fn a_shutdown_does_not_wait_for_services_that_are_built_to_replace_others() {
    for plan in [Shutdown::graceful(HOUR), Shutdown::now()] {
        seeded(6, move || async move {
            let desk = Desk::default();
            let (builder, _) = gated(&desk, 1, Recycle::after_calls(1));
            let pool = builder.startup_timeout(2 * HOUR).build().await.unwrap();
            let caller: JobsCaller = pool.caller();
            caller.echo(1).await.unwrap();
            desk.noted("building 0.1").await;
            let before = Instant::now();
            let report = pool.shut_down(plan).await;
            assert_eq!((report.finished, report.cancelled, report.lost), (0, 0, 0));
            assert!(Instant::now() - before < SECOND);
            assert_eq!(pool.status().phase, PoolPhase::Closed);
        });
    }
}

#[test]
fn a_state_that_ends_early_is_followed_by_the_one_that_was_to_replace_it() {
    for panics in [false, true] {
        seeded(7, move || async move {
            let desk = Desk::default();
            let (builder, built) = gated(&desk, 1, Recycle::after_calls(2));
            // Without its successor, a worker that has ended would be lost.
            let pool = builder.restart(Restart::never()).build().await.unwrap();
            let caller: JobsCaller = pool.caller();
            caller.echo(1).await.unwrap();
            caller.echo(2).await.unwrap();
            desk.noted("building 0.1").await;
            let ended = if panics {
                caller.panic().await
            } else {
                caller.leave().await
            };
            assert_eq!(ended.unwrap_err().outcome(), Outcome::MaybeExecuted);
            let mut waits = caller.whoami();
            start(&mut waits);
            desk.open(1);
            assert_eq!(waits.await.unwrap(), (0, 1));
            assert_eq!(built.load(Ordering::Relaxed), 2);
        });
    }
}

#[test]
fn a_panic_on_old_services_does_not_concern_the_new_ones() {
    seeded(9, || async {
        let desk = Desk::default();
        let (builder, built) = gated(&desk, 1, Recycle::after_calls(1));
        let builder = builder.concurrency_per_worker(2);
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut trips = caller.panic_at(50);
        start(&mut trips);
        desk.noted("at 50").await;
        desk.open(1);
        caller.echo(1).await.unwrap();
        until(&pool, |status| status.workers[0].incarnation == 1).await;
        desk.open(50);
        assert!(trips.await.is_err());
        until(&pool, |status| status.workers[0].busy == 0).await;
        assert_eq!(pool.status().workers[0].condition, WorkerCondition::Ready);
        assert_eq!(built.load(Ordering::Relaxed), 2);
    });
}

#[test]
fn calls_with_a_key_start_in_order_through_a_replacement() {
    seeded(10, || async {
        let desk = Desk::default();
        for gate in 1..200 {
            desk.open(gate);
        }
        let (builder, _) = gated(&desk, 2, Recycle::after_calls(3));
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let calls = (0..100).map(|number| caller.note(number).key(7).into_future());
        let answers = join_all(calls).await;
        assert!(answers.iter().all(Result::is_ok));
        let notes = desk.notes();
        let numbers = notes.iter().filter_map(|note| note.strip_prefix("note "));
        let expected: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(numbers.collect::<Vec<_>>(), expected);
    });
}

#[test]
fn settings_that_would_recycle_without_end_are_refused() {
    for recycle in [Recycle::after_calls(0), Recycle::after(Duration::ZERO)] {
        let builder = pool(&Desk::default(), 1).recycle(recycle);
        let error = insula_core::block_on(builder.build()).unwrap_err();
        assert!(matches!(error, BuildError::Settings(_)), "{error}");
        assert!(error.to_string().contains("recycle(..)"), "{error}");
    }
}

#[test]
fn each_incarnation_that_is_recycled_has_one_end() {
    seeded(11, || async {
        let desk = Desk::default();
        let told = desk.clone();
        let builder = pool(&desk, 1).recycle(Recycle::after_calls(1));
        let builder = builder.observe(move |event: &WorkerEvent| {
            told.note(format!("{}: {}", event.incarnation, event.change));
        });
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        for incarnation in 1..3 {
            caller.echo(1).await.unwrap();
            until(&pool, |status| status.workers[0].incarnation == incarnation).await;
        }
        pool.shut_down(Shutdown::now()).await;
        desk.noted("2: exited: the pool ended").await;
        for (incarnation, why) in [
            (0, "it was recycled"),
            (1, "it was recycled"),
            (2, "the pool ended"),
        ] {
            let notes = desk.notes();
            let of_one = format!("{incarnation}: ");
            let of_one: Vec<_> = notes
                .iter()
                .filter_map(|it| it.strip_prefix(&of_one))
                .collect();
            assert_eq!(of_one, ["spawning", "ready", &format!("exited: {why}")]);
        }
    });
}

#[test]
fn each_try_to_build_new_services_is_an_incarnation_of_its_own() {
    seeded(12, || async {
        let desk = Desk::default();
        let told = desk.clone();
        let tries = Arc::new(AtomicU32::new(0));
        let policy = Restart::at_most(5, HOUR).delay(SECOND, SECOND);
        let builder = WorkerPool::builder().workers(1).restart(policy);
        let builder = builder.recycle(Recycle::after_calls(1));
        let builder = builder.service::<JobsResponder<_>>(move |_cx| {
            let tried = tries.fetch_add(1, Ordering::Relaxed);
            async move {
                if (1..3).contains(&tried) {
                    Err("no license")?;
                }
                Ok(Desk::default())
            }
        });
        let builder = builder.observe(move |event: &WorkerEvent| {
            told.note(format!("{}: {}", event.incarnation, event.change));
        });
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        caller.echo(1).await.unwrap();
        sleep(5 * SECOND).await;
        let expected = [
            "0: spawning",
            "0: ready",
            "1: spawning",
            "1: not recycled, next try in 1s: no license",
            "1: exited: no license",
            "2: spawning",
            "2: not recycled, next try in 1s: no license",
            "2: exited: no license",
            "3: spawning",
            "3: ready",
            "0: exited: it was recycled",
        ];
        assert_eq!(desk.notes(), expected);
        assert_eq!(incarnation(&caller).await, 3);
    });
}

#[test]
fn services_are_tried_for_as_long_as_the_old_ones_last_and_take_no_restart() {
    seeded(13, || async {
        let tries = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&tries);
        let policy = Restart::at_most(1, HOUR).delay(SECOND, SECOND);
        let builder = WorkerPool::builder().workers(1).restart(policy);
        let builder = builder.recycle(Recycle::after_calls(2));
        let builder = builder.service::<JobsResponder<_>>(move |_cx| {
            let tried = count.fetch_add(1, Ordering::Relaxed);
            async move {
                if (1..9).contains(&tried) {
                    Err("no license")?;
                }
                Ok(Desk::default())
            }
        });
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        caller.echo(1).await.unwrap();
        caller.echo(2).await.unwrap();
        sleep(20 * SECOND).await;
        assert_eq!(tries.load(Ordering::Relaxed), 10);
        assert_eq!(incarnation(&caller).await, 9);
        // The one restart of the hour is still there.
        assert!(caller.leave().await.is_err());
        assert_eq!(incarnation(&caller).await, 10);
    });
}

#[test]
fn recycle_after_errors_replaces_services_whose_calls_fail() {
    seeded(1, || async {
        let builder = pool(&Desk::default(), 1).recycle(Recycle::after_errors(3));
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        for _ in 0..10 {
            assert_eq!(caller.whoami().await.unwrap(), (0, 0));
        }
        for _ in 0..3 {
            assert!(caller.fail().await.is_err());
        }
        until(&pool, |status| status.workers[0].incarnation == 1).await;
        assert_eq!(caller.whoami().await.unwrap(), (0, 1));
    });
}
