//! Ports of isolates whose messages are handled by a C function.
//!
//! A port's handle is its address for all senders: it is valid until the owning isolate closes the
//! port, or ends. The object holds a sender, so the port keeps its isolate alive, unless it is
//! weak. The port's listener owns the handle and the data of the callback, which are dropped with
//! it.

use std::ffi::c_void;
use std::sync::Arc;

use insula::control::UncaughtError;
use insula::port::Listener;
use insula::port::SendError;
use insula::{Isolate, IsolateId, ReceivePort, SendPort};
use insula_sync::Mutex;

use crate::abi::status::{Outcome, Status};
use crate::abi::types::{PortHandle, RawValue};
use crate::handle::{HandleGuard, table};
use crate::object::{self, Kind, Object};
use crate::raw::User;
use crate::value::Value;
use crate::value::view::deliver;
use crate::{callout, state};

/// A port of an isolate.
#[derive(Debug)]
pub(crate) struct PortObject {
    sender: SendPort<Value>,
    listener: Listener<Value>,
    owner: IsolateId,
    receiver: Arc<Receiver>,
    errors: Mutex<Option<Errors>>,
}

/// The port for errors that are handled by the same callback.
#[derive(Debug, Clone)]
struct Errors {
    sender: SendPort<UncaughtError>,
    listener: Listener<UncaughtError>,
}

#[derive(Debug)]
struct Receiver {
    port: PortHandle,
    function: extern "C" fn(*mut c_void, PortHandle, *const RawValue),
    user: User,
}

impl Receiver {
    fn receive(&self, message: Value) {
        callout::in_isolate(|| {
            deliver(message, |message| {
                (self.function)(self.user.data(), self.port, message);
            });
        });
    }
}

/// The settings with which a port is opened.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) function: extern "C" fn(*mut c_void, PortHandle, *const RawValue),
    pub(crate) limit: usize,
    pub(crate) is_weak: bool,
}

/// Opens a port of the current isolate.
pub(crate) fn open(opening: &Opening, user: User) -> Result<PortHandle, Status> {
    let isolate = Isolate::current().ok_or(Status::NoIsolate)?;
    // Before the port exists, since its callback is told the handle with the first message.
    let reserved = table().reserve(Kind::Port)?;
    let bits = reserved.bits();
    let port = if opening.limit == 0 {
        ReceivePort::new()
    } else {
        ReceivePort::bounded(opening.limit)
    };
    if opening.is_weak {
        port.let_isolate_end();
    }
    let sender = port.send_port();
    let receiver = Arc::new(Receiver {
        port: bits,
        function: opening.function,
        user,
    });
    let (entry, called) = (HandleGuard::new(bits), receiver.clone());
    let listener = port.listen(move |message| {
        // Moves the entry into the listener, so that the handle is removed with the listener.
        let _kept = &entry;
        called.receive(message);
    });
    let object = PortObject {
        sender,
        listener,
        owner: isolate.id(),
        receiver,
        errors: Mutex::new(None),
    };
    // No message is handled before this: messages are handled in turns, and this is in the middle
    // of one.
    Ok(reserved.fill(Object::Port(Arc::new(object))))
}

impl PortObject {
    fn require_owner(&self) -> Result<(), Status> {
        match Isolate::current() {
            None => Err(Status::NoIsolate),
            Some(isolate) if isolate.id() == self.owner => Ok(()),
            Some(_) => Err(Status::WrongIsolate),
        }
    }

    /// Returns the sender of its messages.
    pub(crate) fn sender(&self) -> &SendPort<Value> {
        &self.sender
    }

    /// Returns the sender of the errors that are to arrive at the port. Only for its own isolate.
    pub(crate) fn error_sender(&self) -> Result<SendPort<UncaughtError>, Status> {
        self.require_owner()?;
        if let Some(errors) = &*self.errors.lock() {
            return Ok(errors.sender.clone());
        }
        // Only this isolate gets here, so no other port for errors is opened meanwhile.
        let port = ReceivePort::new();
        // Whether the isolate stays alive is up to the port that C has opened, not to this one.
        port.let_isolate_end();
        let sender = port.send_port();
        let receiver = self.receiver.clone();
        let listener = port.listen(move |error| receiver.receive(error_value(&error)));
        let before = self.errors.lock().replace(Errors {
            sender: sender.clone(),
            listener,
        });
        drop(before);
        Ok(sender)
    }

    /// Returns the sender of errors, if there is one.
    pub(crate) fn known_error_sender(&self) -> Option<SendPort<UncaughtError>> {
        let errors = self.errors.lock();
        errors.as_ref().map(|errors| errors.sender.clone())
    }
}

/// Returns the message that a port receives for an error.
fn error_value(error: &UncaughtError) -> Value {
    let (text, place) = match &error.cause {
        insula::control::ErrorCause::Panicked(report) => (report.message(), report.location()),
        insula::control::ErrorCause::Failed(text) => (&**text, None),
        _ => ("unknown", None),
    };
    Value::Array(vec![
        Value::text(text),
        place.map_or(Value::Null, Value::text),
        Value::text(&error.name),
        Value::Bool(error.is_fatal),
    ])
}

/// Closes a port of the current isolate.
pub(crate) fn close(bits: PortHandle) -> Outcome {
    let port: Arc<PortObject> = object::find(bits)?;
    port.require_owner()?;
    drop(object::remove::<Arc<PortObject>>(bits)?);
    // Taken out of the lock: with the last listener the callback's data is freed, which is C's
    // code.
    let errors = port.errors.lock().take();
    if let Some(errors) = errors {
        errors.listener.close();
    }
    port.listener.close();
    Ok(())
}

/// Posts a message to a port of any type.
pub(crate) fn post(bits: PortHandle, message: Value) -> Outcome {
    let sent = match &table().find(bits)? {
        Object::Port(port) => port.sender.send(message),
        Object::NativePort(port) => port.post(message),
        _ => return Err(Status::WrongType.into()),
    };
    match sent {
        Ok(()) => {
            state::posted();
            Ok(())
        }
        // The message is dropped here, and its external data stays the caller's: the custody is
        // still open.
        Err(SendError::Closed(_message)) => Err(Status::Closed.into()),
        Err(SendError::Full(_message)) => Err(Status::Full.into()),
    }
}
