//! Blocking waits for bytes: mailboxes, rendezvous, locks and condition variables.

use std::sync::Arc;
use std::time::Duration;

use insula::Mailbox;
use insula::sync::{
    ConditionVariable, LockError, MailboxError, RawMutex, RendezvousState, Requester, Responder,
    WaitError,
};
use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::abi::status::{Failure, Outcome, Status};
use crate::abi::types::{self, RequestFn, ResponderHandle};
use crate::callout;
use crate::raw::Address;
use crate::value::TypedData;

/// One party of a mailbox.
///
/// A waiting thread keeps its party alive, so it would wait forever once the last handle is
/// released: no handle is left to put or to take with. So releasing the last handle closes the
/// mailbox.
#[derive(Clone, Debug)]
pub(crate) struct MailboxObject {
    pub(crate) mailbox: Arc<Mailbox<TypedData>>,
    /// The number of handles of the mailbox.
    handles: Arc<AtomicUsize>,
}

impl MailboxObject {
    pub(crate) fn new() -> Self {
        Self {
            mailbox: Arc::new(Mailbox::new()),
            handles: Arc::new(AtomicUsize::new(1)),
        }
    }

    /// Returns another party, for a handle of its own.
    pub(crate) fn share(&self) -> Self {
        // Relaxed: the caller holds a handle, so the count does not reach zero meanwhile.
        self.handles.fetch_add(1, Ordering::Relaxed);
        Self {
            mailbox: Arc::new(Mailbox::clone(&self.mailbox)),
            handles: self.handles.clone(),
        }
    }

    /// Notes that a handle of this mailbox was released.
    pub(crate) fn released(&self) {
        // AcqRel; pairs with itself: the release of the last handle comes after all uses of the
        // others.
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.mailbox.close();
        }
    }
}

/// The requesting side of a rendezvous.
pub(crate) type RequesterObject = Arc<Requester<TypedData, TypedData>>;

/// The responding side of a rendezvous.
#[derive(Debug, Clone)]
pub(crate) struct ResponderObject(Arc<Responder<TypedData, TypedData>>);

/// A lock.
pub(crate) type MutexObject = RawMutex;

/// A condition variable.
pub(crate) type ConditionObject = Arc<ConditionVariable>;

impl From<MailboxError> for Failure {
    fn from(error: MailboxError) -> Self {
        let status = match &error {
            MailboxError::Closed => Status::Closed,
            MailboxError::PeerDied => Status::PeerDied,
            MailboxError::Full => Status::Full,
            MailboxError::Empty => Status::Empty,
            MailboxError::IllegalState => Status::BadState,
            MailboxError::Unanswered => Status::Failed,
            MailboxError::Abandoned => Status::Cancelled,
            MailboxError::Wait(error) => not_waited(error),
            _ => Status::Internal,
        };
        Self::new(status, error.to_string())
    }
}

impl From<WaitError> for Failure {
    fn from(error: WaitError) -> Self {
        Self::new(not_waited(&error), error.to_string())
    }
}

/// Returns the status for a wait that ended early.
pub(crate) fn not_waited(error: &WaitError) -> Status {
    match error {
        WaitError::TimedOut => Status::TimedOut,
        WaitError::Deadlock(_) => Status::Deadlock,
        WaitError::Ending => Status::Ending,
        WaitError::NoThreads => Status::OutOfResources,
        _ => Status::Internal,
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Wait(error) => error.into(),
            LockError::Closed => Self::new(Status::Closed, error.to_string()),
            LockError::HolderEnded => Self::new(Status::PeerDied, error.to_string()),
            _ => Self::new(Status::Internal, error.to_string()),
        }
    }
}

/// Puts bytes into a mailbox; a zero time-out only tries.
pub(crate) fn put(
    mailbox: &Mailbox<TypedData>,
    bytes: TypedData,
    timeout: Option<Duration>,
) -> Outcome {
    let put = match timeout {
        None => mailbox.put(bytes),
        // An attempt registers no wait, so it is refused by no search for deadlocks.
        Some(Duration::ZERO) => mailbox.try_put(bytes),
        Some(timeout) => mailbox.put_timeout(bytes, timeout),
    };
    put.map_err(|undelivered| undelivered.error.into())
}

