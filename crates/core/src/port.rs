//! Ports: typed addresses of an isolate.
//!
//! A port is a [`PortSlot`], which lies in its isolate's memory (the first port) or in a box
//! (the others). Records of the port point to the slot, and the slot's vtable says what its
//! messages mean at the moment: wait in a buffer, call a closure, or be dropped. So a
//! listener that is replaced gets also what was already queued, as in the VM.
//!
//! # Who counts on a slot
//! `refs` holds one unit for the isolate that receives, two for the `ReceivePort` as long as
//! there is one, and four for each sender. The last count frees the slot. The isolate's unit
//! goes when the [`Close`] record is handled, behind everything that was sent before the port
//! closed: no record ever points to a slot that is gone.
//! The last sender does not simply take its units away: it hands them to a [`LastSender`]
//! record, so that the receiver learns of it behind the last message, and an idle isolate
//! looks once more whether it still waits for anything.
//!
//! # Which ports keep their isolate alive
//! Those that are open, that some sender could send to, and that are not weak. An isolate asks
//! whether it has any each time that it runs out of records, so it counts them
//! (`keeping_ports`) and looks at none. Only the isolate itself changes the answer: it makes the
//! first sender, it says whether a port is weak, and the last sender's end and the port's come
//! to it as records. Each of these calls [`recount`](PortSlot::recount).
//!
//! # Close against send
//! `open` changes under the lane's lock, under which a sender looks at it. So a send either
//! comes before the close, and its message is in the lane and dropped in its turn (rule 32),
//! or after it, and the sender gets its message back.

mod bound;
pub(crate) mod name_server;
pub(crate) mod native_port;
mod receive;
pub(crate) mod reply;
mod send;

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::ptr::NonNull;

use insula_sync::atomic::{AtomicUsize, Ordering};

use crate::event_loop::microtask::Microtask;
use crate::event_loop::task::Wakeup;
use crate::memory::lane::LaneGuard;
use crate::memory::record::{
    Head, RecordVtable, SystemRecord, VtableCell, is_inline, take_payload, words_of,
};
use crate::memory::waiters::Woken;
use crate::memory::{Current, IsolateCore};
use crate::panic::contain;
use crate::runtime::RuntimeCore;
use bound::Bound;

pub(crate) use bound::{check_limit, return_credits};
pub use receive::{Listener, ReceivePort, Recv};
pub use send::{SendError, SendPort, SendWait};

const RECEIVER: usize = 1;
const HANDLE: usize = 2;
const SENDER: usize = 4;

/// A port, as its isolate, its senders and its records see it.
#[repr(C)]
pub(crate) struct PortSlot {
    /// First, because records reach it through their header. Changed only by the isolate.
    vtable: VtableCell,
    isolate: Cell<*const IsolateCore>,
    refs: AtomicUsize,
    serial: Cell<u64>,
    /// What the vtable's functions work on; only the isolate touches it.
    receiver: Cell<*mut ()>,
    /// Set before the first sender exists; what it points to is guarded by the lane.
    bound: Cell<*const Bound>,
    /// Guarded by the lane.
    open: Cell<bool>,
    /// All senders are gone, and everything they sent has arrived. Only the isolate's.
    orphaned: Cell<bool>,
    /// It does not keep its isolate alive. Only the isolate's.
    is_weak: Cell<bool>,
    /// It is counted among the ports that keep its isolate alive. Only the isolate's.
    keeps: Cell<bool>,
    opened_at: Cell<&'static Location<'static>>,
}

/// What a port's vtable says beyond what the lane needs.
#[repr(C)]
struct PortVtable {
    /// First: a slot's vtable pointer points here.
    record: RecordVtable,
    mode: Mode,
    /// Drops the receiver, if that is not null.
    drop_receiver: unsafe fn(*mut ()),
    /// Whom to wake when the last sender is gone.
    orphan: unsafe fn(*mut ()) -> Wakeup,
    /// The vtable of the same port once it is closed.
    closed: fn() -> &'static PortVtable,
}

/// A receiver that waits for its end. A raw pointer until then: the receiver may be running
/// at this moment, and a box would claim it for itself.
struct Retired {
    receiver: NonNull<()>,
    drop_receiver: unsafe fn(*mut ()),
}

