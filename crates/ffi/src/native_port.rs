//! Native ports: messages for a function of C that may block, on threads of their own.

use std::ffi::c_void;

use insula::{NativePort, SendError};

use crate::abi::status::{Outcome, Status};
use crate::abi::types::{PortHandle, RawValue};
use crate::callout;
use crate::handle::table;
use crate::object::{self, Kind, Object};
use crate::raw::User;
use crate::value::Value;
use crate::value::view::deliver;

/// A native port. It closes when its handle is closed.
#[derive(Clone, Debug)]
pub(crate) struct NativePortObject(NativePort<Value>);

impl NativePortObject {
    pub(crate) fn post(&self, message: Value) -> Result<(), SendError<Value>> {
        self.0.post(message)
    }
}

/// How a native port is to be opened.
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
            callout::outside(|| function(user.data(), bits, message));
        });
    };
    let port = NativePort::new(opening.name, handler, opening.max_concurrent);
    Ok(reserved.fill(Object::NativePort(NativePortObject(port))))
}

/// Closes a native port: what was posted before is still handled.
pub(crate) fn close(bits: PortHandle) -> Outcome {
    let port: NativePortObject = object::remove(bits)?;
    port.0.close();
    Ok(())
}
