//! Pools: how they are built, what they must say of themselves, and their end.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use insula_core::{Isolate, Priority, Runtime, sleep};
use insula_pool::{
    Balance, Measure, Overflow, PoolPhase, PoolStats, PoolStatus, Queue, Shutdown, ShutdownReport,
    WorkerCondition, WorkerContext, WorkerFault, WorkerPool,
};
use insula_rpc::OneOf;
use insula_sync::Mutex;
use insula_sync::atomic::Ordering;

use super::contract::{AloneRequest, AloneResponder, Clerk, SharedRequest, SharedResponder};
use super::made::{Caller, Contract, keep_plain};
use crate::oracle::{Books, Ledger, Told};
use crate::program::{
    Full, Future as Awaited, How, Kind, Making, Op, Plan, Services, Shape, Slot, Staff,
};
use crate::run::world::{At, KeptFuture, World, contain};

/// The time that a worker has to make its services. A factory may wait for ever.
const START: Duration = Duration::from_millis(20);

/// The longest that any handler may go on after its call was cancelled, and some more.
const GRACE: Duration = Duration::from_millis(1200);

/// A pool, with the counts of its callers.
pub(crate) struct Pool {
    pool: Box<dyn Workers>,
    books: Arc<Books>,
    /// The isolates of its workers.
    isolates: Isolates,
    /// Its workers have the clock of the program's runtime, and not of the global one.
    is_at_home: bool,
}

type Isolates = Arc<Mutex<Vec<Isolate>>>;

/// A pool, whatever its services.
trait Workers: Send + Sync {
    fn stats(&self) -> PoolStats;
    fn status(&self) -> PoolStatus;
    fn to(&self) -> Contract;
    fn shut_down(&self, plan: Shutdown) -> Ended<'_>;
}

type Ended<'a> = Pin<Box<dyn Future<Output = ShutdownReport> + Send + 'a>>;

macro_rules! workers {
    ($($Calls:ty => $Contract:ident;)*) => {$(
        impl Workers for WorkerPool<$Calls> {
            fn stats(&self) -> PoolStats {
                Self::stats(self)
            }

            fn status(&self) -> PoolStatus {
                Self::status(self)
            }

            fn to(&self) -> Contract {
                Contract::$Contract(self.caller())
            }

            fn shut_down(&self, plan: Shutdown) -> Ended<'_> {
                Box::pin(Self::shut_down(self, plan))
            }
        }
    )*};
}

workers! {
    SharedRequest => Shared;
    AloneRequest => Alone;
    OneOf<SharedRequest, AloneRequest> => Alone;
}

impl Pool {
    fn caller(&self) -> Caller {
        Caller {
            to: self.pool.to(),
            books: Arc::clone(&self.books),
        }
    }

    /// Checks the counts of a pool whose workers have all ended.
    fn check(&self, ledger: &Ledger) {
        // Before the pool's own counts, which grow first.
        let told = |told| self.books.get(told);
        let at_most = [
            ("answered", told(Told::Answered)),
            ("failed", told(Told::Failed)),
            ("panicked", told(Told::Panicked)),
            ("died", told(Told::Died)),
            ("shed", told(Told::Shed)),
            ("rejected", told(Told::Rejected)),
            ("begun", told(Told::Begun)),
        ];
        let stats = self.pool.stats();
        let made = told(Told::Made);
        let ran = stats.answered + stats.failed + stats.panicked;
        let stopped = stats.cancelled + stats.expired + stats.died;
        let all = ran + stopped + stats.rejected + stats.shed;
        let counted = [
            stats.answered,
            stats.failed,
            stats.panicked,
            stats.died,
            stats.shed,
            stats.rejected,
            ran + stopped,
        ];
        for ((name, told), counted) in at_most.into_iter().zip(counted) {
            // The callers may know of fewer: one that has let go of its call is told nothing.
            if told > counted {
                ledger.fault(format!(
                    "a pool counts {counted} calls that {name}, callers {told}"
                ));
            }
        }
        if stats.submitted != all || stats.submitted > made {
            ledger.fault(format!(
                "the books of a pool do not balance: {} made, {} submitted, {} answered, \
                 {} failed, {} panicked, {} cancelled, {} expired, {} died, {} rejected, {} shed",
                made,
                stats.submitted,
                stats.answered,
                stats.failed,
                stats.panicked,
                stats.cancelled,
                stats.expired,
                stats.died,
                stats.rejected,
                stats.shed,
            ));
        }
        let status = self.pool.status();
        if status.queued + status.waiting > 0 {
            ledger.fault("calls wait in a pool that has ended");
        }
    }

