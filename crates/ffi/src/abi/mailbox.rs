//! Waits for another thread or isolate: mailboxes, rendezvous, locks, condition variables.

use std::ffi::c_void;
use std::sync::Arc;

use insula::sync::{ConditionVariable, RawMutex};

use super::status::{Failure, Outcome, Status, StatusCode};
use super::timeout;
use super::types::{
    Buffer, BufferHandle, ConditionHandle, INSULA_ELEMENT_BYTES, MailboxHandle, MutexHandle,
    RequestFn, RequesterHandle, ResponderHandle,
};
use crate::buffer::{self, BufferObject};
use crate::guard::guard;
use crate::mailbox::{self, MailboxObject, RequesterObject, ResponderObject};
use crate::object::{Kind, Object};
use crate::raw::{self, Address, Out};
use crate::value::TypedData;
use crate::{handle, object};

/// # Safety
/// The pointer is valid as the top of `insula.h` requires.
unsafe fn bytes(bytes: *const u8, length: u64) -> Result<TypedData, Status> {
    // SAFETY: promised by the caller.
    let bytes = unsafe { raw::slice(bytes, length) }?;
    TypedData::try_new(INSULA_ELEMENT_BYTES, bytes)
}

/// Frees the bytes of a buffer.
#[unsafe(no_mangle)]
pub extern "C" fn insula_buffer_free(buffer: BufferHandle) -> StatusCode {
    guard(|| {
        drop(object::remove::<BufferObject>(buffer)?);
        Ok(())
    })
}

/// Creates a mailbox: a slot for one message of bytes. Release it with `insula_mailbox_release`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_mailbox_new(mailbox: *mut MailboxHandle) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(mailbox) }?;
        let object = Object::Mailbox(MailboxObject::new());
        out.set(handle::table().insert(object)?);
        Ok(())
    })
}

/// Returns a handle to the same mailbox for another party, to be released as well. When all handles
/// but one are released, the waits of the last party end with `PEER_DIED`. Releasing the last
/// handle closes the mailbox.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_mailbox_share(
    mailbox: MailboxHandle,
    other: *mut MailboxHandle,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(other) }?;
        let mailbox: MailboxObject = object::find(mailbox)?;
        // Before `share` counts the new party: if this failed after it, no release would count it
        // out.
        let reserved = handle::table().reserve(Kind::Mailbox)?;
        out.set(reserved.fill(Object::Mailbox(mailbox.share())));
        Ok(())
    })
}

/// Puts a copy of bytes into a mailbox, as soon as the mailbox is empty. With a `timeout_ns` of 0
/// it only tries.
///
/// Errors: `FULL` (of a try), `TIMED_OUT`, `CLOSED`, `PEER_DIED`, `DEADLOCK`, `ENDING`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_mailbox_put(
    mailbox: MailboxHandle,
    message: *const u8,
    length: u64,
    timeout_ns: u64,
) -> StatusCode {
    guard(|| {
        let mailbox: MailboxObject = object::find(mailbox)?;
        // SAFETY: promised by the caller.
        let message = unsafe { bytes(message, length) }?;
        mailbox::put(&mailbox.mailbox, message, timeout(timeout_ns))
    })
}

/// Takes bytes out of a mailbox, as soon as there are any. With a `timeout_ns` of 0 it only tries.
/// Free the buffer with `insula_buffer_free`.
///
/// Errors: `EMPTY` (of a try), `TIMED_OUT`, `CLOSED`, `PEER_DIED`, `DEADLOCK`, `ENDING`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_mailbox_take(
    mailbox: MailboxHandle,
    timeout_ns: u64,
    message: *mut Buffer,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(message) }?;
        let mailbox: MailboxObject = object::find(mailbox)?;
        // Before the wait: once bytes have been taken, a failure would lose them.
        let reserved = buffer::reserve()?;
        let taken = mailbox::take(&mailbox.mailbox, timeout(timeout_ns))?;
        out.set(buffer::keep(reserved, taken)?);
        Ok(())
    })
}

