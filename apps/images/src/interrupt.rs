//! Ctrl-C and the request to terminate.

use std::sync::OnceLock;

/// Set once, when the program was asked to stop.
static STOPPED: OnceLock<()> = OnceLock::new();

/// From now on a request to stop (Ctrl-C, SIGTERM, SIGHUP) is remembered instead of ending the
/// program at once, so that it can end without leaving half a file.
///
/// # Errors
/// The reason why the system takes no handler.
pub(crate) fn listen() -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(|| {
        // A second request finds it set already, which is as good.
        let _ = STOPPED.set(());
    })
}

/// Whether the program was asked to stop.
pub(crate) fn is_stopped() -> bool {
    STOPPED.get().is_some()
}
