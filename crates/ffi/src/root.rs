//! Root isolates: each is driven by one thread of C's own, and by no other.
//!
//! They cannot leave their thread, so they are kept in a list of that thread; the table of handles
//! holds only the thread that a handle belongs to. While a root isolate is entered or handles a
//! message, it is taken out of the list, so that a nested use finds it absent and is refused.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::c_void;

use insula::Isolate;
use insula::control::ExitReason;
use insula::embed::Handled;
use insula::embed::RootIsolate;
use insula_sync::thread_number;

use crate::abi::status::{Failure, Outcome, Status};
use crate::abi::types::RootHandle;
use crate::handle::table;
use crate::object::{self, Kind, Object};
use crate::raw::User;
use crate::{callout, state};

/// The thread of a root isolate, and the isolate.
#[derive(Clone, Debug)]
pub(crate) struct RootObject {
    /// Its [`thread_number`], which is valid until the thread's very end.
    thread: u64,
    isolate: Isolate,
}

type Roots = HashMap<RootHandle, Option<RootIsolate>>;

thread_local! {
    static ROOTS: RefCell<Roots> = RefCell::default();
}

/// Calls `f` with this thread's list. Returns `None` on a thread that is ending and has no list any
/// more; its root isolates have ended with the list.
fn with_roots<R>(f: impl FnOnce(&mut Roots) -> R) -> Option<R> {
    ROOTS.try_with(|roots| f(&mut roots.borrow_mut())).ok()
}

/// Creates a root isolate of this thread.
pub(crate) fn create(
    name: &str,
    notify: extern "C" fn(*mut c_void),
    user: User,
) -> Result<RootHandle, Failure> {
    let runtime = state::runtime()?;
    let reserved = table().reserve(Kind::Root)?;
    let root = RootIsolate::builder(name)
        .runtime(&runtime)
        .notify(move || callout::outside(|| notify(user.data())))
        .create();
    let object = RootObject {
        thread: thread_number(),
        isolate: root.isolate().clone(),
    };
    let mut root = Some(root);
    let bits = reserved.bits();
    // Taken inside of the closure: on a thread without a list it does not run, and the isolate is
    // still here to be ended.
    with_roots(|roots| roots.insert(bits, root.take()));
    if let Some(root) = root {
        root.shut_down();
        let text = "the thread ends, and has no place for a root isolate any more";
        return Err(Failure::new(Status::BadState, text));
    }
    // A shutdown that has closed the table meanwhile waits for the isolate, which C could not close
    // with a stale handle.
    reserved.try_fill(Object::Root(object)).map_err(|status| {
        drop(remove(bits).map(RootIsolate::shut_down));
        status.into()
    })
}

/// Returns the isolate of a root isolate's handle.
pub(crate) fn isolate(bits: RootHandle) -> Result<Isolate, Status> {
    Ok(object::find::<RootObject>(bits)?.isolate)
}

/// Takes a root isolate of this thread out of the list.
fn take(bits: RootHandle) -> Result<RootIsolate, Status> {
    let object: RootObject = object::find(bits)?;
    // Compared, although the list of another thread would not contain it: the status names the
    // mistake.
    if object.thread != thread_number() {
        return Err(Status::WrongThread);
    }
    let root = with_roots(|roots| roots.get_mut(&bits).and_then(Option::take));
    root.flatten().ok_or(Status::InUse)
}

/// Uses a root isolate of this thread, and puts it back, also when a panic unwinds.
fn with<R>(bits: RootHandle, f: impl FnOnce(&mut RootIsolate) -> R) -> Result<R, Status> {
    struct PutBack(RootHandle, Option<RootIsolate>);
    impl Drop for PutBack {
        fn drop(&mut self) {
            let root = self.1.take();
            let left = with_roots(|roots| match roots.get_mut(&self.0) {
                Some(place) => std::mem::replace(place, root),
                // Closed meanwhile.
                None => root,
            });
            // Outside of the borrow: to drop an isolate ends it, which runs C's code, and that may
            // use the list.
            drop(left);
        }
    }
    let mut root = PutBack(bits, Some(take(bits)?));
    root.1.as_mut().map(f).ok_or(Status::InUse)
}

/// Runs a C function as code of a root isolate.
pub(crate) fn enter(
    bits: RootHandle,
    function: extern "C" fn(*mut c_void),
    data: *mut c_void,
) -> Outcome {
    if Isolate::current().is_some() {
        return Err(Failure::new(
            Status::InUse,
            "an isolate runs on this thread",
        ));
    }
    let entered = with(bits, |root| {
        root.enter(|_| callout::in_isolate(|| function(data)))
    })?;
    entered.ok_or_else(|| Failure::new(Status::Ending, "the root isolate has ended"))
}

/// Handles the next message.
pub(crate) fn handle_message(bits: RootHandle) -> Result<Handled, Failure> {
    if Isolate::current().is_some() {
        return Err(Failure::new(
            Status::InUse,
            "an isolate runs on this thread",
        ));
    }
    Ok(with(bits, RootIsolate::handle_message)?)
}

/// Runs the isolate's event loop until the isolate ends, and closes its handle.
pub(crate) fn run(bits: RootHandle) -> Result<ExitReason, Failure> {
    if Isolate::current().is_some() {
        return Err(Failure::new(
            Status::InUse,
            "an isolate runs on this thread",
        ));
    }
    let root = take(bits)?;
    // The handle stays valid meanwhile, for other threads that send to the isolate or kill it.
    let reason = root.run_event_loop();
    forget(bits);
    Ok(reason)
}

/// Ends a root isolate and all of its group.
pub(crate) fn close(bits: RootHandle) -> Result<ExitReason, Failure> {
    if Isolate::current().is_some() {
        return Err(Failure::new(
            Status::InUse,
            "an isolate runs on this thread",
        ));
    }
    let root = take(bits)?;
    // Before the end, unlike in `run`: C's code that the end runs finds the handle stale.
    forget(bits);
    Ok(root.shut_down())
}

/// Removes a root isolate, or the place of one that was taken out, from this thread's list.
fn remove(bits: RootHandle) -> Option<RootIsolate> {
    let root = with_roots(|roots| {
        let root = roots.remove(&bits).flatten();
        // An empty list owns no memory, so a thread that first comes here after the destruction of
        // its locals, whose list is never dropped, leaks none.
        if roots.is_empty() {
            *roots = Roots::new();
        }
        root
    });
    root.flatten()
}

fn forget(bits: RootHandle) {
    drop(remove(bits));
    drop(table().remove(bits));
}

/// Ends all root isolates of this thread.
pub(crate) fn forget_all_of_this_thread() {
    // All at once, since the end of each runs C's code, and that may use the list.
    let roots = with_roots(std::mem::take);
    for (bits, root) in roots.into_iter().flatten() {
        drop(table().remove(bits));
        drop(root.map(RootIsolate::shut_down));
    }
}