/// Makes the current isolate the owner of this handle: if the isolate ends, waits for its party end
/// with `PEER_DIED`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_mailbox_attach(mailbox: MailboxHandle) -> StatusCode {
    guard(|| {
        require_isolate()?;
        object::find::<MailboxObject>(mailbox)?.mailbox.attach();
        Ok(())
    })
}

fn require_isolate() -> Outcome {
    match insula::Isolate::current() {
        Some(_) => Ok(()),
        None => Err(Status::NoIsolate.into()),
    }
}

/// Closes a mailbox for all parties: its content is dropped, and waits end with `CLOSED`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_mailbox_close(mailbox: MailboxHandle) -> StatusCode {
    guard(|| {
        object::find::<MailboxObject>(mailbox)?.mailbox.close();
        Ok(())
    })
}

/// Releases a handle to a mailbox. Releasing the last one closes the mailbox: waits end with
/// `CLOSED`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_mailbox_release(mailbox: MailboxHandle) -> StatusCode {
    guard(|| {
        object::remove::<MailboxObject>(mailbox)?.released();
        Ok(())
    })
}

/// Creates the two sides of a rendezvous: the requester asks and waits, the responder answers.
/// Release both with `insula_rendezvous_release`. A side gets `PEER_DIED` once the opposite side is
/// released, or the isolate that it is attached to has ended.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_rendezvous_new(
    requester: *mut RequesterHandle,
    responder: *mut ResponderHandle,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let first = unsafe { Out::new(requester) }?;
        // SAFETY: promised by the caller.
        let second = unsafe { Out::new(responder) }?;
        let (asks, answers) = mailbox::rendezvous();
        let asks = handle::table().insert(Object::Requester(asks))?;
        match handle::table().insert(Object::Responder(answers)) {
            Ok(answers) => {
                // Only now, when both exist: a failure must leave C without a handle.
                first.set(asks);
                second.set(answers);
                Ok(())
            }
            Err(status) => {
                drop(handle::table().remove(asks));
                Err(status.into())
            }
        }
    })
}

/// Sends a copy of bytes as a request, and waits for the response. Free the buffer with
/// `insula_buffer_free`.
///
/// Errors: `BAD_STATE` if a request is under way; `TIMED_OUT`; `CLOSED`; `PEER_DIED`; `FAILED` if
/// the request was declined; `DEADLOCK`; `ENDING`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_requester_request(
    requester: RequesterHandle,
    request: *const u8,
    length: u64,
    timeout_ns: u64,
    answer: *mut Buffer,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(answer) }?;
        let requester: RequesterObject = object::find(requester)?;
        // SAFETY: promised by the caller.
        let request = unsafe { bytes(request, length) }?;
        let reserved = buffer::reserve()?;
        let answer = mailbox::request(&requester, request, timeout(timeout_ns))?;
        out.set(buffer::keep(reserved, answer)?);
        Ok(())
    })
}

/// Waits for a request, which has to be answered or declined. With a `timeout_ns` of 0 it only
/// tries. Free the buffer with `insula_buffer_free`.
///
/// Errors: `BAD_STATE` if a request has not been answered; `EMPTY` (of a try), `TIMED_OUT`,
/// `CLOSED`, `PEER_DIED`, `DEADLOCK`, `ENDING`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_responder_receive(
    responder: ResponderHandle,
    timeout_ns: u64,
    request: *mut Buffer,
) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(request) }?;
        let responder: ResponderObject = object::find(responder)?;
        let reserved = buffer::reserve()?;
        let request = responder.receive(timeout(timeout_ns))?;
        out.set(buffer::keep(reserved, request)?);
        Ok(())
    })
}

/// Answers the request with a copy of bytes.
///
/// Errors: `BAD_STATE` if there is no request; `CANCELLED` if the requester no longer waits;
/// `CLOSED`, `PEER_DIED`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_responder_respond(
    responder: ResponderHandle,
    response: *const u8,
    length: u64,
) -> StatusCode {
    guard(|| {
        let responder: ResponderObject = object::find(responder)?;
        // SAFETY: promised by the caller.
        responder.respond(unsafe { bytes(response, length) }?)
    })
}

