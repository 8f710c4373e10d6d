//! What kind of storm it is: the pool, and how wild its calls are.

use std::time::Duration;

use insula_pool::{Balance, Measure, Overflow, Queue, Rate, Recycle, Restart, Shutdown, Workers};

use crate::dice::Dice;
use crate::run::Kind;

/// The settings of a storm.
#[derive(Debug, Clone)]
pub(crate) struct Weather {
    pub(crate) workers: usize,
    pub(crate) at_once: usize,
    pub(crate) bound: usize,
    /// The most bytes in the queue.
    pub(crate) bytes: Option<u64>,
    /// Calls in a second.
    pub(crate) rate: Option<u32>,
    pub(crate) overflow: Overflow,
    pub(crate) balance: Balance,
    pub(crate) measure: Measure,
    pub(crate) grace: Duration,
    pub(crate) clients: u64,
    /// Rounds of each client.
    pub(crate) rounds: u64,
    /// Calls that a client makes at once, at most.
    pub(crate) burst: u64,
    /// Workers may be lost: handlers end their isolates, and states cannot be built again.
    pub(crate) is_deadly: bool,
    /// Handlers may panic.
    pub(crate) has_panics: bool,
    /// Every call comes to an end of its own, and the pool ends after all of them. In other storms
    /// the end of the pool would cover up that a call hangs.
    pub(crate) is_calm: bool,
    /// The calls after which the pool ends.
    pub(crate) lasts: u64,
    pub(crate) end: End,
    pub(crate) restart: Restart,
    pub(crate) recycle: Recycle,
    /// The most workers that the pool may have.
    pub(crate) most: usize,
    pub(crate) idle: Duration,
    pub(crate) codel: Option<Duration>,
    pub(crate) hopeless: Hopeless,
    pub(crate) order: Order,
    /// The ends of workers after which a call is held back.
    pub(crate) quarantine: Option<u32>,
    /// Workers that block for so long are given up.
    pub(crate) stuck_after: Option<Duration>,
    /// The services are replaced at each look of this number.
    pub(crate) reloads: Option<u32>,
    /// The seeded runtime has one thread, which must not be blocked.
    pub(crate) kind: Kind,
}

/// What becomes of a call whose deadline would pass in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hopeless {
    Waits,
    IsRejected,
}

/// Which call of a priority starts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Arrival,
    Fair,
}

/// How the pool ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    ShutDown(Shutdown),
    /// Two at once.
    Twice(Shutdown, Shutdown),
    /// Its future is dropped, and another one waits for the end.
    Impatient(Shutdown),
    /// The handle is dropped.
    Drop,
}

impl Weather {
    pub(crate) fn new(kind: Kind, dice: &mut Dice) -> Self {
        let overflows = [
            Overflow::Wait,
            Overflow::Reject,
            Overflow::DropOldest,
            Overflow::DropNewest,
        ];
        let (clients, rounds, burst) = (1 + dice.below(4), 1 + dice.below(25), 1 + dice.below(10));
        let is_deadly = dice.percent(30);
        let expected = clients * rounds * (1 + burst) / 2;
        Self {
            workers: 1 + dice.below(3) as usize,
            at_once: 1 + dice.below(3) as usize,
            bound: dice.pick(&[0, 1, 3, 10, 1000, 1000]),
            bytes: dice.pick(&[None, None, Some(2_000), Some(4 << 20)]),
            rate: dice.pick(&[None, None, Some(2_000), Some(100_000)]),
            overflow: dice.pick(&overflows),
            balance: balance(dice),
            measure: dice.pick(&[Measure::Off, Measure::OneIn(3), Measure::All]),
            grace: Duration::from_micros(dice.pick(&[0, 50, 1_000, 3_000])),
            clients,
            rounds,
            burst,
            is_deadly,
            has_panics: dice.percent(60),
            is_calm: dice.percent(40),
            // Mostly not before the calls are over.
            lasts: dice.below(2 * expected + 1),
            end: End::new(kind, dice),
            restart: restart(dice),
            recycle: dice.pick(&[
                Recycle::default(),
                Recycle::after_calls(1),
                Recycle::after_calls(7),
                Recycle::after_errors(2).jitter(0.5),
                Recycle::after(Duration::from_micros(300)),
            ]),
            most: 3 + dice.below(3) as usize * dice.below(2) as usize,
            idle: Duration::from_micros(dice.pick(&[50, 500, 10_000])),
            hopeless: dice.pick(&[Hopeless::Waits, Hopeless::Waits, Hopeless::IsRejected]),
            order: dice.pick(&[Order::Arrival, Order::Fair]),
            codel: dice.pick(&[None, None, Some(Duration::from_micros(20))]),
            quarantine: dice.pick(&[None, Some(1), Some(3)]),
            stuck_after: match kind {
                // A slice takes no time there.
                Kind::Seeded => dice.pick(&[None, Some(Duration::from_secs(60))]),
                Kind::Threads if is_deadly => dice.pick(&[None, Some(Duration::from_millis(2))]),
                Kind::Threads => None,
            },
            reloads: dice.pick(&[None, None, None, Some(5)]),
            kind,
        }
    }

    pub(crate) fn workers(&self) -> Workers {
        match self.most {
            3 => self.workers.into(),
            most => Workers::from(self.workers..=most).idle(self.idle),
        }
    }

    pub(crate) fn queue(&self) -> Queue {
        let mut queue = Queue::bounded(self.bound).overflow(self.overflow);
        if let Some(bytes) = self.bytes {
            queue = queue.bytes(bytes);
        }
        if let Some(rate) = self.rate {
            queue = queue.rate(Rate::per_second(rate).burst(20));
        }
        if self.hopeless == Hopeless::IsRejected {
            queue = queue.reject_hopeless();
        }
        if self.order == Order::Fair {
            queue = queue.fair();
        }
        if let Some(target) = self.codel {
            queue = queue.codel(target, 10 * target);
        }
        queue
    }
}

fn balance(dice: &mut Dice) -> Balance {
    dice.pick(&[
        Balance::RoundRobin,
        Balance::LeastLoaded,
        Balance::Random,
        Balance::PowerOfTwo,
        Balance::PeakEwma,
        Balance::Adaptive,
        Balance::custom(|workers, work| Some(workers.len() - 1 - work as usize % 2)),
    ])
}

/// Never, as by default, or soon and without a limit. Not at once: an incarnation that cannot be built
/// never can here, and time would stand still.
fn restart(dice: &mut Dice) -> Restart {
    match dice.below(4) {
        0 => Restart::never(),
        1 => Restart::default(),
        _ => Restart::at_most(usize::MAX, Duration::MAX)
            .delay(
                Duration::from_micros(1),
                Duration::from_micros(dice.pick(&[1, 200])),
            )
            .jitter(dice.pick(&[0.0, 0.5])),
    }
}

impl End {
    fn new(kind: Kind, dice: &mut Dice) -> Self {
        let mut plan = || {
            // A stream that is kept, or a handler that hangs, takes all of it.
            let millis = match kind {
                Kind::Seeded => dice.pick(&[0, 1, 5, 3_600_000]),
                Kind::Threads => dice.pick(&[0, 1, 5, 40]),
            };
            let graceful = Shutdown::graceful(Duration::from_millis(millis));
            match dice.below(3) {
                0 => Shutdown::now(),
                1 => graceful.reject_queued(),
                _ => graceful,
            }
        };
        let (one, other) = (plan(), plan());
        match dice.below(8) {
            0 => Self::Drop,
            1 => Self::Twice(one, other),
            2 => Self::Impatient(one),
            _ => Self::ShutDown(one),
        }
    }
}