/// Takes bytes out of a mailbox; a zero time-out only tries.
pub(crate) fn take(
    mailbox: &Mailbox<TypedData>,
    timeout: Option<Duration>,
) -> Result<TypedData, Failure> {
    Ok(match timeout {
        None => mailbox.take(),
        Some(Duration::ZERO) => mailbox.try_take(),
        Some(timeout) => mailbox.take_timeout(timeout),
    }?)
}

/// Creates the two sides of a rendezvous.
pub(crate) fn rendezvous() -> (RequesterObject, ResponderObject) {
    let (requester, responder) = insula::sync::rendezvous();
    (Arc::new(requester), ResponderObject(Arc::new(responder)))
}

/// Sends a request, and waits for the response.
pub(crate) fn request(
    requester: &RequesterObject,
    bytes: TypedData,
    timeout: Option<Duration>,
) -> Result<TypedData, Failure> {
    let answer = match timeout {
        None => requester.request(bytes),
        Some(timeout) => requester.request_timeout(bytes, timeout),
    };
    answer.map_err(|error| error.error.into())
}

/// Returns the number of a state.
pub(crate) fn state(state: RendezvousState) -> u32 {
    match state {
        RendezvousState::None => types::INSULA_RENDEZVOUS_NONE,
        RendezvousState::Request => types::INSULA_RENDEZVOUS_REQUEST,
        RendezvousState::Response => types::INSULA_RENDEZVOUS_RESPONSE,
    }
}

impl ResponderObject {
    pub(crate) fn side(&self) -> &Responder<TypedData, TypedData> {
        &self.0
    }

    /// Waits for a request; a zero time-out only tries.
    pub(crate) fn receive(&self, timeout: Option<Duration>) -> Result<TypedData, Failure> {
        Ok(match timeout {
            None => self.0.receive(),
            Some(Duration::ZERO) => self.0.try_receive(),
            Some(timeout) => self.0.receive_timeout(timeout),
        }?)
    }

    pub(crate) fn respond(&self, bytes: TypedData) -> Outcome {
        let responded = self.0.respond(bytes);
        responded.map_err(|undelivered| undelivered.error.into())
    }

    /// Handles requests until it is stopped.
    pub(crate) fn message_loop(
        &self,
        bits: ResponderHandle,
        function: RequestFn,
        user: Address,
    ) -> Outcome {
        let function = function.ok_or(Status::NullPointer)?;
        while let Some(request) = self.0.receive_unless_stopped()? {
            callout::outside(|| {
                function(user.0, bits, request.as_ptr().cast(), request.len() as u64);
            });
            // Fails if the function has answered, which is fine.
            let _ = self.0.decline();
        }
        Ok(())
    }

    /// Ends the message loop after the request that it handles, or at once if it waits.
    pub(crate) fn stop(&self) {
        self.0.stop();
    }
}

/// Acquires a lock; a zero time-out only tries.
pub(crate) fn lock(mutex: &RawMutex, timeout: Option<Duration>) -> Outcome {
    Ok(match timeout {
        None => mutex.lock(),
        // `try_lock` only says no. The reasons below are looked up afterwards, and may have changed
        // since.
        Some(Duration::ZERO) if mutex.try_lock() => Ok(()),
        Some(Duration::ZERO) if mutex.is_closed() => Err(LockError::Closed),
        Some(Duration::ZERO) if mutex.is_abandoned() => Err(LockError::HolderEnded),
        Some(Duration::ZERO) => Err(LockError::Wait(WaitError::TimedOut)),
        Some(timeout) => mutex.lock_timeout(timeout),
    }?)
}

/// Waits for a condition variable with a lock that the caller holds.
pub(crate) fn wait(
    condition: &ConditionVariable,
    mutex: &RawMutex,
    timeout: Option<Duration>,
) -> Outcome {
    if condition.wait_raw(mutex, timeout)? {
        Ok(())
    } else {
        Err(Status::BadState.into())
    }
}
