//! The pointers that C hands over. They are read and written only here, after a check of null,
//! length and alignment.
//!
//! The header states what cannot be checked: a pointer that is not null points to what its type
//! says, and the data of a callback may be used from every thread.

use std::ffi::{CStr, c_char, c_void};

use crate::abi::status::Status;
use crate::abi::types::FreeFn;
use crate::custody::{Custody, Duty, Share};

/// Copies the value at `pointer`.
///
/// # Safety
/// `pointer` is null or valid for reading.
pub(crate) unsafe fn read<T: Copy>(pointer: *const T) -> Result<T, Status> {
    if pointer.is_null() {
        return Err(Status::NullPointer);
    }
    // SAFETY: not null, so valid as the caller promised; it need not be aligned.
    Ok(unsafe { pointer.read_unaligned() })
}

/// Like [`read`], but returns `None` for null.
///
/// # Safety
/// As for [`read`].
pub(crate) unsafe fn read_if<T: Copy>(pointer: *const T) -> Option<T> {
    // SAFETY: promised by the caller.
    unsafe { read(pointer) }.ok()
}

/// A place to which the caller wants a result written.
#[derive(Debug)]
pub(crate) struct Out<T>(*mut T);

impl<T> Out<T> {
    /// # Safety
    /// `pointer` is null, or valid for writing as long as this exists and not used otherwise
    /// meanwhile.
    pub(crate) unsafe fn new(pointer: *mut T) -> Result<Self, Status> {
        if pointer.is_null() {
            return Err(Status::NullPointer);
        }
        Ok(Self(pointer))
    }

    /// # Safety
    /// As for [`new`](Self::new).
    pub(crate) unsafe fn if_wanted(pointer: *mut T) -> Option<Self> {
        // SAFETY: promised by the caller.
        unsafe { Self::new(pointer) }.ok()
    }

    pub(crate) fn set(&self, value: T) {
        // SAFETY: valid as promised to `new`; it need not be aligned.
        unsafe { self.0.write_unaligned(value) };
    }
}

/// Returns the `length` elements at `pointer`.
///
/// # Safety
/// `pointer` is null, or valid for reading that many elements, which nothing writes to during `'a`.
pub(crate) unsafe fn slice<'a, T>(pointer: *const T, length: u64) -> Result<&'a [T], Status> {
    let length = usize::try_from(length).map_err(|_| Status::BadLength)?;
    let size = length.checked_mul(size_of::<T>());
    if size.is_none_or(|size| size > isize::MAX as usize) {
        return Err(Status::BadLength);
    }
    // An empty slice may come with any pointer. C often passes null for it.
    if length == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() {
        return Err(Status::NullPointer);
    }
    if !pointer.is_aligned() {
        return Err(Status::BadValue);
    }
    // SAFETY: not null, aligned, and no longer than memory can be; the caller promised the rest.
    Ok(unsafe { std::slice::from_raw_parts(pointer, length) })
}

/// Returns the text at `pointer`, up to its zero byte; `None` for null.
///
/// # Safety
/// `pointer` is null, or points to such a text, which nothing writes to during `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char) -> Result<Option<&'a str>, Status> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not null, and ended by a zero byte as the caller promised.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map(Some).map_err(|_| Status::BadUtf8)
}

/// Copies as much of `text` as fits into `buffer`, and a zero byte after it.
///
/// # Safety
/// `buffer` is null or valid for writing `capacity` bytes.
pub(crate) unsafe fn copy_text(text: &str, buffer: *mut c_char, capacity: u64) {
    let Ok(capacity) = usize::try_from(capacity) else {
        return;
    };
    if buffer.is_null() || capacity == 0 {
        return;
    }
    let mut length = text.len().min(capacity - 1);
    // A cut character would make the copy invalid UTF-8.
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    let buffer = buffer.cast::<u8>();
    // SAFETY: `length` is less than `capacity`; the text is ours, so the two do not overlap.
    unsafe { buffer.copy_from_nonoverlapping(text.as_ptr(), length) };
    // SAFETY: as above.
    let end = unsafe { buffer.add(length) };
    // SAFETY: the last byte of the buffer, or an earlier one.
    unsafe { end.write(0) };
}

/// The data of a callback. Dropping it frees the data, so exactly once; if the call that brought it
/// fails, the data stays the caller's.
#[derive(Debug)]
pub(crate) struct User {
    data: *mut c_void,
    free: FreeFn,
    /// The custody that decides the owner of the data; `None` if there is nothing to free.
    custody: Option<Share>,
}

// SAFETY: only handed back to C, which promised in the header that it may be used from any thread
// (and from several, where callbacks can run at once).
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl User {
    pub(crate) fn new(data: *mut c_void, free: FreeFn, custody: &Custody) -> Self {
        // Also without a `free`: a shutdown has to wait for the function, too.
        crate::state::callback_registered();
        Self {
            data,
            free,
            custody: free.map(|_| custody.share()),
        }
    }

    pub(crate) fn data(&self) -> *mut c_void {
        self.data
    }

    /// Notes that the callback runs: the call that brought the data can no longer take it back.
    pub(crate) fn delivered(&self) {
        if let Some(custody) = &self.custody {
            custody.accept();
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let gone = crate::state::callback_freed;
        Share::settle_if(
            self.custody.as_ref(),
            Duty::free(self.free, Address(self.data), gone),
        );
    }
}

/// An address that is only carried from one C function to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Address(pub(crate) *mut c_void);

// SAFETY: an address by itself is a number; C promised in the header that it may be followed from
// any thread.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

/// Calls `f` with the bytes of a value that the library owns. They exist as long as the value does,
/// and are not written to: C promised that when it moved them.
pub(crate) fn with_bytes<R>(data: *const c_void, length: u64, f: impl FnOnce(&[u8]) -> R) -> R {
    // SAFETY: as documented above; lengths are checked when a value is read.
    let bytes = unsafe { slice(data.cast::<u8>(), length) };
    f(bytes.unwrap_or_default())
}

/// Leaks bytes, to be freed by [`free_leaked`]. Returns their address, their length, and the peer
/// for `free_leaked`.
pub(crate) fn leak(bytes: Vec<u8>) -> (Address, u64, Address) {
    let length = bytes.len() as u64;
    // The vector itself is boxed, because a finalizer gets one pointer, and to free a vector takes
    // its capacity.
    let owner = Box::into_raw(Box::new(bytes));
    // SAFETY: just allocated, and not shared yet.
    let data = unsafe { (*owner).as_mut_ptr() };
    (Address(data.cast()), length, Address(owner.cast()))
}

/// Frees bytes that [`leak`] leaked.
pub(crate) extern "C" fn free_leaked(peer: *mut c_void) {
    // SAFETY: the peer that `leak` returned, and a finalizer is called once.
    drop(unsafe { Box::from_raw(peer.cast::<Vec<u8>>()) });
}
