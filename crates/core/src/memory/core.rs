//! The memory of one isolate, and who may touch which part of it.
//!
//! | part | who |
//! |---|---|
//! | `lane`, `refs`, `port0.refs` | any thread, atomically |
//! | `details`, a port's `open` and its bound | who holds the lane |
//! | `local`, a port's receiver | the thread that runs the isolate, which is proved by a [`Current`] |
//! | the rest | any thread, never changed after creation |
//!
//! The memory lives as long as somebody counts on it: the isolate itself from spawn to the end
//! of its teardown, each port with a sender or a receiver, each handle, waker and unanswered
//! call. A run queue holds no count: a scheduled isolate has not been torn down.
//!
//! Counting is biased, since an atomic addition costs as much as the rest of a short message:
//! what the isolate itself counts and uncounts goes to a plain number in `local`, everybody
//! else's to `refs`. Either may run below what is really held, but their sum may not; `refs`
//! begins with [`ALIVE`], more than can ever be counted, and the end of the teardown takes
//! that away and adds the local number. Only from then on can the sum reach zero.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::blocking::Seat;
use crate::event_loop::EventLoop;
use crate::event_loop::task::{AwaitedTasks, Polling};
use crate::isolate::{
    Capabilities, ExitCalls, ExitListener, ExitReason, Home, IsolateGroup, Listeners, Oob,
    UncaughtError,
};
use crate::memory::lane::{Burst, Lane, LaneGuard};
use crate::memory::record::{SystemRecord, system_head};
use crate::memory::slab::Key;
use crate::memory::waiters::Waiters;
use crate::port::reply::DetachedReplies;
use crate::port::{PortSlot, SendPort};
use crate::runtime::RuntimeCore;

insula_sync::thread_cell! {
    /// The isolate whose turn runs on this thread.
    static CURRENT: *const IsolateCore = ptr::null();
}

insula_sync::thread_cell! {
    /// The isolate whose turn this thread has [left](Current::leave), if it has left one: its
    /// code outside of isolates runs here, a future under `block_on` or a group-bound callback.
    /// Null, or in the middle of a turn further down the stack, and so alive.
    static LEFT: *const IsolateCore = ptr::null();
}

#[inline(always)]
fn current() -> *const IsolateCore {
    CURRENT.with(Cell::get)
}

/// Returns the one before.
#[inline(always)]
fn set_current(core: *const IsolateCore) -> *const IsolateCore {
    CURRENT.with(|current| current.replace(core))
}

/// What a living isolate counts on its own memory.
const ALIVE: usize = 1 << (usize::BITS - 2);

/// One isolate.
pub(crate) struct IsolateCore {
    pub(crate) lane: Lane,
    /// Itself, as it was allocated: pointers that are kept, or free the memory, are copies of
    /// this one, since a pointer made from a reference may do neither.
    this: NonNull<Self>,
    refs: AtomicUsize,
    pub(crate) id: u64,
    pub(crate) runtime: Arc<RuntimeCore>,
    /// Where a pinned or a root isolate runs; a pooled one has no home.
    home: Option<Arc<Home>>,
    /// Place in the runtime's register, which guards it.
    pub(crate) register_index: Cell<u32>,
    details: Cell<Option<Box<Details>>>,
    pub(crate) awaited_tasks: AwaitedTasks,
    local: Local,
    pub(crate) port0: PortSlot,
}

// SAFETY: the table above says for each part what keeps two threads apart.
unsafe impl Sync for IsolateCore {}
// SAFETY: nothing in it is tied to a thread, but for the state of a pinned isolate, which only
// that isolate's thread touches or drops (see `pinned`).
unsafe impl Send for IsolateCore {}

