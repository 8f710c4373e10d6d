//! Risk: an observer misses the end of a worker, is told of it twice, or harms the pool.

use std::sync::Arc;
use std::time::Duration;

use insula_core::{Isolate, Runtime, sleep, spawn_local};
use insula_pool::{
    PoolBuilder, PoolObserver, Restart, Shutdown, WorkerChange, WorkerEnd, WorkerError,
    WorkerEvent, WorkerFault, WorkerPool,
};
use insula_rpc::WorkerId;
use insula_sync::Mutex;

use super::seeded;
use crate::service::{Desk, JobsCaller, JobsResponder, pool};

/// The gate that ends the isolates of [`mortal`].
const EXIT: u64 = 100;

/// Notes each event as a line.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl PoolObserver for Notes {
    fn on_event(&self, event: &WorkerEvent) {
        self.0.lock().push(event.to_string());
    }
}

impl Notes {
    fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    /// The ends that were noted of one incarnation of worker 0.
    fn ends(&self, incarnation: u32) -> Vec<String> {
        let head = format!("worker 0, incarnation {incarnation}: exited: ");
        let lines = self.lines();
        let ends = lines.iter().filter_map(|line| line.strip_prefix(&head));
        ends.map(str::to_owned).collect()
    }
}

/// A pool of one worker, whose isolates are put into `isolates` and exit at the gate [`EXIT`]. It is
/// not started again.
fn mortal(desk: &Desk, isolates: &Arc<Mutex<Vec<Isolate>>>) -> PoolBuilder<JobsResponder<Desk>> {
    let (desk, isolates) = (desk.clone(), Arc::clone(isolates));
    let builder = WorkerPool::builder().workers(1).restart(Restart::never());
    builder.service::<JobsResponder<_>>(move |_cx| {
        isolates.lock().extend(Isolate::current());
        let (desk, gate) = (desk.clone(), desk.clone());
        spawn_local(async move {
            gate.opened(EXIT).await;
            Isolate::exit_silently();
        });
        async { Ok(desk) }
    })
}

/// Lets everything else run to its rest.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[test]
fn observe_tells_one_end_of_an_incarnation_that_panicked() {
    seeded(|| async {
        let (desk, notes) = (Desk::default(), Notes::default());
        let pool = pool(&desk, 1).observe(notes.clone()).build().await.unwrap();
        assert!(pool.caller::<JobsCaller, _>().panic().await.is_err());
        settle().await;
        assert_eq!(
            notes.lines(),
            [
                "worker 0, incarnation 0: spawning",
                "worker 0, incarnation 0: ready",
                "worker 0, incarnation 0: suspect, because a handler panicked",
                "worker 0, incarnation 0: rebuilding",
                "worker 0, incarnation 1: spawning",
                "worker 0, incarnation 0: exited: the next incarnation has taken its place",
                "worker 0, incarnation 1: ready",
            ]
        );
        pool.shut_down(Shutdown::now()).await;
        settle().await;
        assert_eq!(notes.ends(0).len(), 1);
        assert_eq!(notes.ends(1), ["the pool ended"]);
    });
}

#[test]
fn observe_tells_one_end_of_a_worker_that_exits() {
    seeded(|| async {
        let (desk, notes) = (Desk::default(), Notes::default());
        let builder = mortal(&desk, &Arc::default()).observe(notes.clone());
        let pool = builder.build().await.unwrap();
        desk.open(EXIT);
        settle().await;
        assert_eq!(notes.ends(0), ["its isolate ended"]);
        let lost = "worker 0, incarnation 0: lost: its isolate ended".to_owned();
        assert!(notes.lines().contains(&lost));
        pool.shut_down(Shutdown::now()).await;
        settle().await;
        assert_eq!(notes.ends(0).len(), 1);
    });
}

#[test]
fn observe_tells_one_end_of_each_incarnation_that_is_started_again() {
    seeded(|| async {
        let (desk, notes) = (Desk::default(), Notes::default());
        let restart = Restart::at_most(1, Duration::MAX);
        let builder = mortal(&desk, &Arc::default()).restart(restart);
        let pool = builder.observe(notes.clone()).build().await.unwrap();
        desk.open(EXIT);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(
            notes.lines(),
            [
                "worker 0, incarnation 0: spawning",
                "worker 0, incarnation 0: ready",
                "worker 0, incarnation 0: restarting in 50ms: its isolate ended",
                "worker 0, incarnation 0: exited: its isolate ended",
                "worker 0, incarnation 1: spawning",
                "worker 0, incarnation 1: ready",
                "worker 0, incarnation 1: lost: its isolate ended",
                "worker 0, incarnation 1: exited: its isolate ended",
            ]
        );
        drop(pool);
    });
}

