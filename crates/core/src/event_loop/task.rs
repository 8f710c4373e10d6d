//! Local tasks: futures that an isolate owns and polls as microtasks.
//!
//! The task's slot in the isolate and every clone of its waker hold a count of its header. A
//! wake-up on the isolate's own thread during a turn queues a microtask; a wake-up from elsewhere
//! posts a [`Wake`] record, which is an event of its own and keeps its place among the messages.
//! A task is queued once however often it is woken: its slot (`queued`) says whether a microtask
//! waits, its header (the mark [`POSTED`]) whether a record is on its way. `queued` is cleared just
//! before the poll, the mark when the record arrives, so a wake-up during the poll queues the task
//! again. A task that is woken in the last step of an event, by a message, an answer or a [`Wake`]
//! record, would be the first microtask if none waits; then it is polled right there.
//!
//! # Which tasks keep their isolate alive
//! Tasks whose waker has a clone: code outside can wake them. A task's header counts its clones,
//! and the isolate counts the tasks that have any ([`AwaitedTasks`]), so that it need not look at
//! each of them whenever it runs out of records. The first clone counts the task in. The drop of
//! the last one counts it out, and if that happens on another thread, the isolate has to check
//! again whether anything is left to wait for.
//!
//! A task that ends is counted out too, and its header is marked [`ENDED`], so that its wakers
//! no longer count. Both marks and the number of clones share one atomic word, the header's
//! `state`, so exactly one of the two, the end or the last clone's drop, counts the task out. A
//! first clone cannot race with the end: as long as there is none, only the poll has a waker to
//! clone, and the end comes after it.
//!
//! # The check after the last clone's drop
//! The thread that counts a task out posts a [`Recheck`] record, whose turn ends with the check.
//! Most often a [`Wake`] record is on its way, after which the isolate checks anyway; then the
//! thread posts nothing. It decides this by a read-modify-write of `state`, after it has counted
//! the task out. If it finds `POSTED` without `ENDED`, then the isolate has yet to change `state`,
//! before that check: it clears `POSTED` when the record arrives, or has set `ENDED` by then. Since
//! that change reads what this step has written, the check sees the task counted out. A plain load
//! would not do: it may return a mark that the isolate has cleared already, while the isolate's
//! check still sees the old count.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

use insula_sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::isolate::IsolateId;
use crate::memory::record::SystemRecord;
use crate::memory::slab::Key;
use crate::memory::{Current, IsolateRef};
use crate::panic::contain;

/// A future of unknown type that runs in one isolate.
pub(crate) type LocalFuture = Pin<Box<dyn Future<Output = ()>>>;

/// The part of a task that it shares with its wakers.
pub(crate) struct TaskHeader {
    isolate: IsolateRef,
    key: Key,
    /// The number of clones of the waker, and the marks [`POSTED`] and [`ENDED`].
    state: AtomicUsize,
}

/// The mark of a task that has ended.
const ENDED: usize = 1 << (usize::BITS - 1);

/// The mark of a task for which a `Wake` record is on its way. It stays set if the task has ended
/// before the record arrives.
const POSTED: usize = 1 << (usize::BITS - 2);

/// The bits of the number of clones. Each clone is a waker in memory, so the number stays below the
/// marks.
const CLONES: usize = POSTED - 1;

/// The number of an isolate's tasks that code outside can wake.
#[derive(Default)]
pub(crate) struct AwaitedTasks(AtomicU32);

impl AwaitedTasks {
    #[inline]
    pub(crate) fn may_wake(&self) -> bool {
        // Acquire; pairs with the Release in `less`: what a waker's holder did before it dropped
        // the waker is visible.
        self.0.load(Ordering::Acquire) != 0
    }

