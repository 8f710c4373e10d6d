//! The receiving side of a port: a stream, or a closure.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;

use super::bound;
use super::send::SendPort;
use super::{
    Drops, HANDLE, Mode, PortId, PortSlot, PortVtable, discard_message, message_words, take_message,
};
use crate::event_loop::microtask::Microtask;
use crate::event_loop::task::{self, Wakeup};
use crate::memory::Current;
use crate::memory::record::{Head, RecordVtable, is_inline};
use crate::panic::{contain, drop_all};

const ELSEWHERE: &str = "a ReceivePort can only be used by the isolate that opened it";

/// The receiving side of a port for messages of type `T`. It belongs to the isolate that opened it.
///
/// Messages are buffered until they are taken with [`recv`](Self::recv) (or as a [`Stream`]), or
/// a closure is set with [`listen`](Self::listen).
///
/// A port with a [`SendPort`] keeps its isolate alive. When the last `SendPort` is gone and
/// all messages have been taken, `recv` returns `None`.
///
/// Dropping a `ReceivePort` closes the port.
pub struct ReceivePort<T> {
    slot: NonNull<PortSlot>,
    /// Makes the type `Send`, so that an isolate's future may hold it, but not `Sync`.
    marker: PhantomData<Cell<T>>,
}

// SAFETY: outside its isolate the port can only be dropped, see `close_elsewhere`; every method
// that touches the isolate's state panics there, see `here`.
unsafe impl<T: Send> Send for ReceivePort<T> {}

impl<T> Unpin for ReceivePort<T> {}

/// The messages that arrived and were not taken yet.
struct Buffer<T> {
    /// Limited by the port's bound; that of an unbounded port grows, as in the VM.
    queue: VecDeque<T>,
    waiting: Wakeup,
}

/// The vtable of a port that buffers its messages. The [`Buffer`] is allocated with the first
/// message or the first wait for one.
struct Buffers<T>(PhantomData<T>);

impl<T: Send + 'static> Buffers<T> {
    const VTABLE: &'static PortVtable = &PortVtable {
        record: RecordVtable {
            deliver: |head, payload, isolate| {
                // SAFETY: the record is this port's, and delivered once.
                let message = unsafe { take_message::<T>(payload) };
                // SAFETY: the slot of a record is alive.
                let slot = unsafe { head.slot::<PortSlot>() };
                let buffer = Self::buffer(slot);
                buffer.queue.push_back(message);
                // Taken out first: a foreign waker may run code that uses the buffer.
                std::mem::take(&mut buffer.waiting).wake_last(isolate);
            },
            discard: discard_message::<T>,
            settle: None,
        },
        mode: Mode::Buffered,
        buffered: |receiver| {
            // SAFETY: with this vtable a receiver that is not null is a box of this type.
            unsafe { &*receiver.cast::<Buffer<T>>() }.queue.len()
        },
        orphan: |receiver| {
            // SAFETY: with this vtable a receiver that is not null is a box of this type.
            let buffer = unsafe { receiver.cast::<Buffer<T>>().as_mut() };
            buffer.map_or(Wakeup::Nobody, |buffer| std::mem::take(&mut buffer.waiting))
        },
        drop_receiver: |receiver| {
            // SAFETY: with this vtable a receiver that is not null is a box of this type.
            let Buffer { queue, waiting } = *unsafe { Box::from_raw(receiver.cast::<Buffer<T>>()) };
            // The destructor of a foreign waker may panic, and must not leak the messages.
            contain(|| drop(waiting));
            drop_all(queue);
        },
        closed: || Drops::<T>::CLOSED,
    };

    /// Returns the buffer. The caller must run no user code, which could get a second reference,
    /// while it uses this one.
    #[expect(
        clippy::mut_from_ref,
        reason = "only the running isolate calls it, and briefly"
    )]
    fn buffer(slot: &PortSlot) -> &mut Buffer<T> {
        if slot.receiver.get().is_null() {
            let buffer = Buffer::<T> {
                queue: VecDeque::new(),
                waiting: Wakeup::Nobody,
            };
            slot.receiver.set(Box::into_raw(Box::new(buffer)).cast());
        }
        // SAFETY: with this vtable the receiver is a box of this type, which only the isolate that
        // runs here accesses.
        unsafe { &mut *slot.receiver.get().cast::<Buffer<T>>() }
    }
}

/// The vtable of a port that passes its messages to a closure.
struct Calls<T, F>(PhantomData<(T, F)>);

