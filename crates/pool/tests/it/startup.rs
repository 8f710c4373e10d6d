//! Risk: a pool is handed out before it can serve, or a failed start leaves something behind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use insula_core::{Instant, Isolate, Runtime, block_on, sleep};
use insula_memory::Budget;
use insula_pool::{
    BuildError, FactoryError, Memory, Monitor, PoolPhase, Queue, Recycle, Shutdown,
    WorkerCondition, WorkerFault, WorkerPool,
};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::desk::{seeded, start};
use crate::service::{Desk, JobsCaller, JobsResponder, pool};

#[test]
fn a_built_pool_is_ready() {
    let desk = Desk::default();
    let pool = block_on(pool(&desk, 3).build()).unwrap();
    let status = pool.status();
    assert_eq!(
        (status.name.as_str(), status.phase),
        ("jobs", PoolPhase::Serving)
    );
    assert_eq!(status.workers.len(), 3);
    assert!(
        status
            .workers
            .iter()
            .all(|worker| worker.condition == WorkerCondition::Ready)
    );
    assert_eq!(
        block_on(pool.caller::<JobsCaller, _>().echo(5).into_future()).unwrap(),
        5
    );
}

#[test]
fn workers_start_side_by_side() {
    // Each factory waits for all the others: one after the other, they would wait forever.
    let desk = Desk::default();
    let factory = {
        let desk = desk.clone();
        move |cx: insula_pool::WorkerContext| {
            let desk = desk.clone();
            async move {
                desk.open(cx.worker().index() as u64);
                join_all((0..3).map(|gate| desk.opened(gate))).await;
                assert_eq!((cx.incarnation(), cx.pool()), (0, "together"));
                Ok(desk)
            }
        }
    };
    let builder = WorkerPool::builder().name("together").workers(3);
    assert!(block_on(builder.service::<JobsResponder<_>>(factory).build()).is_ok());
}

#[test]
fn a_factory_error_names_its_worker() {
    let builder = WorkerPool::builder()
        .workers(3)
        .service::<JobsResponder<_>>(|cx| async move {
            match cx.worker().index() {
                1 => Err("no model file")?,
                _ => Ok(Desk::default()),
            }
        });
    let error = block_on(builder.build()).unwrap_err();
    assert_eq!(error.to_string(), "start-up of worker 1: no model file");
    assert_eq!(error.worker().unwrap().index(), 1);
}

#[test]
fn a_factory_panic_is_an_error() {
    let builder = WorkerPool::builder()
        .workers(1)
        .service::<JobsResponder<Desk>>(|_cx| async { panic!("no luck") });
    let error = block_on(builder.build()).unwrap_err();
    let BuildError::Startup { fault, .. } = error else {
        panic!("{error}")
    };
    assert!(matches!(&*fault, WorkerFault::Panicked { message, .. } if message == "no luck"));
}

/// On virtual time, so that a busy machine cannot make the other worker late.
#[test]
fn a_slow_factory_times_out() {
    let runtime = Runtime::builder().seeded(1).build();
    let built = runtime.block_on(async {
        Isolate::run_async(|| async {
            let builder = WorkerPool::builder()
                .workers(2)
                .startup_timeout(Duration::from_millis(5))
                .service::<JobsResponder<_>>(|cx| async move {
                    if cx.worker().index() == 1 {
                        insula_core::sleep(Duration::from_secs(1)).await;
                    }
                    Ok(Desk::default())
                });
            builder.build().await.map(drop)
        })
        .await
    });
    runtime.shut_down();
    let error = built.unwrap().unwrap_err();
    assert!(
        error.to_string().contains("worker 1: not ready after 5ms"),
        "{error}"
    );
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let desk = Desk::default();
    for builder in [pool(&desk, 0), pool(&desk, 1).concurrency_per_worker(0)] {
        assert!(matches!(
            block_on(builder.build()),
            Err(BuildError::Settings(_))
        ));
    }
}

#[test]
fn settings_at_the_end_of_their_range_work_or_are_refused() {
    let desk = Desk::default();
    block_on(async {
        let most = 1 << 20;
        for (workers, calls) in [
            (0, 1),
            (usize::MAX, 1),
            (u32::MAX as usize, 1),
            (1, 0),
            (1, usize::MAX),
            (2, most),
            (usize::MAX, usize::MAX),
        ] {
            let built = pool(&desk, workers).concurrency_per_worker(calls).build();
            let Err(BuildError::Settings(why)) = built.await else {
                panic!("{workers} workers for {calls} calls each");
            };
            // It names what to change.
            assert!(why.contains("workers(..)") || why.contains("per_worker(..)"));
        }
        for (time, bound) in [
            (Duration::MAX, usize::MAX),
            (Duration::from_secs(u64::MAX), 1),
        ] {
            let pool = pool(&desk, 1)
                .grace(time)
                .startup_timeout(time)
                .queue(Queue::bounded(bound))
                .build()
                .await
                .unwrap();
            let caller: JobsCaller = pool.caller();
            assert_eq!(caller.echo(7).deadline(time).await.unwrap(), 7);
            pool.shut_down(Shutdown::graceful(time)).await;
        }
    });
}

