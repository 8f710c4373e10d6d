//! Native ports: messages for a C function that may block, on the port's own threads.

use std::ffi::c_void;

use insula::port::{NativePort, SendError};

use crate::abi::status::{Outcome, Status};
use crate::abi::types::{PortHandle, RawValue};
use crate::callout;
use crate::handle::table;
use crate::object::{self, Kind, Object};
use crate::raw::User;
use crate::value::Value;
use crate::value::view::deliver;

/// A native port. It closes with its handle.
#[derive(Clone, Debug)]
pub(crate) struct NativePortObject(NativePort<Value>);

impl NativePortObject {
    pub(crate) fn post(&self, message: Value) -> Result<(), SendError<Value>> {
        self.0.post(message)
    }
}

/// The settings with which a native port is opened.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) name: &'a str,
    pub(crate) function: extern "C" fn(*mut c_void, PortHandle, *const RawValue),
    pub(crate) max_concurrent: usize,
}

/// Opens a native port.
pub(crate) fn open(opening: &Opening<'_>, user: User) -> Result<PortHandle, Status> {
    let reserved = table().reserve(Kind::NativePort)?;
    let bits = reserved.bits();
    let function = opening.function;
    let handler = move |message: Value| {
        deliver(message, |message| {
            // Outside of isolates: the threads belong to the port.
            callout::outside(|| function(user.data(), bits, message));
        });
    };
    let port = NativePort::new(opening.name, handler, opening.max_concurrent);
    Ok(reserved.fill(Object::NativePort(NativePortObject(port))))
}

/// Closes a native port: messages that were posted before are still handled.
pub(crate) fn close(bits: PortHandle) -> Outcome {
    let port: NativePortObject = object::remove(bits)?;
    port.0.close();
    Ok(())
}
