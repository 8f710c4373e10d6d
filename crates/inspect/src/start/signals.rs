//! Dumps at a signal.
//!
//! The handler of the signal, which is that of `signal-hook`, only writes a byte into a pipe; a thread
//! of the inspector reads it and writes the dump. Handlers of the same signal that the program has set
//! are called as well. Several signals that come while a dump is written lead to one more.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use signal_hook::consts::FORBIDDEN;
use signal_hook::iterator::{Handle, Signals as Incoming};

use super::sampler::dump_into;
use crate::program::Program;

/// The thread that waits for a signal. Dropping it ends it, and the signal is ignored from then on.
pub(super) struct Signals {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    pub(super) fn start(signal: i32, folder: PathBuf, program: &Arc<Program>) -> io::Result<Self> {
        if FORBIDDEN.contains(&signal) {
            let text =
                format!("signal {signal} cannot be handled: choose another, such as SIGUSR1");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut incoming = Incoming::new([signal])?;
        let handle = incoming.handle();
        let program = Arc::clone(program);
        let thread = thread::Builder::new()
            .name("insula-signals".to_owned())
            .spawn(move || {
                for (number, _) in (1_u64..).zip(incoming.forever()) {
                    dump_into(&program, &folder, "signal-", number);
                }
            })?;
        Ok(Self {
            handle,
            thread: Some(thread),
        })
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by itself.
            let _ = thread.join();
        }
    }
}