impl<T: Send + 'static, F: FnMut(T) + 'static> Calls<T, F> {
    const VTABLE: &'static PortVtable = &PortVtable {
        record: RecordVtable {
            deliver: |head, payload, isolate| {
                // SAFETY: the record is this port's, and delivered once.
                let message = unsafe { take_message::<T>(payload) };
                // SAFETY: the slot of a record is alive.
                let slot = unsafe { head.slot::<PortSlot>() };
                slot.message_taken(isolate);
                // SAFETY: with this vtable the receiver is a box of this type. It is called only
                // here, in one event or microtask at a time. If the call replaces it, a later
                // microtask drops it, so the reference stays valid during the call.
                let handler = unsafe { &mut *slot.receiver.get().cast::<F>() };
                handler(message);
            },
            discard: discard_message::<T>,
            settle: None,
        },
        mode: Mode::Called,
        buffered: |_| 0,
        orphan: |_| Wakeup::Nobody,
        drop_receiver: |receiver| {
            // SAFETY: with this vtable the receiver is a box of this type.
            drop(unsafe { Box::from_raw(receiver.cast::<F>()) });
        },
        closed: || Drops::<T>::CLOSED,
    };
}

impl<T: Send + 'static> ReceivePort<T> {
    /// Opens an unbounded port of the current isolate, as in the VM.
    ///
    /// # Panics
    /// Panics if there is no current isolate.
    #[expect(clippy::new_without_default, reason = "opening a port is an effect")]
    #[track_caller]
    pub fn new() -> Self {
        Self::open_current(None)
    }

    /// Opens a bounded port of the current isolate, for at most `limit` messages that are sent and
    /// not yet taken.
    ///
    /// # Panics
    /// Panics if there is no current isolate, or if `limit` is 0.
    #[track_caller]
    pub fn bounded(limit: usize) -> Self {
        Self::open_current(Some(limit))
    }

    #[track_caller]
    fn open_current(limit: Option<usize>) -> Self {
        bound::check_limit(limit);
        let place = Location::caller();
        Current::with(|isolate| {
            let isolate = isolate.expect("a ReceivePort needs a current isolate");
            Self::open(isolate, limit, place)
        })
    }

    pub(crate) fn open(
        isolate: Current<'_>,
        limit: Option<usize>,
        place: &'static Location<'static>,
    ) -> Self {
        let slot = PortSlot::open(isolate, Buffers::<T>::VTABLE, limit, place);
        Self {
            slot,
            marker: PhantomData,
        }
    }

    fn slot(&self) -> &PortSlot {
        // SAFETY: alive while this owns the handle's unit.
        unsafe { self.slot.as_ref() }
    }

    /// Calls `f` with the isolate that owns the port. Panics if that is not the current one.
    fn here<R>(&self, f: impl FnOnce(Current<'_>) -> R) -> R {
        Current::with(|current| match current {
            Some(isolate) if isolate.is(self.slot().isolate()) => f(isolate),
            _ => panic!("{ELSEWHERE}"),
        })
    }

    /// Returns a new sender of this port.
    ///
    /// # Panics
    /// Panics outside the isolate that opened the port.
    pub fn send_port(&self) -> SendPort<T> {
        self.here(|isolate| self.make_sender(isolate))
    }

    /// As [`send_port`](Self::send_port), in `isolate`, which must own the port.
    pub(crate) fn make_sender(&self, isolate: Current<'_>) -> SendPort<T> {
        self.slot().make_sender(isolate);
        SendPort::from_slot(self.slot)
    }

    /// Sets the port's name, for [`Isolate::why_alive`](crate::Isolate::why_alive).
    ///
    /// # Panics
    /// Panics outside the isolate that opened the port.
    pub fn set_name(&self, name: impl Into<Arc<str>>) {
        let serial = self.slot().serial.get();
        self.here(|isolate| {
            isolate.with_events(|events| events.port_names.insert(serial, name.into()))
        });
    }

    /// Makes the port keep its isolate alive as long as it has a [`SendPort`], as it does from the
    /// start.
    ///
    /// # Panics
    /// Panics outside the isolate that opened the port.
    pub fn keep_isolate_alive(&self) {
        self.here(|isolate| self.slot().set_weak(isolate, false));
    }

    /// Lets the isolate end although the port is open. The port still gets its messages while the
    /// isolate lives.
    ///
    /// # Panics
    /// Panics outside the isolate that opened the port.
    pub fn let_isolate_end(&self) {
        self.here(|isolate| self.slot().set_weak(isolate, true));
    }

    /// Takes the next message, in the order of arrival. Returns `None` when no [`SendPort`] is left
    /// and all messages have been taken.
    ///
    /// # Cancellation
    /// Dropping the future loses no message.
    ///
    /// # Panics
    /// Panics when polled outside the isolate that opened the port.
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv(self)
    }

    /// Polls for the next message, as [`recv`](Self::recv) does, for hand-written futures.
    ///
    /// # Panics
    /// Panics outside the isolate that opened the port.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.here(|isolate| {
            let slot = self.slot();
            if slot.vtable().mode != Mode::Buffered {
                // Happens only while the isolate is torn down.
                return Poll::Ready(None);
            }
            // Before a message is taken, so that a loop over a port that is never empty still
            // handles control messages.
            if task::must_return(isolate, cx) {
                return Poll::Pending;
            }
            if let Some(message) = Buffers::<T>::buffer(slot).queue.pop_front() {
                slot.message_taken(isolate);
                return Poll::Ready(Some(message));
            }
            if slot.orphaned.get() {
                return Poll::Ready(None);
            }
            // A waker is foreign code: cloned before the buffer is borrowed, dropped after.
            let wakeup = Wakeup::capture(isolate, cx);
            let before = std::mem::replace(&mut Buffers::<T>::buffer(slot).waiting, wakeup);
            drop(before);
            Poll::Pending
        })
    }

    /// Passes every message to `handler`. Messages that are already buffered come first, each in a
    /// microtask; later ones are handled in a turn each, so microtasks run in between.
    ///
    /// The port stays open until [`Listener::close`], or the end of the isolate.
    ///
    /// # Panics
    /// Panics outside the isolate that opened the port.
    pub fn listen(self, handler: impl FnMut(T) + Send + 'static) -> Listener<T> {
        self.listen_here(handler)
    }

    /// Returns what `listen` returns, for a handler that closes its own port.
    pub(crate) fn listener(&self) -> Listener<T> {
        Listener {
            serial: self.slot().serial.get(),
            marker: PhantomData,
        }
    }

    /// As [`listen`](Self::listen), for a handler that need not be `Send`.
    pub(crate) fn listen_here<F: FnMut(T) + 'static>(self, handler: F) -> Listener<T> {
        let listener = self.listener();
        self.here(|isolate| set_handler::<T, F>(isolate, self.slot(), handler));
        // Not before `here`: if that panics, `self` is dropped and closes the port.
        let port = ManuallyDrop::new(self);
        // SAFETY: releases the handle's unit once: the handle itself is never dropped.
        unsafe { PortSlot::release(port.slot, HANDLE) };
        listener
    }

    /// Closes the port, as dropping it does. Queued messages are dropped, later ones are returned
    /// to their senders.
    pub fn close(self) {
        drop(self);
    }

    /// Returns the identity of the port.
    pub fn id(&self) -> PortId {
        PortId(self.slot().serial.get())
    }
}

