//! Risk: something waits for a pool that has ended, or goes on without it.

use std::pin::pin;
use std::sync::Arc;
use std::task::{self, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::{join, poll_immediate};
use insula_core::{Instant, sleep, spawn_local};
use insula_pool::{PoolPhase, Shutdown, WorkerPool};
use insula_rpc::{CallError, CancelToken, Context, WorkerExit, contract};
use insula_sync::atomic::{AtomicUsize, Ordering};

use super::trial::{Oops, Pool, Service, TrialCaller, TrialResponder, soon, trial};
use crate::desk::{seeded, start, until};
use crate::service::Desk;

const HOUR: Duration = Duration::from_secs(3600);
const MS: Duration = Duration::from_millis(1);

/// Fault 23.
#[test]
fn a_shutdown_reaches_the_reader_of_a_stuck_stream() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 1).grace(MS).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let mut items = caller.stuck(1).await.unwrap();
        desk.noted("blocking 1").await;
        let report = pool.shut_down(Shutdown::now()).await;
        assert_eq!((report.finished, report.cancelled, report.lost), (0, 0, 1));
        assert_eq!(items.next().await.unwrap().unwrap(), 0, "no item is lost");
        let error = items.next().await.unwrap().unwrap_err();
        assert!(
            matches!(
                error,
                CallError::WorkerDied {
                    exit: WorkerExit::Abandoned,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(items.next().await.is_none());
        desk.open(1);
    });
}

/// Around fault 23: the other direction.
#[test]
fn a_shutdown_reaches_the_sender_of_a_stuck_call() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 1).grace(MS).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let (mut sender, call) = caller.ignore(1).open();
        desk.noted("blocking 1").await;
        let sending = async {
            for number in 0.. {
                if let Err(not_sent) = sender.send(number).await {
                    return not_sent.consumed;
                }
            }
            unreachable!("nobody reads");
        };
        let (consumed, report) = join(sending, pool.shut_down(Shutdown::now())).await;
        assert_eq!((consumed, report.lost), (0, 1));
        assert!(matches!(call.await, Err(CallError::WorkerDied { .. })));
        desk.open(1);
    });
}

#[contract(crate = insula_rpc)]
trait Nosiness {
    /// Gives its own token, once the gate is open.
    async fn give(&self, cx: &Context, gate: u64) -> Result<Nosy, Oops>;
    /// Gives its own token many times.
    async fn stream(
        &self,
        cx: &Context,
    ) -> Result<impl futures_core::Stream<Item = Result<Nosy, Oops>>, Oops>;
}

/// Looks at its call when it is dropped.
struct Nosy(CancelToken);

impl std::fmt::Debug for Nosy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nosy")
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        let mut looking = pin!(self.0.cancelled());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let _ready_or_not: Poll<_> = looking.as_mut().poll(&mut cx);
    }
}

impl Nosiness for Desk {
    async fn give(&self, cx: &Context, gate: u64) -> Result<Nosy, Oops> {
        self.note(format!("at {gate}"));
        self.opened(gate).await;
        Ok(Nosy(cx.token()))
    }

    async fn stream(
        &self,
        cx: &Context,
    ) -> Result<impl futures_core::Stream<Item = Result<Nosy, Oops>>, Oops> {
        Ok(futures_util::stream::repeat_with(|| Ok(Nosy(cx.token()))))
    }
}

