//! Risk: a worker that computes without an end takes its calls, its place or its pool with it; one that
//! cannot serve gets calls; or one request ends one worker after the other.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use insula_core::{Instant, block_on, sleep};
use insula_pool::{
    BuildError, Directive, Health, PoolBuilder, PoolObserver, PoolPhase, Readiness, Restart,
    Shutdown, WorkerChange, WorkerCondition, WorkerEnd, WorkerEvent, WorkerFault, WorkerPool,
    Workers,
};
use insula_rpc::{CallError, Outcome, Reject, Retry, retry};
use insula_sync::Mutex;

use crate::desk::{seeded, until};
use crate::service::{Desk, JobsCaller, JobsResponder, pool};

const MS: Duration = Duration::from_millis(1);

/// Keeps the events of workers as texts.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl PoolObserver for Notes {
    fn on_event(&self, event: &WorkerEvent) {
        let text = match &event.change {
            WorkerChange::Exited {
                why: WorkerEnd::Fault(fault),
            } => format!("exited: {fault}"),
            change => change.to_string(),
        };
        let text = format!("{}.{} {text}", event.worker.index(), event.incarnation);
        self.0.lock().push(text);
    }
}

impl Notes {
    fn has(&self, text: &str) -> bool {
        self.0.lock().iter().any(|it| it.contains(text))
    }
}

fn soon() -> Restart {
    Restart::at_most(100, Duration::MAX).delay(MS, MS)
}

#[test]
fn stuck_after_gives_a_worker_up_and_starts_it_again() {
    let (desk, notes) = (Desk::default(), Notes::default());
    block_on(async {
        let pool = pool(&desk, 1)
            .concurrency_per_worker(2)
            .health(Health::stuck_after(40 * MS))
            .restart(soon())
            .observe(notes.clone())
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let beside = caller.wait_for(2).start();
        desk.noted("at 2").await;
        let stuck = caller.compute(1).start();
        desk.noted("computing 1").await;
        let next = caller.whoami().start();
        for end in [stuck.await.map(|()| 0), beside.await] {
            let Err(CallError::WorkerDied { outcome, .. }) = end else {
                panic!("{end:?}");
            };
            assert_eq!(outcome, Outcome::MaybeExecuted);
        }
        // What had not started is served by the next incarnation, while the old one still computes.
        assert_eq!(next.await.unwrap(), (0, 1));
        for number in 0..100 {
            assert_eq!(caller.echo(number).await.unwrap(), number);
        }
        let stats = pool.stats();
        assert_eq!(
            (stats.stuck, stats.died, stats.ended()),
            (1, 2, stats.submitted)
        );
        assert!(notes.has("0.0 restarting"), "{:?}", notes.0.lock());
        assert!(!notes.has("0.0 exited"));
        desk.open(1);
        desk.noted("computed 1").await;
        let report = pool.shut_down(Shutdown::graceful(60_000 * MS)).await;
        assert_eq!(report.lost, 0);
        while !notes.has("0.0 exited: it did not stop") {
            sleep(MS).await;
        }
    });
}

#[test]
fn a_slice_that_is_shorter_is_left_alone() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .health(Health::stuck_after(60_000 * MS))
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let long = caller.compute(1).start();
        desk.noted("computing 1").await;
        sleep(20 * MS).await;
        desk.open(1);
        assert!(long.await.is_ok());
        // Neither does one that waits count.
        assert!(caller.doze(20).await.is_ok());
        assert_eq!(pool.stats().stuck, 0);
        assert_eq!(pool.status().workers[0].incarnation, 0);
    });
}

#[test]
fn a_worker_that_waits_is_never_stuck() {
    seeded(1, || async {
        let builder = pool(&Desk::default(), 1).health(Health::stuck_after(MS));
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        assert!(caller.doze(10_000).await.is_ok());
        assert_eq!(pool.stats().stuck, 0);
    });
}

