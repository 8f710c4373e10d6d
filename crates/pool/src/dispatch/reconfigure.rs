//! Settings that change while the pool runs.

use super::bucket::Bucket;
use super::codel::Codel;
use super::order::Rank;
use super::pull::common_queue;
use super::{Dispatch, Job, fair};
use crate::config::{Deadlines, Order, Queue};

impl<J: Job> Dispatch<J> {
    /// Sets the queue. Calls that are queued stay, whatever its bounds are.
    pub(crate) fn set_queue(&mut self, queue: Queue) {
        self.bound = queue.bound;
        self.overflow = queue.overflow;
        self.rate = queue.rate.map(Bucket::new);
        if (queue.order == Order::Fair) != self.fair.is_some() {
            self.fair = fair(queue.order);
            self.join_shares();
        }
        // Calls that came without their time are not judged.
        self.codel = queue.codel.map_or_else(Vec::new, |(target, interval)| {
            vec![Codel::new(target, interval); self.workers.len() + 3]
        });
        self.pace =
            (queue.deadlines == Deadlines::Respected).then(|| self.pace.take().unwrap_or_default());
        self.needs.times =
            self.choice.balance.needs_times() || queue.deadlines == Deadlines::Respected;
        // They were not counted while there was no bound.
        let queued = self.queues.values().map(|job| (Rank::of(job), job.bytes()));
        self.bytes.set_bound(queue.bytes, queued);
    }

    /// The calls that are queued take part in an order that has just begun. Those that came while it
    /// did not matter say nothing of their shares.
    fn join_shares(&mut self) {
        let Some(fair) = &mut self.fair else {
            return;
        };
        for rank in Rank::ALL {
            let queue = common_queue(rank, self.workers.len());
            for (key, job) in self.queues.entries(queue) {
                if job.pin().is_none() {
                    fair.come(rank, job.share(), key);
                }
            }
        }
    }

    pub(crate) fn bound(&self) -> usize {
        self.bound
    }
}
