//! Waits that block a thread: the part that mailboxes, locks and blocking questions share.
//!
//! # Protocol of a wait
//! A waiter has a [`Seat`], which is a parker. The other side publishes a result and then unparks
//! the seat. A wait
//! 1. looks for the result;
//! 2. fails on a seeded runtime, where nothing else runs during the wait ([`check_seeded`] says
//!    which runtime counts);
//! 3. spins for a moment, if spinning has paid lately (`spin.rs`) and no isolate waits to run on
//!    this thread of the pool; then a thread outside of isolates yields its core once, since the
//!    other side may need it;
//! 4. enters the process-wide graph of waits (`graph.rs`), which refuses a wait that would close
//!    a cycle;
//! 5. registers its seat with its isolate, so that control messages wake it, and lets another
//!    thread take this one's place in the pool;
//! 6. looks and parks in turn.
//!
//! A wait that does not end at its first look is an interrupt check, and so is each look in 6: an
//! isolate that is ending unwinds out of its wait, and guards undo what the wait has set up. Where
//! it cannot unwind (`isolate/control.rs` lists the cases) the wait returns
//! [`WaitError::Ending`]. Code that has left its isolate, such as a future under
//! [`block_on`](crate::block_on), waits as that isolate in this respect.
//!
//! While both sides are awake, a wait does not get beyond 3. No wake-up is lost, since the result
//! is published before the unpark, and the waiter takes the parker's token before it looks. A
//! surplus token only costs a look.
//!
//! # The graph of waits
//! A *party* is an isolate, or a thread outside of isolates (`party.rs`). A lock knows its holder;
//! an end of a rendezvous and a handle of a mailbox know the party that attached them, and an end
//! also the party that its peer named; an answer, a result and a call know the isolates that
//! produce them (`future.rs`). What a party holds is given up when the party ends (`life.rs`).
//!
//! A wait without a time-out is an edge from the waiter to the party that can end the wait. An edge
//! counts until its wait has been ended: a search recognizes a stale edge, so its removal need not
//! win a race. A wait with a time-out ends by itself, so it is refused if it would close a cycle,
//! but adds no edge.
//!
//! A wait that any party could end has no edge either: for a future under
//! [`block_on`](crate::block_on), for the other half of a [`one_shot`](crate::one_shot), for a
//! notification.

mod ask;
pub(crate) mod block_on;
pub(crate) mod callback;
mod future;
mod graph;
mod life;
pub(crate) mod mailbox;
mod party;
mod seat;
mod send;
mod spin;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::isolate::{Ending, check_wait};
use crate::memory::Current;
use crate::runtime::BegunWait;
pub use ask::AskBlockingError;
pub use future::{Completer, block_on_by, block_on_completer};
pub use graph::Deadlock;
pub(crate) use graph::{Awaited, Side, each_wait};
pub(crate) use life::{EndCall, Ended};
pub(crate) use party::{Holder, Party, PartyId};
pub(crate) use seat::Seat;
pub use send::SendBlockingError;
pub(crate) use spin::Spin;

/// The error of a blocking wait that ended without its result.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitError {
    /// The time-out passed first.
    TimedOut,
    /// The wait would never have ended.
    Deadlock(Deadlock),
    /// The wait was on a seeded runtime, where nothing else runs meanwhile. The runtime is that of
    /// the isolate; outside of isolates, the one that the thread has entered last.
    Seeded,
    /// The waiting isolate is ending and cannot unwind out of the wait, which is in a destructor
    /// that runs while the stack unwinds or because the isolate has ended. Elsewhere a wait of such
    /// an isolate does not return.
    Ending,
    /// No thread of the runtime is left to run isolates: all of them, the spare ones included, have
    /// been blocked in waits without a time-out for a second, and isolates that could end one of
    /// these waits may be among those that wait to run. This is not certain: something outside of
    /// the runtime might have ended the wait later.
    /// [`RuntimeBuilder::spare_threads`](crate::RuntimeBuilder::spare_threads) allows more threads.
    NoThreads,
}

impl From<Ending> for WaitError {
    fn from(_: Ending) -> Self {
        Self::Ending
    }
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the time-out has passed"),
            Self::Deadlock(deadlock) => deadlock.fmt(f),
            Self::Seeded => f.write_str(
                "a blocking wait on a seeded runtime would never end, since the runtime stands \
                 still meanwhile: await instead, or wait on a thread that has not entered it",
            ),
            Self::Ending => Ending.fmt(f),
            Self::NoThreads => f.write_str(
                "all threads of the runtime are blocked in waits, and none is left to run isolates: \
                 allow more with `RuntimeBuilder::spare_threads`",
            ),
        }
    }
}

