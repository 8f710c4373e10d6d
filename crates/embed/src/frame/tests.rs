//! Risk: an animation jumps back.

use std::time::Duration;

use insula_core::Instant;

use super::FrameClock;

#[test]
fn times_never_go_back_and_numbers_go_up() {
    let start = Instant::now();
    let ms = Duration::from_millis;
    let mut clock = FrameClock::default();
    let times = [5, 21, 20, 20, 37].map(|at| clock.begin(start + ms(at)));
    assert_eq!(times.map(|frame| frame.number), [1, 2, 3, 4, 5]);
    assert_eq!(
        times.map(|frame| frame.time - start),
        [5, 21, 21, 21, 37].map(ms)
    );
}
