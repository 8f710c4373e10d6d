//! The event loop of an isolate: runs one slice on a thread.
//!
//! A *turn* is one record (a message, a timer, a wake-up from outside) and then all microtasks
//! until their queue is empty. A *slice* is a sequence of turns, until the lane is empty or the
//! budget is spent. Between two turns the loop checks the out-of-band lane, then the budget.
//!
//! When the lane is empty, the loop checks what could still wake the isolate: a port with a
//! sender, a timer, an unanswered call, a task with a cloned waker. If there is none, the isolate
//! exits, under the same lock under which the lane was found empty, so no accepted message is lost.
//!
//! A panic ends the slice, and the isolate if errors are fatal, but nothing else: the record is
//! moved out before its handler is called, so the remaining records can be handled, or dropped,
//! in order. The microtasks that the panic left behind run before the next event.
//!
//! Control messages, actions that they delayed, a pause and the isolate's end come before the next
//! event. The flag `attention` announces them; `out_of_band.rs` handles them.

pub(crate) mod microtask;
mod out_of_band;
pub(crate) mod slice_watch;
pub(crate) mod task;
mod tear_down;
pub(crate) mod timer;
pub(crate) mod yield_now;

use std::any::Any;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

use insula_sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use crate::isolate::cell::Locals;
use crate::isolate::{ErrorCause, ExitReason, uncaught};
use crate::memory::record::Head;
use crate::memory::slab::Slab;
use crate::memory::{Current, Runnable};
use crate::panic::{self, PanicReport};
use crate::port::reply::PendingReplies;
use crate::port::{self, PortSlot};
use crate::runtime::{Compat, Hosted};
use microtask::Microtask;
use out_of_band::{Control, attend, handle_messages_while_unwinding};
pub(crate) use out_of_band::{check, drain_microtasks};
use slice_watch::SliceWatch;
use task::Task;
pub(crate) use tear_down::end_unstarted;
use tear_down::tear_down;
use timer::Timers;

/// The state of an isolate that does more than handle messages; made on first use.
#[derive(Default)]
pub(crate) struct EventLoop {
    pub(crate) microtasks: VecDeque<Microtask>,
    pub(crate) tasks: Slab<Task>,
    pub(crate) timers: Timers,
    pub(crate) replies: PendingReplies,
    /// The open ports except the first one, by serial number and so in the order of opening.
    pub(crate) ports: BTreeMap<u64, NonNull<PortSlot>>,
    /// Ports that have places to give back, each listed once.
    pub(crate) owing: Vec<NonNull<PortSlot>>,
    pub(crate) locals: Locals,
    /// Names of the ports that have one, by serial number.
    pub(crate) port_names: HashMap<u64, Arc<str>>,
    pub(crate) control: Control,
    pub(crate) slice_watch: Option<Arc<dyn SliceWatch>>,
}

/// The data about the running slice that a thread shares with the monitor.
#[derive(Default)]
pub(crate) struct Meter {
    /// Counts turns; unchanged while one turn takes long.
    pub(crate) turns: AtomicU32,
    pub(crate) running: AtomicBool,
    /// The id of the isolate whose slice runs, or ran last.
    pub(crate) isolate: AtomicU64,
    /// Set by the monitor to end the slice after this turn.
    pub(crate) interrupt: AtomicBool,
}

impl Meter {
    /// Returns a number that changes with every turn; `None` between slices.
    pub(crate) fn turn(&self) -> Option<u32> {
        // Relaxed: a sample, which the monitor takes again later.
        let running = self.running.load(Ordering::Relaxed);
        running.then(|| self.turns.load(Ordering::Relaxed))
    }
}

/// Turns in a slice while other isolates wait. Budgets from 16 to 4,096 turns measured alike
/// (before 2026-11-21).
pub(crate) const SLICE_TURNS: u32 = 512;

/// The way in which a slice ends.
enum SliceEnd {
    /// The isolate is idle: another thread may run or free it, so it must not be accessed.
    Idle,
    /// The budget is spent, or the isolate yielded.
    Again,
    Exit(ExitReason),
}