impl Drop for Retired {
    fn drop(&mut self) {
        // SAFETY: `retire` took the receiver out of its slot, and it does not run any more: a
        // microtask comes after the turn, and a teardown after all of them.
        unsafe { (self.drop_receiver)(self.receiver.as_ptr()) };
    }
}

/// What becomes of a port's messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// They wait until somebody asks.
    Buffered,
    /// They go to a closure.
    Called,
    /// They are dropped, until there is a closure again.
    Ignored,
    /// They are dropped for good.
    Closed,
}

/// Moves a message out of a record, out of its box too if it has one.
///
/// # Safety
/// `payload` was written by [`SendPort::send`] of a port of `T` and is read once.
#[inline(always)]
unsafe fn take_message<T>(payload: *const u64) -> T {
    if is_inline::<T>() {
        // SAFETY: by the caller's word.
        unsafe { take_payload::<T>(payload) }
    } else {
        // SAFETY: as above; what does not lie in a record was boxed.
        *unsafe { take_payload::<Box<T>>(payload) }
    }
}

/// A port's messages are dropped: the vtable of a closed port, or of one not yet opened.
struct Drops<T>(std::marker::PhantomData<T>);

const fn message_words<T>() -> u32 {
    if is_inline::<T>() {
        words_of::<T>()
    } else {
        words_of::<Box<T>>()
    }
}

impl<T: 'static> Drops<T> {
    const RECORD: RecordVtable = RecordVtable {
        deliver: |head, payload, isolate| {
            // SAFETY: the record is this port's, and delivered once.
            let message = unsafe { take_message::<T>(payload) };
            // SAFETY: the slot of a record is alive.
            unsafe { head.slot::<PortSlot>() }.message_taken(isolate);
            drop(message);
        },
        discard: discard_message::<T>,
        settle: None,
    };
    const CLOSED: &'static PortVtable = &Self::with_mode(Mode::Closed);
    const IGNORED: &'static PortVtable = &Self::with_mode(Mode::Ignored);

    const fn with_mode(mode: Mode) -> PortVtable {
        PortVtable {
            record: Self::RECORD,
            mode,
            drop_receiver: |_| {},
            orphan: |_| Wakeup::Nobody,
            closed: || Self::CLOSED,
        }
    }
}

unsafe fn discard_message<T>(_: Head, payload: *const u64, _: Current<'_>) {
    // SAFETY: the caller discards the record once.
    drop(unsafe { take_message::<T>(payload) });
}

/// What a slot's vtable is set to: the whole vtable, by its first field.
fn record_of(vtable: &'static PortVtable) -> *const RecordVtable {
    std::ptr::from_ref(vtable).cast()
}

impl PortSlot {
    pub(crate) fn unopened() -> Self {
        Self {
            vtable: VtableCell(Cell::new(record_of(Drops::<()>::CLOSED))),
            isolate: Cell::new(std::ptr::null()),
            refs: AtomicUsize::new(0),
            serial: Cell::new(0),
            receiver: Cell::new(std::ptr::null_mut()),
            bound: Cell::new(std::ptr::null()),
            open: Cell::new(false),
            orphaned: Cell::new(true),
            is_weak: Cell::new(false),
            keeps: Cell::new(false),
            opened_at: Cell::new(Location::caller()),
        }
    }

    /// Opens a port in `isolate`, which nobody else runs.
    fn open(
        isolate: Current<'_>,
        vtable: &'static PortVtable,
        limit: Option<usize>,
        place: &'static Location<'static>,
    ) -> NonNull<Self> {
        // In a teardown it is closed from the start: nothing would be received, and nobody would
        // close it.
        let opens = !isolate.is_dying();
        let slot = if isolate.local().flags.port0_used.replace(true) {
            NonNull::from(Box::leak(Box::new(Self::unopened())))
        } else {
            NonNull::from(&isolate.core().port0)
        };
        let serial = RuntimeCore::next_port_serial();
        if opens && slot != NonNull::from(&isolate.core().port0) {
            isolate.with_events(|events| events.ports.insert(serial, slot));
        }
        // SAFETY: just made, or this isolate's own.
        let port = unsafe { slot.as_ref() };
        // The slot's count on the isolate, given back in `free`.
        isolate.retain();
        port.isolate.set(isolate.this().as_ptr());
        port.serial.set(serial);
        let vtable = if opens { vtable } else { (vtable.closed)() };
        port.vtable.0.set(record_of(vtable));
        port.bound.set(limit.map_or(std::ptr::null(), |limit| {
            Box::into_raw(Box::new(Bound::new(limit))).cast_const()
        }));
        port.opened_at.set(place);
        port.open.set(opens);
        let receiver = if opens { RECEIVER } else { 0 };
        port.refs.store(receiver | HANDLE, Ordering::Relaxed);
        slot
    }

