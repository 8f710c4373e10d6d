//! A thread that drops values for others.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::mem::{ManuallyDrop, needs_drop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use insula_sync::{Condvar, Mutex, assert_none_held, thread_number};

/// Drops values on a thread of its own, so that a large one does not hold up its owner.
///
/// The values wait in a queue that is bounded: a program that makes values faster than one thread
/// drops them drops some of them itself, and does not keep ever more of them.
///
/// # Ordering
/// Values in the queue are dropped one after another, in the order in which they came.
///
/// # Panics in destructors
/// A panic of a value's destructor is contained and goes no further than the panic hook, also if
/// the caller drops the value because the queue is full.
///
/// # The end
/// The drop of a reaper waits until its queue is empty and its thread has ended. If a value of the
/// queue itself owns the reaper, and so drops it on the reaper's thread, nothing waits, and the
/// values behind it are still dropped. At the end of the process nothing waits either: a reaper in
/// a `static` is never dropped, and what waits in its queue then is not.
///
/// ```
/// use insula_memory::Reaper;
///
/// # fn main() -> std::io::Result<()> {
/// let reaper = Reaper::new(64)?;
/// let table: Vec<String> = (0..10_000).map(|row| row.to_string()).collect();
/// reaper.drop_later(table); // returns at once
/// drop(reaper); // waits
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Reaper {
    shared: Arc<Shared>,
    /// Taken by the drop.
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Notified when a value comes, and at the close.
    changed: Condvar,
    /// The most values that wait.
    bound: usize,
}

struct State {
    waiting: VecDeque<Value>,
    /// No value comes any more.
    is_closed: bool,
    /// The number of the reaper's thread, once that runs.
    thread: Option<u64>,
}

/// A value of any type that can be dropped on another thread.
type Value = Box<dyn Send>;

impl Reaper {
    /// Starts a reaper in whose queue at most `bound` values wait. With zero, each value is dropped
    /// by its owner.
    ///
    /// # Errors
    /// If the system starts no thread.
    pub fn new(bound: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                is_closed: false,
                thread: None,
            }),
            changed: Condvar::new(),
            bound,
        });
        let of_thread = Arc::clone(&shared);
        let builder = thread::Builder::new().name("insula-reaper".to_owned());
        let thread = Some(builder.spawn(move || of_thread.run())?);
        Ok(Self { shared, thread })
    }

    /// Moves a value to the reaper's thread, which drops it. If the queue is full, the value is
    /// dropped at once, by the caller.
    ///
    /// The value is put into a box, which is dropped with it. One whose type needs no drop is left
    /// alone. Can be called until a thread has ended, also in the destructors of thread-local
    /// values.
    pub fn drop_later<T: Send + 'static>(&self, value: T) {
        if needs_drop::<T>() {
            self.shared.put(Box::new(value));
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let of_thread = self.shared.close();
        let is_on_it = of_thread == Some(thread_number());
        if let Some(thread) = self.thread.take()
            && !is_on_it
        {
            // The thread contains all panics, so it has none to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn put(&self, value: Value) {
        let mut state = self.state.lock();
        if state.waiting.len() < self.bound {
            state.waiting.push_back(value);
            drop(state);
            self.changed.notify_one();
        } else {
            // The value is dropped after the release of the lock.
            drop(state);
            contain_drop(value);
        }
    }

    /// Returns the number of the thread, if it runs.
    fn close(&self) -> Option<u64> {
        let mut state = self.state.lock();
        state.is_closed = true;
        let thread = state.thread;
        drop(state);
        self.changed.notify_one();
        thread
    }

    /// The reaper's thread.
    fn run(&self) {
        self.state.lock().thread = Some(thread_number());
        while let Some(value) = self.next() {
            contain_drop(value);
        }
    }

    /// Waits for a value; `None` when none comes any more.
    fn next(&self) -> Option<Value> {
        let mut state = self.state.lock();
        loop {
            // One at a time, so that `bound` and one more is all that there is.
            if let Some(value) = state.waiting.pop_front() {
                return Some(value);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state);
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("waiting", &self.waiting.len())
            .field("is_closed", &self.is_closed)
            .finish_non_exhaustive()
    }
}

/// Drops a value and contains the panic of its destructor.
fn contain_drop(value: Value) {
    assert_none_held();
    let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(value))) else {
        return;
    };
    // Dropping the payload may panic as well. What that panic brings is leaked, since the sequence
    // may have no end.
    if let Err(payload) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        let _leaked = ManuallyDrop::new(payload);
    }
}
