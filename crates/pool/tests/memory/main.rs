//! Risk: memory is counted for the wrong worker or method, a worker grows without an end, or calls fail
//! or wait for ever because it may not.

use std::alloc::System;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use insula_core::{Isolate, Runtime, sleep};
use insula_memory::{Budget, Tracking};
use insula_pool::{
    BuildError, Memory, Monitor, PoolBuilder, Pressure, Reclaim, Shutdown, WorkerContext,
    WorkerPool,
};
use insula_rpc::{Context, contract};
use insula_sync::Mutex;

#[global_allocator]
static ALLOCATOR: Tracking = Tracking::new(System);

const MIB: usize = 1 << 20;

#[contract(crate = insula_rpc)]
trait Hoard {
    /// Keeps so many bytes.
    async fn keep(&self, cx: &Context, bytes: usize) -> Result<u32, Infallible>;
    /// Allocates so many bytes at once, and keeps none.
    async fn spend(&self, cx: &Context, bytes: usize) -> Result<u32, Infallible>;
}

/// What all services of a test share.
#[derive(Clone, Default)]
struct Desk {
    told: Arc<Mutex<Vec<Pressure>>>,
    /// A hook drops what the service keeps.
    hooks_help: bool,
    /// New services cannot be built.
    is_broken: Arc<Mutex<bool>>,
}

struct Cellar {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    incarnation: u32,
}

impl Cellar {
    fn new(cx: &WorkerContext, desk: &Desk) -> Self {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let (told, cellar, helps) = (Arc::clone(&desk.told), Arc::clone(&kept), desk.hooks_help);
        cx.on_memory_pressure(move |pressure| {
            told.lock().push(pressure);
            if helps {
                let dropped = std::mem::take(&mut *cellar.lock());
                drop(dropped);
            }
        });
        let incarnation = cx.incarnation();
        Self { kept, incarnation }
    }
}

impl Hoard for Cellar {
    async fn keep(&self, _cx: &Context, bytes: usize) -> Result<u32, Infallible> {
        self.kept.lock().push(vec![1; bytes]);
        Ok(self.incarnation)
    }

    async fn spend(&self, _cx: &Context, bytes: usize) -> Result<u32, Infallible> {
        let spent = vec![1_u8; bytes];
        // In two polls.
        sleep(Duration::from_millis(1)).await;
        assert_eq!(spent.len(), bytes);
        Ok(self.incarnation)
    }
}

fn pool(desk: &Desk, workers: usize) -> PoolBuilder<HoardResponder<Cellar>> {
    let desk = desk.clone();
    WorkerPool::builder()
        .workers(workers)
        .service::<HoardResponder<_>>(move |cx| {
            let desk = desk.clone();
            async move {
                if *desk.is_broken.lock() {
                    Err("there is no other cellar")?;
                }
                Ok(Cellar::new(&cx, &desk))
            }
        })
}

fn seeded<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce() -> F + Send + 'static) {
    let runtime = Runtime::builder().seeded(1).build();
    let end = runtime.block_on(async { Isolate::run_async(run).await });
    runtime.shut_down();
    end.expect("an end");
}

#[test]
fn memory_of_workers_and_methods_is_measured() {
    seeded(|| async {
        let builder = pool(&Desk::default(), 2).monitor(Monitor::memory().and_cpu());
        let pool = builder.build().await.unwrap();
        let workers = pool.status().workers;
        let caller: HoardCaller = pool.caller_of(workers[0].id);
        for _ in 0..3 {
            caller.keep(MIB).await.unwrap();
        }
        caller.spend(5 * MIB).await.unwrap();
        // The slice of the last call may not be over when its caller sees the answer.
        sleep(Duration::from_millis(1)).await;
        let stats = pool.stats();
        let [first, second] = [0, 1].map(|index| stats.workers[index].memory.unwrap());
        let near = |bytes: u64, mib: usize| bytes.abs_diff((mib * MIB) as u64) < MIB as u64 / 4;
        assert!(near(first.held, 3) && near(first.peak, 8), "{first:?}");
        assert!(second.peak < MIB as u64 / 4, "{second:?}");
        let [keep, spend] = [0, 1].map(|index| stats.methods[index].memory.unwrap());
        assert!(near(keep.allocated, 3) && near(keep.peak, 1), "{keep:?}");
        assert!(near(spend.allocated, 5) && near(spend.peak, 5), "{spend:?}");
    });
}

#[test]
fn without_a_measurement_memory_is_unknown() {
    seeded(|| async {
        let pool = pool(&Desk::default(), 1).build().await.unwrap();
        let caller: HoardCaller = pool.caller();
        caller.keep(1).await.unwrap();
        let stats = pool.stats();
        assert_eq!(stats.workers[0].memory, None);
        assert_eq!(stats.methods[0].memory, None);
    });
}

