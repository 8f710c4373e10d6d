//! Calls that end their workers, again and again.

use std::collections::VecDeque;

/// The pieces of work that were running when a worker ended, by their
/// [identity](insula_rpc::PendingCall::identity).
#[derive(Debug)]
pub(super) struct Quarantine {
    /// The ends of workers after which a call is not admitted any more.
    after: u32,
    /// The newest last, at most [`MOST`].
    suspects: VecDeque<(u64, u32)>,
}

/// The pieces of work that are remembered. The one that has not been seen for longest is forgotten.
const MOST: usize = 1024;

impl Quarantine {
    pub(super) fn new(after: u32) -> Self {
        Self {
            after,
            suspects: VecDeque::new(),
        }
    }

    /// A worker has ended while it ran this.
    pub(super) fn blame(&mut self, identity: u64) {
        let known = self.suspects.iter().position(|it| it.0 == identity);
        let before = known.and_then(|index| self.suspects.remove(index));
        if self.suspects.len() == MOST {
            self.suspects.pop_front();
        }
        let ends = before.map_or(0, |it| it.1).saturating_add(1);
        self.suspects.push_back((identity, ends));
    }

    /// It has come to its end without that.
    pub(super) fn clear(&mut self, identity: u64) {
        // Nearly always there are none.
        self.suspects.retain(|it| it.0 != identity);
    }

    pub(super) fn clear_all(&mut self) {
        self.suspects.clear();
    }

    pub(super) fn holds(&self, identity: u64) -> bool {
        let mut suspects = self.suspects.iter();
        suspects.any(|it| it.0 == identity && it.1 >= self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_of_work_is_held_after_so_many_ends_and_the_oldest_are_forgotten() {
        let mut quarantine = Quarantine::new(2);
        quarantine.blame(7);
        assert!(!quarantine.holds(7));
        quarantine.blame(7);
        assert!(quarantine.holds(7));
        for other in 0..MOST as u64 - 1 {
            quarantine.blame(1000 + other);
        }
        assert!(quarantine.holds(7));
        quarantine.blame(5);
        assert!(!quarantine.holds(7));
        quarantine.blame(5);
        assert!(quarantine.holds(5));
        quarantine.clear(5);
        assert!(!quarantine.holds(5));
    }
}