/// The worker has no incarnation at that time, and the readers have an end all the same.
#[test]
fn events_end_with_a_pool_whose_worker_waits_to_be_started_again() {
    seeded(|| async {
        let desk = Desk::default();
        let hour = Duration::from_secs(3600);
        let restart = Restart::at_most(1, hour).delay(hour, hour);
        let builder = mortal(&desk, &Arc::default()).restart(restart);
        let pool = builder.build().await.unwrap();
        let mut events = pool.events();
        desk.open(EXIT);
        settle().await;
        pool.shut_down(Shutdown::now()).await;
        let mut seen = Vec::new();
        while let Some(event) = events.next().await {
            seen.push(event.to_string());
        }
        let last = "worker 0, incarnation 0: exited: its isolate ended";
        assert_eq!(seen.last().unwrap(), last, "{seen:?}");
    });
}

#[test]
fn observe_tells_one_end_of_a_worker_that_is_killed() {
    seeded(|| async {
        let (notes, isolates) = (Notes::default(), Arc::default());
        let builder = mortal(&Desk::default(), &isolates).observe(notes.clone());
        let pool = builder.build().await.unwrap();
        // A kill takes locks, and so none is held.
        let isolate = isolates.lock()[0].clone();
        isolate.kill();
        settle().await;
        assert_eq!(notes.ends(0), ["its isolate ended"]);
        drop(pool);
        settle().await;
        assert_eq!(notes.ends(0).len(), 1);
    });
}

#[test]
fn observe_tells_one_end_of_a_start_that_failed() {
    seeded(|| async {
        let notes = Notes::default();
        let builder = WorkerPool::builder().workers(1).observe(notes.clone());
        let built = builder
            .service::<JobsResponder<Desk>>(|_cx| async { Err("no model file")? })
            .build()
            .await;
        assert!(built.is_err());
        settle().await;
        assert_eq!(
            notes.lines(),
            [
                "worker 0, incarnation 0: spawning",
                "worker 0, incarnation 0: lost: no model file",
                "worker 0, incarnation 0: exited: no model file",
            ]
        );
    });
}

/// Its services are not built yet: it ends with the pool, and is no loss.
#[test]
fn observe_tells_one_end_of_a_start_that_is_dropped() {
    seeded(|| async {
        let notes = Notes::default();
        let builder = WorkerPool::builder().workers(1).observe(notes.clone());
        let builder = builder.service::<JobsResponder<Desk>>(|_cx| std::future::pending());
        let mut build = Box::pin(builder.build());
        crate::desk::start(&mut build);
        settle().await;
        drop(build);
        settle().await;
        assert_eq!(
            notes.lines(),
            [
                "worker 0, incarnation 0: spawning",
                "worker 0, incarnation 0: exited: the pool ended",
            ]
        );
    });
}

#[test]
fn observe_tells_one_end_of_each_worker_that_is_shut_down() {
    seeded(|| async {
        let notes = Notes::default();
        let builder = pool(&Desk::default(), 3).observe(notes.clone());
        let pool = builder.build().await.unwrap();
        pool.shut_down(Shutdown::graceful(Duration::MAX)).await;
        settle().await;
        let lines = notes.lines();
        for worker in 0..3 {
            let end = format!("worker {worker}, incarnation 0: exited: the pool ended");
            assert_eq!(lines.iter().filter(|line| **line == end).count(), 1);
        }
        assert_eq!(lines.len(), 9, "{lines:?}");
    });
}

#[test]
fn observe_tells_one_end_when_the_runtime_is_shut_down() {
    let notes = Notes::default();
    let runtime = Runtime::builder().seeded(1).build();
    let builder = pool(&Desk::default(), 1).observe(notes.clone());
    let pool = runtime.block_on(builder.build()).unwrap();
    runtime.shut_down();
    assert_eq!(notes.ends(0), ["its isolate ended"]);
    drop(pool);
    assert_eq!(notes.ends(0).len(), 1);
}

