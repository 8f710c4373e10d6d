//! Conversion of C values to owned ones.
//!
//! The depth and the number of parts are bounded, so that a value that contains itself is refused
//! and not followed forever.

use super::{Armed, External, NativePointer, Text, TypedData, Value, element_size};
use crate::abi::status::Status;
use crate::abi::types::{self, RawValue};
use crate::custody::Custody;
use crate::raw::{self, Address};
use crate::state;

/// The depth to which arrays may be nested.
const DEEPEST: u32 = 64;

/// The most parts that a message may have.
const MOST_PARTS: u32 = 1 << 20;

/// Copies a value; external data and addresses move when `custody` is accepted.
///
/// # Safety
/// Null, or a value as the header requires, which is not changed meanwhile.
pub(crate) unsafe fn value(pointer: *const RawValue, custody: &Custody) -> Result<Value, Status> {
    // SAFETY: promised by the caller.
    let raw = unsafe { raw::read(pointer) }?;
    let mut reader = Reader {
        parts: MOST_PARTS,
        custody,
    };
    // SAFETY: promised by the caller.
    unsafe { reader.value(&raw, 0) }
}

/// Like [`value`], but reads null as the value null.
///
/// # Safety
/// As for [`value`].
pub(crate) unsafe fn value_or_null(
    pointer: *const RawValue,
    custody: &Custody,
) -> Result<Value, Status> {
    if pointer.is_null() {
        return Ok(Value::Null);
    }
    // SAFETY: promised by the caller.
    unsafe { value(pointer, custody) }
}

struct Reader<'a> {
    parts: u32,
    custody: &'a Custody,
}

impl Reader<'_> {
    /// # Safety
    /// What `raw` points to is valid as the header requires.
    unsafe fn value(&mut self, raw: &RawValue, depth: u32) -> Result<Value, Status> {
        // Counted over the whole message: arrays that share their items grow with the power of the
        // depth.
        self.parts = self.parts.checked_sub(1).ok_or(Status::TooDeep)?;
        Ok(match raw.kind {
            types::INSULA_KIND_NULL => Value::Null,
            types::INSULA_KIND_BOOL => Value::Bool(boolean(raw.integer)?),
            types::INSULA_KIND_INT32 => {
                Value::Int32(i32::try_from(raw.integer).map_err(|_| Status::BadValue)?)
            }
            types::INSULA_KIND_INT64 => Value::Int64(raw.integer),
            types::INSULA_KIND_DOUBLE => Value::Double(raw.real),
            types::INSULA_KIND_STRING => {
                // SAFETY: promised by the caller.
                let bytes = unsafe { raw::slice(raw.data.cast::<u8>(), raw.length) }?;
                let text = std::str::from_utf8(bytes).map_err(|_| Status::BadUtf8)?;
                Value::String(Text::try_new(text)?)
            }
            // SAFETY: promised by the caller.
            types::INSULA_KIND_ARRAY => unsafe { self.array(raw, depth) }?,
            types::INSULA_KIND_TYPED_DATA => {
                check_length(raw)?;
                // SAFETY: promised by the caller.
                let bytes = unsafe { raw::slice(raw.data.cast::<u8>(), raw.length) }?;
                Value::TypedData(TypedData::try_new(raw.element, bytes)?)
            }
            types::INSULA_KIND_EXTERNAL_TYPED_DATA => self.external(raw, false)?,
            types::INSULA_KIND_UNMODIFIABLE_EXTERNAL_TYPED_DATA => self.external(raw, true)?,
            types::INSULA_KIND_SEND_PORT => Value::SendPort(raw.integer.cast_unsigned()),
            types::INSULA_KIND_CAPABILITY => Value::Capability(raw.integer.cast_unsigned()),
            types::INSULA_KIND_NATIVE_POINTER => Value::NativePointer(Box::new(NativePointer {
                pointer: Address(raw.data.cast_mut()),
                size: raw.length,
                finalizer: raw.finalizer,
                armed: Armed::new(),
                custody: raw.finalizer.map(|_| self.custody.share()),
            })),
            types::INSULA_KIND_UNSUPPORTED => return Err(Status::Unsupported),
            _ => return Err(Status::BadValue),
        })
    }

    /// # Safety
    /// As for [`value`](Self::value).
    unsafe fn array(&mut self, raw: &RawValue, depth: u32) -> Result<Value, Status> {
        if depth == DEEPEST {
            return Err(Status::TooDeep);
        }
        // SAFETY: promised by the caller.
        let items = unsafe { raw::slice(raw.data.cast::<RawValue>(), raw.length) }?;
        // Before memory is reserved for them, since the length is only a claim of the caller.
        if items.len() > self.parts as usize {
            return Err(Status::TooDeep);
        }
        let mut values = Vec::new();
        // `try_reserve` and not `with_capacity`: a failed allocation must be a status and not the
        // end of the process.
        values
            .try_reserve_exact(items.len())
            .map_err(|_| Status::OutOfResources)?;
        for item in items {
            // SAFETY: promised by the caller.
            values.push(unsafe { self.value(item, depth + 1) }?);
        }
        Ok(Value::Array(values))
    }

    fn external(&self, raw: &RawValue, is_unmodifiable: bool) -> Result<Value, Status> {
        check_length(raw)?;
        if raw.data.is_null() && raw.length != 0 {
            return Err(Status::NullPointer);
        }
        let finalizer = raw.finalizer.ok_or(Status::NullPointer)?;
        state::external_made();
        Ok(Value::External(Box::new(External {
            element: raw.element,
            is_unmodifiable,
            length: raw.length,
            data: Address(raw.data.cast_mut()),
            peer: Address(raw.peer),
            finalizer,
            armed: Armed::new(),
            custody: Some(self.custody.share()),
        })))
    }
}

fn boolean(integer: i64) -> Result<bool, Status> {
    match integer {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Status::BadValue),
    }
}

fn check_length(raw: &RawValue) -> Result<(), Status> {
    let size = element_size(raw.element)?;
    if !raw.length.is_multiple_of(size) || raw.length > isize::MAX as u64 {
        return Err(Status::BadLength);
    }
    Ok(())
}