    /// An open port of the current isolate.
    fn find(isolate: Current<'_>, serial: u64) -> Option<NonNull<Self>> {
        let first = &isolate.core().port0;
        let slot = if first.serial.get() == serial {
            NonNull::from(first)
        } else {
            isolate.with_events(|events| events.ports.get(&serial).copied())?
        };
        // SAFETY: the slots in the table are alive; the first one lies in the isolate itself.
        let open = unsafe { slot.as_ref() }.open.get();
        open.then_some(slot)
    }

    #[inline(always)]
    fn isolate(&self) -> &IsolateCore {
        // SAFETY: an open port counts on its isolate until the slot is freed.
        unsafe { &*self.isolate.get() }
    }

    /// Whether a message is accepted. A dying isolate refuses all of them before it comes to
    /// close its ports.
    #[inline(always)]
    fn is_open(&self, lane: &LaneGuard<'_>) -> bool {
        self.open.get() && !lane.is_dead()
    }

    /// The bound, if there is one.
    #[inline(always)]
    fn bound(&self) -> Option<&Bound> {
        // SAFETY: set at opening, freed with the slot.
        unsafe { self.bound.get().as_ref() }
    }

    fn vtable(&self) -> &'static PortVtable {
        // SAFETY: set by `record_of` alone.
        unsafe { &*self.vtable.0.get().cast::<PortVtable>() }
    }

    /// Whether somebody could still send to it, so that it keeps its isolate alive.
    #[inline(always)]
    pub(crate) fn may_receive(&self) -> bool {
        // Acquire pairs with the Release of a dropped sender. A closed port's senders do not
        // count: they go without a word.
        let refs = self.refs.load(Ordering::Acquire);
        refs & RECEIVER != 0 && refs >= SENDER && !self.is_weak.get()
    }

    /// Counts the port in or out, after anything that changes whether it keeps its isolate
    /// alive.
    fn recount(&self, isolate: Current<'_>) {
        let keeps = self.may_receive();
        if self.keeps.replace(keeps) != keeps {
            let ports = &isolate.local().keeping_ports;
            let count = ports.get();
            ports.set(if keeps { count + 1 } else { count - 1 });
        }
    }

    /// Says whether the port is to keep its isolate alive.
    fn set_weak(&self, isolate: Current<'_>, is_weak: bool) {
        self.is_weak.set(is_weak);
        self.recount(isolate);
    }

    /// Counts a sender in that the isolate itself makes.
    fn make_sender(&self, isolate: Current<'_>) {
        self.add_sender();
        self.orphaned.set(false);
        self.recount(isolate);
    }

    pub(crate) fn id(&self) -> PortId {
        PortId(self.serial.get())
    }

    pub(crate) fn opened_at(&self) -> &'static Location<'static> {
        self.opened_at.get()
    }

    pub(crate) fn senders(&self) -> usize {
        self.refs.load(Ordering::Relaxed) / SENDER
    }

    pub(crate) fn has_receiver(&self) -> bool {
        self.refs.load(Ordering::Acquire) & RECEIVER != 0
    }

    fn add_sender(&self) {
        let before = self.refs.fetch_add(SENDER, Ordering::Relaxed);
        assert!(before < usize::MAX / 2, "too many senders of one port");
    }

    /// Takes one sender's units away, as [the module](self) says.
    ///
    /// # Safety
    /// The caller owns these units and does not touch the slot afterwards.
    unsafe fn drop_sender(this: NonNull<Self>) {
        // SAFETY: alive while the caller's units stand.
        let slot = unsafe { this.as_ref() };
        let mut refs = slot.refs.load(Ordering::Relaxed);
        loop {
            if refs / SENDER == 1 && refs & RECEIVER != 0 {
                // The last one: the record takes the units over.
                let isolate = slot.isolate().this();
                // SAFETY: alive by these units.
                match unsafe { IsolateCore::post_to(isolate, LastSender(this)) } {
                    Ok(()) => return,
                    // A dead isolate: its teardown takes the receiver's unit away.
                    Err(_) => break,
                }
            }
            // Release: what was done through this sender comes before the slot is freed.
            match slot.refs.compare_exchange_weak(
                refs,
                refs - SENDER,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(SENDER) => return free(this),
                Ok(_) => return,
                Err(now) => refs = now,
            }
        }
        // SAFETY: the units are still the caller's.
        unsafe { Self::release(this, SENDER) };
    }

    /// Takes units away; the last ones free the slot.
    ///
    /// # Safety
    /// The caller owns these units and does not touch the slot afterwards.
    unsafe fn release(this: NonNull<Self>, units: usize) -> usize {
        // SAFETY: alive while the caller's units stand.
        let left = unsafe { this.as_ref() }
            .refs
            .fetch_sub(units, Ordering::AcqRel)
            - units;
        if left == 0 {
            free(this);
        }
        left
    }

    /// Closes the port from its isolate's own code, or from its teardown: nothing more is
    /// accepted, what is queued is dropped in its turn. Senders that wait get an error.
    fn close(this: NonNull<Self>, isolate: Current<'_>) {
        // SAFETY: whoever closes has the handle's unit, or found the port in the isolate's list.
        let slot = unsafe { this.as_ref() };
        slot.stop_receiving(isolate);
        let waiters = {
            let mut lane = isolate.lane.lock();
            let waiters = slot.shut(&mut lane);
            if waiters.is_some() && !lane.is_dead() {
                // SAFETY: not dead; the head is that of a `Close`. The isolate runs, so it is
                // scheduled already.
                unsafe { lane.push(crate::memory::record::system_head::<Close>(), Close(this)) };
            }
            waiters
        };
        waiters.unwrap_or_default().wake();
    }

    /// Closes the port from outside its isolate, where a receiver was dropped.
    fn close_elsewhere(this: NonNull<Self>) {
        // SAFETY: whoever closes has the handle's unit.
        let slot = unsafe { this.as_ref() };
        let core = slot.isolate();
        let mut lane = core.lane.lock();
        if lane.is_dead() {
            return;
        }
        let waiters = slot.shut(&mut lane);
        let mut schedule = false;
        if waiters.is_some() {
            // SAFETY: not dead; the head is that of a `Close`.
            unsafe { lane.push(crate::memory::record::system_head::<Close>(), Close(this)) };
            schedule = lane.mark_scheduled();
        }
        drop(lane);
        if schedule {
            IsolateCore::schedule(core.this());
        }
        waiters.unwrap_or_default().wake();
    }

    /// From open to closed. `None` if it was closed before; otherwise who waits for room.
    fn shut(&self, lane: &mut LaneGuard<'_>) -> Option<Woken> {
        self.open.replace(false).then(|| {
            let bound = self.bound();
            bound.map_or_else(Woken::default, |bound| bound.take_waiters(lane))
        })
    }

    /// From here on messages are dropped in their turn.
    fn stop_receiving(&self, isolate: Current<'_>) {
        if self.vtable().mode != Mode::Closed {
            let closed = (self.vtable().closed)();
            self.swap_receiver(isolate, closed, std::ptr::null_mut());
        }
    }

    /// All senders are gone: whoever waits for a message learns that none will come.
    fn orphan(&self, isolate: Current<'_>) {
        self.orphaned.set(true);
        // SAFETY: the receiver goes with the vtable.
        unsafe { (self.vtable().orphan)(self.receiver.get()) }.wake(isolate);
    }

    /// Gives the port another receiver. The old one may be running at this moment, so it is
    /// dropped as a microtask.
    fn swap_receiver(&self, isolate: Current<'_>, vtable: &'static PortVtable, receiver: *mut ()) {
        if let Some(old) = self.retire(vtable, receiver) {
            isolate.push_microtask(Microtask::Call(Box::new(move || drop(old))));
        }
    }

    /// Changes the receiver, and returns the old one if there was one.
    fn retire(&self, vtable: &'static PortVtable, receiver: *mut ()) -> Option<Retired> {
        let drop_receiver = self.vtable().drop_receiver;
        self.vtable.0.set(record_of(vtable));
        let receiver = NonNull::new(self.receiver.replace(receiver))?;
        Some(Retired {
            receiver,
            drop_receiver,
        })
    }

    /// Ends a port whose isolate ends.
    ///
    /// # Safety
    /// Called once, from the isolate's teardown, for a port that still has its receiver.
    pub(crate) unsafe fn tear_down(this: NonNull<Self>) {
        // SAFETY: the receiver's unit stands until the end of this function.
        let slot = unsafe { this.as_ref() };
        let waiters = slot.shut(&mut slot.isolate().lane.lock());
        let old = slot.retire((slot.vtable().closed)(), std::ptr::null_mut());
        waiters.unwrap_or_default().wake();
        contain(|| drop(old));
        // SAFETY: the receiver's unit, once.
        unsafe { Self::release(this, RECEIVER) };
    }
}

