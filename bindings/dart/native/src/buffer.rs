//! Memory that Dart and Rust share.
//!
//! A buffer has a head, which counts references, and its bytes behind it. Each of Dart's views
//! and each message on its way has one reference, and gives it back with
//! `insula_dart_buffer_release`, which is therefore the finalizer of all of them. So bytes are
//! never copied, and never freed while somebody can see them. Who writes while somebody else
//! reads is for the program to decide; the package takes the view away from who sends.
//!
//! # From isolate to isolate
//! A message between Dart isolates can carry numbers, but no references. So a buffer that is sent
//! to another isolate is left here under a number (`insula_dart_buffer_leave`), and the
//! first isolate that asks for the number gets it (`insula_dart_buffer_fetch`). No number is given out twice.
//!
//! # What Dart's collector is told
//! To tell the VM of 100 MiB that one of its objects keeps is to have it collect on the spot,
//! which takes milliseconds. Not to tell it would be to fill the memory with buffers that nobody
//! wants any more. So large pieces are *light*, which is to say that the VM is not told, as long
//! as all that are alive in the process have no more than [`FREE`] bytes together. Past that each
//! new one has its full weight, and the collections that this leads to find the light ones too.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{LazyLock, Mutex};

use crate::lease::lock;

/// The head of a buffer. Aligned as memory of C is everywhere, so that the bytes need not be
/// zeroed one by one: for large ones the operating system does it, as they are touched.
#[repr(C, align(8))]
struct Head {
    references: AtomicUsize,
    length: usize,
}

/// Smaller pieces are never light: the VM knows best what to do with them.
const LARGE: usize = 1 << 20;

/// How many bytes of large pieces there may be before the VM is told of more: a sixteenth of the
/// addresses that a program of 32 bits has, four times as much elsewhere.
const FREE: usize = if usize::BITS == 32 {
    256 << 20
} else {
    1 << 30
};

/// Bytes of the large pieces that are alive.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// A large piece has come to be, of which Dart may hear.
pub(crate) fn count_in(length: usize) {
    if length >= LARGE {
        // Relaxed, as below: a number to go by, with which nothing else is published.
        ALIVE.fetch_add(length, Ordering::Relaxed);
    }
}

/// A piece that was counted in is gone.
pub(crate) fn count_out(length: usize) {
    if length >= LARGE {
        ALIVE.fetch_sub(length, Ordering::Relaxed);
    }
}

/// Whether the VM need not be told of a piece that has been counted in.
pub(crate) fn is_light(length: usize) -> bool {
    length >= LARGE && ALIVE.load(Ordering::Relaxed) <= FREE
}

/// How many bytes the large pieces have that are alive.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_buffer_alive() -> u64 {
    ALIVE.load(Ordering::Relaxed) as u64
}

/// Of how many bytes the VM is to be told that an object of its keeps a buffer of `length`.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_buffer_weight(length: u64) -> u64 {
    match usize::try_from(length) {
        Ok(bytes) if is_light(bytes) => 0,
        _ => length,
    }
}

/// The strictest alignment of elements.
const ALIGNMENT: usize = 16;

/// Head and bytes, and between them what it takes to align these.
fn layout(length: usize) -> Option<Layout> {
    let bytes = Layout::from_size_align(length.checked_add(ALIGNMENT)?, 1).ok()?;
    Some(Layout::new::<Head>().extend(bytes).ok()?.0)
}

/// A buffer of `length` zero bytes with one reference; null if there is no room.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_buffer_new(length: u64) -> *mut c_void {
    let Ok(length) = usize::try_from(length) else {
        return std::ptr::null_mut();
    };
    let Some(layout) = layout(length) else {
        return std::ptr::null_mut();
    };
    // SAFETY: at least as large as the head, so not of size zero.
    let memory = unsafe { alloc_zeroed(layout) };
    let Some(head) = NonNull::new(memory.cast::<Head>()) else {
        return std::ptr::null_mut();
    };
    let value = Head {
        references: AtomicUsize::new(1),
        length,
    };
    // SAFETY: just allocated for it.
    unsafe { head.write(value) };
    count_in(length);
    head.as_ptr().cast()
}

/// Where the bytes of a buffer are: at a multiple of 16.
///
/// # Safety
/// The caller has a reference to `buffer`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_buffer_data(buffer: *mut c_void) -> *mut u8 {
    // SAFETY: behind the head are 16 bytes more than the length, in the same memory.
    let behind = unsafe { buffer.cast::<u8>().add(size_of::<Head>()) };
    let gap = behind.addr().next_multiple_of(ALIGNMENT) - behind.addr();
    // SAFETY: less than those 16 bytes.
    unsafe { behind.add(gap) }
}

/// One more reference.
///
/// # Safety
/// The caller has a reference to `buffer`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_buffer_retain(buffer: *mut c_void) {
    // SAFETY: alive by the caller's reference.
    let head = unsafe { &*buffer.cast::<Head>() };
    // Relaxed: who has one reference may have more.
    head.references.fetch_add(1, Ordering::Relaxed);
}

/// Gives a reference back; the last one frees the buffer.
///
/// # Safety
/// The caller has a reference to `buffer`, and does not use it afterwards.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_buffer_release(buffer: *mut c_void) {
    let head = buffer.cast::<Head>();
    // SAFETY: alive by the caller's reference.
    let references = unsafe { &(*head).references };
    // Release pairs with the fence of whoever gives the last one back.
    if references.fetch_sub(1, Ordering::Release) != 1 {
        return;
    }
    fence(Ordering::Acquire);
    // SAFETY: the last reference was ours.
    let length = unsafe { (*head).length };
    if let Some(layout) = layout(length) {
        // SAFETY: allocated with this layout, and nobody's any more.
        unsafe { dealloc(head.cast(), layout) };
    }
    count_out(length);
}

/// A reference to a buffer between two isolates.
struct Left(*mut c_void);

// SAFETY: a reference, which may be given back on any thread.
unsafe impl Send for Left {}

/// The buffers between two isolates, by number, and the last number. Bounded by what programs send.
static LEFT: LazyLock<Mutex<(u64, HashMap<u64, Left>)>> = LazyLock::new(Mutex::default);

/// Leaves the caller's reference for another isolate, and returns its number.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_buffer_leave(buffer: *mut c_void) -> u64 {
    let mut left = lock(&LEFT);
    left.0 += 1;
    let number = left.0;
    left.1.insert(number, Left(buffer));
    number
}

/// Takes over the reference that was left with this number; null if there is none (any more).
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_buffer_fetch(number: u64) -> *mut c_void {
    let left = lock(&LEFT).1.remove(&number);
    left.map_or(std::ptr::null_mut(), |left| left.0)
}

/// How many bytes a buffer has.
///
/// # Safety
/// The caller has a reference to `buffer`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_buffer_length(buffer: *mut c_void) -> u64 {
    // SAFETY: alive by the caller's reference; the length never changes.
    unsafe { (*buffer.cast::<Head>()).length as u64 }
}
