//! Calling C: what a callback may leave behind for us to do when it has returned.
//!
//! A C function cannot be unwound. So `insula_throw` and `insula_exit` only note what is
//! wanted, and the note is acted upon here, in Rust frames alone, when the callback is done.
//! No lock of this library is held during a callback; `depth` tells functions that wait for
//! the end of all callbacks that they would wait for themselves.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;

use insula::Isolate;

use crate::abi::status::Status;
use crate::value::Value;

/// What is to happen when the callback has returned.
enum Wish {
    Throw(String),
    Exit,
}

thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    static WISH: Cell<Option<Wish>> = const { Cell::new(None) };
    /// Messages with external data that are being handled, the innermost last.
    static DELIVERED: RefCell<Vec<Rc<Value>>> = const { RefCell::new(Vec::new()) };
}

/// Counts one callback in, and out when dropped.
struct Inside;

impl Inside {
    fn begin() -> Self {
        // A thread that ends has no locals any more, and waits for nobody.
        let _ = DEPTH.try_with(|depth| depth.set(depth.get() + 1));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = DEPTH.try_with(|depth| depth.set(depth.get() - 1));
    }
}

/// Whether C code that we called is further up on this thread's stack.
pub(crate) fn is_inside() -> bool {
    DEPTH.try_with(|depth| depth.get() > 0).unwrap_or(false)
}

/// Calls a function of C that is no part of an isolate.
pub(crate) fn outside<R>(function: impl FnOnce() -> R) -> R {
    let _inside = Inside::begin();
    function()
}

/// Calls a function of C as the code of the current isolate, and does what it wished for.
pub(crate) fn in_isolate<R>(function: impl FnOnce() -> R) -> R {
    let before = WISH.take();
    let result = outside(function);
    match WISH.replace(before) {
        None => result,
        // Unwinds Rust frames only, from here to the isolate's loop.
        Some(Wish::Throw(text)) => resume_unwind(Box::new(text)),
        Some(Wish::Exit) => Isolate::exit_silently(),
    }
}

/// As [`in_isolate`], for an entry, whose error is its result and not a panic.
pub(crate) fn entry(function: impl FnOnce() -> i32) -> Result<(), String> {
    let before = WISH.take();
    let code = outside(function);
    match WISH.replace(before) {
        Some(Wish::Exit) => Isolate::exit_silently(),
        Some(Wish::Throw(text)) => Err(text),
        None if code == 0 => Ok(()),
        None => Err(format!("the entry returned {code}")),
    }
}

/// An uncaught error of the current isolate, when its callback has returned.
pub(crate) fn throw(text: String) -> Result<(), Status> {
    wish(Wish::Throw(text))
}

/// The end of the current isolate, when its callback has returned.
pub(crate) fn exit() -> Result<(), Status> {
    wish(Wish::Exit)
}

fn wish(wish: Wish) -> Result<(), Status> {
    if Isolate::current().is_none() || !is_inside() {
        return Err(Status::NoIsolate);
    }
    WISH.set(Some(wish));
    Ok(())
}

/// Keeps `value` within reach of `insula_value_take` during `function`.
pub(crate) fn delivering<R>(value: Value, function: impl FnOnce(&Value) -> R) -> R {
    if !value.has_external() {
        return function(&value);
    }
    let value = Rc::new(value);
    // A thread that ends has no place for it any more: then it cannot be taken.
    let is_kept = DELIVERED.try_with(|values| values.borrow_mut().push(value.clone()));
    let result = function(&value);
    if is_kept.is_ok() {
        let _ = DELIVERED.try_with(|values| values.borrow_mut().pop());
    }
    result
}

/// Looks through the messages that are being handled, the innermost first.
pub(crate) fn find_delivered(matches: impl Fn(&Value) -> bool) -> bool {
    let values = DELIVERED.try_with(|values| values.borrow().clone());
    let values = values.unwrap_or_default();
    values.iter().rev().any(|value| matches(value))
}