    fn more(&self) {
        // Relaxed: a task is counted in during a poll, on the thread of the isolate's next check.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn less(&self) {
        // Release; pairs with the Acquire load in `may_wake`.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// A task's place in its isolate.
pub(crate) struct Task {
    header: Arc<TaskHeader>,
    /// Set while a microtask for the task waits.
    queued: bool,
    /// Stays in its box until the task is removed: `run_after` polls it through a pointer.
    future: LocalFuture,
}

/// The task that is being polled.
#[derive(Clone, Copy)]
pub(crate) struct Polling {
    key: Key,
    header: *const TaskHeader,
}

impl Task {
    /// Creates a task. The caller queues its first microtask.
    pub(crate) fn new(isolate: Current<'_>, key: Key, future: LocalFuture) -> Self {
        let header = TaskHeader {
            isolate: IsolateRef::new(isolate.core()),
            key,
            state: AtomicUsize::new(0),
        };
        Self {
            header: Arc::new(header),
            queued: true,
            future,
        }
    }

    /// Returns whether the waker has clones, so that the task may be woken from outside.
    pub(crate) fn may_be_woken(&self) -> bool {
        // Acquire; pairs with the decrement in `waker_dropped`.
        self.header.state.load(Ordering::Acquire) & CLONES != 0
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // AcqRel; pairs with the decrement in `waker_dropped`: one of the two counts the task out.
        if self.header.state.fetch_or(ENDED, Ordering::AcqRel) & CLONES != 0 {
            self.header.isolate.awaited_tasks.less();
        }
    }
}

/// Polls a task, if it is still there.
pub(crate) fn run(isolate: Current<'_>, key: Key) {
    run_after(isolate, key, |_| ());
}

/// Polls a task, if it is still there, after `f` was called with its header.
///
/// The future is polled where it is, without the borrow of the event loop's state, which the poll
/// uses itself.
#[inline]
fn run_after(isolate: Current<'_>, key: Key, f: impl FnOnce(&TaskHeader)) {
    let local = isolate.local();
    let found = isolate.with_events(|events| {
        let task = events.tasks.get_mut(key)?;
        f(&task.header);
        task.queued = false;
        // SAFETY: it is not moved through this pointer, but pinned again below.
        let future: *mut _ = unsafe { task.future.as_mut().get_unchecked_mut() };
        Some((Arc::as_ptr(&task.header), future))
    });
    let Some((header, future)) = found else {
        return;
    };
    // A microtask is run by the event loop, never by another one.
    assert!(local.polling.get().is_none(), "a poll within a poll");
    local.polling.set(Some(Polling { key, header }));
    // SAFETY: the pointer comes from the `Arc` in the task's slot, which stays there during the
    // poll: a task is removed only by its own end, or by the isolate's, after this turn. This
    // waker owns no count, and is never dropped.
    let waker = ManuallyDrop::new(unsafe { Waker::from_raw(raw_waker(header)) });
    let polled = Polled { isolate, key };
    // SAFETY: the future stays in its box until the task is removed, as above, and is polled by no
    // other code meanwhile: polls do not nest, by the check above.
    let future = unsafe { &mut *future };
    // SAFETY: it was taken out of a `Pin`.
    let future = unsafe { Pin::new_unchecked(future) };
    let poll = future.poll(&mut Context::from_waker(&waker));
    // Its destructor is for a panic.
    let _over = ManuallyDrop::new(polled);
    local.polling.set(None);
    if poll.is_ready() {
        let task = isolate.with_events(|events| events.tasks.remove(key));
        // What the future still holds belongs to the user, and may use the isolate.
        drop(task);
    }
}

/// A poll in progress. Removes the task when dropped, which is after a panic.
struct Polled<'a> {
    isolate: Current<'a>,
    key: Key,
}

impl Drop for Polled<'_> {
    #[cold]
    fn drop(&mut self) {
        self.isolate.local().polling.set(None);
        let task = self
            .isolate
            .with_events(|events| events.tasks.remove(self.key));
        // The thread unwinds, so a second panic must not leave this.
        contain(|| drop(task));
    }
}

/// Performs an interrupt check where a future is polled. Returns `true` if the future should
/// return to the event loop first; it is then polled again.
#[inline]
pub(crate) fn must_return(isolate: Current<'_>, cx: &Context<'_>) -> bool {
    let must = isolate.interrupted();
    if must {
        cx.waker().wake_by_ref();
    }
    must
}

