//! The steps before the next event: control messages, actions that they delayed, pauses, and the
//! isolate's end. Rules are those of `docs/conformance.md`.

use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::SliceEnd;
use crate::isolate::{
    Capability, Ending, ErrorCause, ExitReason, Isolate, Oob, Priority, uncaught,
};
use crate::memory::record::SystemRecord;
use crate::memory::{Current, IsolateRef};
use crate::panic::{self, PanicReport};
use crate::port::reply::ReplyTo;
use crate::runtime::Compat;

/// The pending effects of control messages.
#[derive(Default)]
pub(crate) struct Control {
    /// Messages taken from the lane and not handled yet: more than one only while one is being
    /// handled, or after one panicked.
    batch: VecDeque<Oob>,
    /// Actions to perform before the next event, in this order.
    delayed: VecDeque<Action>,
    /// Capabilities of the pauses that have not been resumed.
    paused_by: HashSet<Capability>,
    /// The reason for which the isolate is ending.
    exit: Option<ExitReason>,
    /// The reason for which the isolate ends once it is no longer paused.
    held_exit: Option<ExitReason>,
}

impl Control {
    /// Takes out the queues, which hold values of users, for a teardown.
    pub(super) fn take_all(
        &mut self,
    ) -> (VecDeque<impl Sized + use<>>, VecDeque<impl Sized + use<>>) {
        (
            std::mem::take(&mut self.batch),
            std::mem::take(&mut self.delayed),
        )
    }
}

/// A delayed control action.
enum Action {
    Kill,
    Answer(ReplyTo<()>),
    Call(Box<dyn FnOnce() + Send>),
}

/// An action that runs after the events that were queued when its message was handled.
struct AsEvent(Action);

impl SystemRecord for AsEvent {
    fn run(self, isolate: Current<'_>) {
        self.0.run(isolate);
    }
}

impl Control {
    /// Returns the number of pauses that have not been resumed.
    pub(crate) fn pauses(&self) -> usize {
        self.paused_by.len()
    }
}

impl Action {
    fn run(self, isolate: Current<'_>) {
        match self {
            Self::Kill => isolate.end_with(ExitReason::Killed),
            Self::Answer(ping) => ping.send(()),
            Self::Call(function) => function(),
        }
    }
}

/// Performs the steps before the next event. Returns how the slice ends, or `None` if the next
/// event may run.
#[cold]
pub(super) fn attend(isolate: Current<'_>) -> Option<SliceEnd> {
    let flags = &isolate.local().flags;
    loop {
        // After `exit` no control message is handled any more (rule 33).
        if !flags.ending.get() {
            handle_messages(isolate);
        }
        if flags.ending.get() {
            let reason = isolate.with_events(|events| events.control.exit.take());
            return Some(SliceEnd::Exit(reason.unwrap_or(ExitReason::Killed)));
        }
        if !flags.microtasks_held.get() {
            isolate.run_microtasks();
        }
        if isolate.interrupted() {
            continue;
        }
        if !flags.attention.get() {
            return None;
        }
        if isolate.is_paused() {
            if park(isolate) {
                return Some(SliceEnd::Idle);
            }
            continue;
        }
        if let Some(reason) = isolate.with_events(|events| events.control.held_exit.take()) {
            return Some(SliceEnd::Exit(reason));
        }
        match isolate.with_events(|events| events.control.delayed.pop_front()) {
            Some(action) => action.run(isolate),
            None => flags.attention.set(false),
        }
    }
}

/// Takes a paused isolate off its thread, unless a control message has arrived. After `true`
/// another thread may run or free the isolate.
fn park(isolate: Current<'_>) -> bool {
    if isolate.local().flags.credits.get() {
        crate::port::return_credits(isolate);
    }
    let mut lane = isolate.lane.lock();
    // Under the lock: a sender that comes later finds `PAUSED`, and schedules the isolate.
    if lane.has_oob() {
        return false;
    }
    lane.go_paused();
    true
}

/// Performs an interrupt check in the middle of an event.
///
/// # Errors
/// [`Ending`], if the isolate is ending.
#[cold]
pub(crate) fn check(isolate: Current<'_>) -> Result<(), Ending> {
    // A teardown handles no control messages any more.
    if isolate.is_dying() {
        return Err(Ending);
    }
    if std::thread::panicking() {
        handle_messages_while_unwinding(isolate);
    } else {
        handle_messages(isolate);
    }
    if isolate.is_ending() {
        return Err(Ending);
    }
    Ok(())
}

/// Runs all microtasks between two callbacks of one event, and handles control messages in
/// between. Returns `false` if the isolate is ending: no further callback may run.
pub(crate) fn drain_microtasks(isolate: Current<'_>) -> bool {
    loop {
        isolate.run_microtasks();
        if !isolate.interrupted() {
            return true;
        }
        // Then once more from the start: a message may have queued microtasks.
        handle_messages(isolate);
        if isolate.local().flags.ending.get() {
            return false;
        }
    }
}

