//! All isolates of a runtime: to count them, and to end them.
//!
//! Split in shards, each a list under a lock, so that threads that spawn do not meet. An
//! isolate remembers its place in its shard's list; that memory is guarded by the shard's lock.

use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::memory::waiters::{Ticket, Waiters};
use crate::memory::{IsolateCore, IsolateRef};

/// One in models: which shard an isolate has depends on how many there have been in the process,
/// and a model must do the same in each of its runs.
const SHARDS: usize = if cfg!(loom) { 1 } else { 8 };

pub(super) struct Register {
    shards: [Mutex<Vec<Listed>>; SHARDS],
    len: AtomicUsize,
    closed: AtomicBool,
    /// Those who wait until it is empty. Bounded by the calls of `shut_down` that wait.
    waiting: Mutex<Waiters>,
}

/// An isolate that has not been torn down: its own count keeps it alive.
struct Listed(NonNull<IsolateCore>);

// SAFETY: `IsolateCore` is `Send` and `Sync`.
unsafe impl Send for Listed {}

impl Listed {
    fn get(&self) -> &IsolateCore {
        // SAFETY: an isolate leaves the list before it gives its own count back.
        unsafe { self.0.as_ref() }
    }
}

impl Register {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::new(Vec::new())),
            len: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    fn shard(&self, isolate: &IsolateCore) -> &Mutex<Vec<Listed>> {
        // Neighbors in time share a shard, and so a thread that spawns many keeps its lock's
        // line for a while.
        &self.shards[(isolate.id as usize >> 6) % SHARDS]
    }

    /// Adds an isolate; `false` if the register is closed, so that it must be killed.
    pub(super) fn add(&self, isolate: &IsolateCore) -> bool {
        // Counted before it is listed: whoever closes the register and finds it in a list, waits
        // until it is gone.
        self.len.fetch_add(1, Ordering::SeqCst);
        let mut shard = self.shard(isolate).lock();
        isolate.register_index.set(shard.len() as u32);
        shard.push(Listed(isolate.this()));
        drop(shard);
        !self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn remove(&self, isolate: &IsolateCore) {
        let mut shard = self.shard(isolate).lock();
        let index = isolate.register_index.get() as usize;
        shard.swap_remove(index);
        if let Some(moved) = shard.get(index) {
            moved.get().register_index.set(index as u32);
        }
        drop(shard);
        if self.len.fetch_sub(1, Ordering::SeqCst) == 1 && self.closed.load(Ordering::SeqCst) {
            let waiting = self.waiting.lock().take_all();
            waiting.wake();
        }
    }

    /// Whether nothing new may live.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::SeqCst)
    }

    pub(super) fn all(&self) -> Vec<IsolateRef> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(
                shard
                    .lock()
                    .iter()
                    .map(|listed| IsolateRef::new(listed.get())),
            );
        }
        all
    }

    /// From here on nothing new may live. Returns what lives now.
    pub(super) fn close(&self) -> Vec<IsolateRef> {
        self.closed.store(true, Ordering::SeqCst);
        self.all()
    }

    /// Waits until the last isolate has left; only for a closed register.
    pub(super) fn emptied(&self) -> impl Future<Output = ()> {
        Emptied {
            register: self,
            ticket: Ticket::default(),
        }
    }
}

struct Emptied<'a> {
    register: &'a Register,
    ticket: Ticket,
}

impl Future for Emptied<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut waiting = self.register.waiting.lock();
        if self.register.len() == 0 {
            return Poll::Ready(());
        }
        let before = waiting.wait(&mut self.ticket, waker);
        drop(waiting);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Emptied<'_> {
    fn drop(&mut self) {
        let waker = self.register.waiting.lock().forget(&mut self.ticket);
        drop(waker);
    }
}
