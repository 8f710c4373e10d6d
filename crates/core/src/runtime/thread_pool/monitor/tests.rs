//! Risk: the monitor's thread could not be started, and nothing tries again while all threads are
//! inside of long turns.

use std::ptr::NonNull;

use super::super::sleep::Wake;
use super::*;

#[test]
fn work_that_finds_all_threads_busy_starts_the_monitor_again() {
    let pool = ThreadPool::new(1, 0, Duration::ZERO, "test".into());
    assert_eq!(pool.sleep.wake_one(), Some(Wake::Start(0)));
    pool.sleep.found_work();
    // The monitor is as a failed start leaves it. The isolate is never run.
    assert!(pool.monitor.asleep.load(Ordering::SeqCst));
    pool.inject([NonNull::dangling()]);
    assert!(!pool.monitor.asleep.load(Ordering::SeqCst));
}

/// Risk: each message ends a doze, and the monitor dozes again at once: it would run all the time.
#[test]
fn a_doze_says_whether_it_was_nudged() {
    let pool = ThreadPool::new(1, 0, Duration::ZERO, "test".into());
    assert!(!pool.doze(), "nothing happened");
    let nudged = std::thread::scope(|scope| {
        let monitor = scope.spawn(|| pool.doze());
        // Until it is seen: before the doze begins there is nothing to end.
        while !monitor.is_finished() {
            pool.nudge();
            std::thread::yield_now();
        }
        monitor.join()
    });
    assert!(matches!(nudged, Ok(true)), "{nudged:?}");
}
