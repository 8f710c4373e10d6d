//! Chained blocks of words, and the runner's position in a chain that it took.
//!
//! Holders of the lane's lock write a block; then the runner alone reads it. The lock orders the
//! two. There are two sizes. The first block of a chain fits the allocator's fast sizes, so a
//! lane with a few records stays small. The others are large, and each thread keeps a few spent
//! ones, because the allocator returns such blocks to the operating system and gets them anew,
//! page by page.

use std::alloc::{self, Layout};
use std::cell::{Cell, RefCell};
use std::ptr;

use crate::memory::record::Head;

const SMALL_BYTES: usize = 1008;
const LARGE_BYTES: usize = 16 << 10;

/// The number of large blocks that a thread keeps: 128 KiB.
const KEPT: usize = 8;

thread_local! {
    /// Spent large blocks of this thread.
    static SPENT: RefCell<Spent> = const { RefCell::new(Spent([BlockPtr::NONE; KEPT], 0)) };
}

struct Spent([BlockPtr; KEPT], usize);

impl Spent {
    fn take(&mut self) -> Option<BlockPtr> {
        self.1 = self.1.checked_sub(1)?;
        Some(self.0[self.1])
    }

    /// Keeps the block, or returns it if there is no room.
    fn keep(&mut self, block: BlockPtr) -> Option<BlockPtr> {
        let Some(place) = self.0.get_mut(self.1) else {
            return Some(block);
        };
        *place = block;
        self.1 += 1;
        None
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        while let Some(block) = self.take() {
            block.deallocate();
        }
    }
}

#[repr(C)]
struct Header {
    next: BlockPtr,
    /// Number of words that hold records; set when the block is sealed or taken.
    len: u32,
    /// Number of words after this header.
    capacity: u32,
}

const HEADER_BYTES: usize = size_of::<Header>();

/// A pointer to an owned block, or null. Copying it copies the pointer, not the duty to free.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockPtr(*mut Header);

impl BlockPtr {
    pub(super) const NONE: Self = Self(ptr::null_mut());

    /// Returns a block for a chain whose last block has `capacity` words; 0 if the chain is empty.
    pub(super) fn allocate_after(capacity: u32) -> Self {
        if capacity == 0 {
            return Self::allocate(SMALL_BYTES);
        }
        // The thread's destructors may already have freed the spent blocks.
        let spent = SPENT
            .try_with(|spent| spent.borrow_mut().take())
            .ok()
            .flatten();
        spent.unwrap_or_else(|| Self::allocate(LARGE_BYTES))
    }

    fn allocate(bytes: usize) -> Self {
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
        // SAFETY: newly allocated, large enough for a header and aligned for it.
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

    /// Returns the address of a word. `index` must not exceed the capacity.
    #[inline]
    pub(super) fn word(self, index: u32) -> *mut u64 {
        self.0
            .wrapping_add(1)
            .cast::<u64>()
            .wrapping_add(index as usize)
    }

    /// Ends writing to this block at `len` words, and makes `next` its successor.
    pub(super) fn seal(self, len: u32, next: Self) {
        // SAFETY: the block is live, and only the caller has access to it: as the holder of its
        // lane, or as the runner that took it.
        let header = unsafe { &mut *self.0 };
        header.len = len;
        header.next = next;
    }

    /// Frees the block. Records in it are forgotten, not dropped.
    #[inline]
    pub(crate) fn free(self) {
        if !self.0.is_null() {
            self.free_block();
        }
    }

    #[inline(never)]
    fn free_block(self) {
        let mut left = Some(self);
        // The allocator itself keeps small blocks at hand.
        if self.capacity() as usize * 8 > SMALL_BYTES {
            self.seal(0, Self::NONE);
            if let Ok(unkept) = SPENT.try_with(|spent| spent.borrow_mut().keep(self)) {
                left = unkept;
            }
        }
        if let Some(block) = left {
            block.deallocate();
        }
    }

    fn deallocate(self) {
        let layout = layout(self.capacity() as usize);
        // SAFETY: allocated with this layout, and not used after this call.
        unsafe { alloc::dealloc(self.0.cast(), layout) };
    }
}

fn layout(capacity: usize) -> Layout {
    // At most LARGE_BYTES, so this cannot overflow an `isize`.
    Layout::from_size_align(HEADER_BYTES + capacity * 8, 8).expect("block sizes are small")
}

/// The chain that the runner took, and the runner's position in it. Owned by the runner.
pub(crate) struct Burst {
    block: Cell<BlockPtr>,
    /// The next record, and the end of the records in `block`.
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

    /// Takes a chain over. Returns the spent block of the previous one, emptied.
    pub(super) fn exchange(&self, head: BlockPtr, tail: BlockPtr, len: u32) -> BlockPtr {
        tail.seal(len, BlockPtr::NONE);
        let spent = self.block.get();
        self.read(head);
        if !spent.0.is_null() {
            spent.seal(0, BlockPtr::NONE);
        }
        spent
    }

    /// Returns the next record, which the caller must deliver or discard before the next call.
    ///
    /// # Safety
    /// The caller is the isolate's runner.
    #[inline]
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

    /// Frees the block that has been read and moves to the next; keeps the last one for reuse.
    #[inline(never)]
    fn advance(&self) -> Option<*const u64> {
        let spent = self.block.get();
        // SAFETY: null, or a block of this runner.
        let next = unsafe { spent.0.as_ref() }?.next;
        if next.0.is_null() {
            return None;
        }
        spent.free();
        Some(self.read(next))
    }

    /// Starts to read a block that holds records.
    fn read(&self, block: BlockPtr) -> *const u64 {
        let at = block.word(0).cast_const();
        self.block.set(block);
        self.at.set(at);
        // SAFETY: not null, sealed, and owned by this runner.
        self.end.set(block.word(unsafe { (*block.0).len }));
        at
    }

    /// Returns whether all records have been read.
    pub(crate) fn is_empty(&self) -> bool {
        let block = self.block.get();
        // SAFETY: null, or a block of this runner.
        let next = unsafe { block.0.as_ref() }.map_or(ptr::null_mut(), |block| block.next.0);
        self.at.get() == self.end.get() && next.is_null()
    }

    /// Takes the spent block out. Call it only after all records have been read.
    #[inline]
    pub(crate) fn take_spent(&self) -> BlockPtr {
        self.at.set(ptr::null());
        self.end.set(ptr::null());
        self.block.replace(BlockPtr::NONE)
    }
}
