//! A future without an isolate or an executor: the thread that wakes it polls it, inside the wake.
//!
//! This spares a call the way through another isolate, and its answer another hand-over between
//! threads. In return the end runs on the thread that caused it, in the middle of that thread's
//! work: it has to be short, and must not wait.
//!
//! # Protocol
//! A lock protects the stage. It is held for transitions only; neither the future nor its end runs
//! under it.
//! - `Waiting` has the future. A wake-up takes it out and leaves `Polling`; a cancellation takes it
//!   out and leaves `Over`.
//! - `Polling`: the one thread that took the future polls it. A wake-up or a cancellation meanwhile
//!   is recorded, and the polling thread checks the record before it puts the future back.
//! - `Over`: the future has been taken for the last time, and its taker calls the end, once.
//!
//! So polls never overlap, a wake-up during a poll leads to another poll, and of an answer and a
//! cancellation exactly one reaches the end. The future holds wakers and they hold this. The end
//! breaks that cycle, so every future in here has to end or be cancelled.

#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use insula_sync::Mutex;

/// The future, and the function that receives its output, or `None` after a cancellation.
struct Work<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    end: Box<dyn FnOnce(Option<T>) + Send>,
}

enum Stage<T> {
    Waiting(Work<T>),
    Polling(Meanwhile),
    Over,
}

/// The most urgent event of a poll so far.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    Woken,
    Cancelled,
}

/// A future that is polled by the thread that wakes it.
pub(crate) struct InPlace<T>(Mutex<Stage<T>>);

impl<T: 'static> InPlace<T> {
    /// Makes a future that is polled when it [begins](Self::begin), and then inside each wake.
    /// `end` receives its output, or `None` if it was cancelled first; exactly once.
    pub(crate) fn new(
        future: impl Future<Output = T> + Send + 'static,
        end: impl FnOnce(Option<T>) + Send + 'static,
    ) -> Arc<Self> {
        let work = Work {
            future: Box::pin(future),
            end: Box::new(end),
        };
        Arc::new(Self(Mutex::new(Stage::Waiting(work))))
    }

    /// Polls for the first time, on this thread.
    pub(crate) fn begin(self: &Arc<Self>) {
        // As a wake-up, since the handle of the call is C's by now: a cancellation that came first
        // has left nothing to poll.
        self.wake_by_ref();
    }

    /// Drops the future, and calls its end without an output. If it is being polled, the polling
    /// thread does so, unless the output came first.
    pub(crate) fn cancel(&self) {
        let mut stage = self.0.lock();
        match &mut *stage {
            Stage::Over => {}
            Stage::Polling(meanwhile) => *meanwhile = Meanwhile::Cancelled,
            Stage::Waiting(_) => {
                let before = std::mem::replace(&mut *stage, Stage::Over);
                drop(stage);
                if let Stage::Waiting(work) = before {
                    // Without the lock: the future's destructor and the end are foreign code.
                    work.give_up();
                }
            }
        }
    }

    /// Takes the future to poll it. If another thread polls it, records a wake-up for that thread.
    fn take(&self) -> Option<Work<T>> {
        let mut stage = self.0.lock();
        match &mut *stage {
            // A wake-up after a cancellation changes nothing, and must not replace its record.
            Stage::Over | Stage::Polling(Meanwhile::Cancelled) => None,
            Stage::Polling(meanwhile) => {
                *meanwhile = Meanwhile::Woken;
                None
            }
            Stage::Waiting(_) => {
                let polling = Stage::Polling(Meanwhile::Nothing);
                match std::mem::replace(&mut *stage, polling) {
                    Stage::Waiting(work) => Some(work),
                    Stage::Polling(_) | Stage::Over => None,
                }
            }
        }
    }

    /// Polls until no wake-up has come during a poll.
    fn poll(self: &Arc<Self>, mut work: Work<T>) {
        let waker = Waker::from(Arc::clone(self));
        loop {
            let polled = work.future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(output) = polled {
                // An output wins over a cancellation during the poll: the end is called once either
                // way.
                *self.0.lock() = Stage::Over;
                return work.finish(output);
            }
            let mut stage = self.0.lock();
            match &mut *stage {
                Stage::Polling(meanwhile @ Meanwhile::Woken) => *meanwhile = Meanwhile::Nothing,
                Stage::Polling(Meanwhile::Nothing) => {
                    *stage = Stage::Waiting(work);
                    return;
                }
                // No other thread changes the stage while the future is being polled.
                Stage::Polling(Meanwhile::Cancelled) | Stage::Waiting(_) | Stage::Over => {
                    *stage = Stage::Over;
                    drop(stage);
                    return work.give_up();
                }
            }
        }
    }
}

impl<T> Work<T> {
    fn finish(self, output: T) {
        // Dropped first, because others may wait for what it holds.
        drop(self.future);
        (self.end)(Some(output));
    }

    fn give_up(self) {
        drop(self.future);
        (self.end)(None);
    }
}

impl<T: 'static> Wake for InPlace<T> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(work) = self.take() {
            self.poll(work);
        }
    }
}

impl<T> fmt::Debug for InPlace<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &*self.0.lock() {
            Stage::Waiting(_) => "InPlace(waiting)",
            Stage::Polling(_) => "InPlace(polling)",
            Stage::Over => "InPlace(over)",
        })
    }
}
