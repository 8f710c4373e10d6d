//! Signals that end, stop and continue the command.

use std::ffi::c_int;
use std::io;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::thread;

use rustix::process::{Signal, getpgid, getpgrp, getppid, getsid, kill_current_process_group};
use signal_hook::consts::{
    SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGUSR1, SIGUSR2,
};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::{GRACE, Wish};

/// Those that end a program. `Ctrl-C` and `Ctrl-\` are keys while the terminal is raw, so these come
/// from `kill`, and from a window that is closed.
const ENDING: [c_int; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2];

/// What signals have asked for. A thread waits for them, and handles none itself as long as the
/// program answers.
#[derive(Debug)]
pub(super) struct Told(Arc<Flags>);

#[derive(Debug, Default)]
struct Flags {
    /// The signal that ends the program, or 0.
    ending: AtomicI32,
    stops: AtomicBool,
    goes_on: AtomicBool,
}

impl Told {
    pub(super) fn listen() -> io::Result<Self> {
        let flags = Arc::new(Flags::default());
        let mut signals = Signals::new(ENDING.iter().chain(&[SIGTSTP, SIGCONT]))?;
        let told = Arc::clone(&flags);
        let listen = move || {
            for signal in signals.forever() {
                told.take(signal);
            }
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(listen)?;
        Ok(Self(flags))
    }

    /// Returns whether a signal has asked the program to end.
    pub(super) fn is_ending(&self) -> bool {
        self.0.ending.load(Ordering::Relaxed) != 0
    }

    /// Returns what a signal has asked for since the last time.
    pub(super) fn wish(&self) -> Option<Wish> {
        if self.0.stops.swap(false, Ordering::Relaxed) {
            // The end of the stop needs no second restart of the terminal.
            return Some(Wish::Stop);
        }
        self.0
            .goes_on
            .swap(false, Ordering::Relaxed)
            .then_some(Wish::GoOn)
    }

    /// Stops the process until it is continued. The terminal must have been restored.
    pub(super) fn stop(&self) -> io::Result<()> {
        emulate_default_handler(SIGTSTP)?;
        self.0.goes_on.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Ends the process by the signal that has asked for it, if one has: who has started the command
    /// sees what ended it. The terminal must have been restored.
    pub(super) fn end(&self) {
        let signal = self.0.ending.load(Ordering::Relaxed);
        if signal != 0 {
            // It returns only on an error, and then the command ends as usual.
            let _ = emulate_default_handler(signal);
        }
    }
}

impl Flags {
    fn take(&self, signal: c_int) {
        match signal {
            SIGTSTP => self.stops.store(true, Ordering::Relaxed),
            SIGCONT => self.goes_on.store(true, Ordering::Relaxed),
            signal => {
                self.ending.store(signal, Ordering::Relaxed);
                // A terminal that is gone may keep the other thread in its read for ever, with a core
                // to itself. If that thread ends the program, this one does not wake up again.
                thread::sleep(GRACE);
                let _ = ratatui::try_restore();
                let _ = emulate_default_handler(signal);
                exit(128 + signal);
            }
        }
    }
}

/// Asks all processes of this job to stop, as the terminal does for its key when it is not raw.
/// Returns `false` if no shell would be there to continue them.
pub(super) fn stop_job() -> bool {
    let Some(parent) = getppid() else {
        return false;
    };
    let is_of_session = getsid(Some(parent)).ok() == getsid(None).ok();
    // A shell that runs scripts has the group of its commands.
    let has_group = getpgid(Some(parent)).is_ok_and(|group| group != getpgrp());
    is_of_session && has_group && kill_current_process_group(Signal::TSTP).is_ok()
}