/// Fault 23: a destructor that takes the lock of the call, wherever the library drops a value.
#[test]
fn a_value_that_looks_at_its_call_in_its_drop_deadlocks_nothing() {
    let desk = Desk::default();
    soon(async {
        let service = desk.clone();
        let builder = WorkerPool::builder().workers(1).concurrency_per_worker(4);
        let builder = builder.service::<NosinessResponder<_>>(move |_| {
            let service = service.clone();
            async { Ok(service) }
        });
        let pool = builder.grace(100 * MS).build().await.unwrap();
        let caller: NosinessCaller = pool.caller();
        // Read and dropped.
        desk.open(0);
        drop(caller.give(0).await);
        let mut items = caller.stream().await.unwrap();
        assert!(items.next().await.is_some());
        // Unread, and dropped with their reader.
        drop(items);
        // Unread when the pool ends.
        let unread = caller.stream().await.unwrap();
        let unopened = caller.stream().start();
        // Unread, and dropped with its call.
        let mut answered = caller.give(1).start();
        desk.noted("at 1").await;
        desk.open(1);
        until_answered(&pool, 2).await;
        assert!(poll_immediate(&mut answered).await.is_some());
        let unpolled = caller.give(1).start();
        until_answered(&pool, 3).await;
        drop(unpolled);
        // Too late.
        let late = caller.give(2).start();
        desk.noted("at 2").await;
        drop(late);
        desk.open(2);
        pool.shut_down(Shutdown::now()).await;
        drop((unread, unopened));
    });
}

async fn until_answered(pool: &WorkerPool<NosinessRequest>, answered: u64) {
    while pool.stats().answered < answered {
        insula_core::yield_now().await;
        std::thread::yield_now();
    }
}

/// Fault 27. On virtual time: the cause is what has happened, not what the clock says later.
#[test]
fn a_cause_of_a_cancellation_is_not_guessed_from_the_clock() {
    for seed in 0..5 {
        seeded(seed, || async {
            let desk = Desk::default();
            let pool = trial(&desk, 1, 1).grace(HOUR).build().await.unwrap();
            let caller: TrialCaller = pool.caller();
            for (dropped_at, cause) in [(10, "Some(Caller)"), (30, "Some(Deadline)")] {
                let call = caller.doze(50 * MS).deadline(20 * MS).start();
                sleep(dropped_at * MS).await;
                drop(call);
                desk.noted(cause).await;
            }
        });
    }
}

/// Fault 29. On virtual time.
#[test]
fn the_tasks_of_a_worker_end_with_its_state() {
    seeded(1, || async {
        let beats = Arc::new(AtomicUsize::new(0));
        let heart = Arc::clone(&beats);
        let builder = WorkerPool::builder().workers(1);
        let builder = builder.service::<TrialResponder<_>>(move |_| {
            let beats = Arc::clone(&heart);
            async move {
                spawn_local(async move {
                    loop {
                        sleep(MS).await;
                        beats.fetch_add(1, Ordering::Relaxed);
                    }
                });
                Ok(Service::default())
            }
        });
        let pool = builder.build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        let per_second = async || {
            let before = beats.load(Ordering::Relaxed);
            sleep(1000 * MS).await;
            beats.load(Ordering::Relaxed) - before
        };
        let usual = per_second().await;
        assert!((990..=1010).contains(&usual), "{usual}");
        for _ in 0..5 {
            assert!(caller.boom().await.is_err());
            assert_eq!(caller.echo(1).await.ok(), Some(1));
        }
        let after_panics = per_second().await;
        assert!((990..=1010).contains(&after_panics), "{after_panics}");
        pool.shut_down(Shutdown::graceful(HOUR)).await;
        assert_eq!(per_second().await, 0);
    });
}

/// Fault 30: the phase of a pool that has ended.
#[test]
fn a_pool_that_has_ended_says_so() {
    let desk = Desk::default();
    soon(async {
        for plan in [
            Shutdown::graceful(HOUR),
            Shutdown::graceful(HOUR).reject_queued(),
            Shutdown::now(),
        ] {
            let pool = trial(&desk, 2, 1).build().await.unwrap();
            assert!(pool.caller::<TrialCaller, _>().echo(1).await.is_ok());
            pool.shut_down(plan).await;
            assert_eq!(pool.status().phase, PoolPhase::Closed);
        }
    });
}

