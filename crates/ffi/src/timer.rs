//! Timers of isolates that call a function of C.

use std::ffi::c_void;
use std::time::Duration;

use insula::{Isolate, IsolateId, Timer};

use crate::abi::status::{Outcome, Status};
use crate::abi::types::TimerHandle;
use crate::callout;
use crate::handle::{HandleGuard, table};
use crate::object::{self, Kind, Object};
use crate::raw::User;

/// A pending timer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimerObject {
    timer: Timer,
    owner: IsolateId,
}

/// The function that a timer calls, and its data.
#[derive(Debug)]
pub(crate) struct Callback {
    pub(crate) function: extern "C" fn(*mut c_void, TimerHandle, u64),
    pub(crate) user: User,
}

/// Starts a timer of the current isolate, periodic if there is a `period`.
pub(crate) fn start(
    delay: Duration,
    period: Option<Duration>,
    callback: Callback,
) -> Result<TimerHandle, Status> {
    let owner = Isolate::current().ok_or(Status::NoIsolate)?.id();
    let reserved = table().reserve(Kind::Timer)?;
    let bits = reserved.bits();
    // Owned by the callback, so the handle goes with it, however the timer ends.
    let entry = HandleGuard::new(bits);
    let fire = move |callback: &Callback, tick| {
        callout::in_isolate(|| (callback.function)(callback.user.data(), bits, tick));
    };
    let timer = match period {
        None => Timer::after(delay, move || {
            // It is no longer pending, so its handle is stale while the function runs.
            drop(entry);
            fire(&callback, 1);
        }),
        Some(period) => Timer::periodic(period, move |_, tick| {
            // Moves the entry into the callback, so that the handle is removed with the callback.
            let _kept = &entry;
            fire(&callback, tick);
        }),
    };
    // It has not fired yet: timers fire in turns of the isolate, and this is in the middle of one.
    Ok(reserved.fill(Object::Timer(TimerObject { timer, owner })))
}

/// Cancels a pending timer of the current isolate.
pub(crate) fn cancel(bits: TimerHandle) -> Outcome {
    let object: TimerObject = object::find(bits)?;
    match Isolate::current() {
        None => return Err(Status::NoIsolate.into()),
        Some(isolate) if isolate.id() != object.owner => return Err(Status::WrongIsolate.into()),
        Some(_) => {}
    }
    object::remove::<TimerObject>(bits)?.timer.cancel();
    Ok(())
}
