//! The test that the chapter on time shows. Risk: it does not pass, or takes an hour.

// ANCHOR: test
use std::time::Duration;

use insula::{Instant, sleep};

#[insula::test(start_paused)]
async fn an_hour_passes_at_once() {
    let start = Instant::now();
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(Instant::now() - start, Duration::from_secs(3600));
}
// ANCHOR_END: test