    /// Returns whether no call runs or waits, and all workers take calls.
    fn is_idle(&self) -> bool {
        let status = self.pool.status();
        let is_free = |condition: &WorkerCondition| *condition == WorkerCondition::Ready;
        status.phase == PoolPhase::Serving
            && status.queued + status.waiting == 0
            && (status.workers.iter()).all(|it| it.busy == 0 && is_free(&it.condition))
    }

    /// Checks that no worker has ended by itself, as after a panic that should have been contained.
    fn check_workers(&self, world: &World) {
        let isolates = self.isolates.lock().clone();
        let excused = world.excused.lock().clone();
        if isolates.iter().any(|it| excused.contains(&it.id())) {
            return;
        }
        let status = self.pool.status();
        let has_ended = WorkerCondition::Lost(WorkerFault::Ended.to_string());
        let mut workers = status.workers.iter();
        let is_shut_down = matches!(status.phase, PoolPhase::Draining | PoolPhase::Closed);
        if !is_shut_down && workers.any(|it| it.condition == has_ended) {
            world
                .ledger
                .fault("a worker has ended, and nothing has ended it");
        }
    }

    /// Checks that no call waits beside a worker that has nothing to do.
    fn check_at_rest(&self, ledger: &Ledger) {
        let status = self.pool.status();
        let is_free = |condition: &WorkerCondition| *condition == WorkerCondition::Ready;
        let mut workers = status.workers.iter();
        let idle = workers.any(|it| it.busy == 0 && is_free(&it.condition));
        let waiting = status.queued + status.waiting;
        if idle && waiting > 0 {
            ledger.fault(format!("{waiting} calls wait beside a worker with room"));
        }
    }
}

/// Records that the current isolate may end because of an operation that it runs: at once, or by a
/// panic of what the operation leaves behind, which is an error that the isolate does not catch.
pub(crate) fn excuse(op: &Op, at: &At) {
    let is_harmless = match op {
        Op::Exit()
        | Op::ExitWith(..)
        | Op::KillSelf(_)
        | Op::Hold(_)
        | Op::HoldPanic(..)
        | Op::Task(_)
        | Op::Microtask(_)
        // The timer of a sleep wakes the waker that it was polled with.
        | Op::PollAgain(..)
        | Op::After(..)
        | Op::Periodic(..)
        | Op::Listen(..)
        | Op::Replace(..)
        | Op::RunAt(..)
        | Op::MessageLoop(..)
        | Op::NewListenerCallback(..)
        | Op::NewBlockingCallback(..)
        | Op::NewLocalCallback(..)
        | Op::NewGroupCallback(..)
        | Op::NewNative(..)
        | Op::WithLocal(..)
        | Op::ServeHere(..) => false,
        Op::Wait(_, how) => *how == How::BlockOn(),
        _ => true,
    };
    if !is_harmless && let Some(isolate) = Isolate::current() {
        at.world.excused.lock().push(isolate.id());
    }
}

pub(super) fn op(op: &Op, at: &At) -> bool {
    let world = &at.world;
    match op {
        Op::CallerOf(pool, caller) => {
            if let Some(pool) = world.pools.get(*pool) {
                world.callers.put(*caller, pool.caller());
            }
        }
        Op::LookAtPool(pool) => {
            if let Some(pool) = world.pools.get(*pool) {
                drop((pool.pool.status(), pool.pool.stats()));
            }
        }
        Op::DropPool(pool) => drop(world.pools.take(*pool)),
        _ => return false,
    }
    true
}

/// Returns the future of an operation; `None` if the named object does not exist.
pub(super) fn make(awaited: &Awaited, at: &At) -> Option<KeptFuture> {
    match awaited {
        Awaited::BuildPool(pool, caller, shape, staff) => {
            Some(build(at, *pool, *caller, shape, staff))
        }
        Awaited::ShutDownPool(pool, plan) => {
            let pool = at.world.pools.get(*pool)?;
            Some(shut_down(at, pool, plan))
        }
        _ => None,
    }
}

