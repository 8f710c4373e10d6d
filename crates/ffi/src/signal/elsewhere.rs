//! Stubs for operating systems without signals that interrupt a thread.

use crate::abi::status::{Failure, Outcome, Status, StatusCode};
use crate::abi::types::{PortHandle, SignalHandle};

pub(crate) fn open(_: PortHandle, _: i64) -> Result<SignalHandle, Failure> {
    let text = "this operating system has no signals that interrupt a thread";
    Err(Failure::new(Status::Unsupported, text))
}

pub(crate) fn raise(_: SignalHandle) -> StatusCode {
    Status::BadHandle.code()
}

pub(crate) fn close(_: SignalHandle) -> Outcome {
    Err(Status::BadHandle.into())
}

pub(crate) fn close_all() {}

pub(crate) fn live() -> u64 {
    0
}
