//! Values of the C ABI as messages to Dart.
//!
//! A letter is built from values that stay valid meanwhile, and posted at once. External data in
//! them moves: into the VM if it accepts the letter, whose collector then calls the finalizer;
//! otherwise it goes back to its owner, or is finalized here.
//!
//! # Light data
//! The VM counts external data by its length, and may collect when it arrives. In letters to the
//! package itself a large piece that is *light* (see `buffer`) is therefore sent as typed data of
//! one byte, with the same address and the same finalizer. Its length and its place in the message
//! are sent beside the message. The package makes a list over the whole piece, which keeps the list
//! of one byte. A letter that is never read loses nothing: the VM finalizes the data in it.

use std::ffi::{CString, c_void};
use std::slice;

use insula_ffi::abi::port::insula_value_take;
use insula_ffi::abi::status::{
    INSULA_ERROR_BAD_LENGTH, INSULA_ERROR_BAD_UTF8, INSULA_ERROR_CLOSED, INSULA_ERROR_NULL_POINTER,
    INSULA_ERROR_TOO_DEEP, INSULA_ERROR_UNSUPPORTED, INSULA_OK, StatusCode,
};
use insula_ffi::abi::types as c;
use insula_ffi::abi::types::RawValue;

use crate::api::{self, Array, Content, DartPort, Data, External, Kind, Object};
use crate::buffer::{count_in, count_out, insula_dart_buffer_release, is_light};

/// The depth to which arrays may be nested.
const DEEPEST: u32 = 64;

/// The owner of the external data while the letter is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// A message that this thread is handling: the data is taken out of it.
    Message,
    /// The caller that wants the data posted, which keeps it if that fails.
    Caller,
}

/// A message that is being built. The boxes keep their addresses while the vectors grow.
pub(crate) struct Letter {
    owner: Owner,
    arrays: Vec<Box<[*mut Object]>>,
    texts: Vec<CString>,
    #[expect(clippy::vec_box, reason = "the VM is given their addresses")]
    objects: Vec<Box<Object>>,
    moved: Vec<*mut Moved>,
    /// For each light piece its address, its length, and its place: the number of indices, and the
    /// indices from the outermost array to the innermost.
    light: Vec<i64>,
    /// The current place in the value, if the letter may contain light pieces.
    place: Option<Vec<i64>>,
}

/// External data that is being moved into the VM.
struct Moved {
    peer: *mut c_void,
    finalizer: extern "C" fn(*mut c_void),
    /// The number of bytes that were counted for it.
    counted: usize,
}

impl Moved {
    fn finalize(self) {
        (self.finalizer)(self.peer);
        count_out(self.counted);
    }
}

/// Called when the VM's collector has found external data without references.
extern "C" fn collected(_isolate_data: *mut c_void, peer: *mut c_void) {
    // SAFETY: made by `Box::into_raw` in `external`, and given to the VM, which calls this once.
    let moved = unsafe { Box::from_raw(peer.cast::<Moved>()) };
    moved.finalize();
}

impl Letter {
    /// Starts a letter to any port.
    pub(crate) fn new(owner: Owner) -> Self {
        Self {
            owner,
            arrays: Vec::new(),
            texts: Vec::new(),
            objects: Vec::new(),
            moved: Vec::new(),
            light: Vec::new(),
            place: None,
        }
    }

    /// Starts a letter to the package.
    pub(crate) fn to_package(owner: Owner) -> Self {
        let mut letter = Self::new(owner);
        letter.place = Some(Vec::new());
        letter
    }

    /// Returns the places of the light pieces that were written so far; null if there are none.
    pub(crate) fn light(&mut self) -> *mut Object {
        if self.light.is_empty() {
            return self.null();
        }
        let numbers = std::mem::take(&mut self.light);
        let numbers: Vec<_> = numbers.into_iter().map(|it| self.integer(it)).collect();
        self.array(numbers)
    }

    fn null(&mut self) -> *mut Object {
        self.object(Kind::Null, Content { integer: 0 })
    }

    fn object(&mut self, kind: Kind, content: Content) -> *mut Object {
        self.objects.push(Box::new(Object { kind, content }));
        let last = self.objects.last_mut();
        last.map_or(std::ptr::null_mut(), |object| &raw mut **object)
    }

    pub(crate) fn integer(&mut self, integer: i64) -> *mut Object {
        self.object(Kind::Int64, Content { integer })
    }

    pub(crate) fn array(&mut self, items: impl Into<Box<[*mut Object]>>) -> *mut Object {
        let mut items = items.into();
        let array = Array {
            length: items.len().cast_signed(),
            items: items.as_mut_ptr(),
        };
        self.arrays.push(items);
        self.object(Kind::Array, Content { array })
    }

    /// Writes a value, which has to stay valid until the letter is posted. Null is the value null.
    ///
    /// # Safety
    /// `value` is null or a value as `insula.h` requires.
    pub(crate) unsafe fn value(
        &mut self,
        value: *const RawValue,
    ) -> Result<*mut Object, StatusCode> {
        if value.is_null() {
            return Ok(self.null());
        }
        // SAFETY: not null, and valid as the caller promised.
        let value = unsafe { &*value };
        // SAFETY: promised by the caller.
        unsafe { self.part(value, 0) }
    }