/// Runs a slice. Returns the isolate if it has to be queued again.
pub(crate) fn run_slice(runnable: Runnable, meter: &Meter, turns: u32) -> Option<Runnable> {
    // Relaxed, all of them: the monitor samples, and acts only on what stays the same.
    meter.isolate.store(runnable.core().id, Ordering::Relaxed);
    meter.running.store(true, Ordering::Relaxed);
    let mut watch = None;
    let again = runnable.enter(|isolate| {
        if isolate.local().flags.watched.get() {
            watch = slice_watch::begin(isolate);
        }
        let end = catch_unwind(AssertUnwindSafe(|| slice(isolate, meter, turns)))
            .unwrap_or_else(|payload| caught(isolate, payload));
        match end {
            SliceEnd::Idle => false,
            SliceEnd::Again => true,
            SliceEnd::Exit(reason) => exit(isolate, reason),
        }
    });
    meter.running.store(false, Ordering::Relaxed);
    if let Some(watch) = watch {
        watch.ends();
        // The isolate may be gone, and this be its last owner.
        panic::contain(move || drop(watch));
    }
    again.then_some(runnable)
}

/// Ends an isolate, or pauses it before its end. Returns `true` if it was paused, and goes on.
fn exit(isolate: Current<'_>, reason: ExitReason) -> bool {
    let pauses = isolate.local().flags.pauses_on_exit.replace(false);
    if pauses {
        isolate.hold_exit(reason);
    } else {
        tear_down(isolate, reason);
    }
    pauses
}

/// Runs code of a host inside the isolate, between two of its events, and then the microtasks.
/// Control messages that have arrived are handled first, as before every event.
/// Returns `None` if `f` unwound, or if the isolate was ending before it.
pub(crate) fn enter<R>(runnable: &Runnable, f: impl FnOnce() -> R) -> Option<R> {
    // A clone, since the isolate may end inside, and its own is freed with it.
    let runtime = runnable.core().runtime.clone();
    let _hosted = Hosted::begin(&runtime);
    runnable.enter(|isolate| {
        if isolate.lane.peek_oob() {
            handle_messages_while_unwinding(isolate);
        }
        let mut result = None;
        let end = catch_unwind(AssertUnwindSafe(|| {
            if !isolate.is_ending() {
                result = Some(f());
                isolate.run_microtasks();
            }
            // A placeholder: an end that the host's code asked for is found below, by the flag.
            SliceEnd::Idle
        }))
        .unwrap_or_else(|payload| caught(isolate, payload));
        let ending = isolate.local().flags.ending.get();
        match end {
            // A pause before the end needs no action here: only the host runs the isolate, and it
            // asks whether the isolate is paused.
            SliceEnd::Exit(reason) => drop(exit(isolate, reason)),
            _ if ending => {
                if let Some(SliceEnd::Exit(reason)) = attend(isolate) {
                    exit(isolate, reason);
                }
            }
            _ => {}
        }
        result
    })
}

/// Decides how a slice ends in which code of the isolate panicked.
#[cold]
fn caught(isolate: Current<'_>, payload: Box<dyn Any + Send>) -> SliceEnd {
    if payload.is::<panic::ToLoop>() {
        // Not a panic: the isolate is ending, and the next slice finds the reason.
        return SliceEnd::Again;
    }
    let report = PanicReport::take(payload);
    if uncaught(isolate, ErrorCause::Panicked(report.clone())) {
        // Control messages that came before the error are not lost with the isolate.
        handle_messages_while_unwinding(isolate);
        return SliceEnd::Exit(ExitReason::Panicked(report));
    }
    // In the VM they wait for the next event, or are lost (rule 26 of `docs/conformance.md`).
    let hold = isolate.runtime.compat() == Compat::Dart;
    isolate.local().flags.microtasks_held.set(hold);
    SliceEnd::Again
}

