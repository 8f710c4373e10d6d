//! Messages: owned values of the kinds that C can send.
//!
//! # External data
//! The owner of a value owes the finalizers of its external data. While C builds a value, C owns
//! it. A function that accepts it takes it over, and from then on the finalizer is called exactly
//! once: when the value is dropped, wherever that happens, unless the receiver took over the data
//! in turn. A function that fails leaves everything with its caller: each part that has a finalizer
//! carries the [custody](crate::custody) of the call that brought it. A native pointer's finalizer
//! is for pointers that never arrived: a delivery disarms it.

pub(crate) mod read;
pub(crate) mod view;

use std::ffi::c_void;

use insula_sync::atomic::{AtomicBool, Ordering};

use crate::abi::status::Status;
use crate::abi::types;
use crate::custody::{Duty, Share};
use crate::raw::{self, Address};
use crate::state;

/// A message, or a part of one.
#[derive(Debug)]
pub enum Value {
    /// Nothing.
    Null,
    /// A boolean.
    Bool(bool),
    /// A 32-bit integer.
    Int32(i32),
    /// A 64-bit integer.
    Int64(i64),
    /// A floating-point number.
    Double(f64),
    /// A text.
    String(Text),
    /// Values in order.
    Array(Vec<Self>),
    /// Bytes that the value owns.
    TypedData(TypedData),
    /// Bytes that another owner lent, with a finalizer.
    External(Box<External>),
    /// A port's handle.
    SendPort(u64),
    /// A capability's handle.
    Capability(u64),
    /// An address.
    NativePointer(Box<NativePointer>),
}

/// A text followed by a zero byte.
#[derive(Debug, Clone)]
pub struct Text(Box<str>);

impl Text {
    /// Copies a text.
    pub fn new(text: &str) -> Self {
        Self::fill(String::with_capacity(text.len() + 1), text)
    }

    /// Like [`new`](Self::new), for a text that memory may not suffice for.
    pub(crate) fn try_new(text: &str) -> Result<Self, Status> {
        let mut owned = String::new();
        owned
            .try_reserve_exact(text.len() + 1)
            .map_err(|_| Status::OutOfResources)?;
        Ok(Self::fill(owned, text))
    }

    fn fill(mut owned: String, text: &str) -> Self {
        owned.push_str(text);
        // For C, which gets the address of the text itself and no copy of it.
        owned.push('\0');
        Self(owned.into())
    }

    /// The text, without the zero byte.
    pub fn as_str(&self) -> &str {
        &self.0[..self.0.len() - 1]
    }
}

/// Bytes at an address that is a multiple of 16.
#[derive(Debug, Clone)]
pub struct TypedData {
    element: u32,
    length: usize,
    // Not bytes, whose allocation would be aligned to 1.
    words: Box<[u128]>,
}

impl TypedData {
    /// Copies bytes; `element` is one of `INSULA_ELEMENT_`...
    pub fn new(element: u32, bytes: &[u8]) -> Self {
        Self::fill(Vec::with_capacity(bytes.len().div_ceil(16)), element, bytes)
    }

    /// Like [`new`](Self::new), for bytes that memory may not suffice for.
    pub(crate) fn try_new(element: u32, bytes: &[u8]) -> Result<Self, Status> {
        let mut words = Vec::new();
        words
            .try_reserve_exact(bytes.len().div_ceil(16))
            .map_err(|_| Status::OutOfResources)?;
        Ok(Self::fill(words, element, bytes))
    }

    /// Fills `words`, whose capacity is exact, so that turning it into a boxed slice reallocates
    /// nothing.
    fn fill(mut words: Vec<u128>, element: u32, bytes: &[u8]) -> Self {
        let (whole, rest) = bytes.as_chunks::<16>();
        words.extend(whole.iter().map(|word| u128::from_ne_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 16];
            last[..rest.len()].copy_from_slice(rest);
            words.push(u128::from_ne_bytes(last));
        }
        Self {
            element,
            length: bytes.len(),
            words: words.into(),
        }
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns a copy of the bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes: Vec<_> = self
            .words
            .iter()
            .flat_map(|word| word.to_ne_bytes())
            .collect();
        bytes.truncate(self.length);
        bytes
    }

    pub(crate) fn as_ptr(&self) -> *const c_void {
        self.words.as_ptr().cast()
    }
}

/// `true` while a finalizer is still to be called.
#[derive(Debug)]
struct Armed(AtomicBool);

