//! A ring of words in shared memory: frames from one process to the other.
//!
//! # What is in it
//! A frame is a word with its length in bytes and a mark of its writer, and then its bytes in words of
//! eight, the last one filled up with zeros. A frame may be longer than the ring: it is written as there
//! is room, and read as it comes.
//!
//! # Positions
//! *Tail* is the number of words that were ever written, *head* of those that were ever read. Each is
//! written by one side alone, and each side keeps a copy of its own. So what the other side does to
//! the memory can give wrong words, and a wrong number of them, but never an access outside of the
//! ring: a position of the other side is checked once, as it is read, and a frame is as long as its
//! length said when it was read. Words are read and written as relaxed atomics, so that a side that
//! writes where it must not is no data race.
//!
//! Release of a position pairs with Acquire of the other side: of the tail, so that the words are
//! seen that were written before it; of the head, so that words are not written before they were
//! read.

use std::fmt;

use insula_sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::bell::take;

/// The shared parts of a ring.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    pub(crate) tail: &'a AtomicU64,
    pub(crate) head: &'a AtomicU64,
    /// The producer waits for room.
    pub(crate) is_full: &'a AtomicU32,
    /// A power of two.
    pub(crate) words: &'a [AtomicU64],
}

/// The positions of the other side make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other process has written over the shared memory")
    }
}

/// The side that writes.
#[derive(Default)]
pub(crate) struct Producer {
    tail: u64,
    /// The frame that is being written, and the number of its words that are.
    frame: Option<(Frame, usize)>,
}

/// The side that reads.
#[derive(Default)]
pub(crate) struct Consumer {
    head: u64,
    /// The frame that is being read, and its length.
    frame: Option<(Frame, usize)>,
}

/// A frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) bytes: Vec<u8>,
    /// A number beside the bytes.
    pub(crate) mark: u16,
}

/// The bits of the first word that are the length.
const LENGTH_BITS: u32 = 48;

/// What one step of a side has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Words have moved.
    Moved,
    Nothing,
}

impl Shared<'_> {
    fn capacity(&self) -> u64 {
        self.words.len() as u64
    }

    /// Returns whether words seem to be there that were not read. Both positions may be lies.
    #[cfg(not(loom))]
    pub(crate) fn seems_to_have_input(&self) -> bool {
        let relaxed = Ordering::Relaxed;
        self.tail.load(relaxed) != self.head.load(relaxed)
    }

    fn word(&self, position: u64) -> &AtomicU64 {
        let index = position & (self.capacity() - 1);
        &self.words[index as usize]
    }
}

impl Producer {
    /// Returns whether a frame can be given to it.
    pub(crate) fn is_free(&self) -> bool {
        self.frame.is_none()
    }

    /// Returns whether there is something to do for a frame that is partly written.
    pub(crate) fn can_go_on(&self, ring: Shared<'_>) -> bool {
        // Also to find out that the other side has written over its position.
        self.frame.is_some() && room(ring, self.tail) != Ok(0)
    }

    /// Begins with a frame. The one before has to be written.
    pub(crate) fn begin(&mut self, frame: Frame) {
        self.frame = Some((frame, 0));
    }

    /// Writes as much of the frame as there is room for. If that is not all, the reader rings when
    /// there is more.
    pub(crate) fn write(&mut self, ring: Shared<'_>) -> Result<Step, Corrupt> {
        let Some((frame, written)) = &mut self.frame else {
            return Ok(Step::Nothing);
        };
        let words = 1 + frame.bytes.len().div_ceil(8);
        let mut room = room(ring, self.tail)?;
        if room < words - *written {
            ring.is_full.store(1, Ordering::Relaxed);
            // Pairs with the fence of `read`: either this sees the new head, or the reader that the
            // writer waits.
            fence(Ordering::SeqCst);
            room = self::room(ring, self.tail)?;
        }
        let count = room.min(words - *written);
        for number in *written..*written + count {
            let word = match number {
                0 => u64::from(frame.mark) << LENGTH_BITS | frame.bytes.len() as u64,
                _ => word_of(&frame.bytes, number - 1),
            };
            ring.word(self.tail).store(word, Ordering::Relaxed);
            self.tail += 1;
        }
        *written += count;
        if *written == words {
            self.frame = None;
        }
        ring.tail.store(self.tail, Ordering::Release);
        Ok(if count == 0 {
            Step::Nothing
        } else {
            Step::Moved
        })
    }
}

/// Returns the number of words that can be written behind `tail`.
fn room(ring: Shared<'_>, tail: u64) -> Result<usize, Corrupt> {
    let used = tail.wrapping_sub(ring.head.load(Ordering::Acquire));
    let room = ring.capacity().checked_sub(used).ok_or(Corrupt)?;
    Ok(room as usize)
}

fn word_of(frame: &[u8], number: usize) -> u64 {
    let rest = &frame[number * 8..];
    match rest.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            u64::from_le_bytes(bytes)
        }
    }
}

impl Consumer {
    /// Returns whether there are words that were not read.
    pub(crate) fn has_input(&self, ring: Shared<'_>) -> bool {
        ring.tail.load(Ordering::Acquire) != self.head
    }

    /// Reads the next frame, of at most `most` bytes, as far as it is there. Returns it once it is
    /// complete, and whether the writer waits for the room.
    pub(crate) fn read(
        &mut self,
        ring: Shared<'_>,
        most: usize,
    ) -> Result<(Option<Frame>, Room), Corrupt> {
        let there = ring.tail.load(Ordering::Acquire).wrapping_sub(self.head);
        if there > ring.capacity() {
            return Err(Corrupt);
        }
        if there == 0 {
            return Ok((None, Room::Unneeded));
        }
        let end = self.head + there;
        let frame = self.take(ring, end, most)?;
        ring.head.store(self.head, Ordering::Release);
        // Pairs with the fence of `write`.
        fence(Ordering::SeqCst);
        let is_full = take(ring.is_full);
        let room = if is_full {
            Room::Awaited
        } else {
            Room::Unneeded
        };
        Ok((frame, room))
    }

    /// Takes words up to `end`, or to the end of the frame.
    fn take(&mut self, ring: Shared<'_>, end: u64, most: usize) -> Result<Option<Frame>, Corrupt> {
        let (Frame { mut bytes, mark }, len) = match self.frame.take() {
            Some(frame) => frame,
            None => {
                let word = ring.word(self.head).load(Ordering::Relaxed);
                self.head += 1;
                let mark = (word >> LENGTH_BITS) as u16;
                let len = usize::try_from(word & ((1 << LENGTH_BITS) - 1)).map_err(|_| Corrupt)?;
                if len > most {
                    return Err(Corrupt);
                }
                // What is there, and not what the other side says: more grows as it comes.
                let bytes = Vec::with_capacity(len.min(ring.words.len() * 8));
                (Frame { bytes, mark }, len)
            }
        };
        while bytes.len() < len && self.head < end {
            let word = ring.word(self.head).load(Ordering::Relaxed).to_le_bytes();
            let rest = len - bytes.len();
            bytes.extend_from_slice(&word[..rest.min(8)]);
            self.head += 1;
        }
        if bytes.len() == len {
            return Ok(Some(Frame { bytes, mark }));
        }
        self.frame = Some((Frame { bytes, mark }, len));
        Ok(None)
    }
}

/// Whether the writer waits for room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Awaited,
    Unneeded,
}

#[cfg(all(test, not(loom)))]
mod tests;
