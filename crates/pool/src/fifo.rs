//! A first-in-first-out queue from whose middle an entry can be taken in constant time.
//!
//! A linked list in a vector of nodes; free nodes form a second list. A [`Key`] names an entry
//! and carries the generation of its node, so that a key of an entry that has left never
//! reaches the one that took its place. The vector grows to the largest length there ever was.

/// Names an entry of a [`Fifo`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
pub(crate) struct Fifo<T> {
    nodes: Vec<Node<T>>,
    front: u32,
    back: u32,
    free: u32,
    len: usize,
}

#[derive(Debug)]
struct Node<T> {
    /// `None` while the node is free.
    value: Option<T>,
    /// Counts the entries that this node has held.
    generation: u32,
    previous: u32,
    /// The next entry, or the next free node.
    next: u32,
}

const NIL: u32 = u32::MAX;

impl Key {
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

impl<T> Fifo<T> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            front: NIL,
            back: NIL,
            free: NIL,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn push_back(&mut self, value: T) -> Key {
        let index = self.node(value);
        let back = std::mem::replace(&mut self.back, index);
        self.nodes[index as usize].previous = back;
        match self.nodes.get_mut(back as usize) {
            Some(node) => node.next = index,
            None => self.front = index,
        }
        self.key(index)
    }

    pub(crate) fn push_front(&mut self, value: T) -> Key {
        let index = self.node(value);
        let front = std::mem::replace(&mut self.front, index);
        self.nodes[index as usize].next = front;
        match self.nodes.get_mut(front as usize) {
            Some(node) => node.previous = index,
            None => self.back = index,
        }
        self.key(index)
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        self.unlink(self.front)
    }

    /// Takes an entry from wherever it is; `None` if it has left.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let node = self.nodes.get(key.index as usize)?;
        if node.generation != key.generation {
            return None;
        }
        self.unlink(key.index)
    }

    /// Takes all entries, oldest first.
    pub(crate) fn take_all(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop_front()).collect()
    }

    fn key(&self, index: u32) -> Key {
        Key {
            index,
            generation: self.nodes[index as usize].generation,
        }
    }

    /// A node that holds `value` and is linked to nothing.
    fn node(&mut self, value: T) -> u32 {
        self.len += 1;
        if let Some(node) = self.nodes.get_mut(self.free as usize) {
            let index = std::mem::replace(&mut self.free, node.next);
            node.value = Some(value);
            (node.previous, node.next) = (NIL, NIL);
            return index;
        }
        // Fewer than u32::MAX entries, each of them a call with its own allocation.
        let index = self.nodes.len() as u32;
        let node = Node {
            value: Some(value),
            generation: 0,
            previous: NIL,
            next: NIL,
        };
        self.nodes.push(node);
        index
    }

    fn unlink(&mut self, index: u32) -> Option<T> {
        let node = self.nodes.get_mut(index as usize)?;
        let value = node.value.take()?;
        node.generation = node.generation.wrapping_add(1);
        let (previous, next) = (node.previous, std::mem::replace(&mut node.next, self.free));
        self.free = index;
        self.len -= 1;
        match self.nodes.get_mut(previous as usize) {
            Some(node) => node.next = next,
            None => self.front = next,
        }
        match self.nodes.get_mut(next as usize) {
            Some(node) => node.previous = previous,
            None => self.back = previous,
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::{Fifo, Key};

    #[test]
    fn entries_leave_in_order_from_both_ways_in() {
        let mut fifo = Fifo::new();
        fifo.push_back(2);
        fifo.push_back(3);
        fifo.push_front(1);
        assert_eq!((fifo.len(), fifo.take_all()), (3, vec![1, 2, 3]));
        assert!(fifo.is_empty() && fifo.pop_front().is_none());
    }

    #[test]
    fn a_stale_key_reaches_nothing() {
        let mut fifo = Fifo::new();
        let key = fifo.push_back(1);
        assert_eq!(Key::from_bits(key.to_bits()), key);
        assert_eq!(fifo.pop_front(), Some(1));
        fifo.push_back(2);
        assert_eq!(fifo.remove(key), None);
        assert_eq!(fifo.len(), 1);
    }

    /// Against a plain model, with a fixed sequence of pseudo-random steps.
    #[test]
    fn behaves_like_a_deque() {
        let (mut fifo, mut model) = (Fifo::new(), VecDeque::new());
        let mut seed = 1_u64;
        for step in 0..20_000_u64 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            match seed >> 61 {
                0..=2 => model.push_back((fifo.push_back(step), step)),
                3 => model.push_front((fifo.push_front(step), step)),
                4..=5 => assert_eq!(fifo.pop_front(), model.pop_front().map(|(_, value)| value)),
                _ if model.is_empty() => {}
                _ => {
                    let at = (seed >> 20) as usize % model.len();
                    let (key, value) = model.remove(at).unwrap();
                    assert_eq!(fifo.remove(key), Some(value));
                    assert_eq!(fifo.remove(key), None);
                }
            }
            assert_eq!(fifo.len(), model.len());
        }
        let rest: Vec<_> = model.into_iter().map(|(_, value)| value).collect();
        assert_eq!(fifo.take_all(), rest);
    }
}