/// On virtual time. A worker has a stream of the state that it had before a panic, and the stream has
/// its place again, so that the worker has no room for a call that is queued. Another worker runs
/// that call.
#[test]
fn a_patient_shutdown_ends_with_its_last_call() {
    for seed in 0..20 {
        seeded(seed, || async {
            let desk = Desk::default();
            let pool = trial(&desk, 2, 1).build().await.unwrap();
            let caller: TrialCaller = pool.caller();
            let mut items = caller.halting(40, 1).await.unwrap();
            // The stream waits for its reader.
            until(&pool, |status| status.workers.iter().all(|it| it.busy == 0)).await;
            let is_rebuilt =
                |pool: &Pool| pool.status().workers.iter().all(|it| it.incarnation > 0);
            while !is_rebuilt(&pool) {
                assert!(caller.boom().await.is_err());
            }
            for number in 0..40 {
                assert_eq!(items.next().await.unwrap().unwrap(), number);
            }
            desk.noted("at 1").await;
            let mut busy = caller.wait_for(2);
            start(&mut busy);
            desk.noted("at 2").await;
            let mut queued = caller.echo(3);
            start(&mut queued);
            let began = Instant::now();
            let mut shutdown = Box::pin(pool.shut_down(Shutdown::graceful(HOUR)));
            start(&mut shutdown);
            sleep(MS).await;
            desk.open(2);
            assert!(busy.await.is_ok() && queued.await.is_ok());
            sleep(MS).await;
            desk.open(1);
            assert!(items.next().await.is_none());
            let report = shutdown.await;
            assert_eq!((report.finished, report.cancelled, report.lost), (3, 0, 0));
            let took = Instant::now().saturating_duration_since(began);
            assert!(took < HOUR / 2, "{took:?}");
        });
    }
}

/// On virtual time. The isolate of a state that was replaced ends before its stream does: the worker
/// has that stream's place again, and does not wait for it at its end.
#[test]
fn the_end_of_a_replaced_state_costs_its_worker_nothing() {
    for seed in 0..5 {
        seeded(seed, || async {
            let desk = Desk::default();
            let pool = trial(&desk, 1, 1).build().await.unwrap();
            let caller: TrialCaller = pool.caller();
            let mut items = caller.exiting(40).await.unwrap();
            // The stream waits for its reader, and the state is replaced.
            assert!(caller.boom().await.is_err());
            assert_eq!(caller.who().await.ok(), Some((0, 1)));
            let mut last = items.next().await;
            while let Some(Ok(_)) = last {
                last = items.next().await;
            }
            assert!(matches!(last, Some(Err(CallError::WorkerDied { .. }))));
            let echoed = caller.echo(1).deadline(HOUR).await;
            assert_eq!(echoed.ok(), Some(1), "its place is lost");
            let began = Instant::now();
            pool.shut_down(Shutdown::graceful(HOUR)).await;
            let took = Instant::now().saturating_duration_since(began);
            assert!(took < HOUR / 2, "{took:?}");
        });
    }
}

/// A stream of a state that was replaced, in a worker that is lost since.
#[test]
fn a_shutdown_reaches_a_stream_of_a_replaced_state() {
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 2).grace(MS).build().await.unwrap();
        let caller: TrialCaller = pool.caller();
        // It waits for its reader, and so for its state's end.
        let mut items = caller.halting(40, 1).await.unwrap();
        assert!(caller.boom().await.is_err());
        assert_eq!(caller.who().await.ok(), Some((0, 1)));
        for number in 0..40 {
            assert_eq!(items.next().await.unwrap().unwrap(), number);
        }
        desk.noted("at 1").await;
        assert!(caller.exit().await.is_err());
        pool.shut_down(Shutdown::now()).await;
        assert!(matches!(items.next().await, Some(Err(_))), "it has an end");
    });
}

/// A pool that has ended has nothing to wake for.
#[test]
fn a_pool_that_has_ended_keeps_no_waker() {
    struct Idle;
    impl Wake for Idle {
        fn wake(self: Arc<Self>) {}
    }
    let desk = Desk::default();
    soon(async {
        let pool = trial(&desk, 1, 1).build().await.unwrap();
        pool.shut_down(Shutdown::now()).await;
        let idle = Arc::new(Idle);
        let waker = Waker::from(Arc::clone(&idle));
        let mut again = pin!(pool.shut_down(Shutdown::now()));
        assert!(
            again
                .as_mut()
                .poll(&mut task::Context::from_waker(&waker))
                .is_ready()
        );
        drop(waker);
        assert_eq!(Arc::strong_count(&idle), 1);
    });
}