#[test]
fn so_many_isolates_that_are_stuck_and_no_more() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1)
            .health(Health::stuck_after(10 * MS).at_most(1))
            .restart(soon())
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        assert!(caller.compute(1).await.is_err());
        let second = caller.compute(2).start();
        desk.noted("computing 2").await;
        sleep(60 * MS).await;
        assert_eq!(pool.stats().stuck, 1);
        // Once the first one has ended, the second one is given up.
        desk.open(1);
        assert!(second.await.is_err());
        assert_eq!(pool.stats().stuck, 2);
        assert!(caller.echo(1).await.is_ok());
        desk.open(2);
    });
}

#[test]
fn a_stuck_worker_is_lost_if_the_policy_says_so_and_the_pool_can_be_shut_down() {
    let desk = Desk::default();
    block_on(async {
        let decide = |fault: &WorkerFault| match fault {
            WorkerFault::Stuck => Directive::Stop,
            _ => Directive::Restart,
        };
        let pool = pool(&desk, 2)
            .health(Health::stuck_after(10 * MS))
            .restart(soon().decide(decide))
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        assert!(caller.compute(1).await.is_err());
        until(&pool, |status| status.phase == PoolPhase::Degraded).await;
        let lost = pool
            .status()
            .workers
            .iter()
            .filter(|it| matches!(it.condition, WorkerCondition::Lost(_)))
            .count();
        assert_eq!(lost, 1);
        assert!(
            join_all((0..20).map(|n| caller.echo(n)))
                .await
                .iter()
                .all(Result::is_ok)
        );
        pool.shut_down(Shutdown::now()).await;
        desk.open(1);
    });
}

#[test]
fn readiness_keeps_calls_from_a_worker_that_cannot_serve() {
    seeded(1, || async {
        let (desk, notes) = (Desk::default(), Notes::default());
        let (builder, switches) = with_switches(&desk, 2);
        let pool = builder.observe(notes.clone()).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let switch = |index: usize| switches.lock()[index].clone();
        switch(0).not_serving();
        switch(0).not_serving();
        let answers = join_all((0..10).map(|_| caller.whoami())).await;
        assert!(answers.into_iter().all(|it| it.unwrap().0 == 1));
        // A call that waits for it waits until it serves.
        let one: JobsCaller = pool.caller_of(pool.status().workers[0].id);
        let waiting = one.whoami().start();
        switch(1).not_serving();
        let end = caller.whoami().await;
        let Err(CallError::Rejected {
            why: Reject::NoWorker,
            ..
        }) = end
        else {
            panic!("{end:?}");
        };
        switch(0).serving();
        assert_eq!(waiting.await.unwrap().0, 0);
        assert_eq!(caller.whoami().await.unwrap().0, 0);
        let told = notes.0.lock().clone();
        let told: Vec<_> = told.iter().filter(|it| it.contains("serving")).collect();
        assert_eq!(told, ["0.0 not serving", "1.0 not serving", "0.0 serving"]);
        pool.shut_down(Shutdown::now()).await;
        // Nothing happens to a pool that has ended.
        switch(0).not_serving();
    });
}

#[test]
fn quarantine_after_rejects_what_has_ended_a_worker_too_often() {
    seeded(1, || async {
        let pool = pool(&Desk::default(), 1)
            .quarantine_after(2)
            .restart(soon())
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let panics = || caller.panic().idempotency_key("a");
        let leaves = || caller.leave().idempotency_key("a");
        assert!(matches!(panics().await, Err(CallError::Panicked { .. })));
        assert!(matches!(leaves().await, Err(CallError::WorkerDied { .. })));
        assert!(matches!(panics().await, Err(CallError::Panicked { .. })));
        let quarantined = |end: Result<_, CallError<_, _>>| {
            matches!(
                end,
                Err(CallError::Rejected {
                    why: Reject::Quarantined,
                    ..
                })
            )
        };
        assert!(quarantined(panics().await));
        // Others are not held back, nor is the other method yet.
        assert!(matches!(
            caller.panic().await,
            Err(CallError::Panicked { .. })
        ));
        assert!(matches!(leaves().await, Err(CallError::WorkerDied { .. })));
        assert!(quarantined(leaves().await));
        assert!(caller.echo(1).idempotency_key("a").await.is_ok());
        let policy = Retry::attempts(3);
        let repeated = retry(&policy, |_| caller.panic().idempotency_key("a")).await;
        assert!(quarantined(repeated));
        pool.clear_quarantine();
        assert!(matches!(panics().await, Err(CallError::Panicked { .. })));
        let stats = pool.stats();
        assert_eq!(stats.ended(), stats.submitted);
    });
}