/// Like [`handle_messages`], but no panic leaves this: each is reported as an error, and ends the
/// isolate if it is fatal. For a destructor while the thread unwinds; after a fatal error, for
/// the messages that arrived before it; and before code of a host, which a panic of a control
/// message must not replace.
#[cold]
pub(super) fn handle_messages_while_unwinding(isolate: Current<'_>) {
    let handle = || catch_unwind(AssertUnwindSafe(|| handle_messages(isolate)));
    // Each round removes a message, so this ends.
    while let Err(payload) = handle() {
        // Not a panic: a message called `exit`, which has recorded that the isolate is ending.
        if payload.is::<panic::ToLoop>() {
            continue;
        }
        let report = PanicReport::take(payload);
        if uncaught(isolate, ErrorCause::Panicked(report.clone())) {
            isolate.end_with(ExitReason::Panicked(report));
        }
    }
}

/// Handles all control messages that have arrived, in order.
fn handle_messages(isolate: Current<'_>) {
    let mut lane = isolate.lane.lock();
    if lane.take_oob() {
        // Moved over, so that both queues keep their memory for the next messages. No user code
        // runs while the lane is locked.
        isolate.with_details(&mut lane, |details| {
            isolate.with_events(|events| events.control.batch.extend(details.oob.drain(..)));
        });
    }
    drop(lane);
    // One at a time: if one panics, the messages after it are kept.
    while let Some(message) = isolate.with_events(|events| events.control.batch.pop_front()) {
        handle(isolate, message);
    }
}

fn handle(isolate: Current<'_>, message: Oob) {
    match message {
        Oob::Kill(Priority::Immediate) => isolate.end_with(ExitReason::Killed),
        Oob::Kill(priority) => delay(isolate, priority, Action::Kill),
        Oob::Ping(Priority::Immediate, ping) => ping.send(()),
        Oob::Ping(priority, ping) => delay(isolate, priority, Action::Answer(ping)),
        Oob::Call(Priority::Immediate, function) => function(),
        Oob::Call(priority, function) => delay(isolate, priority, Action::Call(function)),
        Oob::Pause(capability) => isolate.pause(capability),
        Oob::Resume(capability) => isolate.with_events(|events| {
            events.control.paused_by.remove(&capability);
        }),
    }
}

fn delay(isolate: Current<'_>, priority: Priority, action: Action) {
    // In the VM, an action at the tail of an empty queue is at its head as well, and so precedes
    // every event (rule 13, case 23).
    let at_head = priority == Priority::BeforeNextEvent
        || (isolate.runtime.compat() == Compat::Dart && isolate.has_no_records());
    if at_head {
        isolate.with_events(|events| events.control.delayed.push_back(action));
        isolate.local().flags.attention.set(true);
    } else {
        // A dying isolate drops the action.
        let _ = isolate.post(AsEvent(action));
    }
}

impl Current<'_> {
    /// Returns whether the running code should return to the loop: a control message waits, or
    /// the isolate is ending.
    #[inline]
    pub(crate) fn interrupted(self) -> bool {
        self.lane.peek_oob() || self.local().flags.ending.get()
    }

    /// Returns whether the isolate is ending, or is being torn down. Once `true`, it stays `true`.
    #[inline]
    pub(crate) fn is_ending(self) -> bool {
        self.local().flags.ending.get() || self.is_dying()
    }

    /// Returns whether the isolate is being torn down.
    #[inline]
    pub(crate) fn is_dying(self) -> bool {
        self.local().flags.dying.get()
    }

    /// Records that the isolate is ending: it ends as soon as its code returns to the loop. The
    /// first reason counts.
    pub(crate) fn end_with(self, reason: ExitReason) {
        self.with_events(|events| {
            events.control.exit.get_or_insert(reason);
        });
        let flags = &self.local().flags;
        flags.ending.set(true);
        flags.attention.set(true);
    }

    /// Pauses the isolate before its end. Queued microtasks and actions are dropped.
    pub(super) fn hold_exit(self, reason: ExitReason) {
        let dropped = self.with_events(|events| {
            events.control.held_exit = Some(reason);
            events.control.exit = None;
            (
                std::mem::take(&mut events.microtasks),
                std::mem::take(&mut events.control.delayed),
            )
        });
        self.local().front.set(None);
        self.local().flags.microtasks.set(false);
        self.local().flags.ending.set(false);
        let handle = Isolate::with_all_rights(IsolateRef::new(self.core()));
        if let Some(capability) = handle.pause_capability() {
            self.pause(capability);
        }
        // Dropped last, since their destructors are code of the user.
        panic::drop_each(dropped.0);
        panic::drop_each(dropped.1);
    }

    /// Pauses the isolate from the next event on.
    pub(crate) fn pause(self, capability: Capability) {
        self.with_events(|events| {
            events.control.paused_by.insert(capability);
        });
        self.local().flags.attention.set(true);
    }

    pub(crate) fn is_paused(self) -> bool {
        self.with_events(|events| !events.control.paused_by.is_empty())
    }

    fn has_no_records(self) -> bool {
        self.local().burst.is_empty() && self.lane.lock().is_empty()
    }
}
