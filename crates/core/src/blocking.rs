//! Waits that block a thread: what mailboxes, locks and blocking questions have in common.
//!
//! # Protocol of a wait
//! Whoever waits has a [`Seat`]: a parker that somebody else unparks after having changed what
//! is waited for. A wait
//! 1. looks, and spins for a moment if spinning has paid of late (`spin.rs`) and nobody waits for
//!    this thread of the pool; then a thread outside of isolates offers its core to others once,
//!    since the other side may wait for it;
//! 2. refuses on a seeded runtime, where nobody else could run meanwhile ([`check_seeded`] says
//!    which runtime counts);
//! 3. enters the process-wide graph of waits (`graph.rs`), which refuses what would close a
//!    cycle;
//! 4. tells its isolate where it sits, so that control messages wake it, and its pool thread
//!    that another one may take the place;
//! 5. looks again and parks, in turn.
//!
//! A wait that does not end at its first look is an interrupt check, and so is each look in 5: an
//! isolate that is to end unwinds out of its wait, and guards put everything back. Where it cannot
//! unwind (`isolate/control.rs` says where that is) the wait returns [`WaitError::Ending`]. Code
//! that has left its isolate, such as a future under [`block_on`](crate::block_on), waits as that
//! isolate in this respect.
//!
//! Only 1 happens while both sides are awake. What is waited for is always published before the
//! seat is unparked, and looked at after the parker's token was taken, so no wake-up is lost;
//! a token too many only costs a look.
//!
//! # Who waits for whom
//! A *party* is an isolate, or a thread outside of isolates (`party.rs`). A lock knows its holder;
//! an end of a rendezvous and a handle of a mailbox know the party that attached them, or that
//! the other end named; an answer, a result and a call know the isolates they come from
//! (`future.rs`). What is held by a party that ends is given up then (`life.rs`). A wait without time-out is an
//! edge from the one who waits to the holder of what would end it, as long as it has not been
//! ended: stale edges are recognized, not raced against. A wait with a time-out ends by itself, so
//! it is refused if it would close a cycle, but closes none for others.
//!
//! What anybody could complete is not in the graph: a future under
//! [`block_on`](crate::block_on), the other half of a [`one_shot`](crate::one_shot), a
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
pub(crate) use graph::{Awaited, Side};
pub(crate) use life::{EndCall, Ended};
pub(crate) use party::{Holder, Party, PartyId};
pub(crate) use seat::Seat;
pub use send::SendBlockingError;
pub(crate) use spin::Spin;

/// Why a wait ended without what it waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WaitError {
    /// The time was over first.
    TimedOut,
    /// The wait would never have ended.
    Deadlock(Deadlock),
    /// On a seeded runtime nobody else runs while one waits. The runtime is that of the isolate;
    /// outside of isolates, the one that the thread has entered last.
    Seeded,
    /// The waiting isolate is to end, and cannot unwind out of the wait: this is a destructor that
    /// runs while the stack unwinds, or because the isolate has ended. Elsewhere a wait of such an
    /// isolate does not return.
    Ending,
    /// No thread of the runtime is left to run isolates: all of them, the spare ones included, have
    /// been blocked in waits without a time-out for a second, and isolates that could end one of
    /// them may be among those that wait to run. This is not certain: something outside of the
    /// runtime may have ended the wait later. More threads can be allowed with
    /// [`RuntimeBuilder::spare_threads`](crate::RuntimeBuilder::spare_threads).
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
            Self::TimedOut => f.write_str("the time is over"),
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

/// Refuses a wait on a seeded runtime: the one of the isolate; outside of isolates, the one that
/// the thread has entered last.
///
/// It does not matter who would end the wait. Another thread could, but when it does so is not a
/// matter of the seed; and most often it is the runtime itself, which does not run meanwhile.
pub(crate) fn check_seeded() -> Result<(), WaitError> {
    let seeded = crate::runtime::with_current(|it| it.is_some_and(|it| !it.has_threads()));
    if seeded {
        return Err(WaitError::Seeded);
    }
    Ok(())
}

/// When a wait is to end. `None` is never.
pub(crate) type Deadline = Option<Instant>;

/// A time-out that is too long for the clock is none.
pub(crate) fn deadline_in(timeout: Duration) -> Deadline {
    Instant::now().checked_add(timeout)
}

/// Waits until `ready` gives something, which it does not do before the seat was unparked.
///
/// After an error `ready` may have become true meanwhile; the caller, who takes himself out of
/// whatever queue he is in, sees that there.
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
    // Whoever waits for this thread gets it at once; maybe it is the one who would answer.
    if !crate::runtime::others_wait()
        && let Some(result) = spin.until(&mut ready).or_else(|| yielded(&mut ready))
    {
        return Ok(result);
    }
    let (awaited, side) = awaited();
    let _edge = graph::enter(awaited, side, deadline.is_some()).map_err(WaitError::Deadlock)?;
    let _seated = Seated::sit(seat);
    crate::runtime::about_to_block();
    let begun = match deadline {
        None => crate::runtime::begin_wait(seat),
        Some(_) => None,
    };
    loop {
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

/// Looks again after others had the core. Where both sides are on one core this is how the other
/// one gets to answer, at half the price of sleeping and being woken. An isolate does not do it:
/// others of its pool would wait for the thread meanwhile, and be told so only later.
fn yielded<R>(ready: &mut impl FnMut() -> Option<R>) -> Option<R> {
    if cfg!(loom) || Current::with(|isolate| isolate.is_some()) {
        return None;
    }
    insula_sync::wait::yield_thread();
    ready()
}

/// The isolate whose code waits here, if there is one, knows where it waits. The place before is
/// restored, since what a control message runs inside of a wait may itself wait.
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

/// Returns the one before.
fn tell_isolate(seat: Option<Arc<Seat>>) -> Option<Arc<Seat>> {
    Current::with_or_left(|isolate| {
        let isolate = isolate?;
        let mut lane = isolate.lane.lock();
        isolate.with_details(&mut lane, |details| {
            std::mem::replace(&mut details.seat, seat)
        })
    })
}
