//! Calls at the end of an isolate or of a thread outside of isolates.
//!
//! What a party holds may outlive it: a lock that was never released, an end of a mailbox in a
//! static or in foreign code. A call that is registered with the party informs the waiters when the
//! party ends. It is cancelled when it is not wanted any more, so that nothing of it stays.
//!
//! The end of a thread is the destruction of its thread-local storage, for which `std` specifies no
//! order: destructors of other values there may run after the calls. What a thread does then still
//! counts (a lock that it releases is free again), but its end is not announced a second time.

use std::collections::BTreeMap;
use std::sync::Arc;

use insula_sync::Mutex;

use crate::isolate::ExitCall;
use crate::memory::IsolateCore;
use crate::panic;

/// The party has ended already.
#[derive(Debug)]
pub(crate) struct Ended;

type Function = Box<dyn FnOnce() + Send>;

/// A call that is made when a party ends, unless it is [cancelled](Self::cancel) before. Dropping
/// this does not cancel it.
pub(crate) struct EndCall(Kind);

enum Kind {
    Isolate(ExitCall),
    Thread(ThreadLife, u64),
    Never,
}

impl EndCall {
    pub(super) fn of_isolate(
        isolate: &IsolateCore,
        function: impl FnOnce() + Send + 'static,
    ) -> Result<Self, Ended> {
        let call = ExitCall::new(isolate, function).ok_or(Ended)?;
        Ok(Self(Kind::Isolate(call)))
    }

    /// Returns a call that is never made, for a party whose end is not announced.
    pub(super) fn never() -> Self {
        Self(Kind::Never)
    }

    /// Cancels the call. Does nothing once it was made.
    pub(crate) fn cancel(self) {
        match self.0 {
            Kind::Isolate(call) => call.cancel(),
            Kind::Thread(life, ticket) => {
                // In two statements, so that the function is dropped after the lock is released.
                let call = life.0.lock().calls.remove(&ticket);
                drop(call);
            }
            Kind::Never => {}
        }
    }
}

/// The calls at the end of a thread outside of isolates.
#[derive(Clone)]
pub(crate) struct ThreadLife(Arc<Mutex<Calls>>);

#[derive(Default)]
struct Calls {
    has_ended: bool,
    next: u64,
    calls: BTreeMap<u64, Function>,
}

insula_sync::thread_value! {
    static OWN: OwnLife = OwnLife(ThreadLife(Arc::default()));
}

/// A thread's own [`ThreadLife`], dropped when the thread ends.
struct OwnLife(ThreadLife);

impl ThreadLife {
    /// Returns the life of this thread, or `None` once its storage was destroyed.
    pub(super) fn current() -> Option<Self> {
        OWN.try_with(|own| own.0.clone()).ok()
    }

    pub(super) fn when_ended(
        &self,
        function: impl FnOnce() + Send + 'static,
    ) -> Result<EndCall, Ended> {
        let function: Function = Box::new(function);
        let mut calls = self.0.lock();
        // The lock is released before the function is dropped, which is code of another party.
        if calls.has_ended {
            drop(calls);
            return Err(Ended);
        }
        calls.next += 1;
        let ticket = calls.next;
        calls.calls.insert(ticket, function);
        drop(calls);
        Ok(EndCall(Kind::Thread(self.clone(), ticket)))
    }
}

impl Drop for OwnLife {
    fn drop(&mut self) {
        let mut calls = self.0.0.lock();
        calls.has_ended = true;
        let all = std::mem::take(&mut calls.calls);
        // The calls take other locks, and may register and cancel calls here.
        drop(calls);
        for call in all.into_values() {
            panic::contain(call);
        }
    }
}
