//! Readiness: a socket or another descriptor, and who waits until it can be read or written.
//!
//! # The protocol
//! An operation is tried first and waited for only if it would have blocked. Each direction of a
//! source has a count of the times that it became ready, which the event handler's thread raises
//! before it wakes those who wait. Who tries reads the count first: what becomes ready between
//! the attempt and the wait has raised it, and the wait is over at once. So nothing is lost, and
//! a source is registered once, edge-triggered, without a system call per wait. Where the
//! operating system knows no edges (Windows), each wait registers its interest anew.
//!
//! A source's number may be taken again while an event of its predecessor is on its way. That
//! raises the count of the new one for nothing: its waiters try, and wait again.
//!
//! # Back-pressure
//! Nothing is read ahead and nothing is buffered: data stays in the operating system until
//! somebody asks for it.

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

/// What a [`Source`] owns: a file descriptor; on Windows, a socket.
#[cfg(unix)]
pub type Handle = OwnedFd;
/// What a [`Source`] owns: a file descriptor; on Windows, a socket.
#[cfg(windows)]
pub type Handle = OwnedSocket;

/// Operations of one source that succeed in a row, before others of the isolate get their turn.
const STREAK: u32 = 64;

/// What to wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Until there is something to read or to accept, or the other side has ended.
    Read,
    /// Until there is room to write, or a connection is there.
    Write,
}

/// A socket or another descriptor whose readiness can be awaited, in isolates and elsewhere.
///
/// The runtime that is current when it is made waits for it; whoever waits may be anywhere. A
/// task that waits keeps its isolate alive.
pub struct Source {
    state: Arc<State>,
    poller: Arc<Poller>,
    shared: Arc<Shared>,
    key: usize,
    streak: AtomicU32,
    handle: Handle,
}

/// What waits for one source.
#[derive(Default)]
pub(super) struct State {
    read: Side,
    write: Side,
}

#[derive(Default)]
struct Side {
    /// Times that it became ready. Raised under the lock.
    count: AtomicU32,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    /// Nearly always one.
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

    /// Whom some events concern.
    pub(super) fn of(&self, events: &Events) -> Vec<(Arc<State>, Event)> {
        let state = |event: &Event| self.states.get(event.key)?.clone();
        let concerned = events
            .iter()
            .filter_map(|event| state(&event).map(|state| (state, event)));
        concerned.collect()
    }

    /// All there are. There will be no others.
    pub(super) fn stop(&mut self) -> Vec<Arc<State>> {
        self.stopped = true;
        self.states.iter().flatten().cloned().collect()
    }
}

impl Source {
    /// Takes a descriptor over, which must not block.
    ///
    /// # Errors
    /// What the operating system says; `Unsupported` if the current runtime is a seeded one,
    /// whose virtual time would not wait for sockets; `BrokenPipe` if it has been shut down.
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
        // SAFETY: the source owns the handle, lends it out and never gives it away; `drop`
        // takes it out of the poller before it is closed.
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

    /// Does something that may have to wait: tries, and tries again when the source has become
    /// ready, for as long as the attempt says `WouldBlock` or `Interrupted`.
    ///
    /// # Ordering
    /// Of several who wait for one direction all are woken, and whoever tries first succeeds.
    ///
    /// # Cancellation
    /// Dropping the future is safe at any time: an attempt has been made wholly or not at all.
    ///
    /// # Errors
    /// Those of `attempt`; `BrokenPipe` if the runtime that waits for the source was shut down.
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
                    self.streak.store(0, Ordering::Relaxed);
                    self.wait(direction, seen).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// As [`io`](Self::io), a single attempt, for those who poll.
    ///
    /// # Errors
    /// `WouldBlock` if it would have to wait, and what `attempt` returns otherwise.
    pub fn try_io<R>(&self, mut attempt: impl FnMut() -> io::Result<R>) -> io::Result<R> {
        loop {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    /// A source that is always ready must not keep everything else from running.
    async fn give_others_a_turn(&self) {
        // Only a count: who of several tasks yields does not matter.
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

    /// Tells the poller what is waited for, where it forgets that with each event.
    fn renew_interest(&self) -> io::Result<()> {
        if self.poller.supports_edge() {
            return Ok(());
        }
        let mut interest = self.state.interest(self.key);
        loop {
            self.poller.modify(&self.handle, interest)?;
            // Who waits for the other direction may have done the same in between, with less in
            // mind: the last one to do it sees everything.
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

    /// What is waited for at the moment.
    fn interest(&self, key: usize) -> Event {
        let waits = |side: &Side| !side.waiters.lock().row.is_empty();
        Event::new(key, waits(&self.read), waits(&self.write))
    }

    /// The poller has seen something.
    pub(super) fn notice(&self, event: Event) {
        if event.readable {
            self.read.become_ready();
        }
        if event.writable {
            self.write.become_ready();
        }
    }

    /// The runtime is shut down: nobody will see anything any more.
    pub(super) fn stop(&self) {
        for side in [&self.read, &self.write] {
            side.waiters.lock().stopped = true;
            side.become_ready();
        }
    }
}

impl Side {
    fn seen(&self) -> u32 {
        // Acquire pairs with the Release in `become_ready`: what made the source ready comes
        // before the attempt that follows.
        self.count.load(Ordering::Acquire)
    }

    fn become_ready(&self) {
        let mut waiters = self.waiters.lock();
        self.count.fetch_add(1, Ordering::Release);
        let woken = waiters.row.take_all();
        drop(waiters);
        woken.wake();
    }
}

/// Waits until a direction has become ready since its count was read.
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
        // Fails only where the poller does not know the handle, and then there is nothing to do.
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

/// Who waits for a socket of a runtime that is no more.
pub(super) fn shut_down() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the runtime has been shut down")
}