fn slice(isolate: Current<'_>, meter: &Meter, turns: u32) -> SliceEnd {
    let local = isolate.local();
    // Relaxed, here and below: only this thread changes `turns`, and the monitor samples it.
    let mut count = meter.turns.load(Ordering::Relaxed);
    let end = count.wrapping_add(turns);
    let flags = &local.flags;
    // An error may have left microtasks behind, or a control message may have woken the isolate.
    if (flags.attention.get() || flags.microtasks.get() || isolate.lane.peek_oob())
        && let Some(end) = attend(isolate)
    {
        return end;
    }
    // SAFETY: the isolate runs here.
    let mut woken_by = unsafe { isolate.lane.take_first() };
    loop {
        // SAFETY: as above.
        let record = match woken_by.take().or_else(|| unsafe { local.burst.next() }) {
            Some(record) => record,
            None => match refill(isolate) {
                Refill::Burst => continue,
                Refill::Attend => match attend(isolate) {
                    Some(end) => return end,
                    None => continue,
                },
                Refill::Idle => return SliceEnd::Idle,
                Refill::Exit(reason) => return SliceEnd::Exit(reason),
            },
        };
        count = count.wrapping_add(1);
        meter.turns.store(count, Ordering::Relaxed);
        let own = local.turns.load(Ordering::Relaxed).wrapping_add(1);
        local.turns.store(own, Ordering::Relaxed);
        turn(isolate, record);
        if (flags.attention.get() || isolate.lane.peek_oob())
            && let Some(end) = attend(isolate)
        {
            return end;
        }
        // Relaxed: `interrupt` is a hint. Seen a turn late, it makes the slice one turn longer.
        if count == end || meter.interrupt.load(Ordering::Relaxed) || flags.yielded.get() {
            // Both are served by this one end of the slice.
            flags.yielded.set(false);
            meter.interrupt.store(false, Ordering::Relaxed);
            return SliceEnd::Again;
        }
    }
}

#[inline]
fn turn(isolate: Current<'_>, (head, payload): (Head, *const u64)) {
    // SAFETY: the pointee of a record's header is alive: constants always, slots until all their
    // records are gone (see `port`).
    let deliver = unsafe { head.vtable() }.deliver;
    // SAFETY: the record is delivered once, by its isolate.
    unsafe { deliver(head, payload, isolate) };
    if isolate.local().flags.microtasks.get() {
        isolate.run_microtasks();
    }
}

/// The outcome of [`refill`].
enum Refill {
    Burst,
    Attend,
    Idle,
    Exit(ExitReason),
}

/// Takes the next records out of the lane, or decides what an isolate without records does.
#[inline]
fn refill(isolate: Current<'_>) -> Refill {
    let local = isolate.local();
    // Before the isolate may go idle: senders wait for the places that its ports owe.
    if local.flags.credits.get() {
        port::return_credits(isolate);
    }
    // Without the lock: a waker whose drop changes the answer after this posts a record, which
    // the look into the lane below finds, or which schedules the isolate again.
    let alive = may_be_woken(isolate);
    let mut lane = isolate.lane.lock();
    if lane.take_chain(&local.burst) {
        return Refill::Burst;
    }
    if lane.has_oob() {
        return Refill::Attend;
    }
    if !alive {
        lane.go_dead();
        return Refill::Exit(ExitReason::Finished);
    }
    let turns = local.turns.load(Ordering::Relaxed);
    let spent = (local.burst.take_spent(), lane.go_idle(turns));
    // From here on another thread may run this isolate, or free it; so the blocks are freed
    // through `spent` alone.
    drop(lane);
    spent.0.free();
    spent.1.free();
    Refill::Idle
}

/// Returns whether anything outside could still post to this isolate. All of it is counted, so
/// this takes the same few steps however many ports and tasks there are.
#[inline]
fn may_be_woken(isolate: Current<'_>) -> bool {
    let local = isolate.local();
    if local.keeping_ports.get() != 0 || local.flags.is_root.get() {
        return true;
    }
    let events = local.events.borrow();
    events
        .as_ref()
        .is_some_and(|events| !events.replies.is_empty() || !events.timers.is_empty())
        || isolate.awaited_tasks.may_wake()
}
