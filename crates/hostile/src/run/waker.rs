//! Wakers of user code, whose functions all run scripts.

use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::world::{At, Guard, Hook, Place};
use crate::program::Wakes;

struct Hostile {
    wake: Hook,
    clone: Hook,
    _last: Guard,
}

/// Returns a waker that does what `wakes` says.
pub(crate) fn hostile(wakes: &Wakes, at: &At) -> Waker {
    let hostile = Arc::new(Hostile {
        wake: at.hook(&wakes.wake),
        clone: at.hook(&wakes.clone),
        _last: Guard(at.hook(&wakes.last)),
    });
    let raw = RawWaker::new(Arc::into_raw(hostile).cast(), &VTABLE);
    // SAFETY: each function below treats the pointer as an `Arc`, and keeps its count.
    unsafe { Waker::from_raw(raw) }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

unsafe fn clone(data: *const ()) -> RawWaker {
    let data = data.cast::<Hostile>();
    // SAFETY: the cloned waker owns a count, so the value is alive.
    let hostile = unsafe { &*data };
    let _place = Place::Elsewhere.set();
    // Before the count is taken, since the script may panic.
    hostile.clone.run();
    // SAFETY: as above.
    unsafe { Arc::increment_strong_count(data) };
    RawWaker::new(data.cast(), &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: `wake` consumes the waker, which gives up its count.
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
    // SAFETY: a dropped waker gives up its count.
    drop(unsafe { Arc::from_raw(data.cast::<Hostile>()) });
}
