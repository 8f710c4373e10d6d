//! The register of a runtime's isolates: to count them, and to end them.
//!
//! It is split into shards, each a list under a lock, so that threads that spawn rarely contend. An
//! isolate stores its index in its shard's list; the shard's lock guards that index.

use std::future::Future;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use insula_sync::Mutex;
use insula_sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::memory::waiters::{Ticket, Waiters};
use crate::memory::{IsolateCore, IsolateRef};

/// One in models: an isolate's shard depends on how many isolates the process has had, and a model
/// must do the same in each of its runs.
const SHARDS: usize = if cfg!(loom) { 1 } else { 8 };

/// The index of an isolate that came when the register was closed.
const UNLISTED: u32 = u32::MAX;

pub(super) struct Register {
    shards: [Mutex<Shard>; SHARDS],
    /// The number of isolates that are registered.
    len: AtomicUsize,
    /// Set by `close`. SeqCst, like `len`, for the last `remove`: a shutdown stores `closed` and
    /// then loads `len`, and `remove` lowers `len` and then loads `closed`, so that either the
    /// shutdown finds the register empty or `remove` wakes it.
    closed: AtomicBool,
    /// Waiters for an empty register. Bounded by the calls of `shut_down` that wait.
    waiting: Mutex<Waiters>,
}

#[derive(Default)]
struct Shard {
    list: Vec<Listed>,
    /// The number of isolates that were added.
    spawned: u64,
}

/// An isolate that has not been torn down. It keeps itself alive, with a count of its own.
struct Listed(NonNull<IsolateCore>);

// SAFETY: `IsolateCore` is `Send` and `Sync`.
unsafe impl Send for Listed {}

impl Listed {
    fn get(&self) -> &IsolateCore {
        // SAFETY: an isolate leaves the list before it releases its own count.
        unsafe { self.0.as_ref() }
    }
}

impl Register {
    pub(super) fn new() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            len: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            waiting: Mutex::default(),
        }
    }

    fn shard(&self, id: u64) -> &Mutex<Shard> {
        // 64 successive ids share a shard, so that a thread that spawns many keeps the cache line
        // of its lock for a while.
        &self.shards[(id as usize >> 6) % SHARDS]
    }

    /// Adds an isolate. Returns `false` if the register is closed: then the isolate is neither
    /// listed nor counted, and the caller must end it. So no other code finds it, to have it run by
    /// threads that may have ended with the runtime.
    pub(super) fn add(&self, isolate: &IsolateCore) -> bool {
        let mut shard = self.shard(isolate.id).lock();
        // Under the lock: either this sees the store of a `close`, or that `close` locks the shard
        // later, and finds the isolate.
        if self.closed.load(Ordering::SeqCst) {
            isolate.register_index.set(UNLISTED);
            return false;
        }
        // Counted before the lock is released, so that a shutdown that finds the isolate also waits
        // for its end.
        self.len.fetch_add(1, Ordering::SeqCst);
        isolate.register_index.set(shard.list.len() as u32);
        shard.list.push(Listed(isolate.this()));
        shard.spawned += 1;
        true
    }

    pub(super) fn remove(&self, isolate: &IsolateCore) {
        let mut shard = self.shard(isolate.id).lock();
        let index = isolate.register_index.get();
        if index == UNLISTED {
            return;
        }
        let index = index as usize;
        shard.list.swap_remove(index);
        if let Some(moved) = shard.list.get(index) {
            moved.get().register_index.set(index as u32);
        }
        drop(shard);
        if self.len.fetch_sub(1, Ordering::SeqCst) == 1 && self.closed.load(Ordering::SeqCst) {
            let waiting = self.waiting.lock().take_all();
            waiting.wake();
        }
    }

    /// Returns whether new isolates are refused.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(super) fn len(&self) -> usize {
        // SeqCst: `Emptied` relies on it; see `closed`.
        self.len.load(Ordering::SeqCst)
    }

    pub(super) fn all(&self) -> Vec<IsolateRef> {
        let mut all = Vec::new();
        for shard in &self.shards {
            all.extend(
                shard
                    .lock()
                    .list
                    .iter()
                    // Counted under the lock, after which an isolate may be freed.
                    .map(|listed| IsolateRef::new(listed.get())),
            );
        }
        all
    }

    /// Returns those of these isolates that are registered, in no order. `ids` is in order. Locks for
    /// at most `chunk` isolates at a time.
    pub(super) fn find(&self, ids: &[u64], chunk: usize) -> Vec<IsolateRef> {
        let mut found = Vec::new();
        for shard in &self.shards {
            if ids.iter().any(|id| std::ptr::eq(self.shard(*id), shard)) {
                let first = found.len();
                look_at(shard, chunk, |listed| {
                    if ids.binary_search(&listed.get().id).is_ok() {
                        found.push(IsolateRef::new(listed.get()));
                    }
                });
                keep_once(&mut found, first);
            }
        }
        found
    }

    /// Returns all isolates like [`all`](Self::all), but locks for at most `chunk` of them at a time,
    /// and the numbers of isolates that were spawned and that have ended. An isolate that is
    /// registered throughout is there once. The numbers never fall.
    pub(super) fn all_by(&self, chunk: usize) -> (Vec<IsolateRef>, [u64; 2]) {
        let (mut all, mut spawned, mut ended) = (Vec::new(), 0, 0);
        for shard in &self.shards {
            // Both at one moment, so that neither counts what the other does not.
            let counted = shard.lock();
            spawned += counted.spawned;
            ended += counted.spawned - counted.list.len() as u64;
            drop(counted);
            let first = all.len();
            look_at(shard, chunk, |listed| {
                all.push(IsolateRef::new(listed.get()));
            });
            keep_once(&mut all, first);
        }
        (all, [spawned, ended])
    }

    /// Refuses new isolates from now on, and returns the existing ones.
    pub(super) fn close(&self) -> Vec<IsolateRef> {
        // Before the isolates are listed: one that is added later finds it set.
        self.closed.store(true, Ordering::SeqCst);
        self.all()
    }

    /// Waits until the last isolate has been removed. The register must be closed.
    pub(super) fn emptied(&self) -> impl Future<Output = ()> {
        Emptied {
            register: self,
            ticket: Ticket::default(),
        }
    }
}

/// The future of [`Register::emptied`].
struct Emptied<'a> {
    register: &'a Register,
    ticket: Ticket,
}

impl Future for Emptied<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Wakers are foreign code: cloned before the lock is taken, dropped after its release.
        let waker = cx.waker().clone();
        let mut waiting = self.register.waiting.lock();
        // `waiting` is released before `waker`, which was declared first, is dropped.
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

/// Shows all isolates of a shard, but locks for at most `chunk` of them at a time. One that is listed
/// throughout is shown at least once.
fn look_at(shard: &Mutex<Shard>, chunk: usize, mut look: impl FnMut(&Listed)) {
    // From the end: a removal moves the last one forward, to where this comes later. So none is
    // missed, but one may be seen twice.
    let mut rest = usize::MAX;
    while rest != 0 {
        let shard = shard.lock();
        let end = rest.min(shard.list.len());
        rest = end.saturating_sub(chunk);
        shard.list[rest..end].iter().for_each(&mut look);
    }
}

/// Removes isolates that are there a second time, from the place `first` on.
fn keep_once(isolates: &mut Vec<IsolateRef>, first: usize) {
    let mut once: Vec<_> = isolates.drain(first..).collect();
    once.sort_unstable_by_key(|isolate: &IsolateRef| isolate.id);
    once.dedup_by_key(|isolate| isolate.id);
    isolates.extend(once);
}
