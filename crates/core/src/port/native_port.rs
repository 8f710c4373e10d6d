//! Native ports: messages for a plain function, which runs on threads of its own and may block.
//!
//! # The protocol
//! Everything is decided under the port's one lock. A thread of the port is in one of three
//! states, which are counted there:
//! - *running*: inside the handler, maybe for ever;
//! - *looking*: about to take a message, because it was started, was called, has just finished
//!   one, or searches for [`SEARCH`] before it sleeps;
//! - *sleeping*: until it is called, or for [`KEEP_ALIVE`], after which it ends.
//!
//! One rule keeps the port going: while messages wait and the limit permits, somebody looks.
//! Two places uphold it. Who posts calls a thread if nobody looks; who takes a message and
//! leaves others behind does so as well, because from then on it may block. So a post wakes at
//! most one thread, and none while one is looking; a thread that has finished a message takes
//! the next without any wake-up.
//!
//! # Many short messages
//! Where handlers are short, a thread per message costs more than it brings. So when
//! as many run as there are cores, and while the mean handler takes less than [`SHORT`], who
//! leaves messages behind calls nobody but a *lookout*: a thread that looks only when no
//! message has been taken for [`LOOKOUT`]. A handler that blocks, in spite of the mean, holds
//! the others up for that long and no longer.
//!
//! # Virtual time
//! What is posted on a seeded runtime is handled on the thread that posts, before the post
//! returns. A handler may post to its own port, also by way of another port's handler. Such a post
//! finds that its thread handles a message of the port already, and leaves its own in that
//! thread's list, which is part of the state; the outermost post handles what is in the list,
//! first in, first out, before it returns. So a handler never runs inside of itself, and the stack
//! does not grow with the messages. The lists are apart from the queue and from each other: a post
//! must not wait for another thread, or the order of events would not follow from the seed.
//!
//! # Close
//! `open` is read and written under the lock too: a post comes before the close, and is
//! handled, or after it, and gets its message back. The threads end when nothing waits.

mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use insula_sync::atomic::{AtomicUsize, Ordering};
use insula_sync::{Condvar, Mutex, MutexGuard, wait};

use crate::memory::Current;
use crate::panic::{Kept, catch_panic, contain};
use crate::port::SendError;
use crate::port::reply::{self, Ask, ReplyTo};
use crate::runtime;
use state::{Call, State};

/// How long a thread without a message looks for one before it sleeps: what waking it costs.
const SEARCH: Duration = Duration::from_micros(20);

/// How long a thread sleeps before it ends.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long a lookout lets the other threads go without taking a message.
const LOOKOUT: Duration = Duration::from_micros(200);

/// A handler that is over before another thread would be awake.
const SHORT: Duration = Duration::from_micros(20);

/// How many periods in a row the lookout stays where nothing waits: a next burst needs it.
const LOOKOUT_LINGERS: u32 = 5;

/// A port whose messages are handled by a plain function, on threads of the port's own. A cheap
/// handle; the port closes when the last one is dropped.
///
/// # Ordering
/// Messages start in the order in which they were posted, and may end in any order.
///
/// # Blocking
/// The handler may block for as long as it likes: that takes one of the port's threads and
/// nothing else. Threads start as they are needed and end some seconds after their last message.
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

/// What the handles share: the last one to go closes the port. The threads hold only the port.
struct Handles<T: Send + 'static>(Arc<Port<T>>);

struct Port<T> {
    name: Box<str>,
    /// Dropped by the last thread, or the last handle.
    handler: Kept<dyn Fn(T) + Send + Sync>,
    state: Mutex<State<T>>,
    called: Condvar,
    /// Whoever is the lookout sleeps here.
    lookout: Condvar,
    /// How many messages wait, for those who search without the lock. Written under it.
    waiting: AtomicUsize,
}

type Guard<'a, T> = MutexGuard<'a, State<T>>;

