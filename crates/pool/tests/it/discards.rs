//! Risk: a call is discarded and no hook is told, or a hook is told of a call that was not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use insula_core::sleep;
use insula_pool::{DiscardReason, Discarded, Overflow, Queue, Rate, Restart, Shutdown, WorkerPool};
use insula_rpc::Reject;
use insula_sync::Mutex;

use crate::desk::{seeded, start, until};
use crate::service::{Desk, JobsCaller, JobsRequest, pool};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<(&'static str, DiscardReason)>>>);

impl Told {
    fn hook(&self) -> impl Fn(&Discarded) + Send + Sync + 'static {
        let told = self.clone();
        move |discarded| {
            assert_eq!(discarded.contract, "Jobs");
            told.0.lock().push((discarded.method, discarded.why));
        }
    }

    fn take(&self) -> Vec<(&'static str, DiscardReason)> {
        std::mem::take(&mut *self.0.lock())
    }
}

/// A pool of one worker, which waits for gate 7, and room for one call in the queue.
async fn busy(desk: &Desk, overflow: Overflow, told: &Told) -> WorkerPool<JobsRequest> {
    let queue = Queue::bounded(1).overflow(overflow);
    let builder = pool(desk, 1).queue(queue).on_discard(told.hook());
    let pool = builder.build().await.expect("it starts");
    let caller: JobsCaller = pool.caller();
    caller.wait_for(7).detach().expect("there is room");
    desk.noted("at 7").await;
    pool
}

#[test]
fn on_discard_is_told_of_the_loser_of_an_overflow() {
    for (overflow, lost, why) in [
        (Overflow::Reject, "note", Reject::QueueFull),
        (Overflow::DropNewest, "note", Reject::Shed),
        (Overflow::DropOldest, "echo", Reject::Shed),
    ] {
        seeded(1, move || async move {
            let (desk, told) = (Desk::default(), Told::default());
            let pool = busy(&desk, overflow, &told).await;
            let caller: JobsCaller = pool.caller();
            let first = caller.echo(1).start();
            let second = caller.note(2).start();
            assert_eq!(
                told.take(),
                [(lost, DiscardReason::Rejected(why))],
                "{overflow:?}"
            );
            desk.open(7);
            let _ends = (first.await, second.await);
            assert_eq!(told.take(), []);
        });
    }
}

#[test]
fn on_discard_is_told_of_each_way_to_expire_in_the_queue() {
    seeded(2, || async {
        let (desk, told) = (Desk::default(), Told::default());
        let pool = busy(&desk, Overflow::Reject, &told).await;
        let caller: JobsCaller = pool.caller();
        let expired = ("echo", DiscardReason::Expired);
        // Its caller looks at the clock.
        assert!(caller.echo(1).deadline(MS).await.is_err());
        assert_eq!(told.take(), [expired]);
        // A call that finds it in its way does.
        let late = caller.echo(2).deadline(MS).start();
        sleep(2 * MS).await;
        let next = caller.note(3).start();
        assert_eq!(told.take(), [expired]);
        desk.open(7);
        assert!(next.await.is_ok());
        drop(late);
        // The worker that is about to start it does.
        caller.wait_for(8).detach().unwrap();
        desk.noted("at 8").await;
        let late = caller.echo(4).deadline(MS).start();
        sleep(2 * MS).await;
        desk.open(8);
        until(&pool, |status| {
            status.workers[0].busy == 0 && status.queued == 0
        })
        .await;
        assert_eq!(told.take(), [expired]);
        drop(late);
        assert_eq!(pool.stats().expired, 3);
    });
}

#[test]
fn on_discard_is_told_of_what_is_never_admitted() {
    seeded(3, || async {
        let (desk, told) = (Desk::default(), Told::default());
        let queue = Queue::bounded(100).bytes(100);
        let queue = queue.rate(Rate::per_second(1).burst(2));
        let builder = pool(&desk, 1).restart(Restart::never()).queue(queue);
        let pool = builder.on_discard(told.hook()).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        assert!(caller.mirror(vec![0; 1000]).await.is_err());
        let why = |told: &Told| -> Vec<DiscardReason> {
            told.take().into_iter().map(|(_, why)| why).collect()
        };
        assert_eq!(why(&told), [DiscardReason::Rejected(Reject::TooLarge)]);
        assert!(caller.echo(1).await.is_ok() && caller.echo(2).await.is_ok());
        assert!(caller.echo(3).await.is_err());
        assert!(matches!(
            why(&told)[..],
            [DiscardReason::Rejected(Reject::RateLimited { .. })]
        ));
        sleep(2 * SECOND).await;
        assert!(caller.leave().await.is_err());
        let lost = |status: &insula_pool::PoolStatus| {
            matches!(
                status.workers[0].condition,
                insula_pool::WorkerCondition::Lost(_)
            )
        };
        until(&pool, lost).await;
        assert!(caller.echo(4).await.is_err());
        assert_eq!(why(&told), [DiscardReason::Rejected(Reject::NoWorker)]);
        pool.shut_down(Shutdown::now()).await;
        assert!(caller.echo(5).await.is_err());
        assert_eq!(why(&told), [DiscardReason::Rejected(Reject::Shutdown)]);
    });
}

#[test]
fn on_discard_is_not_told_of_calls_that_their_callers_or_handlers_end() {
    seeded(4, || async {
        let (desk, told) = (Desk::default(), Told::default());
        let builder = pool(&desk, 1).grace(MS).on_discard(told.hook());
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        // It runs, and so is the service's.
        assert!(caller.hang().deadline(MS).await.is_err());
        let mut waits = caller.wait_for(7);
        start(&mut waits);
        desk.noted("at 7").await;
        drop(caller.echo(1).start());
        desk.open(7);
        assert!(waits.await.is_ok());
        assert!(caller.panic().await.is_err() && caller.fail().await.is_err());
        assert_eq!(told.take(), []);
    });
}

#[test]
fn a_hook_that_panics_or_asks_the_pool_harms_nothing() {
    seeded(5, || async {
        let (desk, told) = (Desk::default(), Told::default());
        let asked = Arc::new(Mutex::new(None::<JobsCaller>));
        let asks = Arc::clone(&asked);
        let queue = Queue::bounded(0).overflow(Overflow::Reject);
        let builder = pool(&desk, 1).queue(queue);
        let builder = builder.on_discard(|_discarded| panic!("a hook"));
        let builder = builder.on_discard(move |_discarded| {
            // It may make a call, which is discarded as well.
            let caller = asks.lock().take();
            if let Some(caller) = caller {
                assert!(caller.note(1).try_start().is_err());
            }
        });
        let pool = builder.on_discard(told.hook()).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        caller.wait_for(7).detach().unwrap();
        desk.noted("at 7").await;
        *asked.lock() = Some(pool.caller());
        let calls = join_all((0..3).map(|number| caller.echo(number).into_future()));
        assert!(calls.await.iter().all(Result::is_err));
        let methods: Vec<_> = told.take().into_iter().map(|(method, _)| method).collect();
        assert_eq!(methods, ["note", "echo", "echo", "echo"]);
        desk.open(7);
        let stats = pool.stats();
        assert_eq!(stats.rejected, 4);
    });
}
