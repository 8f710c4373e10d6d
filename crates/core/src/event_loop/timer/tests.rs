//! Risk: a timer that is due at once costs a wake-up of another thread.

use std::time::Duration;

use crate::{Isolate, Runtime, Timer, block_on};

fn chain(left: u32, last: Duration) {
    match left {
        0 => drop(Timer::after(last, || {})),
        _ => drop(Timer::run(move || chain(left - 1, last))),
    }
}

/// Zero timers stay in the isolate: the event handler's thread does not even start.
#[test]
fn zero_timers_never_reach_the_event_handler() {
    let runtime = Runtime::builder().threads(1).build();
    let has_started = |last| {
        let isolate = Isolate::builder().runtime(&runtime);
        let isolate = isolate.spawn(move |()| chain(100, last), ());
        block_on(isolate.exited());
        runtime.core().event_handler().has_thread()
    };
    assert!(!has_started(Duration::ZERO));
    assert!(has_started(Duration::from_millis(1)));
    runtime.shut_down();
}
