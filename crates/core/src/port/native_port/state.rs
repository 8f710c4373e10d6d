//! What a native port's lock guards: who waits and who works. The methods are the transitions;
//! they say whom to call, and the caller does it without the lock.

use std::collections::VecDeque;
use std::time::Duration;

use super::SHORT;

pub(super) struct State<T> {
    /// Bounded by nothing here: a port, as any unbounded one, holds what was posted.
    queue: VecDeque<T>,
    open: bool,
    /// The threads that handle messages on virtual time, by number, each with those that wait for
    /// it. As few as there are threads inside of such a handler.
    here: Vec<(u64, VecDeque<T>)>,
    /// Threads inside the handler.
    running: usize,
    /// Threads about to take a message.
    looking: usize,
    /// Threads asleep that nobody has called.
    sleeping: usize,
    /// Calls that no sleeper has answered yet.
    called: usize,
    lookout: Lookout,
    max_threads: usize,
    /// So many running ones are enough for short messages.
    parallel: usize,
    /// Threads that were ever started, for their names.
    started: u64,
    /// Messages that were ever taken.
    taken: u64,
    /// Mean length of the last handlers, each of which weighs an eighth.
    mean: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lookout {
    Nobody,
    /// A thread has been called to be it.
    Called,
    Watching,
}

/// Whom to call, after the lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Call {
    Nobody,
    Sleeper,
    /// The thread of this number.
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

    pub(super) fn max_threads(&self) -> usize {
        self.max_threads
    }

    pub(super) fn post(&mut self, message: T) -> Result<Call, T> {
        if !self.open {
            return Err(message);
        }
        self.queue.push_back(message);
        Ok(self.call())
    }

    /// A message that `thread` is to handle itself: the message, if it does so right now.
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
                Ok(Some(message))
            }
        }
    }

    /// `thread` is done with a message of its own: the next one, if another one waits.
    pub(super) fn take_here(&mut self, thread: u64) -> Option<T> {
        let index = self.here.iter().position(|here| here.0 == thread)?;
        let next = self.here[index].1.pop_front();
        if next.is_none() {
            self.here.swap_remove(index);
        }
        next
    }

    pub(super) fn waiting_here(&self) -> usize {
        self.here.iter().map(|here| here.1.len()).sum()
    }

    pub(super) fn running_here(&self) -> usize {
        self.here.len()
    }

    /// Sees to it that somebody looks after what waits.
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

    /// A looking thread takes a message to handle.
    pub(super) fn take(&mut self) -> Option<(T, Call)> {
        let message = self.queue.pop_front()?;
        self.taken += 1;
        self.looking -= 1;
        self.running += 1;
        Some((message, self.call()))
    }

    /// A running thread is done and looks again.
    pub(super) fn handled(&mut self, elapsed: Duration) {
        self.running -= 1;
        self.looking += 1;
        self.mean = self.mean - self.mean / 8 + elapsed / 8;
    }

    /// A looking thread that was just called or started becomes the lookout, if one is wanted.
    pub(super) fn begin_lookout(&mut self) -> bool {
        if self.lookout != Lookout::Called || self.queue.is_empty() {
            return false;
        }
        self.lookout = Lookout::Watching;
        self.looking -= 1;
        true
    }

    /// The lookout looks.
    pub(super) fn end_lookout(&mut self) {
        self.lookout = Lookout::Nobody;
        self.looking += 1;
    }

    /// A looking thread goes to sleep, or must end.
    pub(super) fn sleep(&mut self) -> bool {
        self.looking -= 1;
        self.sleeping += usize::from(self.open);
        self.open
    }

    pub(super) fn is_called(&self) -> bool {
        self.called != 0
    }

    /// A thread that has slept looks again if it was called, and ends otherwise.
    pub(super) fn wake_up(&mut self) -> bool {
        if self.called != 0 {
            self.called -= 1;
            return true;
        }
        self.sleeping -= 1;
        false
    }

    /// No thread could be started. Without any, what waits would wait for ever.
    pub(super) fn start_failed(&mut self) -> VecDeque<T> {
        self.looking -= 1;
        if self.threads() == 0 {
            std::mem::take(&mut self.queue)
        } else {
            VecDeque::new()
        }
    }

    /// Whether it was open. All sleepers are called, to find that they may end.
    pub(super) fn close(&mut self) -> bool {
        self.called += self.sleeping;
        self.looking += self.sleeping;
        self.sleeping = 0;
        std::mem::replace(&mut self.open, false)
    }
}