/// The target of a wake-up in an isolate: one of its own tasks, without any counting, or a waker.
#[derive(Default)]
pub(crate) enum Wakeup {
    #[default]
    Nobody,
    Task(Key),
    Waker(Waker),
}

impl Wakeup {
    /// Captures the polling task: by key if it polls with its own waker, else as a clone of the
    /// waker, for a combinator inside it.
    #[inline]
    pub(crate) fn capture(isolate: Current<'_>, cx: &Context<'_>) -> Self {
        own_task(isolate, cx).map_or_else(|| Self::Waker(cx.waker().clone()), Self::Task)
    }

    /// Wakes the target. Runs no user code if that is a task of this isolate.
    #[inline]
    pub(crate) fn wake(self, isolate: Current<'_>) {
        match self {
            Self::Nobody => {}
            Self::Task(key) => wake_local(isolate, key),
            Self::Waker(waker) => waker.wake(),
        }
    }

    /// As [`wake`](Self::wake), as the last step of an event: a task that would be the next
    /// microtask is polled right away.
    #[inline]
    pub(crate) fn wake_last(self, isolate: Current<'_>) {
        match self {
            Self::Task(key) if isolate.may_run_task() => run(isolate, key),
            other => other.wake(isolate),
        }
    }
}

/// Returns the polling task, if it polls with its own waker.
#[inline]
pub(crate) fn own_task(isolate: Current<'_>, cx: &Context<'_>) -> Option<Key> {
    let Polling { key, header } = isolate.local().polling.get()?;
    let waker = cx.waker();
    (waker.data() == header.cast() && ptr::eq(waker.vtable(), &VTABLE)).then_some(key)
}

/// Returns the isolate whose task this waker wakes; `None` for a waker of anything else.
pub fn isolate_of(waker: &Waker) -> Option<IsolateId> {
    if !ptr::eq(waker.vtable(), &VTABLE) {
        return None;
    }
    // SAFETY: wakers of this table are made by `raw_waker` alone, and each points to a header that
    // lives as long as the waker does; see below.
    let header = unsafe { &*waker.data().cast::<TaskHeader>() };
    Some(IsolateId(header.isolate.id))
}

/// Returns the isolate that polls with this waker, if [`isolate_of`] does not know it: a combinator
/// of several futures polls each with a waker of its own.
#[inline]
pub fn isolate_around(waker: &Waker) -> Option<IsolateId> {
    match ptr::eq(waker.vtable(), &VTABLE) {
        true => None,
        false => current_isolate(),
    }
}

#[cold]
fn current_isolate() -> Option<IsolateId> {
    Current::with(|isolate| isolate.map(|isolate| IsolateId(isolate.core().id)))
}

#[inline]
fn wake_local(isolate: Current<'_>, key: Key) {
    wake_here(isolate, key, |_| ());
}

/// Queues a task, if it is not queued, after `f` was called with its header.
#[inline]
fn wake_here(isolate: Current<'_>, key: Key, f: impl FnOnce(&TaskHeader)) {
    let queued = isolate.with_events(|events| {
        let Some(task) = events.tasks.get_mut(key) else {
            return false;
        };
        f(&task.header);
        !std::mem::replace(&mut task.queued, true)
    });
    // After `with_events`, which `push_poll` enters itself.
    if queued {
        isolate.push_poll(key);
    }
}

impl TaskHeader {
    fn wake(&self) {
        let home = self.isolate.as_ptr().as_ptr().cast_const();
        let here = Current::with(|current| match current {
            Some(isolate) if isolate.is(home) => {
                wake_local(isolate, self.key);
                true
            }
            _ => false,
        });
        // AcqRel; pairs with the `fetch_and` in `Wake::run`: the poll sees what led to this
        // wake-up.
        if !here && self.state.fetch_or(POSTED, Ordering::AcqRel) & POSTED == 0 {
            // A dead isolate has dropped the task.
            let _ = self.isolate.post(Wake(self.key));
        }
    }

