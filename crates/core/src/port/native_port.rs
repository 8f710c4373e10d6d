//! Native ports: messages for a plain function, which runs on threads of its own and may block.
//!
//! # The protocol
//! All decisions are made under the port's one lock. A thread of the port, unless it is the
//! lookout described below, is in one of three states, which are counted there:
//! - *running*: inside the handler, possibly forever;
//! - *looking*: about to take a message, because it was started, was woken, has just finished a
//!   message, or searches for [`SEARCH`] before it sleeps;
//! - *sleeping*: until it is woken, or for [`KEEP_ALIVE`], after which it ends.
//!
//! One invariant keeps the port going: while messages wait and the thread limit permits, at least
//! one thread is looking, or the lookout is watching. Two operations uphold it. A post wakes or
//! starts a thread if none is looking. A thread that takes a message and leaves others in the queue
//! does the same, because it may block from then on. So a post wakes at most one thread, and none
//! while one is looking; a thread that has finished a message takes the next one without a wake-up.
//!
//! # Many short messages
//! For short handlers, a thread per message costs more than it gains. So while as many threads run
//! as there are cores, and the mean handler takes less than [`SHORT`], messages left in the queue
//! wake only a *lookout*: a thread that starts looking once no message has been taken for
//! [`LOOKOUT`]. A handler that blocks in spite of the mean delays the other messages for that
//! long and no longer.
//!
//! # Virtual time
//! A message posted on a seeded runtime is handled on the posting thread, before the post returns.
//! A handler may post to its own port, also through another port's handler. Such a post finds that
//! its thread is handling a message of the port already, and appends its own to that thread's
//! list, which is part of the state. The outermost post handles the messages of the list, first
//! in, first out, before it returns. So a handler is never re-entered, and the stack does not grow
//! with the messages. The lists are separate from the queue and from each other: a post must not
//! wait for another thread, or the order of events would not follow from the seed.
//!
//! # Close
//! `open` is read and written under the lock too: a post either precedes the close, and is handled,
//! or follows it, and gets its message back. The threads end when no message waits.

mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use insula_sync::atomic::{AtomicUsize, Ordering};
use insula_sync::{Condvar, Mutex, MutexGuard, wait};

use crate::inspect::{ListedPort, Listing, NativePortSnapshot, PORTS};
use crate::memory::Current;
use crate::panic::{Kept, catch_panic, contain};
use crate::port::SendError;
use crate::port::reply::{self, Ask, ReplyTo};
use crate::runtime;
use state::{Call, State};

/// The time for which a thread without a message searches for one before it sleeps: about the
/// cost of waking it.
const SEARCH: Duration = Duration::from_micros(20);

/// The time for which a thread sleeps before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// The time without a message taken after which the lookout steps in.
const LOOKOUT: Duration = Duration::from_micros(200);

/// The duration below which a handler is over before another thread would be awake.
const SHORT: Duration = Duration::from_micros(20);

/// The number of [`LOOKOUT`] periods in a row without a waiting message after which the lookout
/// ends. Not one: the next burst would need a lookout again.
const LOOKOUT_LINGERS: u32 = 5;

/// A handle to a port whose messages are handled by a plain function, on threads of the port's own.
/// Cheap to clone; the port closes when the last handle is dropped.
///
/// # Ordering
/// Messages start in the order in which they were posted, and may end in any order.
///
/// # Blocking
/// The handler may block for any time: that occupies one of the port's threads and nothing else.
/// Threads start as they are needed and end some seconds after their last message.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use insula_core::{NativePort, ReplyTo};
/// let length = |(text, reply): (String, ReplyTo<usize>)| reply.send(text.len());
/// let port = NativePort::new("lengths", length, 2);
/// let (reply_to, reply) = insula_core::one_shot();
/// port.post(("island".to_owned(), reply_to))?;
/// assert_eq!(reply.wait()?, 6);
/// # Ok(())
/// # }
/// ```
pub struct NativePort<T: Send + 'static>(Arc<Handles<T>>);

/// Closes the port when the last handle is dropped. The threads hold only the [`Port`], so they do
/// not keep it open.
struct Handles<T: Send + 'static>(Arc<Port<T>>);

struct Port<T> {
    listing: Listing<dyn ListedPort>,
    name: Box<str>,
    /// Dropped by the last thread or the last handle, so a panic of its destructor is contained.
    handler: Kept<dyn Fn(T) + Send + Sync>,
    state: Mutex<State<T>>,
    /// The sleeping threads wait here.
    called: Condvar,
    /// The lookout waits here, and is never notified: it wakes up each [`LOOKOUT`].
    lookout: Condvar,
    /// The number of waiting messages, for threads that search without the lock. Written under
    /// the lock.
    waiting: AtomicUsize,
}

type Guard<'a, T> = MutexGuard<'a, State<T>>;

