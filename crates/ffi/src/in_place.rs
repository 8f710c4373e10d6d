//! A future without an isolate or an executor: whoever wakes it polls it, on the spot.
//!
//! It spares a call the way over another isolate, and its answer another hand-over between
//! threads. In return, what is done at the end runs on the thread of whoever ended it, in the
//! middle of his work: it has to be short, and must not wait.
//!
//! # Protocol
//! The stage is behind a lock that is held for moves only; neither the future nor its end runs
//! under it.
//! - `Waiting` has the future. A wake-up takes it out and leaves `Polling`; a cancellation takes
//!   it out and leaves `Over`.
//! - `Polling`: the one thread that took the future polls it. Whoever wakes or cancels meanwhile
//!   writes that down, and the polling thread looks before it puts the future back.
//! - `Over`: somebody took the future for good, and tells the end, once.
//!
//! So polls never overlap, a wake-up during a poll leads to another poll, and of an answer and a
//! cancellation exactly one is told. The future holds wakers and they hold this; the circle is
//! broken at the end, which every future in here has to have.

#[cfg(test)]
mod tests;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use insula_sync::Mutex;

/// The future, and what is done with its output: `None` after a cancellation.
struct Work<T> {
    future: Pin<Box<dyn Future<Output = T> + Send>>,
    end: Box<dyn FnOnce(Option<T>) + Send>,
}

enum Stage<T> {
    Waiting(Work<T>),
    Polling(Meanwhile),
    Over,
}

/// What came up during a poll.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meanwhile {
    Nothing,
    Woken,
    Cancelled,
}

/// A future that is polled by whoever wakes it.
pub(crate) struct InPlace<T>(Mutex<Stage<T>>);

impl<T: 'static> InPlace<T> {
    /// Polls `future` when it [begins](Self::begin), and from then on wherever it is woken. `end`
    /// gets its output, or `None` if it was cancelled first; exactly once.
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

    /// Polls for the first time, right here.
    pub(crate) fn begin(self: &Arc<Self>) {
        self.wake_by_ref();
    }

    /// Drops the future, and tells its end that there is no output. If it is being polled, the
    /// polling thread does so, unless the output came first.
    pub(crate) fn cancel(&self) {
        let mut stage = self.0.lock();
        match &mut *stage {
            Stage::Over => {}
            Stage::Polling(meanwhile) => *meanwhile = Meanwhile::Cancelled,
            Stage::Waiting(_) => {
                let before = std::mem::replace(&mut *stage, Stage::Over);
                drop(stage);
                if let Stage::Waiting(work) = before {
                    work.give_up();
                }
            }
        }
    }

    /// Takes the future, or leaves word for who has it.
    fn take(&self) -> Option<Work<T>> {
        let mut stage = self.0.lock();
        match &mut *stage {
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

    /// Polls until nothing comes up meanwhile.
    fn poll(self: &Arc<Self>, mut work: Work<T>) {
        let waker = Waker::from(Arc::clone(self));
        loop {
            let polled = work.future.as_mut().poll(&mut Context::from_waker(&waker));
            if let Poll::Ready(output) = polled {
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
                // Nobody else changes the stage of a future that is being polled.
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
        // What it holds may be what others wait for.
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