/// Declines the request: the requester gets `FAILED`.
///
/// Errors: `BAD_STATE` if there is no request.
#[unsafe(no_mangle)]
pub extern "C" fn insula_responder_decline(responder: ResponderHandle) -> StatusCode {
    guard(|| {
        let responder: ResponderObject = object::find(responder)?;
        Ok(responder.side().decline()?)
    })
}

/// Waits for requests, and calls `function` for each, which answers it with
/// `insula_responder_respond`, until `insula_responder_stop`. A request that it does not answer is
/// declined.
///
/// Errors: those of `insula_responder_receive`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_responder_message_loop(
    responder: ResponderHandle,
    function: RequestFn,
    user: *mut c_void,
) -> StatusCode {
    guard(|| {
        let side: ResponderObject = object::find(responder)?;
        side.message_loop(responder, function, Address(user))
    })
}

/// Ends the message loop after its current request, or at once if it waits. If no loop runs, the
/// next one ends at once.
#[unsafe(no_mangle)]
pub extern "C" fn insula_responder_stop(responder: ResponderHandle) -> StatusCode {
    guard(|| {
        object::find::<ResponderObject>(responder)?.stop();
        Ok(())
    })
}

/// Writes the state of a rendezvous to `state`, one of `INSULA_RENDEZVOUS_`... `side` is either
/// side.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_rendezvous_state(side: u64, state: *mut u32) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(state) }?;
        let state = match handle::table().find(side)? {
            Object::Requester(requester) => requester.state(),
            Object::Responder(responder) => responder.side().state(),
            _ => return Err(Status::WrongType.into()),
        };
        out.set(mailbox::state(state));
        Ok(())
    })
}

/// Makes the current isolate the owner of this side: if the isolate ends, the opposite side gets
/// `PEER_DIED`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_rendezvous_attach(side: u64) -> StatusCode {
    guard(|| {
        require_isolate()?;
        match handle::table().find(side)? {
            Object::Requester(requester) => requester.attach(),
            Object::Responder(responder) => responder.side().attach(),
            _ => return Err(Status::WrongType.into()),
        }
        Ok(())
    })
}

/// Closes a rendezvous for both sides: waits end with `CLOSED`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_rendezvous_close(side: u64) -> StatusCode {
    guard(|| {
        match handle::table().find(side)? {
            Object::Requester(requester) => requester.close(),
            Object::Responder(responder) => responder.side().close(),
            _ => return Err(Status::WrongType.into()),
        }
        Ok(())
    })
}

/// Releases the handle of a side.
#[unsafe(no_mangle)]
pub extern "C" fn insula_rendezvous_release(side: u64) -> StatusCode {
    guard(|| match handle::table().find(side)? {
        Object::Requester(_) | Object::Responder(_) => {
            drop(handle::table().remove(side)?);
            Ok(())
        }
        _ => Err(Status::WrongType.into()),
    })
}

/// Creates a lock, which is not recursive. Release it with `insula_mutex_release`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_mutex_new(mutex: *mut MutexHandle) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(mutex) }?;
        out.set(handle::table().insert(Object::Mutex(RawMutex::new()))?);
        Ok(())
    })
}

/// Acquires a lock. With a `timeout_ns` of 0 it only tries.
///
/// Errors: `TIMED_OUT`; `DEADLOCK` if this thread holds the lock already, or isolates would wait
/// for each other in a cycle; `ENDING`; `CLOSED` if its handle is released or the runtime is shut
/// down meanwhile; `PEER_DIED` if the isolate or thread that held the lock ended without unlocking
/// it, from then on until `insula_mutex_recover`. The lock is not held after any of them.
#[unsafe(no_mangle)]
pub extern "C" fn insula_mutex_lock(mutex: MutexHandle, timeout_ns: u64) -> StatusCode {
    guard(|| {
        let mutex: RawMutex = object::find(mutex)?;
        mailbox::lock(&mutex, timeout(timeout_ns))
    })
}

