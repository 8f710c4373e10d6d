//! The order of calls of different shares: start-time fair queueing (Goyal, Vin and Cheng 1996).
//!
//! A call gets a *tag* when it comes: the tag of the call that was started last, or the one that follows
//! its predecessor of the same share, whichever is later. Calls of one share follow each other at a
//! distance of 1, divided by the weight of the share. The call with the lowest tag starts first, and
//! of equal ones the one that came first. So while several shares have calls that wait, they start in
//! proportion to the weights, and a share that had none for a while gets no more than that afterwards.
//!
//! Each priority has an order of its own. Calls with keys take no part.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;

use insula_rpc::Share;

use super::order::Rank;
use crate::queues::Key;

/// The waiting calls of all shares, in the order in which they start.
#[derive(Debug, Default)]
pub(super) struct Fair {
    order: BTreeSet<Turn>,
    /// The turn of each waiting call, at the index of its key.
    turns: Vec<Option<Turn>>,
    /// The tag that the next call of a share has at least. Calls without a share have one together.
    shares: HashMap<(Rank, Option<u64>), Tag>,
    /// The number of shares at which those are looked for that say nothing any more.
    most_shares: usize,
    /// The tag of the last call that was started, of each rank.
    last: [Tag; Rank::ALL.len()],
    /// The number of the next call.
    next: u64,
}

/// Never too large: a call adds at most [`DISTANCE`].
type Tag = u128;

/// The place of a call in the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    rank: Rank,
    tag: Tag,
    number: u64,
    key: Key,
}

/// The distance of the calls of a share with weight 1.
const DISTANCE: Tag = 1 << 32;

/// The shares that are kept without a look.
const FEW: usize = 64;

impl Fair {
    /// A call comes that is pinned to no worker.
    pub(super) fn come(&mut self, rank: Rank, share: Option<Share>, key: Key) {
        let weight = share.map_or(NonZeroU32::MIN, Share::weight);
        let last = self.last[rank as usize];
        let following = self.shares.entry((rank, share.map(Share::key)));
        let following = following.or_default();
        let tag = last.max(*following);
        *following = tag + DISTANCE / Tag::from(weight.get());
        let number = self.next;
        self.next += 1;
        let turn = Turn {
            rank,
            tag,
            number,
            key,
        };
        let index = key.index();
        if self.turns.len() <= index {
            self.turns.resize(index + 1, None);
        }
        self.turns[index] = Some(turn);
        self.order.insert(turn);
        self.forget_shares();
    }

    /// The call of a rank that starts next.
    pub(super) fn first(&self, rank: Rank) -> Option<Key> {
        let least = Turn {
            rank,
            tag: 0,
            number: 0,
            key: Key::from_bits(0),
        };
        let first = self.order.range(least..).next()?;
        (first.rank == rank).then_some(first.key)
    }

    /// A call starts.
    pub(super) fn start(&mut self, key: Key) {
        if let Some(turn) = self.forget(key) {
            let last = &mut self.last[turn.rank as usize];
            *last = turn.tag.max(*last);
        }
        self.settle();
    }

    /// A call leaves without being started, or takes no part.
    pub(super) fn leave(&mut self, key: Key) {
        self.forget(key);
        self.settle();
    }

    /// If nobody waits, nobody has had more than others.
    fn settle(&mut self) {
        if self.order.is_empty() {
            self.clear();
        }
    }

    /// All calls leave.
    pub(super) fn clear(&mut self) {
        self.order.clear();
        self.turns.clear();
        self.shares.clear();
        self.last = Default::default();
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        assert_eq!(self.turns.iter().flatten().count(), self.order.len());
        self.order.len()
    }

    #[cfg(test)]
    pub(super) fn shares(&self) -> usize {
        self.shares.len()
    }

    fn forget(&mut self, key: Key) -> Option<Turn> {
        let turn = self.turns.get_mut(key.index())?;
        // The place of one that takes no part may have been that of another call.
        let turn = turn.take_if(|turn| turn.key == key)?;
        self.order.remove(&turn);
        Some(turn)
    }

    /// Forgets the shares whose next call would come as if it were their first. At twice the number
    /// that was left the last time, so that it costs little for each call.
    fn forget_shares(&mut self) {
        if self.shares.len() < self.most_shares.max(FEW) {
            return;
        }
        let last = self.last;
        self.shares
            .retain(|&(rank, _), following| *following > last[rank as usize]);
        self.most_shares = 2 * self.shares.len();
    }
}
