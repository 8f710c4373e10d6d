//! The memory of one isolate, and the rules for access to each part of it.
//!
//! | part | accessed by |
//! |---|---|
//! | `lane`, `refs`, `port0.refs` | any thread, atomically |
//! | `details`, a port's `open` and its bound | the holder of the lane |
//! | `local`, a port's receiver | the thread that runs the isolate, as a [`Current`] proves |
//! | `local.turns` | any thread reads it; that thread alone writes it |
//! | the rest | any thread; never changed after creation |
//!
//! The memory is freed when its last count is released. The isolate itself holds a count from its
//! spawn to the end of its teardown; so do each port with a sender or a receiver, each handle,
//! each waker and each unanswered call. A run queue holds no count: a scheduled isolate has not
//! been torn down.
//!
//! Counting is biased, since an atomic addition costs as much as the rest of a short message:
//! the thread that runs the isolate counts in a plain number in `local`, all others count in
//! `refs`. Each of the two may fall below the number of counts that are held, but not their sum.
//! `refs` begins with [`ALIVE`], more than can ever be counted; the end of the teardown subtracts
//! it and adds the local number. Only from then on can `refs` reach zero.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use insula_sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::blocking::Seat;
use crate::event_loop::EventLoop;
use crate::event_loop::task::{AwaitedTasks, Polling};
use crate::isolate::{
    Capabilities, ErrorPolicy, ExitCalls, ExitListener, ExitReason, Home, IsolateGroup, Listeners,
    Oob, UncaughtError,
};
use crate::memory::lane::{Burst, Lane, LaneGuard};
use crate::memory::record::{SystemRecord, system_head};
use crate::memory::slab::Key;
use crate::memory::waiters::Waiters;
use crate::port::reply::DetachedReplies;
use crate::port::{PortSlot, SendPort};
use crate::runtime::RuntimeCore;

insula_sync::thread_cell! {
    /// The isolate whose turn runs on this thread, or null.
    static CURRENT: *const IsolateCore = ptr::null();
}

insula_sync::thread_cell! {
    /// The isolate whose turn this thread has [left](Current::leave), or null: code outside of
    /// isolates runs on the thread, a future under `block_on` or a group-bound callback. The
    /// isolate is in the middle of a turn further down the stack, and so alive.
    static LEFT: *const IsolateCore = ptr::null();
}

#[inline]
fn current() -> *const IsolateCore {
    CURRENT.with(Cell::get)
}

/// Sets the current isolate and returns the previous one.
#[inline]
fn set_current(core: *const IsolateCore) -> *const IsolateCore {
    CURRENT.with(|current| current.replace(core))
}

/// The initial value of `refs`, which stands for the isolate's own count.
const ALIVE: usize = 1 << (usize::BITS - 2);

/// The memory of one isolate.
pub(crate) struct IsolateCore {
    pub(crate) lane: Lane,
    /// The pointer from the allocation. Pointers that are kept, or that free the memory, are
    /// copies of it, since a pointer made from a reference may do neither.
    this: NonNull<Self>,
    /// The shared part of the count; see the docs of this module.
    refs: AtomicUsize,
    pub(crate) id: u64,
    pub(crate) runtime: Arc<RuntimeCore>,
    /// The thread or host that runs a pinned or a root isolate; `None` for a pooled one.
    home: Option<Arc<Home>>,
    /// Index in the runtime's register, whose lock guards this field.
    pub(crate) register_index: Cell<u32>,
    details: Cell<Option<Box<Details>>>,
    pub(crate) awaited_tasks: AwaitedTasks,
    local: Local,
    pub(crate) port0: PortSlot,
}

// SAFETY: the table above names for each part the rule that keeps two threads apart.
unsafe impl Sync for IsolateCore {}
// SAFETY: nothing in it is tied to a thread, except the state of a pinned isolate, which only
// that isolate's thread touches or drops (see `isolate/pinned.rs`).
unsafe impl Send for IsolateCore {}

