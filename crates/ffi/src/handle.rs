//! Handles: numbers that C holds in place of our objects.
//!
//! # The number
//! 8 bits hold the type, 32 the *generation* of the slot, and 24 the slot's index. A slot's
//! generation grows each time the slot is vacated, and a slot whose generations are used up is
//! never used again. So a number is valid exactly as long as its object exists, and never leads to
//! another object. The first bit is 0, so the number fits a signed one.
//!
//! # The table
//! Slots are kept in segments, each twice as large as the one before, which are allocated on demand
//! and never freed. So a slot is found without a lock. Each slot has a lock of its own, held for a
//! clone of the object and no longer. Objects are dropped, and their destructors run, outside of
//! it. Another lock protects the list of free slots. It is taken before a slot's lock, never under
//! one.

#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use insula_sync::{Mutex, Rank};

use crate::abi::status::Status;
use crate::object::{Kind, Object};

const INDEX_BITS: u32 = 24;
const KIND_SHIFT: u32 = 56;
/// The number of slots of the first segment.
const FIRST: usize = 64;
const SEGMENTS: usize = 18;
const MOST: usize = FIRST * ((1 << SEGMENTS) - 1);

const _: () = assert!(MOST <= 1 << INDEX_BITS, "an index has to fit its bits");

/// A handle as C holds it.
pub(crate) type Bits = u64;

#[derive(Debug)]
pub(crate) struct Table {
    segments: [OnceLock<Box<[Slot]>>; SEGMENTS],
    free: Mutex<Free>,
}

#[derive(Debug, Default)]
struct Slot(Mutex<SlotState>);

#[derive(Debug, Default)]
struct SlotState {
    generation: u32,
    content: Content,
}

#[derive(Debug, Default)]
enum Content {
    #[default]
    Vacant,
    /// Its object is about to come.
    Reserved,
    Object(Object),
}

#[derive(Debug)]
struct Free {
    /// Slots that were used before and are vacant.
    recycled: Vec<u32>,
    /// The first of the slots that have never been used.
    unused: u32,
    /// The number of live handles.
    live: u64,
    is_open: bool,
}

#[derive(Clone, Copy)]
struct Parts {
    kind: u8,
    generation: u32,
    index: u32,
}

impl Parts {
    fn of(bits: Bits) -> Self {
        Self {
            kind: (bits >> KIND_SHIFT) as u8,
            generation: (bits >> INDEX_BITS) as u32,
            index: (bits & ((1 << INDEX_BITS) - 1)) as u32,
        }
    }

    fn bits(self) -> Bits {
        u64::from(self.kind) << KIND_SHIFT
            | u64::from(self.generation) << INDEX_BITS
            | u64::from(self.index)
    }
}

static TABLE: Table = Table::new();

pub(crate) fn table() -> &'static Table {
    &TABLE
}

impl Table {
    const fn new() -> Self {
        Self {
            segments: [const { OnceLock::new() }; SEGMENTS],
            free: Mutex::ranked(
                Free {
                    recycled: Vec::new(),
                    unused: 0,
                    live: 0,
                    is_open: false,
                },
                Rank::new(20, "the list of free handles"),
            ),
        }
    }

    /// Opens the table: handles can be made from now on.
    pub(crate) fn open(&self) {
        self.free.lock().is_open = true;
    }

    /// Closes the table: no handle can be made, and the existing ones become stale, except those
    /// whose objects are spared. Returns the objects of the stale ones.
    pub(crate) fn close(&self, is_spared: fn(&Object) -> bool) -> Vec<Object> {
        // The slots in use are known from here on: `take_slot` has filled each that it took before,
        // and takes no more.
        let unused = {
            let mut free = self.free.lock();
            free.is_open = false;
            free.unused
        };
        // Looked at and vacated under one lock: between two, a reserved slot could get an object that
        // is spared. One that is still reserved is vacated as well: the call that reserved it finds
        // another generation, and fills nothing.
        let goes = |state: &SlotState| match &state.content {
            Content::Object(object) if is_spared(object) => Err(Status::BadHandle),
            _ => Ok(()),
        };
        (0..unused)
            .filter_map(|index| self.vacate(index, goes).ok()?)
            .collect()
    }

    pub(crate) fn insert(&self, object: Object) -> Result<Bits, Status> {
        self.reserve(object.kind())?.try_fill(object)
    }

