//! What has really happened in a storm, to be compared with the books of the pool.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use insula_pool::{Overflow, PoolStats};
use insula_rpc::{Call, CallError, CancelledBy, Context, Outcome, Receipt, Reject};
use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::service::{Ask, Deed, Id, Oops, StormCaller, StormRunMethod, Thing};
use crate::weather::{Hopeless, Weather};

/// Shared by all clients and handlers of a storm.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(Arc<Inside>);

#[derive(Debug)]
struct Inside {
    weather: Weather,
    /// Set once the pool is there.
    caller: OnceLock<StormCaller>,
    /// Calls that were submitted.
    sent: AtomicU64,
    /// Set before the pool begins to end.
    is_ending: AtomicBool,
    /// Handlers that run.
    running: AtomicU64,
    pages: Mutex<Pages>,
    witness: Weak<()>,
}

#[derive(Debug, Default)]
struct Pages {
    calls: Vec<Entry>,
    seen: BTreeMap<Seen, u64>,
    /// The numbers of pinned calls by client and key, in the order in which they have started.
    pinned: BTreeMap<(u64, u64), Vec<u64>>,
    wrong: Vec<String>,
}

/// One call.
#[derive(Debug, Default, Clone, Copy)]
struct Entry {
    /// The times that its handler has started.
    starts: u32,
    outcome: Option<Outcome>,
    has_deadline: bool,
}

/// How a call has ended, as far as its caller knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Seen {
    Answered,
    Failed,
    Panicked,
    Cancelled,
    /// Its deadline has passed. The books may say that its handler has panicked or died then, or
    /// that the queue has dropped it before its caller could take it out.
    Expired,
    Died,
    Rejected,
    Shed,
    /// Its caller has gone, and does not know.
    Gone,
}

impl Ledger {
    pub(crate) fn new(weather: &Weather, witness: &Arc<()>) -> Self {
        Self(Arc::new(Inside {
            weather: weather.clone(),
            caller: OnceLock::new(),
            sent: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
            running: AtomicU64::new(0),
            pages: Mutex::new(Pages::default()),
            witness: Arc::downgrade(witness),
        }))
    }

    pub(crate) fn serve(&self, caller: StormCaller) {
        assert!(self.0.caller.set(caller).is_ok());
    }

    pub(crate) fn caller(&self) -> &StormCaller {
        self.0.caller.get().expect("the pool has been built")
    }

    pub(crate) fn weather(&self) -> &Weather {
        &self.0.weather
    }

    /// A thing that the ledger follows.
    pub(crate) fn thing(&self, number: u64, weight: u64) -> Thing {
        let witness = self.0.witness.upgrade();
        let _witness = witness.expect("the storm is not over");
        Thing {
            number,
            weight,
            _witness,
        }
    }

    /// The number of a new call, and of its entry.
    pub(crate) fn enter(&self, has_deadline: bool) -> Id {
        let mut pages = self.0.pages.lock();
        pages.calls.push(Entry {
            has_deadline,
            ..Entry::default()
        });
        pages.calls.len() - 1
    }

