//! Conversion of owned values to views for C. A view is valid as long as the value and its
//! [`Arena`].

use std::ffi::c_void;

use super::Value;
use crate::abi::types::{self, RawValue};
use crate::callout;

/// The memory of a view's arrays.
#[derive(Debug, Default)]
pub(crate) struct Arena(Vec<Box<[RawValue]>>);

impl Arena {
    pub(crate) fn view(&mut self, value: &Value) -> RawValue {
        match value {
            Value::Null => RawValue::default(),
            Value::Bool(truth) => integer(types::INSULA_KIND_BOOL, i64::from(*truth)),
            Value::Int32(number) => integer(types::INSULA_KIND_INT32, i64::from(*number)),
            Value::Int64(number) => integer(types::INSULA_KIND_INT64, *number),
            Value::Double(number) => RawValue {
                kind: types::INSULA_KIND_DOUBLE,
                real: *number,
                ..RawValue::default()
            },
            Value::String(text) => {
                let text = text.as_str();
                data(
                    types::INSULA_KIND_STRING,
                    text.as_ptr().cast(),
                    text.len() as u64,
                )
            }
            Value::Array(items) => {
                let items: Box<[_]> = items.iter().map(|item| self.view(item)).collect();
                let view = data(
                    types::INSULA_KIND_ARRAY,
                    items.as_ptr().cast(),
                    items.len() as u64,
                );
                // The box moves, and its items do not, so the address in the view stays valid.
                self.0.push(items);
                view
            }
            Value::TypedData(bytes) => RawValue {
                element: bytes.element,
                ..data(
                    types::INSULA_KIND_TYPED_DATA,
                    bytes.as_ptr(),
                    bytes.length as u64,
                )
            },
            Value::External(external) => {
                let kind = if external.is_unmodifiable {
                    types::INSULA_KIND_UNMODIFIABLE_EXTERNAL_TYPED_DATA
                } else {
                    types::INSULA_KIND_EXTERNAL_TYPED_DATA
                };
                RawValue {
                    element: external.element,
                    peer: external.peer.0,
                    finalizer: Some(external.finalizer),
                    ..data(kind, external.data.0.cast_const(), external.length)
                }
            }
            Value::SendPort(port) => integer(types::INSULA_KIND_SEND_PORT, port.cast_signed()),
            Value::Capability(it) => integer(types::INSULA_KIND_CAPABILITY, it.cast_signed()),
            Value::NativePointer(pointer) => RawValue {
                finalizer: pointer.finalizer,
                ..data(
                    types::INSULA_KIND_NATIVE_POINTER,
                    pointer.pointer.0.cast_const(),
                    pointer.size,
                )
            },
        }
    }
}

fn integer(kind: u32, integer: i64) -> RawValue {
    RawValue {
        kind,
        integer,
        ..RawValue::default()
    }
}

fn data(kind: u32, data: *const c_void, length: u64) -> RawValue {
    RawValue {
        kind,
        data,
        length,
        ..RawValue::default()
    }
}

/// Passes a value to a C function, and drops it afterwards.
pub fn deliver<R>(value: Value, function: impl FnOnce(*const RawValue) -> R) -> R {
    // Before the call and not after it: C may free what an address names as soon as it sees it.
    value.delivered();
    callout::delivering(value, |value| {
        let mut arena = Arena::default();
        let view = arena.view(value);
        function(&raw const view)
    })
}
