//! Ports: typed addresses of an isolate.
//!
//! A port is a [`PortSlot`], stored in its isolate's memory (the first port) or in a box (the
//! others). Records of the port point to the slot, and the slot's vtable decides what happens to
//! its messages: they are buffered, passed to a closure, or dropped. The vtable is read when a
//! record is handled, so a new listener also gets the messages already queued, as in the VM.
//!
//! # Reference counts
//! `refs` holds one unit for the receiving isolate, two for the `ReceivePort` while it exists,
//! and four for each sender. Releasing the last unit frees the slot. The isolate's unit is
//! released when the [`Close`] record is handled, after everything that was sent before the port
//! closed, or in the teardown after all records. So no record ever points to a freed slot.
//! The last sender does not release its units itself. It passes them to a [`LastSender`] record,
//! so that the receiver learns of it after the last message, and an idle isolate checks again
//! whether anything could still wake it.
//!
//! # Ports that keep their isolate alive
//! A port keeps its isolate alive while it is open, has a sender, and is not weak. An isolate
//! checks for such ports each time it runs out of records, so it keeps a count of them
//! (`keeping_ports`) instead of visiting them. Only the isolate itself changes the count: it
//! makes the first sender, it sets whether a port is weak, and the end of the last sender and
//! the close of the port reach it as records. All but the close call
//! [`recount`](PortSlot::recount).
//!
//! # Close against send
//! `open` is written and read under the lane's lock. So a send either precedes the close, and its
//! message is in the lane and dropped in its turn (rule 32 of `docs/conformance.md`), or follows
//! it, and the sender gets its message back.

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
use crate::inspect::PortMode;
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

/// The part of a port that its isolate, its senders and its records share.
#[repr(C)]
pub(crate) struct PortSlot {
    /// The first field, because records reach it through their header. Changed only by the
    /// isolate.
    vtable: VtableCell,
    isolate: Cell<*const IsolateCore>,
    refs: AtomicUsize,
    serial: Cell<u64>,
    /// The argument of the vtable's functions; accessed only by the isolate.
    receiver: Cell<*mut ()>,
    /// Set before the first sender exists. The waiters and the count in it are guarded by the
    /// lane's lock.
    bound: Cell<*const Bound>,
    /// Guarded by the lane's lock.
    open: Cell<bool>,
    /// `true` if all senders are gone and everything they sent has arrived. Accessed only by the
    /// isolate.
    orphaned: Cell<bool>,
    /// `true` if the port does not keep its isolate alive. Accessed only by the isolate.
    is_weak: Cell<bool>,
    /// `true` if the port is counted in `keeping_ports`. Accessed only by the isolate.
    keeps: Cell<bool>,
    opened_at: Cell<&'static Location<'static>>,
}

/// The functions of a port: those for its records, and those for the port itself.
#[repr(C)]
struct PortVtable {
    /// The first field: a slot's vtable pointer points here.
    record: RecordVtable,
    mode: Mode,
    /// Returns the number of messages in a receiver, which is not null.
    buffered: unsafe fn(*mut ()) -> usize,
    /// Drops the receiver, which is not null.
    drop_receiver: unsafe fn(*mut ()),
    /// Returns the waiter to wake when the last sender is gone.
    orphan: unsafe fn(*mut ()) -> Wakeup,
    /// Returns the vtable of the same port once it is closed. A function, because the vtable of
    /// a closed port would otherwise contain itself.
    closed: fn() -> &'static PortVtable,
}

/// A receiver that is to be dropped. A raw pointer, because the receiver may still be running,
/// and a box would assert unique access to it.
struct Retired {
    receiver: NonNull<()>,
    drop_receiver: unsafe fn(*mut ()),
}

impl Drop for Retired {
    fn drop(&mut self) {
        // SAFETY: `retire` took the receiver out of its slot, so this is the only pointer to it.
        // It is not running: the event or microtask that ran it is over when a later microtask
        // or the teardown drops this.
        unsafe { (self.drop_receiver)(self.receiver.as_ptr()) };
    }
}

/// The treatment of a port's messages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Messages are buffered until they are asked for.
    Buffered,
    /// Messages are passed to a closure.
    Called,
    /// Messages are dropped until a closure is set again.
    Ignored,
    /// Messages are dropped, and the port never changes again.
    Closed,
}

