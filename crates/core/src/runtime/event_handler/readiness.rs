//! Sources: sockets and other descriptors, and the futures that wait until these can be read or
//! written.
//!
//! # The protocol
//! An operation is tried first, and waited for only if it would have blocked. Each direction of a
//! source has a count of the times that it became ready, which the event handler's thread raises
//! before it wakes the waiters. An attempt reads the count first. If the source becomes ready
//! between the attempt and the wait, the count has changed, and the wait ends at once. So no event
//! is lost, and a source is registered once, edge-triggered, without a system call per wait. Where
//! the operating system has no edge-triggered events (Windows), each wait registers its interest
//! anew.
//!
//! A source's number may be reused while an event of its predecessor is on its way. That raises
//! the new source's count without need: its waiters try, and wait again.
//!
//! # Back-pressure
//! Nothing is read ahead and nothing is buffered: data stays in the operating system until an
//! operation asks for it.

#[cfg(all(test, loom, unix))]
mod loom_models;

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicU32, Ordering};
use polling::{Event, Events, PollMode, Poller};

use super::Shared;
use crate::memory::waiters::{self, Ticket};
use crate::runtime::Runtime;

#[cfg(unix)]
use std::os::fd::{AsFd as AsHandle, BorrowedFd as BorrowedHandle, OwnedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket as AsHandle, BorrowedSocket as BorrowedHandle, OwnedSocket};

/// The descriptor that a [`Source`] owns: a file descriptor; on Windows, a socket.
#[cfg(unix)]
pub type Handle = OwnedFd;
/// The descriptor that a [`Source`] owns: a file descriptor; on Windows, a socket.
#[cfg(windows)]
pub type Handle = OwnedSocket;

/// Operations on one source in a row without a wait, after which other tasks get a turn.
const STREAK: u32 = 64;

/// The direction in which a [`Source`] must become ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// There is data to read or a connection to accept, or the peer has closed its side.
    Read,
    /// There is room to write, or the source is connected.
    Write,
}

/// A socket or another descriptor whose readiness can be awaited, in isolates and elsewhere.
///
/// The runtime that is current when the source is made watches it. Any future may wait for it,
/// also outside of that runtime. A task that waits keeps its isolate alive.
pub struct Source {
    state: Arc<State>,
    poller: Arc<Poller>,
    shared: Arc<Shared>,
    key: usize,
    streak: AtomicU32,
    handle: Handle,
}

/// The waiters of one source.
#[derive(Default)]
pub(super) struct State {
    read: Side,
    write: Side,
}

#[derive(Default)]
struct Side {
    /// The number of times that the direction became ready. Raised under the lock.
    count: AtomicU32,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    /// Nearly always at most one.
    row: waiters::Waiters,
    stopped: bool,
}

/// The sources of a runtime, by number.
#[derive(Default)]
pub(super) struct Sources {
    states: Vec<Option<Arc<State>>>,
    free: Vec<usize>,
    stopped: bool,
}

impl Sources {
    fn insert(&mut self, state: Arc<State>) -> io::Result<usize> {
        if self.stopped {
            return Err(shut_down());
        }
        let key = self.free.pop().unwrap_or(self.states.len());
        if key == self.states.len() {
            self.states.push(None);
        }
        self.states[key] = Some(state);
        Ok(key)
    }

    fn remove(&mut self, key: usize) -> Option<Arc<State>> {
        self.free.push(key);
        self.states[key].take()
    }

    /// Returns the sources that `events` are for, each with its event.
    pub(super) fn of(&self, events: &Events) -> Vec<(Arc<State>, Event)> {
        let state = |event: &Event| self.states.get(event.key)?.clone();
        let concerned = events
            .iter()
            .filter_map(|event| state(&event).map(|state| (state, event)));
        concerned.collect()
    }

    /// Refuses new sources from now on, and returns all existing ones.
    pub(super) fn stop(&mut self) -> Vec<Arc<State>> {
        self.stopped = true;
        self.states.iter().flatten().cloned().collect()
    }
}

