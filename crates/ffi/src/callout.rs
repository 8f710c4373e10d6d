//! Calls of C functions, and what such a function may leave to be done when it has returned.
//!
//! A C function cannot be unwound. So `insula_throw` and `insula_exit` only record a wish, and the
//! wish is granted when the callback has returned, where only Rust frames are unwound. No lock of
//! this library is held during a callback. [`is_inside`] lets functions that wait for the end of
//! all callbacks refuse to wait for themselves.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::resume_unwind;
use std::rc::Rc;

use insula::Isolate;

use crate::abi::status::Status;
use crate::value::Value;

/// The wish of a callback, granted when it has returned.
enum Wish {
    Throw(String),
    Exit,
}

// A callback also runs on a thread that is ending and whose storage has been freed. So what belongs
// to a callback has no destructor here: it is put back or taken out when the callback returns.
thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static WISH: Cell<Option<ManuallyDrop<Wish>>> = const { Cell::new(None) };
    /// The innermost message with external data that is being handled.
    static DELIVERED: Cell<Option<ManuallyDrop<Rc<Delivered>>>> = const { Cell::new(None) };
}

/// A message within reach of `insula_value_take`.
struct Delivered {
    value: Value,
    /// The message that was being handled when this one arrived.
    outer: Option<Rc<Self>>,
}

/// Counts a callback while this exists.
struct Inside;

impl Inside {
    fn begin() -> Self {
        // A thread that is ending has no thread-local storage, and starts no shutdown.
        let _ = DEPTH.try_with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get() - 1));
    }
}

/// Returns whether a C function that the library called is on this thread's stack.
pub(crate) fn is_inside() -> bool {
    DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false)
}

/// Calls a C function that is not code of an isolate.
pub(crate) fn outside<R>(function: impl FnOnce() -> R) -> R {
    let _inside = Inside::begin();
    function()
}

/// Calls a C function as code of the current isolate, and grants its wish.
pub(crate) fn in_isolate<R>(function: impl FnOnce() -> R) -> R {
    let (result, wished) = wishing(function);
    match wished {
        None => result,
        // Unwinds Rust frames only, from here to the isolate's loop.
        // Not a panic: its hook would print the error as a fault of Rust code.
        Some(Wish::Throw(text)) => resume_unwind(Box::new(text)),
        Some(Wish::Exit) => Isolate::exit_silently(),
    }
}

/// Like [`in_isolate`], for an entry, whose error is its result and not a panic.
pub(crate) fn entry(function: impl FnOnce() -> i32) -> Result<(), String> {
    let (code, wished) = wishing(function);
    match wished {
        Some(Wish::Exit) => Isolate::exit_silently(),
        Some(Wish::Throw(text)) => Err(text),
        None if code == 0 => Ok(()),
        None => Err(format!("the entry returned {code}")),
    }
}

/// Raises an uncaught error in the current isolate when its callback has returned.
pub(crate) fn throw(text: String) -> Result<(), Status> {
    wish(Wish::Throw(text))
}

/// Ends the current isolate when its callback has returned.
pub(crate) fn exit() -> Result<(), Status> {
    wish(Wish::Exit)
}

fn wish(wish: Wish) -> Result<(), Status> {
    if Isolate::current().is_none() || !is_inside() {
        return Err(Status::NoIsolate);
    }
    drop(replace_wish(Some(wish)));
    Ok(())
}

/// Calls a C function, and returns its result and its wish.
fn wishing<R>(function: impl FnOnce() -> R) -> (R, Option<Wish>) {
    // A nested callback has a wish of its own, which must not replace that of the outer one.
    let before = replace_wish(None);
    let result = outside(function);
    (result, replace_wish(before))
}

fn replace_wish(wish: Option<Wish>) -> Option<Wish> {
    let before = WISH.replace(wish.map(ManuallyDrop::new));
    before.map(ManuallyDrop::into_inner)
}

/// Keeps `value` within reach of `insula_value_take` during `function`.
pub(crate) fn delivering<R>(value: Value, function: impl FnOnce(&Value) -> R) -> R {
    // Nothing in it can be taken, so nothing is allocated for it.
    if !value.has_external() {
        return function(&value);
    }
    /// Restores the outer message when dropped, also when a panic unwinds.
    struct Shown(Rc<Delivered>);
    impl Drop for Shown {
        fn drop(&mut self) {
            drop(replace_delivered(self.0.outer.clone()));
        }
    }
    let shown = Shown(Rc::new(Delivered {
        value,
        outer: delivered(),
    }));
    drop(replace_delivered(Some(shown.0.clone())));
    function(&shown.0.value)
}

fn replace_delivered(it: Option<Rc<Delivered>>) -> Option<Rc<Delivered>> {
    let before = DELIVERED.replace(it.map(ManuallyDrop::new));
    before.map(ManuallyDrop::into_inner)
}

/// Returns the message that is being handled.
fn delivered() -> Option<Rc<Delivered>> {
    let it = replace_delivered(None);
    drop(replace_delivered(it.clone()));
    it
}

/// Returns whether one of the messages that are being handled matches, the innermost first.
pub(crate) fn find_delivered(matches: impl Fn(&Value) -> bool) -> bool {
    let mut next = delivered();
    while let Some(it) = next {
        if matches(&it.value) {
            return true;
        }
        next = it.outer.clone();
    }
    false
}
