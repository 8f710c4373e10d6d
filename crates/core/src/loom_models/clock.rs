//! Risk: a virtual clock goes back, or loses time, when two threads move it at once.

use std::time::Duration;

use loom::thread;

use crate::Runtime;

const SECOND: Duration = Duration::from_secs(1);

/// advance vs advance: two threads advance the clock of one runtime. Both durations count.
#[test]
fn advance_vs_advance() {
    loom::model(|| {
        let runtime = Runtime::builder().seeded(1).build();
        let start = runtime.now();
        let other = {
            let runtime = runtime.clone();
            thread::spawn(move || runtime.advance(SECOND))
        };
        runtime.advance(2 * SECOND);
        other.join().unwrap();
        assert_eq!(runtime.now(), start + 3 * SECOND);
    });
}

/// advance vs jump: the driver jumps to a deadline while another thread advances the clock past it.
/// The clock does not go back to the deadline.
#[test]
fn advance_vs_jump() {
    loom::model(|| {
        let runtime = Runtime::builder().seeded(1).build();
        let start = runtime.now();
        let other = {
            let runtime = runtime.clone();
            thread::spawn(move || {
                runtime.advance(2 * SECOND);
                assert!(runtime.now() >= start + 2 * SECOND, "the clock went back");
            })
        };
        // As `seeded::drive` does.
        runtime.core().clock().advance_to(start + SECOND);
        other.join().unwrap();
        assert!(runtime.now() >= start + 2 * SECOND, "the clock went back");
    });
}