#[test]
fn a_call_that_only_ran_beside_the_poison_is_not_held_back() {
    seeded(1, || async {
        let desk = Desk::default();
        let pool = pool(&desk, 1)
            .concurrency_per_worker(2)
            .quarantine_after(2)
            .restart(soon())
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        for round in 0..4 {
            let innocent = caller.doze(5).idempotency_key("good").start();
            let end = caller.leave().idempotency_key(format!("bad {round}")).await;
            assert!(end.is_err());
            assert!(matches!(innocent.await, Err(CallError::WorkerDied { .. })));
            // Its second attempt clears it.
            assert!(caller.doze(5).idempotency_key("good").await.is_ok());
        }
    });
}

#[test]
fn reload_replaces_all_services_and_no_call_fails() {
    seeded(1, || async {
        let version = Arc::new(Mutex::new(1));
        let (desk, current) = (Desk::default(), Arc::clone(&version));
        let service = desk.clone();
        let pool = WorkerPool::builder()
            .workers(3)
            .service::<JobsResponder<_>>(move |_cx| {
                let (desk, version) = (service.clone(), *current.lock());
                async move {
                    if version == 3 {
                        Err("a bad version")?;
                    }
                    desk.note(format!("version {version}"));
                    Ok(desk)
                }
            })
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        let running: Vec<_> = (0..2).map(|_| caller.wait_for(1).start()).collect();
        *version.lock() = 2;
        let calls = async {
            for _ in 0..50 {
                assert!(
                    caller
                        .echo(1)
                        .deadline(Duration::from_secs(9))
                        .await
                        .is_ok()
                );
                sleep(MS).await;
            }
        };
        let (reloaded, ()) = join(pool.reload(), calls).await;
        reloaded.unwrap();
        let notes = desk.notes();
        assert_eq!(notes.iter().filter(|it| *it == "version 2").count(), 3);
        desk.open(1);
        assert!(join_all(running).await.iter().all(Result::is_ok));
        // The first worker that cannot have the next version ends it.
        *version.lock() = 3;
        let before: Vec<_> = pool
            .status()
            .workers
            .iter()
            .map(|it| it.incarnation)
            .collect();
        let error = pool.reload().await.unwrap_err();
        assert!(error.to_string().contains("a bad version"), "{error}");
        sleep(Duration::from_secs(60)).await;
        let after: Vec<_> = pool
            .status()
            .workers
            .iter()
            .map(|it| it.incarnation)
            .collect();
        assert_eq!(before, after);
        assert!(caller.echo(1).await.is_ok());
        *version.lock() = 2;
        pool.reload().await.unwrap();
        pool.shut_down(Shutdown::now()).await;
        assert!(pool.reload().await.is_err());
    });
}

#[test]
fn settings_of_health_that_make_no_sense_are_refused() {
    seeded(1, || async {
        let builders = [
            pool(&Desk::default(), 1).health(Health::stuck_after(Duration::ZERO)),
            pool(&Desk::default(), 1).quarantine_after(0),
        ];
        for builder in builders {
            let built = builder.build().await;
            assert!(matches!(built, Err(BuildError::Settings(_))));
        }
        let health = Health::stuck_after(Duration::MAX).at_most(usize::MAX);
        let pool = pool(&Desk::default(), 1).health(health).build().await;
        let pool = pool.unwrap();
        until(&pool, |status| status.workers[0].incarnation == 0).await;
    });
}

/// A pool whose services hand their readiness out, in the order in which they are built.
fn with_switches(
    desk: &Desk,
    workers: impl Into<Workers>,
) -> (PoolBuilder<JobsResponder<Desk>>, Arc<Mutex<Vec<Readiness>>>) {
    let switches = Arc::new(Mutex::new(Vec::<Readiness>::new()));
    let (kept, service) = (Arc::clone(&switches), desk.clone());
    let builder = WorkerPool::builder()
        .workers(workers)
        .service::<JobsResponder<_>>(move |cx| {
            kept.lock().push(cx.readiness());
            let desk = service.clone();
            async { Ok(desk) }
        });
    (builder, switches)
}

