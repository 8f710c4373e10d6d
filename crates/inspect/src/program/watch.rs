//! What each thread of the pool does, at short intervals: the turns that take long, and the time of
//! isolates on the CPU.
//!
//! Turns are not timed where they run: a reading of the clock would cost as much as a short turn. A
//! thread of the inspector looks at the numbers that threads keep anyway, about every 10 ms, or 25 ms
//! while nothing runs, and so knows the time of a turn to the distance of two looks. The distances
//! vary, so that a program that does something every 10 ms does not fall into step with them.
//!
//! The time on the CPU is an estimate. What a thread has spent there between two looks is read from
//! the operating system, and is the isolate's that the thread runs now, or has run last. So the sum
//! over all isolates is right, but for the search for work, and the shares are right on average. A
//! pinned isolate has a thread of its own, whose time is read as it is. That of a root isolate is not
//! known: its host does other work on the same thread.

mod clock;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use insula_core::{IsolateId, ThreadSnapshot};

use super::Program;
use super::events::{id_of, name_of};
use super::recorder::thread_name;
use crate::model::{Event, Severity};
use clock::Clock;
pub(super) use clock::time_of_thread;

/// The mean time between two looks while threads run.
const LOOK: Duration = Duration::from_millis(10);

/// The time between two looks while none does.
const QUIET: Duration = Duration::from_millis(25);

/// What was seen of the threads.
#[derive(Default)]
pub(super) struct Watched {
    /// By the number of the thread.
    threads: Vec<WatchedThread>,
    /// By the number of the isolate. Those that are gone are removed with each sample.
    cpu: HashMap<u64, Duration>,
    /// The looks so far.
    looks: u32,
}

#[derive(Default)]
struct WatchedThread {
    turns: u32,
    /// The isolate inside of its turn, and when the turn was seen first.
    turn: Option<(IsolateId, Instant)>,
    clock: Clock,
}

/// A turn that is over.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct LongTurn {
    thread: usize,
    isolate: IsolateId,
    time: Duration,
}

impl Watched {
    /// Looks at the threads. Returns the turns that have ended and took at least `long`.
    pub(super) fn look(
        &mut self,
        threads: &[ThreadSnapshot],
        long: Duration,
        now: Instant,
    ) -> Vec<LongTurn> {
        self.looks = self.looks.wrapping_add(1);
        self.threads
            .resize_with(threads.len(), WatchedThread::default);
        let mut ended = Vec::new();
        for (thread, seen) in threads.iter().zip(&mut self.threads) {
            let has_run = seen.turns != thread.turns || thread.isolate.is_some();
            let spent = seen.clock.spent(thread.system_id);
            if let Some(isolate) = thread.last_isolate.filter(|_| has_run) {
                *self.cpu.entry(isolate.number()).or_default() += spent;
            }
            if let Some((isolate, time)) = seen.turn(thread, now)
                && time >= long
            {
                let thread = thread.index;
                ended.push(LongTurn {
                    thread,
                    isolate,
                    time,
                });
            }
        }
        ended
    }

    /// Returns the time until the next look.
    fn pause(&self) -> Duration {
        if self.threads.iter().all(|thread| thread.turn.is_none()) {
            return QUIET;
        }
        // The upper bits of a product with an odd number are spread evenly.
        let spread = self.looks.wrapping_mul(0x9e37_79b9) >> 16;
        LOOK / 2 + LOOK * (spread & 0xff) / 0xff
    }

    /// Forgets the isolates that are gone. Returns the time of those that have run; `None` if the
    /// system does not tell it.
    pub(super) fn cpu(&mut self, is_there: impl Fn(u64) -> bool) -> Option<HashMap<u64, Duration>> {
        self.cpu.retain(|number, _| is_there(*number));
        let is_known = self.threads.iter().any(|thread| thread.clock.is_known());
        is_known.then(|| self.cpu.clone())
    }
}

impl WatchedThread {
    /// Compares the thread with the look before. Returns the turn that is over.
    fn turn(&mut self, thread: &ThreadSnapshot, now: Instant) -> Option<(IsolateId, Duration)> {
        let is_same = self.turns == thread.turns;
        self.turns = thread.turns;
        let before = self.turn;
        self.turn = thread.isolate.map(|isolate| match before {
            Some((before, since)) if is_same && before == isolate => (isolate, since),
            _ => (isolate, now),
        });
        let (isolate, since) = before.filter(|_| before != self.turn)?;
        Some((isolate, now.saturating_duration_since(since)))
    }
}

impl Program {
    /// Looks at the threads, and records the turns that took long. Returns the time until the next
    /// look.
    pub(crate) fn watch(&self) -> Duration {
        let threads = self.runtime.threads();
        let mut watched = self.watched.lock();
        let ended = watched.look(&threads, self.limits.long_turn, Instant::now());
        let pause = watched.pause();
        drop(watched);
        for turn in ended {
            self.log.record(self.long_turn(turn));
        }
        pause
    }

    fn long_turn(&self, turn: LongTurn) -> Event {
        let isolate = self.runtime.isolate(turn.isolate);
        let name = isolate.map(|isolate| isolate.name());
        let name = name_of(turn.isolate, name.as_ref());
        Event {
            kind: "longTurn".to_owned(),
            severity: Severity::Info,
            subject: id_of(turn.isolate),
            text: format!("a turn of {name} took {} ms", turn.time.as_millis()),
            thread: Some(thread_name(turn.thread)),
            ..Event::default()
        }
    }
}

#[cfg(test)]
mod tests;