/// The part that few isolates need, off the fast path. Guarded by the lane.
#[derive(Default)]
pub(crate) struct Details {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) oob: Vec<Oob>,
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) group: Option<IsolateGroup>,
    pub(crate) error_policy: ErrorPolicy,
    pub(crate) error_listeners: Listeners<SendPort<UncaughtError>>,
    pub(crate) exit: Option<ExitReason>,
    pub(crate) exit_listeners: Listeners<ExitListener>,
    /// The runtime's own calls at the exit, made after all listeners were told: they release what
    /// belongs to the isolate.
    pub(crate) exit_calls: ExitCalls,
    pub(crate) exit_waiters: Waiters,
    /// Questions whose answers bypass the lane (see `port/reply/pending.rs`). The lane's `DETACHED`
    /// bit is set while there are any.
    pub(crate) detached: DetachedReplies,
    /// The seat at which the isolate parks while it waits for a mailbox or another blocking
    /// operation.
    pub(crate) seat: Option<Arc<Seat>>,
}

/// The part that only the running thread touches.
pub(crate) struct Local {
    pub(crate) burst: Burst,
    /// Counts that the isolate itself acquired, less those that it released.
    refs: Cell<isize>,
    pub(crate) events: RefCell<Option<Box<EventLoop>>>,
    pub(crate) polling: Cell<Option<Polling>>,
    /// The task to poll before the microtasks in the queue.
    pub(crate) front: Cell<Option<Key>>,
    /// The number of ports that keep the isolate alive; each port counts itself (see `port`).
    pub(crate) keeping_ports: Cell<u32>,
    /// The turns so far, modulo 2^32. Relaxed: a number for those who look on.
    pub(crate) turns: AtomicU32,
    pub(crate) flags: Flags,
}

/// Flags that the isolate's own code sets and its loop reads.
#[derive(Default)]
pub(crate) struct Flags {
    /// Set while a microtask waits.
    pub(crate) microtasks: Cell<bool>,
    /// Set to move the isolate to the back of the run queue after this turn.
    pub(crate) yielded: Cell<bool>,
    /// Set while a bounded port has places to give back.
    pub(crate) credits: Cell<bool>,
    /// Set once `port0` has been opened.
    pub(crate) port0_used: Cell<bool>,
    /// Set from the start of the teardown: what is started now never runs.
    pub(crate) dying: Cell<bool>,
    /// Set if something comes before the next event: a pause, a delayed control action, or the
    /// end.
    pub(crate) attention: Cell<bool>,
    /// Set once the isolate is ending: nothing more may run.
    pub(crate) ending: Cell<bool>,
    /// Set while the microtasks that an error left behind wait for the next event, as in the VM.
    pub(crate) microtasks_held: Cell<bool>,
    /// Set if the isolate belongs to a group, which its children join.
    pub(crate) in_group: Cell<bool>,
    /// Set for a root isolate, which does not end by itself.
    pub(crate) is_root: Cell<bool>,
    /// Set if the isolate pauses before it ends.
    pub(crate) pauses_on_exit: Cell<bool>,
    /// Set if the isolate has a [`SliceWatch`](crate::SliceWatch).
    pub(crate) watched: Cell<bool>,
}

impl IsolateCore {
    /// Creates an idle isolate, which holds a count of itself.
    pub(crate) fn create(
        runtime: Arc<RuntimeCore>,
        home: Option<Arc<Home>>,
        details: Option<Box<Details>>,
    ) -> NonNull<Self> {
        let core = Box::new(Self {
            lane: Lane::new(),
            this: NonNull::dangling(),
            refs: AtomicUsize::new(ALIVE),
            id: RuntimeCore::next_isolate_id(),
            runtime,
            home,
            register_index: Cell::new(0),
            details: Cell::new(details),
            awaited_tasks: AwaitedTasks::default(),
            local: Local {
                burst: Burst::new(),
                refs: Cell::new(0),
                events: RefCell::new(None),
                polling: Cell::new(None),
                front: Cell::new(None),
                keeping_ports: Cell::new(0),
                turns: AtomicU32::new(0),
                flags: Flags::default(),
            },
            port0: PortSlot::unopened(),
        });
        let this = NonNull::from(Box::leak(core));
        // SAFETY: just allocated, and not shared yet.
        unsafe { (*this.as_ptr()).this = this };
        this
    }

