//! A waker that runs a function whenever it is cloned, woken or dropped. The trait
//! [`std::task::Wake`] has no way to do that for clones.

use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// An event in the life of a waker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Clone,
    Wake,
    Drop,
}

type Function = Box<dyn Fn(Step) + Send + Sync>;

/// Makes a waker that calls `function` at each step.
pub(super) fn waker(function: impl Fn(Step) + Send + Sync + 'static) -> Waker {
    let function: Arc<Function> = Arc::new(Box::new(function));
    // SAFETY: the functions of the table hold what `RawWaker` asks for: each waker owns one count
    // of the `Arc`, and the function may be called on any thread.
    unsafe { Waker::from_raw(raw(function)) }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

fn raw(function: Arc<Function>) -> RawWaker {
    RawWaker::new(Arc::into_raw(function).cast(), &VTABLE)
}

unsafe fn clone(data: *const ()) -> RawWaker {
    let data = data.cast::<Function>();
    // SAFETY: the waker keeps it alive for the call.
    let function = unsafe { &*data };
    function(Step::Clone);
    // SAFETY: made by `raw`, and alive; the new waker owns the new count.
    unsafe { Arc::increment_strong_count(data) };
    RawWaker::new(data.cast(), &VTABLE)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: made by `raw`; the waker's count is used up here.
    let function = unsafe { Arc::from_raw(data.cast::<Function>()) };
    function(Step::Wake);
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker keeps it alive for the call.
    let function = unsafe { &*data.cast::<Function>() };
    function(Step::Wake);
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: made by `raw`; the waker's count is used up here.
    let function = unsafe { Arc::from_raw(data.cast::<Function>()) };
    function(Step::Drop);
}
