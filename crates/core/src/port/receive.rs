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

/// The end of a port at which messages of type `T` arrive. It belongs to the isolate that
/// opened it.
///
/// Messages wait in the port until they are asked for with [`recv`](Self::recv) (or as a
/// [`Stream`]), or a closure is set with [`listen`](Self::listen).
///
/// A port with a [`SendPort`] keeps its isolate alive. When the last `SendPort` is gone and
/// all messages have been taken, the port ends: `recv` returns `None`.
///
/// Dropping a `ReceivePort` closes the port.
pub struct ReceivePort<T> {
    slot: NonNull<PortSlot>,
    /// `Send`, so that an isolate's future may hold it; not `Sync`.
    marker: PhantomData<Cell<T>>,
}

// SAFETY: everything but dropping it is refused outside its isolate, and dropping it is
// possible anywhere, see `close_elsewhere`.
unsafe impl<T: Send> Send for ReceivePort<T> {}

impl<T> Unpin for ReceivePort<T> {}

/// Messages that arrived and were not asked for yet.
struct Buffer<T> {
    /// Bounded by the port's bound; an unbounded port's grows as in the VM.
    queue: VecDeque<T>,
    waiting: Wakeup,
}

/// A port whose messages wait in a [`Buffer`], made with the first message or question.
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
                std::mem::take(&mut buffer.waiting).wake(isolate);
            },
            discard: discard_message::<T>,
            settle: None,
        },
        mode: Mode::Buffered,
        orphan: |receiver| {
            // SAFETY: with this vtable a receiver that is not null is a box of this type.
            let buffer = unsafe { receiver.cast::<Buffer<T>>().as_mut() };
            buffer.map_or(Wakeup::Nobody, |buffer| std::mem::take(&mut buffer.waiting))
        },
        drop_receiver: |receiver| {
            // SAFETY: with this vtable a receiver that is not null is a box of this type.
            let Buffer { queue, waiting } = *unsafe { Box::from_raw(receiver.cast::<Buffer<T>>()) };
            contain(|| drop(waiting));
            drop_all(queue);
        },
        closed: || Drops::<T>::CLOSED,
    };

    /// Exclusive as long as the caller runs no user code.
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
        // SAFETY: with this vtable the receiver is a box of this type, which only the isolate
        // that runs here touches.
        unsafe { &mut *slot.receiver.get().cast::<Buffer<T>>() }
    }
}

/// A port whose messages go to a closure.
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
                // SAFETY: with this vtable the receiver is a box of this type. It is called
                // only here, once at a time, and a replaced one is not dropped before the
                // turn's microtasks, so the reference stays good during the call.
                let handler = unsafe { &mut *slot.receiver.get().cast::<F>() };
                handler(message);
            },
            discard: discard_message::<T>,
            settle: None,
        },
        mode: Mode::Called,
        orphan: |_| Wakeup::Nobody,
        drop_receiver: |receiver| {
            // SAFETY: with this vtable the receiver is a box of this type.
            drop(unsafe { Box::from_raw(receiver.cast::<F>()) });
        },
        closed: || Drops::<T>::CLOSED,
    };
}

impl<T: Send + 'static> ReceivePort<T> {
    /// Opens a port of the current isolate, without a bound, as in the VM.
    ///
    /// # Panics
    /// If there is no current isolate.
    #[expect(clippy::new_without_default, reason = "opening a port is an effect")]
    #[track_caller]
    pub fn new() -> Self {
        Self::open_current(None)
    }

    /// Opens a port of the current isolate for at most `limit` messages that are sent and not
    /// yet taken.
    ///
    /// # Panics
    /// If there is no current isolate, or `limit` is 0.
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
        // SAFETY: alive while the handle's unit stands.
        unsafe { self.slot.as_ref() }
    }

    fn here<R>(&self, f: impl FnOnce(Current<'_>) -> R) -> R {
        Current::with(|current| match current {
            Some(isolate) if isolate.is(self.slot().isolate()) => f(isolate),
            _ => panic!("{ELSEWHERE}"),
        })
    }

    /// A new address of this port.
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    pub fn send_port(&self) -> SendPort<T> {
        self.here(|isolate| self.make_sender(isolate))
    }

    /// `isolate` is that of the port.
    pub(crate) fn make_sender(&self, isolate: Current<'_>) -> SendPort<T> {
        self.slot().make_sender(isolate);
        SendPort::from_slot(self.slot)
    }

    /// Gives the port a name, for [`Isolate::why_alive`](crate::Isolate::why_alive).
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    pub fn set_name(&self, name: impl Into<Arc<str>>) {
        let serial = self.slot().serial.get();
        self.here(|isolate| {
            isolate.with_events(|events| events.port_names.insert(serial, name.into()))
        });
    }

    /// Says whether the port keeps its isolate alive; at first it does, as long as somebody can
    /// send to it. One that does not still gets its messages while the isolate lives.
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    pub fn keep_isolate_alive(&self, keep: bool) {
        self.here(|isolate| self.slot().set_weak(isolate, !keep));
    }

    /// The next message, in the order of arrival; `None` when no [`SendPort`] is left and all
    /// messages have been taken.
    ///
    /// # Cancellation
    /// Dropping the future takes no message away.
    ///
    /// # Panics
    /// When polled outside the isolate that opened the port.
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv(self)
    }

    /// What [`recv`](Self::recv) does, for hand-written futures.
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    #[inline]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.here(|isolate| {
            let slot = self.slot();
            if slot.vtable().mode != Mode::Buffered {
                // Only while the isolate is being torn down.
                return Poll::Ready(None);
            }
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
            let wakeup = Wakeup::capture(isolate, cx);
            let before = std::mem::replace(&mut Buffers::<T>::buffer(slot).waiting, wakeup);
            drop(before);
            Poll::Pending
        })
    }

    /// Gives every message, those that wait already first, to `handler`: each in a turn of its
    /// own, so microtasks run in between.
    ///
    /// The port stays open until [`Listener::close`], or the end of the isolate.
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    pub fn listen(self, handler: impl FnMut(T) + Send + 'static) -> Listener<T> {
        self.listen_here(handler)
    }

    /// What `listen` returns, for a handler that closes its own port.
    pub(crate) fn listener(&self) -> Listener<T> {
        Listener {
            serial: self.slot().serial.get(),
            marker: PhantomData,
        }
    }

    pub(crate) fn listen_here<F: FnMut(T) + 'static>(self, handler: F) -> Listener<T> {
        let listener = self.listener();
        self.here(|isolate| set_handler::<T, F>(isolate, self.slot(), handler));
        // Not before: where this is refused the receiver is dropped, and so closes its port.
        let port = ManuallyDrop::new(self);
        // SAFETY: the handle's unit; the handle itself is never dropped.
        unsafe { PortSlot::release(port.slot, HANDLE) };
        listener
    }

    /// Closes the port. Messages that are queued are dropped, later ones go back to their
    /// senders. The same as dropping it.
    pub fn close(self) {
        drop(self);
    }

    /// What identifies the port.
    pub fn id(&self) -> PortId {
        PortId(self.slot().serial.get())
    }
}

