//! The queues: which call a worker takes next, and who is told that calls wait.

use super::order::Rank;
use super::{Actions, Dispatch, Job, Phase, Unpark};
use crate::queues::Key;
use insula_rpc::{Reject, WorkType};

impl<J: Job> Dispatch<J> {
    /// The call that a worker starts next: the oldest of the rank whose turn it is, of those that the
    /// worker may start. Those that have waited too long are shed on the way.
    #[inline]
    pub(super) fn take(&mut self, worker: usize) -> Option<J> {
        let queue = self.next_queue(worker)?;
        if self.codel.is_empty() {
            return self.pop(queue);
        }
        self.take_controlled(queue)
    }

    /// As [`take`](Self::take), of a queue whose calls are shed if they wait too long.
    #[cold]
    fn take_controlled(&mut self, queue: usize) -> Option<J> {
        loop {
            let job = self.pop(queue)?;
            let is_last = self.queues.front(queue).is_none();
            let came = self.looked_at.zip(job.came_at());
            let (Some(codel), Some((now, came))) = (self.codel.get_mut(queue), came) else {
                return Some(job);
            };
            // Decided when a call is taken out and not when it comes: only then is it known how long
            // it has waited.
            if !codel.sheds(now, came, is_last) {
                return Some(job);
            }
            self.tally.shed += 1;
            // A call of a lower rank goes first, whatever it is that has waited too long.
            let lower = Rank::ALL.get(Rank::of(&job) as usize + 1);
            match lower.and_then(|&rank| self.pop_least(rank)) {
                Some(lower) => {
                    self.shed.push(lower);
                    return Some(job);
                }
                None => self.shed.push(job),
            }
        }
    }

    /// The queue from which a worker takes its next call.
    #[inline]
    pub(super) fn next_queue(&mut self, worker: usize) -> Option<usize> {
        if self.queues.is_empty() {
            return None;
        }
        let mut pinned = self.queues.front(worker + 1);
        if pinned.is_some() && !self.may_take_pinned() {
            pinned = None;
        }
        if pinned.is_none() && !self.has_ranks {
            return Some(0);
        }
        let queue = match (self.queues.front(0), pinned) {
            (Some(common), Some(pinned)) if pinned < common => worker + 1,
            (None, Some(_)) => worker + 1,
            _ => 0,
        };
        if !self.has_ranks {
            return Some(queue);
        }
        let queues = [
            self.queue(Rank::High, None),
            queue,
            self.queue(Rank::Low, None),
        ];
        let waits = [0, 1, 2].map(|rank| match queues[rank] {
            queue if queue == worker + 1 => pinned.is_some(),
            queue => self.queues.front(queue).is_some(),
        });
        let rank = self.workers[worker].passed.choose(waits)?;
        Some(queues[rank as usize])
    }

    /// Takes the oldest call of a queue, to be started or shed.
    #[inline]
    pub(super) fn pop(&mut self, queue: usize) -> Option<J> {
        // Most calls have no deadline, and with none in the queue there is no entry to look for.
        let job = if self.fair.is_some() {
            self.pop_fairly(queue)?
        } else if self.deadlines.is_empty() {
            self.queues.pop(queue)?
        } else {
            let (job, key) = self.queues.pop_with_key(queue)?;
            self.forget_deadline(&job, key);
            job
        };
        self.bytes.leave(&job);
        self.signs.set_queued(self.queues.len());
        Some(job)
    }

    /// As [`pop`](Self::pop), of a queue that is fair to shares.
    #[cold]
    fn pop_fairly(&mut self, queue: usize) -> Option<J> {
        let workers = self.workers.len();
        let rank = (Rank::ALL.into_iter()).find(|&rank| common_queue(rank, workers) == queue);
        let fair = self.fair.as_mut()?;
        let (job, key) = match rank.and_then(|rank| fair.first(rank)) {
            Some(key) => (self.queues.remove(key)?, key),
            // One that is pinned, or has a key and no worker yet.
            None => self.queues.pop_with_key(queue)?,
        };
        fair.start(key);
        self.forget_deadline(&job, key);
        Some(job)
    }

    /// More calls wait than this lane takes, if it takes any: another worker with room is woken,
    /// which does the same.
    #[inline]
    pub(super) fn spread(&mut self) -> Option<Unpark> {
        // Pinned calls are left out: their own worker finds them when its slice ends.
        if self.idle == 0 || self.queues.is_empty() || !self.has_common_call() {
            return None;
        }
        // The worker that asks is inside of a slice, and so never found.
        let worker = self.pick(None, WorkType::Balanced)?;
        Some(self.unpark(worker, WorkType::Balanced, 0))
    }

