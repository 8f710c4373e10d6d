//! How many segments may be on their way, which is bounded.
//!
//! The writer counts those that it has sent, and the reader those that it has taken. A writer without
//! room announces that it waits, and then looks at the count once more; the reader counts first and
//! looks at the announcement then. Each has a fence between its two steps, so at least one of them sees
//! the other. The announcement is none of the ring: the reader of a frame takes that of the ring back
//! before it takes the segments.

use insula_sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

use crate::bell::take;
use crate::ring::{Corrupt, Room};

/// The shared parts of one direction.
#[derive(Clone, Copy)]
pub(crate) struct Flight<'a> {
    /// The segments that were ever taken.
    pub(crate) taken: &'a AtomicU64,
    /// The writer waits until more are taken.
    pub(crate) is_awaited: &'a AtomicU32,
    /// The most that may be on their way.
    pub(crate) most: u64,
}

impl Flight<'_> {
    /// Returns whether so many can be sent after those that were. If not, the reader says so when it has
    /// taken some.
    pub(crate) fn admits(&self, count: u64, sent: u64) -> Result<bool, Corrupt> {
        if self.has_room(count, sent)? {
            return Ok(true);
        }
        self.is_awaited.store(1, Ordering::Relaxed);
        // Pairs with the fence of `took`: either this sees the new count, or the reader that the writer
        // waits.
        fence(Ordering::SeqCst);
        self.has_room(count, sent)
    }

    /// As [`admits`](Self::admits), without the announcement.
    pub(crate) fn has_room(&self, count: u64, sent: u64) -> Result<bool, Corrupt> {
        // Acquire pairs with the count of the reader, which has taken the files before.
        let flying = sent.wrapping_sub(self.taken.load(Ordering::Acquire));
        if flying > self.most {
            return Err(Corrupt);
        }
        Ok(flying + count <= self.most)
    }

    /// So many were taken until now. Returns whether the writer waits for that.
    pub(crate) fn took(&self, taken: u64) -> Room {
        self.taken.store(taken, Ordering::Release);
        // Pairs with the fence of `admits`.
        fence(Ordering::SeqCst);
        if take(self.is_awaited) {
            Room::Awaited
        } else {
            Room::Unneeded
        }
    }
}