impl Armed {
    fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// Disarms it, and returns whether it was armed.
    fn take(&self) -> bool {
        // AcqRel; pairs with itself: the thread that finalizes does so after the last read of the
        // data by another thread.
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// Bytes of another owner, and the finalizer that gives them back.
#[derive(Debug)]
pub struct External {
    element: u32,
    is_unmodifiable: bool,
    length: u64,
    data: Address,
    peer: Address,
    finalizer: extern "C" fn(*mut c_void),
    armed: Armed,
    /// The custody of the call that brought it; `None` for the library's own bytes.
    custody: Option<Share>,
}

impl Drop for External {
    fn drop(&mut self) {
        // Disarmed data is the receiver's by now, but it is still counted.
        let finalizer = self.armed.take().then_some(self.finalizer);
        let duty = Duty::free(finalizer, self.peer, state::external_gone);
        Share::settle_if(self.custody.as_ref(), duty);
    }
}

/// An address, and the finalizer for the case that it is never delivered.
#[derive(Debug)]
pub struct NativePointer {
    pointer: Address,
    size: u64,
    finalizer: types::FinalizerFn,
    armed: Armed,
    /// The custody of the call that brought it, if there is a finalizer.
    custody: Option<Share>,
}

impl Drop for NativePointer {
    fn drop(&mut self) {
        if self.armed.take() {
            let duty = Duty::free(self.finalizer, self.pointer, || {});
            Share::settle_if(self.custody.as_ref(), duty);
        }
    }
}

/// Returns the size of an element in bytes.
fn element_size(element: u32) -> Result<u64, Status> {
    Ok(match element {
        types::INSULA_ELEMENT_BYTES
        | types::INSULA_ELEMENT_INT8
        | types::INSULA_ELEMENT_UINT8
        | types::INSULA_ELEMENT_UINT8_CLAMPED => 1,
        types::INSULA_ELEMENT_INT16 | types::INSULA_ELEMENT_UINT16 => 2,
        types::INSULA_ELEMENT_INT32
        | types::INSULA_ELEMENT_UINT32
        | types::INSULA_ELEMENT_FLOAT32 => 4,
        types::INSULA_ELEMENT_INT64
        | types::INSULA_ELEMENT_UINT64
        | types::INSULA_ELEMENT_FLOAT64 => 8,
        types::INSULA_ELEMENT_INT32X4
        | types::INSULA_ELEMENT_FLOAT32X4
        | types::INSULA_ELEMENT_FLOAT64X2 => 16,
        _ => return Err(Status::BadValue),
    })
}

impl Value {
    /// Makes a value of bytes that move into it, and are freed when it is dropped.
    pub fn bytes(bytes: Vec<u8>) -> Self {
        let (data, length, peer) = raw::leak(bytes);
        state::external_made();
        Self::External(Box::new(External {
            element: types::INSULA_ELEMENT_UINT8,
            is_unmodifiable: false,
            length,
            data,
            peer,
            finalizer: raw::free_leaked,
            armed: Armed::new(),
            custody: None,
        }))
    }

    /// Calls `f` with the bytes of typed data, external or not; returns `None` for other kinds.
    pub fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match self {
            Self::TypedData(data) => Some(raw::with_bytes(data.as_ptr(), data.len() as u64, f)),
            Self::External(data) => Some(raw::with_bytes(data.data.0.cast_const(), data.length, f)),
            _ => None,
        }
    }

    /// Makes a text.
    pub fn text(text: &str) -> Self {
        Self::String(Text::new(text))
    }

    /// Notes that the value has arrived: the call that brought it cannot take it back, and the
    /// addresses in it are the receiver's.
    pub(crate) fn delivered(&self) {
        self.each(&mut |value| {
            let custody = match value {
                Self::External(external) => &external.custody,
                Self::NativePointer(pointer) => {
                    pointer.armed.take();
                    &pointer.custody
                }
                _ => return,
            };
            if let Some(custody) = custody {
                custody.accept();
            }
        });
    }

    pub(crate) fn has_external(&self) -> bool {
        let mut has = false;
        self.each(&mut |value| has |= matches!(value, Self::External(_)));
        has
    }

    /// Gives up ownership of external data, if the value contains it and still owns it. Returns
    /// whether it did.
    pub(crate) fn give_away(&self, data: *const c_void, peer: *mut c_void) -> bool {
        let mut given = false;
        self.each(&mut |value| {
            if let Self::External(external) = value
                // One at a time: parts that C has sent twice are taken twice.
                && !given
                && external.data.0.cast_const() == data
                && external.peer.0 == peer
            {
                given = external.armed.take();
            }
        });
        given
    }

    /// Calls `f` for every part that is not an array.
    fn each(&self, f: &mut dyn FnMut(&Self)) {
        match self {
            Self::Array(items) => items.iter().for_each(|item| item.each(f)),
            leaf => f(leaf),
        }
    }
}
