//! First-in-first-out queues in one memory, from whose middle an entry can be taken in constant
//! time.
//!
//! Each queue is a linked list in a shared vector of nodes; free nodes form one more list. A
//! [`Key`] names an entry and carries the generation of its node, so that a key of an entry that
//! has left never reaches the one that took its place. Each entry also has a number, by which
//! entries of different queues can be compared: the lower one came first. The vector grows to the
//! largest number of entries there ever was.

use std::ops::Range;

/// Names an entry of [`Queues`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
pub(crate) struct Queues<T> {
    nodes: Vec<Node<T>>,
    queues: Vec<Ends>,
    free: u32,
    len: usize,
    /// The number of the next entry.
    next: u64,
}

/// The first and the last entry of a queue.
#[derive(Debug, Clone, Copy)]
struct Ends {
    front: u32,
    back: u32,
}

#[derive(Debug)]
struct Node<T> {
    /// `None` while the node is free.
    value: Option<T>,
    /// Counts the entries that this node has held.
    generation: u32,
    number: u64,
    /// The queue of the entry.
    queue: usize,
    previous: u32,
    /// The next entry, or the next free node.
    next: u32,
}

// The index of no node, so that `nodes.get` finds nothing and an end needs no case of its own.
const NIL: u32 = u32::MAX;

impl Key {
    /// Less than the largest number of entries there ever was.
    pub(crate) fn index(self) -> usize {
        self.index as usize
    }

    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(crate) fn from_bits(bits: u64) -> Self {
        let [index, generation] = [bits & u64::from(u32::MAX), bits >> 32];
        Self {
            index: index as u32,
            generation: generation as u32,
        }
    }
}

impl<T> Queues<T> {
    pub(crate) fn new(queues: usize) -> Self {
        let empty = Ends {
            front: NIL,
            back: NIL,
        };
        Self {
            nodes: Vec::new(),
            queues: vec![empty; queues],
            free: NIL,
            len: 0,
            next: 0,
        }
    }

    /// Returns the number of entries of all queues.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of the first entry of a queue.
    pub(crate) fn front(&self, queue: usize) -> Option<u64> {
        let node = self.nodes.get(self.queues[queue].front as usize)?;
        Some(node.number)
    }