fn build(at: &At, slot: Slot, caller: Slot, shape: &Shape, staff: &Staff) -> KeptFuture {
    let home = match Isolate::current() {
        Some(_) => at.home,
        None => Some(Slot(0)),
    };
    let at = At {
        world: at.world.clone(),
        home,
    };
    let isolates = Isolates::default();
    let (shape, staff) = (shape.clone(), staff.clone());
    let runtime = home.and_then(|home| at.world.runtimes.get(home));
    let building = {
        let (at, isolates) = (at.clone(), Arc::clone(&isolates));
        async move { built(&at, &shape, &staff, &isolates).await }
    };
    let mut building = Box::pin(building);
    Box::pin(async move {
        let built = std::future::poll_fn(|cx| {
            // The workers belong to the current runtime.
            let outside = Isolate::current().is_none();
            let runtime = runtime.as_ref().filter(|_| outside);
            let _entered = runtime.map(Runtime::enter);
            building.as_mut().poll(cx)
        });
        let Some(pool) = built.await else {
            return;
        };
        let books = Arc::new(Books::default());
        let is_seeded = at.world.program.kind == Kind::Seeded;
        let pool = Arc::new(Pool {
            pool,
            books,
            isolates,
            is_at_home: !is_seeded || at.world.has_clock_here(),
        });
        at.world.callers.put(caller, pool.caller());
        at.world.pools.put(slot, pool);
    })
}

async fn built(
    at: &At,
    shape: &Shape,
    staff: &Staff,
    isolates: &Isolates,
) -> Option<Box<dyn Workers>> {
    let overflow = match shape.overflow {
        Full::Waits() => Overflow::Wait,
        Full::Rejects() => Overflow::Reject,
        Full::DropsOldest() => Overflow::DropOldest,
        Full::DropsNewest() => Overflow::DropNewest,
    };
    let places = match staff.service {
        Services::Shared() => usize::from(shape.places.0),
        Services::Alone() | Services::Two() => 1,
    };
    let balance = if shape.is_balanced.0 {
        Balance::LeastLoaded
    } else {
        Balance::RoundRobin
    };
    let measure = if shape.is_measured.0 {
        Measure::All
    } else {
        Measure::OneIn(2)
    };
    let builder = WorkerPool::builder()
        .name("hostile")
        .workers(usize::from(shape.workers.0))
        .concurrency_per_worker(places)
        .queue(Queue::bounded(usize::from(shape.bound.0)).overflow(overflow))
        .balance(balance)
        .measure(measure)
        .grace(Duration::from_millis(u64::from(shape.grace.0)))
        .startup_timeout(START);
    let make = || {
        let (hook, staff, isolates) = (
            Arc::new(at.hook(&staff.factory.0)),
            staff.clone(),
            Arc::clone(isolates),
        );
        move |cx: WorkerContext| {
            let (hook, staff, isolates) = (Arc::clone(&hook), staff.clone(), Arc::clone(&isolates));
            async move {
                // First, so that the isolate is known also if its factory never ends.
                isolates.lock().extend(Isolate::current());
                let at = hook.at();
                crate::run::run_async(staff.factory.0.clone(), at.clone()).await;
                let fails = match staff.makes {
                    Making::Makes() => false,
                    Making::Fails() => true,
                    Making::MakesOnce() => cx.incarnation() > 0,
                };
                if fails {
                    return Err("hostile".into());
                }
                Ok(Clerk::new(at, &staff.at_end.0, true))
            }
        }
    };
    match staff.service {
        Services::Shared() => {
            let builder = builder.service::<SharedResponder<_>>(make());
            Some(Box::new(builder.build().await.ok()?))
        }
        Services::Alone() => {
            let builder = builder.service::<AloneResponder<_>>(make());
            Some(Box::new(builder.build().await.ok()?))
        }
        Services::Two() => {
            let builder = builder.service::<SharedResponder<_>>(make());
            let builder = builder.service::<AloneResponder<_>>(make());
            Some(Box::new(builder.build().await.ok()?))
        }
    }
}

