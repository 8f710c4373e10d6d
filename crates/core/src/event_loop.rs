//! An isolate's loop: what one slice on a thread does.
//!
//! A *turn* is one record (a message, a timer, a wake-up from outside) and then the microtask
//! queue to exhaustion. A *slice* is a row of turns, until the lane is empty or the budget is
//! spent. Between turns, in this order: the out-of-band lane; the budget.
//!
//! When the lane is empty the isolate asks what could still wake it: a port with a sender, a
//! timer, an unanswered call, a task whose waker is out. With none of these it exits, under
//! the same lock under which it found the lane empty, so nothing that was accepted is lost.
//!
//! A panic ends the slice and the isolate, and nothing else: the record has been moved out
//! before its handler was called, so what is left can be dropped in order.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;

use insula_sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::isolate::{Current, ExitReason, IsolateCore, Oob, Runnable};
use crate::microtask::Microtask;
use crate::panic::{self, PanicReport};
use crate::port::{self, PortSlot};
use crate::record::Head;
use crate::reply::PendingReplies;
use crate::slab::Slab;
use crate::task::Task;
use crate::timer::Timers;

/// State of an isolate that does more than handle messages; made on first use.
#[derive(Default)]
pub(crate) struct EventLoop {
    pub(crate) microtasks: VecDeque<Microtask>,
    pub(crate) tasks: Slab<Task>,
    pub(crate) timers: Timers,
    pub(crate) replies: PendingReplies,
    /// Open ports but for the first one.
    pub(crate) ports: Vec<NonNull<PortSlot>>,
    /// Values of `isolate_local!`, by the address of their key.
    pub(crate) locals: HashMap<usize, Rc<dyn Any>>,
    /// The entry's error, if it returned one.
    pub(crate) failure: Option<ExitReason>,
}

/// What a thread and its watcher share about the slice that runs on it.
#[derive(Default)]
pub(crate) struct Meter {
    /// Counts turns; it stands still while one turn takes long.
    pub(crate) turns: AtomicU32,
    pub(crate) running: AtomicBool,
    /// The watcher asks for the end of the slice after this turn.
    pub(crate) interrupt: AtomicBool,
}

/// Turns in a slice while others wait. Budgets from 16 to 4,096 measured alike in the study.
pub(crate) const SLICE_TURNS: u32 = 512;

enum SliceEnd {
    /// Idle: not ours any more, not even to look at.
    Idle,
    /// The budget is spent, or the isolate yielded.
    Again,
    Exit(ExitReason),
}

/// Runs a slice. Returns the isolate if it wants to go on.
pub(crate) fn run_slice(runnable: Runnable, meter: &Meter, turns: u32) -> Option<Runnable> {
    // Relaxed, all three of them: the watcher samples, and acts only on what stays the same.
    meter.running.store(true, Ordering::Relaxed);
    let again = runnable.enter(|isolate| {
        let end = catch_unwind(AssertUnwindSafe(|| slice(isolate, meter, turns)));
        let reason = match end {
            Ok(SliceEnd::Idle) => return false,
            Ok(SliceEnd::Again) => return true,
            Ok(SliceEnd::Exit(reason)) => reason,
            Err(payload) => ExitReason::Panicked(PanicReport::take(payload)),
        };
        tear_down(isolate, reason);
        false
    });
    meter.running.store(false, Ordering::Relaxed);
    again.then_some(runnable)
}

fn slice(isolate: Current<'_>, meter: &Meter, turns: u32) -> SliceEnd {
    let local = isolate.local();
    let mut count = meter.turns.load(Ordering::Relaxed);
    let end = count.wrapping_add(turns);
    // SAFETY: the isolate runs here.
    let mut woken_by = unsafe { isolate.lane.take_first() };
    loop {
        // SAFETY: as above.
        let record = match woken_by.take().or_else(|| unsafe { local.burst.next() }) {
            Some(record) => record,
            None => match refill(isolate) {
                Refill::Burst => continue,
                Refill::Oob => match handle_oob(isolate) {
                    Some(reason) => return SliceEnd::Exit(reason),
                    None => continue,
                },
                Refill::Idle => return SliceEnd::Idle,
                Refill::Exit(reason) => return SliceEnd::Exit(reason),
            },
        };
        count = count.wrapping_add(1);
        meter.turns.store(count, Ordering::Relaxed);
        turn(isolate, record);
        while isolate.lane.peek_oob() {
            if let Some(reason) = handle_oob(isolate) {
                return SliceEnd::Exit(reason);
            }
            // The message may have cut the microtasks short.
            isolate.run_microtasks();
        }
        if count == end || meter.interrupt.load(Ordering::Relaxed) || local.flags.yielded.get() {
            local.flags.yielded.set(false);
            meter.interrupt.store(false, Ordering::Relaxed);
            return SliceEnd::Again;
        }
    }
}