    /// Returns a pointer that is valid as long as a count of the isolate is held.
    #[inline]
    pub(crate) fn this(&self) -> NonNull<Self> {
        self.this
    }

    /// Calls `f` with the rarely used part, which is made on first use.
    pub(crate) fn with_details<R>(
        &self,
        _held: &mut LaneGuard<'_>,
        f: impl FnOnce(&mut Details) -> R,
    ) -> R {
        // `_held` proves that the lane is held, so no other thread finds the part missing
        // meanwhile.
        let mut details = self.details.take().unwrap_or_default();
        let result = f(&mut details);
        self.details.set(Some(details));
        result
    }

    /// Like [`with_details`](Self::with_details), but returns `None` if the part was never made.
    pub(crate) fn peek_details<R>(
        &self,
        _held: &mut LaneGuard<'_>,
        f: impl FnOnce(&mut Details) -> R,
    ) -> Option<R> {
        let mut details = self.details.take()?;
        let result = f(&mut details);
        self.details.set(Some(details));
        Some(result)
    }

    /// Returns the name that the isolate was given.
    pub(crate) fn own_name(&self) -> Option<Arc<str>> {
        let name = self.peek_details(&mut self.lane.lock(), |details| details.name.clone());
        name.flatten()
    }

    pub(crate) fn name(&self) -> Arc<str> {
        self.own_name()
            .unwrap_or_else(|| Arc::from(format!("isolate-{}", self.id)))
    }

    /// Returns the number of the current turn of an isolate outside of the pool; `None` between
    /// slices, and for a pooled isolate.
    pub(crate) fn turn_at_home(&self) -> Option<u32> {
        self.home.as_ref()?.meter.turn()
    }

    /// Returns the number of turns so far, modulo 2^32.
    pub(crate) fn turns(&self) -> u32 {
        self.local.turns.load(Ordering::Relaxed)
    }

    /// Returns the home, for a caller that schedules the isolate and holds no count that outlasts
    /// this.
    pub(crate) fn home(&self) -> Option<Arc<Home>> {
        self.home.clone()
    }

    /// Returns whether only one thread may run the isolate.
    pub(crate) fn has_home(&self) -> bool {
        self.home.is_some()
    }

    /// Returns whether this is a root isolate whose host is the calling thread.
    pub(crate) fn is_root_here(&self) -> bool {
        self.home.as_ref().is_some_and(|home| home.is_hosted_here())
    }

    /// Queues a pooled isolate, or wakes the home of another one. Only the caller that set
    /// `SCHEDULED` may queue a pooled isolate: it does not run before this call; afterwards it may
    /// end and be freed, unless the caller holds a count. A caller always holds a count of an
    /// isolate with a home, whose thread may run it at any time.
    #[inline]
    pub(crate) fn schedule(this: NonNull<Self>) {
        // SAFETY: not queued yet, or counted by the caller, as said above; so it is alive.
        let core = unsafe { this.as_ref() };
        match &core.home {
            None => {
                let given_back = core.runtime.scheduler().schedule_here(Runnable(this));
                if let Err(runnable) = given_back {
                    Self::schedule_elsewhere(runnable);
                }
            }
            Some(home) => home.wake(),
        }
    }

    /// Schedules from a thread outside of the pool, and keeps the runtime alive meanwhile: once
    /// queued, the isolate may run to its end on another thread, and the runtime be shut down and
    /// freed, while this thread still wakes one of the pool's threads. The pool's threads hold the
    /// runtime themselves.
    fn schedule_elsewhere(runnable: Runnable) {
        let runtime = runnable.core().runtime.clone();
        runtime.scheduler().schedule_elsewhere(runnable);
    }

