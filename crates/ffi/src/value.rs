//! Messages: the 14 kinds of value, owned.
//!
//! # External data
//! Who is to call a finalizer is a matter of who owns the value. While C builds one, C does. A
//! function that accepts it takes it over, and from then on it is called exactly once: when the
//! value is dropped, wherever that happens, unless the receiver took the data over in turn.
//! A function that fails leaves everything with its caller: each part that has a finalizer
//! carries the [custody](crate::custody) of the call that brought it. A native pointer's
//! finalizer is for pointers that never arrived: a delivery disarms it.

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
    /// A truth.
    Bool(bool),
    /// A small number.
    Int32(i32),
    /// A number.
    Int64(i64),
    /// A number.
    Double(f64),
    /// A text.
    String(Text),
    /// Values in their order.
    Array(Vec<Self>),
    /// Bytes of its own.
    TypedData(TypedData),
    /// Bytes of somebody else.
    External(Box<External>),
    /// A port's handle.
    SendPort(u64),
    /// A capability's handle.
    Capability(u64),
    /// An address.
    NativePointer(Box<NativePointer>),
}

/// A text with a zero byte behind it.
#[derive(Debug, Clone)]
pub struct Text(Box<str>);

impl Text {
    /// Copies a text.
    pub fn new(text: &str) -> Self {
        Self::fill(String::with_capacity(text.len() + 1), text)
    }

    /// As [`new`](Self::new), for a text that may be too long for memory.
    pub(crate) fn try_new(text: &str) -> Result<Self, Status> {
        let mut owned = String::new();
        owned
            .try_reserve_exact(text.len() + 1)
            .map_err(|_| Status::OutOfResources)?;
        Ok(Self::fill(owned, text))
    }

    fn fill(mut owned: String, text: &str) -> Self {
        owned.push_str(text);
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
    words: Box<[u128]>,
}

impl TypedData {
    /// Copies bytes; `element` is one of `INSULA_ELEMENT_`...
    pub fn new(element: u32, bytes: &[u8]) -> Self {
        Self::fill(Vec::with_capacity(bytes.len().div_ceil(16)), element, bytes)
    }

    /// As [`new`](Self::new), for bytes that may be too many for memory.
    pub(crate) fn try_new(element: u32, bytes: &[u8]) -> Result<Self, Status> {
        let mut words = Vec::new();
        words
            .try_reserve_exact(bytes.len().div_ceil(16))
            .map_err(|_| Status::OutOfResources)?;
        Ok(Self::fill(words, element, bytes))
    }

    /// Of words for which there is room already, and no more than that: so turning them into a
    /// slice allocates nothing.
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

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// A copy of the bytes.
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

/// Whether a finalizer is still to be called.
#[derive(Debug)]
struct Armed(AtomicBool);

impl Armed {
    fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    /// Whether it was armed.
    fn take(&self) -> bool {
        // Acquire and Release: who finalizes comes after who last read the data.
        self.0.swap(false, Ordering::AcqRel)
    }
}

/// Bytes of somebody who wants to know when they are not needed any more.
#[derive(Debug)]
pub struct External {
    element: u32,
    is_unmodifiable: bool,
    length: u64,
    data: Address,
    peer: Address,
    finalizer: extern "C" fn(*mut c_void),
    armed: Armed,
    /// Of the call that brought it; none for bytes of the library's own.
    custody: Option<Share>,
}

impl Drop for External {
    fn drop(&mut self) {
        let finalizer = self.armed.take().then_some(self.finalizer);
        let duty = Duty::free(finalizer, self.peer, state::external_gone);
        Share::settle_if(self.custody.as_ref(), duty);
    }
}

/// An address, and what to do if nobody gets it.
#[derive(Debug)]
pub struct NativePointer {
    pointer: Address,
    size: u64,
    finalizer: types::FinalizerFn,
    armed: Armed,
    /// Of the call that brought it, if there is a finalizer.
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

/// How many bytes an element has.
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
    /// Bytes that move into the value, and are freed where it is dropped.
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

    /// The bytes of typed data, of its own or of somebody else; nothing for other kinds.
    pub fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match self {
            Self::TypedData(data) => Some(raw::with_bytes(data.as_ptr(), data.len() as u64, f)),
            Self::External(data) => Some(raw::with_bytes(data.data.0.cast_const(), data.length, f)),
            _ => None,
        }
    }

    /// A text.
    pub fn text(text: &str) -> Self {
        Self::String(Text::new(text))
    }

    /// It has arrived: the call that brought it cannot take it back, and the addresses in it are
    /// the receiver's.
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

    /// Takes external data out of the value's ownership, if it has it and still owns it.
    pub(crate) fn give_away(&self, data: *const c_void, peer: *mut c_void) -> bool {
        let mut given = false;
        self.each(&mut |value| {
            if let Self::External(external) = value
                && !given
                && external.data.0.cast_const() == data
                && external.peer.0 == peer
            {
                given = external.armed.take();
            }
        });
        given
    }

    /// Calls `f` with all parts that are no arrays.
    fn each(&self, f: &mut dyn FnMut(&Self)) {
        match self {
            Self::Array(items) => items.iter().for_each(|item| item.each(f)),
            leaf => f(leaf),
        }
    }
}