impl<T: Send + 'static> NativePort<T> {
    /// Opens a port that handles up to `max_concurrent` messages at once. A limit of 0 counts as 1.
    ///
    /// Messages posted on a seeded runtime do not count against the limit: each posting thread
    /// handles its own, one at a time.
    ///
    /// # Panics
    /// A panic of the handler ends only its message, and is reported in one line on the standard
    /// error stream. What the message held is dropped.
    pub fn new(
        name: impl Into<Box<str>>,
        handler: impl Fn(T) + Send + Sync + 'static,
        max_concurrent: usize,
    ) -> Self {
        Self::open(name.into(), Box::new(handler), max_concurrent)
    }

    fn open(name: Box<str>, handler: Box<dyn Fn(T) + Send + Sync>, max_concurrent: usize) -> Self {
        let port = Arc::new(Port {
            listing: Listing::new(&PORTS),
            name,
            handler: Kept::new(handler),
            state: Mutex::new(State::new(
                max_concurrent.max(1),
                std::thread::available_parallelism().map_or(1, usize::from),
            )),
            called: Condvar::new(),
            lookout: Condvar::new(),
            waiting: AtomicUsize::new(0),
        });
        let listed: Weak<Port<T>> = Arc::downgrade(&port);
        port.listing.enter(listed);
        Self(Arc::new(Handles(port)))
    }

    /// Queues a message, from any thread. Never waits for the handler.
    ///
    /// # Virtual time
    /// On a seeded runtime the message is handled by the calling thread, before this returns, so
    /// that the order of events follows from the seed. Only messages that the handler posts to its
    /// own port are queued: they are handled in their order after the handler has returned, and
    /// before the outermost post returns. A handler that posts to its own port forever lets nothing
    /// else run.
    ///
    /// # Errors
    /// Returns [`SendError::Closed`] with the message if the port has been closed.
    pub fn post(&self, message: T) -> Result<(), SendError<T>> {
        let port = self.port();
        if on_virtual_time() {
            return port.handle_here(message);
        }
        let mut state = port.state.lock();
        let call = state.post(message).map_err(SendError::Closed)?;
        port.unlock_and(state, call);
        Ok(())
    }

    /// Posts a question and returns a future that waits for the answer, as
    /// [`SendPort::ask`](crate::SendPort::ask) does. `question` makes the message from the right
    /// to answer it.
    ///
    /// # Ordering
    /// In an isolate the answer is an event like any other: microtasks run before it. The wait for
    /// it keeps the isolate alive.
    ///
    /// # Errors
    /// The future returns an [`AskError`](crate::AskError) if there is no answer.
    pub fn ask<R: Send + 'static>(&self, question: impl FnOnce(ReplyTo<R>) -> T) -> Ask<R> {
        reply::ask_by(question, 0, |question| self.post(question))
    }

    /// Closes the port: later posts fail, earlier messages are still handled. Returns whether the
    /// port was open.
    pub fn close(&self) -> bool {
        self.port().close()
    }

    /// Returns whether the port is closed, so that messages are refused.
    pub fn is_closed(&self) -> bool {
        !self.port().state.lock().is_open()
    }

    /// Returns the port's name, from which its threads are named.
    pub fn name(&self) -> &str {
        &self.port().name
    }

    /// Returns how many messages may be handled at once.
    pub fn max_concurrent(&self) -> usize {
        self.port().state.lock().max_threads()
    }

    /// Returns the number of messages that have not started yet.
    pub fn waiting(&self) -> usize {
        let state = self.port().state.lock();
        state.waiting() + state.waiting_here()
    }

    /// Returns the number of messages that are being handled.
    pub fn running(&self) -> usize {
        let state = self.port().state.lock();
        state.running() + state.running_here()
    }

    /// Returns the current number of the port's threads.
    pub fn threads(&self) -> usize {
        self.port().state.lock().threads()
    }

    fn port(&self) -> &Arc<Port<T>> {
        &self.0.0
    }
}

impl<T: Send> ListedPort for Port<T> {
    fn snapshot(&self) -> NativePortSnapshot {
        let state = self.state.lock();
        NativePortSnapshot {
            number: self.listing.number(),
            name: self.name.clone(),
            is_open: state.is_open(),
            waiting: state.waiting() + state.waiting_here(),
            running: state.running() + state.running_here(),
            threads: state.threads(),
            max_concurrent: state.max_threads(),
            started_total: state.taken() + state.taken_here(),
            mean_time: state.mean(),
        }
    }
}