    /// Appends one of the runtime's own records. Returns it if the isolate is dead.
    pub(crate) fn post<P: SystemRecord + Send>(&self, record: P) -> Result<(), P> {
        // SAFETY: `self` is alive during the call.
        unsafe { Self::post_to(self.this, record) }
    }

    /// Like [`post`](Self::post), for a record that carries the count that keeps the isolate alive.
    ///
    /// # Safety
    /// The isolate is alive until it receives the record.
    pub(crate) unsafe fn post_to<P: SystemRecord + Send>(
        this: NonNull<Self>,
        record: P,
    ) -> Result<(), P> {
        // SAFETY: alive by the caller's promise, at least while the lane is held.
        let mut lane = unsafe { this.as_ref() }.lane.lock();
        if lane.is_dead() {
            drop(lane);
            return Err(record);
        }
        // SAFETY: not dead, and `system_head` is the header of a `P`.
        unsafe { lane.push(system_head::<P>(), record) };
        let schedule = lane.mark_scheduled();
        // SAFETY: alive as long as the lane is held.
        let home = unsafe { this.as_ref() }.home.as_ref();
        // A pinned isolate's thread looks for the mark without being woken, and may run the isolate
        // to its end before this thread continues; so the home is cloned under the lock.
        let home = if schedule { home.cloned() } else { None };
        drop(lane);
        match home {
            Some(home) => home.wake(),
            None if schedule => Self::schedule(this),
            None => {}
        }
        Ok(())
    }

    /// Posts to the out-of-band lane. A dead isolate drops the message.
    pub(crate) fn post_oob(&self, message: Oob) {
        let mut lane = self.lane.lock();
        if lane.is_dead() {
            drop(lane);
            // A moment earlier the isolate would have dropped the message and contained a panic. The
            // sender must not see a panic only because the isolate has ended by now.
            return crate::panic::contain(move || drop(message));
        }
        let seat = self.with_details(&mut lane, |details| {
            details.oob.push(message);
            details.seat.clone()
        });
        let schedule = lane.mark_oob();
        drop(lane);
        if schedule {
            Self::schedule(self.this);
        }
        // Code that waits at a seat keeps its thread, so scheduling the isolate does not wake it.
        if let Some(seat) = seat {
            seat.unpark();
        }
    }

    /// Returns the local number of counts, if the isolate runs on this thread.
    #[inline]
    fn local_refs(&self) -> Option<&Cell<isize>> {
        ptr::eq(current(), self).then_some(&self.local.refs)
    }

