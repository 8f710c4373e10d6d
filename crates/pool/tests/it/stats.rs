//! Risk: the numbers that a user sees are not the ones that happened.

use std::convert::Infallible;
use std::time::Duration;

use insula_core::{block_on, sleep};
use insula_memory::{Segment, SegmentMut, SegmentPool};
use insula_pool::{Measure, WorkerPool};
use insula_rpc::{Context, contract};

use crate::desk::start;
use crate::service::{Desk, JobsCaller, pool};

#[test]
fn every_answer_is_counted_before_it_is_seen() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 2).measure(Measure::All).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        for n in 1..=100 {
            assert!(caller.echo(n).await.is_ok());
            assert_eq!(pool.stats().answered, n);
        }
        assert!(caller.fail().await.is_err());
        let stats = pool.stats();
        assert_eq!((stats.submitted, stats.failed), (101, 1));
        assert_eq!(
            (stats.queue_wait.samples, stats.run_time.samples),
            (101, 101)
        );
        assert!(stats.run_time.p50 <= stats.run_time.p99);
        assert!(stats.run_time.p99 <= stats.run_time.max);
        assert_eq!(
            stats.workers.iter().map(|worker| worker.calls).sum::<u64>(),
            101
        );
    });
}

#[test]
fn bytes_are_moved_and_never_copied() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).measure(Measure::Off).build().await.unwrap();
        let bytes = vec![1; 1 << 20];
        let address = bytes.as_ptr();
        let detailed = pool
            .caller::<JobsCaller, _>()
            .mirror(bytes)
            .detailed()
            .await
            .unwrap();
        assert_eq!(detailed.value.as_ptr(), address);
        assert_eq!(detailed.traffic.bytes_copied, 0);
        assert_eq!(detailed.traffic.bytes_moved, 2 * ((1 << 20) + 24));
        let stats = pool.stats();
        assert_eq!(stats.traffic, detailed.traffic);
        assert_eq!(stats.run_time.samples, 0);
    });
}

/// A service for values that are too large to be copied.
#[contract(crate = insula_rpc)]
trait Darkroom {
    /// Writes to the picture where it is.
    async fn develop(&self, cx: &Context, picture: SegmentMut) -> Result<SegmentMut, Infallible>;
    /// Reads a picture that others have too.
    async fn brightest(&self, cx: &Context, picture: Segment) -> Result<u8, Infallible>;
}

struct Lab;

impl Darkroom for Lab {
    async fn develop(&self, _cx: &Context, picture: SegmentMut) -> Result<SegmentMut, Infallible> {
        let mut picture = picture;
        picture.iter_mut().for_each(|pixel| *pixel = 200);
        Ok(picture)
    }

    async fn brightest(&self, _cx: &Context, picture: Segment) -> Result<u8, Infallible> {
        Ok(picture.iter().copied().max().unwrap_or_default())
    }
}

#[test]
fn large_values_in_segments_pass_a_pool_where_they_are() {
    block_on(async {
        let pool = WorkerPool::builder()
            .workers(2)
            .service::<DarkroomResponder<_>>(|_cx| async { Ok(Lab) })
            .build()
            .await
            .unwrap();
        let caller: DarkroomCaller = pool.caller();
        let picture = SegmentPool::new(1 << 20).allocate(8 << 20).unwrap();
        let address = picture.as_ptr();
        let developed = caller.develop(picture).detailed().await.unwrap();
        assert_eq!(developed.value.as_ptr(), address);
        let size = (8 << 20) + size_of::<SegmentMut>() as u64;
        assert_eq!(developed.traffic.bytes_moved, 2 * size);
        assert_eq!(developed.traffic.bytes_copied, 0);
        let picture = developed.value.freeze().unwrap();
        let both = [picture.clone(), picture.clone()].map(|it| caller.brightest(it).start());
        for brightest in both {
            assert_eq!(brightest.await.unwrap(), 200);
        }
        assert_eq!(picture[0], 200);
    });
}

/// The answer is there within the grace period, and its caller is not.
#[test]
fn an_answer_that_comes_too_late_is_counted() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut call = caller.wait_for(1).into_future();
        start(&mut call);
        desk.noted("at 1").await;
        drop(call);
        desk.open(1);
        // The only worker starts its next call when the dropped one has ended.
        assert_eq!(caller.echo(1).await.unwrap(), 1);
        let stats = pool.stats();
        assert_eq!((stats.late, stats.cancelled, stats.answered), (1, 1, 1));
    });
}

/// Its caller looks at it only after the deadline, and then drops it.
#[test]
fn a_deadline_that_passed_first_is_the_end_that_counts() {
    let desk = Desk::default();
    block_on(async {
        let pool = pool(&desk, 1).build().await.unwrap();
        let caller: JobsCaller = pool.caller();
        let mut busy = caller.wait_for(1).into_future();
        start(&mut busy);
        desk.noted("at 1").await;
        let time = Duration::from_millis(1);
        let late = caller.wait_for(2).deadline(time).start();
        sleep(2 * time).await;
        drop(late);
        let stats = pool.stats();
        assert_eq!((stats.expired, stats.cancelled), (1, 0));
        desk.open(1);
        assert!(busy.await.is_ok());
    });
}
