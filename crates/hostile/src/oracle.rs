//! The rules for every program, and the ledger that checks them.

mod calls;
mod memory;
mod process;
#[cfg(test)]
mod tests;

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicU64, Ordering};

pub(crate) use calls::{Books, End, Told};
pub(crate) use memory::{Counted, Memory};
pub(crate) use process::Residents;

/// The ledger of one program.
#[derive(Default)]
pub(crate) struct Ledger {
    parcels: Mutex<Vec<ParcelState>>,
    isolates: Mutex<Vec<IsolateState>>,
    calls: calls::Calls,
    conditions: [Mutex<ConditionState>; 3],
    waits: Mutex<Vec<Option<String>>>,
    faults: Mutex<Vec<String>>,
    steps: AtomicU64,
}

/// The fate of a value.
#[derive(Clone, Copy, Default)]
struct ParcelState {
    accepted: bool,
    handled: bool,
    dropped: bool,
}

/// The number of times that an isolate's end was reported.
struct IsolateState {
    told: u32,
}

/// A condition variable's notifications, and the number of waiters that got one.
#[derive(Default)]
struct ConditionState {
    begun: u64,
    ended: u64,
    notified: u64,
    woken: u64,
}

impl Ledger {
    /// The most faults that are kept of one program.
    // One broken rule may show in hundreds of values, and the first ones say enough.
    const MOST: usize = 20;

    /// Records a fault.
    pub(crate) fn fault(&self, what: impl Into<String>) {
        let mut faults = self.faults.lock();
        if faults.len() < Self::MOST {
            faults.push(what.into());
        }
    }

    /// Returns the faults so far.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.faults.lock().clone()
    }

    /// Counts an operation.
    pub(crate) fn step(&self) -> u64 {
        // Relaxed: the number publishes nothing.
        self.steps.fetch_add(1, Ordering::Relaxed)
    }

    /// Returns the number of operations so far.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Records a new value, and returns its number.
    pub(crate) fn parcel(&self) -> usize {
        let mut parcels = self.parcels.lock();
        parcels.push(ParcelState::default());
        parcels.len() - 1
    }

    fn change(&self, number: usize, change: impl FnOnce(&mut ParcelState) -> Option<&'static str>) {
        let wrong = change(&mut self.parcels.lock()[number]);
        if let Some(wrong) = wrong {
            self.fault(format!("value {number} {wrong}"));
        }
    }

    /// Records that a send of the value was accepted. It may have been handled by now.
    pub(crate) fn accepted(&self, number: usize) {
        self.change(number, |parcel| {
            parcel.accepted = true;
            None
        });
    }

    /// Records that a send of the value was refused, and the value came back.
    pub(crate) fn refused(&self, number: usize) {
        self.change(number, |parcel| {
            let was_delivered = parcel.handled || parcel.dropped;
            was_delivered.then_some("was refused, and delivered all the same")
        });
    }

    /// Records that the value was handled.
    pub(crate) fn handled(&self, number: usize) {
        self.change(number, |parcel| {
            let again = std::mem::replace(&mut parcel.handled, true);
            (again || parcel.dropped).then_some("was handled twice, or after it was dropped")
        });
    }

    /// Records that the value was dropped.
    pub(crate) fn dropped(&self, number: usize) {
        self.change(number, |parcel| {
            let again = std::mem::replace(&mut parcel.dropped, true);
            again.then_some("was dropped twice")
        });
    }

    /// Records a new isolate, and returns its number.
    pub(crate) fn isolate(&self) -> usize {
        let mut isolates = self.isolates.lock();
        isolates.push(IsolateState { told: 0 });
        isolates.len() - 1
    }

    /// Records that the isolate's end was reported.
    pub(crate) fn told(&self, number: usize) {
        self.isolates.lock()[number].told += 1;
    }

    /// Records a wait, until the returned value is dropped.
    pub(crate) fn wait(&self, what: impl FnOnce() -> String) -> Wait<'_> {
        // Described before the lock is taken: the text may be that of a whole script.
        let what = Some(what());
        let mut waits = self.waits.lock();
        let number = match waits.iter().position(Option::is_none) {
            // Used again, since a program waits often, and seldom at several places at once.
            Some(free) => {
                waits[free] = what;
                free
            }
            None => {
                waits.push(what);
                waits.len() - 1
            }
        };
        Wait(self, number)
    }

    /// Records that a wait for a condition variable begins.
    pub(crate) fn condition_waits(&self, condition: usize) {
        self.conditions[condition].lock().begun += 1;
    }

    /// Records that it has ended. There are no spurious wake-ups: each wake-up needs a notification
    /// of its own.
    pub(crate) fn condition_waited(&self, condition: usize, was_notified: bool) {
        let mut state = self.conditions[condition].lock();
        state.ended += 1;
        state.woken += u64::from(was_notified);
    }

    /// Records that one notification is about to be sent.
    pub(crate) fn notifies(&self, condition: usize) {
        self.conditions[condition].lock().notified += 1;
    }

    /// Returns the number of waits that have ended, for a call before all are notified.
    pub(crate) fn waits_ended(&self, condition: usize) -> u64 {
        self.conditions[condition].lock().ended
    }

    /// Records that all waiters were notified, after `ended` waits had ended.
    pub(crate) fn notified_all(&self, condition: usize, ended: u64) {
        let mut state = self.conditions[condition].lock();
        // The most that it can be: a wait that has begun meanwhile may have come too late for it.
        state.notified += state.begun - ended;
    }

    /// Returns the time: the number of values made so far.
    pub(crate) fn now(&self) -> usize {
        self.parcels.lock().len()
    }

    /// Describes the unfinished waits, for a report of a hang.
    pub(crate) fn unfinished(&self) -> String {
        let waits = self.waits.lock();
        let waits: Vec<&str> = waits.iter().flatten().map(String::as_str).collect();
        format!("{} steps; waiting: {}", self.steps(), waits.join("; "))
    }

    /// Checks the ledger at the end, and returns the faults.
    pub(crate) fn close(&self) -> Vec<String> {
        let mut faults = self.faults();
        for (number, parcel) in self.parcels.lock().iter().enumerate() {
            if !parcel.dropped {
                let how = match (parcel.accepted, parcel.handled) {
                    (_, true) => "handled",
                    (true, false) => "sent",
                    (false, false) => "made",
                };
                faults.push(format!("value {number} was {how} and never dropped"));
            }
        }
        for (number, isolate) in self.isolates.lock().iter().enumerate() {
            if isolate.told != 1 {
                let told = isolate.told;
                faults.push(format!("the end of isolate {number} was told {told} times"));
            }
        }
        faults.extend(self.unfinished_calls());
        for wait in self.waits.lock().iter().flatten() {
            faults.push(format!("a wait has not ended: {wait}"));
        }
        for (number, condition) in self.conditions.iter().enumerate() {
            let ConditionState {
                notified, woken, ..
            } = *condition.lock();
            // The reverse is no fault: a notification for which no thread waits is lost.
            if woken > notified {
                faults.push(format!(
                    "condition variable {number} was notified {notified} times, and {woken} woke"
                ));
            }
        }
        faults.truncate(Self::MOST);
        faults
    }
}

/// A wait that has not ended.
pub(crate) struct Wait<'a>(&'a Ledger, usize);

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let what = self.0.waits.lock()[self.1].take();
        drop(what);
    }
}
