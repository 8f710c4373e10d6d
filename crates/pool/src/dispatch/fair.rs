//! The order of calls of different shares: start-time fair queueing (Goyal, Vin and Cheng 1996).
//!
//! Each share that waits has a *tag*. The share with the lowest one has the next turn: its oldest call
//! starts, and its tag grows by a distance of 1, divided by the weight of this call. Of equal tags the
//! share whose call came first has the turn. A share that begins to wait gets the tag of the last turn,
//! or the one that its own last turn left to it, whichever is later. So while several shares wait, their
//! calls start in proportion to the weights, and a share that had none for a while gets no more than that
//! afterwards. A call that leaves without being started costs its share nothing.
//!
//! Each priority has an order of its own. Calls with keys take no part.
//!
//! A call that waits alone needs no order, and most do: it is kept apart until a second one comes.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;

use insula_rpc::Share;

use super::order::Rank;
use crate::queues::Key;

/// The waiting calls of all shares.
#[derive(Debug, Default)]
pub(super) struct Fair {
    /// The only call that waits, which is in none of the others. They are empty then.
    lone: Option<Entry>,
    /// The shares that wait, in the order of their turns.
    order: BTreeSet<Turn>,
    shares: HashMap<ShareId, Waiting>,
    /// Each waiting call, at the index of its key.
    calls: Vec<Option<Entry>>,
    /// The number of shares at which those are looked for that say nothing any more.
    most_shares: usize,
    /// The tag of the last turn, of each rank.
    last: [Tag; Rank::ALL.len()],
    /// The number of the next call.
    next: u64,
}

/// Never too large: a turn adds at most [`DISTANCE`].
type Tag = u128;

/// A share within a rank. Calls without a share have one together.
type ShareId = (Rank, Option<u64>);

/// The next turn of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    rank: Rank,
    tag: Tag,
    /// That of its oldest call.
    number: u64,
    share: Option<u64>,
}

/// The state of a share.
#[derive(Debug, Default)]
struct Waiting {
    /// That of its next turn, or the least that this may have.
    tag: Tag,
    /// Its calls, the oldest first, by their numbers.
    calls: BTreeSet<(u64, Key)>,
}

/// A call that waits.
#[derive(Debug, Clone, Copy)]
struct Entry {
    key: Key,
    number: u64,
    share: ShareId,
    weight: NonZeroU32,
}

/// The distance of the turns of a share with weight 1.
const DISTANCE: Tag = 1 << 32;

/// The shares that are kept without a look.
const FEW: usize = 64;

impl Fair {
    /// A call comes that is pinned to no worker.
    pub(super) fn come(&mut self, rank: Rank, share: Option<Share>, key: Key) {
        let entry = Entry {
            key,
            number: self.next,
            share: (rank, share.map(Share::key)),
            weight: share.map_or(NonZeroU32::MIN, Share::weight),
        };
        self.next += 1;
        if let Some(lone) = self.lone.take() {
            self.line_up(lone);
        } else if self.order.is_empty() {
            self.lone = Some(entry);
            return;
        }
        self.line_up(entry);
    }

    /// Puts a call into the order of its rank.
    fn line_up(&mut self, entry: Entry) {
        self.forget_shares();
        let key = entry.key;
        let index = key.index();
        if self.calls.len() <= index {
            self.calls.resize(index + 1, None);
        }
        self.calls[index] = Some(entry);
        let last = self.last[entry.share.0 as usize];
        let waiting = self.shares.entry(entry.share).or_default();
        let is_first = waiting.calls.is_empty();
        waiting.calls.insert((entry.number, key));
        if is_first {
            waiting.tag = waiting.tag.max(last);
            let turn = waiting.turn(entry.share);
            self.order.extend(turn);
        }
    }

    /// The call of a rank that starts next.
    pub(super) fn first(&self, rank: Rank) -> Option<Key> {
        if let Some(lone) = self.lone {
            return (lone.share.0 == rank).then_some(lone.key);
        }
        let least = Turn {
            rank,
            tag: 0,
            number: 0,
            share: None,
        };
        let turn = self.order.range(least..).next()?;
        let waiting = self.shares.get(&(turn.rank, turn.share))?;
        let (_, key) = waiting.calls.first()?;
        (turn.rank == rank).then_some(*key)
    }

    /// A call starts.
    pub(super) fn start(&mut self, key: Key) {
        self.take(key, true);
    }

    /// A call leaves without being started, or takes no part.
    pub(super) fn leave(&mut self, key: Key) {
        self.take(key, false);
    }

    fn take(&mut self, key: Key, starts: bool) {
        // Whether it starts or not: if nobody waits, nobody has had more than others.
        if self.lone.take_if(|lone| lone.key == key).is_some() {
            return;
        }
        // The place of one that takes no part may have been that of another call.
        let place = self.calls.get_mut(key.index());
        let Some(entry) = place.and_then(|it| it.take_if(|it| it.key == key)) else {
            return;
        };
        let Some(waiting) = self.shares.get_mut(&entry.share) else {
            return;
        };
        if let Some(turn) = waiting.turn(entry.share) {
            self.order.remove(&turn);
        }
        waiting.calls.remove(&(entry.number, key));
        if starts {
            let last = &mut self.last[entry.share.0 as usize];
            *last = waiting.tag.max(*last);
            waiting.tag += DISTANCE / Tag::from(entry.weight.get());
        }
        self.order.extend(waiting.turn(entry.share));
        // If nobody waits, nobody has had more than others.
        if self.order.is_empty() {
            self.clear();
        }
    }

    /// All calls leave.
    pub(super) fn clear(&mut self) {
        self.lone = None;
        self.order.clear();
        self.calls.clear();
        self.shares.clear();
        self.last = Default::default();
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let waiting = self.shares.values().map(|it| it.calls.len()).sum();
        assert_eq!(self.calls.iter().flatten().count(), waiting);
        assert!(self.lone.is_none() || waiting == 0);
        waiting + usize::from(self.lone.is_some())
    }

    #[cfg(test)]
    pub(super) fn shares(&self) -> usize {
        self.shares.len()
    }

    /// Forgets the shares whose next call would come as if it were their first. At twice the number
    /// that was left the last time, so that it costs little for each call.
    fn forget_shares(&mut self) {
        if self.shares.len() < self.most_shares.max(FEW) {
            return;
        }
        let last = self.last;
        self.shares.retain(|&(rank, _), waiting| {
            !waiting.calls.is_empty() || waiting.tag > last[rank as usize]
        });
        self.most_shares = 2 * self.shares.len();
    }
}

impl Waiting {
    /// Its next turn, if it waits.
    fn turn(&self, (rank, share): ShareId) -> Option<Turn> {
        let &(number, _) = self.calls.first()?;
        Some(Turn {
            rank,
            tag: self.tag,
            number,
            share,
        })
    }
}
