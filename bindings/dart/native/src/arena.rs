//! Scratch memory of Dart isolates: the memory that the package needs for the duration of one call.
//!
//! Dart frees memory in a `finally`, which does not run when a kill unwinds the isolate. So all of
//! the memory belongs to an *arena*, of which each isolate has one. Before a call the package
//! stores how full the arena is (its *mark*), and frees down to that mark afterwards. Memory that a
//! killed isolate has left in its arena is freed by the arena's finalizer.
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
    /// `true` for a place for bytes that the library holds, which are freed with the block.
    holds: bool,
}

// SAFETY: a block is a reference to a buffer, which may be released on any thread.
unsafe impl Send for Block {}

impl Drop for Block {
    fn drop(&mut self) {
        if self.holds {
            // SAFETY: the block has a reference until the end of this function.
            let place = unsafe { insula_dart_buffer_data(self.memory) };
            // SAFETY: aligned; zero at first, and a buffer once the library has written one.
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
    /// Allocates a block of zero bytes at a multiple of 16. Returns null if there is no room.
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

/// Creates the arena of the current isolate.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn insula_dart_arena_new() -> *mut c_void {
    Box::into_raw(Box::new(Arena::default())).cast()
}

/// Frees an arena. The finalizer at the end of its isolate.
///
/// # Safety
/// `arena` is from `insula_dart_arena_new`, and is not used afterwards.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_arena_gone(arena: *mut c_void) {
    // SAFETY: made by `insula_dart_arena_new`; the VM calls the finalizer once.
    let arena = unsafe { Box::from_raw(arena.cast::<Arena>()) };
    // A block may hold bytes of the library, and to free those is not for the middle of a
    // collection.
    do_later(move || drop(arena));
}

/// Allocates `length` zero bytes at a multiple of 16, until the arena is freed down to an earlier
/// mark. Returns null if there is no room.
///
/// # Safety
/// `arena` is from `insula_dart_arena_new`, and belongs to the current isolate.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_arena_bytes(
    arena: *mut c_void,
    length: u64,
) -> *mut u8 {
    // SAFETY: alive, and used only by this isolate, as the caller promised.
    unsafe { &mut *arena.cast::<Arena>() }.add(length, false)
}

/// Allocates a place for bytes that the library holds, which are freed with the place.
///
/// # Safety
/// As for [`insula_dart_arena_bytes`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_arena_held(arena: *mut c_void) -> *mut u8 {
    // SAFETY: as in `insula_dart_arena_bytes`.
    unsafe { &mut *arena.cast::<Arena>() }.add(size_of::<Buffer>() as u64, true)
}

/// Returns the mark of the arena.
///
/// # Safety
/// As for [`insula_dart_arena_bytes`].
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn insula_dart_arena_mark(arena: *mut c_void) -> u64 {
    // SAFETY: as in `insula_dart_arena_bytes`.
    unsafe { &*arena.cast::<Arena>() }.blocks.len() as u64
}

/// Frees everything that was allocated since a mark.
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
