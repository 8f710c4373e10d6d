//! The end of an isolate.

use std::ptr::NonNull;

use crate::isolate::{
    Current, ExitCalls, ExitListener, ExitReason, IsolateCore, Listeners, Runnable, UncaughtError,
};
use crate::panic;
use crate::port::{PortSlot, SendPort};
use crate::waiters::Woken;

/// Ends an isolate that came too late to start, on the thread that made it.
pub(crate) fn end_unstarted(runnable: &Runnable) {
    runnable.enter(|isolate| tear_down(isolate, ExitReason::Killed));
}

/// Ends an isolate: nothing more is accepted, what is left is dropped (records in order, then
/// tasks, timers and the rest, then the ports), those who wait for the end are told, and the
/// isolate's own count goes.
pub(super) fn tear_down(isolate: Current<'_>, reason: ExitReason) {
    let local = isolate.local();
    local.flags.dying.set(true);
    let unheard = {
        let mut lane = isolate.lane.lock();
        lane.go_dead();
        isolate.peek_details(&mut lane, |details| std::mem::take(&mut details.oob))
    };
    panic::contain(|| drop(unheard));
    discard_records(isolate);
    // Destructors may touch the isolate once more, and so make a new event loop.
    while let Some(events) = { local.events.take() } {
        isolate.runtime.forget_deadline(&events.timers);
        let ports: Vec<_> = events.ports.values().copied().collect();
        panic::contain(|| drop(events));
        for slot in ports {
            // SAFETY: the slot is alive until its receiver's count goes, which is now.
            panic::contain(|| unsafe { PortSlot::tear_down(slot) });
        }
    }
    if isolate.port0.has_receiver() {
        panic::contain(|| {
            // SAFETY: as above; the isolate's own count keeps `port0` in place.
            unsafe { PortSlot::tear_down(NonNull::from(&isolate.port0)) };
        });
    }
    tell(isolate, &reason);
    let core = isolate.this();
    isolate.runtime.clone().unregister(isolate);
    // SAFETY: this is the isolate's own count, and nothing touches the isolate after it: the
    // caller only resets its thread's pointer.
    unsafe { IsolateCore::release_self(core) };
}

/// Leaves the group, and then tells everybody who waits for the end, the listeners in their
/// order: who has learned of the end does not find the isolate in its group.
fn tell(isolate: Current<'_>, reason: &ExitReason) {
    let group = isolate.peek_details(&mut isolate.lane.lock(), |details| details.group.clone());
    if let Some(group) = group.flatten() {
        group.leave(isolate.id);
        if isolate.local().flags.is_root.get() {
            group.kill_all();
        }
    }
    let told = isolate.with_details(&mut isolate.lane.lock(), |details| {
        details.exit = Some(reason.clone());
        Told {
            exit_listeners: std::mem::take(&mut details.exit_listeners),
            exit_calls: std::mem::take(&mut details.exit_calls),
            exit_waiters: details.exit_waiters.take_all(),
            error_listeners: std::mem::take(&mut details.error_listeners),
        }
    });
    for listener in told.exit_listeners.into_values() {
        panic::contain(|| listener.tell(reason));
    }
    for function in told.exit_calls.into_functions() {
        panic::contain(function);
    }
    told.exit_waiters.wake();
    drop(told.error_listeners);
}

struct Told {
    exit_listeners: Listeners<ExitListener>,
    exit_calls: ExitCalls,
    exit_waiters: Woken,
    error_listeners: Listeners<SendPort<UncaughtError>>,
}

fn discard_records(isolate: Current<'_>) {
    let burst = &isolate.local().burst;
    // SAFETY: the isolate runs here.
    let mut woken_by = unsafe { isolate.lane.take_first() };
    loop {
        // SAFETY: as above.
        match woken_by.take().or_else(|| unsafe { burst.next() }) {
            Some((head, payload)) => {
                // SAFETY: the head is alive, see `slice`.
                let discard = unsafe { head.vtable() }.discard;
                // SAFETY: the record is discarded instead of delivered.
                panic::contain(|| unsafe { discard(head, payload, isolate) });
            }
            None if isolate.lane.lock().take_chain(burst) => {}
            None => break,
        }
    }
    burst.take_spent().free();
}