    /// Reserves a handle for an object that does not exist yet, so that creating the object is the
    /// last step of a call, after which nothing fails. The handle is stale until it is filled.
    pub(crate) fn reserve(&self, kind: Kind) -> Result<Reservation<'_>, Status> {
        let bits = self.take_slot(kind, Content::Reserved)?;
        Ok(Reservation {
            table: self,
            bits,
            is_used: false,
        })
    }

    /// Gives a reserved handle its object, and returns whether that worked: drops the object if the
    /// handle has one, or the table was closed meanwhile.
    pub(crate) fn fill(&self, bits: Bits, object: Object) -> bool {
        let parts = Parts::of(bits);
        let Some(slot) = self.slot(parts.index) else {
            return false;
        };
        let mut state = slot.0.lock();
        let is_reserved = matches!(state.content, Content::Reserved);
        // A slot that was vacated and taken again has another generation, and is another call's.
        if state.generation == parts.generation && is_reserved {
            state.content = Content::Object(object);
            return true;
        }
        drop(state);
        drop(object);
        false
    }

    /// Returns a clone of the object.
    #[inline]
    pub(crate) fn find(&self, bits: Bits) -> Result<Object, Status> {
        let parts = Parts::of(bits);
        let slot = self.check(parts)?;
        let state = slot.0.lock();
        state.check(parts)?;
        match &state.content {
            Content::Object(object) if object.kind() as u8 == parts.kind => Ok(object.clone()),
            // The number was changed: index and generation are right, and the type is not.
            Content::Object(_) => Err(Status::BadHandle),
            Content::Vacant | Content::Reserved => Err(Status::StaleHandle),
        }
    }

    /// Makes the handle stale, and returns its object.
    pub(crate) fn remove(&self, bits: Bits) -> Result<Object, Status> {
        let parts = Parts::of(bits);
        self.check(parts)?;
        let is_meant = |state: &SlotState| {
            state.check(parts)?;
            match &state.content {
                Content::Object(object) if object.kind() as u8 != parts.kind => {
                    Err(Status::BadHandle)
                }
                _ => Ok(()),
            }
        };
        self.vacate(parts.index, is_meant)?
            .ok_or(Status::StaleHandle)
    }

    pub(crate) fn live(&self) -> u64 {
        self.free.lock().live
    }

    fn take_slot(&self, kind: Kind, content: Content) -> Result<Bits, Status> {
        // Held until the slot has its content: a later `close` finds it there.
        let mut free = self.free.lock();
        if !free.is_open {
            return Err(Status::ShutDown);
        }
        // Used ones first, so that the table grows with the handles that are alive at once, and not
        // with all that were ever made.
        let index = match free.recycled.pop() {
            Some(index) => index,
            None if (free.unused as usize) < MOST => {
                free.unused += 1;
                free.unused - 1
            }
            None => return Err(Status::OutOfResources),
        };
        free.live += 1;
        let (segment, offset) = place(index);
        let slots = self.segments[segment]
            .get_or_init(|| (0..FIRST << segment).map(|_| Slot::default()).collect());
        let mut state = slots[offset].0.lock();
        state.content = content;
        let generation = state.generation;
        let kind = kind as u8;
        Ok(Parts {
            kind,
            generation,
            index,
        }
        .bits())
    }

    /// Empties a slot, if `check` has nothing against it.
    fn vacate(
        &self,
        index: u32,
        check: impl FnOnce(&SlotState) -> Result<(), Status>,
    ) -> Result<Option<Object>, Status> {
        let slot = self.slot(index).ok_or(Status::BadHandle)?;
        let mut state = slot.0.lock();
        check(&state)?;
        let content = std::mem::take(&mut state.content);
        if matches!(content, Content::Vacant) {
            return Ok(None);
        }
        // Now and not when the slot is used again, so that the old number is stale at once.
        state.generation += 1;
        let is_used_up = state.generation == u32::MAX;
        // Released before the list is locked: `take_slot` locks a slot while it holds the list.
        drop(state);
        let mut free = self.free.lock();
        free.live -= 1;
        if !is_used_up {
            // Bounded by the number of slots.
            free.recycled.push(index);
        }
        drop(free);
        match content {
            Content::Object(object) => Ok(Some(object)),
            Content::Vacant | Content::Reserved => Ok(None),
        }
    }

    fn check(&self, parts: Parts) -> Result<&Slot, Status> {
        if Kind::of(parts.kind).is_none() {
            return Err(Status::BadHandle);
        }
        self.slot(parts.index).ok_or(Status::BadHandle)
    }

    #[inline]
    fn slot(&self, index: u32) -> Option<&Slot> {
        if index as usize >= MOST {
            return None;
        }
        let (segment, offset) = place(index);
        self.segments[segment].get()?.get(offset)
    }
}

impl SlotState {
    /// Fails unless a handle with these parts was given out and is still valid.
    fn check(&self, parts: Parts) -> Result<(), Status> {
        let is_vacant = matches!(self.content, Content::Vacant);
        match parts.generation.cmp(&self.generation) {
            std::cmp::Ordering::Less => Err(Status::StaleHandle),
            std::cmp::Ordering::Equal if !is_vacant => Ok(()),
            // The generation of a vacant slot has not been given out yet, nor any later one.
            _ => Err(Status::BadHandle),
        }
    }
}

/// Returns the segment and the offset of a slot.
#[inline]
fn place(index: u32) -> (usize, usize) {
    let number = index as usize + FIRST;
    let segment = (number / FIRST).ilog2() as usize;
    (segment, number - (FIRST << segment))
}

/// A handle that has no object yet. Dropping it vacates the handle's slot.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    table: &'a Table,
    bits: Bits,
    is_used: bool,
}

impl Reservation<'_> {
    pub(crate) fn bits(&self) -> Bits {
        self.bits
    }

    /// Gives the handle its object, unless it has been filled already. If a shutdown has closed the
    /// table meanwhile, the handle is stale from the start.
    pub(crate) fn fill(self, object: Object) -> Bits {
        let bits = self.bits;
        let _ = self.try_fill(object);
        bits
    }

    /// Like [`fill`](Self::fill), for callers that have no use for a stale handle.
    pub(crate) fn try_fill(mut self, object: Object) -> Result<Bits, Status> {
        // Even if the fill fails: the isolate or call of the handle may have filled it already, and
        // to remove it then would take a live handle away from C.
        self.is_used = true;
        if self.table.fill(self.bits, object) {
            Ok(self.bits)
        } else {
            Err(Status::ShutDown)
        }
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.is_used {
            // Fails if a shutdown has vacated the slot, which is fine.
            drop(self.table.remove(self.bits));
        }
    }
}

/// Removes a handle when it is dropped. The handle's object owns it, so that the handle does not
/// outlive the object.
#[derive(Debug)]
pub(crate) struct HandleGuard(Bits);

impl HandleGuard {
    pub(crate) fn new(bits: Bits) -> Self {
        Self(bits)
    }
}

impl Drop for HandleGuard {
    fn drop(&mut self) {
        // Fails if the handle was closed before, which is fine.
        drop(table().remove(self.0));
    }
}