    /// A slice of a worker has ended while calls waited: it may have room now.
    pub(crate) fn offer(&mut self, worker: usize) -> Option<Unpark> {
        let has_pinned = self.queues.front(worker + 1).is_some() && self.may_take_pinned();
        let has_call = has_pinned || self.has_common_call();
        (has_call && self.workers[worker].has_room())
            .then(|| self.unpark(worker, WorkType::Balanced, 0))
    }

    pub(super) fn has_call_for(&self, worker: usize) -> bool {
        self.has_common_call() || self.queues.front(worker + 1).is_some()
    }

    /// Returns whether a call waits that any worker may start.
    pub(super) fn has_common_call(&self) -> bool {
        let waits = |rank| self.queues.front(self.queue(rank, None)).is_some();
        waits(Rank::Normal) || (self.has_ranks && (waits(Rank::High) || waits(Rank::Low)))
    }

    /// The number of the oldest call that any worker may start.
    pub(super) fn oldest_common_call(&self) -> Option<u64> {
        let front = |rank| self.queues.front(self.queue(rank, None));
        if !self.has_ranks {
            return front(Rank::Normal);
        }
        Rank::ALL.into_iter().filter_map(front).min()
    }

    /// The queue of calls of a rank, or of those that are pinned to a worker.
    pub(super) fn queue(&self, rank: Rank, home: Option<usize>) -> usize {
        match home {
            Some(worker) => worker + 1,
            None => common_queue(rank, self.workers.len()),
        }
    }

    pub(super) fn offer_outside(&mut self, worker: usize) -> Option<Unpark> {
        if self.signs.is_inside(worker) {
            return None;
        }
        self.offer(worker)
    }

    pub(super) fn push(&mut self, queue: usize, job: J) -> Key {
        let deadline = job.deadline();
        self.has_ranks |= queue > self.workers.len();
        self.bytes.come(&job);
        let key = if self.fair.is_some() {
            self.push_fairly(queue, job)
        } else {
            self.queues.push(queue, job)
        };
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, key));
        }
        self.signs.set_queued(self.queues.len());
        key
    }

    /// Puts a call into its queue, which is fair to shares.
    #[cold]
    fn push_fairly(&mut self, queue: usize, job: J) -> Key {
        let (rank, share, is_pinned) = (Rank::of(&job), job.share(), job.pin().is_some());
        let key = self.queues.push(queue, job);
        if let Some(fair) = self.fair.as_mut().filter(|_| !is_pinned) {
            fair.come(rank, share, key);
        }
        key
    }

    /// A call has left its queue otherwise than to be started.
    pub(super) fn left(&mut self, job: &J, key: Key) {
        self.forget_deadline(job, key);
        if let Some(fair) = &mut self.fair {
            fair.leave(key);
        }
        self.bytes.leave(job);
        self.signs.set_queued(self.queues.len());
    }

    pub(super) fn forget_deadline(&mut self, job: &J, key: Key) {
        if let Some(deadline) = job.deadline() {
            self.deadlines.remove(&(deadline, key));
        }
    }

    /// Takes the oldest of the calls of the lowest rank, but of none that is higher than `rank`.
    pub(super) fn pop_least(&mut self, rank: Rank) -> Option<J> {
        let workers = self.workers.len();
        let of_rank = [
            workers + 1..workers + 2,
            0..workers + 1,
            workers + 2..workers + 3,
        ];
        let lowest_first = of_rank.into_iter().skip(rank as usize).rev();
        let mut found = lowest_first.filter_map(|range| self.queues.pop_oldest_of(range));
        let (job, key) = found.next()?;
        self.left(&job, key);
        Some(job)
    }

    pub(super) fn refuse_queued(&mut self, why: Reject, actions: &mut Actions<J>) {
        // Without a look at each deadline and sign: both are cleared once, after the last call.
        while let Some((job, _)) = self.queues.pop_oldest() {
            self.bytes.leave(&job);
            self.count(why);
            // Also those that the last worker of a pool that drains has left.
            self.turned_away += u64::from(self.phase != Phase::Open);
            actions.refuse.push((job, why));
        }
        self.deadlines.clear();
        if let Some(fair) = &mut self.fair {
            fair.clear();
        }
        self.signs.set_queued(0);
    }
}

/// The queue of calls of a rank that any worker may start, in a pool with so many workers.
pub(super) fn common_queue(rank: Rank, workers: usize) -> usize {
    match rank {
        Rank::Normal => 0,
        Rank::High => workers + 1,
        Rank::Low => workers + 2,
    }
}
