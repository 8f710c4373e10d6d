//! Risk: a call is in the row of another method, or in none.

use std::convert::Infallible;
use std::time::Duration;

use insula_core::sleep;
use insula_pool::{Measure, MethodStats, PoolStats, WorkerPool};
use insula_rpc::{Context, Contract as _, contract};

use super::seeded;
use crate::service::{Desk, JobsCaller, JobsRequest, pool};

fn row<'a>(stats: &'a PoolStats, contract: &str, method: &str) -> &'a MethodStats {
    let mut rows = stats.methods.iter();
    let found = rows.find(|row| (row.contract, row.method) == (contract, method));
    found.expect("each method has a row")
}

#[test]
fn stats_have_a_row_for_each_method() {
    seeded(|| async {
        let pool = pool(&Desk::default(), 2).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        for number in 0..3 {
            assert!(caller.echo(number).await.is_ok());
        }
        assert!(caller.fail().await.is_err());
        assert!(caller.panic().await.is_err());
        let second = Duration::from_secs(1);
        assert!(caller.hang().deadline(second).await.is_err());
        assert!(caller.mirror(vec![0; 1000]).await.is_ok());
        // The handler goes on for the grace period.
        sleep(Duration::from_secs(9)).await;
        let stats = pool.stats();
        assert_eq!(stats.methods.len(), JobsRequest::METHODS.len());
        assert_eq!(stats.methods[0].method, "echo", "in the order of the trait");
        assert_eq!(row(&stats, "Jobs", "echo").answered, 3);
        assert_eq!(row(&stats, "Jobs", "fail").failed, 1);
        assert_eq!(row(&stats, "Jobs", "panic").panicked, 1);
        assert_eq!(row(&stats, "Jobs", "hang").expired, 1);
        assert_eq!(row(&stats, "Jobs", "whoami").calls(), 0);
        let moved = row(&stats, "Jobs", "mirror").traffic.bytes_moved;
        assert_eq!(moved, 2 * (1000 + 24));
        let calls: u64 = stats.methods.iter().map(MethodStats::calls).sum();
        assert_eq!(calls, stats.submitted);
        for (index, method) in stats.methods.iter().enumerate() {
            let of_workers = stats.workers.iter().map(|worker| worker.methods[index]);
            assert_eq!(of_workers.sum::<u64>(), method.calls());
        }
    });
}

#[test]
fn stats_have_the_run_times_of_each_method() {
    seeded(|| async {
        let desk = Desk::default();
        let builder = pool(&desk, 1).measure(Measure::All);
        let pool = builder.build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let hour = Duration::from_secs(3600);
        let call = caller.wait_for(1).start();
        sleep(hour).await;
        desk.open(1);
        assert!(call.await.is_ok());
        assert!(caller.echo(1).await.is_ok());
        let stats = pool.stats();
        let (slow, fast) = (row(&stats, "Jobs", "wait_for"), row(&stats, "Jobs", "echo"));
        assert_eq!((slow.run_time.samples, fast.run_time.samples), (1, 1));
        assert!(slow.run_time.mean >= hour.mul_f64(0.99), "{slow:?}");
        assert!(fast.run_time.max < hour / 2, "{fast:?}");
    });
}

#[contract(crate = insula_rpc)]
trait Left {
    async fn first(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn same(&self, cx: &Context) -> Result<u8, Infallible>;
}

#[contract(crate = insula_rpc)]
trait Right {
    #[cfg(any())]
    async fn left_out(&self, cx: &Context) -> Result<u8, Infallible>;
    async fn same(&self, cx: &Context) -> Result<u8, Infallible>;
}

struct Both;

impl Left for Both {
    async fn first(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(1)
    }
    async fn same(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(2)
    }
}

impl Right for Both {
    async fn same(&self, _cx: &Context) -> Result<u8, Infallible> {
        Ok(3)
    }
}

/// Two contracts have a method of one name, and one has a method that is left out.
#[test]
fn stats_keep_the_methods_of_two_contracts_apart() {
    seeded(|| async {
        let pool = WorkerPool::builder()
            .workers(1)
            .service::<LeftResponder<_>>(|_cx| async { Ok(Both) })
            .service::<RightResponder<_>>(|_cx| async { Ok(Both) })
            .build()
            .await
            .unwrap();
        let (left, right): (LeftCaller, RightCaller) = (pool.caller(), pool.caller());
        for _ in 0..2 {
            assert!(left.same().await.is_ok());
        }
        assert!(right.same().await.is_ok());
        assert!(left.first().await.is_ok());
        let stats = pool.stats();
        let rows: Vec<_> = stats
            .methods
            .iter()
            .map(|row| (row.contract, row.method, row.answered))
            .collect();
        assert_eq!(
            rows,
            [
                ("Left", "first", 1),
                ("Left", "same", 2),
                ("Right", "same", 1)
            ]
        );
    });
}
