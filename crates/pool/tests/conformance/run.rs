//! Runs a case on threads, and tells one that hangs.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use insula_core::Runtime;

/// Far more than any case takes on a busy machine: what takes longer hangs.
const HANGS: Duration = Duration::from_secs(120);

/// Runs a case that needs threads.
pub(crate) fn on_threads<F>(case: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    watched(move || {
        let runtime = Runtime::builder().threads(2).build();
        runtime.block_on(case());
        runtime.shut_down();
    });
}

/// Fails if `run` does not come to an end.
pub(crate) fn watched(run: impl FnOnce() + Send + 'static) {
    let (done, finished) = channel();
    let runner = thread::spawn(move || {
        run();
        // The watching side may have given up.
        let _ = done.send(());
    });
    match finished.recv_timeout(HANGS) {
        Ok(()) => {}
        Err(RecvTimeoutError::Disconnected) => {
            let panic = runner.join().expect_err("it ended without a word");
            std::panic::resume_unwind(panic);
        }
        Err(RecvTimeoutError::Timeout) => panic!("the case hangs"),
    }
}
