//! The teardown of an isolate.

use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use crate::isolate::{ExitCalls, ExitListener, ExitReason, IsolateId, Listeners, UncaughtError};
use crate::memory::waiters::Woken;
use crate::memory::{Current, IsolateCore, Runnable};
use crate::panic;
use crate::port::{PortSlot, SendPort};
use crate::runtime::Hosted;

/// Ends an isolate that came too late to start, on the thread that made it.
pub(crate) fn end_unstarted(runnable: &Runnable) {
    // A clone, since the isolate's own is freed with it.
    let runtime = runnable.core().runtime.clone();
    let _hosted = Hosted::begin(&runtime);
    runnable.enter(|isolate| tear_down(isolate, ExitReason::Killed));
}

/// Ends an isolate: it accepts nothing more; what is left is dropped (records in order, then
/// tasks, timers and the rest, then the ports, then the locals); listeners and waiters for its end
/// are told; and its own count is released.
///
/// # Destructors
/// Each value of a user is dropped separately, so a panic ends only the destructor in which it
/// happens. What a destructor sends is sent. What it starts in this isolate never runs: a port
/// that it opens is closed, and tasks, timers and microtasks are dropped in the next of at most
/// [`ROUNDS`] rounds. They are not dropped at once, since a destructor that starts itself anew
/// would never end. What is left after the last round is leaked. A wait ends with an error
/// (`isolate/control.rs`).
pub(super) fn tear_down(isolate: Current<'_>, reason: ExitReason) {
    // First, so that nothing that a destructor starts below is kept to run.
    isolate.local().flags.dying.set(true);
    let unheard = {
        let mut lane = isolate.lane.lock();
        lane.go_dead();
        isolate.peek_details(&mut lane, |details| std::mem::take(&mut details.oob))
    };
    panic::drop_each(unheard.into_iter().flatten());
    discard_records(isolate);
    drop_rounds(isolate);
    tell(isolate, &reason);
    if let Some(home) = isolate.home() {
        home.forget_notify();
    }
    // The listeners and waiters may have run code of users, too.
    if !drop_rounds(isolate) {
        let _leaked = ManuallyDrop::new(isolate.local().events.take());
    }
    let core = isolate.this();
    isolate.runtime.clone().unregister(isolate);
    // SAFETY: this is the isolate's own count, and nothing touches the isolate after it: the
    // caller only resets its thread's pointer.
    unsafe { IsolateCore::release_self(core) };
}

/// The number of times that a teardown drops what destructors have started meanwhile.
const ROUNDS: usize = 8;

/// Drops everything in the isolate that holds values of users, and what their destructors make.
/// Returns `false` if something is left after the last round.
fn drop_rounds(isolate: Current<'_>) -> bool {
    (0..ROUNDS).any(|_| {
        let dropped = drop_round(isolate);
        // No short circuit: every round drops the locals too.
        let dropped = drop_locals(isolate) || dropped;
        !dropped
    })
}

/// Drops everything except the locals. Returns whether there was anything.
fn drop_round(isolate: Current<'_>) -> bool {
    isolate.local().front.set(None);
    isolate.local().flags.microtasks.set(false);
    let has_events = isolate.local().events.borrow().is_some();
    let mut count = 0;
    if has_events {
        let (timers, armed) = isolate.with_events(|events| events.timers.take_all());
        if let Some(key) = armed {
            // It may have fired already; its record then finds the lane dead.
            let _ = isolate.runtime.event_handler().disarm(key);
        }
        count += drop_counted(isolate.with_events(|events| std::mem::take(&mut events.microtasks)));
        count += drop_counted(isolate.with_events(|events| events.tasks.take_all()));
        count += drop_counted(timers);
        count += drop_counted(isolate.with_events(|events| events.replies.take_all()));
        count += drop_counted(isolate.with_events(|events| events.slice_watch.take()));
        let (batch, delayed) = isolate.with_events(|events| events.control.take_all());
        count += drop_counted(batch) + drop_counted(delayed);
        let ports = isolate.with_events(|events| {
            // The list must not point to freed slots.
            events.owing.clear();
            std::mem::take(&mut events.ports)
        });
        count += ports.len();
        for slot in ports.into_values() {
            // SAFETY: the slot is alive until its receiver's count is released, by this call.
            unsafe { PortSlot::tear_down(slot) };
        }
    }
    if isolate.port0.has_receiver() {
        count += 1;
        // SAFETY: as above; the isolate's own count keeps `port0` in place.
        unsafe { PortSlot::tear_down(NonNull::from(&isolate.port0)) };
    }
    count != 0
}

/// Drops values, each separately, and returns their number.
fn drop_counted<T>(values: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>) -> usize {
    let values = values.into_iter();
    let count = values.len();
    panic::drop_each(values);
    count
}

/// Drops the locals, the newest first. Each is made once, so this ends. Returns whether there
/// were any.
fn drop_locals(isolate: Current<'_>) -> bool {
    let newest = || {
        // The borrow ends before the copy is dropped, whose destructor may use other locals.
        let mut events = isolate.local().events.borrow_mut();
        events.as_mut()?.locals.take_newest()
    };
    let mut found = false;
    while let Some(local) = newest() {
        found = true;
        panic::contain(|| drop(local));
    }
    found
}

/// Leaves the group, and then tells the exit listeners, in their order, and the waiters. In this
/// order, so that code that has learned of the end does not find the isolate in its group.
fn tell(isolate: Current<'_>, reason: &ExitReason) {
    let observers = isolate.runtime.observers();
    if !observers.is_empty() {
        let (id, name) = (IsolateId(isolate.id), isolate.own_name());
        observers.each(|observer| observer.ended(id, name.clone(), reason));
    }
    let group = isolate.peek_details(&mut isolate.lane.lock(), |details| details.group.clone());
    if let Some(group) = group.flatten() {
        group.leave(isolate.id);
        if isolate.local().flags.is_root.get() {
            group.kill_all();
        }
    }
    // Set under the lane's lock, under which listeners and waiters are added: one that comes after
    // this finds the reason there.
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
    panic::drop_each(told.error_listeners.into_values());
}

/// The recipients of an isolate's end.
struct Told {
    exit_listeners: Listeners<ExitListener>,
    exit_calls: ExitCalls,
    exit_waiters: Woken,
    error_listeners: Listeners<SendPort<UncaughtError>>,
}

/// Drops all records, in order.
fn discard_records(isolate: Current<'_>) {
    let burst = &isolate.local().burst;
    // SAFETY: the isolate runs here.
    let mut woken_by = unsafe { isolate.lane.take_first() };
    loop {
        // SAFETY: as above.
        match woken_by.take().or_else(|| unsafe { burst.next() }) {
            Some((head, payload)) => {
                // SAFETY: the header's pointee is alive, see `turn` in `event_loop.rs`.
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
