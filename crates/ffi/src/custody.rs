//! The custody of what a call of C hands over, and the one point at which it changes its owner.
//!
//! # Protocol
//! A function that takes something from C (external data, an address with a finalizer, `user` with
//! its `free_user`, the promise to call `done`) reads it under a [`Custody`]. The custody is *open*
//! until one of two things happens, and stays as it is from then on:
//! - It is *accepted*: the function returns `INSULA_OK`, or the thing has arrived, which means that
//!   a C function gets to see it. From then on the library owes the finalizer.
//! - It is *refused*: the function returns an error. Then the thing is still the caller's.
//!
//! On its way into the library a thing may be dropped anywhere: by a port that is closed, by a
//! panic that unwinds, on another thread by an isolate that was killed at once. A thing that is
//! dropped does not call its finalizer but [settles](Share::settle) it as a duty: if the custody is
//! accepted, the duty is fulfilled at once; if it is refused, the duty is waived; while it is open,
//! the duty is kept until the custody is decided. So no path through the library can free what a
//! failed call leaves with its caller, and nothing has to be disarmed on the way.
//!
//! The stage has a lock of its own, under which no other code runs.

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::ffi::c_void;
use std::sync::Arc;

use insula_sync::Mutex;

use crate::callout;
use crate::raw::Address;
use crate::service::{CallEnd, Progress, Told};

/// The custody of one call, on the stack of the exported function. It allocates nothing until the
/// call brings something that would have to be given back.
#[derive(Debug, Default)]
pub(crate) struct Custody(OnceCell<Share>);

/// A share of a custody, kept by each thing that was handed over.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<Mutex<Stage>>);

#[derive(Debug)]
enum Stage {
    /// Not decided; holds the duties of what was already dropped, in order.
    Open(Vec<Duty>),
    Accepted,
    Refused,
}

/// The library's obligation for a thing that it no longer needs.
#[derive(Debug)]
pub(crate) struct Duty {
    /// A C function and its arguments, if there is one to call.
    call: Option<Call>,
    /// Removes the thing from the counters of `state`.
    gone: fn(),
}

#[derive(Debug)]
enum Call {
    /// Calls a finalizer, or `free_user`.
    Free(extern "C" fn(*mut c_void), Address),
    /// Calls `done` to report that its call was cancelled.
    Tell(Told, Address, Progress),
}

impl Custody {
    /// Returns a share, for a thing that the call hands over.
    pub(crate) fn share(&self) -> Share {
        self.0
            .get_or_init(|| Share(Arc::new(Mutex::new(Stage::Open(Vec::new())))))
            .clone()
    }

    /// Accepts what was handed over: it belongs to the library.
    pub(crate) fn accept(&self) {
        if let Some(share) = self.0.get() {
            share.accept();
        }
    }
}

impl Drop for Custody {
    /// Refuses what was not accepted: it belongs to the caller.
    fn drop(&mut self) {
        if let Some(share) = self.0.get() {
            share.refuse();
        }
    }
}

impl Share {
    /// Accepts what was handed over: it has arrived, or the call has succeeded.
    pub(crate) fn accept(&self) {
        for duty in self.decide(Stage::Accepted) {
            duty.fulfill();
        }
    }

    fn refuse(&self) {
        for duty in self.decide(Stage::Refused) {
            duty.waive();
        }
    }

    /// Decides the custody if it is open. Returns the duties that waited for that.
    fn decide(&self, stage: Stage) -> Vec<Duty> {
        let mut place = self.0.lock();
        if !matches!(*place, Stage::Open(_)) {
            return Vec::new();
        }
        match std::mem::replace(&mut *place, stage) {
            Stage::Open(duties) => duties,
            Stage::Accepted | Stage::Refused => Vec::new(),
        }
    }

    /// Like [`settle`](Self::settle), for a thing that belongs to the library if it has no custody.
    pub(crate) fn settle_if(share: Option<&Self>, duty: Duty) {
        match share {
            Some(share) => share.settle(duty),
            None => duty.fulfill(),
        }
    }

    /// Settles the duty for a thing that is no longer needed.
    pub(crate) fn settle(&self, duty: Duty) {
        // The duty is fulfilled after the lock is released: it is a function of C.
        let is_accepted = match &mut *self.0.lock() {
            Stage::Open(duties) => {
                // Bounded by the number of things that the call brought.
                duties.push(duty);
                return;
            }
            Stage::Accepted => true,
            Stage::Refused => false,
        };
        if is_accepted {
            duty.fulfill();
        } else {
            duty.waive();
        }
    }
}

impl Duty {
    /// A duty to call `function` with `data`, if there is one; `gone` is called afterwards, also if
    /// the duty is waived.
    pub(crate) fn free(
        function: Option<extern "C" fn(*mut c_void)>,
        data: Address,
        gone: fn(),
    ) -> Self {
        let call = function.map(|function| Call::Free(function, data));
        Self { call, gone }
    }

    /// A duty to report to `function` that its call was cancelled at `progress`.
    pub(crate) fn tell(function: Told, data: Address, progress: Progress) -> Self {
        Self {
            call: Some(Call::Tell(function, data, progress)),
            gone: || {},
        }
    }

    pub(crate) fn fulfill(self) {
        match self.call {
            Some(Call::Free(function, data)) => callout::outside(|| function(data.0)),
            Some(Call::Tell(function, data, progress)) => {
                CallEnd::cancelled(&progress).show(function, data.0);
            }
            None => {}
        }
        // After the function: a shutdown that finds the count at zero promises that none runs.
        (self.gone)();
    }

    fn waive(self) {
        // Counted out all the same, or a shutdown would wait for data that is the caller's again.
        (self.gone)();
    }
}
