//! Memory that Dart and Rust share.
//!
//! A buffer has a head, which counts references, and its bytes after it. Each of Dart's views and
//! each message in transit holds one reference, and releases it with `insula_dart_buffer_release`,
//! which is therefore the finalizer of all of them. So bytes are never copied, and never freed
//! while a holder can see them. Whether one holder writes while another reads is up to the program;
//! the package takes the view away from the sender.
//!
//! # From isolate to isolate
//! A message between Dart isolates can carry numbers, but no references. So a buffer that is sent
//! to another isolate is left here under a number (`insula_dart_buffer_leave`), and the first
//! isolate that asks for the number gets it (`insula_dart_buffer_fetch`). No number is used twice.
//!
//! # Sizes that are reported to Dart's collector
//! If the VM is told that one of its objects keeps 100 MiB, it collects at once, which takes
//! milliseconds. If it is not told, unused buffers fill the memory. So large pieces are *light*:
//! their size is not reported to the VM as long as all live pieces of the process have no more than
//! [`FREE`] bytes together. Beyond that each new piece is reported with its full size, and the
//! collections that this causes find the light pieces too.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{LazyLock, Mutex};

use crate::lease::lock;

/// The head of a buffer. Its alignment is that of any C allocation, so that the bytes need not be
/// zeroed one by one: the operating system zeroes large allocations as they are touched.
#[repr(C, align(8))]
struct Head {
    references: AtomicUsize,
    length: usize,
}

/// The smallest size of a light piece. The VM knows best when to collect smaller ones.
const LARGE: usize = 1 << 20;

/// The number of bytes of large pieces up to which new ones are not reported to the VM: a sixteenth
/// of the address space of a 32-bit program, four times as much elsewhere.
const FREE: usize = if usize::BITS == 32 {
    256 << 20
} else {
    1 << 30
};

/// The number of bytes of the live large pieces.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Counts a piece that Dart may get, if it is large.
pub(crate) fn count_in(length: usize) {
    if length >= LARGE {
        // Relaxed, as below: a rough number, with which no other data is published.
        ALIVE.fetch_add(length, Ordering::Relaxed);
    }
}

/// Uncounts a piece that was counted and is gone.
pub(crate) fn count_out(length: usize) {
    if length >= LARGE {
        ALIVE.fetch_sub(length, Ordering::Relaxed);
    }
}

/// Returns whether a piece that has been counted need not be reported to the VM.
pub(crate) fn is_light(length: usize) -> bool {
    length >= LARGE && ALIVE.load(Ordering::Relaxed) <= FREE
}

/// Returns the number of bytes of the live large pieces.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_buffer_alive() -> u64 {
    ALIVE.load(Ordering::Relaxed) as u64
}

/// Returns the size to report to the VM for an object that keeps a buffer of `length` bytes.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_buffer_weight(length: u64) -> u64 {
    match usize::try_from(length) {
        Ok(bytes) if is_light(bytes) => 0,
        _ => length,
    }
}

/// The strictest alignment of elements.
const ALIGNMENT: usize = 16;

/// Returns the layout of the head and the bytes, with the gap that aligns the bytes.
fn layout(length: usize) -> Option<Layout> {
    let bytes = Layout::from_size_align(length.checked_add(ALIGNMENT)?, 1).ok()?;
    Some(Layout::new::<Head>().extend(bytes).ok()?.0)
}

/// Allocates a buffer of `length` zero bytes with one reference. Returns null if there is no room.
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

/// Returns the address of a buffer's bytes, which is a multiple of 16.
///
/// # Safety
/// The caller has a reference to `buffer`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_buffer_data(buffer: *mut c_void) -> *mut u8 {
    // SAFETY: the memory extends the length and 16 more bytes beyond the head.
    let behind = unsafe { buffer.cast::<u8>().add(size_of::<Head>()) };
    let gap = behind.addr().next_multiple_of(ALIGNMENT) - behind.addr();
    // SAFETY: less than those 16 bytes.
    unsafe { behind.add(gap) }
}

/// Adds a reference.
///
/// # Safety
/// The caller has a reference to `buffer`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_buffer_retain(buffer: *mut c_void) {
    // SAFETY: alive by the caller's reference.
    let head = unsafe { &*buffer.cast::<Head>() };
    // Relaxed: the caller's reference keeps the count above zero.
    head.references.fetch_add(1, Ordering::Relaxed);
}

/// Releases a reference; the last one frees the buffer.
///
/// # Safety
/// The caller has a reference to `buffer`, and does not use it afterwards.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_buffer_release(buffer: *mut c_void) {
    let head = buffer.cast::<Head>();
    // SAFETY: alive by the caller's reference.
    let references = unsafe { &(*head).references };
    // Release; pairs with the Acquire fence below, in the release of the last reference.
    if references.fetch_sub(1, Ordering::Release) != 1 {
        return;
    }
    fence(Ordering::Acquire);
    // SAFETY: this was the last reference.
    let length = unsafe { (*head).length };
    if let Some(layout) = layout(length) {
        // SAFETY: allocated with this layout, and not referenced any more.
        unsafe { dealloc(head.cast(), layout) };
    }
    count_out(length);
}

/// A reference to a buffer in transit between two isolates.
struct Left(*mut c_void);

// SAFETY: a reference, which may be released on any thread.
unsafe impl Send for Left {}

/// The buffers in transit between two isolates, by number, and the last number. Bounded by the
/// number of buffers that the program sends.
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

/// Takes over the reference that was left under a number; null if there is none, or it was taken.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_buffer_fetch(number: u64) -> *mut c_void {
    let left = lock(&LEFT).1.remove(&number);
    left.map_or(std::ptr::null_mut(), |left| left.0)
}

/// Returns the number of bytes of a buffer.
///
/// # Safety
/// The caller has a reference to `buffer`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_buffer_length(buffer: *mut c_void) -> u64 {
    // SAFETY: alive by the caller's reference; the length never changes.
    unsafe { (*buffer.cast::<Head>()).length as u64 }
}
