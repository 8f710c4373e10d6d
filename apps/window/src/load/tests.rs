//! Risk: the strip shows a load that is not that of the program.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use insula::pool::Shutdown;
use insula::{Instant, Runtime, block_on};

use super::{Gauge, Load};
use crate::start_pool;

#[test]
fn the_load_is_that_of_the_runtime_and_of_the_pool() {
    block_on(async {
        let pool = start_pool(3).await.expect("it can be started");
        let load = Load::of(&Runtime::global(), &pool);
        assert_eq!((load.workers, load.computed, load.queued), (3, 0, 0));
        assert!(load.threads >= 1 && load.running <= load.threads, "{load}");
        pool.shut_down(Shutdown::graceful(Duration::from_secs(10)))
            .await;
    });
}

#[test]
fn a_reading_is_shown_until_it_is_old_or_the_picture_is_done() {
    let count = AtomicUsize::new(0);
    let mut gauge = Gauge::new(move || Load {
        queued: count.fetch_add(1, Ordering::Relaxed) + 1,
        ..Load::default()
    });
    let start = Instant::now();
    let ms = Duration::from_millis;
    let readings = [
        (0, false),
        (99, false),
        (100, false),
        (101, false),
        (102, true),
    ]
    .map(|(after, is_last)| gauge.at(start + ms(after), is_last).queued);
    assert_eq!(readings, [1, 1, 2, 2, 3]);
}

#[test]
fn each_number_is_named() {
    let load = Load {
        threads: 4,
        running: 3,
        stuck: 2,
        workers: 5,
        computed: 6,
        queued: 7,
    };
    assert_eq!(
        load.to_string(),
        "threads 4: 3 run, 2 stuck  workers 5: 6 tiles, 7 queued"
    );
}
