//! Risk: a report counts something twice, over the wrong time, or ends the pool that it is about.

use std::sync::Arc;
use std::time::Duration;

use insula_core::sleep;
use insula_pool::{BuildError, Measure, PerformanceReport, Shutdown, WorkerCondition, WorkerPool};
use insula_sync::Mutex;

use super::seeded;
use crate::service::{Desk, JobsCaller, JobsRequest, pool};

const SECOND: Duration = Duration::from_secs(1);

/// The reports that were made.
type Reports = Arc<Mutex<Vec<PerformanceReport>>>;

fn keep(reports: &Reports) -> impl FnMut(&PerformanceReport) + Send + 'static {
    let reports = Arc::clone(reports);
    move |report| reports.lock().push(report.clone())
}

async fn echo(pool: &WorkerPool<JobsRequest>, calls: u64) {
    let caller: JobsCaller = pool.caller();
    for number in 0..calls {
        assert!(caller.echo(number).await.is_ok());
    }
}

#[test]
fn report_counts_since_the_last_one_and_since_the_start() {
    seeded(|| async {
        let builder = pool(&Desk::default(), 2).measure(Measure::All);
        let pool = builder.build().await.unwrap();
        echo(&pool, 30).await;
        sleep(10 * SECOND).await;
        let first = pool.report();
        assert_eq!((first.recent.operations, first.total.operations), (30, 30));
        let rate = first.recent.operations_per_second;
        assert!((2.9..=3.0).contains(&rate), "{rate}");
        echo(&pool, 10).await;
        let caller: JobsCaller = pool.caller();
        assert!(caller.panic().await.is_err());
        assert!(caller.hang().deadline(SECOND).await.is_err());
        assert!(caller.mirror(vec![0; 1000]).await.is_ok());
        sleep(9 * SECOND).await;
        let second = pool.report();
        assert_eq!(
            (second.recent.operations, second.total.operations),
            (11, 41)
        );
        assert_eq!((second.recent.panicked, second.recent.expired), (1, 1));
        assert_eq!((second.recent.rebuilds, second.total.rebuilds), (1, 1));
        // A number of eight bytes there and back, ten times, and the vector.
        let moved = second.recent.traffic.bytes_moved;
        assert!((2048..3000).contains(&moved), "{moved}");
        assert_eq!(second.recent.latency.samples, 13);
        assert_eq!(second.total.latency.samples, 43);
        assert_eq!(second.recent.average_latency, second.recent.latency.mean);
        assert!(
            second.recent.latency.max >= SECOND.mul_f64(0.99),
            "{second:?}"
        );
        let span = first.total.elapsed + second.recent.elapsed;
        assert_eq!(second.total.elapsed, span);
        let third = pool.report();
        assert_eq!((third.recent.operations, third.recent.rebuilds), (0, 0));
        assert_eq!(third.recent.operations_per_second, 0.0);
    });
}

#[test]
fn report_has_a_row_for_each_worker() {
    seeded(|| async {
        let pool = pool(&Desk::default(), 2).build().await.unwrap();
        echo(&pool, 10).await;
        let first = pool.report();
        let calls = |report: &PerformanceReport| -> (u64, u64) {
            let rows = report.workers.iter();
            let recent = rows.clone().map(|row| row.recent_calls).sum();
            (recent, rows.map(|row| row.total_calls).sum())
        };
        assert_eq!(calls(&first), (10, 10));
        echo(&pool, 5).await;
        let busy = pool.caller::<JobsCaller, _>().wait_for(1).start();
        sleep(SECOND).await;
        let second = pool.report();
        assert_eq!(calls(&second), (5, 15));
        let ready = |row: &insula_pool::WorkerReport| row.condition == WorkerCondition::Ready;
        assert!(second.workers.iter().all(ready));
        assert_eq!(second.workers.iter().map(|row| row.busy).sum::<usize>(), 1);
        assert_eq!((second.queued, second.waiting), (0, 0));
        assert_eq!(second.recent.cpu_usage, None, "nobody has asked for it");
        drop(busy);
    });
}

#[test]
#[cfg(target_os = "linux")]
fn report_has_the_memory_of_the_process() {
    seeded(|| async {
        let pool = pool(&Desk::default(), 1).build().await.unwrap();
        let report = pool.report();
        assert!(report.memory_usage.unwrap() > 1 << 20);
        assert!(report.max_memory_usage >= report.memory_usage);
    });
}

#[test]
#[cfg(unix)]
fn report_has_the_part_of_the_cpu_that_workers_take() {
    seeded(|| async {
        let monitor = insula_pool::Monitor::cpu();
        let builder = pool(&Desk::default(), 1).monitor(monitor);
        let pool = builder.build().await.unwrap();
        echo(&pool, 1).await;
        sleep(SECOND).await;
        let report = pool.report();
        assert!(report.recent.cpu_usage.unwrap() > 0.0, "{report:?}");
        assert!(report.workers[0].cpu_usage.unwrap() > 0.0, "{report:?}");
    });
}

#[test]
fn report_every_period_and_once_at_the_end() {
    seeded(|| async {
        let reports = Reports::default();
        let builder = pool(&Desk::default(), 1).report_every(10 * SECOND, keep(&reports));
        let pool = builder.build().await.unwrap();
        // Never at the time of a report.
        sleep(SECOND / 2).await;
        for calls in [3, 4] {
            echo(&pool, calls).await;
            sleep(10 * SECOND).await;
        }
        echo(&pool, 5).await;
        pool.shut_down(Shutdown::graceful(Duration::MAX)).await;
        sleep(100 * SECOND).await;
        let reports = reports.lock().clone();
        let recent: Vec<_> = reports.iter().map(|it| it.recent.operations).collect();
        assert_eq!(recent, [3, 4, 5]);
        assert_eq!(reports[2].total.operations, 12);
        assert!(reports[0].recent.elapsed >= 10 * SECOND);
        assert!(reports[2].recent.elapsed < 2 * SECOND);
    });
}

#[test]
fn report_every_period_ends_with_a_pool_that_is_dropped() {
    seeded(|| async {
        let reports = Reports::default();
        let builder = pool(&Desk::default(), 1).report_every(SECOND, keep(&reports));
        drop(builder.build().await.unwrap());
        sleep(100 * SECOND).await;
        assert_eq!(reports.lock().len(), 1);
        assert_eq!(Arc::strong_count(&reports), 1, "nothing of it is left");
    });
}

#[test]
fn report_every_period_goes_on_after_a_panic() {
    seeded(|| async {
        let reports = Reports::default();
        let builder = pool(&Desk::default(), 1)
            .report_every(SECOND, |_| panic!("a bad reader"))
            .report_every(SECOND, {
                let mut keep = keep(&reports);
                move |report| {
                    keep(report);
                    panic!("a bad reader");
                }
            });
        let pool = builder.build().await.unwrap();
        sleep(3 * SECOND + SECOND / 2).await;
        assert_eq!(reports.lock().len(), 3);
        echo(&pool, 1).await;
    });
}

#[test]
fn report_every_moment_is_refused() {
    seeded(|| async {
        let builder = pool(&Desk::default(), 1).report_every(Duration::ZERO, |_| {});
        let Err(BuildError::Settings(why)) = builder.build().await else {
            panic!("it would never rest");
        };
        assert!(why.contains("report_every"), "{why}");
    });
}
