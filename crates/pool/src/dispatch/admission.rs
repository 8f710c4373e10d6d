//! The admission of calls: which of them get a place in the queues, and which lose theirs for it.

use insula_core::Instant;
use insula_rpc::Reject;

use super::order::Rank;
use super::{Dispatch, Job, Phase, Unpark};
use crate::config::Overflow;
use crate::queues::Key;

/// The result of submitting a call.
#[must_use]
pub(crate) enum Submitted<J> {
    /// It was queued.
    Queued {
        key: Key,
        /// The lane that is to be woken for it.
        unpark: Option<Unpark>,
        /// The calls that were shed for it.
        shed: Vec<J>,
        /// Calls that were in its way, and whose deadlines had passed.
        expired: Vec<J>,
        /// The supervisor is to look whether there are enough workers.
        is_pressed: bool,
    },
    /// It was turned away.
    Refused {
        job: J,
        why: Reject,
        expired: Vec<J>,
        is_pressed: bool,
    },
}

/// The place that a call has in the queues.
struct Admitted<J> {
    queue: usize,
    /// The worker with room that is to be woken for it.
    room: Option<usize>,
    bytes: u64,
    shed: Vec<J>,
}

impl<J: Job> Dispatch<J> {
    /// A call comes. `now` is asked for the time if that can make a difference.
    pub(crate) fn submit(
        &mut self,
        job: J,
        may_wait: bool,
        now: impl Fn() -> Instant,
    ) -> Submitted<J> {
        // Also for a call that is refused below: it is counted as rejected or shed too, and the
        // sums agree.
        self.tally.submitted += 1;
        let mut expired = Vec::new();
        match self.admit(&job, may_wait, now, &mut expired) {
            Ok(admitted) => {
                if let Some(bucket) = &mut self.rate {
                    bucket.take();
                }
                let key = self.push(admitted.queue, job);
                let room = admitted.room;
                Submitted::Queued {
                    key,
                    unpark: room.map(|worker| self.unpark(worker, admitted.bytes)),
                    shed: admitted.shed,
                    expired,
                    is_pressed: room.is_none() && self.scale.press(),
                }
            }
            Err(why) => {
                // Takes back what was announced, so that no worker looks for this call.
                self.signs.set_queued(self.queues.len());
                self.count(why);
                Submitted::Refused {
                    job,
                    why,
                    expired,
                    is_pressed: self.phase == Phase::Open && self.scale.turn_away(),
                }
            }
        }
    }

    /// Finds a call its place in the queues, or the reason why it has none. Calls in its way whose
    /// deadlines have passed go to `expired`.
    fn admit(
        &mut self,
        job: &J,
        may_wait: bool,
        now: impl Fn() -> Instant,
        expired: &mut Vec<J>,
    ) -> Result<Admitted<J>, Reject> {
        if self.phase != Phase::Open {
            return Err(Reject::Shutdown);
        }
        if !self.is_alive() {
            return Err(Reject::NoWorker);
        }
        let bytes = self.bytes.of(job);
        if self.bytes.is_too_large(bytes) {
            return Err(Reject::TooLarge);
        }
        if let Some(bucket) = &mut self.rate {
            let ready = bucket.fill(now());
            ready.map_err(|retry_after| Reject::RateLimited { retry_after })?;
        }
        let home = job.pin().and_then(|pin| self.home(pin));
        // Said first: a worker whose slice ends now sees it.
        self.signs.announce(self.queues.len() + 1);
        let room = self.pick(home);
        let mut admitted = Admitted {
            queue: self.queue(Rank::of(job), home),
            room,
            bytes,
            shed: Vec::new(),
        };
        // Room counts beside the bound, which may be 0: the woken lane takes a call at once.
        if room.is_some() || !self.is_full(bytes) {
            return Ok(admitted);
        }
        if !self.deadlines.is_empty() {
            *expired = self.expire(now());
        }
        // A caller that waits for room has its call in the queue beyond the bound, in its turn.
        if !self.is_full(bytes) || (self.overflow == Overflow::Wait && may_wait) {
            return Ok(admitted);
        }
        match self.overflow {
            // A call that must not wait is refused for want of room, whatever the policy is, and
            // takes the place of no other one.
            _ if !may_wait => Err(Reject::QueueFull),
            Overflow::DropOldest => {
                admitted.shed = self.make_room(Rank::of(job), bytes)?;
                Ok(admitted)
            }
            Overflow::DropNewest => Err(Reject::Shed),
            Overflow::Wait | Overflow::Reject => Err(Reject::QueueFull),
        }
    }

    /// Sheds calls of the same rank or lower ones, until there is room for one of so many bytes.
    fn make_room(&mut self, rank: Rank, bytes: u64) -> Result<Vec<J>, Reject> {
        let mut shed = Vec::new();
        // Asked before, so that no call is shed in vain.
        if !self.bytes.has_room_above(rank, bytes) {
            return Err(Reject::Shed);
        }
        // One call makes room for one call.
        while shed.is_empty() || !self.bytes.has_room(bytes) {
            let Some(oldest) = self.pop_least(rank) else {
                return Err(Reject::Shed);
            };
            self.tally.shed += 1;
            shed.push(oldest);
        }
        Ok(shed)
    }

    /// Returns whether the queue has no room for a call of so many bytes. A lane that was woken will
    /// take one call.
    fn is_full(&self, bytes: u64) -> bool {
        self.queues.len() >= self.bound.saturating_add(self.woken) || !self.bytes.has_room(bytes)
    }

    /// Takes out the calls whose deadlines have passed.
    fn expire(&mut self, now: Instant) -> Vec<J> {
        let mut expired = Vec::new();
        while let Some(&(deadline, key)) = self.deadlines.first()
            && deadline <= now
        {
            self.deadlines.pop_first();
            if let Some(job) = self.queues.remove(key) {
                self.bytes.leave(&job);
                expired.push(job);
            }
        }
        self.tally.expired += expired.len() as u64;
        self.signs.set_queued(self.queues.len());
        expired
    }
}
