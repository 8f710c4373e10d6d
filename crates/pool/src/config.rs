//! The settings of a pool.

use std::time::Duration;

use crate::lifecycle::{Recycle, Restart};

/// The queue in front of the workers, and what happens when it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Queue {
    pub(crate) bound: usize,
    /// `None` for a queue without a bound on bytes.
    pub(crate) bytes: Option<u64>,
    pub(crate) rate: Option<Rate>,
    /// The target and the interval.
    pub(crate) codel: Option<(Duration, Duration)>,
    pub(crate) deadlines: Deadlines,
    pub(crate) order: Order,
    pub(crate) overflow: Overflow,
}

/// What a queue makes of the deadlines of calls that come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Deadlines {
    /// A call that cannot make it waits all the same.
    #[default]
    Ignored,
    /// It is turned away.
    Respected,
}

/// Which call of a priority starts first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Order {
    /// The one that came first.
    #[default]
    Arrival,
    /// Shares take turns.
    Fair,
}

/// A limit on the calls that a pool admits in a time: a token bucket. Each call takes a token, and
/// tokens come at a steady rate, up to the burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Rate {
    /// At least 1.
    pub(crate) per_second: u32,
    /// At least 1.
    pub(crate) burst: u32,
}

/// The policy for a call that finds the queue full. In each case the call that loses ends with
/// `Rejected`, which returns its request. A call with [`no_wait`](insula_rpc::Call::no_wait) is
/// rejected under each policy, and no other call makes room for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Overflow {
    /// It waits for room, in the order of arrival, until its deadline. The number of waiting
    /// calls is bounded by the number of futures that callers keep.
    #[default]
    Wait,
    /// It is rejected: `QueueFull`.
    Reject,
    /// The oldest call of the queue makes room for it: `Shed`. With a [bound on
    /// bytes](Queue::bytes), as many of the oldest do as are needed. Calls of the lowest
    /// [priority](insula_rpc::Call::priority) are first, and none makes room for a call of a lower
    /// priority than its own: that is dropped itself.
    DropOldest,
    /// It is dropped itself: `Shed`.
    DropNewest,
}

/// The choice of calls that are timed. Three reads of the clock cost about as much as an empty
/// call, so by default only a sample is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Measure {
    /// None.
    Off,
    /// One in so many.
    OneIn(u32),
    /// Every call.
    All,
}

impl Default for Measure {
    fn default() -> Self {
        Self::OneIn(16)
    }
}

/// Measurements of a pool beyond its counts. By default there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub struct Monitor {
    pub(crate) cpu: Cpu,
    pub(crate) memory: Heap,
}

/// Set if the memory of workers and of methods is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Heap {
    #[default]
    Unknown,
    Measured,
}

/// Set if the time that workers take on the CPU is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Cpu {
    #[default]
    Unknown,
    Measured,
}

impl Monitor {
    /// Measures the time that each worker takes on the CPU:
    /// [`WorkerStats::cpu_time`](crate::WorkerStats::cpu_time). The clock of the thread is read at
    /// the beginning and at the end of each slice of a worker's isolate, which takes a fraction of a
    /// microsecond.
    pub fn cpu() -> Self {
        Self::default().and_cpu()
    }

    /// Measures the memory that each worker holds, and what the calls of each method allocate:
    /// [`WorkerStats::memory`](crate::WorkerStats::memory) and
    /// [`MethodStats::memory`](crate::MethodStats::memory). They are unknown unless the program has
    /// [`Tracking`](insula_memory::Tracking) as its global allocator.
    pub fn memory() -> Self {
        Self::default().and_memory()
    }

    /// Measures the time on the CPU too.
    pub fn and_cpu(self) -> Self {
        Self {
            cpu: Cpu::Measured,
            ..self
        }
    }

    /// Measures the memory too.
    pub fn and_memory(self) -> Self {
        Self {
            memory: Heap::Measured,
            ..self
        }
    }
}

/// Settings of a pool that change while it runs; see
/// [`WorkerPool::reconfigure`](crate::WorkerPool::reconfigure). What is not set stays as it is.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Change {
    pub(crate) queue: Option<Queue>,
    pub(crate) restart: Option<Restart>,
    pub(crate) recycle: Option<Recycle>,
    pub(crate) measure: Option<Measure>,
}

impl Change {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the queue, with all its bounds and policies. Calls that are queued stay queued, and a rate
    /// begins with a full burst.
    pub fn queue(self, queue: Queue) -> Self {
        Self {
            queue: Some(queue),
            ..self
        }
    }

    /// Sets the policy for workers that end before their time, from the next end on.
    pub fn restart(self, policy: Restart) -> Self {
        Self {
            restart: Some(policy),
            ..self
        }
    }

    /// Sets when workers get new services. Those that are due by it get them at once.
    pub fn recycle(self, policy: Recycle) -> Self {
        Self {
            recycle: Some(policy),
            ..self
        }
    }

    /// Sets which calls are timed.
    pub fn measure(self, measure: Measure) -> Self {
        Self {
            measure: Some(measure),
            ..self
        }
    }
}

/// The way in which a pool ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Shutdown {
    pub(crate) patience: Duration,
    pub(crate) rejects_queued: bool,
}