#[test]
fn a_pool_that_drains_does_not_wait_for_a_worker_that_does_not_serve() {
    seeded(1, || async {
        let desk = Desk::default();
        let (builder, switches) = with_switches(&desk, 2);
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let switch = |index: usize| switches.lock()[index].clone();
        switch(1).not_serving();
        let calls = [caller.doze(10).start(), caller.doze(10).start()];
        let (began, hour) = (Instant::now(), Duration::from_secs(3600));
        let report = pool.shut_down(Shutdown::graceful(hour)).await;
        assert_eq!((report.finished, report.lost), (2, 0));
        assert!(Instant::now().saturating_duration_since(began) < hour / 2);
        assert!(join_all(calls).await.iter().all(Result::is_ok));
    });
}

/// The same, if the last call that waits is given up by its caller.
#[test]
fn a_pool_that_drains_ends_when_the_last_call_is_withdrawn() {
    seeded(1, || async {
        let desk = Desk::default();
        let (builder, switches) = with_switches(&desk, 1);
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let call = caller.doze(10).deadline(50 * MS).start();
        let waiting = caller.doze(10).start();
        let switch = switches.lock()[0].clone();
        switch.not_serving();
        let (began, hour) = (Instant::now(), Duration::from_secs(3600));
        let (_report, ()) = join(pool.shut_down(Shutdown::graceful(hour)), async {
            sleep(100 * MS).await;
            drop((call, waiting));
        })
        .await;
        assert!(Instant::now().saturating_duration_since(began) < hour / 2);
    });
}

#[test]
fn no_worker_is_told_of_a_resized_pool_and_of_services_that_begin_without_serving() {
    seeded(1, || async {
        let desk = Desk::default();
        let (builder, switches) = with_switches(&desk, 1..=4);
        let pool = builder.build().await.unwrap();
        pool.resize(2).unwrap();
        until(&pool, |status| {
            let ready = |it: &&insula_pool::WorkerStatus| it.condition == WorkerCondition::Ready;
            status.workers.iter().filter(ready).count() == 2
        })
        .await;
        let caller: JobsCaller = pool.caller();
        let all = switches.lock().clone();
        all.iter().for_each(Readiness::not_serving);
        let end = caller.whoami().await;
        assert!(matches!(
            end,
            Err(CallError::Rejected {
                why: Reject::NoWorker,
                ..
            })
        ));
        // The one that serves is kept.
        all[0].serving();
        pool.resize(1).unwrap();
        sleep(10 * MS).await;
        assert_eq!(caller.whoami().await.unwrap().0, 0);
    });
}

#[test]
fn a_reload_leaves_workers_alone_that_start_later() {
    seeded(1, || async {
        let desk = Desk::default();
        let pool = pool(&desk, 1);
        let pool = pool.workers(1..=3).build().await.unwrap();
        pool.reload().await.unwrap();
        pool.resize(3).unwrap();
        sleep(Duration::from_secs(1)).await;
        let incarnations: Vec<_> = pool
            .status()
            .workers
            .iter()
            .map(|it| it.incarnation)
            .collect();
        assert_eq!(incarnations, [1, 0, 0]);
    });
}

#[test]
fn a_keyed_call_that_computes_holds_up_no_other_worker_while_services_are_replaced() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 2).build().await.unwrap();
        let [busy, free]: [JobsCaller; 2] =
            [0, 1].map(|index: usize| pool.caller_of(pool.status().workers[index].id));
        let long = busy.compute(1).start();
        desk.noted("computing 1").await;
        let calls = async {
            until(&pool, |status| status.workers[1].incarnation == 1).await;
            // These are pinned, and move to the new services.
            for number in 0..20 {
                let call = free.echo(number).deadline(Duration::from_secs(10));
                assert_eq!(call.await.unwrap(), number);
            }
            desk.open(1);
        };
        let (reloaded, ()) = join(pool.reload(), calls).await;
        reloaded.unwrap();
        assert!(long.await.is_ok());
    });
}