    /// # Safety
    /// What `value` points to is valid as `insula.h` requires.
    unsafe fn part(&mut self, value: &RawValue, depth: u32) -> Result<*mut Object, StatusCode> {
        Ok(match value.kind {
            c::INSULA_KIND_NULL => self.null(),
            c::INSULA_KIND_BOOL => {
                let truth = value.integer != 0;
                self.object(Kind::Bool, Content { truth })
            }
            c::INSULA_KIND_INT32
            | c::INSULA_KIND_INT64
            | c::INSULA_KIND_SEND_PORT
            | c::INSULA_KIND_CAPABILITY => self.integer(value.integer),
            c::INSULA_KIND_NATIVE_POINTER => self.integer(value.data.addr() as i64),
            c::INSULA_KIND_DOUBLE => self.object(Kind::Double, Content { real: value.real }),
            // SAFETY: promised by the caller.
            c::INSULA_KIND_STRING => unsafe { self.text(value) }?,
            // SAFETY: promised by the caller.
            c::INSULA_KIND_ARRAY => unsafe { self.items(value, depth) }?,
            c::INSULA_KIND_TYPED_DATA => {
                let data = Data {
                    element: value.element,
                    length: elements(value)?,
                    bytes: value.data.cast(),
                };
                self.object(Kind::TypedData, Content { data })
            }
            c::INSULA_KIND_EXTERNAL_TYPED_DATA
            | c::INSULA_KIND_UNMODIFIABLE_EXTERNAL_TYPED_DATA => self.external(value)?,
            _ => return Err(INSULA_ERROR_UNSUPPORTED),
        })
    }

    /// # Safety
    /// As for [`part`](Self::part).
    unsafe fn text(&mut self, value: &RawValue) -> Result<*mut Object, StatusCode> {
        // The VM reads a text up to its zero byte. That of a message has one, while C gives a length.
        let text = if self.owner == Owner::Message {
            value.data.cast()
        } else {
            // SAFETY: promised by the caller.
            let bytes = unsafe { bytes_of(value) }?;
            let text = std::str::from_utf8(bytes).map_err(|_| INSULA_ERROR_BAD_UTF8)?;
            // The VM has no way to take a text with a zero byte inside.
            let text = CString::new(text).map_err(|_| INSULA_ERROR_UNSUPPORTED)?;
            let start = text.as_ptr();
            self.texts.push(text);
            start
        };
        Ok(self.object(Kind::String, Content { text }))
    }

    /// # Safety
    /// As for [`part`](Self::part).
    unsafe fn items(&mut self, value: &RawValue, depth: u32) -> Result<*mut Object, StatusCode> {
        // Values of the library are no deeper, but C may also post one of its own, and that may
        // contain itself.
        if depth == DEEPEST {
            return Err(INSULA_ERROR_TOO_DEEP);
        }
        let length = usize::try_from(value.length).map_err(|_| INSULA_ERROR_BAD_LENGTH)?;
        if length == 0 {
            return Ok(self.array([]));
        }
        // SAFETY: the array of a value, valid as the caller promised.
        let values = unsafe { slice::from_raw_parts(value.data.cast::<RawValue>(), length) };
        let mut items = Vec::with_capacity(length);
        for (index, item) in (0..).zip(values) {
            if let Some(place) = &mut self.place {
                place.push(index);
            }
            // An error leaves the place as it is, which is fine: the letter is not posted then.
            // SAFETY: promised by the caller.
            items.push(unsafe { self.part(item, depth + 1) }?);
            if let Some(place) = &mut self.place {
                place.pop();
            }
        }
        Ok(self.array(items))
    }

    fn external(&mut self, value: &RawValue) -> Result<*mut Object, StatusCode> {
        let finalizer = value.finalizer.ok_or(INSULA_ERROR_NULL_POINTER)?;
        let length = elements(value)?;
        if self.owner == Owner::Message {
            // SAFETY: a part of the message that this thread is handling.
            let taken = unsafe { insula_value_take(value) };
            if taken != INSULA_OK {
                return Err(taken);
            }
        }
        let release: unsafe extern "C" fn(*mut c_void) = insula_dart_buffer_release;
        let is_own = std::ptr::fn_addr_eq(finalizer, release);
        let mut moved = Moved {
            peer: value.peer,
            finalizer,
            counted: 0,
        };
        let mut external = External {
            element: value.element,
            length,
            bytes: value.data.cast_mut().cast(),
            peer: std::ptr::null_mut(),
            finalizer: collected,
        };
        let is_plain = value.kind == c::INSULA_KIND_EXTERNAL_TYPED_DATA;
        if is_plain && value.element == c::INSULA_ELEMENT_UINT8 && self.place.is_some() {
            let bytes = length.unsigned_abs();
            if !is_own {
                // Buffers are counted for as long as they exist.
                count_in(bytes);
                moved.counted = bytes;
            }
            if is_light(bytes) {
                external.length = 1;
                self.note_light(value.data, length);
            }
        }
        let moved = Box::into_raw(Box::new(moved));
        self.moved.push(moved);
        external.peer = moved.cast();
        let kind = if is_plain {
            Kind::ExternalTypedData
        } else {
            Kind::UnmodifiableExternalTypedData
        };
        Ok(self.object(kind, Content { external }))
    }