/// What few isolates have and nobody needs in a hurry. Guarded by the lane.
#[derive(Default)]
pub(crate) struct Details {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) oob: Vec<Oob>,
    pub(crate) capabilities: Option<Capabilities>,
    pub(crate) group: Option<IsolateGroup>,
    /// An uncaught error does not end the isolate.
    pub(crate) errors_survived: bool,
    pub(crate) error_listeners: Listeners<SendPort<UncaughtError>>,
    pub(crate) exit: Option<ExitReason>,
    pub(crate) exit_listeners: Listeners<ExitListener>,
    /// The runtime's own, behind all others: they give up what belongs to the isolate.
    pub(crate) exit_calls: ExitCalls,
    pub(crate) exit_waiters: Waiters,
    /// Questions whose answers do not come by the lane any more (see `port/reply/pending.rs`). While
    /// there are any the lane says `DETACHED`.
    pub(crate) detached: DetachedReplies,
    /// Where its code sits while it waits for a mailbox or the like.
    pub(crate) seat: Option<Arc<Seat>>,
}

/// What only the running thread touches.
pub(crate) struct Local {
    pub(crate) burst: Burst,
    /// Counts that the isolate itself took, less those that it gave back.
    refs: Cell<isize>,
    pub(crate) events: RefCell<Option<Box<EventLoop>>>,
    pub(crate) polling: Cell<Option<Polling>>,
    /// A poll that goes before the microtask queue.
    pub(crate) front: Cell<Option<Key>>,
    /// How many ports keep the isolate alive: those that say so themselves, see `port`.
    pub(crate) keeping_ports: Cell<u32>,
    pub(crate) flags: Flags,
}

/// Set by the isolate's own code, read by its loop.
#[derive(Default)]
pub(crate) struct Flags {
    /// The microtask queue is not empty.
    pub(crate) microtasks: Cell<bool>,
    /// The isolate wants to go to the back of the run queue after this turn.
    pub(crate) yielded: Cell<bool>,
    /// A bounded port has places to give back.
    pub(crate) credits: Cell<bool>,
    /// `port0` has been opened once.
    pub(crate) port0_used: Cell<bool>,
    /// Teardown has begun: what is started now would never run.
    pub(crate) dying: Cell<bool>,
    /// Before the next event there is something else: a pause, a delayed control action, or
    /// the end.
    pub(crate) attention: Cell<bool>,
    /// Nothing more is to run.
    pub(crate) ending: Cell<bool>,
    /// The microtasks that an error left behind wait for the next event, as in the VM.
    pub(crate) microtasks_held: Cell<bool>,
    /// It belongs to a group, which its children join.
    pub(crate) in_group: Cell<bool>,
    /// A root isolate: it does not end by itself.
    pub(crate) is_root: Cell<bool>,
    /// It pauses before it ends.
    pub(crate) pauses_on_exit: Cell<bool>,
}