impl<T: Send + 'static> Drop for Handles<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl<T: Send + 'static> Clone for NativePort<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> fmt::Debug for NativePort<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NativePort")
            .field("name", &self.name())
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl<T: Send + 'static> Port<T> {
    /// Publishes the number of waiting messages, releases the lock, and wakes or starts the thread
    /// that the state asked for.
    fn unlock_and(self: &Arc<Self>, state: Guard<'_, T>, call: Call) {
        // Relaxed: a hint for `search`, whose caller checks the queue under the lock.
        self.waiting.store(state.waiting(), Ordering::Relaxed);
        drop(state);
        match call {
            Call::Nobody => {}
            Call::Sleeper => self.called.notify_one(),
            Call::NewThread(number) => self.start_thread(number),
        }
    }

    #[cold]
    fn start_thread(self: &Arc<Self>, number: u64) {
        let port = self.clone();
        let started = std::thread::Builder::new()
            .name(runtime::thread_name(&format!("{}-{number}", self.name)))
            .spawn(move || port.serve());
        if let Err(error) = started {
            let mut state = self.state.lock();
            let lost = state.start_failed();
            self.unlock_and(state, Call::Nobody);
            if !lost.is_empty() {
                self.report(&format_args!(
                    "{} messages dropped, no thread could be started: {error}",
                    lost.len()
                ));
            }
            // A destructor's panic must not reach the poster.
            for message in lost {
                contain(|| drop(message));
            }
        }
    }

    fn close(&self) -> bool {
        let was_open = self.state.lock().close();
        // The lookout is not notified: it checks `is_open` each `LOOKOUT`.
        self.called.notify_all();
        was_open
    }

    /// Runs one thread of the port until it ends.
    fn serve(self: &Arc<Self>) {
        let mut state = self.state.lock();
        loop {
            if state.begin_lookout() {
                state = self.look_out(state);
            }
            state = self.work(state);
            if !state.sleep() {
                return;
            }
            state = self.sleep(state);
            if !state.wake_up() {
                return;
            }
        }
    }

    /// Handles messages until none is left.
    fn work<'a>(self: &'a Arc<Self>, mut state: Guard<'a, T>) -> Guard<'a, T> {
        // A thread searches only between messages: one that was called and finds none goes back to
        // sleep.
        let mut searched = true;
        loop {
            if let Some((message, call)) = state.take() {
                self.unlock_and(state, call);
                let start = Instant::now();
                self.handle(message);
                let elapsed = start.elapsed();
                state = self.state.lock();
                state.handled(elapsed);
                searched = false;
            } else if searched || !state.is_open() {
                return state;
            } else {
                drop(state);
                self.search();
                searched = true;
                state = self.state.lock();
            }
        }
    }

    /// Spins for up to [`SEARCH`] until a message waits, without the lock.
    fn search(&self) {
        // Loom has no time, and would explore every round of the loop.
        if cfg!(loom) {
            return;
        }
        let start = Instant::now();
        // Relaxed: a hint; see `unlock_and`.
        while self.waiting.load(Ordering::Relaxed) == 0 && start.elapsed() < SEARCH {
            for _ in 0..16 {
                wait::spin();
            }
        }
    }

    /// Sleeps until a thread is called, or for [`KEEP_ALIVE`].
    fn sleep<'a>(&'a self, mut state: Guard<'a, T>) -> Guard<'a, T> {
        let start = Instant::now();
        while !state.is_called() {
            let left = KEEP_ALIVE.saturating_sub(start.elapsed());
            if left.is_zero() {
                break;
            }
            state = self.called.wait_timeout(state, left);
        }
        state
    }

    /// Watches the other threads until they stop taking messages while some wait, or no message has
    /// waited for a while.
    fn look_out<'a>(&'a self, mut state: Guard<'a, T>) -> Guard<'a, T> {
        let mut quiet = 0;
        loop {
            let taken = state.taken();
            // A spurious wake-up only makes this look come early.
            state = self.lookout.wait_timeout(state, LOOKOUT);
            let halted = state.taken() == taken && state.waiting() != 0;
            quiet = if state.waiting() == 0 { quiet + 1 } else { 0 };
            if halted || quiet == LOOKOUT_LINGERS || !state.is_open() {
                state.end_lookout();
                return state;
            }
        }
    }

    /// Handles a message on the calling thread, see [the module](self) on virtual time.
    fn handle_here(&self, message: T) -> Result<(), SendError<T>> {
        let thread = insula_sync::thread_number();
        let posted = self.state.lock().post_here(thread, message);
        let mut next = posted.map_err(SendError::Closed)?;
        while let Some(message) = next {
            // Leaves the isolate: the handler runs outside of isolates, as on the port's threads.
            Current::leave(|| self.handle(message));
            // In the body: in the condition of the loop, the guard would live while the handler
            // runs.
            next = self.state.lock().take_here(thread);
        }
        Ok(())
    }

    fn handle(&self, message: T) {
        // A panic that escaped would end the thread, which would still be counted as running.
        contain(|| {
            if let Err(panic) = catch_panic(|| self.handler.get()(message)) {
                self.report(&format_args!("panicked: {panic}"));
            }
        });
    }

    /// Prints an error that has no caller to be returned to.
    #[expect(
        clippy::print_stderr,
        reason = "an error that nobody handles must not vanish"
    )]
    fn report(&self, error: &fmt::Arguments<'_>) {
        // `eprintln` panics if the stream is closed.
        contain(|| eprintln!("native port '{}' {error}", self.name));
    }
}

fn on_virtual_time() -> bool {
    runtime::with_current(|runtime| runtime.is_some_and(|runtime| !runtime.has_threads()))
}
