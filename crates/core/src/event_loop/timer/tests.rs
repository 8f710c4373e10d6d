//! Risk: a timer that is due at once costs a wake-up of another thread, or is forgotten by those that
//! have to come after it.

use std::time::Duration;

use super::{Action, Timers};
use crate::runtime::time::Instant;
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

/// The record of a cancelled timer arrives after the timer was skipped.
#[test]
fn the_record_of_a_cancelled_timer_leaves_later_ones_in_their_order() {
    let mut timers = Timers::default();
    let insert =
        |timers: &mut Timers| timers.insert_zero(|| Instant::FIRST, Action::Call(Box::new(|| {})));
    let (cancelled, later) = (insert(&mut timers), insert(&mut timers));
    assert!(timers.remove(cancelled).is_some());
    let first = timers.first_zero().expect("there is a later one");
    assert!(timers.take_zero(cancelled).is_none());
    assert!(timers.first_zero() == Some(first));
    assert!(timers.take_zero(later).is_some());
    assert!(timers.first_zero().is_none());
}
