//! Wakers of user code, all of whose functions run scripts.

use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::world::{At, Guard, Hook, Place};
use crate::program::Wakes;

struct Hostile {
    wake: Hook,
    clone: Hook,
    _last: Guard,
}

/// A waker that does what `wakes` says.
pub(crate) fn hostile(wakes: &Wakes, at: &At) -> Waker {
    let hostile = Arc::new(Hostile {
        wake: at.hook(&wakes.wake),
        clone: at.hook(&wakes.clone),
        _last: Guard(at.hook(&wakes.last)),
    });
    let raw = RawWaker::new(Arc::into_raw(hostile).cast(), &VTABLE);
    // SAFETY: the functions below treat the pointer as the `Arc` that it is, count for count.
    unsafe { Waker::from_raw(raw) }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

unsafe fn clone(data: *const ()) -> RawWaker {
    let data = data.cast::<Hostile>();
    // SAFETY: the waker that is cloned owns a count.
    let hostile = unsafe { &*data };
    let _place = Place::Elsewhere.set();
    // It may panic: before the count is taken.
    hostile.clone.run();
    // SAFETY: as above.
    unsafe { Arc::increment_strong_count(data) };
    RawWaker::new(data.cast(), &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: a waker that is consumed gives its count away.
    let hostile = unsafe { Arc::from_raw(data.cast::<Hostile>()) };
    let _place = Place::Elsewhere.set();
    hostile.wake.run();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker owns a count during the call.
    let hostile = unsafe { &*data.cast::<Hostile>() };
    let _place = Place::Elsewhere.set();
    hostile.wake.run();
}

unsafe fn drop_waker(data: *const ()) {
    let _place = Place::Elsewhere.set();
    // SAFETY: a waker that is dropped gives its count away.
    drop(unsafe { Arc::from_raw(data.cast::<Hostile>()) });
}
