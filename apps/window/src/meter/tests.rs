//! Risk: late frames are counted as punctual.

use std::time::Duration;

use insula::Instant;

use super::{FrameTimes, Meter, Pace, SHOWN};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn frames_keep_the_beat_however_late_one_is() {
    let start = Instant::now();
    let mut pace = Pace::new(ms(10));
    assert_eq!(pace.due(), None);
    pace.start(start);
    assert_eq!(pace.begin(start + ms(3)), ms(3));
    assert_eq!(pace.due(), Some(start + ms(10)));
    assert_eq!(pace.begin(start + ms(10)), ms(0));
    pace.start(start + ms(11));
    assert_eq!(pace.due(), Some(start + ms(20)));
    pace.stop();
    assert_eq!(pace.due(), None);
}

#[test]
fn missed_frames_are_left_out() {
    let start = Instant::now();
    let mut pace = Pace::new(ms(10));
    pace.start(start);
    assert_eq!(pace.begin(start + ms(25)), ms(25));
    assert_eq!(pace.due(), Some(start + ms(30)));
    assert_eq!(pace.begin(start + ms(40)), ms(10));
    assert_eq!(pace.due(), Some(start + ms(50)));
}

#[test]
fn quantiles_of_frames() {
    let mut meter = Meter::default();
    for late in 0..1000u64 {
        meter.add(FrameTimes {
            late: Duration::from_micros(late),
            work: ms(2),
        });
    }
    let late = meter.late();
    assert!(
        (late.p50 - 0.5).abs() < 0.01 && (late.p99 - 0.99).abs() < 0.01,
        "{late:?}"
    );
    assert_eq!(meter.recent().len(), SHOWN);
    assert_eq!(meter.last().late, Duration::from_micros(999));
    assert!((meter.done().max - 2.999).abs() < 0.01);
    assert_eq!(meter.count(), 1000);
}
