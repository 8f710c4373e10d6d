//! The admission of calls: which of them get a place in the queues, and which lose theirs for it.

use std::time::Duration;

use insula_core::Instant;
use insula_rpc::Reject;

use super::order::Rank;
use super::{Dispatch, Job, Phase, Target, Unpark};
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
        aside: Aside<J>,
    },
    /// It was turned away.
    Refused {
        job: J,
        why: Reject,
        aside: Aside<J>,
    },
}

/// The effects of a submission on others. `None` for a call that a worker has room for, as most
/// calls are.
pub(crate) type Aside<J> = Option<Box<Crowded<J>>>;

/// The effects of a call that no worker has room for.
pub(crate) struct Crowded<J> {
    /// The calls that were shed for it.
    pub(crate) shed: Vec<J>,
    /// Calls that were in its way, and whose deadlines had passed.
    pub(crate) expired: Vec<J>,
    /// The supervisor is to look whether there are enough workers.
    pub(crate) is_pressed: bool,
}

impl<J> Crowded<J> {
    fn new() -> Self {
        Self {
            shed: Vec::new(),
            expired: Vec::new(),
            is_pressed: false,
        }
    }

    /// Boxed, if it has any effect.
    fn aside(self) -> Aside<J> {
        // Most calls that wait have none of them, and are spared the allocation.
        let is_any = self.is_pressed || !self.shed.is_empty() || !self.expired.is_empty();
        is_any.then(|| Box::new(self))
    }
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
        let bytes = self.bytes.of(&job);
        let identity = job.identity();
        if let Err(why) = self.may_come(bytes, identity, &now) {
            return self.turn_away(job, why, Crowded::new());
        }
        let home = job.pin().and_then(|pin| self.home(pin));
        if home.is_none() {
            match job.pin() {
                // No other worker would do.
                Some(Target::Worker(_)) => {
                    return self.turn_away(job, Reject::NoWorker, Crowded::new());
                }
                Some(Target::Key(_)) => self.has_homeless = true,
                None => {}
            }
        }
        let (rank, work) = (Rank::of(&job), job.work());
        // The time of the last question may be long ago.
        if self.choice.balance.needs_times() {
            self.look(now());
        }
        // Said first: a worker whose slice ends now sees it.
        self.signs.announce(self.queues.len() + 1);
        // Room counts beside the bound, which may be 0: the woken lane takes a call at once.
        let room = self.pick(home, work);
        let aside = if room.is_some() {
            None
        } else {
            let mut crowded = Crowded::new();
            match self.squeeze_in((rank, job.deadline()), bytes, may_wait, now, &mut crowded) {
                Ok(()) => {
                    crowded.is_pressed = self.scale.press();
                    crowded.aside()
                }
                Err(why) => {
                    crowded.is_pressed = self.scale.turn_away();
                    return self.turn_away(job, why, crowded);
                }
            }
        };
        if let Some(bucket) = &mut self.rate {
            bucket.take();
        }
        let key = self.push(self.queue(rank, home), job);
        Submitted::Queued {
            key,
            unpark: room.map(|worker| self.unpark(worker, work, bytes)),
            aside,
        }
    }

    fn turn_away(&mut self, job: J, why: Reject, crowded: Crowded<J>) -> Submitted<J> {
        // Takes back what was announced, so that no worker looks for this call.
        self.signs.set_queued(self.queues.len());
        self.count(why);
        let aside = crowded.aside();
        Submitted::Refused { job, why, aside }
    }

    /// Returns whether the pool takes a call of so many bytes, whatever its queue holds.
    fn may_come(
        &mut self,
        bytes: u64,
        identity: Option<u64>,
        now: &impl Fn() -> Instant,
    ) -> Result<(), Reject> {
        if self.phase != Phase::Open {
            return Err(Reject::Shutdown);
        }
        if !self.has_serving() {
            return Err(Reject::NoWorker);
        }
        if self.bytes.is_too_large(bytes) {
            return Err(Reject::TooLarge);
        }
        if let Some(quarantine) = &self.quarantine
            && identity.is_some_and(|it| quarantine.holds(it))
        {
            return Err(Reject::Quarantined);
        }
        if let Some(bucket) = &mut self.rate {
            let ready = bucket.fill(now());
            ready.map_err(|retry_after| Reject::RateLimited { retry_after })?;
        }
        Ok(())
    }

    /// Finds room in the queue for a call that has to wait in it, at the cost of others if the policy
    /// says so.
    fn squeeze_in(
        &mut self,
        (rank, deadline): (Rank, Option<Instant>),
        bytes: u64,
        may_wait: bool,
        now: impl Fn() -> Instant,
        crowded: &mut Crowded<J>,
    ) -> Result<(), Reject> {
        if let Some(wait) = self.hopeless_wait(rank, deadline, &now) {
            return Err(Reject::DeadlineWouldMiss { wait });
        }
        if !self.is_full(bytes) {
            return Ok(());
        }
        if !self.deadlines.is_empty() {
            crowded.expired = self.expire(now());
        }
        // A caller that waits for room has its call in the queue beyond the bound, in its turn.
        if !self.is_full(bytes) || (self.overflow == Overflow::Wait && may_wait) {
            return Ok(());
        }
        match self.overflow {
            // A call that must not wait is refused for want of room, whatever the policy is, and
            // takes the place of no other one.
            _ if !may_wait => Err(Reject::QueueFull),
            Overflow::DropOldest => {
                crowded.shed = self.make_room(rank, bytes)?;
                Ok(())
            }
            Overflow::DropNewest => Err(Reject::Shed),
            Overflow::Wait | Overflow::Reject => Err(Reject::QueueFull),
        }
    }

    /// The time that a call would wait, if its deadline comes first.
    fn hopeless_wait(
        &self,
        rank: Rank,
        deadline: Option<Instant>,
        now: &impl Fn() -> Instant,
    ) -> Option<Duration> {
        let (pace, deadline) = (self.pace.as_ref()?, deadline?);
        // It may overtake the others, so that their number says little.
        if rank == Rank::High || self.fair.is_some() {
            return None;
        }
        let ready = self.workers.iter();
        let ready = ready.filter(|worker| worker.takes_calls() && worker.may_start());
        let wait = pace.wait(self.queues.len(), ready.map(|worker| worker.places).sum())?;
        (now() + wait > deadline).then_some(wait)
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
                if let Some(fair) = &mut self.fair {
                    fair.leave(key);
                }
                expired.push(job);
            }
        }
        self.tally.expired += expired.len() as u64;
        self.signs.set_queued(self.queues.len());
        expired
    }
}
