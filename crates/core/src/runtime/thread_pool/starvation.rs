//! Refuses a wait when no thread is left to run isolates.
//!
//! A thread whose isolate waits is replaced by a spare one, as long as there is one. Nested waits
//! for computations, for example, can use up all of them: each thread then waits for an isolate
//! that waits for a thread. Such waits form no cycle in the graph of waits, so this is found by
//! looking at the threads.
//!
//! # Protocol
//! A wait without a time-out enters its seat into the list of its thread, and removes it when it is
//! over. The pool is *starved* while isolates wait to run, no thread is awake or parked, none can
//! be started, and every stuck thread is inside of such a wait. These come back by themselves, and
//! are in no list:
//! - threads that compute or block elsewhere,
//! - waits with a time-out, and
//! - futures under `block_on` whose last poll waited for time, a socket or a file operation
//!   ([`awaits_event`](crate::blocking::block_on::awaits_event)).
//!
//! Starvation does not prove that the waits never end. Most of them could be ended by a thread
//! outside of the pool, by a pinned isolate, or by an isolate of another runtime: a mailbox, a lock
//! and the second half of a [`one_shot`](crate::one_shot) do not record which parties will use
//! them. So the [`monitor`](super::monitor) waits for [`PATIENCE`]. If no wait has ended and none
//! has begun by then, it refuses the newest wait, even if that would have ended later: it marks the
//! list entry and unparks the seat. The wait returns
//! [`WaitError::NoThreads`](crate::WaitError::NoThreads), and its thread goes on. Of nested waits
//! the newest is the innermost, so that the others get their results.

#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use insula_sync::{Mutex, Serial};

use super::ThreadPool;
use crate::blocking::Seat;

/// The time that a starved pool waits for threads outside of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The waits without a time-out on one thread, the innermost last. There can be several, because a
/// control message may run a function inside of a wait, and that function may wait too.
#[derive(Default)]
pub(super) struct Waits(Mutex<Vec<Waiting>>);

struct Waiting {
    /// Rises with each wait of the process.
    serial: u64,
    seat: Arc<Seat>,
    is_refused: bool,
}

impl Waits {
    pub(super) fn begin(self: &Arc<Self>, seat: &Arc<Seat>) -> BegunWait {
        static NEXT: Serial = Serial::new();
        self.0.lock().push(Waiting {
            serial: NEXT.next(),
            seat: seat.clone(),
            is_refused: false,
        });
        BegunWait(self.clone())
    }

    fn newest(&self) -> Option<u64> {
        self.0.lock().last().map(|wait| wait.serial)
    }

    /// Marks a wait as refused, if it is still the innermost one. Returns the seat to unpark.
    fn refuse(&self, serial: u64) -> Option<Arc<Seat>> {
        let mut waits = self.0.lock();
        let wait = waits.last_mut().filter(|wait| wait.serial == serial)?;
        wait.is_refused = true;
        Some(wait.seat.clone())
    }
}

/// A guard on the waiting thread, which keeps a wait in that thread's list.
pub(crate) struct BegunWait(Arc<Waits>);

impl BegunWait {
    /// Returns whether the wait must end because no thread is left. Called only while it is the
    /// innermost wait of its thread.
    pub(crate) fn is_refused(&self) -> bool {
        self.0.0.lock().last().is_some_and(|wait| wait.is_refused)
    }
}

impl Drop for BegunWait {
    fn drop(&mut self) {
        // The waits of a thread end in the reverse order of their beginning, so the last entry is
        // this one. It is dropped after the lock, since its seat may be the last reference.
        let ended = self.0.0.lock().pop();
        drop(ended);
    }
}

/// A starved pool: the time since when, and its newest wait.
pub(super) struct Starved {
    since: Instant,
    newest: u64,
}

impl ThreadPool {
    /// Refuses the newest wait if the pool has been starved for [`PATIENCE`].
    pub(super) fn look_for_starvation(&self, starved: &mut Option<Starved>) {
        let Some((thread, newest)) = self.newest_wait_if_starved() else {
            *starved = None;
            return;
        };
        match starved {
            Some(before) if before.newest == newest => {
                if before.since.elapsed() >= PATIENCE {
                    *starved = None;
                    if let Some(seat) = self.threads[thread].waits.refuse(newest) {
                        seat.unpark();
                    }
                }
            }
            _ => {
                let since = Instant::now();
                *starved = Some(Starved { since, newest });
            }
        }
    }

    /// Returns the thread and the serial number of the newest wait if the pool is starved.
    fn newest_wait_if_starved(&self) -> Option<(usize, u64)> {
        if !self.work_waits() {
            return None;
        }
        let stuck = self.sleep.stuck_if_exhausted()?;
        let waits = self.threads.iter().enumerate();
        let waits: Vec<_> = waits
            .filter_map(|(index, thread)| Some((index, thread.waits.newest()?)))
            .collect();
        let all_wait = waits.len() == stuck;
        waits
            .into_iter()
            .max_by_key(|wait| wait.1)
            .filter(|_| all_wait)
    }
}