/// Sets the port's closure, and passes it the messages that the port had buffered.
fn set_handler<T: Send + 'static, F: FnMut(T) + 'static>(
    isolate: Current<'_>,
    slot: &PortSlot,
    handler: F,
) {
    if slot.vtable().mode == Mode::Closed {
        // Happens only in a teardown, which drops queued messages. A microtask drops the handler,
        // as `swap_receiver` does.
        return isolate.push_microtask(Microtask::Call(Box::new(move || drop(handler))));
    }
    let buffered = slot.vtable().mode == Mode::Buffered && !slot.receiver.get().is_null();
    let waiting = if buffered {
        std::mem::take(&mut Buffers::<T>::buffer(slot).queue)
    } else {
        VecDeque::new()
    };
    let handler = Box::into_raw(Box::new(handler)).cast();
    slot.swap_receiver(isolate, Calls::<T, F>::VTABLE, handler);
    for message in waiting {
        // By serial and not by slot: when the microtask runs, the port may have another handler,
        // or be closed and freed.
        let listener = Listener::<T> {
            serial: slot.serial.get(),
            marker: PhantomData,
        };
        isolate.push_microtask(Microtask::Call(Box::new(move || listener.deliver(message))));
    }
}

impl<T> Drop for ReceivePort<T> {
    fn drop(&mut self) {
        let slot = self.slot;
        // SAFETY: alive while this owns the handle's unit.
        let core: *const _ = unsafe { slot.as_ref() }.isolate();
        Current::with(|current| match current {
            Some(isolate) if isolate.is(core) => PortSlot::close(slot, isolate),
            _ => PortSlot::close_elsewhere(slot),
        });
        // SAFETY: this owns the handle's unit, and is gone afterwards.
        unsafe { PortSlot::release(slot, HANDLE) };
    }
}

impl<T: Send + 'static> Stream for ReceivePort<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.poll_recv(cx)
    }
}

impl<T: Send + 'static> fmt::Debug for ReceivePort<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReceivePort").field(&self.id()).finish()
    }
}