    /// Acquires one more count. The caller already holds one, or keeps the isolate alive.
    #[inline]
    pub(crate) fn retain(&self) {
        match self.local_refs() {
            Some(refs) => refs.set(refs.get() + 1),
            // Relaxed: the caller keeps the isolate alive, so it is not freed meanwhile.
            None => drop(self.refs.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Releases one count; the last one frees the memory.
    ///
    /// # Safety
    /// The caller owns a count and does not access the isolate through it afterwards.
    #[inline]
    pub(crate) unsafe fn release(this: NonNull<Self>) {
        // SAFETY: alive while the caller's count is held.
        match unsafe { this.as_ref() }.local_refs() {
            // May fall below zero, and frees nothing: only the sum with `refs` counts.
            Some(refs) => refs.set(refs.get() - 1),
            // SAFETY: by the caller's promise.
            None => unsafe { Self::release_shared(this, 1) },
        }
    }

    /// Releases the isolate's own count, and adds its local number to `refs`.
    ///
    /// # Safety
    /// Called once: at the end of the teardown, or instead of ever running the isolate.
    pub(crate) unsafe fn release_self(this: NonNull<Self>) {
        // SAFETY: the isolate's own count keeps it alive.
        let local = unsafe { this.as_ref() }.local.refs.replace(0);
        // SAFETY: these counts are the isolate's own.
        unsafe { Self::release_shared(this, ALIVE.wrapping_sub(local.cast_unsigned())) };
    }

    /// Subtracts `count` from `refs`, and frees the memory if none is left.
    ///
    /// # Safety
    /// As for [`release`](Self::release), for `count` counts.
    unsafe fn release_shared(this: NonNull<Self>, count: usize) {
        // SAFETY: alive while the caller's counts are held.
        let refs = unsafe { &this.as_ref().refs };
        // Release; pairs with the Acquire load below in the thread that releases the last count.
        if refs.fetch_sub(count, Ordering::Release) == count {
            // A load and not a fence, which ThreadSanitizer does not understand.
            let _last = refs.load(Ordering::Acquire);
            // SAFETY: created by `Box` in `create`, and no count is left.
            drop(unsafe { Box::from_raw(this.as_ptr()) });
        }
    }
}

impl fmt::Debug for IsolateCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Isolate")
            .field("id", &self.id)
            .field("name", &self.name())
            .finish()
    }
}

/// A counted pointer to an isolate's memory.
pub(crate) struct IsolateRef(NonNull<IsolateCore>);

// SAFETY: `IsolateCore` is `Sync` and `Send`, and this is a counted pointer to it.
unsafe impl Send for IsolateRef {}
// SAFETY: as above.
unsafe impl Sync for IsolateRef {}

impl IsolateRef {
    pub(crate) fn new(core: &IsolateCore) -> Self {
        core.retain();
        Self(core.this)
    }
}

impl IsolateRef {
    pub(crate) fn as_ptr(&self) -> NonNull<IsolateCore> {
        self.0
    }

    /// Gives up the pointer without releasing its count, for a record that carries the count.
    pub(crate) fn into_raw(self) -> NonNull<IsolateCore> {
        ManuallyDrop::new(self).0
    }
}

impl Clone for IsolateRef {
    fn clone(&self) -> Self {
        Self::new(self)
    }
}

impl Deref for IsolateRef {
    type Target = IsolateCore;

    #[inline]
    fn deref(&self) -> &IsolateCore {
        // SAFETY: alive while this count is held.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for IsolateRef {
    fn drop(&mut self) {
        // SAFETY: this releases the count of `self`, which is not used afterwards.
        unsafe { IsolateCore::release(self.0) };
    }
}

/// The right, and the duty, to run an isolate or to queue it. Each isolate whose `SCHEDULED`
/// bit is set has exactly one.
#[derive(Debug)]
pub(crate) struct Runnable(NonNull<IsolateCore>);

// SAFETY: `IsolateCore` is `Send`.
unsafe impl Send for Runnable {}

impl Runnable {
    pub(crate) fn into_raw(self) -> NonNull<IsolateCore> {
        self.0
    }

    /// # Safety
    /// `raw` came from [`into_raw`](Self::into_raw) and is used once.
    pub(crate) unsafe fn from_raw(raw: NonNull<IsolateCore>) -> Self {
        Self(raw)
    }

    /// Returns the isolate's memory.
    pub(crate) fn core(&self) -> &IsolateCore {
        // SAFETY: a scheduled isolate has not been torn down, so its own count is held.
        unsafe { self.0.as_ref() }
    }

