//! Memory that Dart and Rust share.
//!
//! A buffer has a head, which counts references, and its bytes behind it. Each of Dart's views
//! and each message on its way has one reference, and gives it back with
//! `insula_dart_buffer_release`, which is therefore the finalizer of all of them. So bytes are
//! never copied, and never freed while somebody can see them. Who writes while somebody else
//! reads is for the program to decide; the package takes the view away from who sends.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

/// The head of a buffer, as large as the strictest alignment of its elements.
#[repr(C, align(16))]
struct Head {
    references: AtomicUsize,
    length: usize,
}

fn layout(length: usize) -> Option<Layout> {
    let bytes = Layout::from_size_align(length, 1).ok()?;
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
    head.as_ptr().cast()
}

/// Where the bytes of a buffer are.
///
/// # Safety
/// The caller has a reference to `buffer`.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_buffer_data(buffer: *mut c_void) -> *mut u8 {
    // SAFETY: the bytes begin right behind the head, in the same memory.
    unsafe { buffer.cast::<u8>().add(size_of::<Head>()) }
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
}
