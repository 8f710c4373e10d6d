//! A tree of combinations whose shape depends on the number of its leaves alone.
//!
//! The left part of a node has as many leaves as the largest power of two that is less than those
//! of the node. The same shape results from combining neighbors, then neighboring results, and so
//! on, where the last one of an odd number is passed on unchanged.

use std::ops::Range;

use crate::pools::Place;

/// Combines the results of `leaf` for each number of `leaves`, of which there must be one at least.
/// In a pool, parts of the tree with more than `grain` leaves are split between its threads.
///
/// The depth of the recursion is that of the tree: at most the bits of a `usize`.
pub(crate) fn tree<R: Send>(
    place: Place,
    leaves: Range<usize>,
    grain: usize,
    leaf: &(impl Fn(usize) -> R + Sync),
    combine: &(impl Fn(R, R) -> R + Sync),
) -> R {
    let count = leaves.len();
    debug_assert!(count > 0, "a tree has leaves");
    if count <= 1 {
        return leaf(leaves.start);
    }
    let middle = leaves.start + (1 << (count - 1).ilog2());
    let left = || tree(place, leaves.start..middle, grain, leaf, combine);
    let right = || tree(place, middle..leaves.end, grain, leaf, combine);
    let (left, right) = match place {
        Place::Pool if count > grain => rayon::join(left, right),
        Place::Pool | Place::Caller => (left(), right()),
    };
    combine(left, right)
}
