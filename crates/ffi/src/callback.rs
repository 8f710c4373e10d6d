//! The four kinds of callbacks into an isolate.

use std::ffi::c_void;
use std::sync::Arc;
use std::time::Duration;

use insula::Isolate;
use insula::callback::{
    BlockingCallback, CallbackError, GroupBoundCallback, IsolateLocalCallback, ListenerCallback,
    NotOnIsolateThread,
};
use insula::isolate::GroupShared;
use insula::port::SendError;

use crate::abi::status::{Failure, Outcome, Status};
use crate::abi::types::{self, CallbackHandle, RawValue};
use crate::callout;
use crate::custody::Custody;
use crate::handle::table;
use crate::object::{self, Kind, Object};
use crate::raw::User;
use crate::replying::{Answer, answering};
use crate::value::Value;
use crate::value::view::deliver;

/// The function that a callback calls, and its data.
#[derive(Debug)]
pub(crate) struct Target {
    callback: CallbackHandle,
    function: extern "C" fn(*mut c_void, CallbackHandle, *const RawValue),
    user: User,
}

/// The target of a group-bound callback, which runs on several threads at once.
#[derive(Debug)]
pub(crate) struct Shared(Target);

impl GroupShared for Shared {}

impl Target {
    fn call(&self, arguments: Value) -> Answer {
        answering(|| {
            deliver(arguments, |arguments| {
                (self.function)(self.user.data(), self.callback, arguments);
            });
        })
    }

    fn call_in_isolate(&self, arguments: Value) -> Answer {
        callout::in_isolate(|| self.call(arguments))
    }
}

/// A callback.
#[derive(Clone, Debug)]
pub(crate) enum CallbackObject {
    Listener(ListenerCallback<Value>),
    Blocking(BlockingCallback<Value, Answer>),
    Local(IsolateLocalCallback<Value, Answer>),
    Group(GroupBoundCallback<Shared, Value, Answer>),
}

/// The settings with which a callback is opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) kind: u32,
    pub(crate) function: extern "C" fn(*mut c_void, CallbackHandle, *const RawValue),
    pub(crate) is_weak: bool,
}

/// Opens a callback of the current isolate.
pub(crate) fn open(opening: &Opening, user: User) -> Result<CallbackHandle, Failure> {
    if Isolate::current().is_none() {
        return Err(Status::NoIsolate.into());
    }
    if opening.kind > types::INSULA_CALLBACK_GROUP_BOUND {
        return Err(Status::BadValue.into());
    }
    let reserved = table().reserve(Kind::Callback)?;
    let target = Target {
        callback: reserved.bits(),
        function: opening.function,
        user,
    };
    let object = match opening.kind {
        types::INSULA_CALLBACK_LISTENER => {
            // The answer is dropped: the caller of a listener has gone on.
            let call = move |arguments| drop(target.call_in_isolate(arguments));
            CallbackObject::Listener(ListenerCallback::new(call))
        }
        types::INSULA_CALLBACK_BLOCKING => {
            let call = move |arguments| target.call_in_isolate(arguments);
            CallbackObject::Blocking(BlockingCallback::new(call))
        }
        types::INSULA_CALLBACK_ISOLATE_LOCAL => {
            let call = move |arguments| target.call_in_isolate(arguments);
            CallbackObject::Local(IsolateLocalCallback::new(call))
        }
        _ => {
            let call = |shared: &Shared, arguments| callout::outside(|| shared.0.call(arguments));
            CallbackObject::Group(GroupBoundCallback::new(Shared(target), call))
        }
    };
    // Before the handle is given out: until then no other thread can call it and rely on the
    // isolate.
    if opening.is_weak {
        object.let_isolate_end()?;
    }
    Ok(reserved.fill(Object::Callback(Arc::new(object))))
}

impl CallbackObject {
    /// Calls it, and returns the answer; that of a listener is the value null. Accepts `custody`
    /// once the arguments have been handed over.
    pub(crate) fn call(
        &self,
        arguments: Value,
        timeout: Option<Duration>,
        custody: &Custody,
    ) -> Result<Value, Failure> {
        let called = match self {
            Self::Listener(callback) => match callback.call(arguments) {
                Ok(()) => return Ok(Value::Null),
                Err(SendError::Closed(_)) => return Err(Status::Closed.into()),
                Err(SendError::Full(_)) => return Err(Status::Full.into()),
            },
            Self::Blocking(callback) => match timeout {
                Some(timeout) => callback.call_timeout(arguments, timeout),
                None => callback.call(arguments),
            },
            Self::Local(callback) => callback.call(arguments),
            Self::Group(callback) => callback.call(arguments),
        };
        // Every other result means that the arguments were handed over, whether or not there is an
        // answer.
        if !matches!(
            called,
            Err(CallbackError::Closed(Some(_)) | CallbackError::NotOnIsolateThread(_))
        ) {
            custody.accept();
        }
        match called {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(text)) => Err(Failure::new(Status::Failed, text)),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Closes it: calls that have not begun are dropped.
    pub(crate) fn close(&self) {
        match self {
            Self::Listener(callback) => callback.close(),
            Self::Blocking(callback) => callback.close(),
            Self::Local(callback) => callback.close(),
            Self::Group(callback) => callback.close(),
        };
    }

    /// Makes it keep its isolate alive. Only that isolate may do so.
    pub(crate) fn keep_isolate_alive(&self) -> Outcome {
        in_its_isolate(match self {
            Self::Listener(callback) => callback.keep_isolate_alive(),
            Self::Blocking(callback) => callback.keep_isolate_alive(),
            Self::Local(callback) => callback.keep_isolate_alive(),
            Self::Group(callback) => callback.keep_isolate_alive(),
        })
    }

    /// Lets its isolate end although it is open. Only that isolate may do so.
    pub(crate) fn let_isolate_end(&self) -> Outcome {
        in_its_isolate(match self {
            Self::Listener(callback) => callback.let_isolate_end(),
            Self::Blocking(callback) => callback.let_isolate_end(),
            Self::Local(callback) => callback.let_isolate_end(),
            Self::Group(callback) => callback.let_isolate_end(),
        })
    }
}

fn in_its_isolate(done: Result<(), NotOnIsolateThread>) -> Outcome {
    done.map_err(|NotOnIsolateThread| match Isolate::current() {
        None => Status::NoIsolate.into(),
        Some(_) => Status::WrongIsolate.into(),
    })
}

fn failure(error: &CallbackError<Value>) -> Failure {
    let text = error.to_string();
    let status = match error {
        CallbackError::Closed(Some(_)) => Status::Closed,
        CallbackError::NotOnIsolateThread(_) => Status::WrongIsolate,
        CallbackError::Closed(None) => Status::Cancelled,
        CallbackError::PeerDied => Status::PeerDied,
        CallbackError::NoReply | CallbackError::Panicked(_) => Status::Failed,
        CallbackError::Wait(error) => crate::mailbox::not_waited(error),
        _ => Status::Internal,
    };
    Failure::new(status, text)
}

/// Closes a callback and its handle.
pub(crate) fn close(bits: CallbackHandle) -> Outcome {
    object::remove::<Arc<CallbackObject>>(bits)?.close();
    Ok(())
}