    fn note_light(&mut self, bytes: *const c_void, length: isize) {
        let Some(place) = &self.place else {
            return;
        };
        let head = [bytes.addr() as i64, length as i64, place.len() as i64];
        self.light.extend(head.iter().chain(place));
    }

    /// Posts the letter.
    ///
    /// # Safety
    /// `message` is of this letter, and the values that were written still exist.
    pub(crate) unsafe fn post(mut self, port: DartPort, message: *mut Object) -> StatusCode {
        // SAFETY: the boxes of this letter; the caller promised what they point to.
        if unsafe { api::post(port, message) } {
            // The data belongs to the VM now.
            self.moved.clear();
            return INSULA_OK;
        }
        INSULA_ERROR_CLOSED
    }
}

impl Drop for Letter {
    fn drop(&mut self) {
        for moved in self.moved.drain(..) {
            // SAFETY: made by `Box::into_raw` in `external`, and not given to the VM.
            let moved = unsafe { Box::from_raw(moved) };
            if self.owner == Owner::Message {
                moved.finalize();
            } else {
                count_out(moved.counted);
            }
        }
    }
}

/// Returns the bytes of a text.
///
/// # Safety
/// The value is as `insula.h` requires.
unsafe fn bytes_of(value: &RawValue) -> Result<&[u8], StatusCode> {
    let length = isize::try_from(value.length).map_err(|_| INSULA_ERROR_BAD_LENGTH)?;
    if length == 0 {
        // An empty text may come with any pointer.
        return Ok(&[]);
    }
    if value.data.is_null() {
        return Err(INSULA_ERROR_NULL_POINTER);
    }
    // SAFETY: not null, and valid for so many bytes as the caller promised.
    Ok(unsafe { slice::from_raw_parts(value.data.cast(), length.unsigned_abs()) })
}

/// Returns the number of elements of typed data.
fn elements(value: &RawValue) -> Result<isize, StatusCode> {
    let size = match value.element {
        c::INSULA_ELEMENT_BYTES
        | c::INSULA_ELEMENT_INT8
        | c::INSULA_ELEMENT_UINT8
        | c::INSULA_ELEMENT_UINT8_CLAMPED => 1,
        c::INSULA_ELEMENT_INT16 | c::INSULA_ELEMENT_UINT16 => 2,
        c::INSULA_ELEMENT_INT32 | c::INSULA_ELEMENT_UINT32 | c::INSULA_ELEMENT_FLOAT32 => 4,
        c::INSULA_ELEMENT_INT64 | c::INSULA_ELEMENT_UINT64 | c::INSULA_ELEMENT_FLOAT64 => 8,
        c::INSULA_ELEMENT_INT32X4 | c::INSULA_ELEMENT_FLOAT32X4 | c::INSULA_ELEMENT_FLOAT64X2 => 16,
        _ => return Err(INSULA_ERROR_UNSUPPORTED),
    };
    isize::try_from(value.length / size).map_err(|_| INSULA_ERROR_BAD_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_value(bytes: &[u8], length: u64) -> RawValue {
        RawValue {
            kind: c::INSULA_KIND_STRING,
            element: 0,
            integer: 0,
            real: 0.0,
            length,
            data: bytes.as_ptr().cast(),
            peer: std::ptr::null_mut(),
            finalizer: None,
        }
    }

    #[test]
    fn a_text_of_c_ends_where_its_length_says() {
        let memory = b"caf\xc3\xa9 and more";
        let mut letter = Letter::new(Owner::Caller);
        let value = text_value(memory, 5);
        // SAFETY: the value is valid.
        let written = unsafe { letter.value(&raw const value) };
        assert!(written.is_ok());
        assert_eq!(letter.texts[0].as_bytes(), &memory[..5]);
        // SAFETY: the only object is a text.
        let given = unsafe { letter.objects[0].content.text };
        assert_eq!(given, letter.texts[0].as_ptr());
    }

    #[test]
    fn a_text_that_dart_cannot_have_is_refused() {
        for (bytes, length, expected) in [
            (&b"a\0b"[..], 3, INSULA_ERROR_UNSUPPORTED),
            (&b"caf\xc3\xa9"[..], 4, INSULA_ERROR_BAD_UTF8),
            (&b""[..], u64::MAX, INSULA_ERROR_BAD_LENGTH),
        ] {
            let value = text_value(bytes, length);
            let mut letter = Letter::new(Owner::Caller);
            // SAFETY: the value is valid, or refused before its text is read.
            let refused = unsafe { letter.value(&raw const value) };
            assert_eq!(refused.err(), Some(expected), "{bytes:?}");
        }
    }
}