/// The runtime is gone before the worker's isolate runs at all.
#[test]
fn observe_tells_one_end_of_a_worker_that_never_ran() {
    let notes = Notes::default();
    let runtime = Runtime::builder().threads(1).build();
    let _entered = runtime.enter();
    runtime.shut_down();
    let builder = pool(&Desk::default(), 1).observe(notes.clone());
    assert!(insula_core::block_on(builder.build()).is_err());
    assert_eq!(notes.ends(0), ["its isolate ended"]);
}

/// The methods that are made for one event, beside the one for all.
#[derive(Clone, Default)]
struct Hooks(Arc<Mutex<Vec<String>>>);

impl PoolObserver for Hooks {
    fn on_worker_created(&self, worker: WorkerId, incarnation: u32) {
        self.0
            .lock()
            .push(format!("created {worker}.{incarnation}"));
    }

    fn on_worker_terminated(&self, worker: WorkerId, incarnation: u32, why: &WorkerEnd) {
        let line = format!("terminated {worker}.{incarnation}: {why}");
        self.0.lock().push(line);
    }

    fn on_worker_error(&self, worker: WorkerId, incarnation: u32, error: &WorkerError) {
        let line = format!("error {worker}.{incarnation}: {error}");
        self.0.lock().push(line);
    }
}

#[test]
fn observe_calls_the_hook_of_each_event() {
    seeded(|| async {
        let (hooks, desk) = (Hooks::default(), Desk::default());
        let builder = mortal(&desk, &Arc::default()).observe(hooks.clone());
        let pool = builder.build().await.unwrap();
        assert!(pool.caller::<JobsCaller, _>().panic().await.is_err());
        settle().await;
        desk.open(EXIT);
        settle().await;
        assert_eq!(
            *hooks.0.lock(),
            [
                "created 0.0",
                "error 0.0: a handler panicked",
                "created 0.1",
                "terminated 0.0: the next incarnation has taken its place",
                "error 0.1: its isolate ended",
                "terminated 0.1: its isolate ended",
            ]
        );
    });
}

#[test]
fn observe_contains_an_observer_that_panics_or_ends_its_isolate() {
    seeded(|| async {
        let notes = Notes::default();
        let builder = pool(&Desk::default(), 2)
            .observe(|_: &WorkerEvent| panic!("a bad observer"))
            .observe(|event: &WorkerEvent| {
                // In the isolate of the worker that it is told of.
                if matches!(event.change, WorkerChange::Exited { .. }) {
                    Isolate::exit_silently();
                }
            })
            .observe(notes.clone());
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        assert!(caller.panic().await.is_err());
        assert_eq!(caller.echo(1).await.unwrap(), 1);
        pool.shut_down(Shutdown::graceful(Duration::MAX)).await;
        settle().await;
        let lines = notes.lines();
        let count = |word: &str| lines.iter().filter(|line| line.contains(word)).count();
        assert_eq!((count("spawning"), count("exited")), (3, 3), "{lines:?}");
    });
}

/// An error of a factory whose drop panics.
#[derive(Debug)]
struct Thorn;

impl std::fmt::Display for Thorn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a thorn")
    }
}

impl std::error::Error for Thorn {}

impl Drop for Thorn {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("a thorn was dropped");
        }
    }
}

/// The last event that has the error is dropped by the thread that tells it.
#[test]
fn observe_goes_on_after_an_error_whose_drop_panics() {
    seeded(|| async {
        let notes = Notes::default();
        let builder = WorkerPool::builder().workers(1).observe(notes.clone());
        let builder = builder.service::<JobsResponder<_>>(|cx| async move {
            match cx.incarnation() {
                1 => Err(Thorn)?,
                _ => Ok(Desk::default()),
            }
        });
        let pool = builder.build().await.unwrap();
        assert!(pool.caller::<JobsCaller, _>().panic().await.is_err());
        sleep(Duration::from_secs(1)).await;
        let lines = notes.lines();
        let last = "worker 0, incarnation 2: ready";
        assert_eq!(lines.last().unwrap(), last, "{lines:?}");
        assert_eq!(notes.ends(1), ["a thorn"]);
    });
}

