//! Risk: a worker has the time of another one, or the clock is read without need.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use insula_core::sleep;
use insula_pool::{Monitor, PoolBuilder, WorkerPool};
use insula_rpc::{Context, contract};

use super::seeded;

#[contract(crate = insula_rpc)]
trait Sums {
    /// Adds numbers for at least a millisecond, and says on which worker.
    async fn sum(&self, cx: &Context) -> Result<usize, Infallible>;
}

struct Sum;

impl Sums for Sum {
    async fn sum(&self, cx: &Context) -> Result<usize, Infallible> {
        let mut sum = 0_u64;
        for number in 0..20_000_000 {
            sum = black_box(sum).wrapping_add(number);
        }
        black_box(sum);
        Ok(cx.worker().index())
    }
}

fn sums() -> PoolBuilder<SumsResponder<Sum>> {
    WorkerPool::builder()
        .workers(2)
        .service::<SumsResponder<_>>(|_cx| async { Ok(Sum) })
}

#[test]
#[cfg(unix)]
fn monitor_cpu_is_the_time_of_the_worker_that_computes() {
    seeded(|| async {
        let pool = sums().monitor(Monitor::cpu()).build().await.unwrap();
        let caller: SumsCaller = pool.caller();
        // The pinned call goes to one of them.
        let busy = caller.sum().key(1).await.unwrap();
        sleep(Duration::from_secs(3600)).await;
        let stats = pool.stats();
        let millisecond = Duration::from_millis(1);
        let (active, idle) = (&stats.workers[busy], &stats.workers[1 - busy]);
        assert!(active.cpu_time.unwrap() >= millisecond, "{stats:?}");
        assert!(
            idle.cpu_time.unwrap() < active.cpu_time.unwrap(),
            "{stats:?}"
        );
        let sum = stats
            .workers
            .iter()
            .filter_map(|worker| worker.cpu_time)
            .sum::<Duration>();
        assert_eq!(stats.cpu_time, Some(sum));
    });
}

#[test]
fn monitor_cpu_is_off_by_default() {
    seeded(|| async {
        let pool = sums().build().await.unwrap();
        assert!(pool.caller::<SumsCaller, _>().sum().await.is_ok());
        let stats = pool.stats();
        assert_eq!(stats.cpu_time, None);
        assert!(stats.workers.iter().all(|worker| worker.cpu_time.is_none()));
    });
}