/// Memory::soft, pressure_at
#[test]
fn pressure_is_told_before_the_limit_and_a_hook_may_help() {
    seeded(|| async {
        let desk = Desk {
            hooks_help: true,
            ..Desk::default()
        };
        let memory = Memory::soft(Budget::bytes(10 * MIB as u64)).pressure_at(0.5);
        let pool = pool(&desk, 1).memory(memory).build().await.unwrap();
        let caller: HoardCaller = pool.caller();
        for _ in 0..40 {
            assert_eq!(caller.keep(MIB).await.unwrap(), 0, "it is not recycled");
        }
        let told = desk.told.lock().clone();
        assert!(told.len() > 5, "{told:?}");
        assert!(told.iter().all(|it| *it == Pressure::High), "{told:?}");
    });
}

#[test]
fn a_worker_at_its_limit_gets_new_services_and_no_call_fails() {
    seeded(|| async {
        let desk = Desk::default();
        let memory = Memory::soft(Budget::bytes(10 * MIB as u64));
        let pool = pool(&desk, 2).memory(memory).build().await.unwrap();
        let caller: HoardCaller = pool.caller();
        let ends = join_all((0..100).map(|_| caller.keep(MIB))).await;
        let newest = ends.into_iter().map(Result::unwrap).max();
        assert!(newest >= Some(3), "{newest:?}");
        sleep(Duration::from_millis(1)).await;
        for worker in pool.stats().workers {
            let peak = worker.memory.unwrap().peak;
            assert!(peak < 13 * MIB as u64, "{peak}");
        }
        let told = desk.told.lock().clone();
        assert!(told.contains(&Pressure::Critical) && told.contains(&Pressure::High));
        let report = pool
            .shut_down(Shutdown::graceful(Duration::from_secs(9)))
            .await;
        assert_eq!(report.lost, 0);
    });
}

#[test]
fn a_worker_at_its_limit_goes_on_if_there_are_no_new_services() {
    seeded(|| async {
        let desk = Desk::default();
        let memory = Memory::soft(Budget::bytes(4 * MIB as u64));
        let pool = pool(&desk, 1).memory(memory).build().await.unwrap();
        *desk.is_broken.lock() = true;
        let caller: HoardCaller = pool.caller();
        for _ in 0..20 {
            assert_eq!(caller.keep(MIB).await.unwrap(), 0);
        }
        // They are tried again.
        *desk.is_broken.lock() = false;
        sleep(Duration::from_secs(20)).await;
        assert!(caller.keep(MIB).await.unwrap() > 0);
    });
}

#[test]
fn low_latency_drops_values_on_another_thread_and_compact_drops_them_at_once() {
    let places = [Reclaim::LowLatency, Reclaim::Throughput, Reclaim::Compact].map(|reclaim| {
        let memory = Memory::soft(Budget::bytes(1 << 40)).reclaim(reclaim);
        let here = Arc::new(Mutex::new(Vec::new()));
        let dropped = Arc::clone(&here);
        let runtime = Runtime::builder().threads(1).build();
        runtime.block_on(async {
            let pool = WorkerPool::builder()
                .workers(1)
                .memory(memory)
                .service::<HoardResponder<_>>(move |cx| {
                    let drop_later = cx.drop_later::<Witness>();
                    drop_later(Witness(Arc::clone(&dropped)));
                    dropped.lock().push(std::thread::current().id());
                    let cellar = Cellar::new(&cx, &Desk::default());
                    async { Ok(cellar) }
                })
                .build()
                .await
                .unwrap();
            while here.lock().len() < 2 {
                sleep(Duration::from_millis(1)).await;
            }
            let caller: HoardCaller = pool.caller();
            assert!(caller.keep(MIB).await.is_ok());
        });
        runtime.shut_down();
        let threads = here.lock();
        threads[0] == threads[1]
    });
    assert_eq!(places, [false, true, true]);
}

/// Notes the thread that drops it.
struct Witness(Arc<Mutex<Vec<std::thread::ThreadId>>>);

impl Drop for Witness {
    fn drop(&mut self) {
        self.0.lock().push(std::thread::current().id());
    }
}

#[test]
fn settings_of_memory_that_make_no_sense_are_refused() {
    seeded(|| async {
        let soft = |bytes| Memory::soft(Budget::bytes(bytes));
        for memory in [
            soft(0),
            soft(1).pressure_at(f64::NAN),
            soft(1).pressure_at(1.5),
        ] {
            let built = pool(&Desk::default(), 1).memory(memory).build().await;
            let Err(BuildError::Settings(why)) = built else {
                panic!("{memory:?} was accepted");
            };
            assert!(why.contains("memory"), "{why}");
        }
        for memory in [soft(u64::MAX), soft(1).pressure_at(0.0)] {
            let pool = pool(&Desk::default(), 1)
                .memory(memory)
                .build()
                .await
                .unwrap();
            let caller: HoardCaller = pool.caller();
            assert!(caller.keep(1).await.is_ok());
        }
    });
}