    /// Uncounts a dropped waker. After the last one, the isolate checks what it waits for.
    fn waker_dropped(&self) {
        // AcqRel; pairs with the `fetch_or` in the drop of `Task`, which counts the task out if it
        // comes first.
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        if before & !POSTED != 1 {
            return;
        }
        self.isolate.awaited_tasks.less();
        // Changes nothing, but is a write, so that the isolate's next change of `state` sees the
        // count; see the module's documentation. Release; pairs with the Acquire of the `fetch_and`
        // in `Wake::run` and of the `fetch_or` in the drop of `Task`.
        if self.state.fetch_or(0, Ordering::AcqRel) & (POSTED | ENDED) == POSTED {
            return;
        }
        let home = self.isolate.as_ptr().as_ptr().cast_const();
        // On its own thread the isolate checks by itself when it runs out of records.
        let own = Current::with(|current| current.is_some_and(|isolate| isolate.is(home)));
        if !own {
            let _ = self.isolate.post(Recheck);
        }
    }
}

/// The record of a wake-up from outside.
pub(crate) struct Wake(pub(crate) Key);

impl SystemRecord for Wake {
    fn run(self, isolate: Current<'_>) {
        let arrived = |header: &TaskHeader| {
            // Acquire; pairs with the `fetch_or` in `wake`, and with that in `waker_dropped`.
            // Release: a later wake-up may post again.
            header.state.fetch_and(!POSTED, Ordering::AcqRel);
        };
        if isolate.may_run_task() {
            run_after(isolate, self.0, arrived);
        } else {
            wake_here(isolate, self.0, arrived);
        }
    }
}

impl Current<'_> {
    /// Wakes the target after everything that is queued for the isolate now.
    pub(crate) fn post_wakeup(self, wakeup: Wakeup) {
        // A dying isolate drops its tasks.
        match wakeup {
            Wakeup::Nobody => {}
            Wakeup::Task(key) => drop(self.post(Wake(key))),
            Wakeup::Waker(waker) => drop(self.post(WakeForeign(waker))),
        }
    }
}

struct WakeForeign(Waker);

impl SystemRecord for WakeForeign {
    fn run(self, _: Current<'_>) {
        self.0.wake();
    }
}

/// A record without content: its turn makes the isolate check what it waits for.
pub(crate) struct Recheck;

impl SystemRecord for Recheck {
    fn run(self, _: Current<'_>) {}
}

static VTABLE: RawWakerVTable =
    RawWakerVTable::new(clone_waker, wake_by_value, wake_by_ref, drop_waker);

fn raw_waker(header: *const TaskHeader) -> RawWaker {
    RawWaker::new(header.cast(), &VTABLE)
}

// The four functions get the pointer of an `Arc<TaskHeader>`. Each cloned waker owns one count
// of the `Arc` and one of `state`; the waker that `run` polls with owns none.

unsafe fn clone_waker(data: *const ()) -> RawWaker {
    let header = data.cast::<TaskHeader>();
    // SAFETY: a cloned waker owns a count of the header; the waker that `run` polls with does not
    // outlive the count of the task's slot.
    let task = unsafe { &*header };
    // Relaxed: the first clone is made on the isolate's own thread, during a poll; later ones are
    // made from a waker that is counted.
    if task.state.fetch_add(1, Ordering::Relaxed) & !POSTED == 0 {
        task.isolate.awaited_tasks.more();
    }
    // SAFETY: as above; the new waker owns the new count.
    unsafe { Arc::increment_strong_count(header) };
    raw_waker(header)
}

unsafe fn wake_by_value(data: *const ()) {
    // SAFETY: a waker that is consumed was cloned once, so it owns a count.
    let header = unsafe { Arc::from_raw(data.cast::<TaskHeader>()) };
    header.wake();
    header.waker_dropped();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: alive for the call, as in `clone_waker`.
    unsafe { &*data.cast::<TaskHeader>() }.wake();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: a waker that is dropped was cloned once, so it owns a count.
    unsafe { Arc::from_raw(data.cast::<TaskHeader>()) }.waker_dropped();
}
