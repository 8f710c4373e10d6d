//! Whose calls a call counts among.

use std::hash::Hash;
use std::num::NonZeroU32;

use crate::fnv;

/// One of those that share a pool, such as a tenant or a user, and its part: see
/// [`Call::share`](crate::Call::share).
///
/// ```
/// use insula_rpc::Share;
///
/// let (small, large) = (Share::of("small customer"), Share::of("large customer").weighted(4));
/// assert_ne!(small.key(), large.key());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Share {
    key: u64,
    weight: NonZeroU32,
}

impl Share {
    /// The share of everything with this key, with weight 1. Of the key only a hash with 64 bits is
    /// kept, the same in every program.
    pub fn of(key: impl Hash) -> Self {
        Self::from_hash(fnv::hash(&key))
    }

    pub(crate) fn from_hash(key: u64) -> Self {
        let weight = NonZeroU32::MIN;
        Self { key, weight }
    }

    /// Has so many calls start for each one of a share with weight 1, while both wait. A weight of 0
    /// is taken as 1.
    pub fn weighted(self, weight: u32) -> Self {
        let weight = NonZeroU32::new(weight).unwrap_or(NonZeroU32::MIN);
        Self { weight, ..self }
    }

    /// Returns the hash of the key.
    pub fn key(self) -> u64 {
        self.key
    }

    /// Returns the weight.
    pub fn weight(self) -> NonZeroU32 {
        self.weight
    }
}