    /// Runs `f` as this isolate, with the right to touch its local part.
    #[inline]
    pub(crate) fn enter<R>(&self, f: impl FnOnce(Current<'_>) -> R) -> R {
        // A scheduled isolate has not been torn down, so its own count is held; it stays scheduled
        // at least until `f` gives that up as its last act.
        let _reset = Reset(set_current(self.0.as_ptr()));
        f(Current(self.0, PhantomData))
    }
}

/// Restores the previous current isolate when dropped, also when the stack unwinds.
struct Reset(*const IsolateCore);

impl Drop for Reset {
    #[inline]
    fn drop(&mut self) {
        set_current(self.0);
    }
}

/// Proof that the isolate's turn runs on this thread. Only this gives access to the local part.
///
/// It is not `Send`, and handed out for the time of a closure, so it cannot outlive the turn. It
/// holds a raw pointer, because the isolate may free itself as the turn's last act.
#[derive(Clone, Copy)]
pub(crate) struct Current<'a>(NonNull<IsolateCore>, PhantomData<&'a IsolateCore>);

impl<'a> Current<'a> {
    /// Runs `f` with the current isolate, if there is one on this thread.
    #[inline]
    pub(crate) fn with<R>(f: impl FnOnce(Option<Current<'_>>) -> R) -> R {
        f(NonNull::new(current().cast_mut()).map(|core| Current(core, PhantomData)))
    }

    /// Runs `f` as code outside of isolates, on the isolate's thread.
    pub(crate) fn leave<R>(f: impl FnOnce() -> R) -> R {
        /// The isolate that was left before.
        struct Return(*const IsolateCore);
        impl Drop for Return {
            fn drop(&mut self) {
                LEFT.with(|left| left.set(self.0));
            }
        }
        let isolate = current();
        // Nothing to leave. An isolate that was left further up the stack stays in `LEFT`.
        if isolate.is_null() {
            return f();
        }
        let _return = Return(LEFT.with(|left| left.replace(isolate)));
        let _reset = Reset(set_current(ptr::null()));
        f()
    }

    /// Runs `f` inside `core`, if that is the isolate that this thread has left. Returns `None`
    /// otherwise.
    pub(crate) fn back_in<R>(
        core: *const IsolateCore,
        f: impl FnOnce(Current<'_>) -> R,
    ) -> Option<R> {
        let left = NonNull::new(LEFT.with(Cell::get).cast_mut())?;
        if !ptr::eq(left.as_ptr(), core) {
            return None;
        }
        let _reset = Reset(set_current(core));
        Some(f(Current(left, PhantomData)))
    }

    /// Runs `f` with the current isolate, or else with the one that this thread has left in the
    /// middle of a turn.
    pub(crate) fn or_left<R>(f: impl FnOnce(Option<Current<'_>>) -> R) -> R {
        let current = NonNull::new(current().cast_mut());
        let core = current.or_else(|| NonNull::new(LEFT.with(Cell::get).cast_mut()));
        f(core.map(|core| Current(core, PhantomData)))
    }

    /// Like [`or_left`](Self::or_left), but makes a left isolate the current one for the call. For
    /// control messages: they may run the isolate's code, and concern code that has left the
    /// isolate as well.
    #[inline]
    pub(crate) fn with_or_left<R>(f: impl FnOnce(Option<Current<'_>>) -> R) -> R {
        if !current().is_null() {
            return Self::with(f);
        }
        let left = LEFT.with(Cell::get);
        if left.is_null() {
            return f(None);
        }
        let _reset = Reset(set_current(left));
        Self::with(f)
    }

    #[inline]
    pub(crate) fn local(&self) -> &'a Local {
        &self.core().local
    }

    /// Calls `f` with the event loop's state, which is made on first use.
    ///
    /// `f` must not run user code: it only moves values in and out.
    #[inline]
    pub(crate) fn with_events<R>(&self, f: impl FnOnce(&mut EventLoop) -> R) -> R {
        #[cold]
        fn make() -> Box<EventLoop> {
            Box::default()
        }
        // Calls `f` in one place, so that it is inlined, and what it moves stays in registers.
        f(self.local().events.borrow_mut().get_or_insert_with(make))
    }

    #[inline]
    pub(crate) fn core(&self) -> &'a IsolateCore {
        // SAFETY: set by `enter` for the time of a closure, during which the isolate is alive.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    pub(crate) fn is(&self, other: *const IsolateCore) -> bool {
        ptr::eq(self.0.as_ptr(), other)
    }
}

impl Deref for Current<'_> {
    type Target = IsolateCore;

    #[inline]
    fn deref(&self) -> &IsolateCore {
        self.core()
    }
}