#[test]
fn an_endless_grace_ends_when_the_handlers_do() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).grace(Duration::MAX).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut call = caller.wait_for(1).into_future();
        start(&mut call);
        desk.noted("at 1").await;
        let end = join(pool.shut_down(Shutdown::now()), async {
            desk.open(1);
            drop(call.await);
        });
        let (report, ()) = end.await;
        assert_eq!(report.lost, 0);
    });
}

/// The factories would take longer than the test.
#[test]
fn a_build_that_is_dropped_waits_for_no_factory() {
    let started = Arc::new(AtomicUsize::new(0));
    let witness = Arc::new(());
    let (begun, held) = (Arc::clone(&started), Arc::clone(&witness));
    let factory = move |_| {
        let held = Arc::clone(&held);
        begun.fetch_add(1, Ordering::Relaxed);
        async move {
            let _held = held;
            std::future::pending::<Result<Desk, FactoryError>>().await
        }
    };
    let mut build = Box::pin(
        WorkerPool::builder()
            .workers(2)
            .startup_timeout(Duration::MAX)
            .service::<JobsResponder<_>>(factory)
            .build(),
    );
    start(&mut build);
    while started.load(Ordering::Relaxed) < 2 {
        std::thread::yield_now();
    }
    drop(build);
    // The factory is one more holder until its workers are gone.
    while Arc::strong_count(&witness) > 1 {
        std::thread::yield_now();
    }
}

/// This program has no allocator that counts.
#[test]
fn memory_needs_an_allocator_that_counts() {
    seeded(1, || async {
        let memory = Memory::soft(Budget::bytes(1 << 30));
        let built = pool(&Desk::default(), 1).memory(memory).build().await;
        let Err(BuildError::Settings(why)) = built else {
            panic!("it was built");
        };
        assert!(why.contains("Tracking"), "{why}");
        let builder = pool(&Desk::default(), 1).monitor(Monitor::memory());
        let pool = builder.build().await.unwrap();
        assert_eq!(pool.stats().workers[0].memory, None);
    });
}

/// `compute` and `drop_later` of the context.
#[test]
fn compute_is_as_wide_as_the_cores_that_others_leave_free() {
    let desk = Desk::default();
    let widths = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&widths);
    block_on(async {
        let service = desk.clone();
        let pool = WorkerPool::builder()
            .workers(2)
            .service::<JobsResponder<_>>(move |cx| {
                seen.lock().push(cx.compute());
                let desk = service.clone();
                async { Ok(desk) }
            })
            .build()
            .await
            .unwrap();
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        let caller: JobsCaller = pool.caller_of(pool.status().workers[1].id);
        let computes = widths.lock().clone();
        let busy = caller.compute(1).start();
        desk.noted("computing 1").await;
        let widths = || {
            let mut now: Vec<_> = computes.iter().map(|it| it.width()).collect();
            now.sort_unstable();
            now
        };
        // One of the two handles is that of the worker that computes itself. The other worker may still
        // be in the slice in which it has started.
        let expected = [(cores - 1).max(1), cores];
        let begin = std::time::Instant::now();
        while widths() != expected {
            let patience = Duration::from_secs(10);
            assert!(begin.elapsed() < patience, "{:?}", widths());
            insula_core::yield_now().await;
        }
        assert_eq!(computes[0].sum(&[1.0, 2.5]), 3.5);
        desk.open(1);
        assert!(busy.await.is_ok());
    });
}

#[test]
fn a_factory_warms_its_service_up_before_the_first_call() {
    seeded(1, || async {
        let desk = Desk::default();
        let service = desk.clone();
        let pool = WorkerPool::builder()
            .workers(2)
            .recycle(Recycle::after_calls(2))
            .service::<JobsResponder<_>>(move |_cx| {
                let desk = service.clone();
                async move {
                    desk.note("cold");
                    sleep(Duration::from_secs(1)).await;
                    desk.note("warm");
                    Ok(desk)
                }
            })
            .build()
            .await
            .unwrap();
        let caller: JobsCaller = pool.caller();
        assert_eq!(desk.notes(), ["cold", "cold", "warm", "warm"]);
        // No call waits for the services that are built later.
        let began = Instant::now();
        for number in 0..20 {
            assert_eq!(caller.echo(number).await.unwrap(), number);
        }
        assert!(Instant::now().saturating_duration_since(began) < Duration::from_secs(1));
    });
}
