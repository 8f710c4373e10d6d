//! The hook of the operating system for the children of forks.

use std::sync::OnceLock;

static IN_CHILD: OnceLock<fn()> = OnceLock::new();

extern "C" fn child() {
    if let Some(function) = IN_CHILD.get() {
        function();
    }
}

/// Has `function` called in each child that is forked from now on. It may only do what a signal
/// handler may. Tells whether that was possible. To be called once.
pub(crate) fn call_in_child(function: fn()) -> bool {
    if IN_CHILD.set(function).is_err() {
        return false;
    }
    // SAFETY: the handler is a function that stays, takes nothing, and only reads a value that
    // was set before.
    unsafe { libc::pthread_atfork(None, None, Some(child)) == 0 }
}