/// Moves a message out of a record, and out of its box if it has one.
///
/// # Safety
/// `payload` was written by [`SendPort::send`] of a port of `T` and is read once.
#[inline]
unsafe fn take_message<T>(payload: *const u64) -> T {
    if is_inline::<T>() {
        // SAFETY: guaranteed by the caller.
        unsafe { take_payload::<T>(payload) }
    } else {
        // SAFETY: as above; a message that does not fit into a record was boxed.
        *unsafe { take_payload::<Box<T>>(payload) }
    }
}

/// The vtables of a port that drops its messages: one that is closed, not yet opened, or without
/// a listener at the moment.
struct Drops<T>(std::marker::PhantomData<T>);

/// Returns the number of payload words that a message of type `T` takes in a record.
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
            buffered: |_| 0,
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

/// Returns the pointer that a slot stores for `vtable`: to its first field, with the provenance
/// of the whole.
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

    /// Opens a port of `isolate`.
    fn open(
        isolate: Current<'_>,
        vtable: &'static PortVtable,
        limit: Option<usize>,
        place: &'static Location<'static>,
    ) -> NonNull<Self> {
        // In a teardown the port is closed from the start: it would receive nothing, and nothing
        // would close it.
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
        // SAFETY: just allocated, or part of this isolate's memory.
        let port = unsafe { slot.as_ref() };
        // The slot's reference to the isolate, released in `free`.
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
        // Relaxed: no other thread uses the port yet.
        port.refs.store(receiver | HANDLE, Ordering::Relaxed);
        slot
    }

    /// Returns the port `serial` of the current isolate, if it is open.
    fn find(isolate: Current<'_>, serial: u64) -> Option<NonNull<Self>> {
        let first = &isolate.core().port0;
        let slot = if first.serial.get() == serial {
            NonNull::from(first)
        } else {
            isolate.with_events(|events| events.ports.get(&serial).copied())?
        };
        // SAFETY: the slots in the table are alive; the first one is part of the isolate.
        let open = unsafe { slot.as_ref() }.open.get();
        open.then_some(slot)
    }

    #[inline]
    fn isolate(&self) -> &IsolateCore {
        // SAFETY: a slot that was opened keeps a reference to its isolate until it is freed.
        unsafe { &*self.isolate.get() }
    }

    /// Returns whether the port accepts messages. A dying isolate refuses all messages even
    /// before its teardown closes its ports.
    #[inline]
    fn is_open(&self, lane: &LaneGuard<'_>) -> bool {
        self.open.get() && !lane.is_dead()
    }

    /// Returns the bound of a bounded port.
    #[inline]
    fn bound(&self) -> Option<&Bound> {
        // SAFETY: null, or set in `open` and freed with the slot.
        unsafe { self.bound.get().as_ref() }
    }

    fn vtable(&self) -> &'static PortVtable {
        // SAFETY: only pointers made by `record_of` are stored, which reach a whole `PortVtable`.
        unsafe { &*self.vtable.0.get().cast::<PortVtable>() }
    }

    /// Returns whether the port keeps its isolate alive: it is open, not weak, and has a sender.
    #[inline]
    pub(crate) fn may_receive(&self) -> bool {
        // Acquire; pairs with the Release in `drop_sender`. The senders of a closed port do not
        // count, because the isolate is not notified when they are dropped.
        let refs = self.refs.load(Ordering::Acquire);
        refs & RECEIVER != 0 && refs >= SENDER && !self.is_weak.get()
    }

    /// Updates the isolate's `keeping_ports`. Called after each change to whether the port keeps
    /// its isolate alive.
    fn recount(&self, isolate: Current<'_>) {
        let keeps = self.may_receive();
        if self.keeps.replace(keeps) != keeps {
            let ports = &isolate.local().keeping_ports;
            let count = ports.get();
            ports.set(if keeps { count + 1 } else { count - 1 });
        }
    }

    /// Sets whether the port keeps its isolate alive; a weak one does not.
    fn set_weak(&self, isolate: Current<'_>, is_weak: bool) {
        self.is_weak.set(is_weak);
        self.recount(isolate);
    }

    /// Adds the units of a sender that the isolate itself makes.
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
        // Relaxed: a snapshot for reports.
        self.refs.load(Ordering::Relaxed) / SENDER
    }

    /// Returns how the port receives.
    pub(crate) fn mode(&self) -> PortMode {
        match self.vtable().mode {
            Mode::Buffered => PortMode::Buffered,
            Mode::Called => PortMode::Listener,
            Mode::Ignored | Mode::Closed => PortMode::Ignored,
        }
    }

    /// Returns the number of messages that have arrived and were not asked for.
    pub(crate) fn buffered(&self, _here: Current<'_>) -> usize {
        let receiver = self.receiver.get();
        if receiver.is_null() {
            return 0;
        }
        // SAFETY: the receiver is that of this vtable and not null, and only the isolate, which runs
        // here, accesses it.
        unsafe { (self.vtable().buffered)(receiver) }
    }

    /// Returns the most messages of a bounded port, its places in use, and the number of senders
    /// that wait for one.
    pub(crate) fn usage(&self, isolate: Current<'_>) -> Option<(usize, usize, usize)> {
        let bound = self.bound()?;
        Some(bound.usage(&mut isolate.lane.lock()))
    }

    pub(crate) fn has_receiver(&self) -> bool {
        self.refs.load(Ordering::Acquire) & RECEIVER != 0
    }

    fn add_sender(&self) {
        // Relaxed: the caller owns units, so the slot cannot be freed meanwhile.
        let before = self.refs.fetch_add(SENDER, Ordering::Relaxed);
        // Half of the range, as in `Arc`: senders that are leaked cannot make the count overflow.
        assert!(before < usize::MAX / 2, "too many senders of one port");
    }

    /// Releases one sender's units, or passes them to a [`LastSender`] record, see
    /// [the module](self).
    ///
    /// # Safety
    /// The caller owns these units and does not access the slot afterwards.
    unsafe fn drop_sender(this: NonNull<Self>) {
        // SAFETY: alive while the caller owns its units.
        let slot = unsafe { this.as_ref() };
        // Relaxed: with a value that is too high the exchange below fails. One that is too low
        // only posts a `LastSender` that finds another sender left.
        let mut refs = slot.refs.load(Ordering::Relaxed);
        loop {
            if refs / SENDER == 1 && refs & RECEIVER != 0 {
                // The last sender: the record takes over the units.
                let isolate = slot.isolate().this();
                // SAFETY: the slot, alive by these units, keeps the isolate alive.
                match unsafe { IsolateCore::post_to(isolate, LastSender(this)) } {
                    Ok(()) => return,
                    // The isolate is dead: its teardown releases the receiver's unit.
                    Err(_) => break,
                }
            }
            // Release pairs with the Acquire here or in `release` of the thread that frees the
            // slot, so that every use through this sender happens before.
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
        // SAFETY: the record was not posted, so the units are still the caller's.
        unsafe { Self::release(this, SENDER) };
    }

    /// Releases units and returns how many are left; the slot is freed with the last ones.
    ///
    /// # Safety
    /// The caller owns these units. Afterwards it accesses the slot only by other units.
    unsafe fn release(this: NonNull<Self>, units: usize) -> usize {
        // AcqRel: the Release pairs with the Acquire, here or in `drop_sender`, of the thread that
        // frees the slot.
        // SAFETY: alive while the caller owns its units.
        let left = unsafe { this.as_ref() }
            .refs
            .fetch_sub(units, Ordering::AcqRel)
            - units;
        if left == 0 {
            free(this);
        }
        left
    }

    /// Closes the port from its isolate's own code, or from its teardown: no more messages are
    /// accepted, and queued ones are dropped in their turn. Waiting senders get an error.
    fn close(this: NonNull<Self>, isolate: Current<'_>) {
        // SAFETY: the caller has the handle's unit, or found the port among the isolate's open
        // ones.
        let slot = unsafe { this.as_ref() };
        slot.stop_receiving(isolate);
        let waiters = {
            let mut lane = isolate.lane.lock();
            let waiters = slot.shut(&mut lane);
            if waiters.is_some() && !lane.is_dead() {
                // Not marked as scheduled: the isolate is running, so it is scheduled already.
                // SAFETY: not dead; the head is that of a `Close`.
                unsafe { lane.push(crate::memory::record::system_head::<Close>(), Close(this)) };
            }
            waiters
        };
        waiters.unwrap_or_default().wake();
    }

    /// Closes the port from outside its isolate, where its `ReceivePort` was dropped. The vtable
    /// belongs to the isolate and changes when the [`Close`] record is handled.
    fn close_elsewhere(this: NonNull<Self>) {
        // SAFETY: the caller has the handle's unit.
        let slot = unsafe { this.as_ref() };
        let core = slot.isolate();
        let mut lane = core.lane.lock();
        // The teardown closes the port itself.
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

    /// Closes the port to senders. Returns the waiters for room, or `None` if the port was closed
    /// before.
    fn shut(&self, lane: &mut LaneGuard<'_>) -> Option<Woken> {
        self.open.replace(false).then(|| {
            let bound = self.bound();
            bound.map_or_else(Woken::default, |bound| bound.take_waiters(lane))
        })
    }

    /// Makes the port drop its messages from now on, in their turn.
    fn stop_receiving(&self, isolate: Current<'_>) {
        if self.vtable().mode != Mode::Closed {
            let closed = (self.vtable().closed)();
            self.swap_receiver(isolate, closed, std::ptr::null_mut());
        }
    }

    /// Marks the port as without senders, and wakes a waiting `recv`.
    fn orphan(&self, isolate: Current<'_>) {
        self.orphaned.set(true);
        // SAFETY: the receiver is null or of the vtable's type.
        unsafe { (self.vtable().orphan)(self.receiver.get()) }.wake(isolate);
    }

    /// Gives the port another receiver. The old one may be running, so a microtask drops it.
    fn swap_receiver(&self, isolate: Current<'_>, vtable: &'static PortVtable, receiver: *mut ()) {
        if let Some(old) = self.retire(vtable, receiver) {
            isolate.push_microtask(Microtask::Call(Box::new(move || drop(old))));
        }
    }

    /// Sets vtable and receiver, and returns the old receiver if there was one.
    fn retire(&self, vtable: &'static PortVtable, receiver: *mut ()) -> Option<Retired> {
        let drop_receiver = self.vtable().drop_receiver;
        self.vtable.0.set(record_of(vtable));
        let receiver = NonNull::new(self.receiver.replace(receiver))?;
        Some(Retired {
            receiver,
            drop_receiver,
        })
    }

    /// Closes a port in the teardown of its isolate.
    ///
    /// # Safety
    /// Called once, from the isolate's teardown, for a port that still has its receiver.
    pub(crate) unsafe fn tear_down(this: NonNull<Self>) {
        // SAFETY: the receiver's unit is held until the end of this function.
        let slot = unsafe { this.as_ref() };
        let waiters = slot.shut(&mut slot.isolate().lane.lock());
        let old = slot.retire((slot.vtable().closed)(), std::ptr::null_mut());
        waiters.unwrap_or_default().wake();
        // A panic of the user's destructor must not stop the teardown.
        contain(|| drop(old));
        // SAFETY: the receiver's unit, released once.
        unsafe { Self::release(this, RECEIVER) };
    }
}

/// Frees a slot whose last unit was released.
fn free(this: NonNull<PortSlot>) {
    // SAFETY: no unit is left, so nothing else accesses the slot.
    let slot = unsafe { this.as_ref() };
    let core = slot.isolate().this();
    let bound = slot.bound.replace(std::ptr::null());
    if !bound.is_null() {
        // SAFETY: boxed in `open`, and freed only here.
        drop(unsafe { Box::from_raw(bound.cast_mut()) });
    }
    // SAFETY: alive by the slot's reference.
    let first = NonNull::from(unsafe { &core.as_ref().port0 });
    if this != first {
        // SAFETY: every slot but the first was boxed in `open`.
        drop(unsafe { Box::from_raw(this.as_ptr()) });
    }
    // Last: the first slot is part of the isolate's memory.
    // SAFETY: the slot's reference, released once.
    unsafe { IsolateCore::release(core) };
}

/// The record that releases the receiver's unit, after everything that was sent before the port
/// closed.
struct Close(NonNull<PortSlot>);

// SAFETY: a slot may be released from any thread.
unsafe impl Send for Close {}

impl SystemRecord for Close {
    fn run(self, isolate: Current<'_>) {
        // SAFETY: this record owns the receiver's unit.
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
        // Not `recount`: a closed port keeps nothing alive, whatever senders it has.
        if slot.keeps.replace(false) {
            let ports = &isolate.local().keeping_ports;
            ports.set(ports.get() - 1);
        }
        // SAFETY: as above, released once.
        unsafe { PortSlot::release(self.0, RECEIVER) };
    }
    // No `discard`: records are discarded in the teardown, which itself releases the receivers'
    // units.
}

/// The record that owns the units of the last sender, after its last message.
struct LastSender(NonNull<PortSlot>);

// SAFETY: as for `Close`.
unsafe impl Send for LastSender {}

impl SystemRecord for LastSender {
    fn run(self, isolate: Current<'_>) {
        // SAFETY: this record owns the sender's units, released once.
        let left = unsafe { PortSlot::release(self.0, SENDER) };
        // The isolate may have made another sender, or closed the port, since this was posted.
        if left < SENDER && left & RECEIVER != 0 {
            // SAFETY: the receiver's unit is held, and only this isolate releases it.
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

/// The identity of a port in this process. Never reused; only opening a port makes a new one.
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