/// Gives the port a closure, and the closure what the port had buffered.
fn set_handler<T: Send + 'static, F: FnMut(T) + 'static>(
    isolate: Current<'_>,
    slot: &PortSlot,
    handler: F,
) {
    if slot.vtable().mode == Mode::Closed {
        // Only in a teardown, which drops what is queued.
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
        // By the time the microtask runs the port may have another handler, or be closed.
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
        // SAFETY: alive while the handle's unit stands.
        let core: *const _ = unsafe { slot.as_ref() }.isolate();
        Current::with(|current| match current {
            Some(isolate) if isolate.is(core) => PortSlot::close(slot, isolate),
            _ => PortSlot::close_elsewhere(slot),
        });
        // SAFETY: the handle's unit, and the handle is gone after this.
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

/// Waits for a message. Made by [`ReceivePort::recv`].
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

/// A port that calls a closure. Made by [`ReceivePort::listen`]; of use only in the isolate
/// that opened the port. Dropping it changes nothing.
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
    /// Calls `handler` from the next message on, those that are queued included. A closed port
    /// stays closed.
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    pub fn replace(&self, handler: impl FnMut(T) + Send + 'static) {
        self.with_open_port(|isolate, slot| {
            // SAFETY: an open port of the current isolate is alive.
            set_handler::<T, _>(isolate, unsafe { slot.as_ref() }, handler);
        });
    }

    /// Drops messages from the next one on, until [`replace`](Self::replace).
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    pub fn clear(&self) {
        self.with_open_port(|isolate, slot| {
            // SAFETY: an open port of the current isolate is alive.
            let slot = unsafe { slot.as_ref() };
            slot.swap_receiver(isolate, Drops::<T>::IGNORED, std::ptr::null_mut());
        });
    }

    /// Closes the port: messages that are queued are dropped, later ones go back to their
    /// senders. Closing it again does nothing.
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    pub fn close(&self) {
        self.with_open_port(|isolate, slot| PortSlot::close(slot, isolate));
    }

    /// Says whether the port keeps its isolate alive, as
    /// [`ReceivePort::keep_isolate_alive`] does. For a closed port it changes nothing.
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    pub fn keep_isolate_alive(&self, keep: bool) {
        self.with_open_port(|isolate, slot| {
            // SAFETY: an open port of the current isolate is alive.
            unsafe { slot.as_ref() }.set_weak(isolate, !keep);
        });
    }

    /// A new address of the port; `None` once it is closed.
    ///
    /// # Panics
    /// Outside the isolate that opened the port.
    pub fn send_port(&self) -> Option<SendPort<T>> {
        self.with_open_port(|isolate, slot| {
            // SAFETY: an open port of the current isolate is alive.
            unsafe { slot.as_ref() }.make_sender(isolate);
            SendPort::from_slot(slot)
        })
    }

    /// Hands a message that had been buffered to whatever the port does now.
    fn deliver(self, message: T) {
        self.with_open_port(|isolate, slot| {
            let head = Head::of_slot(slot, message_words::<T>());
            // SAFETY: the current isolate may read the slot's vtable.
            let deliver = unsafe { head.vtable() }.deliver;
            if is_inline::<T>() {
                let message = ManuallyDrop::new(message);
                // SAFETY: the payload is a `T`, moved out this once.
                unsafe { deliver(head, (&raw const message).cast(), isolate) };
            } else {
                let message = ManuallyDrop::new(Box::new(message));
                // SAFETY: the payload is a boxed `T`, moved out this once.
                unsafe { deliver(head, (&raw const message).cast(), isolate) };
            }
        });
    }

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
