//! When no thread is left to run isolates.
//!
//! A thread whose isolate waits is replaced by a spare one, as long as there is one. Nested waits
//! for computations, for example, can use up all of them: each thread then waits for an isolate
//! that waits for a thread. Such waits have no cycle in the graph of waits, so this is found by
//! looking at the threads.
//!
//! # Protocol
//! A wait without a time-out enters its seat into the list of its thread, and takes it out when it
//! is over. The pool is *starved* while isolates wait to run, no thread is awake, parked or can be
//! started, and each of the others is inside of such a wait. Threads that compute or that block
//! elsewhere come back by themselves, and so do waits with a time-out, and futures under `block_on`
//! that were found to wait for time, a socket or an operation on files when they were last polled
//! ([`awaits_event`](crate::blocking::block_on::awaits_event)). None of these are in a list.
//!
//! This is no proof that the waits never end. What most of them wait for could be brought about by
//! a thread outside of the pool, by a pinned isolate, or by one of another runtime: a mailbox, a
//! lock, and the other half of a [`one_shot`](crate::one_shot) do not tell who comes to them. So the
//! [`monitor`](super::monitor) gives the others [`PATIENCE`]. If no wait has ended and none has
//! begun by then, it refuses the newest one, also if that would have ended later: its list entry is
//! marked, and its seat is unparked. The wait returns
//! [`WaitError::NoThreads`](crate::WaitError::NoThreads), and its thread goes on. In nested waits
//! the newest is the innermost, so that the others get their results.

#[cfg(all(test, not(loom)))]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use insula_sync::{Mutex, Serial};

use super::ThreadPool;
use crate::blocking::Seat;

/// How long a starved pool waits for threads outside of it.
const PATIENCE: Duration = Duration::from_secs(1);

/// The waits without a time-out on one thread, the innermost last: a control message may run a
/// function inside of a wait that waits in turn.
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

    /// Marks a wait as refused, if it is still the innermost. Returns the seat to unpark.
    fn refuse(&self, serial: u64) -> Option<Arc<Seat>> {
        let mut waits = self.0.lock();
        let wait = waits.last_mut().filter(|wait| wait.serial == serial)?;
        wait.is_refused = true;
        Some(wait.seat.clone())
    }
}

/// A wait in its thread's list, on that thread.
pub(crate) struct BegunWait(Arc<Waits>);

impl BegunWait {
    /// Whether the wait is to end because no thread is left. Asked while it is the innermost.
    pub(crate) fn is_refused(&self) -> bool {
        self.0.0.lock().last().is_some_and(|wait| wait.is_refused)
    }
}

impl Drop for BegunWait {
    fn drop(&mut self) {
        // Waits of one thread end in the reverse order of their beginning, so this is its own.
        let ended = self.0.0.lock().pop();
        drop(ended);
    }
}

/// Since when a pool is starved, and its newest wait then.
pub(super) struct Starved {
    since: Instant,
    newest: u64,
}

impl ThreadPool {
    /// Refuses a wait if the pool has been starved for long.
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

    /// The thread and the serial number of the newest wait, if isolates wait to run and nothing
    /// but waits is left.
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