    /// A call is submitted now.
    pub(crate) fn send(&self) {
        self.0.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// The pool is about to end.
    pub(crate) fn end(&self) {
        self.0.is_ending.store(true, Ordering::SeqCst);
    }

    /// A handler starts.
    pub(crate) fn started(&self, ask: &Ask) {
        self.0.running.fetch_add(1, Ordering::SeqCst);
        let mut pages = self.0.pages.lock();
        pages.calls[ask.id].starts += 1;
        if let Some((client, key, number)) = ask.pin {
            let numbers = pages.pinned.entry((client, key)).or_default();
            numbers.push(number);
        }
    }

    /// A handler has ended, in whatever way.
    pub(crate) fn stopped(&self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn wrong(&self, what: impl Into<String>) {
        self.0.pages.lock().wrong.push(what.into());
    }

    pub(crate) fn see(&self, seen: Seen) {
        *self.0.pages.lock().seen.entry(seen).or_default() += 1;
    }

    /// A call from within a handler, which is a part of the call of `cx`.
    pub(crate) fn nested(
        &self,
        cx: &Context,
        deed: Deed,
        deadline: Duration,
    ) -> (Id, Call<StormRunMethod>) {
        let id = self.enter(true);
        self.send();
        let ask = Ask {
            id,
            deeds: vec![deed],
            pin: None,
            thing: self.thing(0, 8),
        };
        let call = self.caller().run(ask).deadline(deadline).within(cx);
        // Now, so that it has been sent also if its handler is dropped.
        (id, call.start())
    }

    /// What a handler was told that waits for a nested call.
    pub(crate) fn judge_nested(&self, id: Id, answer: &Result<Thing, CallError<Oops, Ask>>) {
        let outcome = match answer {
            Ok(_) => Outcome::Executed,
            Err(error) => error.outcome(),
        };
        self.0.pages.lock().calls[id].outcome = Some(outcome);
    }

    /// What a caller was told, which has to be possible.
    pub(crate) fn judge<T, Q: fmt::Debug>(&self, id: Id, answer: &Result<T, CallError<Oops, Q>>) {
        let seen = match answer {
            Ok(_) => Seen::Answered,
            Err(error) => self.judge_error(id, error),
        };
        let outcome = answer
            .as_ref()
            .map_or_else(CallError::outcome, |_| Outcome::Executed);
        self.conclude(id, seen, outcome);
    }

    /// As [`judge`](Self::judge), for an answer that is a stream, which has its end later.
    pub(crate) fn judge_open<T, Q: fmt::Debug>(
        &self,
        id: Id,
        answer: &Result<T, CallError<Oops, Q>>,
    ) {
        if answer.is_err() {
            self.judge(id, answer);
        }
    }

    /// The end of a stream that was read to its end.
    pub(crate) fn judge_end(&self, id: Id, end: Option<CallError<Oops>>) {
        match end {
            None => self.conclude(id, Seen::Answered, Outcome::Executed),
            Some(error) => {
                let seen = self.judge_error(id, &error);
                if error.outcome() == Outcome::NotStarted {
                    self.wrong(format!(
                        "call {id}: the stream of a call that never ran: {error:?}"
                    ));
                }
                self.conclude(id, seen, error.outcome());
            }
        }
    }

    pub(crate) fn judge_receipt<T>(&self, id: Id, receipt: Receipt<T, Oops, impl fmt::Debug>) {
        match receipt {
            // Taken out by its caller, or refused before.
            Receipt::NotStarted(_) => self.conclude(id, Seen::Gone, Outcome::NotStarted),
            Receipt::Stopped => self.conclude(id, Seen::Cancelled, Outcome::MaybeExecuted),
            Receipt::Ended(answer) => self.judge(id, &answer),
            _ => self.wrong(format!("call {id}: a receipt of an unknown kind")),
        }
    }

    /// Its caller lets go of it.
    pub(crate) fn gone(&self) {
        self.see(Seen::Gone);
    }

    fn conclude(&self, id: Id, seen: Seen, outcome: Outcome) {
        let mut pages = self.0.pages.lock();
        *pages.seen.entry(seen).or_default() += 1;
        let before = pages.calls[id].outcome.replace(outcome);
        if let Some(before) = before {
            let what = format!("call {id} has ended twice: {before:?} and {outcome:?}");
            pages.wrong.push(what);
        }
    }

    /// Returns how a call has ended that has no answer, if that is possible in this weather.
    fn judge_error<Q: fmt::Debug>(&self, id: Id, error: &CallError<Oops, Q>) -> Seen {
        let weather = &self.0.weather;
        let is_ending = self.0.is_ending.load(Ordering::SeqCst);
        let has_deadline = self.0.pages.lock().calls[id].has_deadline;
        let (seen, is_possible) = match error {
            CallError::App(Oops) => (Seen::Failed, true),
            CallError::Panicked { message, .. } => {
                (Seen::Panicked, weather.has_panics && message == "a deed")
            }
            CallError::Rejected { why, request } => {
                let (seen, is_possible) = match why {
                    Reject::QueueFull => (Seen::Rejected, true),
                    Reject::Shed => {
                        let sheds = [Overflow::DropOldest, Overflow::DropNewest];
                        (
                            Seen::Shed,
                            sheds.contains(&weather.overflow) || weather.codel.is_some(),
                        )
                    }
                    Reject::Shutdown => (Seen::Rejected, is_ending),
                    Reject::NoWorker => (Seen::Rejected, weather.is_deadly || is_ending),
                    Reject::RateLimited { .. } => (Seen::Rejected, weather.rate.is_some()),
                    Reject::DeadlineWouldMiss { .. } => {
                        (Seen::Rejected, weather.hopeless == Hopeless::IsRejected)
                    }
                    Reject::Quarantined => (Seen::Rejected, weather.quarantine.is_some()),
                    Reject::TooLarge => (Seen::Rejected, weather.bytes.is_some()),
                    _ => (Seen::Rejected, false),
                };
                (seen, is_possible && request.is_some())
            }
            CallError::Deadline {
                outcome, request, ..
            } => {
                let is_back = (*outcome == Outcome::NotStarted) == request.is_some();
                (Seen::Expired, has_deadline && is_back)
            }
            CallError::Cancelled { by, .. } => {
                (Seen::Cancelled, *by == CancelledBy::Shutdown && is_ending)
            }
            CallError::WorkerDied {
                outcome, request, ..
            } => {
                // Calls that have not started go to another worker, or are rejected.
                let has_run = *outcome == Outcome::MaybeExecuted && request.is_none();
                (Seen::Died, has_run && (weather.is_deadly || is_ending))
            }
            _ => (Seen::Gone, false),
        };
        if !is_possible {
            self.wrong(format!("call {id} cannot end like this: {error:?}"));
        }
        seen
    }

    /// What is wrong, whatever the pool has counted.
    pub(crate) fn check(&self) -> Vec<String> {
        let pages = self.0.pages.lock();
        let mut wrong = pages.wrong.clone();
        for (id, call) in pages.calls.iter().enumerate() {
            let is_possible = match call.outcome {
                Some(Outcome::NotStarted) => call.starts == 0,
                Some(Outcome::Executed) => call.starts == 1,
                Some(Outcome::MaybeExecuted) | None => call.starts <= 1,
            };
            if !is_possible {
                wrong.push(format!("call {id}: {call:?}"));
            }
        }
        if !self.0.weather.is_deadly {
            for (pin, numbers) in &pages.pinned {
                if !numbers.is_sorted() {
                    wrong.push(format!("{pin:?} started as {numbers:?}"));
                }
            }
        }
        wrong
    }

    /// Handlers that have not come to their end.
    pub(crate) fn running(&self) -> u64 {
        self.0.running.load(Ordering::SeqCst)
    }

    /// Compares with what the pool has counted once all calls have ended.
    pub(crate) fn audit(&self, stats: &PoolStats) -> Vec<String> {
        let mut wrong = Vec::new();
        let booked = [
            (Seen::Answered, stats.answered),
            (Seen::Failed, stats.failed),
            (Seen::Panicked, stats.panicked),
            (Seen::Cancelled, stats.cancelled),
            (Seen::Died, stats.died),
            (Seen::Rejected, stats.rejected),
            (Seen::Shed, stats.shed),
        ];
        let ended = booked.iter().map(|(_, count)| count).sum::<u64>() + stats.expired;
        if stats.submitted != ended {
            wrong.push(format!("{} submitted, {ended} ended", stats.submitted));
        }
        if stats.submitted != self.sent() {
            wrong.push(format!(
                "{} submitted, {} sent",
                stats.submitted,
                self.sent()
            ));
        }
        let pages = self.0.pages.lock();
        for (seen, count) in booked {
            let told = pages.seen.get(&seen).copied().unwrap_or(0);
            if told > count {
                wrong.push(format!(
                    "{told} callers were told {seen:?}, {count} in the books"
                ));
            }
        }
        if !wrong.is_empty() {
            wrong.push(format!("the callers: {:?}", pages.seen));
            wrong.push(format!("the books: {stats:?}"));
        }
        wrong
    }
}