/// Unlocks a lock.
///
/// Errors: `BAD_STATE` if the caller does not hold it.
#[unsafe(no_mangle)]
pub extern "C" fn insula_mutex_unlock(mutex: MutexHandle) -> StatusCode {
    guard(|| {
        let mutex: RawMutex = object::find(mutex)?;
        mutex.unlock().map_err(|_| Status::BadState.into())
    })
}

/// Makes a lock usable again that returned `PEER_DIED`: nothing holds it. The data that it
/// protects may be inconsistent; repair it first, because others can acquire the lock when this
/// returns.
///
/// Errors: `BAD_STATE` if there is nothing to recover: the lock is free, held, closed, or has been
/// recovered. Of several callers one succeeds.
#[unsafe(no_mangle)]
pub extern "C" fn insula_mutex_recover(mutex: MutexHandle) -> StatusCode {
    guard(|| {
        let mutex: RawMutex = object::find(mutex)?;
        if !mutex.recover() {
            let text = "the holder of the lock has not been found to have ended";
            return Err(Failure::new(Status::BadState, text));
        }
        Ok(())
    })
}

/// Releases the handle of a lock. Waits for the lock end with `CLOSED`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_mutex_release(mutex: MutexHandle) -> StatusCode {
    guard(|| {
        // Closed, since no handle is left with which its holder could unlock it for those that
        // wait.
        object::remove::<RawMutex>(mutex)?.close();
        Ok(())
    })
}

/// Creates a condition variable. Release it with `insula_condition_release`.
///
/// # Safety
/// The pointers are valid as the top of `insula.h` requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn insula_condition_new(condition: *mut ConditionHandle) -> StatusCode {
    guard(|| {
        // SAFETY: promised by the caller.
        let out = unsafe { Out::new(condition) }?;
        let object = Object::Condition(Arc::new(ConditionVariable::new()));
        out.set(handle::table().insert(object)?);
        Ok(())
    })
}

/// Unlocks a lock, waits for a notification, and acquires the lock again. Wake-ups may be spurious,
/// so check the condition.
///
/// Errors: `TIMED_OUT`, `DEADLOCK`, `ENDING`; the lock is held after the first of these. `CLOSED`
/// if the handle of the lock or the condition variable is released or the runtime is shut down
/// meanwhile, `PEER_DIED` as for `insula_mutex_lock`: the lock is not held then. `BAD_STATE` if the
/// caller does not hold the lock.
#[unsafe(no_mangle)]
pub extern "C" fn insula_condition_wait(
    condition: ConditionHandle,
    mutex: MutexHandle,
    timeout_ns: u64,
) -> StatusCode {
    guard(|| {
        let condition: Arc<ConditionVariable> = object::find(condition)?;
        let mutex: RawMutex = object::find(mutex)?;
        mailbox::wait(&condition, &mutex, timeout(timeout_ns))
    })
}

/// Wakes one waiter, or all of them if `all` is 1 and not 0.
#[unsafe(no_mangle)]
pub extern "C" fn insula_condition_notify(condition: ConditionHandle, all: u32) -> StatusCode {
    guard(|| {
        let condition: Arc<ConditionVariable> = object::find(condition)?;
        match all {
            0 => condition.notify_one(),
            1 => condition.notify_all(),
            _ => return Err(Status::BadValue.into()),
        }
        Ok(())
    })
}

/// Releases the handle of a condition variable. Waits for it end with `CLOSED`.
#[unsafe(no_mangle)]
pub extern "C" fn insula_condition_release(condition: ConditionHandle) -> StatusCode {
    guard(|| {
        // Closed, since no handle is left with which its waiters could be notified.
        object::remove::<Arc<ConditionVariable>>(condition)?.close();
        Ok(())
    })
}
