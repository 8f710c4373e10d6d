//! What a call of C hands over, and the one point at which it changes its owner.
//!
//! # Protocol
//! A function that takes something from C (external data, an address with a finalizer, `user`
//! with its `free_user`, the promise to call `done`) reads it under a [`Custody`]. The custody is
//! *open* until one of two things happens, and then stays as it is:
//! - It is *accepted*: the function returns `INSULA_OK`, or the thing has arrived, which is that a
//!   function of C gets to see it. From then on the library owes the finalizer.
//! - It is *refused*: the function returns an error. Then the thing is the caller's still.
//!
//! On its way into the library a thing may be dropped at any place: by a port that is closed, by
//! a panic that unwinds, on another thread by an isolate that was killed at once. A thing that is
//! dropped does not call its finalizer but [settles](Share::settle) it as a duty: if the custody
//! is accepted the duty is fulfilled at once, if it is refused the duty is waived, and while it is
//! open the duty is kept until that is decided. So no path through the library can free what a
//! failed call leaves with its caller, and nothing has to be disarmed on the way.
//!
//! The stage is behind a lock of its own, under which nothing runs.

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::ffi::c_void;
use std::sync::Arc;

use insula_sync::Mutex;

use crate::callout;
use crate::raw::Address;
use crate::service::{End, Progress, Told};

/// The custody of one call, on the stack of the exported function. Nothing is allocated before
/// the call brings something that has to be given back.
#[derive(Debug, Default)]
pub(crate) struct Custody(OnceCell<Share>);

/// The custody as it goes along with each thing that was handed over.
#[derive(Clone, Debug)]
pub(crate) struct Share(Arc<Mutex<Stage>>);

#[derive(Debug)]
enum Stage {
    /// Not decided; with the duties of what was dropped already, in their order.
    Open(Vec<Duty>),
    Accepted,
    Refused,
}

/// What the library owes for a thing that it does not need any more.
#[derive(Debug)]
pub(crate) struct Duty {
    /// A function of C, and what it gets; maybe none.
    call: Option<Call>,
    /// Takes the thing out of the books.
    gone: fn(),
}

#[derive(Debug)]
enum Call {
    /// A finalizer, or `free_user`.
    Free(extern "C" fn(*mut c_void), Address),
    /// `done`, which has to be told that its call was cancelled.
    Tell(Told, Address, Progress),
}

impl Custody {
    /// To be kept by a thing that the call hands over.
    pub(crate) fn share(&self) -> Share {
        self.0
            .get_or_init(|| Share(Arc::new(Mutex::new(Stage::Open(Vec::new())))))
            .clone()
    }

    /// What was handed over is the library's.
    pub(crate) fn accept(&self) {
        if let Some(share) = self.0.get() {
            share.accept();
        }
    }
}

impl Drop for Custody {
    /// What was not accepted is the caller's.
    fn drop(&mut self) {
        if let Some(share) = self.0.get() {
            share.refuse();
        }
    }
}

impl Share {
    /// What was handed over is the library's; it has arrived, or the call has succeeded.
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

    /// Decides if that is still open. Returns the duties that waited for it.
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

    /// As [`settle`](Self::settle), where what has no custody is the library's.
    pub(crate) fn settle_if(share: Option<&Self>, duty: Duty) {
        match share {
            Some(share) => share.settle(duty),
            None => duty.fulfill(),
        }
    }

    /// The thing is not needed any more.
    pub(crate) fn settle(&self, duty: Duty) {
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
    /// To call `function` with `data`, if there is one; `gone` comes afterwards, also if the
    /// duty is waived.
    pub(crate) fn free(
        function: Option<extern "C" fn(*mut c_void)>,
        data: Address,
        gone: fn(),
    ) -> Self {
        let call = function.map(|function| Call::Free(function, data));
        Self { call, gone }
    }

    /// To tell `function` that its call was cancelled when it was so far.
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
                End::cancelled(&progress).show(function, data.0);
            }
            None => {}
        }
        (self.gone)();
    }

    fn waive(self) {
        (self.gone)();
    }
}