fn shut_down(at: &At, pool: Arc<Pool>, plan: &Plan) -> KeptFuture {
    let time = |ms: u8| Duration::from_millis(u64::from(ms));
    let plan = match plan {
        Plan::Now() => Shutdown::now(),
        Plan::Patient(ms) => Shutdown::graceful(time(ms.0)),
        Plan::RejectsQueued(ms) => Shutdown::graceful(time(ms.0)).reject_queued(),
    };
    let at = at.clone();
    Box::pin(async move {
        let report = pool.pool.shut_down(plan).await;
        let world = &at.world;
        // An isolate of the pool that was killed from outside may leave the end half done.
        if world.is_ending.load(Ordering::SeqCst) || world.of_calls.kills_any {
            return;
        }
        pool.check(&world.ledger);
        let (status, stats) = (pool.pool.status(), pool.pool.stats());
        let is_over = |condition: &WorkerCondition| {
            matches!(condition, WorkerCondition::Ended | WorkerCondition::Lost(_))
        };
        if status.phase != PoolPhase::Closed
            || !status.workers.iter().all(|it| is_over(&it.condition))
        {
            let ledger = &world.ledger;
            ledger.fault(format!("a pool was shut down, and is {status:?}"));
        }
        if report.finished + report.cancelled + report.lost > stats.submitted {
            let ledger = &world.ledger;
            ledger.fault(format!("a pool with {stats:?} reports {report:?}"));
        }
    })
}

/// Checks pools whose isolates have all ended.
pub(crate) fn check_at_end(world: &World) {
    let pools = std::mem::take(&mut *world.ended_pools.lock());
    for pool in pools {
        pool.check(&world.ledger);
        // It may hold a waker of the program.
        contain(|| drop(pool));
    }
}

/// Checks that what its callers have left comes to an end by itself, and that pools with nothing to
/// do answer calls.
pub(crate) fn probe(at: &At, runtime: &Runtime) {
    let world = &at.world;
    let is_seeded = world.program.kind == Kind::Seeded;
    let pools = (0..3).filter_map(|slot| world.pools.get(Slot(slot)));
    let pools: Vec<_> = pools.filter(|pool| pool.is_at_home).collect();
    if is_seeded && !world.of_calls.pauses_any {
        // Nothing blocks on a seeded runtime, so that each handler can be stopped.
        let unwanted = world.ledger.unwanted(runtime.now());
        // Made inside, so that it has the runtime's clock.
        runtime.block_on(async { sleep(GRACE).await });
        let still = world.ledger.unwanted(runtime.now());
        for call in unwanted.into_iter().filter(|call| still.contains(call)) {
            let ledger = &world.ledger;
            ledger.fault(format!(
                "call {call} was left or is late, and its handler runs on"
            ));
        }
        if !world.of_calls.pins_any {
            pools
                .iter()
                .for_each(|pool| pool.check_at_rest(&world.ledger));
        }
    }
    if !world.of_calls.kills_any {
        pools.iter().for_each(|pool| pool.check_workers(world));
    }
    for pool in &pools {
        let responds = runtime.block_on(within(START, answers(pool)));
        // A worker whose thread a script blocks answers neither this nor a call.
        if responds.is_none() || !pool.is_idle() {
            continue;
        }
        let call = keep_plain(at, &pool.caller());
        // Less than a run has by default until it counts as hung, so that the fault is reported by
        // this name.
        let limit = Duration::from_secs(5);
        let answered = runtime.block_on(within(limit, call.wait()));
        let responds = runtime.block_on(within(START, answers(pool)));
        // Asked again, since a script may have blocked a worker meanwhile.
        if answered.is_none() && responds.is_some() {
            world
                .ledger
                .fault("a pool with nothing to do did not answer");
        }
    }
}

/// Waits until all isolates of a pool have answered.
async fn answers(pool: &Pool) {
    let isolates = pool.isolates.lock().clone();
    for isolate in isolates {
        let _ = isolate.ping(Priority::AsEvent).await;
    }
}

async fn within<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    let (mut future, mut timer) = (std::pin::pin!(future), std::pin::pin!(sleep(time)));
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(output) = future.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(output));
        }
        timer.as_mut().poll(cx).map(|()| None)
    })
    .await
}
