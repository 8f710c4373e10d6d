//! The memory that a process and its child share.
//!
//! It is a file in memory without a name, whose length is sealed, so that no access to its mapping
//! can be behind its end. It is given to the child over a socket. Everything in it is an atomic:
//! the other process may write anything anywhere at any time, and what is read is checked by those
//! who read it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use insula_sync::atomic::{AtomicU32, AtomicU64, Ordering};
use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};

use crate::bell::Bell;
use crate::flight::Flight;
use crate::ring::Shared as Ring;

/// Shared memory, as one of the two processes sees it.
#[derive(Debug)]
pub(crate) struct Region {
    map: MmapRaw,
}

/// One of the two processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Parent,
    Child,
}

/// The words of 32 bits, at the beginning: each in a cache line pair of its own.
const SMALL: usize = 8;
/// The words of 64 bits that are positions.
const POSITIONS: usize = 6;
/// The bytes between two words that different sides write.
const APART: usize = 128;
/// The signs of calls that have begun.
const SIGNS: usize = 4096;
/// The words of a ring.
const RING: usize = 1 << 17;

/// In bytes.
const AT_POSITIONS: usize = SMALL * APART;
const AT_SIGNS: usize = AT_POSITIONS + POSITIONS * APART;
const AT_RINGS: usize = AT_SIGNS + SIGNS * 8;
const LEN: usize = AT_RINGS + 2 * RING * 8;

impl Region {
    /// Makes new memory, and the descriptor for the child.
    pub(crate) fn create() -> io::Result<(Self, OwnedFd)> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("insula-worker", flags)?);
        file.set_len(LEN as u64)?;
        fcntl_add_seals(&file, SEALS)?;
        let region = Self::map(&file)?;
        Ok((region, file.into()))
    }

    /// Maps the memory that a parent has made.
    pub(crate) fn open(descriptor: OwnedFd) -> io::Result<Self> {
        let file = File::from(descriptor);
        let is_ours =
            file.metadata()?.len() == LEN as u64 && fcntl_get_seals(&file)?.contains(SEALS);
        if !is_ours {
            return Err(io::Error::other(
                "the descriptor is not that of a worker's memory",
            ));
        }
        Self::map(&file)
    }

    fn map(file: &File) -> io::Result<Self> {
        let map = MmapOptions::new().len(LEN).map_raw(file)?;
        Ok(Self { map })
    }

    /// The bell of a side.
    pub(crate) fn bell(&self, of: Side) -> Bell<'_> {
        let first = of as usize * 2;
        Bell::new(self.small(first), self.small(first + 1))
    }

    /// The ring that a side writes.
    pub(crate) fn ring(&self, of: Side) -> Ring<'_> {
        let index = of as usize;
        Ring {
            tail: self.position(2 * index),
            head: self.position(2 * index + 1),
            is_full: self.small(4 + index),
            words: self.words(AT_RINGS + index * RING * 8, RING),
        }
    }

    /// The segments that a side sends, of which so many may be on their way.
    pub(crate) fn flight(&self, of: Side, most: u64) -> Flight<'_> {
        Flight {
            taken: self.position(4 + of as usize),
            is_awaited: self.small(6 + of as usize),
            most,
        }
    }

    /// Leaves the sign that the handler of a call is about to run.
    pub(crate) fn mark_begun(&self, call: u64) {
        // Release pairs with `has_begun`, in the other process and after the end of this one. The last
        // number, which no parent gives out, leaves none.
        let sign = call.wrapping_add(1);
        self.sign(call).store(sign, Ordering::Release);
    }

    /// Returns whether there is the sign of a call, which this side has given its number.
    pub(crate) fn has_begun(&self, call: u64) -> bool {
        self.sign(call).load(Ordering::Acquire) == call.wrapping_add(1)
    }

    /// The sign of a call. Its calls have consecutive numbers, and fewer are open at once than there
    /// are signs.
    fn sign(&self, call: u64) -> &AtomicU64 {
        &self.words(AT_SIGNS, SIGNS)[call as usize % SIGNS]
    }

    fn position(&self, index: usize) -> &AtomicU64 {
        &self.words(AT_POSITIONS + index * APART, 1)[0]
    }

    fn small(&self, index: usize) -> &AtomicU32 {
        assert!(index < SMALL, "there is such a word");
        let at = self.map.as_ptr().wrapping_add(index * APART).cast::<u32>();
        // SAFETY: the address is inside of the mapping, which is as long as its file for as long as
        // `self` lives, since the length is sealed; it is aligned, since the mapping begins with a
        // page; and these bytes are accessed as this atomic only, here and in the other process.
        unsafe { AtomicU32::from_ptr(at.cast_mut()) }
    }

    fn words(&self, at: usize, count: usize) -> &[AtomicU64] {
        assert!(at.is_multiple_of(8) && at >= AT_POSITIONS && at + count * 8 <= LEN);
        let first = self.map.as_ptr().wrapping_add(at).cast::<AtomicU64>();
        // SAFETY: as in `small`: inside of the mapping, aligned, and accessed as atomics of this size
        // only, which have the layout of `u64`.
        unsafe { std::slice::from_raw_parts(first, count) }
    }
}

const SEALS: SealFlags = SealFlags::SHRINK
    .union(SealFlags::GROW)
    .union(SealFlags::SEAL);

impl Side {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Parent => Self::Child,
            Self::Child => Self::Parent,
        }
    }
}

#[cfg(test)]
mod tests;