impl IsolateCore {
    /// A new, idle isolate, which counts on itself.
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
                flags: Flags::default(),
            },
            port0: PortSlot::unopened(),
        });
        let this = NonNull::from(Box::leak(core));
        // SAFETY: just allocated, and nobody else knows of it.
        unsafe { (*this.as_ptr()).this = this };
        this
    }

    /// A pointer that may be kept for as long as somebody counts on the isolate.
    #[inline(always)]
    pub(crate) fn this(&self) -> NonNull<Self> {
        self.this
    }

    /// The rarely used part.
    pub(crate) fn with_details<R>(
        &self,
        _held: &mut LaneGuard<'_>,
        f: impl FnOnce(&mut Details) -> R,
    ) -> R {
        let mut details = self.details.take().unwrap_or_default();
        let result = f(&mut details);
        self.details.set(Some(details));
        result
    }

    /// As [`with_details`](Self::with_details), if there are any.
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

    pub(crate) fn name(&self) -> Arc<str> {
        let name = self.peek_details(&mut self.lane.lock(), |details| details.name.clone());
        name.flatten()
            .unwrap_or_else(|| Arc::from(format!("isolate-{}", self.id)))
    }

    /// The turn that it is inside of, if its home is another place than the pool.
    pub(crate) fn turn_at_home(&self) -> Option<u32> {
        self.home.as_ref()?.meter.turn()
    }

    /// For whoever schedules it and has no reference that outlasts that.
    pub(crate) fn home(&self) -> Option<Arc<Home>> {
        self.home.clone()
    }

    /// Whether only one thread may run it.
    pub(crate) fn has_home(&self) -> bool {
        self.home.is_some()
    }

    /// Whether it is a root isolate whose host is the calling thread.
    pub(crate) fn is_root_here(&self) -> bool {
        self.home.as_ref().is_some_and(|home| home.is_hosted_here())
    }

    /// Puts the isolate where a thread will find it. Only for whoever turned `SCHEDULED` on,
    /// who has the isolate to himself until then; afterwards it may end, and its memory go,
    /// unless the caller counts on it.
    #[inline]
    pub(crate) fn schedule(this: NonNull<Self>) {
        // SAFETY: alive, as just said.
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

    /// Once it is queued, a pooled isolate may run to its end on another thread, and its runtime be
    /// shut down and freed, while this thread still wakes one of the runtime's. Those threads
    /// themselves keep the runtime; any other has to.
    fn schedule_elsewhere(runnable: Runnable) {
        let runtime = runnable.core().runtime.clone();
        runtime.scheduler().schedule_elsewhere(runnable);
    }

    /// Appends one of the runtime's own records; gives it back if the isolate is dead.
    pub(crate) fn post<P: SystemRecord + Send>(&self, record: P) -> Result<(), P> {
        // SAFETY: a reference is alive for the call.
        unsafe { Self::post_to(self.this, record) }
    }

    /// As [`post`](Self::post), for a record that takes over what keeps the isolate's memory.
    ///
    /// # Safety
    /// The isolate is alive until it gets the record.
    pub(crate) unsafe fn post_to<P: SystemRecord + Send>(
        this: NonNull<Self>,
        record: P,
    ) -> Result<(), P> {
        // SAFETY: by the caller's word, as long as the lane is held.
        let mut lane = unsafe { this.as_ref() }.lane.lock();
        if lane.is_dead() {
            drop(lane);
            return Err(record);
        }
        // SAFETY: not dead, and `system_head` is the head of a `P`.
        unsafe { lane.push(system_head::<P>(), record) };
        let schedule = lane.mark_scheduled();
        // SAFETY: alive as long as the lane is held.
        let home = unsafe { this.as_ref() }.home.as_ref();
        // A thread of its own looks for the mark without being woken, and may run the isolate to its
        // end before this thread goes on; the home has to outlast that.
        let home = if schedule { home.cloned() } else { None };
        drop(lane);
        match home {
            Some(home) => home.wake(),
            None if schedule => Self::schedule(this),
            None => {}
        }
        Ok(())
    }

    /// Posts to the out-of-band lane. A dead isolate ignores it.
    pub(crate) fn post_oob(&self, message: Oob) {
        let mut lane = self.lane.lock();
        if lane.is_dead() {
            return;
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
        if let Some(seat) = seat {
            seat.unpark();
        }
    }

    /// The local number of counts, if the isolate runs on this thread.
    #[inline(always)]
    fn local_refs(&self) -> Option<&Cell<isize>> {
        ptr::eq(current(), self).then_some(&self.local.refs)
    }

    #[inline]
    pub(crate) fn retain(&self) {
        match self.local_refs() {
            Some(refs) => refs.set(refs.get() + 1),
            // Relaxed: whoever retains already has a count, so the memory cannot go meanwhile.
            None => drop(self.refs.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Gives one count back; the last one frees the memory.
    ///
    /// # Safety
    /// The caller owns a count and does not touch the isolate through it afterwards.
    #[inline]
    pub(crate) unsafe fn release(this: NonNull<Self>) {
        // SAFETY: alive while the caller's count stands.
        match unsafe { this.as_ref() }.local_refs() {
            Some(refs) => refs.set(refs.get() - 1),
            // SAFETY: by the caller's word.
            None => unsafe { Self::release_shared(this, 1) },
        }
    }

    /// The isolate no longer counts on itself, and settles its local number.
    ///
    /// # Safety
    /// Called once: at the end of the teardown, or in place of ever running the isolate.
    pub(crate) unsafe fn release_self(this: NonNull<Self>) {
        // SAFETY: alive by its own count.
        let local = unsafe { this.as_ref() }.local.refs.replace(0);
        // SAFETY: these counts are the isolate's own.
        unsafe { Self::release_shared(this, ALIVE.wrapping_sub(local.cast_unsigned())) };
    }

    /// # Safety
    /// As for [`release`](Self::release), for `count` counts.
    unsafe fn release_shared(this: NonNull<Self>, count: usize) {
        // SAFETY: alive while the caller's counts stand.
        let refs = unsafe { &this.as_ref().refs };
        // Release pairs with the Acquire load of whoever takes the last count away.
        if refs.fetch_sub(count, Ordering::Release) == count {
            // A load and not a fence, which ThreadSanitizer does not understand.
            let _last = refs.load(Ordering::Acquire);
            // SAFETY: created by `Box` in `create`; nobody counts on it any more.
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

    /// Lets go of the pointer and keeps the count, for a record that carries it on.
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

    #[inline(always)]
    fn deref(&self) -> &IsolateCore {
        // SAFETY: alive while this count stands.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for IsolateRef {
    fn drop(&mut self) {
        // SAFETY: this is our count, and we are gone after it.
        unsafe { IsolateCore::release(self.0) };
    }
}

/// The right, and the duty, to run an isolate or to queue it: there is one for each isolate
/// whose `SCHEDULED` bit is on.
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

    /// A scheduled isolate has not been torn down, so its own count stands.
    pub(crate) fn core(&self) -> &IsolateCore {
        // SAFETY: as just said.
        unsafe { self.0.as_ref() }
    }

    /// Runs `f` as this isolate, with the right to touch its local part.
    #[inline]
    pub(crate) fn enter<R>(&self, f: impl FnOnce(Current<'_>) -> R) -> R {
        // A scheduled isolate has not been torn down, so its own count stands; it stays
        // scheduled at least until `f` gives that up as its last act.
        let _reset = Reset(set_current(self.0.as_ptr()));
        f(Current(self.0, PhantomData))
    }
}

/// Makes an isolate the current one again, also when the stack unwinds.
struct Reset(*const IsolateCore);

impl Drop for Reset {
    #[inline(always)]
    fn drop(&mut self) {
        set_current(self.0);
    }
}

/// Proof that the isolate's turn runs on this thread: only this opens the local part.
///
/// Not `Send`, and handed out for the time of a closure, so that it cannot outlive the turn. A
/// raw pointer, because the isolate may free itself as the turn's last act.
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
        if isolate.is_null() {
            return f();
        }
        let _return = Return(LEFT.with(|left| left.replace(isolate)));
        let _reset = Reset(set_current(ptr::null()));
        f()
    }

    /// Runs `f` inside of an isolate that this thread has left. `None` if it has left another one,
    /// or none.
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

    /// As [`or_left`](Self::or_left), and inside of that isolate: a control message for it, which
    /// may run its code, concerns code that has left it as well.
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

    #[inline(always)]
    pub(crate) fn local(&self) -> &'a Local {
        &self.core().local
    }

    /// Opens the event loop's state, which is made on first use.
    ///
    /// `f` never runs user code: it moves values in and out.
    #[inline(always)]
    pub(crate) fn with_events<R>(&self, f: impl FnOnce(&mut EventLoop) -> R) -> R {
        #[cold]
        fn make() -> Box<EventLoop> {
            Box::default()
        }
        // Calls `f` in one place, so that it is inlined, and what it moves stays in registers.
        f(self.local().events.borrow_mut().get_or_insert_with(make))
    }

    #[inline(always)]
    pub(crate) fn core(&self) -> &'a IsolateCore {
        // SAFETY: set by `enter` for the time of a closure, during which the isolate lives.
        unsafe { self.0.as_ref() }
    }

    #[inline(always)]
    pub(crate) fn is(&self, other: *const IsolateCore) -> bool {
        ptr::eq(self.0.as_ptr(), other)
    }
}

impl Deref for Current<'_> {
    type Target = IsolateCore;

    #[inline(always)]
    fn deref(&self) -> &IsolateCore {
        self.core()
    }
}
