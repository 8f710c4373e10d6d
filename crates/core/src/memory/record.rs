//! The layout of a message in a lane.
//!
//! A record is one header word and the payload's words, in memory of the receiving isolate's
//! lane. The header ([`Head`]) points to a value whose first field is a `&'static RecordVtable`:
//! a port's slot for an ordinary message, a constant for the runtime's own records (an isolate's
//! entry, a wake-up, a reply, a timer). So two loads and one indirect call, without any look-up,
//! lead from a record to the code that handles it.
//!
//! A payload of at most [`INLINE_BYTES`] is stored in the record itself; a larger or over-aligned
//! one is boxed before the lane is locked, and the record carries the box.

use std::cell::Cell;
use std::mem;
use std::ptr::NonNull;

use crate::memory::Current;
use crate::port::reply::Settled;

/// The largest payload that is stored inline; with the header word it fills one cache line.
pub(crate) const INLINE_BYTES: usize = 56;

/// The functions that handle one kind of record.
pub(crate) struct RecordVtable {
    /// Moves the payload out and handles it. Called once, by the isolate that owns the lane.
    pub(crate) deliver: unsafe fn(Head, *const u64, Current<'_>),
    /// Moves the payload out and drops it. Called once, instead of `deliver`.
    pub(crate) discard: unsafe fn(Head, *const u64, Current<'_>),
    /// Only of answers: moves the payload out and stores it for its question, ahead of its turn.
    /// Called once, instead of the others.
    pub(crate) settle: Option<Settle>,
}

/// Settles a question. Returns the previous content of its place, for its waiter to be woken.
pub(crate) type Settle = unsafe fn(*const u64, Current<'_>) -> Settled;

/// Mask of the payload's word count in a header; the largest count fits [`INLINE_BYTES`].
const COUNT_MASK: usize = 7;

/// The header: a pointer to a `&'static RecordVtable`, with the number of payload words in its
/// low three bits, which are zero in the pointer. So the next record is found without a load
/// from the vtable.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Head(*const ());

/// The pointee of a header, aligned so that the count fits on every machine. It holds a raw
/// pointer, because the vtable may be the head of a larger one, and a reference would not reach
/// beyond its own type.
#[repr(C, align(8))]
pub(crate) struct VtableCell(pub(crate) Cell<*const RecordVtable>);

/// A constant vtable, laid out as a [`VtableCell`].
#[repr(C, align(8))]
pub(crate) struct SystemVtable(pub(crate) RecordVtableRef);

type RecordVtableRef = &'static RecordVtable;

impl Head {
    /// Returns the header of one of the runtime's own records.
    #[inline]
    pub(crate) fn of(vtable: &'static SystemVtable, words: u32) -> Self {
        Self::tagged(std::ptr::from_ref(vtable).cast(), words)
    }

    /// Returns the header of a port's messages. The slot's first field is its [`VtableCell`].
    #[inline]
    pub(crate) fn of_slot<S>(slot: NonNull<S>, words: u32) -> Self {
        Self::tagged(slot.as_ptr().cast_const().cast(), words)
    }

    #[inline]
    fn tagged(pointer: *const (), words: u32) -> Self {
        debug_assert!(
            words as usize <= COUNT_MASK,
            "a record's payload is at most seven words"
        );
        Self(pointer.map_addr(|address| address | words as usize))
    }

    /// Returns the number of payload words after the header.
    #[inline]
    pub(crate) fn words(self) -> u32 {
        (self.0.addr() & COUNT_MASK) as u32
    }

    /// Returns the port's slot; for the functions of a port's vtable.
    ///
    /// # Safety
    /// This is the header of a port's message, and the slot is alive.
    #[inline]
    pub(crate) unsafe fn slot<'a, S>(self) -> &'a S {
        let slot = self.0.map_addr(|address| address & !COUNT_MASK).cast::<S>();
        // SAFETY: by the caller's promise.
        unsafe { &*slot }
    }

    /// # Safety
    /// The pointee is alive, and this is the isolate that may change a slot's vtable.
    #[inline]
    pub(crate) unsafe fn vtable(self) -> &'static RecordVtable {
        // A system vtable is laid out as a cell that is never written.
        let cell = self
            .0
            .map_addr(|address| address & !COUNT_MASK)
            .cast::<RecordVtableRef>();
        // SAFETY: alive and not being written, both by the caller's promise.
        unsafe { cell.read() }
    }

    /// Writes the header into a record.
    ///
    /// # Safety
    /// `at` is the first word of a reservation.
    #[inline]
    pub(crate) unsafe fn write_to(self, at: *mut u64) {
        // SAFETY: room for a word, which a pointer fits; written as a pointer to keep its
        // provenance.
        unsafe { at.cast::<Self>().write(self) };
    }

    /// Reads the header of a record.
    ///
    /// # Safety
    /// [`write_to`](Self::write_to) wrote it there.
    #[inline]
    pub(crate) unsafe fn read_from(at: *const u64) -> Self {
        // SAFETY: by the caller's promise.
        unsafe { at.cast::<Self>().read() }
    }
}

/// Returns the number of words that a payload of type `P` takes in a record.
pub(crate) const fn words_of<P>() -> u32 {
    mem::size_of::<P>().div_ceil(8) as u32
}

/// Returns whether a payload of type `P` is stored in the record itself.
pub(crate) const fn is_inline<P>() -> bool {
    mem::size_of::<P>() <= INLINE_BYTES && mem::align_of::<P>() <= 8
}

/// Moves a payload of type `P` out of a record.
///
/// # Safety
/// `payload` points to a payload that was written as a `P` and has not been moved out.
#[inline]
pub(crate) unsafe fn take_payload<P>(payload: *const u64) -> P {
    // SAFETY: written as a `P` and read once, by the caller's promise; `is_inline` was checked
    // at compile time where it was written, so eight-byte alignment is enough.
    unsafe { payload.cast::<P>().read() }
}

/// One of the runtime's own records: a payload type with the function that handles it.
pub(crate) trait SystemRecord: Sized + 'static {
    fn run(self, isolate: Current<'_>);

    /// The vtable's [`settle`](RecordVtable::settle).
    const SETTLE: Option<Settle> = None;

    /// Drops the record of an isolate that ends before its turn. Runs user code only by dropping
    /// fields.
    fn discard(self, _isolate: Current<'_>) {}
}

/// The vtable of each [`SystemRecord`].
struct System<P>(std::marker::PhantomData<P>);

impl<P: SystemRecord> System<P> {
    const VTABLE: &'static SystemVtable = &SystemVtable(&RecordVtable {
        deliver: |_, payload, isolate| {
            // SAFETY: the lane delivers each record once, and this vtable belongs to a `P`.
            unsafe { take_payload::<P>(payload) }.run(isolate);
        },
        discard: |_, payload, isolate| {
            // SAFETY: as above.
            unsafe { take_payload::<P>(payload) }.discard(isolate);
        },
        settle: P::SETTLE,
    });
}

/// Returns the header of records with a payload of type `P`.
#[inline]
pub(crate) fn system_head<P: SystemRecord>() -> Head {
    // Not a `const` assertion: that would also be evaluated for the branch of `New::start` that is
    // never taken for a large entry. The condition is a constant all the same.
    assert!(is_inline::<P>(), "box large system payloads");
    Head::of(System::<P>::VTABLE, words_of::<P>())
}
