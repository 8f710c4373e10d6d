//! Blocks of words, chained, and the runner's place in a chain that it took.
//!
//! A block is written by holders of the lane's lock, then read by the runner alone; the lock
//! orders the two. There are two sizes: the first block of a chain fits the allocator's fast
//! sizes, so that a lane with a few records stays small; the others are large, and each thread
//! keeps a few spent ones, because the allocator gives such blocks back to the operating
//! system and fetches them again, page by page.

use std::alloc::{self, Layout};
use std::cell::{Cell, RefCell};
use std::ptr;

use crate::memory::record::Head;

const SMALL_BYTES: usize = 1008;
const LARGE_BYTES: usize = 16 << 10;

/// Large blocks that a thread keeps: 128 KiB.
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

    /// Gives the block back if there is no place for it.
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

    /// A block for a chain whose last one has `capacity` words.
    pub(super) fn allocate_after(capacity: u32) -> Self {
        if capacity == 0 {
            return Self::allocate(SMALL_BYTES);
        }
        // A thread that is ending has no spent blocks any more.
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
    #[inline]
    pub(crate) fn free(self) {
        if !self.0.is_null() {
            self.free_block();
        }
    }

    #[inline(never)]
    fn free_block(self) {
        let mut left = Some(self);
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
        // SAFETY: allocated with this very layout, and this was the last use of the block.
        unsafe { alloc::dealloc(self.0.cast(), layout) };
    }
}

fn layout(capacity: usize) -> Layout {
    // At most LARGE_BYTES, so this cannot overflow an `isize`.
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

    /// Whether all records have been read.
    pub(crate) fn is_empty(&self) -> bool {
        let block = self.block.get();
        // SAFETY: null or this runner's.
        let next = unsafe { block.0.as_ref() }.map_or(ptr::null_mut(), |block| block.next.0);
        self.at.get() == self.end.get() && next.is_null()
    }

    /// Hands out the spent block; only when there is nothing left to read.
    #[inline]
    pub(crate) fn take_spent(&self) -> BlockPtr {
        self.at.set(ptr::null());
        self.end.set(ptr::null());
        self.block.replace(BlockPtr::NONE)
    }
}