/// A future that waits for a message. Made by [`ReceivePort::recv`].
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Recv<'a, T: Send + 'static>(&'a mut ReceivePort<T>);

impl<T: Send + 'static> Future for Recv<'_, T> {
    type Output = Option<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.0.poll_recv(cx)
    }
}

/// A handle to a port that calls a closure. Made by [`ReceivePort::listen`], and usable only in the
/// isolate that opened the port: in another isolate it acts as if the port were closed. Dropping
/// it changes nothing.
pub struct Listener<T> {
    serial: u64,
    marker: PhantomData<fn(T)>,
}

impl<T> Clone for Listener<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Listener<T> {}

impl<T: Send + 'static> Listener<T> {
    /// Passes the messages to `handler` from the next one on, those already queued included. Does
    /// nothing if the port is closed.
    ///
    /// # Panics
    /// Panics if there is no current isolate.
    pub fn replace(&self, handler: impl FnMut(T) + Send + 'static) {
        self.with_open_port(|isolate, slot| {
            // SAFETY: an open port of the current isolate is alive.
            set_handler::<T, _>(isolate, unsafe { slot.as_ref() }, handler);
        });
    }

    /// Drops messages from the next one on, until [`replace`](Self::replace) is called.
    ///
    /// # Panics
    /// Panics if there is no current isolate.
    pub fn clear(&self) {
        self.with_open_port(|isolate, slot| {
            // SAFETY: an open port of the current isolate is alive.
            let slot = unsafe { slot.as_ref() };
            slot.swap_receiver(isolate, Drops::<T>::IGNORED, std::ptr::null_mut());
        });
    }

    /// Closes the port: queued messages are dropped, later ones are returned to their senders.
    /// Closing it again does nothing.
    ///
    /// # Panics
    /// Panics if there is no current isolate.
    pub fn close(&self) {
        self.with_open_port(|isolate, slot| PortSlot::close(slot, isolate));
    }

    /// Makes the port keep its isolate alive, as [`ReceivePort::keep_isolate_alive`] does. Does
    /// nothing if the port is closed.
    ///
    /// # Panics
    /// Panics if there is no current isolate.
    pub fn keep_isolate_alive(&self) {
        self.set_weak(false);
    }

    /// Lets the isolate end although the port is open, as [`ReceivePort::let_isolate_end`] does.
    /// Does nothing if the port is closed.
    ///
    /// # Panics
    /// Panics if there is no current isolate.
    pub fn let_isolate_end(&self) {
        self.set_weak(true);
    }

    fn set_weak(&self, is_weak: bool) {
        self.with_open_port(|isolate, slot| {
            // SAFETY: an open port of the current isolate is alive.
            unsafe { slot.as_ref() }.set_weak(isolate, is_weak);
        });
    }

    /// Returns a new sender of the port, or `None` if it is closed.
    ///
    /// # Panics
    /// Panics if there is no current isolate.
    pub fn send_port(&self) -> Option<SendPort<T>> {
        self.with_open_port(|isolate, slot| {
            // SAFETY: an open port of the current isolate is alive.
            unsafe { slot.as_ref() }.make_sender(isolate);
            SendPort::from_slot(slot)
        })
    }

    /// Delivers a message that had been buffered, by the port's current vtable. Drops it if the
    /// port is closed.
    fn deliver(self, message: T) {
        self.with_open_port(|isolate, slot| {
            let head = Head::of_slot(slot, message_words::<T>());
            // SAFETY: the slot of an open port is alive, and the current isolate may read its
            // vtable.
            let deliver = unsafe { head.vtable() }.deliver;
            if is_inline::<T>() {
                let message = ManuallyDrop::new(message);
                // SAFETY: the payload is a `T`, moved out only here.
                unsafe { deliver(head, (&raw const message).cast(), isolate) };
            } else {
                let message = ManuallyDrop::new(Box::new(message));
                // SAFETY: the payload is a boxed `T`, moved out only here.
                unsafe { deliver(head, (&raw const message).cast(), isolate) };
            }
        });
    }

    /// Calls `f` with the current isolate and the port's slot. Returns `None` if the port is
    /// closed, or belongs to another isolate.
    fn with_open_port<R>(&self, f: impl FnOnce(Current<'_>, NonNull<PortSlot>) -> R) -> Option<R> {
        Current::with(|isolate| {
            let isolate = isolate.expect(ELSEWHERE);
            let slot = PortSlot::find(isolate, self.serial)?;
            Some(f(isolate, slot))
        })
    }
}

impl<T> fmt::Debug for Listener<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Listener")
            .field(&PortId(self.serial))
            .finish()
    }
}