/// An observer is told without a lock, and what it does to the pool is told after the event.
#[test]
fn observe_may_use_the_pool_inside_of_an_observer() {
    seeded(|| async {
        let (notes, isolates) = (Notes::default(), Arc::<Mutex<Vec<Isolate>>>::default());
        let held = Arc::clone(&isolates);
        let builder = mortal(&Desk::default(), &isolates)
            .observe(move |event: &WorkerEvent| {
                if matches!(event.change, WorkerChange::Ready) {
                    let isolate = held.lock()[0].clone();
                    isolate.kill();
                }
            })
            .observe(notes.clone());
        // Lost at once, perhaps before the build is over.
        let pool = builder.build().await;
        settle().await;
        assert_eq!(notes.ends(0), ["its isolate ended"]);
        drop(pool);
    });
}

#[test]
fn events_go_to_every_reader_and_end_with_the_pool() {
    seeded(|| async {
        let pool = pool(&Desk::default(), 1).build().await.unwrap();
        let mut readers = [pool.events(), pool.events()];
        drop(pool.events());
        assert!(pool.caller::<JobsCaller, _>().panic().await.is_err());
        settle().await;
        pool.shut_down(Shutdown::now()).await;
        for reader in &mut readers {
            let mut seen = Vec::new();
            while let Some(event) = reader.next().await {
                seen.push(event.to_string());
            }
            assert_eq!(seen.len(), 6, "{seen:?}");
            let last = "worker 0, incarnation 1: exited: the pool ended";
            assert_eq!(seen.last().unwrap(), last);
            assert_eq!(reader.lost(), 0);
        }
        assert!(pool.events().next().await.is_none(), "the pool has ended");
    });
}

#[test]
fn events_wake_a_reader_that_waits() {
    seeded(|| async {
        let pool = pool(&Desk::default(), 1).build().await.unwrap();
        let mut reader = pool.events();
        let mut next = Box::pin(reader.next());
        crate::desk::start(&mut next);
        assert!(pool.caller::<JobsCaller, _>().panic().await.is_err());
        let event = next.await.unwrap();
        assert!(matches!(event.change, WorkerChange::Suspect), "{event}");
    });
}

#[test]
fn events_that_a_slow_reader_loses_are_counted() {
    seeded(|| async {
        let (desk, notes) = (Desk::default(), Notes::default());
        let pool = pool(&desk, 1).observe(notes.clone()).build().await.unwrap();
        let before = notes.lines().len();
        let mut reader = pool.events();
        let caller: JobsCaller = pool.caller();
        for _ in 0..100 {
            assert!(caller.panic().await.is_err());
        }
        pool.shut_down(Shutdown::now()).await;
        settle().await;
        let told = notes.lines().split_off(before);
        let mut seen = Vec::new();
        while let Some(event) = reader.next().await {
            seen.push(event.to_string());
        }
        assert_eq!(seen.len(), 256);
        assert_eq!(reader.lost() as usize, told.len() - 256);
        assert_eq!(told[told.len() - 256..], seen, "the last ones are kept");
    });
}

/// A worker that computes on is lost before it exits, once, when it lets go of its thread.
#[test]
fn observe_tells_the_end_of_a_stuck_worker_when_it_comes() {
    let (desk, notes) = (Desk::default(), Notes::default());
    insula_core::block_on(async {
        let builder = pool(&desk, 1).grace(Duration::from_millis(1));
        let pool = builder.observe(notes.clone()).build().await.unwrap();
        let call = pool.caller::<JobsCaller, _>().compute(1).start();
        desk.noted("computing 1").await;
        let mut events = pool.events();
        pool.shut_down(Shutdown::now()).await;
        assert!(call.await.is_err());
        let lost = events.next().await.unwrap();
        let WorkerChange::Lost { fault } = lost.change else {
            panic!("{lost}");
        };
        assert!(matches!(*fault, WorkerFault::Stuck));
        assert_eq!(notes.ends(0).len(), 0);
        desk.open(1);
        let end = events.next().await.unwrap();
        assert_eq!(
            end.to_string(),
            "worker 0, incarnation 0: exited: it did not stop"
        );
        assert!(events.next().await.is_none());
        assert_eq!(notes.ends(0).len(), 1);
    });
}