impl std::error::Error for WaitError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Deadlock(deadlock) => Some(deadlock),
            Self::TimedOut | Self::Seeded | Self::Ending | Self::NoThreads => None,
        }
    }
}

/// Refuses a wait on a seeded runtime: the runtime of the isolate; outside of isolates, the one
/// that the thread has entered last.
///
/// This does not depend on what would end the wait. Another thread could, but at a moment that
/// does not follow from the seed; and most often it is the runtime itself, which does not run
/// meanwhile.
pub(crate) fn check_seeded() -> Result<(), WaitError> {
    let seeded = crate::runtime::with_current(|it| it.is_some_and(|it| !it.has_threads()));
    if seeded {
        return Err(WaitError::Seeded);
    }
    Ok(())
}

/// The instant at which a wait times out; `None` if it never does.
pub(crate) type Deadline = Option<Instant>;

/// Returns the deadline of a wait that begins now. A time-out that is too long for the clock
/// counts as none.
pub(crate) fn deadline_in(timeout: Duration) -> Deadline {
    Instant::now().checked_add(timeout)
}

/// Waits until `ready` returns `Some`. A change that makes it do so must be followed by an unpark
/// of the seat.
///
/// After an error the result may have come in the meantime. The caller finds it when it leaves the
/// queue in which it waits.
pub(crate) fn wait<R>(
    seat: &Arc<Seat>,
    spin: &Spin,
    deadline: Deadline,
    awaited: impl FnOnce() -> (Arc<dyn Awaited>, Side),
    mut ready: impl FnMut() -> Option<R>,
) -> Result<R, WaitError> {
    if let Some(result) = ready() {
        return Ok(result);
    }
    check_wait()?;
    check_seeded()?;
    // No spin while an isolate waits to run on this thread: it may be the one that would answer.
    if !crate::runtime::others_wait()
        && let Some(result) = spin.until(&mut ready).or_else(|| yielded(&mut ready))
    {
        return Ok(result);
    }
    let (awaited, side) = awaited();
    let _edge = graph::enter(awaited, side, deadline.is_some()).map_err(WaitError::Deadlock)?;
    let _seated = Seated::sit(seat);
    crate::runtime::about_to_block();
    // A wait with a time-out frees its thread by itself, so it never counts for `NoThreads`.
    let begun = match deadline {
        None => crate::runtime::begin_wait(seat),
        Some(_) => None,
    };
    loop {
        // First, since a result that was handed over wins over a kill and over the deadline.
        if let Some(result) = ready() {
            return Ok(result);
        }
        check_wait()?;
        if begun.as_ref().is_some_and(BegunWait::is_refused) {
            return Err(WaitError::NoThreads);
        }
        if !seat.park_until(deadline) {
            return Err(WaitError::TimedOut);
        }
    }
}

/// Yields the core once and looks again. Where both sides share a core, this lets the other side
/// answer at half the cost of a sleep and a wake-up. Does nothing in an isolate: other isolates may
/// wait for its thread, and the pool learns only later that the thread blocks.
fn yielded<R>(ready: &mut impl FnMut() -> Option<R>) -> Option<R> {
    if cfg!(loom) || Current::with(|isolate| isolate.is_some()) {
        return None;
    }
    insula_sync::wait::yield_thread();
    ready()
}

/// Registers a seat with the isolate whose code waits here, if there is one, until it is dropped.
/// The drop restores the seat before, since code that a control message runs inside of a wait may
/// itself wait.
pub(crate) struct Seated(Option<Arc<Seat>>);

impl Seated {
    pub(crate) fn sit(seat: &Arc<Seat>) -> Self {
        Self(tell_isolate(Some(seat.clone())))
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        drop(tell_isolate(self.0.take()));
    }
}

/// Sets the seat that control messages of the current isolate wake. Returns the one before.
fn tell_isolate(seat: Option<Arc<Seat>>) -> Option<Arc<Seat>> {
    Current::with_or_left(|isolate| {
        let isolate = isolate?;
        let mut lane = isolate.lane.lock();
        isolate.with_details(&mut lane, |details| {
            std::mem::replace(&mut details.seat, seat)
        })
    })
}