impl Source {
    /// Takes ownership of a descriptor, which must be non-blocking, and begins to watch it.
    ///
    /// # Errors
    /// Errors of the operating system; `Unsupported` if the current runtime is a seeded one, whose
    /// virtual time would not wait for sockets; `BrokenPipe` if it has been shut down.
    pub fn new(handle: impl Into<Handle>) -> io::Result<Self> {
        let runtime = Runtime::current();
        let handler = runtime.core().event_handler();
        if handler.is_virtual {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "a seeded runtime has no sockets: its virtual time does not wait for them",
            ));
        }
        Self::register(handler.shared.clone(), handle.into())
    }

    fn register(shared: Arc<Shared>, handle: Handle) -> io::Result<Self> {
        let poller = shared.poller()?;
        let state = Arc::new(State::default());
        let key = shared.sources.lock().insert(state.clone())?;
        let (interest, mode) = if poller.supports_edge() {
            (Event::all(key), PollMode::Edge)
        } else {
            (Event::none(key), PollMode::Oneshot)
        };
        // SAFETY: the source owns the handle, and only lends it out; `Source::drop` removes it from
        // the poller before it is closed.
        if let Err(error) = unsafe { poller.add_with_mode(&handle, interest, mode) } {
            let state = shared.sources.lock().remove(key);
            drop(state);
            return Err(error);
        }
        Ok(Self {
            state,
            poller,
            shared,
            key,
            streak: AtomicU32::new(0),
            handle,
        })
    }

    /// Performs an operation that may have to wait: calls `attempt`, and calls it again when the
    /// source has become ready, for as long as it returns `WouldBlock` or `Interrupted`.
    ///
    /// # Ordering
    /// If several futures wait for one direction, all of them are woken, and the first to try
    /// succeeds.
    ///
    /// # Cancellation
    /// Dropping the future is safe at any time: an attempt has been made wholly or not at all.
    ///
    /// # Errors
    /// Errors of `attempt`; `BrokenPipe` if the runtime that watches the source was shut down.
    pub async fn io<R>(
        &self,
        direction: Direction,
        mut attempt: impl FnMut() -> io::Result<R>,
    ) -> io::Result<R> {
        self.give_others_a_turn().await;
        loop {
            let seen = self.state.side(direction).seen();
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // It has to wait, and so gives others a turn anyway.
                    self.streak.store(0, Ordering::Relaxed);
                    self.wait(direction, seen).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Performs an operation like [`io`](Self::io), but does not wait. `attempt` is called again
    /// only if it returns `Interrupted`.
    ///
    /// # Errors
    /// `WouldBlock` if the operation would have to wait, and other errors of `attempt`.
    pub fn try_io<R>(&self, mut attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        loop {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// Yields now and then, so that a source that is always ready does not keep other tasks from
    /// running.
    async fn give_others_a_turn(&self) {
        // Relaxed: it is only a count, and it does not matter which of several tasks yields.
        if self.streak.fetch_add(1, Ordering::Relaxed) >= STREAK {
            self.streak.store(0, Ordering::Relaxed);
            crate::yield_now().await;
        }
    }

    fn wait(&self, direction: Direction, seen: u32) -> Wait<'_> {
        Wait {
            source: self,
            direction,
            seen,
            ticket: Ticket::default(),
        }
    }

    /// Registers the interest of all waiters with the poller, if the poller drops it with each
    /// event.
    fn renew_interest(&self) -> io::Result<()> {
        if self.poller.supports_edge() {
            return Ok(());
        }
        let mut interest = self.state.interest(self.key);
        loop {
            self.poller.modify(&self.handle, interest)?;
            // A waiter of the opposite direction may have registered an older interest in between.
            // Repeated until nothing has changed, the last registration covers all waiters.
            let now = self.state.interest(self.key);
            if mem::replace(&mut interest, now) == now {
                return Ok(());
            }
        }
    }
}

impl State {
    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Returns the directions that have waiters.
    fn interest(&self, key: usize) -> Event {
        let waits = |side: &Side| !side.waiters.lock().row.is_empty();
        Event::new(key, waits(&self.read), waits(&self.write))
    }

    /// Marks the directions of an event as ready.
    pub(super) fn notice(&self, event: Event) {
        if event.readable {
            self.read.become_ready();
        }
        if event.writable {
            self.write.become_ready();
        }
    }

    /// Ends all waits with an error, now and from now on: the runtime is shut down, and no thread
    /// will report events any more.
    pub(super) fn stop(&self) {
        for side in [&self.read, &self.write] {
            // Before `become_ready`, so that every waiter that this wakes finds it.
            side.waiters.lock().stopped = true;
            side.become_ready();
        }
    }
}

impl Side {
    fn seen(&self) -> u32 {
        // Acquire pairs with the Release in `become_ready`: the attempt that follows sees the event
        // that raised the count.
        self.count.load(Ordering::Acquire)
    }

    fn become_ready(&self) {
        let mut waiters = self.waiters.lock();
        // Under the lock, under which a waiter checks the count and joins the row: it sees the new
        // count or is woken. Release; pairs with the Acquire load in `seen`.
        self.count.fetch_add(1, Ordering::Release);
        let woken = waiters.row.take_all();
        drop(waiters);
        woken.wake();
    }
}

/// A future that waits until a direction has become ready since its count was read.
struct Wait<'a> {
    source: &'a Source,
    direction: Direction,
    seen: u32,
    ticket: Ticket,
}

impl Future for Wait<'_> {
    type Output = io::Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let side = this.source.state.side(this.direction);
        // Wakers are foreign code: cloned before the lock is taken, dropped after its release.
        let waker = cx.waker().clone();
        let mut waiters = side.waiters.lock();
        if waiters.stopped {
            return Poll::Ready(Err(shut_down()));
        }
        if side.seen() != this.seen {
            return Poll::Ready(Ok(()));
        }
        let before = waiters.row.wait(&mut this.ticket, waker);
        drop(waiters);
        drop(before);
        // After the lock is released: it looks at the waiters of both directions.
        match this.source.renew_interest() {
            Ok(()) => {
                crate::blocking::block_on::awaits_event();
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            let side = self.source.state.side(self.direction);
            let waker = side.waiters.lock().row.forget(&mut self.ticket);
            drop(waker);
        }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // This fails only if the poller does not know the handle, and then nothing is left to do.
        let _ = self.poller.delete(&self.handle);
        let state = self.shared.sources.lock().remove(self.key);
        drop(state);
    }
}

#[cfg(unix)]
impl AsHandle for Source {
    fn as_fd(&self) -> BorrowedHandle<'_> {
        self.handle.as_fd()
    }
}

#[cfg(windows)]
impl AsHandle for Source {
    fn as_socket(&self) -> BorrowedHandle<'_> {
        self.handle.as_socket()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.handle).finish()
    }
}

/// Returns the error of a wait for a source whose runtime has been shut down.
pub(super) fn shut_down() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the runtime has been shut down")
}