impl<T: Send + 'static> NativePort<T> {
    /// Opens a port. At most `max_concurrent` messages are handled at once, and at least one.
    ///
    /// Messages that are posted on a seeded runtime do not count: one of them is handled at a time,
    /// on the runtime's thread.
    ///
    /// # Panics
    /// A handler's panic ends that message alone, and is told in one line on the standard error
    /// stream. What the message held is dropped.
    pub fn new(
        name: impl Into<Box<str>>,
        handler: impl Fn(T) + Send + Sync + 'static,
        max_concurrent: usize,
    ) -> Self {
        Self::open(name.into(), Box::new(handler), max_concurrent)
    }

    fn open(name: Box<str>, handler: Box<dyn Fn(T) + Send + Sync>, max_concurrent: usize) -> Self {
        Self(Arc::new(Handles(Arc::new(Port {
            name,
            handler: Kept::new(handler),
            state: Mutex::new(State::new(
                max_concurrent.max(1),
                std::thread::available_parallelism().map_or(1, usize::from),
            )),
            called: Condvar::new(),
            lookout: Condvar::new(),
            waiting: AtomicUsize::new(0),
        }))))
    }

    /// Hands a message over, from any thread. Never waits for the handler.
    ///
    /// # Virtual time
    /// On a seeded runtime the message is handled right here, before this returns, so that the
    /// order of events follows from the seed. Only the handler's own posts to its port wait: until
    /// the handler has returned, and then in their order, before the outermost post returns. A
    /// handler that posts to its own port for ever lets nothing else run.
    ///
    /// # Errors
    /// [`SendError::Closed`] with the message, if the port has been closed.
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

    /// Posts a question, made by `question` around the right to answer it, and waits for the
    /// answer, as [`SendPort::ask`](crate::SendPort::ask) does.
    ///
    /// # Ordering
    /// In an isolate the answer is an event like any other: microtasks run before it, and it
    /// keeps the isolate alive.
    ///
    /// # Errors
    /// An [`AskError`](crate::AskError), when awaited.
    pub fn ask<R: Send + 'static>(&self, question: impl FnOnce(ReplyTo<R>) -> T) -> Ask<R> {
        reply::ask_by(question, |question| self.post(question))
    }

    /// Closes the port: later posts fail. What was posted before is still handled. Tells
    /// whether the port was open.
    pub fn close(&self) -> bool {
        self.port().close()
    }

    /// Whether messages are still accepted.
    pub fn is_open(&self) -> bool {
        self.port().state.lock().is_open()
    }

    /// The name, which its threads have as well.
    pub fn name(&self) -> &str {
        &self.port().name
    }

    /// How many messages may be handled at once.
    pub fn max_concurrent(&self) -> usize {
        self.port().state.lock().max_threads()
    }

    /// Messages that have not started yet.
    pub fn waiting(&self) -> usize {
        let state = self.port().state.lock();
        state.waiting() + state.waiting_here()
    }

    /// Messages that are being handled.
    pub fn running(&self) -> usize {
        let state = self.port().state.lock();
        state.running() + state.running_here()
    }

    /// Threads that the port has at the moment.
    pub fn threads(&self) -> usize {
        self.port().state.lock().threads()
    }

    fn port(&self) -> &Arc<Port<T>> {
        &self.0.0
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
    /// Publishes the number of waiting messages, lets go of the lock and calls whom the state
    /// asked for.
    fn unlock_and(self: &Arc<Self>, state: Guard<'_, T>, call: Call) {
        // Relaxed: a hint, everything is looked at again under the lock.
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
            for message in lost {
                contain(|| drop(message));
            }
        }
    }

    fn close(&self) -> bool {
        let was_open = self.state.lock().close();
        // The lookout notices by itself.
        self.called.notify_all();
        was_open
    }

    /// The life of one thread.
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

    /// Handles messages until there are none.
    fn work<'a>(self: &'a Arc<Self>, mut state: Guard<'a, T>) -> Guard<'a, T> {
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

    /// Waits for a message without the lock, for a moment.
    fn search(&self) {
        if cfg!(loom) {
            return;
        }
        let start = Instant::now();
        while self.waiting.load(Ordering::Relaxed) == 0 && start.elapsed() < SEARCH {
            for _ in 0..16 {
                wait::spin();
            }
        }
    }

    /// Sleeps until somebody calls, or for long enough.
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

    /// Watches the others until they have come to a halt, or nothing has waited for a while.
    fn look_out<'a>(&'a self, mut state: Guard<'a, T>) -> Guard<'a, T> {
        let mut quiet = 0;
        loop {
            let taken = state.taken();
            state = self.lookout.wait_timeout(state, LOOKOUT);
            let halted = state.taken() == taken && state.waiting() != 0;
            quiet = if state.waiting() == 0 { quiet + 1 } else { 0 };
            if halted || quiet == LOOKOUT_LINGERS || !state.is_open() {
                state.end_lookout();
                return state;
            }
        }
    }

    fn handle_here(&self, message: T) -> Result<(), SendError<T>> {
        let thread = insula_sync::thread_number();
        let posted = self.state.lock().post_here(thread, message);
        let mut next = posted.map_err(SendError::Closed)?;
        while let Some(message) = next {
            // The handler is no part of the isolate that posts.
            Current::leave(|| self.handle(message));
            next = self.state.lock().take_here(thread);
        }
        Ok(())
    }

    fn handle(&self, message: T) {
        // Nothing escapes, or the thread would be lost to the port.
        contain(|| {
            if let Err(panic) = catch_panic(|| self.handler.get()(message)) {
                self.report(&format_args!("panicked: {panic}"));
            }
        });
    }

    /// Tells of an error that has nobody else to go to.
    #[expect(
        clippy::print_stderr,
        reason = "an error that nobody handles must not vanish"
    )]
    fn report(&self, error: &fmt::Arguments<'_>) {
        // It panics where nobody reads the stream any more.
        contain(|| eprintln!("native port '{}' {error}", self.name));
    }
}

fn on_virtual_time() -> bool {
    runtime::with_current(|runtime| runtime.is_some_and(|runtime| !runtime.has_threads()))
}
