//! A hook that the operating system calls in the children of forks.

use std::sync::OnceLock;

static IN_CHILD: OnceLock<fn()> = OnceLock::new();

extern "C" fn child() {
    if let Some(function) = IN_CHILD.get() {
        function();
    }
}

/// Has `function` called in each child that is forked from now on, and returns whether that worked.
/// `function` may do only what a signal handler may. Called once per process.
pub(crate) fn call_in_child(function: fn()) -> bool {
    // Set before it is registered: a fork on another thread may call the handler at once.
    if IN_CHILD.set(function).is_err() {
        return false;
    }
    // SAFETY: the handler is a static function without arguments, which only reads a value that was
    // set before.
    unsafe { libc::pthread_atfork(None, None, Some(child)) == 0 }
}
