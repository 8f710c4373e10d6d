//! Scratch memory of Dart isolates: what the package needs for the time of one call.
//!
//! Dart gives memory back in a `finally`, which is not run where a kill unwinds the isolate. So all
//! of it belongs to an *arena*, of which each isolate has one. The package notes how full the arena
//! is before a call (its *mark*), and goes back to that mark afterwards. What a killed isolate has
//! left in its arena is freed by the arena's finalizer.
//!
//! Only its isolate uses an arena, one call at a time; calls may be nested.

use std::ffi::c_void;

use insula_ffi::abi::mailbox::insula_buffer_free;
use insula_ffi::abi::types::Buffer;

use crate::buffer::{insula_dart_buffer_data, insula_dart_buffer_new, insula_dart_buffer_release};
use crate::lease::do_later;

#[derive(Default)]
struct Arena {
    blocks: Vec<Block>,
}

struct Block {
    memory: *mut c_void,
    /// Whether it is a place for bytes that the library holds, which are freed with it.
    holds: bool,
}

// SAFETY: a block is a reference to a buffer, which may be given back on any thread.
unsafe impl Send for Block {}

impl Drop for Block {
    fn drop(&mut self) {
        if self.holds {
            // SAFETY: the block has a reference until the end of this function.
            let place = unsafe { insula_dart_buffer_data(self.memory) };
            // SAFETY: aligned; zero at first, and a buffer once the library has put one there.
            let held = unsafe { place.cast::<Buffer>().read() };
            if held.handle != 0 {
                let _ = insula_buffer_free(held.handle);
            }
        }
        // SAFETY: the block's own reference.
        unsafe { insula_dart_buffer_release(self.memory) };
    }
}

impl Arena {
    /// A block of zero bytes at a multiple of 16; null if there is no room.
    fn add(&mut self, length: u64, holds: bool) -> *mut u8 {
        let memory = insula_dart_buffer_new(length);
        if memory.is_null() {
            return std::ptr::null_mut();
        }
        self.blocks.push(Block { memory, holds });
        // SAFETY: the arena has a reference.
        unsafe { insula_dart_buffer_data(memory) }
    }
}

/// Makes the arena of the current isolate.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_arena_new() -> *mut c_void {
    Box::into_raw(Box::new(Arena::default())).cast()
}

/// A finalizer: the isolate has ended.
///
/// # Safety
/// `arena` is of `insula_dart_arena_new`, and is not used afterwards.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_arena_gone(arena: *mut c_void) {
    // SAFETY: made by `insula_dart_arena_new`; the VM calls the finalizer once.
    let arena = unsafe { Box::from_raw(arena.cast::<Arena>()) };
    do_later(move || drop(arena));
}

/// `length` zero bytes at a multiple of 16, until the arena goes back; null if there is no room.
///
/// # Safety
/// `arena` is of `insula_dart_arena_new`, and this isolate's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_arena_bytes(
    arena: *mut c_void,
    length: u64,
) -> *mut u8 {
    // SAFETY: alive, and only this isolate uses it, by the caller's word.
    unsafe { &mut *arena.cast::<Arena>() }.add(length, false)
}

/// A place for bytes that the library holds, which are freed when the arena goes back.
///
/// # Safety
/// As for [`insula_dart_arena_bytes`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_arena_held(arena: *mut c_void) -> *mut u8 {
    // SAFETY: as in `insula_dart_arena_bytes`.
    unsafe { &mut *arena.cast::<Arena>() }.add(size_of::<Buffer>() as u64, true)
}

/// How full the arena is.
///
/// # Safety
/// As for [`insula_dart_arena_bytes`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_arena_mark(arena: *mut c_void) -> u64 {
    // SAFETY: as in `insula_dart_arena_bytes`.
    unsafe { &*arena.cast::<Arena>() }.blocks.len() as u64
}

/// Frees what has come since that mark.
///
/// # Safety
/// As for [`insula_dart_arena_bytes`]; nothing that is freed is used afterwards.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_arena_go_back(arena: *mut c_void, mark: u64) {
    // SAFETY: as in `insula_dart_arena_bytes`.
    let arena = unsafe { &mut *arena.cast::<Arena>() };
    arena
        .blocks
        .truncate(usize::try_from(mark).unwrap_or(usize::MAX));
}