    /// The entries of all queues, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.nodes.iter().filter_map(|node| node.value.as_ref())
    }

    /// The entries of a queue with their keys, the first one first.
    pub(crate) fn entries(&self, queue: usize) -> impl Iterator<Item = (Key, &T)> {
        let mut index = self.queues[queue].front;
        std::iter::from_fn(move || {
            let node = self.nodes.get(index as usize)?;
            let generation = node.generation;
            let key = Key { index, generation };
            index = node.next;
            Some((key, node.value.as_ref()?))
        })
    }

    pub(crate) fn push(&mut self, queue: usize, value: T) -> Key {
        let index = self.node(value);
        self.link(queue, index);
        self.len += 1;
        Key {
            index,
            generation: self.nodes[index as usize].generation,
        }
    }

    pub(crate) fn pop(&mut self, queue: usize) -> Option<T> {
        self.take(self.queues[queue].front)
    }

    /// As [`pop`](Self::pop), with the key that the entry had.
    pub(crate) fn pop_with_key(&mut self, queue: usize) -> Option<(T, Key)> {
        let index = self.queues[queue].front;
        let generation = self.nodes.get(index as usize)?.generation;
        Some((self.take(index)?, Key { index, generation }))
    }

    /// Takes an entry from wherever it is; `None` if it has left.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let node = self.nodes.get(key.index as usize)?;
        if node.generation != key.generation {
            return None;
        }
        self.take(key.index)
    }

    /// Takes those entries of a queue that are as described.
    pub(crate) fn extract(&mut self, queue: usize, is: impl Fn(&T) -> bool) -> Vec<(T, Key)> {
        let mut found = Vec::new();
        let mut index = self.queues[queue].front;
        while let Some(node) = self.nodes.get(index as usize) {
            let (generation, next) = (node.generation, node.next);
            if node.value.as_ref().is_some_and(&is)
                && let Some(value) = self.take(index)
            {
                found.push((value, Key { index, generation }));
            }
            index = next;
        }
        found
    }

    /// Takes the first entry of all.
    pub(crate) fn pop_oldest(&mut self) -> Option<(T, Key)> {
        self.pop_oldest_of(0..self.queues.len())
    }

    /// Takes the first entry of some queues.
    pub(crate) fn pop_oldest_of(&mut self, queues: Range<usize>) -> Option<(T, Key)> {
        let fronts = queues.filter_map(|queue| Some((self.front(queue)?, queue)));
        let (_, queue) = fronts.min()?;
        self.pop_with_key(queue)
    }

    /// Puts each entry of some queues into the one where it belongs. Their keys stay, and each queue
    /// has its entries in the order in which they came.
    pub(crate) fn sort_out(&mut self, queues: Range<usize>, to: impl Fn(&T) -> usize) {
        let mut found = Vec::new();
        for queue in queues {
            let mut index = self.queues[queue].front;
            while let Some(node) = self.nodes.get(index as usize) {
                let target = node.value.as_ref().map_or(queue, &to);
                found.push((node.number, index, target));
                index = node.next;
            }
        }
        // By number and not queue by queue: entries with one target may come from several queues.
        found.sort_unstable();
        // All of them before any is linked, since a link overwrites the neighbors of an entry.
        for &(_, index, _) in &found {
            self.unlink(index);
        }
        for (_, index, target) in found {
            self.link(target, index);
        }
    }

    /// The number that the next entry gets.
    pub(crate) fn next_number(&self) -> u64 {
        self.next
    }

    /// A node that holds `value` and is linked to nothing.
    fn node(&mut self, value: T) -> u32 {
        let number = self.next;
        self.next += 1;
        if let Some(node) = self.nodes.get_mut(self.free as usize) {
            let index = std::mem::replace(&mut self.free, node.next);
            node.value = Some(value);
            node.number = number;
            return index;
        }
        // Fewer than u32::MAX entries, each of them a call with its own allocation.
        let index = self.nodes.len() as u32;
        self.nodes.push(Node {
            value: Some(value),
            generation: 0,
            number,
            queue: 0,
            previous: NIL,
            next: NIL,
        });
        index
    }

    fn link(&mut self, queue: usize, index: u32) {
        let back = std::mem::replace(&mut self.queues[queue].back, index);
        match self.nodes.get_mut(back as usize) {
            Some(node) => node.next = index,
            None => self.queues[queue].front = index,
        }
        let node = &mut self.nodes[index as usize];
        (node.queue, node.previous, node.next) = (queue, back, NIL);
    }

    fn unlink(&mut self, index: u32) {
        let node = &self.nodes[index as usize];
        let (queue, previous, next) = (node.queue, node.previous, node.next);
        match self.nodes.get_mut(previous as usize) {
            Some(node) => node.next = next,
            None => self.queues[queue].front = next,
        }
        match self.nodes.get_mut(next as usize) {
            Some(node) => node.previous = previous,
            None => self.queues[queue].back = previous,
        }
    }

    fn take(&mut self, index: u32) -> Option<T> {
        let value = self.nodes.get_mut(index as usize)?.value.take()?;
        self.unlink(index);
        let node = &mut self.nodes[index as usize];
        // From here on the old key finds nothing, whichever call takes the node next.
        node.generation = node.generation.wrapping_add(1);
        node.next = std::mem::replace(&mut self.free, index);
        self.len -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::{Key, Queues};

    #[test]
    fn a_stale_key_reaches_nothing() {
        let mut queues = Queues::new(1);
        let key = queues.push(0, 1);
        assert_eq!(Key::from_bits(key.to_bits()), key);
        assert_eq!(queues.pop(0), Some(1));
        queues.push(0, 2);
        assert_eq!(queues.remove(key), None);
        assert_eq!(queues.len(), 1);
    }

    #[test]
    fn moved_entries_keep_their_keys_and_their_order() {
        let mut queues = Queues::new(3);
        let keys: Vec<_> = (0..4).map(|n| queues.push(0, n)).collect();
        queues.sort_out(0..3, |n| 1 + n % 2);
        assert_eq!(queues.remove(keys[2]), Some(2));
        assert_eq!(queues.front(1), Some(0));
        assert_eq!((queues.pop(1), queues.pop(1)), (Some(0), None));
        assert_eq!((queues.pop(2), queues.pop(2)), (Some(1), Some(3)));
        assert!(queues.is_empty());
    }

    #[test]
    fn some_entries_of_a_queue_are_taken_and_the_others_stay_in_order() {
        let mut queues = Queues::new(2);
        let keys: Vec<_> = (0..6).map(|n| queues.push(1, n)).collect();
        queues.push(0, 4);
        let even: Vec<_> = queues.extract(1, |n| n % 2 == 0);
        assert_eq!(even, [(0, keys[0]), (2, keys[2]), (4, keys[4])]);
        assert_eq!((queues.len(), queues.remove(keys[2])), (4, None));
        let odd: Vec<_> = std::iter::from_fn(|| queues.pop(1)).collect();
        assert_eq!(odd, [1, 3, 5]);
        assert_eq!(queues.pop(0), Some(4));
    }

    /// Calls of a key that wait in two queues, since their worker has changed.
    #[test]
    fn entries_of_several_queues_come_together_in_the_order_in_which_they_came() {
        let mut queues = Queues::new(3);
        for n in 0..6 {
            queues.push([2, 1, 1, 2, 0, 1][n], n);
        }
        queues.sort_out(0..3, |_| 2);
        let order: Vec<_> = std::iter::from_fn(|| queues.pop(2)).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5]);
    }

    /// Against a plain model, with a fixed sequence of pseudo-random steps.
    #[test]
    fn behaves_like_two_deques() {
        let (mut queues, mut model) = (Queues::new(2), [VecDeque::new(), VecDeque::new()]);
        let mut seed = 1_u64;
        for step in 0..20_000_u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let queue = (seed >> 50) as usize % 2;
            let ours = &mut model[queue];
            match seed >> 61 {
                0..=3 => ours.push_back((queues.push(queue, step), step)),
                4 => assert_eq!(queues.pop(queue), ours.pop_front().map(|(_, value)| value)),
                5 => {
                    let fronts = model.iter().enumerate();
                    let fronts = fronts.filter_map(|(at, it)| Some((it.front()?.1, at)));
                    let oldest = fronts.min().map(|(value, at)| {
                        model[at].pop_front();
                        value
                    });
                    assert_eq!(queues.pop_oldest().map(|it| it.0), oldest);
                }
                _ if ours.is_empty() => {}
                _ => {
                    let at = (seed >> 20) as usize % ours.len();
                    let (key, value) = ours.remove(at).unwrap();
                    assert_eq!(queues.remove(key), Some(value));
                    assert_eq!(queues.remove(key), None);
                }
            }
            assert_eq!(queues.len(), model[0].len() + model[1].len());
        }
    }
}