impl Queue {
    /// Makes a queue of at most `bound` calls. At 0 every call that no worker can take at once
    /// overflows.
    pub fn bounded(bound: usize) -> Self {
        Self {
            bound,
            bytes: None,
            rate: None,
            codel: None,
            deadlines: Deadlines::default(),
            order: Order::default(),
            overflow: Overflow::default(),
        }
    }

    /// Bounds the bytes of the queued requests, beside the number of calls: the queue is full if
    /// either bound is reached. A call for which a worker has room comes on top, as it does for the
    /// number of calls. A single request of more than `bytes` is rejected with `TooLarge` under
    /// each policy, also if a worker has room.
    ///
    /// The bytes of a request are those of [`Payload`](insula_rpc::Payload): a type without it
    /// counts its size without what it owns on the heap. The default is no bound.
    pub fn bytes(self, bytes: u64) -> Self {
        Self {
            bytes: Some(bytes),
            ..self
        }
    }

    /// Bounds the rate at which calls are admitted. A call beyond it is rejected with
    /// `RateLimited`, which names the time after which one more is admitted; under each policy,
    /// also if a worker has room. A call that is rejected for another reason does not count.
    ///
    /// The time is that of the runtime on which the caller submits. The default is no limit.
    pub fn rate(self, rate: Rate) -> Self {
        Self {
            rate: Some(rate),
            ..self
        }
    }

    /// Sheds calls of a queue that stays long: if each call of an `interval` has waited longer than
    /// `target` when a worker takes it, some of them end with `Shed` in place of being started, one at
    /// first and then more and more, until one has waited less. Bursts that are shorter than an
    /// interval are left alone, and so is the last call of the queue.
    ///
    /// The calls of each priority are judged by their own waits, and so are those that are pinned to a
    /// worker. A call of a lower priority that waits is shed in place of the one whose wait was too
    /// long.
    ///
    /// Such a queue keeps the time that calls wait near `target` under a load that is somewhat too
    /// high, where a bound on their number does not know how long they take. Since it sheds only
    /// gradually more, callers that submit the next call as soon as one has ended keep it longer than
    /// that: give it a bound on the number too. The algorithm is CoDel, as RFC 8289 has it, in which
    /// the target is 5 to 10 percent of the interval. Choose an interval as long as the bursts that
    /// are to be left alone. The target is longer than zero and not longer than the interval, or the
    /// pool is not built. The default is not to shed.
    pub fn codel(self, target: Duration, interval: Duration) -> Self {
        Self {
            codel: Some((target, interval)),
            ..self
        }
    }

    /// Rejects a call with `DeadlineWouldMiss` when it comes, if it has a deadline and would not start
    /// before it. The time that it would wait is an estimate: the mean time that the last calls had a
    /// place, times the calls that are queued, divided by the places of the workers that take calls. A
    /// call for which a worker has room is never rejected for this, nor is one of a high priority, nor
    /// any in a [fair](Self::fair) queue or before the first call has ended. Each call is timed for it,
    /// which is two reads of the clock.
    ///
    /// Without it, such a call waits until its deadline, in the way of others. The default is without.
    pub fn reject_hopeless(self) -> Self {
        Self {
            deadlines: Deadlines::Respected,
            ..self
        }
    }

    /// Has the calls of different [shares](insula_rpc::Call::share) take turns, in proportion to the
    /// weights of the shares, while several of them have calls that wait. Thus a tenant with a thousand
    /// queued calls does not delay one with a few. Calls of one share start in the order of their
    /// submission, and calls of a higher priority first, whatever their shares are. The algorithm is
    /// start-time fair queueing (Goyal, Vin and Cheng 1996): it counts the calls that start, not the time
    /// that they take.
    ///
    /// The bounds of the queue are common to all shares: where a share may fill the queue,
    /// [`Overflow::Wait`] keeps it fair, since calls that wait for room have their turns too.
    ///
    /// In a queue that [becomes fair](Change::queue) while calls wait, these count to no share.
    ///
    /// The default is the order of submission.
    pub fn fair(self) -> Self {
        Self {
            order: Order::Fair,
            ..self
        }
    }

    /// Sets the policy for a call that finds the queue full.
    pub fn overflow(self, overflow: Overflow) -> Self {
        Self { overflow, ..self }
    }
}

impl Rate {
    /// Admits so many calls in a second, and as many at once. A rate of 0 is taken as 1.
    pub fn per_second(calls: u32) -> Self {
        let calls = calls.max(1);
        Self {
            per_second: calls,
            burst: calls,
        }
    }

    /// Sets the most calls that are admitted at once, after a time with few. A burst of 0 is taken
    /// as 1.
    pub fn burst(self, calls: u32) -> Self {
        Self {
            burst: calls.max(1),
            ..self
        }
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::bounded(1024)
    }
}

impl Shutdown {
    /// Gives queued and running calls `patience` to finish. Then what is still queued is
    /// rejected and what still runs is cancelled.
    pub fn graceful(patience: Duration) -> Self {
        Self {
            patience,
            rejects_queued: false,
        }
    }

    /// Cancels everything at once.
    pub fn now() -> Self {
        Self {
            patience: Duration::ZERO,
            rejects_queued: true,
        }
    }

    /// Rejects the queued calls at once; only running ones are waited for.
    pub fn reject_queued(self) -> Self {
        Self {
            rejects_queued: true,
            ..self
        }
    }
}