/// Frees a slot that nobody counts on.
fn free(this: NonNull<PortSlot>) {
    // SAFETY: the last count is gone, so this is the only pointer to the slot.
    let slot = unsafe { this.as_ref() };
    let core = slot.isolate().this();
    let bound = slot.bound.replace(std::ptr::null());
    if !bound.is_null() {
        // SAFETY: boxed in `open`, and this is the end of it.
        drop(unsafe { Box::from_raw(bound.cast_mut()) });
    }
    // SAFETY: alive by the slot's count.
    let first = NonNull::from(unsafe { &core.as_ref().port0 });
    if this != first {
        // SAFETY: every slot but the first was boxed in `open`.
        drop(unsafe { Box::from_raw(this.as_ptr()) });
    }
    // SAFETY: the slot's count, given back once.
    unsafe { IsolateCore::release(core) };
}

/// Behind everything that was sent before the port closed: the receiver lets go.
struct Close(NonNull<PortSlot>);

// SAFETY: a slot may be released from any thread.
unsafe impl Send for Close {}

impl SystemRecord for Close {
    fn run(self, isolate: Current<'_>) {
        // SAFETY: the receiver's unit is in this record.
        unsafe { self.0.as_ref() }.stop_receiving(isolate);
        // SAFETY: as above.
        let serial = unsafe { self.0.as_ref() }.serial.get();
        let name = isolate.with_events(|events| {
            events.ports.remove(&serial);
            events.port_names.remove(&serial)
        });
        drop(name);
        // SAFETY: as above.
        let slot = unsafe { self.0.as_ref() };
        if let Some(bound) = slot.bound() {
            bound.close(isolate);
        }
        if slot.keeps.replace(false) {
            let ports = &isolate.local().keeping_ports;
            ports.set(ports.get() - 1);
        }
        // SAFETY: as above, given back once.
        unsafe { PortSlot::release(self.0, RECEIVER) };
    }
    // Discarded in teardown, which itself takes every receiver's unit away.
}

/// Behind the last message of the last sender.
struct LastSender(NonNull<PortSlot>);

// SAFETY: as for `Close`.
unsafe impl Send for LastSender {}

impl SystemRecord for LastSender {
    fn run(self, isolate: Current<'_>) {
        // SAFETY: the sender's units are in this record, given back once.
        let left = unsafe { PortSlot::release(self.0, SENDER) };
        if left < SENDER && left & RECEIVER != 0 {
            // SAFETY: the receiver's unit stands, and only this isolate takes it away.
            let slot = unsafe { self.0.as_ref() };
            slot.recount(isolate);
            slot.orphan(isolate);
        }
    }

    fn discard(self, _: Current<'_>) {
        // SAFETY: as above.
        unsafe { PortSlot::release(self.0, SENDER) };
    }
}

/// Identifies a port in this process. Never reused, and only a port makes one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortId(pub(crate) u64);

impl fmt::Debug for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port-{}", self.0)
    }
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
