//! The ledger of calls: what their callers were told, beside what their handlers did.

use insula_core::Instant;
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicU64, Ordering};

use super::Ledger;

/// All calls of a program.
#[derive(Default)]
pub(super) struct Calls(Mutex<Vec<CallState>>);

#[derive(Clone, Copy, Default)]
struct CallState {
    /// The number of times that its handler began, and that its handler's future was dropped.
    begun: u32,
    ended: u32,
    /// The end that the caller was told.
    end: Option<End>,
    /// It must never start.
    is_unstarted: bool,
    /// The caller has let go of it, and not to let it run.
    is_left: bool,
    /// The handler has the virtual clock of the program.
    is_virtual: bool,
    deadline: Option<Instant>,
}

/// The end of a call, as its caller is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// The handler has not run, and never will.
    NotStarted,
    /// The handler has run to its end.
    Over,
    /// The handler has begun, and goes on for as long as its stream does.
    Streams,
    /// Nothing is said about the handler.
    Unknown,
}

impl Ledger {
    /// Records a new call, and returns its number.
    pub(crate) fn call(&self) -> usize {
        let mut calls = self.calls.0.lock();
        calls.push(CallState::default());
        calls.len() - 1
    }

    fn change_call(
        &self,
        number: usize,
        change: impl FnOnce(&mut CallState) -> Option<&'static str>,
    ) {
        let wrong = change(&mut self.calls.0.lock()[number]);
        if let Some(wrong) = wrong {
            self.fault(format!("call {number} {wrong}"));
        }
    }

    /// Records that the handler of a call begins.
    pub(crate) fn handler_begins(&self, number: usize, is_virtual: bool) {
        self.change_call(number, |call| {
            call.is_virtual = is_virtual;
            call.begun += 1;
            match (call.begun, call.is_unstarted) {
                (1, false) => None,
                (1, true) => Some("was told that it had not started, and started all the same"),
                _ => Some("was started twice"),
            }
        });
    }

    /// Records that the future of a handler, or its stream, was dropped.
    pub(crate) fn handler_ends(&self, number: usize) {
        self.change_call(number, |call| {
            call.ended += 1;
            None
        });
    }

    /// Records what the caller is told. A caller is told once.
    pub(crate) fn call_ends(&self, number: usize, end: End) {
        self.change_call(number, |call| {
            if call.end.replace(end).is_some() {
                return Some("ended twice");
            }
            // Kept, because its handler may still begin, which is a fault then.
            call.is_unstarted = end == End::NotStarted;
            match end {
                End::NotStarted if call.begun > 0 => Some("was told that it had not started"),
                End::Over | End::Streams if call.begun == 0 => Some("was answered by no handler"),
                End::Over if call.ended == 0 => Some("had its end while its handler ran"),
                _ => None,
            }
        });
    }

    /// Records that a call is given up before it was made, so that it never starts.
    pub(crate) fn call_is_not_made(&self, number: usize) {
        self.change_call(number, |call| {
            call.is_unstarted = true;
            (call.begun > 0).then_some("was never made, and started all the same")
        });
    }

    /// Records that the caller has let go of a call, before its end or after it, and not in order to
    /// let it run.
    pub(crate) fn call_is_left(&self, number: usize) {
        self.change_call(number, |call| {
            call.is_left = true;
            None
        });
    }

    /// Records the deadline of a call.
    pub(crate) fn call_has_deadline(&self, number: usize, deadline: Instant) {
        self.change_call(number, |call| {
            call.deadline = Some(deadline);
            None
        });
    }

    /// Returns the calls on a virtual clock whose handlers run, though their callers have let go of
    /// them, or their deadlines have passed.
    pub(crate) fn unwanted(&self, now: Instant) -> Vec<usize> {
        let calls = self.calls.0.lock();
        let is_unwanted = |call: &CallState| {
            // Strictly before: at the very time of the deadline, the handler may not have been
            // stopped yet.
            let is_late = call.deadline.is_some_and(|deadline| deadline < now);
            let runs = call.begun > call.ended && call.is_virtual;
            runs && call.end != Some(End::Streams) && (call.is_left || is_late)
        };
        let all = calls.iter().enumerate();
        let unwanted = all.filter(|(_, call)| is_unwanted(call));
        unwanted.map(|(number, _)| number).collect()
    }

    /// Records that a reader has seen the end of a stream that its handler has given.
    pub(crate) fn stream_ends(&self, number: usize) {
        self.change_call(number, |call| {
            let runs_on = call.begun > call.ended;
            runs_on.then_some("had the end of its stream while its handler ran")
        });
    }

    /// Returns what is wrong with the calls at the end.
    pub(super) fn unfinished_calls(&self) -> Vec<String> {
        let calls = self.calls.0.lock();
        let wrong = calls
            .iter()
            .enumerate()
            .filter(|(_, call)| call.begun != call.ended);
        let text = |(number, _)| format!("the handler of call {number} was never dropped");
        wrong.map(text).collect()
    }
}

/// The counts of one endpoint, as its callers see it.
#[derive(Debug, Default)]
pub(crate) struct Books {
    counts: [AtomicU64; 8],
}

/// The kinds of calls that callers count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Told {
    /// Calls that were about to be submitted.
    Made,
    /// Those with a response.
    Answered,
    /// Those with an error of their handler.
    Failed,
    Panicked,
    /// Those whose worker died while they ran.
    Died,
    Shed,
    /// Those that were rejected otherwise.
    Rejected,
    /// Handlers that have begun.
    Begun,
}

impl Books {
    /// Counts one.
    pub(crate) fn count(&self, told: Told) {
        // Relaxed: the callers' own synchronization orders it before they look.
        self.counts[told as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Returns a count.
    pub(crate) fn get(&self, told: Told) -> u64 {
        self.counts[told as usize].load(Ordering::Relaxed)
    }
}
