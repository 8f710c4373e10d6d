//! The state that a native port's lock guards: the waiting messages and the counts of the threads.
//! The methods are the transitions. They return which thread to wake or start, which the caller
//! does after it has released the lock.

use std::collections::VecDeque;
use std::time::Duration;

use super::SHORT;

pub(super) struct State<T> {
    /// Unbounded, as the queue of any unbounded port.
    queue: VecDeque<T>,
    open: bool,
    /// The threads that handle messages on virtual time, by number, each with the messages that
    /// wait for it. Bounded by the threads inside of such a handler.
    here: Vec<(u64, VecDeque<T>)>,
    /// Threads inside the handler.
    running: usize,
    /// Threads about to take a message.
    looking: usize,
    /// Sleeping threads that have not been called.
    sleeping: usize,
    /// Calls that no sleeping thread has answered yet.
    called: usize,
    lookout: Lookout,
    max_threads: usize,
    /// The number of running threads that is enough for short messages.
    parallel: usize,
    /// Threads started so far, for their names.
    started: u64,
    /// Messages taken by the port's threads so far.
    taken: u64,
    /// Messages started on virtual time so far.
    taken_here: u64,
    /// Moving average of the handlers' durations, in which the last one weighs an eighth.
    mean: Duration,
}

/// The state of the lookout.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lookout {
    Nobody,
    /// A thread has been called to become the lookout.
    Called,
    Watching,
}

/// The thread to wake or start after the lock is released.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Call {
    Nobody,
    Sleeper,
    /// A new thread, of this number.
    NewThread(u64),
}

impl<T> State<T> {
    pub(super) fn new(max_threads: usize, parallel: usize) -> Self {
        Self {
            queue: VecDeque::new(),
            open: true,
            here: Vec::new(),
            running: 0,
            looking: 0,
            sleeping: 0,
            called: 0,
            lookout: Lookout::Nobody,
            max_threads,
            parallel,
            started: 0,
            taken: 0,
            taken_here: 0,
            mean: Duration::ZERO,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn threads(&self) -> usize {
        let lookout = usize::from(self.lookout == Lookout::Watching);
        self.running + self.looking + self.sleeping + lookout
    }

    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    pub(super) fn taken_here(&self) -> u64 {
        self.taken_here
    }

    pub(super) fn mean(&self) -> Duration {
        self.mean
    }

    pub(super) fn max_threads(&self) -> usize {
        self.max_threads
    }

    /// Queues a message, or returns it if the port is closed.
    pub(super) fn post(&mut self, message: T) -> Result<Call, T> {
        if !self.open {
            return Err(message);
        }
        self.queue.push_back(message);
        Ok(self.call())
    }

    /// Posts a message that `thread` itself must handle. Returns it if the thread must do so now,
    /// and `None` if it is queued because the thread is inside the handler. If the port is closed
    /// the message is the error.
    pub(super) fn post_here(&mut self, thread: u64, message: T) -> Result<Option<T>, T> {
        if !self.open {
            return Err(message);
        }
        match self.here.iter_mut().find(|here| here.0 == thread) {
            Some((_, waiting)) => {
                waiting.push_back(message);
                Ok(None)
            }
            None => {
                self.here.push((thread, VecDeque::new()));
                self.taken_here += 1;
                Ok(Some(message))
            }
        }
    }

    /// Records that `thread` has finished a message, and returns the next one that waits for it.
    pub(super) fn take_here(&mut self, thread: u64) -> Option<T> {
        let index = self.here.iter().position(|here| here.0 == thread)?;
        let next = self.here[index].1.pop_front();
        match next {
            Some(_) => self.taken_here += 1,
            None => drop(self.here.swap_remove(index)),
        }
        next
    }

    pub(super) fn waiting_here(&self) -> usize {
        self.here.iter().map(|here| here.1.len()).sum()
    }

    pub(super) fn running_here(&self) -> usize {
        self.here.len()
    }

    /// Makes sure that a thread looks if messages wait and the limit permits.
    fn call(&mut self) -> Call {
        if self.queue.is_empty() || self.looking != 0 {
            return Call::Nobody;
        }
        if self.running >= self.parallel && self.mean < SHORT {
            if self.lookout == Lookout::Watching {
                return Call::Nobody;
            }
            self.lookout = Lookout::Called;
        } else if self.lookout == Lookout::Called {
            // By now an ordinary thread is needed, and the one that was called becomes that.
            self.lookout = Lookout::Nobody;
        }
        if self.sleeping != 0 {
            self.sleeping -= 1;
            self.looking += 1;
            self.called += 1;
            Call::Sleeper
        } else if self.threads() < self.max_threads {
            self.looking += 1;
            self.started += 1;
            Call::NewThread(self.started)
        } else {
            Call::Nobody
        }
    }

    /// Takes a message for a looking thread, which runs from now on.
    pub(super) fn take(&mut self) -> Option<(T, Call)> {
        let message = self.queue.pop_front()?;
        self.taken += 1;
        self.looking -= 1;
        self.running += 1;
        Some((message, self.call()))
    }

    /// Records that a running thread has finished a message and looks again.
    pub(super) fn handled(&mut self, elapsed: Duration) {
        self.running -= 1;
        self.looking += 1;
        self.mean = self.mean - self.mean / 8 + elapsed / 8;
    }

    /// Makes a looking thread, which was just woken or started, the lookout if one is called for.
    /// Returns whether it is.
    pub(super) fn begin_lookout(&mut self) -> bool {
        if self.lookout != Lookout::Called || self.queue.is_empty() {
            return false;
        }
        self.lookout = Lookout::Watching;
        self.looking -= 1;
        true
    }

    /// Makes the lookout a looking thread again.
    pub(super) fn end_lookout(&mut self) {
        self.lookout = Lookout::Nobody;
        self.looking += 1;
    }

    /// Makes a looking thread a sleeping one. Returns `false` if the port is closed, so that the
    /// thread must end.
    pub(super) fn sleep(&mut self) -> bool {
        self.looking -= 1;
        self.sleeping += usize::from(self.open);
        self.open
    }

    pub(super) fn is_called(&self) -> bool {
        self.called != 0
    }

    /// Answers a call for a thread that has slept. Returns `false` if there is none, so that the
    /// thread must end.
    pub(super) fn wake_up(&mut self) -> bool {
        if self.called != 0 {
            self.called -= 1;
            return true;
        }
        self.sleeping -= 1;
        false
    }

    /// Uncounts a thread that could not be started. If the port has no other thread, the waiting
    /// messages would wait forever, so they are returned to be dropped.
    pub(super) fn start_failed(&mut self) -> VecDeque<T> {
        self.looking -= 1;
        if self.threads() == 0 {
            std::mem::take(&mut self.queue)
        } else {
            VecDeque::new()
        }
    }

    /// Closes the port and calls all sleeping threads, which then end. Returns whether the port was
    /// open.
    pub(super) fn close(&mut self) -> bool {
        self.called += self.sleeping;
        self.looking += self.sleeping;
        self.sleeping = 0;
        std::mem::replace(&mut self.open, false)
    }
}
