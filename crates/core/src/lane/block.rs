//! Blocks of words, chained, and the runner's place in a chain that it took.
//!
//! A block is written by holders of the lane's lock, then read by the runner alone; the lock
//! orders the two. The first block fits the allocator's fast sizes, each further one of a
//! backlog is twice the last, up to [`MAX_BYTES`].

use std::alloc::{self, Layout};
use std::cell::Cell;
use std::ptr;

use crate::record::Head;

const FIRST_BYTES: usize = 1008;
const MAX_BYTES: usize = 16 << 10;

#[repr(C)]
struct Header {
    next: BlockPtr,
    /// Words that hold records; set when the block is sealed or taken.
    len: u32,
    /// Words behind this header.
    capacity: u32,
}

const HEADER_BYTES: usize = size_of::<Header>();

/// An owned, maybe absent block. Copying it copies the pointer, not the duty to free it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockPtr(*mut Header);

impl BlockPtr {
    pub(super) const NONE: Self = Self(ptr::null_mut());

    /// A new block, larger than one of `capacity` words.
    pub(super) fn allocate_after(capacity: u32) -> Self {
        let bytes = match capacity as usize {
            0 => FIRST_BYTES,
            words => (words * 8 * 2).clamp(FIRST_BYTES, MAX_BYTES - HEADER_BYTES) + HEADER_BYTES,
        };
        let capacity = (bytes - HEADER_BYTES) / 8;
        let layout = layout(capacity);
        // SAFETY: the layout is never empty.
        let block = unsafe { alloc::alloc(layout) }.cast::<Header>();
        if block.is_null() {
            alloc::handle_alloc_error(layout);
        }
        let header = Header {
            next: Self::NONE,
            len: 0,
            capacity: capacity as u32,
        };
        // SAFETY: fresh memory of at least a header's size, aligned for it.
        unsafe { block.write(header) };
        Self(block)
    }

    #[inline]
    pub(super) fn capacity(self) -> u32 {
        if self.0.is_null() {
            return 0;
        }
        // SAFETY: not null, so a live block; `capacity` never changes.
        unsafe { (*self.0).capacity }
    }

    /// The address of a word. The caller stays within the capacity.
    #[inline(always)]
    pub(super) fn word(self, index: u32) -> *mut u64 {
        self.0
            .wrapping_add(1)
            .cast::<u64>()
            .wrapping_add(index as usize)
    }

    /// No more is written to this block; `next` follows it.
    pub(super) fn seal(self, len: u32, next: Self) {
        // SAFETY: called by the holder of the lane, on a block that nobody else sees.
        let header = unsafe { &mut *self.0 };
        header.len = len;
        header.next = next;
    }

    /// Gives the memory back. Records in it are forgotten, not dropped.
    pub(crate) fn free(self) {
        if self.0.is_null() {
            return;
        }
        let layout = layout(self.capacity() as usize);
        // SAFETY: allocated with this very layout, and this was the last use of the block.
        unsafe { alloc::dealloc(self.0.cast(), layout) };
    }
}

fn layout(capacity: usize) -> Layout {
    // At most MAX_BYTES, so this cannot overflow an `isize`.
    Layout::from_size_align(HEADER_BYTES + capacity * 8, 8).expect("block sizes are small")
}

/// The chain that the runner took, and how far it has read. Owned by the runner.
pub(crate) struct Burst {
    block: Cell<BlockPtr>,
    /// The next record, and the end of those in `block`.
    at: Cell<*const u64>,
    end: Cell<*const u64>,
}

impl Burst {
    pub(crate) const fn new() -> Self {
        Self {
            block: Cell::new(BlockPtr::NONE),
            at: Cell::new(ptr::null()),
            end: Cell::new(ptr::null()),
        }
    }

    /// Takes a chain over and gives the spent block of the last one back, emptied.
    pub(super) fn exchange(&self, head: BlockPtr, tail: BlockPtr, len: u32) -> BlockPtr {
        tail.seal(len, BlockPtr::NONE);
        let spent = self.block.get();
        self.read(head);
        if !spent.0.is_null() {
            spent.seal(0, BlockPtr::NONE);
        }
        spent
    }

    /// The next record, which the caller must deliver or discard before the next call.
    ///
    /// # Safety
    /// The caller is the isolate's runner.
    #[inline(always)]
    pub(crate) unsafe fn next(&self) -> Option<(Head, *const u64)> {
        let mut at = self.at.get();
        if at == self.end.get() {
            at = self.advance()?;
        }
        // SAFETY: before the end, and a record begins at each position that is reached.
        let head = unsafe { Head::read_from(at) };
        let payload = at.wrapping_add(1);
        self.at.set(payload.wrapping_add(head.words() as usize));
        Some((head, payload))
    }

    /// Frees the block that has been read and moves on; keeps the last one for reuse.
    #[inline(never)]
    fn advance(&self) -> Option<*const u64> {
        let spent = self.block.get();
        // SAFETY: null or this runner's.
        let next = unsafe { spent.0.as_ref() }?.next;
        if next.0.is_null() {
            return None;
        }
        spent.free();
        Some(self.read(next))
    }

    /// Begins to read a block that holds records.
    fn read(&self, block: BlockPtr) -> *const u64 {
        let at = block.word(0).cast_const();
        self.block.set(block);
        self.at.set(at);
        // SAFETY: not null; sealed, and this runner's now.
        self.end.set(block.word(unsafe { (*block.0).len }));
        at
    }

    /// Hands out the spent block; only when there is nothing left to read.
    #[inline]
    pub(crate) fn take_spent(&self) -> BlockPtr {
        self.at.set(ptr::null());
        self.end.set(ptr::null());
        self.block.replace(BlockPtr::NONE)
    }
}