#[inline(always)]
fn turn(isolate: Current<'_>, (head, payload): (Head, *const u64)) {
    // SAFETY: a record's head is alive: constants always, slots until all their records are
    // gone (see `port`).
    let deliver = unsafe { head.vtable() }.deliver;
    // SAFETY: the record is delivered once, by its isolate.
    unsafe { deliver(head, payload, isolate) };
    if isolate.local().flags.microtasks.get() {
        isolate.run_microtasks();
    }
}

enum Refill {
    Burst,
    Oob,
    Idle,
    Exit(ExitReason),
}

/// Gets the next records, or finds out what the isolate becomes without any.
#[inline]
fn refill(isolate: Current<'_>) -> Refill {
    let local = isolate.local();
    if local.flags.microtasks.get() {
        // An out-of-band message cut the microtasks short.
        isolate.run_microtasks();
    }
    if local.flags.credits.get() {
        port::return_credits(isolate);
    }
    let alive = may_be_woken(isolate);
    let mut lane = isolate.lane.lock();
    if lane.take_chain(&local.burst) {
        return Refill::Burst;
    }
    if lane.has_oob() {
        return Refill::Oob;
    }
    if !alive {
        lane.go_dead();
        return Refill::Exit(ExitReason::Finished);
    }
    let spent = (local.burst.take_spent(), lane.go_idle());
    // From here on another thread may run this isolate, or free it.
    drop(lane);
    spent.0.free();
    spent.1.free();
    Refill::Idle
}

/// Whether anything outside could still post to this isolate.
#[inline]
fn may_be_woken(isolate: Current<'_>) -> bool {
    if isolate.port0.may_receive() {
        return true;
    }
    let events = isolate.local().events.borrow();
    events.as_ref().is_some_and(|events| {
        !events.replies.is_empty()
            || !events.timers.is_empty()
            // SAFETY: an open port's slot is alive.
            || events.ports.iter().any(|slot| unsafe { slot.as_ref() }.may_receive())
            || events.tasks.values().any(Task::may_be_woken)
    })
}

/// Takes the out-of-band lane. Returns the reason if the isolate is to end.
#[cold]
fn handle_oob(isolate: Current<'_>) -> Option<ExitReason> {
    let mut lane = isolate.lane.lock();
    if !lane.take_oob() {
        return None;
    }
    let messages = isolate.with_details(&mut lane, |details| std::mem::take(&mut details.oob));
    drop(lane);
    // The only message that there is so far.
    let kill = messages.iter().any(|message| matches!(message, Oob::Kill));
    kill.then(|| {
        let failure = isolate.with_events(|events| events.failure.take());
        failure.unwrap_or(ExitReason::Killed)
    })
}

/// Ends an isolate that came too late to start, on the thread that made it.
pub(crate) fn end_unstarted(runnable: &Runnable) {
    runnable.enter(|isolate| tear_down(isolate, ExitReason::Killed));
}

/// Ends an isolate: nothing more is accepted, what is left is dropped (records in order, then
/// tasks, timers and the rest, then the ports), those who wait for the end are told, and the
/// isolate's own count goes.
fn tear_down(isolate: Current<'_>, reason: ExitReason) {
    let local = isolate.local();
    local.flags.dying.set(true);
    isolate.lane.lock().go_dead();
    discard_records(isolate);
    // Destructors may touch the isolate once more, and so make a new event loop.
    while let Some(events) = { local.events.take() } {
        isolate.runtime.forget_deadline(&events.timers);
        let ports = events.ports.clone();
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
    let name = isolate.name();
    let waiters = isolate.with_details(&mut isolate.lane.lock(), |details| {
        details.exit = Some(reason.clone());
        std::mem::take(&mut details.exit_waiters)
    });
    panic::report_exit(&name, &reason);
    for waiter in waiters {
        panic::contain(|| waiter.wake());
    }
    let core = isolate.this();
    isolate.runtime.clone().unregister(isolate);
    // SAFETY: this is the isolate's own count, and nothing touches the isolate after it: the
    // caller only resets its thread's pointer.
    unsafe { IsolateCore::release_self(core) };
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
